"""The aperture as the patterns show it, where there is no vacuum pattern: radius and soft edge of their disk."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.core.errors import DiskNotFound
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.detectors import disk_semiangle
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.disk.disk import DiskFit, measure_disk
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.preprocess.origin.descan import centred_mean

WIDEST = 0.3  # edge of an aperture, as part of its radius: more is blur
SAME = 0.02  # a disk that is as large as stated, within this
OF_PIXELS = 1.5  # px: what pixels and descan that is left add to an edge
EDGE = 0.474  # the part of the edge of an aperture, half a cosine of amplitude, in which counts go from 90 to 10 %


def shows_edge(disk: DiskFit) -> bool:
    """Whether the edge of a disk is as sharp as that of an aperture may be, on a detector whose pixels blur it.

    Where a thick specimen has filled the patterns, a round bright region with a wider edge is no image of the aperture,
    and its radius is nobody's.

    Examples
    --------
    >>> from ptywidgets.engine.preprocess.disk.disk import DiskFit, measure_disk
    >>> y, x = np.mgrid[:64, :64]
    >>> radius = np.hypot(y - 30.3, x - 33.6)
    >>> [shows_edge(measure_disk(100 / (1 + np.exp((radius - 15) / width)))) for width in (0.5, 2.0)]
    [True, False]
    """
    return disk.edge_width < EDGE * WIDEST * disk.radius + OF_PIXELS


def measured_aperture(
    optics: Optics, dataset: Dataset, measurement: Measurement, mask: np.ndarray | None = None
) -> Optics:
    """An ideal aperture with the radius and the soft edge of the disk in the mean of the patterns.

    Some state a semi-angle where half of the amplitude or of the intensity is left, and some where the edge ends. Where
    the disk has none of these, or no edge that can be seen, what is stated is kept.

    Parameters
    ----------
    optics : Optics
        With the stated semi-angle, in mrad.
    dataset : Dataset
        Without holes: see :func:`ptywidgets.engine.preprocess.defects.repair.repaired`.
    measurement : Measurement
        For the origins of the patterns, about which their mean is taken.
    mask : ndarray (Qy, Qx) bool, optional
        True where a pixel was measured, and not repaired.

    Returns
    -------
    Optics
        The same with another semi-angle and another rolloff.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine.preprocess import prepare
    >>> dataset = samples.ducky("small")
    >>> drawn = measured_aperture(Optics(semiangle=21, rolloff=0.5), dataset, prepare(dataset))
    >>> round(drawn.semiangle), round(drawn.rolloff)
    (20, 3)
    """
    stated = optics.semiangle or 0.0
    try:
        disk = measure_disk(centred_mean(dataset, measurement.origin, mask=mask), dataset.calibration.relative_pixels)
    except DiskNotFound:  # a thick specimen scatters all of it
        return optics
    pixel = dataset.calibration.angle_mean
    rolloff = float(np.clip(disk.edge_width * pixel / EDGE, 0.0, WIDEST * stated))
    low, middle = (disk_semiangle(disk.radius, dataset.calibration, soft) for soft in (0.0, rolloff))
    known = not disk.is_smeared and (1 - SAME) * low < stated < (1 + SAME) * (middle + rolloff / 2)
    return optics.replace(rolloff=rolloff, semiangle=middle if known else stated)


__all__ = ["EDGE", "SAME", "WIDEST", "measured_aperture", "shows_edge"]

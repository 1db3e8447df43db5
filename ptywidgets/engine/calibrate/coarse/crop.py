"""A small problem out of a large one: the middle of the scan, and of the detector what lies near the aperture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.optics.probe import Optics, make_aperture
from ptywidgets.engine.preprocess.measurement import Measurement


def crop_to_block(
    measurement: Measurement, optics: Optics, most: int, reach: float = 1.4
) -> tuple[Measurement, Optics]:
    """A block of positions in the middle of the scan, and the detector cut.

    Parameters
    ----------
    measurement : Measurement
    optics : Optics
        Its vacuum pattern is cut like the patterns; its centre stays in the middle.
    most : int
        Positions.
    reach : float
        Half the side of the detector that is kept, in radii of the aperture.

    Returns
    -------
    Measurement, Optics
    """
    shape = measurement.patterns.shape[-2:]
    aperture = make_aperture(optics, shape, measurement.sampling, measurement.calibration.require("energy"))
    lit = np.fft.fftshift(aperture > 0.1 * aperture.max())
    radius = max(np.ptp(np.flatnonzero(lit.any(1))), np.ptp(np.flatnonzero(lit.any(0)))) / 2 + 1
    size = [min(n, 2 * int(np.ceil(reach * radius / 2)) * 2) for n in shape]
    scan = measurement.scan_shape
    side = int(np.sqrt(most))
    rows, columns = [slice(max(0, (n - side) // 2), max(0, (n - side) // 2) + min(n, side)) for n in scan]
    counted = np.ones(scan, bool) if measurement.scan_mask is None else measurement.scan_mask
    numbers = (np.cumsum(counted) - 1).reshape(scan)  # of the patterns
    inside = counted[rows, columns]
    if not inside.any():
        raise DataError(
            f"all {inside.size} positions in the middle of the scan are left out; take some back with with_scan_mask, "
            "or crop the scan to where there are any."
        )
    chosen = numbers[rows, columns][inside]
    index = [np.r_[0 : (n + 1) // 2, full - n // 2 : full] for n, full in zip(size, shape, strict=True)]
    patterns = measurement.patterns.take(chosen).crop((size[0], size[1]))
    down, along = (s * full / n for s, full, n in zip(measurement.sampling, shape, size, strict=True))
    if optics.vacuum is not None:
        corner = aperture[index[0][:, None], index[1][None]] ** 2
        optics = optics.replace(vacuum=np.fft.fftshift(corner))
    small = replace(
        measurement,
        patterns=patterns,
        shifts=measurement.shifts[chosen],
        positions=measurement.positions[chosen],
        sampling=(down, along),
        mean_intensity=float((patterns.amplitudes().clip(0).astype(np.float64) ** 2).sum() / len(chosen)),
        scan_shape=inside.shape,
        scan_mask=None if inside.all() else inside,
    )
    return small, optics

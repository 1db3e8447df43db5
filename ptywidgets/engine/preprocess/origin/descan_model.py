"""Whether descan is a plane or bent: by the centre of mass, and by the edge of the disk, which specimens hardly
move."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.defects.frames import Screened
from ptywidgets.engine.preprocess.defects.repair import repaired
from ptywidgets.engine.preprocess.disk.disk import measure_disk
from ptywidgets.engine.preprocess.origin.descan import centred_mean, disk_origins
from ptywidgets.engine.preprocess.origin.descan_fit import fit_descan
from ptywidgets.engine.preprocess.origin.origin_fit import fit_origin

_BENT = 0.5  # px beyond a plane, over the scan: less does little harm
_CLEAR = 0.15  # px rms by which a parabola must describe the edge of the disk better
_ALONE = 0.5  # of the plane's error: so much better a parabola must be where the edge cannot be asked
_SAMPLED, _ASKED = 48, 32  # positions on a side of the scan that are fitted, and whose disks are looked at


def descan_model(screened: Screened) -> tuple[str, str]:
    """Descan model of the data, "plane" or "parabola", and the reason for a parabola.

    A specimen moves the centre of mass, too, and most of all one with a wedge or a large particle; so where the centres
    of mass are bent, the edges of the disks must be bent alike.
    """
    stride = math.ceil(max(screened.com.shape[1:]) / _SAMPLED)
    com = screened.com[:, ::stride, ::stride]
    plane, parabola = (fit_origin(com, model) for model in ("plane", "parabola"))
    if _span(parabola - plane) < _BENT:
        return "plane", ""
    found = fit_descan(com)
    errors = found.errors
    if found.model in ("constant", "plane") or "parabola" not in errors:
        return "plane", ""
    if errors["parabola"] > 0.95 * errors["plane"]:
        return "plane", ""
    try:
        left, rest = _by_edges(screened)
    except DataError:  # no disk is seen
        if errors["parabola"] > _ALONE * errors["plane"]:
            return "plane", ""
        left, rest, what = errors["plane"], errors["parabola"], "centres of mass"
    else:
        what = "edges of the disks"
        if left < math.hypot(rest, _CLEAR):
            return "plane", ""
    return "parabola", f"it leaves {rest:.2g} px of the {what}, where a plane leaves {left:.2g}"


def _by_edges(screened: Screened) -> tuple[float, float]:
    """What a plane and a parabola leave of the disks' places, px, at positions that they have not seen."""
    dataset = screened.dataset
    stride = math.ceil(max(dataset.scan_shape) / _ASKED)
    few = replace(
        dataset,
        data=dataset.data[::stride, ::stride],
        scan_mask=None if dataset.scan_mask is None else _some(dataset.scan_mask[::stride, ::stride]),
    )
    if dataset.vacuum is not None:
        disk = measure_disk(Optics.from_dataset(dataset).vacuum)
    else:
        origin = fit_descan(screened.com[:, ::stride, ::stride], "parabola").origin
        disk = measure_disk(centred_mean(repaired(few), origin, mask=few.mask))
    origins = disk_origins(few, disk)
    if few.scan_mask is not None:
        origins = np.where(few.scan_mask, origins, np.nan)
    errors = fit_descan(origins).errors
    if "parabola" not in errors:
        raise DataError("too few disks to tell a plane from a parabola.")
    return errors["plane"], errors["parabola"]


def _span(surface: np.ndarray) -> float:
    return float(np.hypot(*np.ptp(surface.reshape(2, -1), axis=1)))


def _some(scan_mask: np.ndarray) -> np.ndarray:
    if not scan_mask.any():
        raise DataError("none of the positions looked at counts.")
    return scan_mask


__all__ = ["descan_model"]

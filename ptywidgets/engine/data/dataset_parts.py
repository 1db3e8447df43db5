"""Parts and sums of a data set: what is cut or summed along with the patterns, and what has to stay whole."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.core import memory
from ptywidgets.engine.core.errors import DataError, DiskCut
from ptywidgets.engine.data.array_views import BinnedArray, RepairedArray, binned, cropped, summed_dtype
from ptywidgets.engine.data.calibration import CALIBRATED, Calibration
from ptywidgets.engine.data.dataset_checks import checked_bins, checked_region
from ptywidgets.engine.data.detectors import filled_by_symmetry, fit_disk
from ptywidgets.engine.data.source import Bin, Crop, Repair, Stated, Supplied

if TYPE_CHECKING:
    from ptywidgets.engine.data.dataset import Dataset


def crop_dataset(
    dataset: Dataset,
    scan: tuple[int, int, int, int] | None = None,
    detector: tuple[int, int, int, int] | None = None,
    *,
    cut_disk: bool = False,
) -> Dataset:
    """See :meth:`ptywidgets.engine.data.dataset.Dataset.crop`."""
    done = Crop(
        None if scan is None else checked_region("scan", scan, dataset.scan_shape),
        None if detector is None else checked_region("detector", detector, dataset.detector_shape),
    )
    whole = dataset._whole
    done = Crop(*(None if part == all_ else part for part, all_ in zip((done.scan, done.detector), whole, strict=True)))
    if done == Crop():
        return dataset
    (y0, y1, x0, x1), (v0, v1, u0, u1) = done.scan or whole[0], done.detector or whole[1]
    if done.detector is not None and not cut_disk:
        _check_disk(dataset, done.detector)
    return _carried(
        dataset,
        done,
        cropped(dataset.data, ((y0, y1), (x0, x1), (v0, v1), (u0, u1))),
        lambda mask: mask[v0:v1, u0:u1],
        lambda vacuum: vacuum[v0:v1, u0:u1],
        lambda scan_mask: scan_mask[y0:y1, x0:x1],
    )


def bin_dataset(dataset: Dataset, scan: int | tuple[int, int] = 1, detector: int | tuple[int, int] = 1) -> Dataset:
    """See :meth:`ptywidgets.engine.data.dataset.Dataset.bin`."""
    by_scan, by_detector = (
        checked_bins("scan", scan, dataset.scan_shape),
        checked_bins("detector", detector, dataset.detector_shape),
    )
    bins = (*by_scan, *by_detector)
    if bins == (1, 1, 1, 1):
        return dataset
    rest = tuple(n % b for n, b in zip(dataset.shape, bins, strict=True))
    c = dataset.calibration
    calibration = dataclasses.replace(
        c, scan_step=_scaled(c.scan_step, by_scan), q_pixel=_scaled(c.q_pixel, by_detector)
    )

    def all_of(mask: np.ndarray, by: tuple[int, int]) -> np.ndarray:
        return binned(~mask, by, np.int64) == 0

    return _carried(
        dataset,
        Bin(by_scan, by_detector, rest),  # type: ignore[arg-type]  # rows and columns
        BinnedArray(dataset.data, bins),
        lambda mask: all_of(mask, by_detector),
        lambda vacuum: binned(vacuum, by_detector),
        lambda scan_mask: all_of(scan_mask, by_scan),
        calibration,
    )


def mend_dataset(dataset: Dataset, mask: np.ndarray) -> Dataset:
    """See :func:`ptywidgets.engine.preprocess.repair_pixels`; True where a pixel is bad."""
    if mask.shape != dataset.detector_shape:
        raise DataError(
            f"the mask of bad pixels is {mask.shape} but the detector is {dataset.detector_shape}; "
            "make it from these data with bad_pixels(dataset)."
        )
    if not mask.any():
        return dataset
    if mask.all():
        raise DataError("the mask calls every pixel bad; expected True for bad pixels only.")
    repaired = RepairedArray(dataset.data, mask)
    vacuum = None if dataset.vacuum is None else repaired.repair(dataset.vacuum)
    if vacuum is not None:
        turned, where = filled_by_symmetry(vacuum, mask, dataset.calibration.relative_pixels)
        vacuum[where] = np.rint(turned[where]) if vacuum.dtype.kind in "iu" else turned[where]
    done = Repair(tuple(int(n) for n in np.flatnonzero(mask)))
    source = dataset.source.then(done)
    if vacuum is not None and source.vacuum is not None:
        source = source.replace(vacuum=source.vacuum.now(vacuum))
    return dataclasses.replace(dataset, data=repaired, vacuum=vacuum, source=source)


def uncrop_dataset(dataset: Dataset, whole: Dataset | None = None) -> Dataset:
    """See :meth:`ptywidgets.engine.data.dataset.Dataset.uncropped`."""
    done = dataset.source.operations
    if whole is None:
        if not dataset.source.path:
            raise DataError("these data came as an array; make the data set from it again: Dataset(array).")
        kept = {name: getattr(dataset.source, name) for name in ("mask", "scan_mask", "vacuum")}
        kept = {name: one if one is not None and one.after == 0 and one.path else None for name, one in kept.items()}
        whole = dataset.source.replace(
            operations=(), **{n: one and dataclasses.replace(one, checksum=0) for n, one in kept.items()}
        ).open()
    else:
        done = done[len(whole.source.operations) :]
    bins = [(op.scan, op.detector) for op in done if isinstance(op, Bin)]
    changes: dict[str, Any] = {"energy": dataset.calibration.energy, "semiangle": dataset.calibration.semiangle}
    for axis, name in enumerate(("scan_step", "q_pixel")):
        by = tuple(math.prod(pair[axis][n] for pair in bins) for n in (0, 1))
        now, before = getattr(dataset.calibration, name), getattr(whole.calibration, name)
        if _scaled(before, by) != now:
            before = None if now is None else _scaled(now, (1 / by[0], 1 / by[1]))
        changes[name] = before
    return whole.with_calibration(**changes)


def measured_rows(dataset: Dataset) -> Dataset:
    """Data that are still being written without the rows that are to come; all others as they are.

    What is fitted to a scan, or transformed over it, must not meet rows that are not there.
    """
    if not dataset.source.follow or dataset.scan_mask is None:
        return dataset
    rows, columns = int(np.flatnonzero(dataset.scan_mask.any(1))[-1]) + 1, dataset.scan_shape[1]
    return dataset.crop(scan=(0, rows, 0, columns))


def _carried(
    dataset: Dataset,
    done: Crop | Bin,
    data: Any,
    of_mask: Callable[[np.ndarray], np.ndarray],
    of_vacuum: Callable[[np.ndarray], np.ndarray],
    of_scan_mask: Callable[[np.ndarray], np.ndarray],
    calibration: Calibration | None = None,
) -> Dataset:
    """Other data, with everything that belongs to them taken along."""
    source = dataset.source.then(done)
    parts: dict[str, Any] = {}
    for name, of in (("mask", of_mask), ("vacuum", of_vacuum), ("scan_mask", of_scan_mask)):
        before = getattr(dataset, name)
        if before is not None:
            after = of(before)
            if not after.any():
                what = name.replace("_", " ")
                raise DataError(f"of the {what} nothing would be left that counts after this: {done}.")
            supplied: Supplied = getattr(source, name)
            parts[name], source = after, source.replace(**{name: supplied.now(after)})
    if calibration is not None:
        scaled = {name: getattr(calibration, name) for name in CALIBRATED}
        source = source.replace(
            calibration=tuple(
                one
                if one.value == scaled[one.name]
                else Stated(one.name, scaled[one.name], one.where.removesuffix(", binned") + ", binned")
                for one in source.calibration
            )
        )
    return dataclasses.replace(
        dataset, data=data, calibration=calibration or dataset.calibration, source=source, **parts
    )


def _check_disk(dataset: Dataset, detector: tuple[int, int, int, int]) -> None:
    """Refuse a part of the detector that cuts the bright-field disk."""
    if dataset.vacuum is not None:
        pattern = np.nan_to_num(np.asarray(dataset.vacuum, float))
    else:
        ry, rx = dataset.scan_shape
        places = {(y, x) for y in (0, ry // 2, ry - 1) for x in (0, rx // 2, rx - 1)}
        counts = [place for place in places if dataset.scan_mask is None or dataset.scan_mask[place]] or sorted(places)
        pattern = np.mean([np.nan_to_num(dataset.pattern(*place).astype(float)) for place in counts], axis=0)
    if dataset.mask is not None:
        pattern = np.where(dataset.mask, pattern, np.median(pattern[dataset.mask]))
    disk = fit_disk(pattern)
    (y, x), r = disk.centre, disk.radius
    y0, y1, x0, x1 = detector
    if min(y - r - y0, y1 - 1 - (y + r), x - r - x0, x1 - 1 - (x + r)) >= -0.5:
        return
    ends = [math.floor(y - r), math.ceil(y + r) + 1, math.floor(x - r), math.ceil(x + r) + 1]
    limits = dataset._whole[1]
    fits = tuple(max(e, limits[0]) if n % 2 == 0 else min(e, limits[n]) for n, e in enumerate(ends))
    raise DiskCut(
        f"a crop of the detector to rows {y0} to {y1 - 1} and columns {x0} to {x1 - 1} cuts the bright-field disk, "
        f"of radius {r:.1f} px about row {y:.1f} and column {x:.1f}",
        fits,
    )


def _binned_bytes(dataset: Dataset, by: int) -> float:
    """Bytes after a binning of the detector, whose sums may need a wider type."""
    return dataset.nbytes / dataset.dtype.itemsize / by**2 * summed_dtype(dataset.dtype, by**2).itemsize


def smaller(dataset: Dataset) -> str:
    """The calls that make it small enough for the memory that is free."""
    free = memory.available_memory() or dataset.nbytes
    by = 2
    while _binned_bytes(dataset, by) > 0.8 * free and by < min(dataset.detector_shape) // 8:
        by += 1
    share = min(1.0, math.sqrt(0.8 * free / max(dataset.nbytes, 1)))
    ry, rx = (max(1, int(n * share)) for n in dataset.scan_shape)
    return (
        f"bin it first, dataset.bin(detector={by}), or crop it, dataset.crop(scan=(0, {ry}, 0, {rx})); on the "
        f"command line --bin-detector {by} or --crop-scan 0:{ry},0:{rx}"
    )


def _scaled(value: Any, by: tuple[float, ...]) -> Any:
    """A step, or the steps along rows and columns, after so many were made one."""
    if value is None:
        return None
    if isinstance(value, (int, float)) and by[0] == by[1]:
        return float(value * by[0])
    if isinstance(value, (int, float)):
        return _one_step((float(value * by[0]), float(value * by[1])))
    return _one_step(tuple(float(v) for v in np.multiply(value, by)))


def _one_step(pair: tuple[float, ...]) -> Any:
    return pair[0] if pair[0] == pair[1] else pair

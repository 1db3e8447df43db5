"""The data set: a lazy (Ry, Rx, Qy, Qx) array of diffraction patterns with its calibration.

Nothing is read from disk until a pattern, a block of rows or a mean is asked for.
"""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ptywidgets.engine.calibration import Calibration
from ptywidgets.engine.errors import DataError, DataWarning, PtyError

if TYPE_CHECKING:
    from ptywidgets.engine.protocols import Backend

__all__ = ["Calibration", "Dataset", "PatternArray"]


class PatternArray(Protocol):
    """Anything with a shape, a dtype and slicing: a numpy array, a memory map, an HDF5 dataset."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...
    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """4D-STEM data with calibration and vacuum pattern.

    Parameters
    ----------
    data : array-like, (Ry, Rx, Qy, Qx)
        Intensities or counts; slow scan axis first, then detector rows. Never loaded until asked.
    calibration : Calibration
        Energy, scan step, detector pixel, semi-angle.
    vacuum : ndarray, (Qy, Qx), optional
        Pattern of the probe without a specimen. Of a scan or a stack of them the mean is taken, which is told in a
        warning. It may be NaN where the mask leaves a pixel out.
    name : str
        For titles.
    path : Path, optional
        The file it came from.
    metadata : mapping of str to str
        What else the file says, as text.
    mask : ndarray (Qy, Qx) bool, optional
        True where a detector pixel counts. Others are left out of means, centres of mass and losses.
    scan_mask : ndarray (Ry, Rx) bool, optional
        True where a scan position counts. Others (dropped frames, a blanked beam, a flyback column) are left out of
        means, of everything that is fitted to the scan, and of the reconstruction.

    Examples
    --------
    >>> import numpy as np
    >>> dataset = Dataset(np.ones((3, 4, 8, 8), np.uint16), Calibration(energy=80e3), name="ones")
    >>> dataset
    Dataset 'ones': scan 3 x 4, detector 8 x 8, uint16, 1.54 kB in memory; 80 keV
    >>> dataset.mean_pattern().shape
    (8, 8)
    """

    data: PatternArray
    calibration: Calibration = field(default_factory=Calibration)
    vacuum: np.ndarray | None = None
    name: str = ""
    path: Path | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    mask: np.ndarray | None = None
    scan_mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        _check_patterns(self.data, 4, "(Ry, Rx, Qy, Qx)", "pass a stack to Dataset.from_stack(stack, scan_shape=...)")
        if self.mask is not None:
            object.__setattr__(self, "mask", checked_mask(self.mask, self.detector_shape))
        if self.vacuum is not None:
            vacuum = _averaged(self.vacuum, self.detector_shape, self.mask)
            object.__setattr__(self, "vacuum", checked_pattern(vacuum, self.detector_shape, self.mask))
        if self.scan_mask is not None:
            object.__setattr__(self, "scan_mask", checked_scan_mask(self.scan_mask, self.scan_shape))
        if self.path is not None:
            object.__setattr__(self, "path", Path(self.path))

    @classmethod
    def from_stack(cls, stack: PatternArray, scan_shape: tuple[int, int], **fields: Any) -> Dataset:
        """A data set from a stack (J, Qy, Qx) of patterns, in the order in which a raster visits them.

        Examples
        --------
        >>> Dataset.from_stack(np.ones((1681, 2, 2)), scan_shape=(40, 40))
        Traceback (most recent call last):
        ptywidgets.engine.errors.DataError: 1681 diffraction patterns but 40 x 40 = 1600 scan positions; \
pass scan_shape=(41, 41) or crop.
        """
        from ptywidgets.engine.io.lazy import ScanView

        _check_patterns(stack, 3, "(J, Qy, Qx)", "pass 4-D data to Dataset(data)")
        return cls(ScanView.of(stack, scan_shape), **fields)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(Ry, Rx, Qy, Qx)."""
        ry, rx, qy, qx = (int(n) for n in self.data.shape)
        return ry, rx, qy, qx

    @property
    def scan_shape(self) -> tuple[int, int]:
        """(Ry, Rx)."""
        return self.shape[:2]

    @property
    def detector_shape(self) -> tuple[int, int]:
        """(Qy, Qx)."""
        return self.shape[2:]

    @property
    def dtype(self) -> np.dtype:
        """Type of a pixel, in this machine's byte order."""
        return np.dtype(self.data.dtype).newbyteorder("=")

    @property
    def nbytes(self) -> int:
        """Bytes of the whole set once it is in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_lazy(self) -> bool:
        """Whether the patterns are still on disk."""
        return not isinstance(self.data, np.ndarray) or isinstance(self.data, np.memmap)

    def pattern(self, ry: int, rx: int) -> np.ndarray:
        """One diffraction pattern, (Qy, Qx)."""
        for axis, index, n in (("ry", ry, self.shape[0]), ("rx", rx, self.shape[1])):
            if not 0 <= index < n:
                raise DataError(f"{axis} is {index}; expected 0 to {n - 1} in a scan of {_by(self.scan_shape)}.")
        check_memory(self.nbytes // math.prod(self.scan_shape), "one pattern")
        return self._native(self.data[int(ry), int(rx)])

    def rows(self, chunk_bytes: float = 64e6) -> Iterator[tuple[int, np.ndarray]]:
        """Iterate over the scan in blocks of whole rows of about `chunk_bytes`, following the file's chunks.

        Yields
        ------
        first_row : int
        block : ndarray, (n, Rx, Qy, Qx)
        """
        yield from self._blocks((0, self.shape[0], 0, self.shape[1]), chunk_bytes)

    def mean_pattern(self, region: tuple[int, int, int, int] | None = None) -> np.ndarray:
        """Mean diffraction pattern, (Qy, Qx) float64; 0 where a pixel is masked.

        Positions that the scan mask leaves out do not count, nor does a single pixel that is NaN or infinite.

        Parameters
        ----------
        region : (y0, y1, x0, x1), optional
            Half-open range of scan pixels; the whole scan when not given.

        Raises
        ------
        DataError
            When the region lies outside of the scan, or all of it is left out.
        """
        y0, y1, x0, x1 = (0, self.shape[0], 0, self.shape[1]) if region is None else (int(edge) for edge in region)
        if not (0 <= y0 < y1 <= self.shape[0] and 0 <= x0 < x1 <= self.shape[1]):
            raise DataError(
                f"region (y0, y1, x0, x1) is {(y0, y1, x0, x1)}; expected 0 <= y0 < y1 <= {self.shape[0]} and "
                f"0 <= x0 < x1 <= {self.shape[1]}."
            )
        counted = None if self.scan_mask is None else self.scan_mask[y0:y1, x0:x1]
        if counted is not None and not counted.any():
            raise DataError(
                f"all positions of the region {(y0, y1, x0, x1)} are left out; choose another one, or take them back "
                "with with_scan_mask(None)."
            )
        total = np.zeros(self.detector_shape, np.float64)
        seen = np.zeros(self.detector_shape, np.int64)
        for first, block in self._blocks((y0, y1, x0, x1), 64e6):
            if counted is not None and not counted[first - y0 : first - y0 + len(block)].all():
                block = block[counted[first - y0 : first - y0 + len(block)]][:, None]
            with np.errstate(invalid="ignore"):
                part = block.sum(axis=(0, 1), dtype=np.float64)
            count = np.full(self.detector_shape, len(block) * block.shape[1])
            broken = ~np.isfinite(part)
            if broken.any():  # few frames, or few pixels
                values = block[..., broken]
                finite = np.isfinite(values)
                part[broken] = np.where(finite, values, 0).sum(axis=(0, 1), dtype=np.float64)
                count[broken] = finite.sum(axis=(0, 1))
            total += part
            seen += count
        if self.mask is not None:
            total[~self.mask] = 0
        return total / np.maximum(seen, 1)

    def with_calibration(self, **changes: float | None) -> Dataset:
        """A data set of the same patterns with some calibrations changed; see `Calibration.replace`."""
        return dataclasses.replace(self, calibration=self.calibration.replace(**changes))

    def with_vacuum(self, vacuum: np.ndarray | str | os.PathLike[str] | None) -> Dataset:
        """A data set of the same patterns with another vacuum pattern, given as an array or as a file.

        Of a scan (Ry, Rx, Qy, Qx) or a stack (J, Qy, Qx) of vacuum patterns the mean is taken, each brought to one
        origin; a `DataWarning` says so.
        """
        if isinstance(vacuum, (str, os.PathLike)):
            from ptywidgets.engine.io import read, read_pattern

            try:
                pattern: Any = read_pattern(vacuum)
            except PtyError as error:
                try:
                    pattern = read(vacuum, vacuum=False).data  # a scan of vacuum patterns
                except PtyError:
                    raise error from None
            return dataclasses.replace(self, vacuum=pattern)
        return dataclasses.replace(self, vacuum=vacuum)

    def with_mask(self, mask: Any) -> Dataset:
        """A data set of the same patterns with another mask of detector pixels.

        Parameters
        ----------
        mask : ndarray (Qy, Qx), path, BadPixels or None
            True (or not 0) where a pixel counts, as an array or in a file; or the bad pixels that
            :func:`ptywidgets.engine.prepare.bad_pixels` found, which are masked. None takes the mask away.

        Examples
        --------
        >>> dataset = Dataset(np.ones((2, 2, 4, 4), np.uint8))
        >>> dataset.with_mask(np.arange(16).reshape(4, 4) != 5).mean_pattern()[1].tolist()
        [1.0, 0.0, 1.0, 1.0]
        """
        if isinstance(mask, (str, os.PathLike)):
            from ptywidgets.engine.io import read_pattern

            mask = read_pattern(mask)
        if hasattr(mask, "hot") and hasattr(mask, "dead"):  # BadPixels, whose mask says which are bad
            mask = ~mask.mask
        return dataclasses.replace(self, mask=mask)

    def with_scan_mask(self, scan_mask: Any) -> Dataset:
        """A data set of the same patterns with other scan positions left out.

        Parameters
        ----------
        scan_mask : ndarray (Ry, Rx) bool, or None
            True (or not 0) where a position counts; None takes all of them back.

        Examples
        --------
        >>> dataset = Dataset(np.ones((2, 3, 4, 4), np.uint8))
        >>> int(dataset.with_scan_mask(np.arange(6).reshape(2, 3) != 5).scan_mask.sum())
        5
        """
        return dataclasses.replace(self, scan_mask=scan_mask)

    def without_bad_frames(self) -> Dataset:
        """A data set of the same patterns without those that :func:`ptywidgets.engine.prepare.bad_frames` finds.

        Positions that are left out already stay so.

        Examples
        --------
        >>> data = np.random.default_rng(0).poisson(5, (6, 6, 16, 16)).astype(np.uint16)
        >>> data[2, 3] = 0
        >>> np.argwhere(~Dataset(data).without_bad_frames().scan_mask).tolist()
        [[2, 3]]
        """
        from ptywidgets.engine.prepare.frames import bad_frames

        bad = bad_frames(self)
        if not bad.mask.any():
            return self
        return self.with_scan_mask(~bad.mask if self.scan_mask is None else self.scan_mask & ~bad.mask)

    def load(self) -> Dataset:
        """A data set whose patterns are in memory.

        Raises
        ------
        DataError
            When they need more memory than is free.
        """
        if not self.is_lazy:
            return self
        check_memory(self.nbytes, f"the whole data set ({_by(self.shape)} {self.dtype})", "crop or bin it first")
        data = np.empty(self.shape, self.dtype)
        for first, block in self.rows():
            data[first : first + len(block)] = block
        return dataclasses.replace(self, data=data)

    def check(self) -> None:
        """Look at every pattern; raise a DataError that counts those with NaN, negative or no counts at all."""
        kinds = {
            "NaN or infinite values": "replace them, or crop the scan",
            "negative values": "subtract less background, or clip with numpy.maximum(data, 0)",
            "no counts at all": "leave them out, without_bad_frames(), or check that the detector was on",
        }
        found: dict[str, list[Any]] = {kind: [0, None] for kind in kinds}
        for first, block in self.rows():
            if self.mask is not None:
                block = np.where(self.mask, block, block.dtype.type(0))
            bad = [
                ~np.isfinite(block).all(axis=(2, 3)) if block.dtype.kind == "f" else None,
                (block < 0).any(axis=(2, 3)) if block.dtype.kind in "fi" else None,
                ~block.any(axis=(2, 3)),
            ]
            for kind, where in zip(kinds, bad, strict=True):
                if where is not None and self.scan_mask is not None:
                    where = where & self.scan_mask[first : first + len(block)]
                if where is not None and where.any():
                    if found[kind][1] is None:
                        y, x = np.argwhere(where)[0]
                        found[kind][1] = (first + int(y), int(x))
                    found[kind][0] += int(where.sum())
        problems = [
            f"{n} of {math.prod(self.scan_shape)} patterns have {kind}, first at scan position (ry, rx) = {position}; "
            f"{kinds[kind]}."
            for kind, (n, position) in found.items()
            if n
        ]
        if problems:
            raise DataError(" ".join(problems))

    def describe(self) -> str:
        """A few lines of text with units."""
        vacuum = "none" if self.vacuum is None else _by(self.vacuum.shape)
        return (
            f"scan         {_by(self.scan_shape)} positions\n"
            f"detector     {_by(self.detector_shape)} px, {self.dtype}, {in_bytes(self.nbytes)}\n"
            f"vacuum       {vacuum}\n{self.calibration.describe()}"
        )

    def __repr__(self) -> str:
        c = self.calibration
        known = [
            f"{c.energy / 1e3:g} keV" if c.energy is not None else "",
            f"step {c.scan_step:.4g} A" if c.scan_step is not None else "",
            f"q pixel {c.q_pixel:.4g} 1/A" if c.q_pixel is not None else "",
            f"{c.semiangle:.4g} mrad" if c.semiangle is not None else "",
            "with vacuum pattern" if self.vacuum is not None else "",
            f"{int((~self.mask).sum())} pixels masked" if self.mask is not None else "",
            f"{int((~self.scan_mask).sum())} positions left out" if self.scan_mask is not None else "",
        ]
        facts = ", ".join(fact for fact in known if fact) or "not calibrated"
        return (
            f"Dataset {self.name!r}: scan {_by(self.scan_shape)}, detector {_by(self.detector_shape)}, {self.dtype}, "
            f"{in_bytes(self.nbytes)} {'on disk' if self.is_lazy else 'in memory'}; {facts}"
        )

    def _blocks(self, region: tuple[int, int, int, int], chunk_bytes: float) -> Iterator[tuple[int, np.ndarray]]:
        y0, y1, x0, x1 = region
        row_bytes = (x1 - x0) * math.prod(self.detector_shape) * self.dtype.itemsize
        n = max(1, int(chunk_bytes // max(row_bytes, 1)))
        chunks = getattr(self.data, "chunks", None)
        if chunks and chunks[0] > 1 and chunks[0] * row_bytes <= max(chunk_bytes, 512e6):
            n = max(chunks[0], n // chunks[0] * chunks[0])  # a chunk is decompressed whole: read it once
        if not isinstance(self.data, np.ndarray):  # of which a block is no copy
            check_memory(min(n, y1 - y0) * row_bytes, f"a block of {min(n, y1 - y0)} scan rows", "crop or bin the data")
        start = y0
        while start < y1:
            stop = min(y1, (start // n + 1) * n)
            yield start, self._native(self.data[start:stop, x0:x1])
            start = stop

    def _native(self, block: Any) -> np.ndarray:
        return np.asarray(block).astype(self.dtype, copy=False)


def _averaged(vacuum: Any, shape: tuple[int, ...], mask: np.ndarray | None) -> Any:
    """A vacuum pattern, or the mean of a scan or stack of them: with a word."""
    many = tuple(getattr(vacuum, "shape", ()) or np.shape(vacuum))
    if len(many) not in (3, 4):
        return vacuum
    if many[-2:] != tuple(shape):
        raise DataError(
            f"the vacuum patterns are {_by(many[-2:])} but the detector is {_by(shape)}; crop, pad or bin one of them."
        )
    from ptywidgets.engine.prepare.vacuum import vacuum_of_scan

    mean, sentence = vacuum_of_scan(vacuum if hasattr(vacuum, "dtype") else np.asarray(vacuum), mask)
    warnings.warn(sentence, DataWarning, stacklevel=4)
    return mean


def checked_pattern(pattern: Any, shape: tuple[int, ...] | None = None, mask: np.ndarray | None = None) -> np.ndarray:
    """`pattern` as a real 2-D array, of `shape` when given, and finite where `mask` says that a pixel counts."""
    array = np.asarray(pattern)
    if array.ndim != 2 or array.dtype.kind not in "biuf" or 0 in array.shape:
        raise DataError(
            f"the vacuum pattern is {_by(array.shape)} {array.dtype}; expected a 2-D array of real numbers."
        )
    if shape is not None and array.shape != tuple(shape):
        raise DataError(
            f"the vacuum pattern is {_by(array.shape)} but the detector is {_by(shape)}; crop, pad or bin one of them."
        )
    array = np.array(array, dtype=array.dtype.newbyteorder("="))
    broken = ~np.isfinite(array) if mask is None else ~np.isfinite(array) & mask
    if broken.mean() > 0.1:  # fewer are repaired from their neighbours where the probe is made
        raise DataError(f"the vacuum pattern has {int(broken.sum())} NaN or infinite values; mask them.")
    if not np.nan_to_num(array).any():
        raise DataError("the vacuum pattern is zero everywhere; was the beam on?")
    array.setflags(write=False)
    return array


def checked_mask(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`mask` as bool of the detector's shape, with one pixel at least that counts."""
    array = np.asarray(mask)
    if array.dtype.kind not in "biuf" or array.shape != tuple(shape):
        raise DataError(
            f"the mask is {_by(array.shape)} {array.dtype} but the detector is {_by(shape)}; expected True where a "
            "detector pixel counts: crop, pad or bin the mask as the data were, or leave it out with with_mask(None)."
        )
    array = array.astype(bool)
    if not array.any():
        raise DataError("the mask leaves out every pixel; expected True where a detector pixel counts: pass ~mask.")
    array.setflags(write=False)
    return array


def checked_scan_mask(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`mask` as bool of the scan's shape, with one position at least that counts."""
    array = np.asarray(mask)
    if array.dtype.kind not in "biuf" or array.shape != tuple(shape):
        raise DataError(
            f"the scan mask is {_by(array.shape)} {array.dtype} but the scan is {_by(shape)}; expected True where a "
            "scan position counts: crop it as the data were, or leave it out with with_scan_mask(None)."
        )
    array = array.astype(bool)
    if not array.any():
        raise DataError("the scan mask leaves out every position; expected True where a position counts: pass ~mask.")
    array.setflags(write=False)
    return array


def check_memory(nbytes: float, what: str, advice: str = "", backend: Backend | None = None) -> None:
    """Raise a DataError when `nbytes` are more than can still be had, by this process or on a backend's device; silent
    where that is not known."""
    if nbytes < 1e7:
        return
    from ptywidgets.engine.io.memory import available_memory

    free = available_memory() if backend is None else backend.free_memory()
    if free is not None and nbytes > free:
        hint = f"; {advice}." if advice else "."
        raise DataError(f"{what} needs {in_bytes(nbytes)} of memory and {in_bytes(free)} are free{hint}")


def _check_patterns(data: Any, ndim: int, axes: str, advice: str) -> None:
    shape, dtype = getattr(data, "shape", None), getattr(data, "dtype", None)
    if shape is None or dtype is None or not hasattr(data, "__getitem__"):
        raise DataError(f"data is a {type(data).__name__}; expected an array {axes}, such as numpy.asarray(data).")
    if len(shape) != ndim:
        raise DataError(f"data has {len(shape)} axes, {_by(shape)}; expected {ndim} axes {axes}; {advice}.")
    if 0 in shape:
        raise DataError(f"data is empty, {_by(shape)}; expected at least one pattern of at least one pixel.")
    if np.dtype(dtype).kind not in "biuf":
        advice = "; take numpy.abs(data)**2 of complex waves" if np.dtype(dtype).kind == "c" else ""
        raise DataError(f"data is of type {dtype}; expected real numbers, counts or intensities{advice}.")


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(int(n)) for n in shape) if len(shape) else "a single number"


def in_bytes(nbytes: float) -> str:
    """A size in words.

    Examples
    --------
    >>> in_bytes(538e6)
    '538 MB'
    """
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= scale:
            return f"{nbytes / scale:.3g} {unit}"
    return f"{nbytes:.0f} B"

"""The data set: a lazy (Ry, Rx, Qy, Qx) array of diffraction patterns with its calibration.

Nothing is read from disk until a pattern, a block of rows or a mean is asked for; of an array of an unknown kind one
pattern is, so that what could not be read later is refused at once.
"""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from ptywidgets.engine.calibration import Calibration, in_words
from ptywidgets.engine.detectors import fit_disk
from ptywidgets.engine.errors import CalibrationError, DataError, DataWarning, PtyError
from ptywidgets.engine.files import files_of, listed_files
from ptywidgets.engine.masks import check_most, understood, unmasked
from ptywidgets.engine.source import Bin, Crop, Source, Stated, Supplied, checksum

if TYPE_CHECKING:
    from ptywidgets.engine.io.found import Found
    from ptywidgets.engine.protocols import Backend

__all__ = ["CALIBRATED", "Calibration", "Dataset", "PatternArray"]

CALIBRATED = ("energy", "scan_step", "q_pixel", "semiangle")  # numbers of a Calibration


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
        Intensities or counts; slow scan axis first, then detector rows. Never loaded until asked. Besides numpy arrays:
        HDF5 datasets, dask, zarr, xarray, HyperSpy's signals, py4DSTEM's DataCube, abTEM's and quantem's 4-D data, and
        whatever else has a shape, a type and slices; energy, steps, pixels and the order of axes are taken over where
        they say so (``metadata["axes"]``), and `calibration` wins.
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
    source : Source
        Where all this came from and what was done to it; kept by every method, and saved with a reconstruction.
    files : sequence of Path
        Further files that something of it was read from; those of memory maps and HDF5 are found by themselves.

    Notes
    -----
    Patterns may be a numpy masked array, whose mask is True where a value is bad: pixels that are masked in any
    pattern make `mask`, patterns that are masked whole `scan_mask`. ``dataset[10:50, 10:50]`` is a crop of the scan,
    ``dataset[:, :, 10:50, 10:50]`` one of the detector.

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
    source: Source = field(default_factory=Source)
    files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        read = files_of(self.data, self.vacuum, self.mask, self.scan_mask)  # before copies are made of them
        object.__setattr__(self, "files", listed_files((*self.files, *read)))
        if isinstance(self.data, np.ma.MaskedArray):
            self._take_masked(self.data)
        if type(self.data) is not np.ndarray or self.data.dtype.kind in "bf":
            self._understand()
        _check_patterns(self.data, 4, "(Ry, Rx, Qy, Qx)", _advice_for(self.data))
        if self.path is not None:
            object.__setattr__(self, "path", Path(self.path))
        source = self.source
        path = "" if self.path is None else str(self.path.absolute())
        if source.path != path:  # other data
            source = Source(path=path, mask=source.mask, scan_mask=source.scan_mask, vacuum=source.vacuum)
        if not isinstance(self.calibration, Calibration):
            raise CalibrationError(
                f"the calibration is {self.calibration!r}; expected Calibration(energy=80e3, scan_step=4.0, ...)."
            )
        if not source.shape:
            source = source.replace(shape=self.shape)
        after = len(source.operations)
        for name, shape, check, what in (
            ("mask", self.detector_shape, checked_mask, "pixels"),
            ("scan_mask", self.scan_shape, checked_scan_mask, "scan positions"),
        ):
            given = getattr(self, name)
            if given is None:
                continue
            known: Supplied | None = getattr(source, name)
            meant, words = understood(given)
            mask = check(meant, shape)
            object.__setattr__(self, name, mask)
            if known is None or known.checksum != checksum(mask):
                check_most(mask, what, f"with_{name}(mask, confirm=True)")
                source = source.replace(**{name: Supplied(words=words, after=after, checksum=checksum(mask))})
        if self.vacuum is not None:
            vacuum, words = _without_mask(self.vacuum)
            vacuum = _averaged(vacuum, self.detector_shape, self.mask)
            object.__setattr__(self, "vacuum", checked_pattern(vacuum, self.detector_shape, self.mask))
            source = _known_as(source, "vacuum", self.vacuum, words)
        for name in ("vacuum", "mask", "scan_mask"):
            if getattr(self, name) is None and getattr(source, name) is not None:
                source = source.replace(**{name: None})
        object.__setattr__(self, "source", _stating(source, self.calibration))

    def _take_masked(self, data: np.ma.MaskedArray[Any, Any]) -> None:
        """Patterns that bring their masks along, which join those that are given."""
        plain, pixels, positions, words = unmasked(data)
        object.__setattr__(self, "data", plain)
        source = self.source
        for name, found in (("mask", pixels), ("scan_mask", positions)):
            if found is None:
                continue
            given = getattr(self, name)
            both = found if given is None else found & understood(given)[0]
            object.__setattr__(self, name, both)
            source = source.replace(**{name: Supplied(words=words, checksum=checksum(both))})
        object.__setattr__(self, "source", source)

    def __getstate__(self) -> dict[str, Any]:
        """Copied and pickled, data that are mapped into memory stay in their file, as those read from HDF5 do."""
        from ptywidgets.engine.io.lazy import MappedArray

        state = dict(vars(self))
        mapped = MappedArray.of(self.data) if isinstance(self.data, np.ndarray) else None
        return state if mapped is None else state | {"data": mapped}

    def __setstate__(self, state: dict[str, Any]) -> None:
        from ptywidgets.engine.io.lazy import MappedArray

        data = state["data"]
        vars(self).update(state | {"data": data.open() if isinstance(data, MappedArray) else data})

    def _understand(self) -> None:
        """Put a plain view in the place of another package's array, and take over the calibration that it holds."""
        from ptywidgets.engine.io import array_likes

        found = array_likes.understood(self.data)
        if found is not None:
            for name, value in _taken_over(found, self.calibration, self.metadata).items():
                object.__setattr__(self, name, value)

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
        from ptywidgets.engine.io.array_likes import understood
        from ptywidgets.engine.io.found import Found

        found = understood(stack) or Found(stack)
        _check_patterns(found.data, 3, "(J, Qy, Qx)", "pass 4-D data to Dataset(data)")
        given = fields.get("calibration", Calibration()), fields.get("metadata", {})
        return cls(**{**fields, **_taken_over(found.as_scan(scan_shape), *given)})

    @property
    def inputs(self) -> tuple[Path, ...]:
        """All files that it was made from, as absolute paths: these are never written over."""
        return listed_files((*(() if self.path is None else (self.path,)), *self.source.files(), *self.files))

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
            if isinstance(index, (bool, str)) or not 0 <= index < n or index != int(index):
                raise DataError(f"{axis} is {index!r}; expected 0 to {n - 1} in a scan of {_by(self.scan_shape)}.")
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

    def with_calibration(self, *, origin: str = "given", **changes: Any) -> Dataset:
        """A data set of the same patterns with some calibrations changed; see `Calibration.replace`.

        Parameters
        ----------
        origin : str
            Where the numbers came from, such as "measured"; remembered in :attr:`source`.
        **changes
            As for :meth:`Calibration.replace`.
        """
        calibration = self.calibration.replace(**changes)
        before = {one.name: one for one in self.source.calibration}
        stated = [
            Stated(name, value, origin)
            for name in CALIBRATED
            if (value := getattr(calibration, name)) is not None and (name not in before or before[name].value != value)
        ]
        changed = {one.name for one in stated}
        kept = tuple(one for one in self.source.calibration if one.name not in changed)
        source = self.source.replace(calibration=(*kept, *stated))
        return dataclasses.replace(self, calibration=calibration, source=source)

    def with_vacuum(
        self,
        vacuum: np.ndarray | str | os.PathLike[str] | None,
        *,
        dataset: str | None = None,
        origin: Supplied | None = None,
    ) -> Dataset:
        """A data set of the same patterns with another vacuum pattern, given as an array or as a file.

        Of a scan (Ry, Rx, Qy, Qx) or a stack (J, Qy, Qx) of vacuum patterns the mean is taken, each brought to one
        origin; a `DataWarning` says so.

        Parameters
        ----------
        vacuum : ndarray (Qy, Qx), path or None
            Masked pixels of a numpy masked array are replaced by the median of their neighbours.
        dataset : str, optional
            Path of the pattern inside an HDF5 file.
        origin : Supplied, optional
            Where an array came from; for readers.
        """
        if isinstance(vacuum, (str, os.PathLike)):
            from ptywidgets.engine.io import read, read_pattern

            origin = Supplied(path=str(Path(vacuum).expanduser().absolute()), dataset=dataset or "")
            try:
                pattern: Any = read_pattern(vacuum, dataset)
            except PtyError as error:
                try:
                    pattern = read(vacuum, dataset, vacuum=False).data  # a scan of vacuum patterns
                except PtyError:
                    raise error from None
            vacuum = pattern
        if vacuum is None:
            return dataclasses.replace(self, vacuum=None)
        origin = dataclasses.replace(origin or Supplied(), after=len(self.source.operations), checksum=0)
        return dataclasses.replace(self, vacuum=cast(Any, vacuum), source=self.source.replace(vacuum=origin))

    def with_mask(
        self,
        mask: Any,
        *,
        confirm: bool = False,
        dataset: str | None = None,
        origin: Supplied | None = None,
    ) -> Dataset:
        """A data set of the same patterns with another mask of detector pixels.

        Parameters
        ----------
        mask : ndarray (Qy, Qx), path, BadPixels or None
            True (or not 0) where a pixel counts, as an array or in a file. What says the opposite is taken for what
            it is: numpy masked arrays, the bad pixels that :func:`ptywidgets.engine.prepare.bad_pixels` found, a
            file's pixel_mask (NeXus, DECTRIS) or CXI mask, and flags (whole numbers of 16 bits and more that are 0
            nearly everywhere). None takes the mask away.
        confirm : bool
            Take a mask that leaves fewer than half of the pixels.
        dataset : str, optional
            Path of the mask inside an HDF5 file.
        origin : Supplied, optional
            Where an array came from; for readers.

        Raises
        ------
        DataError
            When it has not the detector's shape, or leaves fewer than half of the pixels and that is not confirmed.

        Examples
        --------
        >>> dataset = Dataset(np.ones((2, 2, 4, 4), np.uint8))
        >>> dataset.with_mask(np.arange(16).reshape(4, 4) != 5).mean_pattern()[1].tolist()
        [1.0, 0.0, 1.0, 1.0]
        """
        return self._with("mask", mask, confirm, dataset, origin)

    def with_scan_mask(
        self,
        scan_mask: Any,
        *,
        confirm: bool = False,
        dataset: str | None = None,
        origin: Supplied | None = None,
    ) -> Dataset:
        """A data set of the same patterns with other scan positions left out.

        Parameters
        ----------
        scan_mask : ndarray (Ry, Rx), path or None
            True (or not 0) where a position counts; of a numpy masked array its mask, which says the opposite. None
            takes all of them back.
        confirm, dataset, origin
            As for :meth:`with_mask`.

        Examples
        --------
        >>> dataset = Dataset(np.ones((2, 3, 4, 4), np.uint8))
        >>> int(dataset.with_scan_mask(np.arange(6).reshape(2, 3) != 5).scan_mask.sum())
        5
        """
        return self._with("scan_mask", scan_mask, confirm, dataset, origin)

    def _with(self, name: str, mask: Any, confirm: bool, dataset: str | None, origin: Supplied | None) -> Dataset:
        changes: dict[str, Any] = {name: None}
        if mask is None:
            return dataclasses.replace(self, **changes)
        files = (*self.files, *files_of(mask))
        if isinstance(mask, (str, os.PathLike)):
            from ptywidgets.engine.io import read_mask

            file = str(Path(mask).expanduser().absolute())
            mask, at, words = read_mask(mask, dataset)
            origin = Supplied(path=file, dataset=at, words=words)
        else:
            mask, words = understood(mask)
            origin = Supplied(words=words) if origin is None else origin
        pixels = name == "mask"
        checked = checked_mask(mask, self.detector_shape) if pixels else checked_scan_mask(mask, self.scan_shape)
        if not confirm:
            check_most(checked, "pixels" if pixels else "scan positions", f"with_{name}(mask, confirm=True)")
        changes = {name: checked, "source": self._supplied(name, origin, checked), "files": files}
        return dataclasses.replace(self, **changes)

    def _supplied(self, name: str, origin: Supplied, array: np.ndarray) -> Source:
        origin = dataclasses.replace(origin, after=len(self.source.operations)).now(array)
        return self.source.replace(**{name: origin})

    # ---------------------------------------------------------------- parts and sums

    def __getitem__(self, key: Any) -> Dataset:
        """``dataset[10:50, 10:50]``: a part of the scan, and after two more commas of the detector; see `crop`."""
        keys = key if isinstance(key, tuple) else (key,)
        if Ellipsis in [k for k in keys if k is Ellipsis]:
            at = next(n for n, k in enumerate(keys) if k is Ellipsis)
            keys = (*keys[:at], *[slice(None)] * (5 - len(keys)), *keys[at + 1 :])
        if len(keys) > 4 or not all(isinstance(k, slice) and k.step in (None, 1) for k in keys):
            raise DataError(
                "a Dataset is cut by ranges without a step, one for each axis: dataset[10:50, 10:50] for the scan, "
                "dataset[:, :, 8:56, 8:56] for the detector; one pattern is dataset.pattern(3, 4), and every second "
                "row and column summed is dataset.bin(scan=2)."
            )
        keys = (*keys, *[slice(None)] * (4 - len(keys)))
        try:
            runs = [k.indices(n)[:2] for k, n in zip(keys, self.shape, strict=True)]
        except TypeError:
            raise DataError(
                f"a Dataset is cut by ranges of whole numbers, dataset[10:50, 10:50]; got {key!r}."
            ) from None
        scan, detector = (*runs[0], *runs[1]), (*runs[2], *runs[3])
        whole = self._whole
        return self.crop(scan if scan != whole[0] else None, detector if detector != whole[1] else None)

    @property
    def _whole(self) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
        ry, rx, qy, qx = self.shape
        return (0, ry, 0, rx), (0, qy, 0, qx)

    def crop(
        self,
        scan: tuple[int, int, int, int] | None = None,
        detector: tuple[int, int, int, int] | None = None,
        *,
        cut_disk: bool = False,
    ) -> Dataset:
        """A part of the scan, of the detector, or of both; masks and vacuum pattern are cut along. Lazy.

        Parameters
        ----------
        scan, detector : (y0, y1, x0, x1), optional
            Half-open ranges of rows and columns; all of them when not given.
        cut_disk : bool
            Take a part of the detector that cuts the bright-field disk. Else that is refused, for which a vacuum
            pattern is looked at, or nine patterns are read.

        Raises
        ------
        DataError
            When a range is empty or reaches beyond the data, or the disk would be cut.

        Examples
        --------
        >>> dataset = Dataset(np.ones((6, 6, 8, 8), np.uint8), Calibration(scan_step=2.0))
        >>> dataset.crop(scan=(1, 5, 0, 6))
        Dataset '': scan 4 x 6, detector 8 x 8, uint8, 1.54 kB in memory; step 2 A, cropped
        """
        from ptywidgets.engine.io.array_views import cropped

        done = Crop(
            None if scan is None else _checked_region("scan", scan, self.scan_shape),
            None if detector is None else _checked_region("detector", detector, self.detector_shape),
        )
        whole = self._whole
        done = Crop(
            *(None if part == all_ else part for part, all_ in zip((done.scan, done.detector), whole, strict=True))
        )
        if done == Crop():
            return self
        (y0, y1, x0, x1), (v0, v1, u0, u1) = done.scan or whole[0], done.detector or whole[1]
        if done.detector is not None and not cut_disk:
            self._check_disk(done.detector)
        return self._carried(
            done,
            cropped(self.data, ((y0, y1), (x0, x1), (v0, v1), (u0, u1))),
            lambda mask: mask[v0:v1, u0:u1],
            lambda vacuum: vacuum[v0:v1, u0:u1],
            lambda scan_mask: scan_mask[y0:y1, x0:x1],
        )

    def bin(self, scan: int | tuple[int, int] = 1, detector: int | tuple[int, int] = 1) -> Dataset:
        """Sums over neighbouring scan positions, detector pixels, or both; the calibration goes along. Lazy.

        Counts are summed in a type that holds the sum. A binned pixel (or position) counts where all that it sums
        count. Rows and columns at the end that do not fill a bin are left out, which :meth:`describe` tells.

        Parameters
        ----------
        scan, detector : int or (int, int)
            How many rows and columns make one.

        Raises
        ------
        DataError
            When a number is not a whole one from 1 to the length of its axis.

        Examples
        --------
        >>> dataset = Dataset(np.full((4, 4, 8, 8), 200, np.uint8), Calibration(scan_step=2.0, q_pixel=0.02))
        >>> binned = dataset.bin(scan=2, detector=(2, 2))
        >>> binned
        Dataset '': scan 2 x 2, detector 4 x 4, uint16, 128 B in memory; step 4 A, q pixel 0.04 1/A, binned
        >>> binned.pattern(0, 0)[0, 0].item()
        3200
        """
        from ptywidgets.engine.io.array_views import BinnedArray, binned

        by_scan, by_detector = (
            _checked_bins("scan", scan, self.scan_shape),
            _checked_bins("detector", detector, self.detector_shape),
        )
        bins = (*by_scan, *by_detector)
        if bins == (1, 1, 1, 1):
            return self
        rest = tuple(n % b for n, b in zip(self.shape, bins, strict=True))
        c = self.calibration
        calibration = dataclasses.replace(
            c, scan_step=_scaled(c.scan_step, by_scan), q_pixel=_scaled(c.q_pixel, by_detector)
        )

        def all_of(mask: np.ndarray, by: tuple[int, int]) -> np.ndarray:
            return binned(~mask, by, np.int64) == 0

        return self._carried(
            Bin(by_scan, by_detector, rest),  # type: ignore[arg-type]
            BinnedArray(self.data, bins),
            lambda mask: all_of(mask, by_detector),
            lambda vacuum: binned(vacuum, by_detector),
            lambda scan_mask: all_of(scan_mask, by_scan),
            calibration,
        )

    def uncropped(self, whole: Dataset | None = None) -> Dataset:
        """The data set without what :meth:`crop` and :meth:`bin` have done, with the calibration as it is now.

        Parameters
        ----------
        whole : Dataset, optional
            The data set before that; without it the file is opened again.

        Raises
        ------
        DataError
            When the data came as an array and `whole` is not given.

        Examples
        --------
        >>> whole = Dataset(np.ones((4, 4, 8, 8), np.uint8))
        >>> whole.bin(scan=2).with_calibration(scan_step=3.0).uncropped(whole)
        Dataset '': scan 4 x 4, detector 8 x 8, uint8, 1.02 kB in memory; step 1.5 A
        """
        done = self.source.operations
        if whole is None:
            if not self.source.path:
                raise DataError("these data came as an array; make the data set from it again: Dataset(array).")
            kept = {name: getattr(self.source, name) for name in ("mask", "scan_mask", "vacuum")}
            kept = {
                name: one if one is not None and one.after == 0 and one.path else None for name, one in kept.items()
            }
            whole = self.source.replace(
                operations=(), **{n: one and dataclasses.replace(one, checksum=0) for n, one in kept.items()}
            ).open()
        else:
            done = done[len(whole.source.operations) :]
        bins = [(op.scan, op.detector) for op in done if isinstance(op, Bin)]
        changes: dict[str, Any] = {"energy": self.calibration.energy, "semiangle": self.calibration.semiangle}
        for axis, name in enumerate(("scan_step", "q_pixel")):
            by = tuple(math.prod(pair[axis][n] for pair in bins) for n in (0, 1))
            now, before = getattr(self.calibration, name), getattr(whole.calibration, name)
            if _scaled(before, by) != now:
                before = None if now is None else _scaled(now, (1 / by[0], 1 / by[1]))
            changes[name] = before
        return whole.with_calibration(**changes)

    def _carried(
        self,
        done: Crop | Bin,
        data: Any,
        of_mask: Callable[[np.ndarray], np.ndarray],
        of_vacuum: Callable[[np.ndarray], np.ndarray],
        of_scan_mask: Callable[[np.ndarray], np.ndarray],
        calibration: Calibration | None = None,
    ) -> Dataset:
        """Other data, with everything that belongs to them taken along."""
        source = self.source.then(done)
        parts: dict[str, Any] = {}
        for name, of in (("mask", of_mask), ("vacuum", of_vacuum), ("scan_mask", of_scan_mask)):
            before = getattr(self, name)
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
        return dataclasses.replace(self, data=data, calibration=calibration or self.calibration, source=source, **parts)

    def _check_disk(self, detector: tuple[int, int, int, int]) -> None:
        """Refuse a part of the detector that cuts the bright-field disk."""
        if self.vacuum is not None:
            pattern = np.nan_to_num(np.asarray(self.vacuum, float))
        else:
            ry, rx = self.scan_shape
            places = {(y, x) for y in (0, ry // 2, ry - 1) for x in (0, rx // 2, rx - 1)}
            counts = [place for place in places if self.scan_mask is None or self.scan_mask[place]] or sorted(places)
            pattern = np.mean([np.nan_to_num(self.pattern(*place).astype(float)) for place in counts], axis=0)
        if self.mask is not None:
            pattern = np.where(self.mask, pattern, np.median(pattern[self.mask]))
        disk = fit_disk(pattern)
        (y, x), r = disk.centre, disk.radius
        y0, y1, x0, x1 = detector
        if min(y - r - y0, y1 - 1 - (y + r), x - r - x0, x1 - 1 - (x + r)) >= -0.5:
            return
        ends = [math.floor(y - r), math.ceil(y + r) + 1, math.floor(x - r), math.ceil(x + r) + 1]
        limits = self._whole[1]
        fits = tuple(max(e, limits[0]) if n % 2 == 0 else min(e, limits[n]) for n, e in enumerate(ends))
        raise DataError(
            f"a crop of the detector to rows {y0} to {y1 - 1} and columns {x0} to {x1 - 1} cuts the bright-field disk, "
            f"of radius {r:.1f} px about row {y:.1f} and column {x:.1f}; keep it whole, detector={fits} at least, or "
            "say that it may be cut: crop(..., cut_disk=True), --cut-disk, or the box of the browser."
        )

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
        check_memory(self.nbytes, f"the whole data set ({_by(self.shape)} {self.dtype})", self._smaller())
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
        left_out = [
            f"\nleft out     {int((~mask).sum())} of {mask.size} {what}"
            for mask, what in ((self.mask, "detector pixels"), (self.scan_mask, "scan positions"))
            if mask is not None
        ]
        return (
            f"scan         {_by(self.scan_shape)} positions\n"
            f"detector     {_by(self.detector_shape)} px, {self.dtype}, {in_bytes(self.nbytes)}\n"
            f"vacuum       {vacuum}{''.join(left_out)}\n{self.calibration.describe()}\n{self.source.describe()}"
            + (f"\naxes         {self.metadata['axes']}" if "axes" in self.metadata else "")
        )

    def __repr__(self) -> str:
        c, done = self.calibration, {type(operation) for operation in self.source.operations}
        known = [
            f"{c.energy / 1e3:g} keV" if c.energy is not None else "",
            f"step {in_words(c.scan_step, 4)} A" if c.scan_step is not None else "",
            f"q pixel {in_words(c.q_pixel, 4)} 1/A" if c.q_pixel is not None else "",
            f"{c.semiangle:.4g} mrad" if c.semiangle is not None else "",
            "with vacuum pattern" if self.vacuum is not None else "",
            f"{int((~self.mask).sum())} pixels masked" if self.mask is not None else "",
            f"{int((~self.scan_mask).sum())} positions left out" if self.scan_mask is not None else "",
            " and ".join(word for kind, word in ((Crop, "cropped"), (Bin, "binned")) if kind in done),
        ]
        facts = ", ".join(fact for fact in known if fact) or "not calibrated"
        return (
            f"Dataset {self.name!r}: scan {_by(self.scan_shape)}, detector {_by(self.detector_shape)}, {self.dtype}, "
            f"{in_bytes(self.nbytes)} {'on disk' if _on_disk(self.data) else 'in memory'}; {facts}"
        )

    def _blocks(self, region: tuple[int, int, int, int], chunk_bytes: float) -> Iterator[tuple[int, np.ndarray]]:
        y0, y1, x0, x1 = region
        row_bytes = (x1 - x0) * math.prod(self.detector_shape) * self.dtype.itemsize
        n = max(1, int(chunk_bytes // max(row_bytes, 1)))
        chunks = getattr(self.data, "chunks", None)
        if chunks and chunks[0] > 1 and chunks[0] * row_bytes <= max(chunk_bytes, 512e6):
            n = max(chunks[0], n // chunks[0] * chunks[0])  # a chunk is decompressed whole: read it once
        if not isinstance(self.data, np.ndarray):  # of which a block is no copy
            check_memory(min(n, y1 - y0) * row_bytes, f"a block of {min(n, y1 - y0)} scan rows", self._smaller())
        offset = getattr(self.data, "chunk_offset", 0)
        start = y0
        while start < y1:
            stop = min(y1, ((start + offset) // n + 1) * n - offset)
            yield start, self._native(self.data[start:stop, x0:x1])
            start = stop

    def _binned_bytes(self, by: int) -> float:
        """Bytes after a binning of the detector, whose sums may need a wider type."""
        from ptywidgets.engine.io.array_views import summed_dtype

        return self.nbytes / self.dtype.itemsize / by**2 * summed_dtype(self.dtype, by**2).itemsize

    def _smaller(self) -> str:
        """The calls that make it small enough for the memory that is free."""
        from ptywidgets.engine.io.memory import available_memory

        free = available_memory() or self.nbytes
        by = 2
        while self._binned_bytes(by) > 0.8 * free and by < min(self.detector_shape) // 8:
            by += 1
        share = min(1.0, math.sqrt(0.8 * free / max(self.nbytes, 1)))
        ry, rx = (max(1, int(n * share)) for n in self.scan_shape)
        return (
            f"bin it first, dataset.bin(detector={by}), or crop it, dataset.crop(scan=(0, {ry}, 0, {rx})); on the "
            f"command line --bin-detector {by} or --crop-scan 0:{ry},0:{rx}"
        )

    def _native(self, block: Any) -> np.ndarray:
        return np.asarray(block).astype(self.dtype, copy=False)


def _taken_over(found: Found, calibration: Calibration, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Fields of a data set from an array that says something about itself; what is given wins."""
    from ptywidgets.engine.io.claims import settle

    if hasattr(found.data, "shape"):
        found = found.in_order(what="the data")
    if found.claims:
        known = {name: getattr(calibration, name) for name in ("energy", "scan_step", "q_pixel", "semiangle")}
        calibration = settle(found.claims, known, "data", "Dataset(data, Calibration({}))")
    return {"data": found.data, "calibration": calibration, "metadata": {**found.metadata, **metadata}}


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


def _checked_region(axes: str, region: Any, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """(y0, y1, x0, x1) as whole numbers within the shape."""
    try:
        ends = [int(edge) for edge in region]
        exact = all(int(edge) == edge for edge in region)
    except (TypeError, ValueError):
        ends, exact = [], False
    if len(ends) == 4 and exact and 0 <= ends[0] < ends[1] <= shape[0] and 0 <= ends[2] < ends[3] <= shape[1]:
        return ends[0], ends[1], ends[2], ends[3]
    raise DataError(
        f"the crop of the {axes} is {region!r}; expected (y0, y1, x0, x1) with 0 <= y0 < y1 <= {shape[0]} and "
        f"0 <= x0 < x1 <= {shape[1]}, rows and then columns, half-open."
    )


def _checked_bins(axes: str, bins: Any, shape: tuple[int, int]) -> tuple[int, int]:
    """One number for both axes, or one for each."""
    pair = tuple(bins) if isinstance(bins, (tuple, list, np.ndarray)) else (bins, bins)
    try:
        whole = [int(b) for b in pair]
        exact = all(int(b) == b and not isinstance(b, bool) for b in pair)
    except (TypeError, ValueError):
        whole, exact = [], False
    if len(whole) == 2 and exact and all(1 <= b <= n for b, n in zip(whole, shape, strict=True)):
        return whole[0], whole[1]
    raise DataError(
        f"the binning of the {axes} is {bins!r}; expected a whole number from 1 to {min(shape)}, or two of them for "
        "rows and columns."
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


def _advice_for(data: Any) -> str:
    if len(getattr(data, "shape", ())) == 5:
        return "choose one scan of the series, Dataset(data[0]), or add them up, Dataset(data.sum(0))"
    return "pass a stack to Dataset.from_stack(stack, scan_shape=...)"


def _without_mask(pattern: Any) -> tuple[Any, str]:
    """A pattern whose masked pixels, of numpy's masked arrays, are replaced by their neighbours; and words."""
    if not isinstance(pattern, np.ma.MaskedArray):
        return pattern, ""
    from ptywidgets.engine.prepare.mend import MendedArray

    bad, plain = np.ma.getmaskarray(pattern), np.asarray(pattern.data)
    if not bad.any() or plain.ndim != 2:
        return plain, ""
    if bad.all():
        raise DataError("every pixel of the vacuum pattern is masked; a mask of numpy is True where a value is bad.")
    mended = MendedArray(plain[None, None], bad).mend(plain)
    return mended, f"{int(bad.sum())} masked pixels replaced by their neighbours"


def _known_as(source: Source, name: str, array: np.ndarray, words: str) -> Source:
    """The source with this array in it, as an array where it is not the one that is known."""
    known: Supplied | None = getattr(source, name)
    now = checksum(array)
    if known is not None and known.checksum == now:
        return source
    if known is not None and known.checksum == 0:  # what it was made of is known, not yet what it is
        return source.replace(**{name: dataclasses.replace(known, words=known.words or words, checksum=now)})
    return source.replace(**{name: Supplied(words=words, after=len(source.operations), checksum=now)})


def _stating(source: Source, calibration: Calibration) -> Source:
    """The source with the numbers of this calibration; what nobody has spoken of was given."""
    said = {one.name: one for one in source.calibration}
    stated = []
    for name in CALIBRATED:
        value = getattr(calibration, name)
        if value is not None:
            one = said.get(name)
            stated.append(one if one is not None and one.value == value else Stated(name, value))
    return source if tuple(stated) == source.calibration else source.replace(calibration=tuple(stated))


def _on_disk(data: Any) -> bool:
    """Whether the patterns are in a file, behind whatever views there are of them."""
    while (
        not isinstance(data, np.ndarray) and (inner := getattr(data, "data", getattr(data, "stack", None))) is not None
    ):
        data = inner
    return not isinstance(data, np.ndarray) or isinstance(data, np.memmap)


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

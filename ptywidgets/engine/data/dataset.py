"""The data set: a lazy (Ry, Rx, Qy, Qx) array of diffraction patterns with its calibration.

Nothing is read from disk until a pattern, a block of rows or a mean is asked for; of an array of an unknown kind one
pattern is, so that what could not be read later is refused at once.
"""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from ptywidgets.engine.core.errors import CalibrationError, DataError, DataWarning, PtyError
from ptywidgets.engine.core.files import files_of, listed_files
from ptywidgets.engine.core.stopping import check_stop
from ptywidgets.engine.data import dataset_parts as parts
from ptywidgets.engine.data.array_views import MappedArray, RepairedArray
from ptywidgets.engine.data.calibration import CALIBRATED, Calibration, in_words
from ptywidgets.engine.data.dataset_checks import (
    check_memory,
    check_patterns,
    checked_mask,
    checked_pattern,
    checked_scan_mask,
    in_bytes,
    sizes,
)
from ptywidgets.engine.data.hooks import ask
from ptywidgets.engine.data.masks import check_most, understood, unmasked
from ptywidgets.engine.data.source import Bin, Crop, Source, Stated, Supplied, checksum

__all__ = ["CALIBRATED", "Calibration", "Dataset", "PatternArray"]


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
        check_patterns(self.data, 4, "(Ry, Rx, Qy, Qx)", _advice_for(self.data))
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
        state = dict(vars(self))
        mapped = MappedArray.of(self.data) if isinstance(self.data, np.ndarray) else None
        return state if mapped is None else state | {"data": mapped}

    def __setstate__(self, state: dict[str, Any]) -> None:
        data = state["data"]
        vars(self).update(state | {"data": data.open() if isinstance(data, MappedArray) else data})

    def _understand(self) -> None:
        """Put a plain view in the place of another package's array, and take over the calibration that it holds."""
        fields = ask("fields_of")(self.data, self.calibration, self.metadata)
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def from_stack(cls, stack: PatternArray, scan_shape: tuple[int, int], **fields: Any) -> Dataset:
        """A data set from a stack (J, Qy, Qx) of patterns, in the order in which a raster visits them.

        Examples
        --------
        >>> Dataset.from_stack(np.ones((1681, 2, 2)), scan_shape=(40, 40))
        Traceback (most recent call last):
        ptywidgets.engine.core.errors.DataError: 1681 diffraction patterns but 40 x 40 = 1600 scan positions; \
pass scan_shape=(41, 41) or crop.
        """
        given = fields.get("calibration", Calibration()), fields.get("metadata", {})
        return cls(**{**fields, **ask("fields_of_stack")(stack, scan_shape, *given)})

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
                raise DataError(f"{axis} is {index!r}; expected 0 to {n - 1} in a scan of {sizes(self.scan_shape)}.")
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
            origin = Supplied(path=str(Path(vacuum).expanduser().absolute()), dataset=dataset or "")
            try:
                pattern: Any = ask("read_pattern")(vacuum, dataset)
            except PtyError as error:
                try:
                    pattern = ask("read")(vacuum, dataset, vacuum=False).data  # a scan of vacuum patterns
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
            it is: numpy masked arrays, the bad pixels that :func:`ptywidgets.engine.preprocess.bad_pixels` found, a
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
            file = str(Path(mask).expanduser().absolute())
            mask, at, words = ask("read_mask")(mask, dataset)
            origin = Supplied(path=file, dataset=at, words=words)
        else:
            mask, words = understood(mask)
            origin = Supplied(words=words) if origin is None else origin
        pixels = name == "mask"
        checked = checked_mask(mask, self.detector_shape) if pixels else checked_scan_mask(mask, self.scan_shape)
        known = None if pixels else self.scan_mask
        few = known is not None and 2 * int(known.sum()) < known.size  # which was agreed to, or more are still to come
        if not confirm:
            left = checked[known] if few else checked
            check_most(left, "pixels" if pixels else "scan positions", f"with_{name}(mask, confirm=True)")
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
        return parts.crop_dataset(self, scan, detector, cut_disk=cut_disk)

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
        return parts.bin_dataset(self, scan, detector)

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
        return parts.uncrop_dataset(self, whole)

    def without_bad_frames(self) -> Dataset:
        """A data set of the same patterns without those that :func:`ptywidgets.engine.preprocess.bad_frames` finds.

        Positions that are left out already stay so.

        Examples
        --------
        >>> data = np.random.default_rng(0).poisson(5, (6, 6, 16, 16)).astype(np.uint16)
        >>> data[2, 3] = 0
        >>> np.argwhere(~Dataset(data).without_bad_frames().scan_mask).tolist()
        [[2, 3]]
        """
        bad = ask("bad_frames")(self)
        if not bad.mask.any():
            return self
        return self.with_scan_mask(~bad.mask if self.scan_mask is None else self.scan_mask & ~bad.mask)

    def _repaired(self, bad: np.ndarray) -> Dataset:
        """With bad pixels (Qy, Qx) replaced by the median of good neighbours, when it is read."""
        return parts.mend_dataset(self, bad)

    def load(self) -> Dataset:
        """A data set whose patterns are in memory.

        Raises
        ------
        DataError
            When they need more memory than is free.
        """
        if not self.is_lazy:
            return self
        check_memory(self.nbytes, f"the whole data set ({sizes(self.shape)} {self.dtype})", parts.smaller(self))
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
        vacuum = "none" if self.vacuum is None else sizes(self.vacuum.shape)
        left_out = [
            f"\nleft out     {int((~mask).sum())} of {mask.size} {what}"
            for mask, what in ((self.mask, "detector pixels"), (self.scan_mask, "scan positions"))
            if mask is not None
        ]
        return (
            f"scan         {sizes(self.scan_shape)} positions\n"
            f"detector     {sizes(self.detector_shape)} px, {self.dtype}, {in_bytes(self.nbytes)}\n"
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
            f"Dataset {self.name!r}: scan {sizes(self.scan_shape)}, detector {sizes(self.detector_shape)}, "
            f"{self.dtype}, {in_bytes(self.nbytes)} {'on disk' if _on_disk(self.data) else 'in memory'}; {facts}"
        )

    def _blocks(self, region: tuple[int, int, int, int], chunk_bytes: float) -> Iterator[tuple[int, np.ndarray]]:
        y0, y1, x0, x1 = region
        row_bytes = (x1 - x0) * math.prod(self.detector_shape) * self.dtype.itemsize
        n = max(1, int(chunk_bytes // max(row_bytes, 1)))
        chunks = getattr(self.data, "chunks", None)
        if chunks and chunks[0] > 1 and chunks[0] * row_bytes <= max(chunk_bytes, 512e6):
            n = max(chunks[0], n // chunks[0] * chunks[0])  # a chunk is decompressed whole: read it once
        if not isinstance(self.data, np.ndarray):  # of which a block is no copy
            check_memory(min(n, y1 - y0) * row_bytes, f"a block of {min(n, y1 - y0)} scan rows", parts.smaller(self))
        offset = getattr(self.data, "chunk_offset", 0)
        start = y0
        while start < y1:
            stop = min(y1, ((start + offset) // n + 1) * n - offset)
            check_stop()
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
            f"the vacuum patterns are {sizes(many[-2:])} but the detector is {sizes(shape)}; crop, pad or bin one of "
            "them."
        )
    mean, sentence = ask("vacuum_of_scan")(vacuum if hasattr(vacuum, "dtype") else np.asarray(vacuum), mask)
    warnings.warn(sentence, DataWarning, stacklevel=4)
    return mean


def _advice_for(data: Any) -> str:
    if len(getattr(data, "shape", ())) == 5:
        return "choose one scan of the series, Dataset(data[0]), or add them up, Dataset(data.sum(0))"
    return "pass a stack to Dataset.from_stack(stack, scan_shape=...)"


def _without_mask(pattern: Any) -> tuple[Any, str]:
    """A pattern whose masked pixels, of numpy's masked arrays, are replaced by their neighbours; and words."""
    if not isinstance(pattern, np.ma.MaskedArray):
        return pattern, ""
    bad, plain = np.ma.getmaskarray(pattern), np.asarray(pattern.data)
    if not bad.any() or plain.ndim != 2:
        return plain, ""
    if bad.all():
        raise DataError("every pixel of the vacuum pattern is masked; a mask of numpy is True where a value is bad.")
    repaired = RepairedArray(plain[None, None], bad).repair(plain)
    return repaired, f"{int(bad.sum())} masked pixels replaced by their neighbours"


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

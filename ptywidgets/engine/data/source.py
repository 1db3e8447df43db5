"""Where the data of a Dataset came from, what was done to them, and how to open them again.

One :class:`Source` travels with a data set. It holds no arrays: masks and the vacuum pattern are the data set's own;
of each it says where it came from.
"""

from __future__ import annotations

import dataclasses
import operator
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.data.hooks import ask

if TYPE_CHECKING:
    from ptywidgets.engine.data.dataset import Dataset

Region = tuple[int, int, int, int]  # y0, y1, x0, x1, half-open


@dataclass(frozen=True)
class Crop:
    """A part of the scan, of the detector, or of both was kept."""

    scan: Region | None = None
    detector: Region | None = None

    def apply(self, dataset: Dataset) -> Dataset:
        """Crop likewise; that the disk may be cut has been decided."""
        return dataset.crop(self.scan, self.detector, cut_disk=True)

    @property
    def code(self) -> str:
        """The call, as Python."""
        parts = [f"{name}={region}" for name, region in self._regions() if region is not None]
        return f".crop({', '.join(parts)}{', cut_disk=True' if self.detector is not None else ''})"

    def __str__(self) -> str:
        parts = [f"{name} [{r[0]}:{r[1]}, {r[2]}:{r[3]}]" for name, r in self._regions() if r is not None]
        return f"cropped to {' and '.join(parts)}"

    def _regions(self) -> tuple[tuple[str, Region | None], ...]:
        return ("scan", self.scan), ("detector", self.detector)


@dataclass(frozen=True)
class Bin:
    """Neighbouring scan positions and detector pixels were summed; what did not fill a bin was left out at the end."""

    scan: tuple[int, int] = (1, 1)
    detector: tuple[int, int] = (1, 1)
    left_out: tuple[int, int, int, int] = (0, 0, 0, 0)  # rows and columns of the scan, then of the detector

    def apply(self, dataset: Dataset) -> Dataset:
        """Bin likewise."""
        return dataset.bin(scan=self.scan, detector=self.detector)

    @property
    def code(self) -> str:
        """The call, as Python."""
        pairs = (("scan", tuple(self.scan)), ("detector", tuple(self.detector)))
        return f".bin({', '.join(f'{name}={n}' for name, n in pairs if n != (1, 1))})"

    def __str__(self) -> str:
        parts = [f"{name} {n[0]} x {n[1]}" for name, n in (("scan", self.scan), ("detector", self.detector))]
        parts = [part for part, n in zip(parts, (self.scan, self.detector), strict=True) if tuple(n) != (1, 1)]
        axes = ("scan row", "scan column", "detector row", "detector column")
        rest = [f"{n} {axis}{'s' * (n > 1)}" for n, axis in zip(self.left_out, axes, strict=True) if n]
        return f"binned, {' and '.join(parts)}" + (f" ({', '.join(rest)} left out at the end)" if rest else "")


@dataclass(frozen=True)
class Repair:
    """Detector pixels were replaced by their neighbours."""

    pixels: tuple[int, ...]  # row * Qx + column of each

    def apply(self, dataset: Dataset) -> Dataset:
        """Repair likewise."""
        bad = np.zeros(int(np.prod(dataset.detector_shape)), bool)
        if not all(isinstance(pixel, int) and 0 <= pixel < bad.size for pixel in self.pixels):
            raise DataError(f"pixels to be repaired lie beyond the detector's {bad.size}; these are other data.")
        bad[list(self.pixels)] = True
        return dataset._repaired(bad.reshape(dataset.detector_shape))

    @property
    def code(self) -> str:
        """Nothing: which pixels are bad is found by `repair_pixels(dataset, bad_pixels(dataset))`."""
        return ""

    def __str__(self) -> str:
        return f"{len(self.pixels)} pixels replaced by their neighbours"


Operation = Crop | Bin | Repair


@dataclass(frozen=True)
class Supplied:
    """Where a mask or a vacuum pattern came from: a file, or an array in memory."""

    path: str = ""
    dataset: str = ""  # in that file
    words: str = ""  # what was made of it
    after: int = 0  # operations that had been done when it was given
    checksum: int = 0  # of what it is now; 0 where that is not known

    def now(self, array: np.ndarray) -> Supplied:
        """The same origin of what has been cropped or binned since."""
        return dataclasses.replace(self, checksum=checksum(array))

    def __str__(self) -> str:
        where = f"{self.path}{': ' + self.dataset if self.dataset else ''}" if self.path else "an array"
        return f"from {where}" + (f" ({self.words})" if self.words else "")


@dataclass(frozen=True)
class Stated:
    """One number of the calibration and where it came from."""

    name: str
    value: Any  # a float, or a pair of them for rows and columns
    where: str = "given"

    def __str__(self) -> str:
        name = "semi-angle" if self.name == "semiangle" else self.name.replace("_", " ")
        return f"{name} {self.where}"


@dataclass(frozen=True)
class RawLayout:
    """How patterns lie in a file that does not say it itself: one after the other, each in a record of one length."""

    detector_shape: tuple[int, int]  # (Qy, Qx)
    dtype: str  # as numpy writes it, with the byte order: "<u2", ">f4"
    header_bytes: int = 0  # of the file, before the first pattern
    gap_bytes: int = 0  # after each pattern, before the next

    @classmethod
    def of(cls, detector_shape: Any, dtype: Any, header_bytes: Any = None, gap_bytes: Any = None) -> RawLayout:
        """From what a user gives.

        Raises
        ------
        ParameterError
            Where a number is not there or cannot be.

        Examples
        --------
        >>> RawLayout.of((256, 256), "uint16", gap_bytes=1024)
        RawLayout(detector_shape=(256, 256), dtype='<u2', header_bytes=0, gap_bytes=1024)
        """
        try:
            qy, qx = (operator.index(n) for n in detector_shape)
        except (TypeError, ValueError):
            qy = qx = 0
        if qy < 1 or qx < 1:
            raise ParameterError(
                f"detector_shape is {detector_shape!r}; expected the rows and columns of a pattern in a file of bare "
                "numbers, such as detector_shape=(256, 256)."
            )
        try:
            kind = np.dtype(dtype)
        except (TypeError, ValueError):
            kind = np.dtype("V")
        if dtype is None or kind.kind not in "biuf":
            raise ParameterError(
                f"dtype is {dtype!r}; expected the type of a pixel in a file of bare numbers, with its byte order, "
                "such as dtype='<u2' (16 bits, little-endian), '>u2' (big-endian) or '<f4'."
            )
        sizes = {"header_bytes": header_bytes, "gap_bytes": gap_bytes}
        for name, value in sizes.items():
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0):
                raise ParameterError(f"{name} is {value!r}; expected a whole number of bytes from 0 on.")
        return cls((qy, qx), kind.str.replace("=", "<"), int(header_bytes or 0), int(gap_bytes or 0))


@dataclass(frozen=True)
class Source:
    """Where data came from and what was done to them.

    Parameters
    ----------
    path : str
        Absolute; empty for data that came as an array.
    dataset : str
        Path of the array inside the file.
    format : str
        What the file is.
    allow_external : bool
        Whether links to other files were followed.
    linked : tuple of str
        Other files that the patterns lie in, absolute.
    shape : tuple of int
        As it was stored.
    scan_shape : (Ry, Rx), optional
        How a stack was scanned, where that was given.
    choose : int, "sum" or None
        Which scan of a series was taken, where there are several.
    axes : str
        Names of the axes as stored, where those were given.
    reader : str
        Key of the format that was asked for; empty where the content decided.
    sync_offset : int, optional
        Patterns skipped at the start of a stack, or, below 0, blanks put before it, where that was given.
    flip : str
        Detector axes that were turned about: "rows", "columns" or "both"; empty for none.
    raw : RawLayout, optional
        How a file of bare numbers is laid out.
    follow : bool
        Whether it was opened while it may have been still being written.
    operations : tuple of Crop, Bin or Repair
        What was done, in this order.
    mask, scan_mask, vacuum : Supplied, optional
        Where they came from; None where there are none.
    calibration : tuple of Stated
        Each number that is known.

    Examples
    --------
    >>> from ptywidgets.engine.data.dataset import Dataset
    >>> dataset = Dataset(np.ones((6, 6, 8, 8), np.uint8)).crop(scan=(0, 4, 0, 4)).with_calibration(energy=80e3)
    >>> print(dataset.source.describe())
    source       an array, 6 x 6 x 8 x 8
    done         cropped to scan [0:4, 0:4]
    known        energy given
    """

    path: str = ""
    dataset: str = ""
    format: str = ""
    allow_external: bool = False
    linked: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    scan_shape: tuple[int, int] | None = None
    choose: int | str | None = None
    axes: str = ""
    reader: str = ""
    sync_offset: int | None = None
    flip: str = ""
    raw: RawLayout | None = None
    follow: bool = False
    operations: tuple[Operation, ...] = ()
    mask: Supplied | None = None
    scan_mask: Supplied | None = None
    vacuum: Supplied | None = None
    calibration: tuple[Stated, ...] = ()

    def __post_init__(self) -> None:
        """A file may tell anything; what is not of the right kind is refused here and not where it is used."""
        one_of: dict[str, Any] = {"mask": Supplied, "scan_mask": Supplied, "vacuum": Supplied}
        one_of |= {"raw": RawLayout, "sync_offset": int}
        kinds: dict[str, Any] = dict.fromkeys(("path", "dataset", "format", "axes", "reader", "flip"), str)
        kinds |= {"operations": tuple, "follow": bool}
        wrong = [name for name, kind in one_of.items() if not isinstance(getattr(self, name), (kind, type(None)))]
        wrong += [name for name, kind in kinds.items() if not isinstance(getattr(self, name), kind)]
        if not wrong:
            wrong += [
                name
                for name, kind in (("operations", (Crop, Bin, Repair)), ("calibration", Stated))
                for one in getattr(self, name)
                if not isinstance(one, kind)
            ]
        if wrong:
            raise DataError(f"the description of where data came from has a wrong {wrong[0]}; its file is damaged.")

    def replace(self, **changes: Any) -> Source:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def then(self, operation: Operation) -> Source:
        """The same with one thing more done."""
        return self.replace(operations=(*self.operations, operation))

    def files(self) -> tuple[Path, ...]:
        """Every file that the data set was made from: data (also by links), masks and vacuum pattern."""
        supplied = [one.path for one in (self.mask, self.scan_mask, self.vacuum) if one is not None]
        return tuple(Path(path) for path in dict.fromkeys(filter(None, [self.path, *self.linked, *supplied])))

    def open(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        mask: np.ndarray | None = None,
        scan_mask: np.ndarray | None = None,
        vacuum: np.ndarray | None = None,
    ) -> Dataset:
        """Open the data again, with everything done to them that was done before.

        Parameters
        ----------
        path : path, optional
            Where the file is now, when it has been moved.
        mask, scan_mask, vacuum : ndarray, optional
            As they were at the end, where they are at hand; needed where they came as arrays.

        Raises
        ------
        DataError
            When the data, a mask or the vacuum pattern came as an array that is not given, or when what a file holds
            is no longer what was used.

        Examples
        --------
        >>> import tempfile
        >>> from ptywidgets.engine.io import read
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/stack.npy", np.ones((12, 8, 8), np.uint8))
        ...     dataset = read(f"{folder}/stack.npy", scan_shape=(3, 4), energy=80e3).bin(detector=2)
        ...     dataset.source.open()
        Dataset 'stack': scan 3 x 4, detector 4 x 4, uint16, 384 B on disk; 80 keV, binned
        """
        at = self.path if path is None else path
        if not at:
            raise DataError("these data came as an array, not from a file; pass the array, and crop or bin it again.")
        opened = ask("read")(
            at,
            self.dataset or None,
            vacuum=None if self._is_own("vacuum") else False,
            mask=None if self._is_own("mask") or self._is_own("scan_mask") else False,
            scan_shape=self.scan_shape,
            allow_external=self.allow_external,
            choose=self.choose,
            axes=self.axes or None,
            **self.overrides,
            **{one.name: one.value for one in self.calibration},
        )
        return self.redo(opened, mask=mask, scan_mask=scan_mask, vacuum=vacuum)

    def _is_own(self, name: str) -> bool:
        """Whether a mask or the vacuum pattern is in the data's own file, where the reader finds and turns it."""
        supplied: Supplied | None = getattr(self, name)
        return supplied is not None and bool(supplied.path) and supplied.path == self.path and not supplied.after

    def _came_along(self, name: str, opened: Source) -> bool:
        """Whether it is there once the file has been read."""
        supplied: Supplied | None = getattr(self, name)
        there: Supplied | None = getattr(opened, name)
        if supplied is None or there is None or not self._is_own(name):
            return False
        return there.path == opened.path and there.dataset == supplied.dataset

    @property
    def overrides(self) -> dict[str, Any]:
        """What was said of the format to :func:`ptywidgets.read`, beside the order of axes."""
        said: dict[str, Any] = {
            "format": self.reader or None,
            "sync_offset": self.sync_offset,
            "flip": self.flip or None,
            "follow": self.follow or None,
        }
        if self.raw is not None:
            said |= {name: value or None for name, value in dataclasses.asdict(self.raw).items()}
        return {name: value for name, value in said.items() if value is not None}

    def redo(
        self,
        dataset: Dataset,
        *,
        mask: np.ndarray | None = None,
        scan_mask: np.ndarray | None = None,
        vacuum: np.ndarray | None = None,
    ) -> Dataset:
        """Do to `dataset`, the data as they were stored, what was done before; arrays as in :meth:`open`."""
        given = {"mask": mask, "scan_mask": scan_mask, "vacuum": vacuum}
        along = {name: self._came_along(name, dataset.source) for name in given}
        kept: dict[str, Any] = {name: getattr(dataset, name) if along[name] else None for name in given}
        dataset = dataclasses.replace(dataset, **kept)
        for number in range(len(self.operations) + 1):
            for name, array in given.items():
                supplied: Supplied | None = getattr(self, name)
                if array is None and supplied is not None and supplied.after == number and not along[name]:
                    dataset = _supply(dataset, name, supplied)
            if number < len(self.operations):
                dataset = self.operations[number].apply(dataset)
        final: dict[str, Any] = {
            name: getattr(dataset, name) if array is None else array for name, array in given.items()
        }
        final = {name: array for name, array in final.items() if getattr(self, name) is not None}
        for name, array in final.items():
            supplied = getattr(self, name)
            if array is not None and supplied.checksum not in (0, checksum(np.asarray(array))):
                what = name.replace("_", " ")
                raise DataError(
                    f"the {what} is no longer what it was ({supplied}); pass the one that was used: {name}=array, or "
                    f"open the data anew with read(path, {name if name != 'scan_mask' else 'mask'}=...)."
                )
        supplied_now = {
            name: getattr(self, name).now(np.asarray(array)) for name, array in final.items() if array is not None
        }
        calibration = dataset.calibration.replace(**{one.name: one.value for one in self.calibration})
        source = self.replace(path=dataset.source.path, linked=dataset.source.linked, **supplied_now)
        return dataclasses.replace(dataset, calibration=calibration, source=source, **final)

    @property
    def code(self) -> str:
        """The call that opens the data again, as Python.

        Arrays that were given have to be at hand by the names `mask`, `scan_mask` and `vacuum`.

        Examples
        --------
        >>> Source(path="scan.h5", scan_shape=(4, 4), operations=(Crop(scan=(0, 2, 0, 4)), Bin(detector=(2, 2)))).code
        "ptywidgets.read('scan.h5', scan_shape=(4, 4)).crop(scan=(0, 2, 0, 4)).bin(detector=(2, 2))"
        """
        given: dict[str, Any] = {
            "dataset": self.dataset or None,
            "scan_shape": self.scan_shape,
            "choose": self.choose,
            "axes": self.axes or None,
            "allow_external": self.allow_external or None,
            **self.overrides,
        }
        stated = {one.name: one.value for one in self.calibration if not one.where.startswith("from the file")}
        binned = any(isinstance(operation, Bin) for operation in self.operations)
        after = {name: stated.pop(name) for name in ("scan_step", "q_pixel") if binned and name in stated}
        given |= stated
        words = "".join(f", {name}={value!r}" for name, value in given.items() if value is not None)
        text = f"ptywidgets.read({self.path!r}{words})"
        for number in range(len(self.operations) + 1):
            for name in ("vacuum", "mask", "scan_mask"):
                one: Supplied | None = getattr(self, name)
                if one is None or one.after != number or (one.path and one.path == self.path):
                    continue
                inside = f", dataset={one.dataset!r}" if one.dataset else ""
                text += f".with_{name}({one.path!r}{inside})" if one.path else f".with_{name}({name})"
            if number < len(self.operations):
                text += self.operations[number].code
        if after:  # as they are now, which binning has made of what was given, or which was given after it
            text += f".with_calibration({', '.join(f'{name}={value!r}' for name, value in after.items())})"
        return text

    def describe(self) -> str:
        """A few lines of text."""
        stored = " x ".join(map(str, self.shape))
        inside = f": {self.dataset}" if self.dataset else ""
        lines = [("source", f"{self.path}{inside}, {self.format or 'a file'}, {stored}" if self.path else "an array")]
        if not self.path and stored:
            lines = [("source", f"an array, {stored}")]
        if self.scan_shape is not None:
            lines.append(("scanned", f"as {self.scan_shape[0]} x {self.scan_shape[1]}, as given"))
        if self.choose is not None:
            lines.append(("series", "the sum of all scans" if self.choose == "sum" else f"scan number {self.choose}"))
        if self.sync_offset:
            words = (
                f"{self.sync_offset} skipped" if self.sync_offset > 0 else f"{-self.sync_offset} blanks put before them"
            )
            lines.append(("patterns", f"{words} at the start, as given"))
        if self.flip:
            lines.append(
                ("detector", f"{'rows and columns' if self.flip == 'both' else self.flip} turned about, as given")
            )
        if self.operations:
            lines.append(("done", "; then ".join(map(str, self.operations))))
        lines += [
            (name.replace("_", " "), str(getattr(self, name)))
            for name in ("mask", "scan_mask", "vacuum")
            if getattr(self, name) is not None
        ]
        if self.calibration:
            lines.append(("known", "; ".join(map(str, self.calibration))))
        return "\n".join(f"{name:<13}{words}" for name, words in lines)


def region_of(text: str) -> Region:
    """A region in words, rows and then columns.

    Examples
    --------
    >>> region_of("10:50, 0:40")
    (10, 50, 0, 40)
    """
    try:
        (y0, y1), (x0, x1) = ([int(end) for end in part.split(":")] for part in text.split(","))
    except ValueError:
        raise DataError(f"{text!r} is no region; expected rows and columns, half-open, such as 10:50, 0:40.") from None
    return y0, y1, x0, x1


def bins_of(text: str, what: str = "a binning") -> tuple[int, int]:
    """Rows and columns in words, of what make one, or of a scan; one number stands for both.

    Examples
    --------
    >>> bins_of("2"), bins_of("2 x 4"), bins_of("2,4")
    ((2, 2), (2, 4), (2, 4))
    """
    try:
        numbers = [int(part) for part in text.lower().replace("x", ",").replace("×", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise DataError(f"{text!r} is not {what}; expected a whole number, or two for rows and columns, such as 2, 4.")
    return numbers[0], numbers[-1]


def checksum(array: np.ndarray) -> int:
    """A number that tells one mask or pattern from another."""
    packed = np.packbits(array) if array.dtype.kind == "b" else np.ascontiguousarray(array)
    return zlib.crc32(packed.tobytes(), zlib.crc32(str(array.shape).encode()))


def _supply(dataset: Dataset, name: str, supplied: Supplied) -> Dataset:
    if not supplied.path:
        what = name.replace("_", " ")
        raise DataError(f"the {what} {supplied}, not from a file, and is not at hand; pass it: {name}=array.")
    at = supplied.dataset or None
    if name == "vacuum":
        return dataset.with_vacuum(supplied.path, dataset=at)
    if name == "mask":
        return dataset.with_mask(supplied.path, dataset=at, confirm=True)
    return dataset.with_scan_mask(supplied.path, dataset=at, confirm=True)


__all__ = [
    "Bin",
    "Crop",
    "Operation",
    "RawLayout",
    "Region",
    "Repair",
    "Source",
    "Stated",
    "Supplied",
    "bins_of",
    "checksum",
    "region_of",
]

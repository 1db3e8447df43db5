"""Reading and writing files: the format is chosen by the content, or by whoever asks for one.

A format is one module; adding one is that file in :mod:`ptywidgets.engine.io.formats` and one line in the table of
:mod:`ptywidgets.engine.io.formats.registry`.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, FileFormatError, ParameterError, SeriesOfScans, unknown_name
from ptywidgets.engine.data.array_views import FlippedArray, SeriesView
from ptywidgets.engine.data.calibration import NAMES
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_checks import checked_pattern, sizes
from ptywidgets.engine.data.hooks import answers
from ptywidgets.engine.data.source import RawLayout, Source, Stated, Supplied
from ptywidgets.engine.io.arrays import array_likes as array_likes  # answers data sets
from ptywidgets.engine.io.atomic import atomic_file
from ptywidgets.engine.io.calibration_entries import origins, resolve_calibration
from ptywidgets.engine.io.detect_format import existing_file, existing_path, is_hdf5, printable
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.hdf5.emd_write import write
from ptywidgets.engine.io.formats.hdf5.tree import (
    Entry,
    datasets,
    hdf5_errors,
    linked_files,
    open_hdf5,
    readable_dataset,
    resolve,
)
from ptywidgets.engine.io.formats.records import raw
from ptywidgets.engine.io.formats.registry import format_of
from ptywidgets.engine.io.formats.scanned import check_scan_shape, scanned
from ptywidgets.engine.io.growing.opening import as_growing_scan, cannot_follow, check_followed, when_begun
from ptywidgets.engine.io.growing.stack import growing_scan
from ptywidgets.engine.io.masks import mask_beside, read_mask, scan_mask_beside, stored_mask

__all__ = ["atomic_file", "contents", "read", "read_mask", "read_pattern", "write"]

ARGUMENTS = (  # of read, beside the calibration
    "dataset",
    "vacuum",
    "mask",
    "scan_shape",
    "choose",
    "axes",
    "allow_external",
    "format",
    "sync_offset",
    "flip",
    "follow",
    "detector_shape",
    "dtype",
    "header_bytes",
    "gap_bytes",
)
FLIPS = ("rows", "columns", "both")
WHOLE_ROWS = "rows that are whole"


@answers("read")
def read(
    path: str | os.PathLike[str],
    dataset: str | None = None,
    vacuum: np.ndarray | str | os.PathLike[str] | bool | None = None,
    *,
    mask: Any = None,
    scan_shape: tuple[int, int] | None = None,
    choose: int | str | None = None,
    axes: str | Sequence[str] | None = None,
    allow_external: bool = False,
    format: str | None = None,
    sync_offset: int | None = None,
    flip: str | None = None,
    follow: bool = False,
    detector_shape: tuple[int, int] | None = None,
    dtype: Any = None,
    header_bytes: int | None = None,
    gap_bytes: int | None = None,
    **calibration: float | Sequence[float] | None,
) -> Dataset:
    """Open 4D-STEM data; the patterns stay on disk until they are asked for.

    Parameters
    ----------
    path : path
        A file of any format in the table of ``docs/formats.md``, or a folder where the format is one (zarr).
    dataset : str, optional
        Path of the array inside a file that holds several (HDF5, zarr, .npz, .mat, DigitalMicrograph); needed when more
        than one could be meant.
    vacuum : array, path or False, optional
        Pattern of the probe without a specimen, (Qy, Qx), or the file that holds it. When not given, a vacuum probe
        stored in the same file is used; False leaves it out.
    mask : array, path or False, optional
        Detector pixels that count, or the file that says it; see :meth:`Dataset.with_mask`. When not given, the
        pixel_mask (NeXus, DECTRIS) or mask (CXI) beside the data is used; False leaves it out.
    scan_shape : (Ry, Rx), optional
        How a 3-D stack (J, Qy, Qx) was scanned, where the file does not say it or is wrong.
    choose : int or "sum", optional
        Which scan of a series (T, Ry, Rx, Qy, Qx), from 0 on, or the sum of all of them.
    axes : str, optional
        What the axes of the array are, in its own order, such as ``"Qy Qx Ry Rx"``, or of a stack ``"Qy Qx J"``, where
        the file does not say so or is wrong. Without it units, names and marks in the file decide
        (``dataset.metadata["axes"]`` says how where that is another order), and an array that says nothing is taken for
        (Ry, Rx, Qy, Qx).
    allow_external : bool
        Whether links to other files may be followed; only for files you trust.
    format : str, optional
        Key of the format, such as ``"merlin"``, where the content does not tell it or tells it wrong.
    sync_offset : int, optional
        Patterns to skip at the start of a stack; below 0, blanks to put before the first. Positions that are then
        without a pattern are zeros, and left out by the scan mask.
    flip : "rows", "columns" or "both", optional
        Detector axes to turn about, where the camera's image is read the other way than the microscope shows it. A mask
        and a vacuum pattern in the same file are turned, too; arrays that are given are as the patterns are read.
    follow : bool
        Whether the file (or folder) is still being written. The data set is that of the whole scan, and its scan mask
        is True in the rows that are whole; others are zeros until they come. The first row is waited for. Who watches
        for more is a :class:`~ptywidgets.Follower`, or a :class:`~ptywidgets.Reconstruction` of it. Where the file does
        not say how long the scan will be, `scan_shape` has to.
    detector_shape, dtype, header_bytes, gap_bytes : (Qy, Qx), numpy.dtype, int, int, optional
        How a file of bare numbers is laid out: a pattern's rows and columns, the type of a pixel with its byte order,
        bytes before the first pattern, and bytes after each. Given together, for such files only.
    **calibration
        `energy` (eV), `scan_step` (A), `q_pixel` (1/A) or `angle_pixel` (mrad), `semiangle` (mrad); each wins over
        what the file says. `scan_step` and `q_pixel` may be pairs (rows, columns). py4DSTEM does not store the energy.

    Raises
    ------
    FileFormatError, DataError, CalibrationError, ParameterError
        All of them PtyError, with what to do in the message.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.save(f"{folder.name}/scan.npy", np.ones((3, 4, 8, 8), np.float32))
    >>> read(f"{folder.name}/scan.npy", energy=80e3, scan_step=4.0)
    Dataset 'scan': scan 3 x 4, detector 8 x 8, float32, 3.07 kB on disk; 80 keV, step 4 A
    >>> folder.cleanup()
    """
    for name in calibration:
        if name not in NAMES:
            raise unknown_name("argument of read()", name, (*NAMES, *ARGUMENTS))
    if flip is not None and flip not in FLIPS:
        raise ParameterError(f"flip is {flip!r}; expected one of {', '.join(map(repr, FLIPS))}, of the detector.")
    file = existing_path(path)
    layout = None
    if any(given is not None for given in (detector_shape, dtype, header_bytes, gap_bytes)):
        layout = RawLayout.of(detector_shape, dtype, header_bytes, gap_bytes)
        if format not in (None, raw.KEY):
            raise ParameterError(
                f"format is {format!r} and dtype or detector_shape are given, which are for bare numbers, 'raw'; leave "
                "out one or the other."
            )
    if not isinstance(follow, bool):
        raise ParameterError(f"follow is {follow!r}; expected True or False.")
    if choose is not None and follow:
        raise ParameterError(f"choose is {choose!r}, and a series of scans cannot be followed; leave out one of them.")
    if layout is not None:
        reader = raw
    else:
        reader = when_begun(lambda: format_of(file, format), file) if follow else format_of(file, format)
    name = printable(file.name)
    if follow:
        found = _growing(file, reader, layout, dataset, scan_shape, allow_external)
        found = as_growing_scan(found, scan_shape, sync_offset, axes, name).in_order(None, name)
        check_followed(found, name)
        stored, scan_shape = tuple(int(n) for n in found.data.shape), found.data.shape[:2]
        growing = growing_scan(found.data)
    else:
        found = raw.read_raw(file, layout) if layout else reader.read(file, dataset, scan_shape, allow_external)
        stored, growing = tuple(int(n) for n in found.data.shape), None
        found = dataclasses.replace(found, data=_one_scan(found.data, choose, file))
        found = scanned(found, scan_shape, sync_offset, name, axes).in_order(axes, name)
        check_scan_shape(found.data, scan_shape)
    turned = _Turned(*found.swapped, found.scan_turned, flip in ("rows", "both"), flip in ("columns", "both"))
    data = found.data if flip is None else FlippedArray(found.data, turned.rows, turned.columns)
    if flip is not None or (axes is not None and turned.detector):
        for argument, given in (("mask", mask), ("vacuum", vacuum)):
            if isinstance(given, (str, os.PathLike)):
                raise ParameterError(
                    f"{argument} is a file, and {'flip' if flip else 'axes'} turns the patterns, so that it is not "
                    f"said which way round it is; open it, turn it as the patterns are, and pass the array: "
                    f"{'read_mask(file)[0]' if argument == 'mask' else 'read_pattern(file)'}[::-1] for flip='rows'."
                )
    resolved = resolve_calibration(found.entries, calibration, file.name)
    where = origins(found.entries, calibration)
    stated = [(name, getattr(resolved, name)) for name in where if getattr(resolved, name, None) is not None]
    source = Source(
        path=str(file.absolute()),
        dataset=found.at,
        format=reader.NAME,
        allow_external=allow_external,
        linked=_linked(file, found.at) if allow_external else (),
        shape=stored,
        scan_shape=None if scan_shape is None else (int(scan_shape[0]), int(scan_shape[1])),
        choose=choose,
        axes="" if axes is None else axes if isinstance(axes, str) else " ".join(axes),
        reader="" if format is None else format,
        sync_offset=None if sync_offset is None else int(sync_offset),
        flip=flip or "",
        raw=layout,
        follow=follow,
        calibration=tuple(Stated(name, value, where[name]) for name, value in stated),
    )
    result = Dataset(
        data=data,
        calibration=resolved,
        name=file.name.removesuffix(file.suffix),
        path=file,
        metadata=found.metadata,
        source=source,
    )
    if found.scan_mask is not None:
        result = result.with_scan_mask(
            found.scan_mask, confirm=True, origin=_at(file, found.at, "positions that have a pattern")
        )
    if growing is not None and not growing.complete:
        result = result.with_scan_mask(growing.mask(), confirm=True, origin=_at(file, found.at, WHOLE_ROWS))
    if follow and mask in (None, True):
        pass  # what else is in the file is written when it is complete
    elif mask is None or mask is True:
        result = _stored_masks(result, found.mask_in or file, found.at, turned)
    elif mask is not False:
        result = result.with_mask(mask)
    if vacuum is None or vacuum is True:
        if found.vacuum is None:
            return result
        return result.with_vacuum(turned.flipped(found.vacuum), origin=_at(file, found.vacuum_at))
    return result if vacuum is False else result.with_vacuum(vacuum)


def _growing(
    file: Path,
    reader: Any,
    layout: RawLayout | None,
    dataset: str | None,
    scan_shape: tuple[int, int] | None,
    allow_external: bool,
) -> FileContents:
    """What a file is that is still being written, with a stack that grows."""
    if layout is not None:
        return raw.growing_raw(file, layout)
    if not hasattr(reader, "growing"):
        raise cannot_follow(file, reader.NAME)
    if allow_external:
        raise ParameterError("allow_external goes with files that are complete; leave it out, or follow.")
    contents: FileContents = when_begun(lambda: reader.growing(file, dataset, scan_shape, False), file)
    return contents


@dataclasses.dataclass(frozen=True)
class _Turned:
    """How the data are turned from what is stored; what belongs to them in the same file is turned likewise."""

    scan: bool  # whether its rows and columns were exchanged
    detector: bool
    scan_turned: tuple[bool, bool]  # its rows, its columns
    rows: bool  # whether the detector's rows were turned about
    columns: bool

    def flipped(self, image: np.ndarray) -> np.ndarray:
        """An image of the detector, its axes in order."""
        return image[:: -1 if self.rows else 1, :: -1 if self.columns else 1]

    def scanned(self, mask: np.ndarray) -> np.ndarray:
        """A mask of the scan as it is stored."""
        mask = mask.T if self.scan else mask
        return mask[:: -1 if self.scan_turned[0] else 1, :: -1 if self.scan_turned[1] else 1]


def _linked(file: Path, at: str) -> tuple[str, ...]:
    """Other files that the data lie in."""
    if not at or not is_hdf5(file):
        return ()  # the reader has opened no link
    with open_hdf5(file, trusted=True) as opened, hdf5_errors(file):  # through an object no link can be followed
        return linked_files(readable_dataset(resolve(opened, at, file, True), file, True), file)


def _one_scan(data: Any, choose: int | str | None, file: Path) -> Any:
    """The data themselves, or what is chosen of a series."""
    name, shape = printable(file.name), tuple(int(n) for n in data.shape)
    if len(shape) != 5:
        if choose is not None:
            words = " x ".join(map(str, shape))
            raise DataError(f"{name} holds no series of scans, its data are {words}; leave out choose={choose!r}.")
        return data
    count = shape[0]
    if choose is None and count == 1:
        choose = 0
    if choose == "sum" or (isinstance(choose, (int, np.integer)) and 0 <= choose < count):
        return SeriesView(data, choose if isinstance(choose, str) else int(choose))
    got = "" if choose is None else f"choose is {choose!r}; "
    raise SeriesOfScans(f"{got}{name} holds a series of {count} scans, {' x '.join(map(str, shape))}", count)


def _stored_masks(dataset: Dataset, file: Path, at: str, turned: _Turned) -> Dataset:
    """With the masks that lie beside the data in an HDF5 file."""
    if not is_hdf5(file):
        return dataset
    with open_hdf5(file) as opened, hdf5_errors(file):
        pixels_at = mask_beside(opened, at, dataset.detector_shape[:: -1 if turned.detector else 1])
        scan_at = scan_mask_beside(opened, dataset.scan_shape[:: -1 if turned.scan else 1])
        pixels = None if pixels_at is None else stored_mask(opened, pixels_at, file)
        positions = None if scan_at is None else stored_mask(opened, scan_at, file)
    if pixels is not None and not pixels[0].all():
        assert pixels_at is not None
        if 2 * int(pixels[0].sum()) < pixels[0].size:
            raise DataError(
                f"{printable(pixels_at)} in {printable(file.name)} would leave {int(pixels[0].sum())} of "
                f"{pixels[0].size} pixels; pass read(path, mask=False) to leave it out, or a mask of your own."
            )
        mask = turned.flipped(pixels[0].T if turned.detector else pixels[0])
        dataset = dataset.with_mask(mask, origin=_at(file, pixels_at, pixels[1]))
    if positions is not None and not positions[0].all():
        assert scan_at is not None
        counted = turned.scanned(positions[0])
        dataset = dataset.with_scan_mask(counted, confirm=True, origin=_at(file, scan_at, positions[1]))
    return dataset


def _at(file: Path, place: str, words: str = "") -> Supplied:
    return Supplied(path=str(file.absolute()), dataset=place, words=words)


@answers("read_pattern")
def read_pattern(
    path: str | os.PathLike[str], dataset: str | None = None, *, allow_external: bool = False
) -> np.ndarray:
    """One diffraction pattern, such as a vacuum probe, from a file of any format: a 2-D array (Qy, Qx)."""
    file = existing_path(path)
    reader = format_of(file)
    if hasattr(reader, "read_pattern"):
        return checked_pattern(reader.read_pattern(file, dataset, allow_external))
    found = reader.read(file, dataset, None, allow_external)
    shape = tuple(int(n) for n in found.data.shape)
    if math.prod(shape[:-2]) != 1:
        raise FileFormatError(
            f"{printable(file.name)} holds {math.prod(shape[:-2])} patterns, {sizes(shape)}; expected one. Open it as "
            "data and take their mean: read(path, scan_shape=...).mean_pattern()."
        )
    return checked_pattern(np.asarray(found.data[...]).reshape(shape[-2:]))


def contents(path: str | os.PathLike[str], *, allow_external: bool = False) -> list[Entry]:
    """What is in an HDF5 file: `path`, `shape` and `dtype` of every array."""
    file = existing_file(path)
    with open_hdf5(file, allow_external) as opened, hdf5_errors(Path(file)):
        return datasets(opened, allow_external)

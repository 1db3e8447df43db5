"""Any HDF5 file with one 4-D array in it: abTEM, HyperSpy, EMD 0.1, py4DSTEM 0.9 to 0.13, NeXus, CXI, MATLAB v7.3,
one's own."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError, SeveralArrays
from ptywidgets.engine.data.dataset_checks import checked_pattern
from ptywidgets.engine.io.arrays.axes import Mark, found_order
from ptywidgets.engine.io.arrays.lazy import LazyArray, dropped_axes, likely_scan_shape
from ptywidgets.engine.io.calibration_entries import CalibrationEntry, calibration_entry, entry_if_set
from ptywidgets.engine.io.detect_format import is_hdf5, printable
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.hdf5.positions import position_marks, raster_shape, translation
from ptywidgets.engine.io.formats.hdf5.stated import neighbours, of_sources
from ptywidgets.engine.io.formats.hdf5.tree import (
    Entry,
    attribute,
    attributes_as_text,
    datasets,
    external_links,
    hdf5_errors,
    inventory,
    member,
    open_hdf5,
    readable_dataset,
    resolve,
    text,
    walk,
    whole,
)
from ptywidgets.engine.io.growing.hdf5 import GrowingHdf5, open_growing

MOST_COORDINATES = 1_000_000  # along one axis
MOST_SCALES = 16  # of one axis
NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"  # how a scale begins that is only a length
KEY = "hdf5"
NAME = "HDF5 with a 4-D array (.h5, .hdf5, .emd, .hspy)"
SAVED = "ptywidgets_reconstruction_root"  # root of a saved reconstruction


def understands(path: Path) -> bool:
    """Whether it is HDF5; not of Velox without a 4-D array, which is images and spectra in a layout of its own."""
    if not is_hdf5(path):
        return False
    try:
        with open_hdf5(path) as file, hdf5_errors(path):
            return not _is_velox(file) or any(_is_4d(entry) for entry in datasets(file))
    except FileFormatError:
        return True  # to say what is wrong with it


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """The 4-D array at `dataset`, or the only one in the file."""
    with open_hdf5(path, allow_external) as file, hdf5_errors(path):
        name = pick(file, path, dataset, scan_shape is not None, allow_external)
        found = readable_dataset(resolve(file, name, path, allow_external), path, allow_external)
        (entries, beside), marks, kept = stated(found), axis_marks(found), dropped_axes(tuple(found.shape))
        order, why = reversed_by_matlab(found, found.ndim - len(kept))
        metadata = {} if allow_external else attributes_as_text(file, name) | beside
        detector = _detector_axes(marks, order)
        vacuum_at = vacuum_path(file, tuple(found.shape[axis] for axis in sorted(detector)))
        vacuum = None if vacuum_at is None else array_2d(file[vacuum_at], path)
        if vacuum_at is not None:
            metadata["vacuum"] = vacuum_at
        positions = translation(file, int(found.shape[0])) if found.ndim == 3 else None
    data: Any = LazyArray(path, name, allow_external=allow_external, squeeze=True)
    told, scan_axes = None, []
    if positions is not None:
        at, y, x = positions
        told = raster_shape(y, x)
        shape = told if scan_shape is None else scan_shape
        if shape is not None and shape[0] * shape[1] == y.size:
            scan_axes = position_marks(y, x, (int(shape[0]), int(shape[1])), at)
    if data.ndim == 3 and order:  # of the stack once it is a scan
        marks, order = [], (0, 1, 3, 2)
        why += "; scan rows one after the other"
    return FileContents(
        data,
        entries,
        vacuum,
        metadata,
        at=name,
        vacuum_at=vacuum_at or "",
        axes=tuple(marks[-4:]),  # those before are of a series
        order=order,
        order_from=why,
        scan_shape=told,
        scan_from=f"{positions[0]} (a raster)" if positions is not None and told is not None else "",
        scan_axes=tuple(scan_axes),
    )


def growing(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """The same of a file that is being written: a stack of patterns, also where the array has four axes."""
    with open_growing(path) as file:
        name = pick(file, path, dataset, scan_shape is not None, False) if dataset is None else dataset
        stack = GrowingHdf5(path, name)
        found = resolve(file, name, path)
        (entries, beside), marks = stated(found), axis_marks(found)
        if reversed_by_matlab(found, found.ndim)[0]:
            raise FileFormatError(
                f"{printable(name)} in {printable(path.name)} has its axes as MATLAB writes them, the scan last; it "
                "cannot be followed while it is written. Open it when it is complete: leave out follow."
            )
        metadata = attributes_as_text(file, name) | beside
        vacuum_at = vacuum_path(file, stack.shape[1:])
        vacuum = None if vacuum_at is None else array_2d(file[vacuum_at], path)
    shape = (stack.most, stack.columns) if len(stack.full) == 4 and stack.most else None
    return FileContents(
        stack,
        entries,
        vacuum,
        metadata,
        at=name,
        vacuum_at=vacuum_at or "",
        axes=tuple(marks[-3:]),
        scan_axes=tuple(marks[:2]) if len(marks) == 4 else (),
        scan_shape=shape,
        scan_from=printable(name),
    )


def _detector_axes(marks: list[Mark], order: tuple[int, ...]) -> tuple[int, ...]:
    """Axes of the stored array that hold a pattern's rows and columns, counted from the end."""
    if not order and len(marks) == 4:
        with contextlib.suppress(DataError):  # raised when the axes are put in order, unless the user names them
            order = found_order(marks, "")
    n = len(order)
    return tuple(axis - n for axis in order[-2:]) if order else (-2, -1)


def reversed_by_matlab(found: h5py.Dataset, ndim: int) -> tuple[tuple[int, ...], str]:
    """MATLAB's arrays run the other way: what it calls [Qy Qx Ry Rx] is (Rx, Ry, Qx, Qy) here. () for others.

    A stack called /dp is of fold_slice, which writes it from MATLAB without saying so.
    """
    if found.name == "/dp" and ndim == 3:
        return (0, 2, 1), "an array called /dp, taken for MATLAB's [Qy Qx J] of fold_slice"
    if attribute(found, "MATLAB_class") is None:
        return (), ""
    if ndim == 3:
        return (0, 2, 1), "MATLAB's axes run backwards, taken for [Qy Qx J]"
    return (1, 0, 3, 2), "MATLAB's axes run backwards, taken for [Qy Qx Ry Rx]"


def pick(file: h5py.File, path: Path, dataset: str | None, stack: bool, allow_external: bool) -> str:
    """Path of the array to read: the given one, or the only one that can be meant."""
    if dataset is not None:
        found = resolve(file, dataset, path, allow_external)
        if isinstance(found, h5py.Dataset):
            return dataset
        if member(found, "data") is not None:
            return f"{dataset.rstrip('/')}/data"
        raise FileFormatError(
            f"{printable(dataset)!r} in {printable(path.name)} is a group without 'data'. {inventory(file, path)}"
        )
    arrays = [entry for entry in datasets(file, allow_external) if entry.dtype.kind in "biuf"]
    for plausible in (_is_4d, _is_3d) if stack else (_is_4d, _is_5d):
        fitting = [entry for entry in arrays if plausible(entry)]
        if len(fitting) == 1:
            return fitting[0].path
        default = _default_signal(file)
        if any(entry.path == default for entry in fitting):
            return default
        if fitting:
            listed = "; ".join(str(entry) for entry in fitting[:8])
            raise SeveralArrays(
                f"{printable(path.name)} holds {len(fitting)} arrays that could be the data: {listed}",
                [(entry.path, str(entry)) for entry in fitting],
            )
    if SAVED in file:
        raise FileFormatError(
            f"{printable(path.name)} is a saved reconstruction, not data; open it by Reconstruction.load(path), or "
            "Reconstruction.open(path)."
        )
    hint = ""
    stacks = [entry for entry in arrays if _is_3d(entry)]
    placed = [entry for entry in stacks if not stack and _is_raster(file, entry.shape[0])]
    if len(placed) == 1:
        return placed[0].path
    if stacks and not stack:
        patterns = stacks[0].shape[0]
        hint = (
            f" If {printable(stacks[0].path)!r} is a stack of {patterns} patterns, pass "
            f"scan_shape={likely_scan_shape(patterns)}."
        )
    patterns_2d = [entry for entry in arrays if _is_pattern(entry)]
    if len(patterns_2d) == 1 and not stacks:
        hint = " If this is a vacuum pattern, open the data first and pass it as read(path, vacuum=...)."
    links = [] if allow_external else external_links(file)
    if links:
        hint += f" It also has links to other files: {', '.join(links[:3])}; to follow them pass allow_external=True."
    raise FileFormatError(
        f"{printable(path.name)} holds no 4-D array of numbers (Ry, Rx, Qy, Qx). {inventory(file, path)}{hint}"
    )


def _default_signal(file: h5py.File) -> str:
    """Path of the array that NeXus's attributes `default` and `signal` lead to; empty where they do not."""
    here: Any = file
    for _ in range(8):
        if text(attribute(here, "NX_class") or "") == "NXdata":
            found = member(here, text(attribute(here, "signal") or "data"))
            return str(found.name).strip("/") if isinstance(found, h5py.Dataset) else ""
        following = attribute(here, "default")
        here = None if following is None else member(here, text(following))
        if not isinstance(here, h5py.Group):
            return ""
    return ""


def _is_raster(file: h5py.File, patterns: int) -> bool:
    """Whether the file has as many positions, and they are a raster."""
    positions = translation(file, patterns)
    return positions is not None and raster_shape(*positions[1:]) is not None


def _is_velox(file: h5py.File) -> bool:
    version = member(file, "Version")
    if not isinstance(version, h5py.Dataset) or version.size != 1 or version.dtype.kind not in "OS":
        return False
    return "velox" in text(whole(version)).lower()


def read_pattern(path: Path, dataset: str | None = None, allow_external: bool = False) -> np.ndarray:
    """The 2-D pattern at `dataset`, the one called vacuum or probe, or the only one, (Qy, Qx)."""
    with open_hdf5(path, allow_external) as file, hdf5_errors(path):
        if dataset is None:
            found = [e for e in datasets(file, allow_external) if e.dtype.kind in "biuf" and _is_pattern(e)]
            named = [e for e in found if _says_vacuum(e.path)]
            chosen = found if len(found) == 1 else named
            if len(chosen) != 1:
                raise FileFormatError(
                    f"{printable(path.name)} holds {len(found) or 'no'} 2-D patterns; expected one. "
                    f"{inventory(file, path, allow_external)} Say which: read_pattern(path, dataset=...)."
                )
            dataset = chosen[0].path
        found_at = resolve(file, pick(file, path, dataset, False, allow_external), path, allow_external)
        return array_2d(readable_dataset(found_at, path, allow_external), path)


def array_2d(found: h5py.Dataset, path: Path) -> np.ndarray:
    """A dataset as a checked pattern; py4DSTEM's Probe holds the pattern and a kernel, the first is taken."""
    shape = tuple(found.shape or ())
    first = shape[0] == 2 and len(shape) == 3 and text(attribute(found.parent, "python_class")) == "Probe"
    with hdf5_errors(path):
        values = np.asarray(whole(readable_dataset(found, path), 0 if first else ()))
    return checked_pattern(values.squeeze() if values.ndim > 2 and values.squeeze().ndim == 2 else values)


def vacuum_path(file: h5py.File, detector_shape: tuple[int, ...]) -> str | None:
    """Path of the only array of the detector's shape that is called vacuum or probe, or is a Probe.

    A mean pattern is of the same class and shape, so the class alone does not tell.
    """
    names = []
    for path, found in walk(file):
        if not isinstance(found, h5py.Dataset) or found.shape is None or found.dtype.kind not in "biuf":
            continue
        shape = tuple(found.shape)
        is_probe = shape == (2, *detector_shape) and text(attribute(found.parent, "python_class")) == "Probe"
        if is_probe or (shape == detector_shape and _says_vacuum(path)):
            names.append(path)
    return names[0] if len(names) == 1 else None


def axis_marks(found: h5py.Dataset) -> list[Mark]:
    """What stands beside an array about each of its four axes: EMD's vectors, abTEM's sampling, HyperSpy's axes, the
    coordinates that NeXus names; else the dimension scales and labels of HDF5 itself, as netCDF has them. Of an array
    with more axes those of length one are left out, as in reading."""
    group, n = found.parent, found.ndim
    first = 0 if member(group, "dim0") is not None else 1
    sampling, units = member(group, "sampling"), member(group, "units")
    sampled = all(isinstance(x, h5py.Dataset) and x.shape == (n,) for x in (sampling, units))
    named = _nexus_axes(group, found)
    scales, labels = _scales(found), _labels(found)
    marks = []
    for i in range(n):
        if i in dropped_axes(tuple(found.shape)):
            continue
        axis = member(group, f"axis-{i}")
        dim = member(group, named[i]) if named else member(group, f"dim{first + i}")
        if (
            isinstance(dim, h5py.Dataset)
            and dim.ndim == 1
            and dim.size <= min(max(found.shape[i], 2), MOST_COORDINATES)
        ):
            name = named[i] if named else text(attribute(dim, "name") or "")
            marks.append(Mark.of_coordinates(dim[()], name, text(attribute(dim, "units") or ""), str(dim.name)))
        elif sampled:
            step = float(sampling[i]) if sampling.dtype.kind in "iuf" else None
            marks.append(Mark(unit=text(units[i]), step=step, where=f"sampling[{i}]"))
        elif isinstance(axis, h5py.Group):
            marks.append(_hyperspy_mark(axis, f"axis-{i}"))
        elif scales[i] is not None:
            marks.append(_scale_mark(scales[i], labels[i], found.shape[i]))
        else:
            marks.append(Mark(labels[i], where=f"label of axis {i}" if labels[i] else ""))
    return marks


def _labels(found: h5py.Dataset) -> list[str]:
    """What each axis is called, "" where it has no name."""
    said = attribute(found, "DIMENSION_LABELS")
    labels = [] if said is None else [text(one) for one in np.atleast_1d(said)]
    return labels if len(labels) == found.ndim else [""] * found.ndim


def _scales(found: h5py.Dataset) -> list[Any]:
    """The first dimension scale that is attached to each axis; None where there is none. All lie in the same file."""
    listed = attribute(found, "DIMENSION_LIST")
    scales: list[Any] = [None] * found.ndim
    if not isinstance(listed, np.ndarray) or listed.shape != (found.ndim,) or listed.dtype.kind != "O":
        return scales
    for i, references in enumerate(listed):
        for reference in np.atleast_1d(references)[:MOST_SCALES]:
            if not isinstance(reference, h5py.Reference) or not reference:
                continue
            try:
                scale = found.file[reference]
                sound = isinstance(scale, h5py.Dataset) and scale.shape is not None
                sound = sound and text(attribute(scale, "CLASS")) == "DIMENSION_SCALE"
            except (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError):
                sound = False
            if sound:
                scales[i] = scale
                break
            warnings.warn(
                f"the dimension scale of axis {i} of {printable(str(found.name))!r} is not where the array says: "
                "the array was copied without it, or the file is damaged. Nothing is known of the axis from it; pass "
                "what is missing, scan_step or q_pixel.",
                DataWarning,
                stacklevel=4,
            )
    return scales


def _scale_mark(scale: h5py.Dataset, label: str, length: int) -> Mark:
    own = text(attribute(scale, "NAME") or "")
    only_a_length = own.startswith(NO_VARIABLE)
    at = str(scale.name or "")
    name = label or ("" if only_a_length else own.rsplit("/", 1)[-1]) or at.rsplit("/", 1)[-1]
    units = [attribute(scale, key) for key in ("units", "unit")]
    unit = next((text(one) for one in units if one is not None), "")
    elsewhere = scale.is_virtual or bool(scale.external)
    if only_a_length or elsewhere or scale.shape != (length,) or length > MOST_COORDINATES:
        return Mark(name, unit, where=at)
    return Mark.of_coordinates(scale[()], name, unit, at)


def _hyperspy_mark(axis: h5py.Group, where: str) -> Mark:
    name, unit = text(attribute(axis, "name") or ""), text(attribute(axis, "units") or "")
    navigate = attribute(axis, "navigate")
    kind = "" if navigate is None else "scan" if bool(navigate) else "detector"
    values = member(axis, "axis")  # of one that is not uniform
    if isinstance(values, h5py.Dataset) and values.ndim == 1 and values.size <= MOST_COORDINATES:
        return Mark.of_coordinates(values[()], name, unit, where, kind)
    given = attribute(axis, "axis")
    if given is not None:
        return Mark.of_coordinates(given, name, unit, where, kind)
    scale = attribute(axis, "scale")
    return Mark(name, unit, float(scale) if isinstance(scale, (int, float, np.number)) else None, kind, where=where)


def _nexus_axes(group: h5py.Group, found: h5py.Dataset) -> list[str]:
    """Names of the coordinates of each axis, as an NXdata group gives them; none where it does not."""
    axes = attribute(group, "axes") if isinstance(group, h5py.Group) else None
    if axes is None or text(attribute(group, "NX_class")) != "NXdata":
        return []
    names = [text(name) for name in np.atleast_1d(axes)]
    signal = attribute(group, "signal")
    is_signal = signal is None or text(signal) == str(found.name).rsplit("/", 1)[-1]
    return names if len(names) == found.ndim and is_signal else []


def sibling_entries(found: h5py.Dataset) -> list[CalibrationEntry]:
    """What stands beside an array besides its axes: a calibration group, HyperSpy's metadata, named numbers."""
    return stated(found)[0]


def stated(found: h5py.Dataset) -> tuple[list[CalibrationEntry], dict[str, str]]:
    """The same, and what is only to be told."""
    group, entries = found.parent, []
    beside = member(group, "calibration")
    if isinstance(beside, h5py.Group):
        entries += calibration_entries(beside)
    microscope: Any = group
    for name in ("metadata", "Acquisition_instrument", "TEM"):
        microscope = member(microscope, name) if isinstance(microscope, h5py.Group) else None
    if isinstance(microscope, h5py.Group):
        entries += entry_if_set("energy", attribute(microscope, "beam_energy"), "keV", "metadata, beam_energy")
        angle = attribute(microscope, "convergence_angle")
        entries += entry_if_set("semiangle", angle, "mrad", "metadata, convergence_angle")
    metadata: dict[str, str] = {}
    for more, words in (neighbours(found), of_sources(found)):
        entries += more
        metadata |= words
    return entries, metadata


def calibration_entries(group: h5py.Group) -> list[CalibrationEntry]:
    """py4DSTEM's calibration items; energy and semi-angle only where somebody has added them."""

    def item(name: str) -> Any:
        found = member(group, name)
        return whole(found) if isinstance(found, h5py.Dataset) and found.shape == () else None

    where = str(group.name)
    sizes = []
    for quantity, letter in (("q_pixel", "Q"), ("scan_step", "R")):
        pair = member(group, f"{letter}_pixel_sizes")  # ours, where rows and columns differ
        name = f"{letter}_pixel_size"
        if isinstance(pair, h5py.Dataset) and pair.shape == (2,):
            name = f"{name}s"
        value = np.asarray(pair[()]) if name.endswith("s") else item(name)
        sizes += calibration_entry(quantity, value, text(item(f"{letter}_pixel_units")), f"{where}/{name}")
    return [
        *sizes,
        *calibration_entry("energy", item("energy"), "eV", f"{where}/energy"),
        *calibration_entry(
            "semiangle", item("convergence_semiangle_mrad"), "mrad", f"{where}/convergence_semiangle_mrad"
        ),
    ]


def _is_4d(entry: Entry) -> bool:
    shape = entry.shape
    if len(shape) > 4 and dropped_axes(shape):
        shape = tuple(n for axis, n in enumerate(shape) if axis not in dropped_axes(entry.shape))
    return len(shape) == 4 and min(shape[-2:]) > 1


def _is_5d(entry: Entry) -> bool:
    """A series of scans."""
    return len(entry.shape) == 5 and not dropped_axes(entry.shape) and min(entry.shape[-2:]) > 1


def _is_3d(entry: Entry) -> bool:
    return len(entry.shape) == 3 and min(entry.shape[-2:]) > 1


def _is_pattern(entry: Entry) -> bool:
    shape = tuple(n for n in entry.shape if n != 1)
    return min(shape, default=0) > 1 and (len(shape) == 2 or (len(shape) == 3 and shape[0] == 2))


def _says_vacuum(path: str) -> bool:
    words = path.lower().removesuffix("/data")
    return any(word in words.split("/")[-1] for word in ("vacuum", "probe"))

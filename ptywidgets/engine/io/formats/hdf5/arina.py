"""DECTRIS: a master file with its data files beside it, and what the microscope wrote about an ARINA's scan.

``X_master.h5`` has links ``entry/data/data_000001`` ... to the data files. They are not followed: by the rule of the
maker the files are ``X_data_000001.h5`` ... in the same folder, and only those are opened, so a copied master cannot
lead elsewhere. ``X.h5`` with the group "STEM Metadata" is the microscope's. Whichever of them is given, all are opened.
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError
from ptywidgets.engine.data.array_views import CroppedArray
from ptywidgets.engine.data.dataset_checks import sizes
from ptywidgets.engine.io.arrays.lazy import LazyArray, ScanView
from ptywidgets.engine.io.arrays.stacks import Joined, Synchronised
from ptywidgets.engine.io.calibration_entries import CalibrationEntry, entry_if_set
from ptywidgets.engine.io.detect_format import is_hdf5, printable
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.hdf5 import plain
from ptywidgets.engine.io.formats.hdf5.tree import (
    attribute,
    hdf5_errors,
    member,
    open_hdf5,
    readable_dataset,
    resolve,
    text,
    whole,
)
from ptywidgets.engine.io.formats.scanned import FRAMES

KEY = "arina"
NAME = "DECTRIS master file with its data files (ARINA)"
DATA = "entry/data/data"  # in a data file
METADATA = "STEM Metadata"
_MASTER = re.compile(r"(.+)_master(\.\w+)")
_PART = re.compile(r"(.+)_data_\d{6}(\.\w+)")
_LINK = re.compile(r"data_\d{6}")
_MOST_PARTS = 100_000
# detectors for electrons: with others the master's photon_energy is that of photons
_FOR_ELECTRONS = re.compile(r"\b(arina|quadro|ela|singla)\b", re.IGNORECASE)
read_pattern = plain.read_pattern


@dataclass(frozen=True)
class _Companion:
    """What the microscope wrote, with only what means something."""

    entries: list[CalibrationEntry] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    scan_shape: tuple[int, int] | None = None
    prescan: int = 0


def understands(path: Path) -> bool:
    """Whether `path` is a master with links to data files, a microscope's companion of one, or a data file of one."""
    try:
        if not is_hdf5(path):
            return False
        master = _master_of(path)
        with open_hdf5(path) as file, hdf5_errors(path):
            if isinstance(member(file, METADATA), h5py.Group):
                return attribute(file[METADATA], "NumPixelsX") is not None
            if master == path:
                return bool(_links(file))
        if not _PART.fullmatch(path.name) or not master.is_file() or not is_hdf5(master):
            return False
        with open_hdf5(master) as file, hdf5_errors(master):
            return bool(_links(file))
    except (FileFormatError, OSError):
        return False


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """All patterns, one data file after the other; `dataset` reads one array of `path` as any other HDF5 file."""
    if dataset is not None:
        return plain.read(path, dataset, scan_shape, allow_external)
    master = _master_of(path)
    if not master.is_file():
        raise FileFormatError(
            f"{printable(path.name)} belongs to {printable(master.name)}, which is not beside it; put the master file "
            "and its data files into one folder, with the names that they were written with."
        )
    with open_hdf5(master) as file, hdf5_errors(master):
        names = [f"{_stem(master)}_{link}{master.suffix}" for link in _links(file)]
        if not names:
            raise FileFormatError(
                f"{printable(master.name)} has no links to data files ({DATA}_000001 and so on); expected the master "
                "file of a DECTRIS detector."
            )
        entries, metadata = _of_master(file, master.name)
    beside = _companion(master)
    data = _joined(master, names)
    found = FileContents(
        data,
        [*beside.entries, *entries],
        metadata={**metadata, **beside.metadata},
        scan_shape=beside.scan_shape,
        scan_from=f"{METADATA} (NumPixelsY, NumPixelsX)" if beside.scan_shape else "",
        mask_in=master,
    )
    return found if scan_shape is not None else _without_prescan(found, beside.prescan, printable(master.name))


def _stem(path: Path) -> str:
    match = _MASTER.fullmatch(path.name) or _PART.fullmatch(path.name)
    return match[1] if match else path.stem


def _master_of(path: Path) -> Path:
    return path if _MASTER.fullmatch(path.name) else path.with_name(f"{_stem(path)}_master{path.suffix}")


def _links(file: h5py.File) -> list[str]:
    """Names of the links to data files, in their order."""
    entry = member(file, "entry")
    group = member(entry, "data") if isinstance(entry, h5py.Group) else None
    if not isinstance(group, h5py.Group):
        return []
    names = [name for name in group if _LINK.fullmatch(name)][:_MOST_PARTS]
    return sorted(name for name in names if isinstance(group.get(name, getlink=True), h5py.ExternalLink))


def _joined(master: Path, names: list[str]) -> Any:
    missing = [name for name in names if not (master.parent / name).is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise FileFormatError(
            f"{printable(master.name)} has its patterns in {len(names)} files of which {printable(missing[0])}{more} "
            f"cannot be found beside it; copy the data files into the same folder, with their own names."
        )
    parts, count = [], 0
    for name in names:
        part = master.parent / name
        with open_hdf5(part) as file, hdf5_errors(part):
            found = readable_dataset(resolve(file, DATA, part), part)
            if found.ndim != 3 or 0 in found.shape or found.dtype.kind not in "iuf":
                raise FileFormatError(
                    f"{DATA} of {printable(name)} is {sizes(found.shape)} {found.dtype}; expected patterns (J, Qy, Qx)."
                )
            first = attribute(found, "image_nr_low")
            if first is not None and np.size(first) == 1 and int(np.reshape(first, ())) not in (0, count + 1):
                raise DataError(
                    f"{printable(name)} begins with pattern {int(np.reshape(first, ()))} where {count + 1} was "
                    "expected; a data file before it is not whole, or belongs to another scan. Copy them again."
                )
            count += int(found.shape[0])
        parts.append(LazyArray(part, DATA))
    return Joined(parts, also=[file for file in (master, _companion_of(master)) if file.is_file()])


def _of_master(file: h5py.File, name: str) -> tuple[list[CalibrationEntry], dict[str, str]]:
    """The energy, where the detector is one for electrons, and what is worth telling."""
    detector: Any = file
    for part in ("entry", "instrument", "detector"):
        detector = member(detector, part) if isinstance(detector, h5py.Group) else None
    if not isinstance(detector, h5py.Group):
        return [], {}
    specific = member(detector, "detectorSpecific")

    def value(group: Any, key: str) -> tuple[Any, str]:
        found = member(group, key) if isinstance(group, h5py.Group) else None
        if not isinstance(found, h5py.Dataset) or found.size != 1:
            return None, ""
        unit = attribute(found, "units")
        return whole(found), "" if unit is None else text(unit)

    said, metadata = text(value(detector, "description")[0] or ""), {}
    energy, unit = value(specific, "photon_energy")
    at = f"{printable(name)}, photon_energy"
    entries = entry_if_set("energy", energy, unit or "eV", at) if _FOR_ELECTRONS.search(said) else []
    for key, group in (
        ("description", detector),
        ("detector_distance", detector),
        ("count_time", detector),
        ("frame_time", detector),
        ("saturation_value", detector),
        ("threshold_energy", detector),
        ("photon_energy", specific),
        ("ntrigger", specific),
        ("nimages", specific),
        ("data_collection_date", specific),
    ):
        number, unit = value(group, key)
        if number is not None and text(number) not in ("", "0", "0.0"):
            metadata[f"detector {key}"] = f"{text(number)} {unit}".strip()[:200]
    return entries, metadata


def _companion_of(master: Path) -> Path:
    return master.with_name(f"{_stem(master)}{master.suffix}")


def _companion(master: Path) -> _Companion:
    """What stands in ``X.h5``; nothing where there is none."""
    path = _companion_of(master)
    if not path.is_file() or not is_hdf5(path):
        return _Companion()
    with open_hdf5(path) as file, hdf5_errors(path):
        group = member(file, METADATA)
        if not isinstance(group, h5py.Group):
            return _Companion()
        said = {name: attribute(group, name) for name in list(group.attrs)[:200]}
    where = f"{printable(path.name)}, {METADATA}"
    numbers = {name: _number(value) for name, value in said.items()}
    doubt = ", not calibrated, it says" if numbers.get("IsPixelSizeCalibrated") == 0 else ""
    units = {"Camera Length": "m", "High Tension": "V", "Pixel Size": "nm"}
    metadata = {
        f"{METADATA}, {name}": f"{text(value)} {units.get(name, '')}".strip()[:200]
        for name, value in said.items()
        if value is not None and numbers.get(name) != 0
    }
    rows, columns = (_whole(numbers.get(f"NumPixels{axis}")) for axis in "YX")
    return _Companion(
        [
            *entry_if_set("energy", numbers.get("High Tension"), "V", f"{where}, High Tension"),
            *entry_if_set("scan_step", numbers.get("Pixel Size"), "nm", f"{where}, Pixel Size{doubt}"),
        ],
        metadata,
        (rows, columns) if rows and columns else None,
        _whole(numbers.get("NumPixelsPrescan")),
    )


def _number(value: Any) -> float | None:
    array = np.asarray(value)
    return float(array.reshape(-1)[0]) if array.size == 1 and array.dtype.kind in "iufb" else None


def _whole(number: float | None) -> int:
    return int(number) if number is not None and 0 < number < 2**31 and number == int(number) else 0


def _without_prescan(found: FileContents, prescan: int, name: str) -> FileContents:
    """Without what was taken before the scan, or before each of its rows, where the number of patterns says that."""
    if not prescan or found.scan_shape is None:
        return found
    (rows, columns), patterns = found.scan_shape, int(found.data.shape[0])
    data: Any
    if patterns == rows * columns:
        return found
    if patterns == rows * (columns + prescan) and rows > 1:
        every = ScanView.of(found.data, (rows, columns + prescan))
        window = ((0, rows), (prescan, columns + prescan), *((0, int(n)) for n in found.data.shape[1:]))
        data, words = CroppedArray(every, window), f"the first {prescan} patterns of each row"
    elif patterns == rows * columns + prescan:
        data, words = Synchronised(found.data, prescan, rows * columns), f"the first {prescan} patterns"
    else:
        return found
    words = f"{words}, which NumPixelsPrescan tells of, are left out"
    warnings.warn(
        f"{name} has {patterns} patterns where {found.scan_from} says {rows} x {columns}: {words}. To have them, pass "
        f"scan_shape={(rows, columns + prescan)}.",
        DataWarning,
        stacklevel=4,
    )
    return dataclasses.replace(found, data=data, metadata={**found.metadata, FRAMES: words})

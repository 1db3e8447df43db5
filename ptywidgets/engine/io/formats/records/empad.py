"""EMPAD: a .raw of patterns with the .xml of its software beside it, or the .json of phaser.

A record is 130 rows of 128 little-endian float32, of which the last two are no pixels. Negative values and NaN, which
some of these files have, are handed on as they are. The rows of the detector stay in the order of the file.

The .xml is named after the acquisition and not after the .raw, so that the .raw's is that which names it.
"""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError
from ptywidgets.engine.data.dataset_checks import sizes
from ptywidgets.engine.io.arrays.stacks import PATTERN, Records
from ptywidgets.engine.io.calibration_entries import CalibrationEntry, calibration_entry, entry_if_set
from ptywidgets.engine.io.detect_format import first_bytes, looks_like, printable
from ptywidgets.engine.io.formats.file_contents import FileContents

KEY = "empad"
NAME = "EMPAD (.xml, scan_xN_yM.raw, phaser's .json)"

SIDE = 128
RECORD = np.dtype([(PATTERN, "<f4", (SIDE, SIDE)), ("rows that are no pixels", "V1024")])
_PATTERN_BYTES = SIDE * SIDE * 4
_LARGEST = 10_000_000  # bytes of a description
_MOST_BESIDE = 100  # descriptions in a folder that are looked into
_ROWS = "in the order of the file; flip='rows' where the microscope shows them the other way"


def understands(path: Path) -> bool:
    """By content a description; a .raw by its name and size, or by a description beside it that names it."""
    if not path.is_file():
        return False
    if _description(path):
        return True
    size = path.stat().st_size
    if path.suffix.lower() != ".raw" or size < _PATTERN_BYTES:
        return False
    named = _shape_in_name(path.name)
    if named is not None and _goes_with(math.prod(named), size):
        return True
    return any(True for _ in _descriptions_of(path))


def _goes_with(patterns: int, size: int) -> bool:
    """Whether a .raw can be that of a scan of so many patterns by its name, whole or cut off.

    A whole number of records is one of EMPAD's, whose length others hardly have. Else it has at least half of what it
    should have: a name such as x4_y6 is in use for other cameras, too.
    """
    whole = patterns * RECORD.itemsize
    return size >= RECORD.itemsize and (size % RECORD.itemsize == 0 or whole / 2 <= size < whole)


def hint(path: Path) -> str:
    """What to try with a file that no format understands, where its size is that of whole records; else nothing."""
    if path.suffix.lower() != ".raw" or not path.is_file():
        return ""
    patterns, rest = divmod(path.stat().st_size, RECORD.itemsize)
    if rest or not patterns:
        return ""
    return (
        f"Its size is that of {patterns} x {RECORD.itemsize} bytes, {RECORD.itemsize} being a pattern of EMPAD; if "
        "that is right, pass read(path, format='empad', scan_shape=(rows, columns))."
    )


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """A stack of all patterns, with the scan where what is said about it goes with the size of the file."""
    if dataset is not None:
        raise FileFormatError(f"{printable(path.name)} holds a single array; leave out dataset={dataset!r}.")
    if _description(path):
        said = [_parsed(path)]
        raw = _raw_of(path, said[0])
    else:
        raw, said = path, _said_beside(path)
    name = printable(raw.name)
    size = raw.stat().st_size
    count, left = divmod(size, RECORD.itemsize)
    if left >= _PATTERN_BYTES:  # without the rows after the last one
        count, left = count + 1, 0
    if not count:
        raise FileFormatError(
            f"{name} has {size} bytes; expected {RECORD.itemsize} for each pattern. It is {looks_like(raw)}."
        )
    shape, said_by, metadata = _scan(raw, said, count, size)
    if left:
        warnings.warn(
            f"the last pattern of {name} is cut off: {left} of {RECORD.itemsize} bytes are there. It is left out.",
            DataWarning,
            stacklevel=3,
        )
    whole = shape if scan_shape is None else _pair(scan_shape)
    entries = []
    metadata = {"detector": f"EMPAD, {SIDE} x {SIDE}, float32", "detector_rows": _ROWS, **metadata}
    for one in said:
        entries += one.entries
        metadata |= one.metadata
        if whole is not None and one.view is not None:
            steps, words = _steps(one, one.view, whole)
            entries += steps
            metadata |= words
    if shape is None and scan_shape is None and said_by:
        raise DataError(f"{said_by}; say how it was scanned: read(path, scan_shape=(rows, columns)).")
    return FileContents(Records(raw, RECORD, count), entries, metadata=metadata, scan_shape=shape, scan_from=said_by)


@dataclass(frozen=True)
class _View:
    """The part of the specimen that a scan of full size covers, and which sizes were set."""

    width: float  # m
    words: str
    sizes: tuple[tuple[str, tuple[int, int] | None, float], ...]  # mode, scan, part of the full size


@dataclass(frozen=True)
class _Said:
    """What a description says."""

    name: str
    raw: str  # of the file of patterns
    scans: list[tuple[tuple[int, int], str]] = field(default_factory=list)
    settings: list[tuple[tuple[int, int], str]] = field(default_factory=list)  # of scans, this one or not
    entries: list[CalibrationEntry] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    view: _View | None = None


# -------------------------------------------------- which files belong together


def _description(path: Path) -> str:
    """Which it is, "xml" or "json", where a file is a description of EMPAD data, else nothing."""
    start = first_bytes(path, 65536).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"{") and re.search(rb'"file_type"\s*:\s*"empad_metadata"', start):
        return "json"
    if start.startswith(b"<") and b"<root" in start and b"<raw_file" in start:  # the second kind of EMPAD has <rawfile>
        return "xml"
    return ""


def _raw_of(path: Path, said: _Said) -> Path:
    names = [name for name in (said.raw, f"{path.stem}.raw", f"{path.stem}.RAW") if name]
    for name in names:
        if _is_file(path.with_name(name)):
            return path.with_name(name)
    raise FileFormatError(
        f"{printable(path.name)} describes an EMPAD acquisition whose patterns, {printable(names[0])}, are not beside "
        "it; put them there."
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that cannot be one
        return False


def _descriptions_of(raw: Path) -> Iterator[Path]:
    """The descriptions in the folder of a .raw that name it, or that have its name and name one that is not there."""
    try:
        files = [file for file in raw.parent.iterdir() if file.suffix.lower() in (".xml", ".json")]
    except OSError:
        return
    files.sort(key=lambda file: (file.stem != raw.stem, file.stem != raw.parent.name, file.name))
    for file in files[:_MOST_BESIDE]:
        try:
            if not file.is_file() or not _description(file):
                continue
            names = _raw_names(first_bytes(file, _LARGEST))
        except OSError:
            continue
        if raw.name in names or (file.stem == raw.stem and not any(_is_file(raw.with_name(name)) for name in names)):
            yield file


def _raw_names(data: bytes) -> set[str]:
    """Names of files of patterns that stand in a description, which need not be whole."""
    text = data.decode("utf-8", "replace")
    found = re.findall(r"""(?:<raw_file[^>]*?filename\s*=|"raw_filename"\s*:)\s*["']([^"'<>]*)["']""", text)
    return {name for text in found[:10] if (name := _plain_name(text))}


def _plain_name(text: str) -> str:
    """The name of a .raw without its folder; nothing where it is none."""
    name = re.split(r"[/\\]", text)[-1].strip()
    return name if re.fullmatch(r"[^\0]{1,200}\.raw", name, re.IGNORECASE) else ""


def _said_beside(raw: Path) -> list[_Said]:
    said = []
    for file in _descriptions_of(raw):
        try:
            said.append(_parsed(file))
        except FileFormatError as error:
            warnings.warn(f"what is said of {printable(raw.name)} is not used: {error}", DataWarning, stacklevel=4)
    return said


# -------------------------------------------------- descriptions


def _parsed(path: Path) -> _Said:
    name = printable(path.name)
    if path.stat().st_size > _LARGEST:
        raise FileFormatError(f"{name} has more than {_LARGEST // 10**6} MB; expected the short description of a scan.")
    data = first_bytes(path, _LARGEST)
    try:
        return _of_json(json.loads(data), name) if _description(path) == "json" else _of_xml(_tree(data), name)
    except (ET.ParseError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise FileFormatError(
            f"{name} cannot be understood ({printable(' '.join(str(error).split()), 120)}); it is cut off or damaged, "
            "copy it again."
        ) from None


def _tree(data: bytes) -> ET.Element:
    """Of a description that declares nothing: entities can be made to grow without end."""
    if b"\0" in data or re.search(rb"<!\s*(DOCTYPE|ENTITY)", data, re.IGNORECASE):
        raise ValueError("it declares a document type or entities, which are never followed")
    return ET.fromstring(data)


def _of_xml(root: ET.Element, name: str) -> _Said:
    raw_file = root.find("raw_file")
    raw = _plain_name("" if raw_file is None else raw_file.get("filename", ""))
    measured = {child.tag: (child.text or "").strip() for child in root.iterfind("iom_measurements/*")}
    blocks = [
        (
            printable(block.get("mode", ""), 20),
            _pair((block.findtext("scan_resolution_y"), block.findtext("scan_resolution_x"))),
            _number(block.findtext("scan_size")),
        )
        for block in root.iterfind("scan_parameters")
    ]
    series = (root.findtext("type") or "").strip() == "series"
    scans = [] if series else [(_shape_in_name(raw), f"the name in {name}")]
    scans += [(_pair((root.findtext("pix_y"), root.findtext("pix_x"))), f"pix_x and pix_y in {name}")]
    settings = [(shape, f"{mode!r} in {name}") for mode, shape, _ in blocks if mode == "acquire"]
    entries = [
        *entry_if_set("energy", _number(measured.get("high_voltage")), "V", f"high_voltage in {name}"),
        *entry_if_set("energy", _number(measured.get("source.get_voltage")), "V", f"source.get_voltage in {name}"),
    ]
    angle = _number(measured.get("calibrated_diffraction_angle"))
    entries += entry_if_set("q_pixel", angle, "rad", f"calibrated_diffraction_angle in {name}")
    stamp = root.find("timestamp")
    said = {
        "date": "" if stamp is None else stamp.get("isoformat", ""),
        "software": f"EMPAD {(root.findtext('software_version') or '').strip()}".removesuffix("EMPAD "),
        "series": f"{(root.findtext('count') or '').strip()} patterns, no scan" if series else "",
        "dwell_time": _with_unit(root.findtext("exposure_time"), "ms"),
        "camera_length": _with_unit(
            measured.get("nominal_camera_length") or measured.get("optics.get_cameralength"), "m"
        ),
        "scan_rotation": _with_unit(measured.get("scan_rotation") or measured.get("column.get_scanrotation"), "rad"),
    }
    if pixel := _number(measured.get("calibrated_pixelsize")):  # of which some hold the field of view / 25000
        said["calibrated_pixelsize"] = f"{pixel:g}; the file says no unit, and it is not used"
    return _Said(
        name=name,
        raw=raw,
        scans=[(shape, where) for shape, where in scans if shape is not None],
        settings=[(shape, where) for shape, where in settings if shape is not None],
        entries=entries,
        metadata={key: printable(text, 120) for key, text in said.items() if text},
        view=_view(root, measured, blocks),
    )


def _view(
    root: ET.Element, measured: dict[str, str], blocks: list[tuple[str, tuple[int, int] | None, float]]
) -> _View | None:
    """The field of view of a scan of full size, of the longer side where the scan is no square."""
    found = root.find("iom_measurements/full_scan_field_of_view")
    if found is not None:
        # since 1.2 it is written after it was multiplied with this factor
        factor = _number(found.findtext("scale_factor"))
        both = [_number(found.findtext(axis)) for axis in ("x", "y")]
        words = f"full_scan_field_of_view {both[0]:g} m / {factor:g}"
    else:
        factor = 1.0
        both = [
            _number(text) for text in measured.get("optics.get_full_scan_field_of_view", "").strip("[] ").split(",")
        ]
        words = f"optics.get_full_scan_field_of_view {both[0]:g} m"
    if len(both) != 2 or factor <= 0 or both[0] <= 0 or not math.isclose(*both, rel_tol=1e-6):
        return None
    return _View(both[0] / factor, words, tuple((mode, shape, part) for mode, shape, part in blocks if part > 0))


def _steps(said: _Said, view: _View, scan: tuple[int, int]) -> tuple[list[CalibrationEntry], dict[str, str]]:
    """The step of the scan, by the part of the full size that was set for a scan of this shape."""
    fitting = [one for one in view.sizes if one[1] == scan] or list(view.sizes)
    parts = {part: mode for mode, _, part in reversed(fitting)}
    if len(parts) > 1 and fitting[0][1] != scan:
        words = " and ".join(f"{part:g} ({mode})" for part, mode in parts.items())
        return [], {"scan_step": f"not known: scan_size is {words} and neither is of a scan of {sizes(scan)}"}
    entries = []
    for part, mode in parts.items():
        where = f"{view.words} x scan_size {part:g} ({mode}) / {max(scan)} in {said.name}"
        entries += entry_if_set("scan_step", view.width * part / max(scan), "m", where)
    return entries, {}


def _of_json(said: Any, name: str) -> _Said:
    if not isinstance(said, dict):
        raise ValueError("it holds no names and values")
    if said.get("empad_version") not in (None, 1):
        raise FileFormatError(
            f"{name} is of EMPAD version {printable(str(said['empad_version']), 10)}; expected 1. Read its .raw as "
            "bare numbers: read(path, dtype='<f4', detector_shape=(128, 128), scan_shape=(rows, columns))."
        )
    scan = said.get("scan_shape")
    shape = _pair(scan[::-1]) if isinstance(scan, list) and len(scan) == 2 else None
    entries = [
        *entry_if_set("energy", _number(said.get("voltage")), "V", f"voltage in {name}"),
        *entry_if_set("semiangle", _number(said.get("conv_angle")), "mrad", f"conv_angle in {name}"),
        *entry_if_set("q_pixel", _number(said.get("diff_step")), "mrad", f"diff_step in {name}"),
    ]
    steps = said.get("scan_step")
    if isinstance(steps, list) and len(steps) == 2:  # x, y
        for axis, step in enumerate(_number(value) for value in reversed(steps)):
            entries += calibration_entry("scan_step", step, "m", f"scan_step in {name}", axis) if step > 0 else []
    metadata = {
        "date": said["time"] if isinstance(said.get("time"), str) else "",
        "dwell_time": _with_unit(said.get("exposure_time"), "s"),
        "camera_length": _with_unit(said.get("camera_length"), "m"),
        "scan_rotation": _with_unit(said.get("scan_rotation"), "degrees"),
        "defocus": _with_unit(said.get("defocus"), "m, positive for overfocus"),
        "beam_current": _with_unit(said.get("beam_current"), "A"),
        "counts": _with_unit(said.get("adu"), "units of the data for an electron"),
    }
    metadata |= {
        f"phaser_{key}": f"{said[key]}"
        for key in ("det_flips", "det_rotation", "crop", "scan_correction")
        if said.get(key) is not None
    }
    if said.get("scan_positions") is not None:
        metadata["phaser_scan_positions"] = "positions of their own are in the .json and are not read"
    named = said.get("raw_filename")
    return _Said(
        name=name,
        raw=_plain_name(named) if isinstance(named, str) else "",
        scans=[] if shape is None else [(shape, f"scan_shape in {name}")],
        entries=entries,
        metadata={key: printable(text, 120) for key, text in metadata.items() if text},
    )


def _number(value: Any) -> float:
    """A finite number; 0 where it is none, which states nothing."""
    try:
        number = 0.0 if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if math.isfinite(number) else 0.0


def _with_unit(value: Any, unit: str) -> str:
    try:
        number = float("nan") if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return ""
    return f"{number:g} {unit}" if math.isfinite(number) else ""


def _pair(values: Any) -> tuple[int, int] | None:
    """Two whole numbers above 0."""
    try:
        first, second = (int(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        return None
    return (first, second) if 0 < first < 10**6 and 0 < second < 10**6 else None


# -------------------------------------------------- the scan


def _shape_in_name(name: str) -> tuple[int, int] | None:
    """Rows and columns in the name that EMPAD's software gives.

    Examples
    --------
    >>> _shape_in_name("scan_x3_y2.raw"), _shape_in_name("series_x10.raw")
    ((2, 3), None)
    """
    found = re.search(r"(?:^|_)x([0-9]{1,6})_y([0-9]{1,6})(?![0-9])", name)
    return None if found is None else _pair((found[2], found[1]))


def _scan(raw: Path, said: list[_Said], count: int, size: int) -> tuple[tuple[int, int] | None, str, dict[str, str]]:
    """The shape, who says so, and what others say; without a shape why there is none, where it is not just unsaid."""
    named = _shape_in_name(raw.name)
    told = [] if named is None else [(named, "the name of the file")]
    for one in said:
        told += one.scans
    set_to = [setting for one in said for setting in one.settings]
    for shape, where in told:
        if math.prod(shape) * _PATTERN_BYTES == size and math.prod(shape) != count:
            raise FileFormatError(
                f"{printable(raw.name)} has {size} bytes, which by {where} is {sizes((*shape, SIDE, SIDE))} without "
                f"the two rows that EMPAD writes after each pattern. Read it as bare numbers: read(path, dtype='<f4', "
                f"detector_shape=({SIDE}, {SIDE}), scan_shape={shape})."
            )
    for source in (told, set_to):
        fitting = list(dict.fromkeys(shape for shape, _ in source if math.prod(shape) == count))
        if len(fitting) > 1:
            words = ", ".join(f"{sizes(shape)} by {where}" for shape, where in source if shape in fitting)
            return None, f"{printable(raw.name)} holds {count} patterns, which are {words}", {}
        if fitting:
            return _accepted(raw, fitting[0], [*told, *set_to])
    shapes = list(dict.fromkeys(shape for shape, _ in told or set_to))
    if len(shapes) == 1:  # a scan that was ended early, or another one: it is told where its rows are counted
        return shapes[0], next(where for _, where in told or set_to), {}
    if shapes:
        words = ", ".join(f"{sizes(shape)} by {where}" for shape, where in told or set_to)
        return None, f"{printable(raw.name)} holds {count} patterns, which is none of {words}", {}
    return None, "", {}


def _accepted(
    raw: Path, shape: tuple[int, int], told: list[tuple[tuple[int, int], str]]
) -> tuple[tuple[int, int], str, dict[str, str]]:
    by = next(where for other, where in told if other == shape)
    others = [(other, where) for other, where in told if other != shape]
    words = f"{sizes(shape)} by {by} and by the size of the file"
    words += "".join(f"; {sizes(other)} by {where}" for other, where in others)
    also = [f"{sizes(other)} by {where}" for other, where in others if math.prod(other) == math.prod(shape)]
    if also:
        warnings.warn(
            f"the scan of {printable(raw.name)} is taken as {sizes(shape)}, by {by}; {', '.join(also)} would go with "
            f"its size, too. If that is right, pass read(path, scan_shape=...).",
            DataWarning,
            stacklevel=5,
        )
    return shape, by, {"scan_shape": words}

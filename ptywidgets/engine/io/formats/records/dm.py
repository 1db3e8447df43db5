"""Gatan DigitalMicrograph .dm3 and .dm4: scans in both orders of the axes, stacks, single patterns."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataWarning, FileFormatError
from ptywidgets.engine.data.dataset_checks import checked_pattern, sizes
from ptywidgets.engine.io.arrays.axes import Mark, listed
from ptywidgets.engine.io.arrays.planes import Planes
from ptywidgets.engine.io.arrays.stacks import LARGEST, Records
from ptywidgets.engine.io.calibration_entries import CalibrationEntry, entry_if_set, unit_of
from ptywidgets.engine.io.detect_format import first_bytes, printable
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.records.dm_tags import Place, Stored, Tags, is_dm, read_tags, text_of

KEY = "dm"
NAME = "Gatan DigitalMicrograph .dm3, .dm4"

READING = "reading"  # the key of the metadata that says what is slow
_TYPES = {1: "i2", 2: "f4", 6: "u1", 7: "i4", 9: "i1", 10: "u2", 11: "u4", 12: "f8", 14: "u1", 39: "i8", 40: "u8"}
_NOT_READ = {
    3: "complex numbers", 5: "packed complex numbers", 8: "colours", 13: "complex numbers", 23: "colours",
    27: "packed complex numbers", 28: "packed complex numbers",
}  # fmt: skip
_ORDER_TAG = ("Meta Data", "Data Order Swapped")
_SCAN_TAGS = (("4D STEM Tags", "Scan shape Y"), ("4D STEM Tags", "Scan shape X"))
_SEMIANGLES = ("convergence semi-angle (mrad)", "convergence semi angle (mrad)")
_TOLD = {  # of the metadata: tags below ImageTags, and the unit of the value
    "camera length": (("Microscope Info", "STEM Camera Length"), "mm"),
    "microscope": (("Microscope Info", "Name"), ""),
    "illumination": (("Microscope Info", "Illumination Mode"), ""),
    "operation": (("Microscope Info", "Operation Mode"), ""),
    "magnification": (("Microscope Info", "Indicated Magnification"), ""),
    "scan rotation": (("DigiScan", "Rotation"), "deg"),
    "detector": (("Acquisition", "Device", "Name"), ""),
    "exposure": (("DataBar", "Exposure Time (s)"), "s"),
    "date": (("DataBar", "Acquisition Date"), ""),
    "time": (("DataBar", "Acquisition Time"), ""),
}


@dataclass(frozen=True)
class _Image:
    """One of the images in a file."""

    at: str  # in the tree, such as "ImageList.1"
    name: str
    shape: tuple[int, ...]  # slowest axis first
    kind: int  # DataType
    data: Stored
    thumbnail: bool

    @property
    def dtype(self) -> np.dtype:
        """Of a number in the file."""
        return np.dtype(self.data.code[:1] + _TYPES[self.kind])


def understands(path: Path) -> bool:
    """Whether the file begins as those of version 3 and 4 do."""
    return path.is_file() and is_dm(first_bytes(path, 18), path.stat().st_size)


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """A scan of four axes, or a stack of patterns; the largest of several images that is no thumbnail."""
    tags = read_tags(path)
    images = _images(tags, path)
    image = _chosen([i for i in images if len(i.shape) in (3, 4)], images, dataset, path)
    if len(image.shape) not in (3, 4):
        words = "is one pattern; open it with read_pattern(path)" if len(image.shape) == 2 else "is no scan"
        raise FileFormatError(
            f"the image {printable(image.name)!r} of {printable(path.name)} has the shape {image.shape}; expected a "
            f"scan (Ry, Rx, Qy, Qx) or a stack (J, Qy, Qx). It {words}."
        )
    _readable(image, path)
    place = tuple(image.at.split("."))
    marks = _marks(tags, place, len(image.shape))
    entries, metadata = _stated(tags, place)
    others = [i for i in images if i is not image and not i.thumbnail and len(i.shape) in (3, 4)]
    if others:
        metadata["other images"] = ", ".join(f"{i.at} {sizes(i.shape)}" for i in others[:10])
    if len(image.shape) == 3:
        return _stack(path, image, tags, marks, entries, metadata)
    order, why = _order(tags, place, marks, path)
    data = Planes(path, image.dtype, image.shape, image.data.offset)  # type: ignore[arg-type]  # of four axes
    if order[:2] == (2, 3):
        metadata[READING] = (
            "the values of one detector pixel lie together: one pattern is read from all over the file, rows of the "
            "scan in as many pieces as the detector has pixels; written anew, by write(path, dataset), it is quicker"
        )
    return FileContents(data, entries, None, metadata, image.at, axes=marks, order=order, order_from=why)


def read_pattern(path: Path, dataset: str | None = None, allow_external: bool = False) -> np.ndarray:
    """The largest image of two axes that is no thumbnail, (Qy, Qx)."""
    tags = read_tags(path)
    images = _images(tags, path)
    image = _chosen([i for i in images if len(i.shape) == 2], images, dataset, path)
    _readable(image, path)
    if math.prod(image.shape[:-2]) != 1 or len(image.shape) < 2:
        raise FileFormatError(
            f"the image {printable(image.name)!r} of {printable(path.name)} has the shape {image.shape}; expected one "
            "pattern, (Qy, Qx). Open it as data and take their mean: read(path).mean_pattern()."
        )
    stack = Records(path, np.dtype((image.dtype, image.shape[-2:])), 1, image.data.offset)
    return checked_pattern(stack[0])


def _stack(
    path: Path, image: _Image, tags: Tags, marks: tuple[Mark, ...], entries: list[CalibrationEntry], metadata: Any
) -> FileContents:
    if marks[0].unit.lower().strip() in ("ev", "kev"):
        raise FileFormatError(
            f"the image {printable(image.name)!r} of {printable(path.name)}, {sizes(image.shape)}, is a spectrum "
            f"image: its first axis is in {printable(marks[0].unit)}. Expected diffraction patterns."
        )
    stack = Records(path, np.dtype((image.dtype, image.shape[1:])), image.shape[0], image.data.offset)
    told = [_whole(next((v for at, v in tags.values.items() if at[-2:] == tag), None)) for tag in _SCAN_TAGS]
    shape = (told[0], told[1]) if told[0] and told[1] else None
    return FileContents(
        stack,
        entries,
        None,
        metadata,
        image.at,
        axes=marks,
        scan_shape=shape,
        scan_from="its tag 4D STEM Tags: Scan shape" if shape else "",
    )


def _order(tags: Tags, place: Place, marks: tuple[Mark, ...], path: Path) -> tuple[tuple[int, ...], str]:
    """Which axis holds each of (Ry, Rx, Qy, Qx), and why; () where the units of the axes say it."""
    kinds = [{"length": "R", "inverse": "Q", "angle": "Q"}.get(unit_of(mark.unit)[0], "") for mark in marks]
    by_units = {"RRQQ": True, "QQRR": False}.get("".join(kinds))  # whether the scan comes first
    tag = ".".join(_ORDER_TAG)
    told = tags.get(*place, "ImageTags", *_ORDER_TAG)
    if told is None:
        if by_units is None:
            warnings.warn(
                f"{printable(path.name)} has four axes, {listed(marks)}, and says neither by the tag {tag} nor by "
                "their units which are the scan's; the first two are taken for it. If they are the detector's, pass "
                "read(path, axes='Qy Qx Ry Rx').",
                DataWarning,
                stacklevel=4,
            )
        return (), ""
    scan_first = bool(told)
    if by_units is not None and by_units != scan_first:
        warnings.warn(
            f"{printable(path.name)} contradicts itself: its tag {tag} is {int(scan_first)}, which puts the "
            f"{'scan' if scan_first else 'detector'} first, but its axes are {listed(marks)}. The tag is believed; "
            f"if the units are right, pass read(path, axes='{'Qy Qx Ry Rx' if scan_first else 'Ry Rx Qy Qx'}').",
            DataWarning,
            stacklevel=4,
        )
    return ((0, 1, 2, 3) if scan_first else (2, 3, 0, 1)), f"its tag {tag} is {int(scan_first)}"


def _images(tags: Tags, path: Path) -> list[_Image]:
    """All images that have data."""
    thumbnails = {
        text_of(value) for at, value in tags.values.items() if at[:1] == ("Thumbnails",) and at[-1] == "ImageIndex"
    }
    found = []
    for at, data in tags.values.items():
        if len(at) != 4 or at[0] != "ImageList" or at[2:] != ("ImageData", "Data") or not isinstance(data, Stored):
            continue
        dimensions = tags.under(*at[:3], "Dimensions")
        shape = tuple(_whole(dimensions.get((str(n),))) for n in reversed(range(len(dimensions))))
        if not shape or min(shape) < 1 or len(shape) > 8:
            continue
        kind = _whole(tags.get(*at[:3], "DataType"))
        thumbnail = at[1] in thumbnails or kind in (8, 23)
        found.append(_Image(".".join(at[:2]), text_of(tags.get(*at[:2], "Name")), shape, kind, data, thumbnail))
    if not found:
        raise FileFormatError(f"{printable(path.name)} is a DigitalMicrograph file without an image.")
    return found


def _chosen(wanted: list[_Image], images: list[_Image], dataset: str | None, path: Path) -> _Image:
    """The image of that name or place, else the largest: of those that are wanted where there are any."""
    if dataset is not None:
        named = [i for i in images if dataset in (i.at, i.name)]
        if len(named) != 1:
            raise FileFormatError(
                f"dataset is {dataset!r}, but {len(named)} images of {printable(path.name)} are called that; expected "
                f"one of {', '.join(i.at for i in images[:10])}."
            )
        return named[0]
    real = [i for i in images if not i.thumbnail] or images
    some = [i for i in wanted if not i.thumbnail] or real
    return max(some, key=lambda i: math.prod(i.shape))


def _readable(image: _Image, path: Path) -> None:
    """Refuse what is not numbers, or not as many as it says."""
    name = f"the image {printable(image.name)!r} of {printable(path.name)}"
    if image.kind not in _TYPES:
        words = _NOT_READ.get(image.kind, f"of a type unknown here, DataType {image.kind}")
        raise FileFormatError(f"{name} is {words}; expected whole or real numbers: export the patterns as such.")
    itemsize = np.dtype(_TYPES[image.kind]).itemsize
    if math.prod(image.shape[-2:]) * itemsize > LARGEST:
        raise FileFormatError(f"a pattern of {name} is {sizes(image.shape[-2:])}, which is more than can be read.")
    if not image.data.code or itemsize != image.data.itemsize or math.prod(image.shape) != image.data.count:
        raise FileFormatError(
            f"{name} should be {sizes(image.shape)} numbers of {itemsize} bytes but has {image.data.count} of "
            f"{image.data.itemsize}; the file is damaged: copy it again."
        )


def _marks(tags: Tags, place: Place, axes: int) -> tuple[Mark, ...]:
    """What is said about each axis, slowest first."""
    marks = []
    for number in reversed(range(axes)):
        at = (*place, "ImageData", "Calibrations", "Dimension", str(number))
        step = tags.get(*at, "Scale")
        known = isinstance(step, (int, float)) and math.isfinite(step) and step != 0
        marks.append(
            Mark(
                name=text_of(tags.get(*at, "Label")),
                unit=text_of(tags.get(*at, "Units")),
                step=float(step) if known else None,
                where=".".join(at[2:]),
            )
        )
    return tuple(marks)


def _stated(tags: Tags, place: Place) -> tuple[list[CalibrationEntry], dict[str, str]]:
    """What the tags of an image say, apart from its axes."""
    below = tags.under(*place, "ImageTags")
    entries = entry_if_set("energy", below.get(("Microscope Info", "Voltage")), "V", "Microscope Info.Voltage")
    for at, value in below.items():
        if at[-1].lower() in _SEMIANGLES:
            entries += entry_if_set("semiangle", value, "mrad", ".".join(at))
    metadata = {}
    for name, (tag, unit) in _TOLD.items():
        value = below.get(tag)
        text = f"{value:.6g}" if isinstance(value, float) else text_of(value)
        if text and text not in ("0", "nan", "inf", "-inf"):
            metadata[name] = printable(f"{text} {unit}".rstrip())
    return entries, metadata


def _whole(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and math.isfinite(value) else 0

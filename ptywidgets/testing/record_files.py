"""Small files in the layouts of cameras and their programs, for tests."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_DM_TYPES = {"i2": 1, "f4": 2, "u1": 6, "i4": 7, "i1": 9, "u2": 10, "u4": 11, "f8": 12, "c8": 3, "i8": 39, "u8": 40}
_DM_CODES = {"i2": 2, "i4": 3, "u2": 4, "u4": 5, "f4": 6, "f8": 7, "u1": 10, "i1": 9, "i8": 11, "u8": 12}


def dm_file(
    path: Path,
    data: np.ndarray,
    calibrations: Sequence[tuple[float, str]] = (),
    tags: Mapping[str, Any] | None = None,
    version: int = 4,
    order: str = "<",
    extra: Sequence[np.ndarray] = (),
    data_type: int | None = None,
) -> Path:
    """A .dm3 or .dm4: a thumbnail, then `data` as stored, then other images.

    Parameters
    ----------
    path : Path
    data : ndarray
        Its slowest axis first. Of zeros that were broadcast nothing is written: a file of any size in no time.
    calibrations : sequence of (scale, unit)
        In the order of its axes.
    tags : mapping, optional
        Of the image; groups are mappings.
    version : 3 or 4
    order : "<" or ">"
        Of the bytes of values.
    extra : sequence of ndarray
        Further images.
    data_type : int, optional
        Instead of the right number.
    """
    thumbnail = {"ImageData": {"Data": np.zeros(16, "u4"), "DataType": 23, "Dimensions": {"": [4, 4]}}, "Name": "small"}
    images = [thumbnail, _dm_image(data, calibrations, "data", tags or {}, data_type)]
    images += [_dm_image(array, (), f"more {n}", {}, None) for n, array in enumerate(extra)]
    root = {"ImageList": {"": images}, "Thumbnails": {"": [{"ImageIndex": 0}]}}
    length = "Q" if version == 4 else "I"
    tree = _dm_group(root, length, order)
    with path.open("wb") as file:
        file.write(struct.pack(f">I{length}I", version, _size(tree), int(order == "<")))
        for piece in tree:
            file.seek(piece, 1) if isinstance(piece, int) else file.write(piece)
        file.write(bytes(8))
    return path


def _size(pieces: Sequence[bytes | int]) -> int:
    """Bytes of pieces, of which numbers stand for so many zeros."""
    return sum(piece if isinstance(piece, int) else len(piece) for piece in pieces)


def _dm_image(
    data: np.ndarray, calibrations: Sequence[tuple[float, str]], name: str, tags: Mapping[str, Any], kind: int | None
) -> dict[str, Any]:
    dimensions = [{"Label": "", "Origin": 0.0, "Scale": scale, "Units": unit} for scale, unit in calibrations]
    code = data.dtype.str[1:]
    return {
        "ImageData": {
            "Calibrations": {"Dimension": {"": dimensions[::-1]}},
            "Data": data,
            "DataType": _DM_TYPES[code] if kind is None else kind,
            "Dimensions": {"": list(data.shape)[::-1]},
        },
        "ImageTags": dict(tags),
        "Name": name,
    }


def _dm_group(group: Mapping[str, Any], length: str, order: str) -> list[bytes | int]:
    pairs = [(n, v) for n, v in group.items() if n] + [("", v) for v in group.get("", [])]
    pieces: list[bytes | int] = [struct.pack(f">BB{length}", 1, 0, len(pairs))]
    for name, value in pairs:
        pieces += _dm_tag(name, value, length, order)
    return pieces


def _dm_tag(name: str, value: Any, length: str, order: str) -> list[bytes | int]:
    is_group = isinstance(value, dict)
    content = _dm_group(value, length, order) if is_group else _dm_value(value, length, order)
    head = struct.pack(">BH", 20 if is_group else 21, len(name)) + name.encode("latin-1")
    return [head + (struct.pack(">Q", _size(content)) if length == "Q" else b""), *content]


def _dm_value(value: Any, length: str, order: str) -> list[bytes | int]:
    content: bytes | int
    if isinstance(value, str):
        info, content = [20, 4, len(value)], value.encode("utf-16-le" if order == "<" else "utf-16-be")
    elif isinstance(value, tuple):
        info, content = [15, 0, len(value), *([0, 6] * len(value))], struct.pack(f"{order}{len(value)}f", *value)
    elif isinstance(value, np.ndarray) and value.dtype.kind == "c":
        info, content = [20, 15, 0, 2, 0, 6, 0, 6, value.size], value.astype(order + "c8").tobytes()
    elif isinstance(value, np.ndarray):
        code = value.dtype.str[1:]
        empty = not any(value.strides) and not value.flat[0]
        info, content = (
            [20, _DM_CODES[code], value.size],
            value.nbytes if empty else value.astype(order + code).tobytes(),
        )
    elif isinstance(value, float):
        info, content = [7], struct.pack(order + "d", value)
    else:
        info, content = [5], struct.pack(order + "I", value)
    return [b"%%%%" + struct.pack(f">{1 + len(info)}{length}", len(info), *info), content]


def blo_file(path: Path, data: np.ndarray, step: tuple[float, float] = (0.0, 0.0), volts: int = 0) -> Path:
    """A blockfile of data (Ry, Rx, Q, Q) uint8 with `step` (rows, columns) in nm."""
    rows, columns, side, _ = data.shape
    offset = 4096 + 16 * ((rows * columns + 15) // 16)
    head = struct.pack(
        "<6sHIIIHHHHHddIHId",
        b"IMGBLO", 258, 4096, offset, 131141, side, 0, columns, rows, 2500, step[1], step[0], volts, 6226, 2000, 42e3,
    )  # fmt: skip
    frames = data.reshape(-1, side, side).astype("u1")
    content = b"".join(struct.pack("<HI", 0x55AA, n) + frame.tobytes() for n, frame in enumerate(frames))
    path.write_bytes(head.ljust(offset, b"\0") + content)
    return path


def tvips_files(
    folder: Path, data: np.ndarray, parts: Sequence[int], version: int = 2, kilovolts: int = 200, name: str = "stream"
) -> list[Path]:
    """A recording of patterns (J, Qy, Qx), uint8 or uint16, cut after so many patterns each."""
    _, rows, columns = data.shape
    before = 12 if version == 1 else 60
    head = struct.pack(
        "<13I", 256, version, columns, rows, 8 * data.itemsize, 0, 0, 2, 2, 1, kilovolts, 80,
        0 if version == 1 else before,
    )  # fmt: skip
    head += (b"TVIPS " * 40)[: 256 - len(head)]
    made, first = [], 0
    for number, count in enumerate(parts):
        made.append(folder / f"{name}_{number:03d}.tvips")
        frames = data[first : first + count]
        content = b"".join(
            struct.pack("<I", n).ljust(before, b"\7") + frame.tobytes() for n, frame in enumerate(frames)
        )
        made[-1].write_bytes((head if number == 0 else b"") + content)
        first += count
    return made


def mrc_file(
    path: Path,
    data: np.ndarray,
    order: str = "<",
    extended: int = 0,
    marked: bool = True,
    mode: int | None = None,
    imod_flags: int | None = None,
) -> Path:
    """An MRC stack of patterns (J, Qy, Qx)."""
    modes = {"i1": 0, "u1": 0, "i2": 1, "f4": 2, "u2": 6, "f2": 12}
    code = data.dtype.str[1:]
    patterns, rows, columns = data.shape
    head = bytearray(1024)
    struct.pack_into(order + "4i", head, 0, columns, rows, patterns, modes[code] if mode is None else mode)
    struct.pack_into(order + "i", head, 92, extended)
    if imod_flags is not None:
        struct.pack_into(order + "2i", head, 152, 1146047817, imod_flags)
    if marked:
        head[208:216] = b"MAP " + (b"DD\0\0" if order == "<" else b"\x11\x11\0\0")
    path.write_bytes(bytes(head) + bytes([9]) * extended + data.astype(order + code).tobytes())
    return path


def de_info(path: Path, shape: tuple[int, ...], **more: Any) -> Path:
    """The info file of a Direct Electron movie of (Ry, Rx, Qy, Qx)."""
    rows, columns, detector_rows, detector_columns = shape
    values = {
        "Camera Model": "DESim",
        "Image Size X (pixels)": detector_columns,
        "Image Size Y (pixels)": detector_rows,
        "Instrument Accelerating Voltage (V)": 80000,
        "Instrument Project Camera Length (centimeters)": 10,
        "Scan - Enable": "Enable",
        "Scan - Type": "Raster",
        "Scan - Size X": columns,
        "Scan - Size Y": rows,
        "Scan - ROI Enable": "Disable",
        "Specimen Pixel Size X (nanometers)": 0.2,
        "Specimen Pixel Size Y (nanometers)": 0.15,
        "Diffraction Pixel Size X": 0.4,
        "Diffraction Pixel Size Y": 0.5,
        **more,
    }
    path.write_text("\n".join(f"{key:<50} = {value}" for key, value in values.items()))
    return path

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
        Its slowest axis first.
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
    path.write_bytes(struct.pack(f">I{length}I", version, len(tree), int(order == "<")) + tree + bytes(8))
    return path


def _dm_image(
    data: np.ndarray, calibrations: Sequence[tuple[float, str]], name: str, tags: Mapping[str, Any], kind: int | None
) -> dict[str, Any]:
    dimensions = [{"Label": "", "Origin": 0.0, "Scale": scale, "Units": unit} for scale, unit in calibrations]
    code = data.dtype.str[1:]
    return {
        "ImageData": {
            "Calibrations": {"Dimension": {"": dimensions[::-1]}},
            "Data": data.reshape(-1),
            "DataType": _DM_TYPES[code] if kind is None else kind,
            "Dimensions": {"": list(data.shape)[::-1]},
        },
        "ImageTags": dict(tags),
        "Name": name,
    }


def _dm_group(group: Mapping[str, Any], length: str, order: str) -> bytes:
    pairs = [(n, v) for n, v in group.items() if n] + [("", v) for v in group.get("", [])]
    return struct.pack(f">BB{length}", 1, 0, len(pairs)) + b"".join(_dm_tag(n, v, length, order) for n, v in pairs)


def _dm_tag(name: str, value: Any, length: str, order: str) -> bytes:
    is_group = isinstance(value, dict)
    content = _dm_group(value, length, order) if is_group else _dm_value(value, length, order)
    head = struct.pack(">BH", 20 if is_group else 21, len(name)) + name.encode("latin-1")
    return head + (struct.pack(">Q", len(content)) if length == "Q" else b"") + content


def _dm_value(value: Any, length: str, order: str) -> bytes:
    if isinstance(value, str):
        info, content = [20, 4, len(value)], value.encode("utf-16-le" if order == "<" else "utf-16-be")
    elif isinstance(value, tuple):
        info, content = [15, 0, len(value), *([0, 6] * len(value))], struct.pack(f"{order}{len(value)}f", *value)
    elif isinstance(value, np.ndarray) and value.dtype.kind == "c":
        info, content = [20, 15, 0, 2, 0, 6, 0, 6, value.size], value.astype(order + "c8").tobytes()
    elif isinstance(value, np.ndarray):
        code = value.dtype.str[1:]
        info, content = [20, _DM_CODES[code], value.size], value.astype(order + code).tobytes()
    elif isinstance(value, float):
        info, content = [7], struct.pack(order + "d", value)
    else:
        info, content = [5], struct.pack(order + "I", value)
    return b"%%%%" + struct.pack(f">{1 + len(info)}{length}", len(info), *info) + content

"""What a reconstruction was given to begin with, in its file."""

from __future__ import annotations

import json
from typing import Any

import h5py

from ptywidgets.engine.io.formats.hdf5.emd_write import write_array, write_metadata
from ptywidgets.engine.solve.given import Given, checked_object, checked_probe

NAME = "given"
NUMBERS = ("probe_sampling", "object_sampling", "object_middle", "orientation", "hold_probe", "hold_object", "words")


def write_given(root: h5py.Group, given: Given) -> None:
    """Write arrays and numbers."""
    numbers = {name: getattr(given, name) for name in NUMBERS}
    write_metadata(root, NAME, {"numbers": json.dumps(numbers)})
    for what, unit in (("probe", ""), ("object", "rad")):
        array = getattr(given, what)
        if array is not None:
            write_array(root, f"{NAME} {what}", array, unit=unit)


def read_given(root: h5py.Group) -> Given | None:
    """What :func:`write_given` wrote; None where nothing was."""
    if NAME not in root["metadatabundle"]:
        return None
    numbers: dict[str, Any] = json.loads(root["metadatabundle"][NAME]["numbers"][()].decode())
    values: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in numbers.items() if name in NUMBERS
    }
    if f"{NAME} probe" in root:
        values["probe"] = checked_probe(root[f"{NAME} probe"]["data"][...], centred=False)
    if f"{NAME} object" in root:
        values["object"] = checked_object(root[f"{NAME} object"]["data"][...])
    return Given(**values)

"""The image that the next fresh run begins from, in its file."""

from __future__ import annotations

import json
from typing import Any

import h5py

from ptywidgets.engine.checkpoint.plain import from_plain, to_plain
from ptywidgets.engine.direct.image import DirectImage
from ptywidgets.engine.io.formats.hdf5.emd_write import Axis, write_array, write_metadata

NAME = "initial image"
FIELDS = ("sampling", "method", "rotation", "transpose", "aberrations", "message", "errors")


def write_image(root: h5py.Group, image: DirectImage) -> None:
    """Write the phase, and what it was made with."""
    told = {name: to_plain(getattr(image, name)) for name in FIELDS}
    write_metadata(root, NAME, {"made_with": json.dumps(told)})
    axes = [Axis("y", float(image.sampling[0]), "A"), Axis("x", float(image.sampling[1]), "A")]
    write_array(root, NAME, image.phase, axes=axes, unit="rad")


def read_image(root: h5py.Group) -> DirectImage | None:
    """What :func:`write_image` wrote; None where nothing was."""
    if NAME not in root["metadatabundle"]:
        return None
    told: dict[str, Any] = json.loads(root["metadatabundle"][NAME]["made_with"][()].decode())
    fields = {name: from_plain(value) for name, value in told.items() if name in FIELDS}
    return DirectImage(phase=root[f"{NAME}/data"][...], **fields)


__all__ = ["read_image", "write_image"]

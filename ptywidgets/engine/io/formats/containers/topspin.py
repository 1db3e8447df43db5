"""TopSpin's .app5 of NanoMegas, HDF5 with an array for each pattern, through rosettasciio."""

from __future__ import annotations

import re
from pathlib import Path

import h5py

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.io.detect_format import is_hdf5
from ptywidgets.engine.io.formats.containers import rosettasciio
from ptywidgets.engine.io.formats.hdf5.tree import hdf5_errors, member, open_hdf5

KEY = "topspin"
NAME = "TopSpin .app5"
MOST_NAMES = 100
_IDENTIFIER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
read = rosettasciio.read


def understands(path: Path) -> bool:
    """Whether it is HDF5 with a version at its root and groups that are called by identifiers alone."""
    if not is_hdf5(path):
        return False
    try:
        with open_hdf5(path) as file, hdf5_errors(path):
            if not isinstance(member(file, "Version"), h5py.Dataset) or len(file) > MOST_NAMES:
                return False
            return any(_IDENTIFIER.fullmatch(name) for name in file)
    except FileFormatError:
        return False  # the plain HDF5 reader says what is wrong

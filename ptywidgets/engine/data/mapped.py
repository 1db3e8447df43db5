"""Where the values of a memory map are: pickled in its stead, so that data stay in their file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ptywidgets.engine.core.errors import DataError, FileFormatError


@dataclass(frozen=True)
class MappedArray:
    """Where a memory map's values are: what is pickled in its stead, for numpy would pickle the values."""

    path: str
    offset: int  # bytes
    dtype: np.dtype
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    size: int  # bytes of the whole file

    @classmethod
    def of(cls, array: np.ndarray) -> MappedArray | None:
        """Of a memory map, or of one whole block of one; None for what is none."""
        if not isinstance(array, np.memmap) or array.filename is None:
            return None
        if not (array.flags.c_contiguous or array.flags.f_contiguous):
            return None
        root: Any = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        if not isinstance(root, np.memmap):
            return None
        offset = root.offset + array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        order: Literal["C", "F"] = "C" if array.flags.c_contiguous else "F"
        path = os.path.abspath(array.filename)
        return cls(path, int(offset), array.dtype, array.shape, order, os.path.getsize(path))

    def open(self) -> np.ndarray:
        """The array again, mapped for reading."""
        name = os.path.basename(self.path)
        try:
            size = os.path.getsize(self.path)
        except OSError as error:
            raise DataError(f"{name} is no longer where it was: {self.path} ({error.strerror}).") from None
        if size != self.size:
            raise FileFormatError(f"{name} has been replaced since it was opened; read it again.")
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order)

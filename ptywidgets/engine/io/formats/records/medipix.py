"""Pixels as Medipix3 chips send them, which Merlin's raw mode (R64) stores without putting them in order.

Each chip row comes in words of 64 bits, the last pixel of a word first: 64 pixels of 1 bit, 8 of 6 bits in bytes, or 4
of 12 bits in big-endian 16-bit words. Of 24 bits there are two images of 12, the high bits first. With four chips in a
square one row of the file is a row of each, those of the lower half first and turned by 180 degrees.
"""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.core.errors import FileFormatError
from ptywidgets.engine.io.arrays.stacks import Decode

WORD = {1: 64, 6: 8, 12: 4, 24: 4}  # pixels of so many bits in a word of 64


def raw_field(width: int, height: int, depth: int, chips: int, layout: str) -> tuple[np.dtype, Decode]:
    """What lies behind a frame's header, and the function that makes patterns (n, Qy, Qx) of it.

    Parameters
    ----------
    width, height : int
        As the header says them: of 24 bits the width of both images, of four chips that of all side by side.
    depth : int
        Bits of a counter.
    chips : int
    layout : str
        Such as "1x1" or "2x2", with a G at its end where gaps are filled.

    Raises
    ------
    FileFormatError
        Where the arrangement is not known.
    """
    if depth not in WORD:
        raise FileFormatError(f"it is raw with {depth} bits a pixel; expected 1, 6, 12 or 24.")
    quad = chips == 4 and layout.upper().rstrip("G") == "2X2"
    if chips != 1 and not (quad and depth != 24):
        raise FileFormatError(
            f"it is raw of {chips} chips in the layout {layout} with {depth} bits, whose order is not known; save it "
            "as U16 or U32 in Merlin's software."
        )
    across = width // 2 if depth == 24 else width // 4 if quad else width  # of one chip
    if across % WORD[depth] or across * (2 if depth == 24 else 4 if quad else 1) != width or (quad and height > across):
        raise FileFormatError(
            f"its raw frames are {height} rows of {width} pixels of {depth} bits from {chips} chips; expected rows of "
            f"whole words of 64 bits{', four chips side by side' if quad else ''}."
        )
    if depth == 1:
        return np.dtype(("u1", (height, width // 8))), _quad_1 if quad else _one_1
    if depth == 6:
        return np.dtype(("u1", (height, width))), _quad_6 if quad else _one_6
    if depth == 12:
        return np.dtype((">u2", (height, width))), _quad_12 if quad else _one_12
    return np.dtype((">u2", (2, height, across))), _one_24


def _words_turned(values: np.ndarray, word: int) -> np.ndarray:
    return values.reshape(*values.shape[:-1], -1, word)[..., ::-1].reshape(values.shape)


def _square(rows: np.ndarray) -> np.ndarray:
    """(n, Qy, Qx) of rows of four chips, (n, rows, 4 x columns)."""
    bottom_right, bottom_left, top_right, top_left = np.split(rows, 4, axis=-1)
    top = np.concatenate([top_left, top_right], -1)
    bottom = np.concatenate([bottom_left[:, ::-1, ::-1], bottom_right[:, ::-1, ::-1]], -1)
    return np.concatenate([top, bottom], 1)


def _one_1(values: np.ndarray) -> np.ndarray:
    return np.unpackbits(_words_turned(values, 8), axis=-1, bitorder="little")


def _one_6(values: np.ndarray) -> np.ndarray:
    return _words_turned(values, 8)


def _one_12(values: np.ndarray) -> np.ndarray:
    return _words_turned(values, 4).astype(np.uint16)


def _one_24(values: np.ndarray) -> np.ndarray:
    high, low = (_words_turned(values[:, part], 4).astype(np.uint32) for part in (0, 1))
    return (high << np.uint32(12)) + low


def _quad_1(values: np.ndarray) -> np.ndarray:
    return _square(_one_1(values))


def _quad_6(values: np.ndarray) -> np.ndarray:
    return _square(_one_6(values))


def _quad_12(values: np.ndarray) -> np.ndarray:
    return _square(_one_12(values))

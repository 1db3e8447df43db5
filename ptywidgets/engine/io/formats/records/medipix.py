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
    words = across // WORD[depth]
    if depth == 24:
        return np.dtype((">u8", (2, height, words))), _one_24
    one, four = {1: (_one_1, _quad_1), 6: (_one_6, _quad_6), 12: (_one_12, _quad_12)}[depth]
    return np.dtype((">u8", (height, 4 * words if quad else words))), four if quad else one


def _pixels(words: np.ndarray, kind: str) -> np.ndarray:
    """Of words of 64 bits their parts, the last one first."""
    return np.ascontiguousarray(words, "<u8").view(kind)


def _square(rows: np.ndarray) -> np.ndarray:
    """(n, Qy, Qx) of rows of four chips, (n, rows, 4 x columns)."""
    count, height, width = rows.shape
    y, x = height, width // 4
    out = np.empty((count, 2 * y, 2 * x), rows.dtype)
    out[:, y:, x:] = rows[:, ::-1, x - 1 :: -1]
    out[:, y:, :x] = rows[:, ::-1, 2 * x - 1 : x - 1 : -1]
    out[:, :y, x:] = rows[:, :, 2 * x : 3 * x]
    out[:, :y, :x] = rows[:, :, 3 * x :]
    return out


def _one_1(words: np.ndarray) -> np.ndarray:
    return np.unpackbits(_pixels(words, "u1"), axis=-1, bitorder="little")


def _one_6(words: np.ndarray) -> np.ndarray:
    return _pixels(words, "u1")


def _one_12(words: np.ndarray) -> np.ndarray:
    return _pixels(words, "<u2")


def _one_24(words: np.ndarray) -> np.ndarray:
    high, low = (_pixels(words[:, part], "<u2") for part in (0, 1))
    return high * np.uint32(4096) + low


def _quad_1(words: np.ndarray) -> np.ndarray:
    return _square(_one_1(words))


def _quad_6(words: np.ndarray) -> np.ndarray:
    return _square(_one_6(words))


def _quad_12(words: np.ndarray) -> np.ndarray:
    return _square(_one_12(words))

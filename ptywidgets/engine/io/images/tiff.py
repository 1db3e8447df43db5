"""TIFF of 32-bit numbers with the size of a pixel, as ImageJ, Digital Micrograph and Python's readers take it.

Baseline TIFF 6.0: one strip a page, not compressed. The unit is in ImageJ's description; the resolution tags hold
pixels per nanometre, which other readers take for numbers without a unit.
"""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np

from ptywidgets.engine.core.errors import DataError

_LARGEST = 2**32 - 1  # what an offset holds
_SHORT, _LONG, _RATIONAL, _ASCII = 3, 4, 5, 2


def tiff(images: np.ndarray, sampling: tuple[float, float] | None, spacing: float | None = None) -> bytes:
    r"""A TIFF file of one image, or of a stack.

    Parameters
    ----------
    images : ndarray (H, W) or (S, H, W)
        Real; written as float32.
    sampling : (float, float) or None
        Pixel (row, column) in A; None where it is not known.
    spacing : float, optional
        From one image of a stack to the next, in A.

    Raises
    ------
    DataError
        When it is no image, or too large for the format (4 GB).

    Examples
    --------
    >>> tiff(np.ones((2, 3)), (0.5, 0.5))[:4]
    b'II*\x00'
    """
    pages = np.asarray(images)
    pages = pages[None] if pages.ndim == 2 else pages
    if pages.ndim != 3 or 0 in pages.shape or pages.dtype.kind not in "biuf":
        raise DataError(
            f"an image for TIFF is {pages.shape} {pages.dtype}; expected real numbers (H, W), or (S, H, W) for a stack."
        )
    pages = np.ascontiguousarray(pages, "<f4")
    count, height, width = pages.shape
    said = ["ImageJ=1.54f"]
    said += [f"images={count}", f"slices={count}"] if count > 1 else []
    said += ["unit=nm"] if sampling is not None else []
    said += [f"spacing={spacing / 10:.9g}"] if count > 1 and spacing else []
    said += [f"min={float(np.nanmin(pages)):.9g}", f"max={float(np.nanmax(pages)):.9g}"]
    description = "\n".join(said).encode("ascii") + b"\n\0"
    per_nm = [Fraction(10 / s).limit_denominator(10**6) for s in (sampling or (10.0, 10.0))]
    strip = height * width * 4
    head = bytearray(b"II*\0" + struct.pack("<I", 8))
    entries_of_page = 13
    directory = 2 + 12 * entries_of_page + 4
    extra = len(description) + len(description) % 2 + 16
    first_strip = 8 + count * directory + extra
    if first_strip + count * strip > _LARGEST:
        raise DataError(
            f"a TIFF of {count} x {height} x {width} numbers would be larger than 4 GB; export fewer slices, or "
            "another format."
        )
    at_text = 8 + count * directory
    at_rows = at_text + len(description) + len(description) % 2
    for page in range(count):
        following = 8 + (page + 1) * directory if page + 1 < count else 0
        entries = [
            (256, _LONG, 1, width),
            (257, _LONG, 1, height),
            (258, _SHORT, 1, 32),
            (259, _SHORT, 1, 1),  # not compressed
            (262, _SHORT, 1, 1),  # 0 is black
            (270, _ASCII, len(description), at_text),
            (273, _LONG, 1, first_strip + page * strip),
            (277, _SHORT, 1, 1),
            (278, _LONG, 1, height),
            (279, _LONG, 1, strip),
            (282, _RATIONAL, 1, at_rows + 8),  # along a row
            (283, _RATIONAL, 1, at_rows),
            (339, _SHORT, 1, 3),  # floating point
        ]
        head += struct.pack("<H", len(entries))
        for tag, kind, n, value in entries:
            head += struct.pack("<HHII", tag, kind, n, value)
        head += struct.pack("<I", following)
    head += description + b"\0" * (len(description) % 2)
    for fraction in per_nm:
        head += struct.pack("<II", fraction.numerator, fraction.denominator)
    return bytes(head) + pages.tobytes()

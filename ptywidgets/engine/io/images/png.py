"""PNG with numpy and zlib alone, and an image in grey with a scale bar."""

from __future__ import annotations

import math
import struct
import zlib

import numpy as np

from ptywidgets.engine.core.errors import DataError

_SMALLEST = 512  # pixels of the longer side: a smaller image is enlarged by a whole number
# Signs of a scale bar's label, 5 x 7 pixels, each row five bits.
_SIGNS = {
    "0": (14, 17, 19, 21, 25, 17, 14),
    "1": (4, 12, 4, 4, 4, 4, 14),
    "2": (14, 17, 1, 2, 4, 8, 31),
    "5": (31, 16, 30, 1, 1, 17, 14),
    ".": (0, 0, 0, 0, 0, 12, 12),
    " ": (0, 0, 0, 0, 0, 0, 0),
    "n": (0, 0, 22, 25, 17, 17, 17),
    "m": (0, 0, 26, 21, 21, 21, 21),
    "A": (4, 0, 4, 10, 17, 31, 17),  # with its ring
}


def png(rgb: np.ndarray) -> bytes:
    r"""An image as a PNG file.

    Parameters
    ----------
    rgb : (H, W, 3) or (H, W, 4) uint8
        Colours, with opacity or without.

    Examples
    --------
    >>> png(np.zeros((2, 3, 3), np.uint8))[:8]
    b'\x89PNG\r\n\x1a\n'
    """
    pixels = np.ascontiguousarray(rgb, np.uint8)
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or pixels.size == 0:
        raise ValueError(f"an image has shape (H, W, 3) or (H, W, 4), got {pixels.shape}.")
    height, width, channels = pixels.shape
    rows = np.zeros((height, width * channels + 1), np.uint8)  # every row begins with its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 6, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def grey_with_scale_bar(
    image: np.ndarray, sampling: tuple[float, float] | None, percentiles: tuple[float, float] = (0.5, 99.5)
) -> np.ndarray:
    """An image (H, W) in grey, with a scale bar where the size of a pixel is known; pixels become square.

    Parameters
    ----------
    image : ndarray (H, W)
    sampling : (float, float) or None
        Pixel (row, column) in A.
    percentiles : (float, float)
        Of the finite values, that are black and white.

    Returns
    -------
    ndarray (H', W', 3) uint8
        Enlarged by a whole number, where it is small.
    """
    values = np.asarray(image, float)
    if values.ndim != 2 or not values.size:
        raise DataError(f"an image is (H, W), got {values.shape}.")
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, percentiles) if finite.size else (0.0, 1.0)
    grey = np.clip((np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-30), 0, 1)
    grey = np.rint(255 * grey).astype(np.uint8)
    pixel = None
    if sampling is not None:
        pixel = min(sampling)
        places = [
            np.minimum((np.arange(max(1, round(n * s / pixel))) * pixel / s).astype(int), n - 1)
            for n, s in zip(grey.shape, sampling, strict=True)
        ]
        grey = grey[np.ix_(*places)]
    factor = max(1, math.ceil(_SMALLEST / max(grey.shape)))
    grey = grey.repeat(factor, 0).repeat(factor, 1)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    if pixel is not None:
        _draw_bar(rgb, pixel / factor)
    return rgb


def bar_length(width: float) -> float:
    """A round length (1, 2 or 5 times a power of ten) of at most a quarter of `width`, in its unit.

    Examples
    --------
    >>> bar_length(100.0), bar_length(37.0), bar_length(8.5)
    (20.0, 5.0, 2.0)
    """
    most = width / 4
    power = 10.0 ** math.floor(math.log10(most))
    return max(n * power for n in (1, 2, 5) if n * power <= most)


def _draw_bar(rgb: np.ndarray, pixel: float) -> None:
    """White on a dark edge, in the lower left corner; `pixel` in A."""
    height, width = rgb.shape[:2]
    length = bar_length(width * pixel)
    label = f"{length / 10:g} nm" if length >= 10 else f"{length:g} A"
    size = max(1, min(height, width) // 200)  # pixels of a sign's dot
    bar = max(1, round(length / pixel)), 3 * size
    margin = 4 * size
    if height < 16 * size + 2 * margin or width < bar[0] + 2 * margin:
        return
    top = height - margin - bar[1]
    sign_top = top - 9 * size
    text = np.zeros((7, 6 * len(label)), bool)
    for place, sign in enumerate(label):
        rows = _SIGNS.get(sign, _SIGNS[" "])
        text[:, 6 * place : 6 * place + 5] = [[bool(row >> bit & 1) for bit in (4, 3, 2, 1, 0)] for row in rows]
    drawn = np.zeros((height, width), bool)
    drawn[top : top + bar[1], margin : margin + bar[0]] = True
    dots = text.repeat(size, 0).repeat(size, 1)[:, : width - 2 * margin]
    drawn[sign_top : sign_top + dots.shape[0], margin : margin + dots.shape[1]] |= dots
    edge = drawn.copy()
    for _ in range(size):
        wider = edge.copy()
        wider[1:] |= edge[:-1]
        wider[:-1] |= edge[1:]
        wider[:, 1:] |= edge[:, :-1]
        wider[:, :-1] |= edge[:, 1:]
        edge = wider
    rgb[edge] = 0
    rgb[drawn] = 255


__all__ = ["bar_length", "grey_with_scale_bar", "png"]

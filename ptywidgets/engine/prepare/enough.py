"""Whether there is enough of a scan, and of a detector, to tell what is asked."""

from __future__ import annotations

from ptywidgets.engine.errors import InsufficientData

LEAST = (
    4  # positions on a side of the scan from which on directions, and frequencies between none and the highest, exist
)


def require_scan(shape: tuple[int, ...], what: str, least: int = LEAST) -> None:
    """Raise an InsufficientData where a scan (Ry, Rx) has fewer than `least` positions on a side.

    Examples
    --------
    >>> require_scan((1, 12), "the rotation")
    Traceback (most recent call last):
    ptywidgets.engine.errors.InsufficientData: cannot tell the rotation from a scan of 1 x 12 positions; expected 4 x \
4 at least: scan an area, or give it.
    """
    ry, rx = (int(n) for n in shape[:2])
    if min(ry, rx) < least:
        raise InsufficientData(
            f"cannot tell {what} from a scan of {ry} x {rx} positions; expected {least} x {least} at least: scan an "
            "area, or give it."
        )


def require_pixels(count: int, what: str, least: int = 9) -> None:
    """Raise an InsufficientData where fewer than `least` detector pixels with counts lie in the aperture."""
    if count < least:
        raise InsufficientData(
            f"cannot tell {what} from {count} detector pixels in the aperture; expected {least} at least: use less "
            "binning or a longer camera length, check semiangle and q_pixel, or give it."
        )


__all__ = ["LEAST", "require_pixels", "require_scan"]

"""Whether there is enough of a scan, and of a detector, to tell what is asked."""

from __future__ import annotations

from ptywidgets.engine.core.errors import InsufficientData

LEAST = (
    4  # positions on a side of the scan from which on directions, and frequencies between none and the highest, exist
)

PIXELS = 9  # of the aperture, from which on there is something to compare
FEWEST = 5  # from which on the spectra of a scan have frequencies to tell orientation and defocus from


def require_scan(shape: tuple[int, ...], what: str) -> None:
    """Raise an InsufficientData where a scan (Ry, Rx) has fewer than :data:`LEAST` positions on a side.

    Examples
    --------
    >>> require_scan((1, 12), "the rotation")
    Traceback (most recent call last):
    ptywidgets.engine.core.errors.InsufficientData: cannot tell the rotation from a scan of 1 x 12 positions; \
expected 4 x 4 at least: scan an area, or give it.
    """
    ry, rx = (int(n) for n in shape[:2])
    if min(ry, rx) < LEAST:
        raise InsufficientData(
            f"cannot tell {what} from a scan of {ry} x {rx} positions; expected {LEAST} x {LEAST} at least: scan an "
            "area, or give it."
        )


def require_enough(shape: tuple[int, ...], kept: int | None = None) -> None:
    """Raise an InsufficientData where a scan (Ry, Rx), or what is kept of it, is too small to search for a start.

    Examples
    --------
    >>> require_enough((4, 12))
    Traceback (most recent call last):
    ptywidgets.engine.core.errors.InsufficientData: 4 x 12 scan positions are too few to tell it from; expected 5 x 5 \
at least.
    >>> require_enough((12, 12), kept=4)
    Traceback (most recent call last):
    ptywidgets.engine.core.errors.InsufficientData: 4 scan positions that are not left out are too few to tell it \
from; expected 25 at least.
    """
    if min(shape) < FEWEST:
        size = " x ".join(map(str, shape))
        raise InsufficientData(
            f"{size} scan positions are too few to tell it from; expected {FEWEST} x {FEWEST} at least."
        )
    if kept is not None and kept < FEWEST**2:
        raise InsufficientData(
            f"{kept} scan positions that are not left out are too few to tell it from; expected {FEWEST**2} at least."
        )


def require_pixels(count: int, what: str) -> None:
    """Raise an InsufficientData where fewer than :data:`PIXELS` detector pixels with counts lie in the aperture."""
    if count < PIXELS:
        raise InsufficientData(
            f"cannot tell {what} from {count} detector pixels in the aperture; expected {PIXELS} at least: use less "
            "binning or a longer camera length, check semiangle and q_pixel, or give it."
        )


__all__ = ["FEWEST", "LEAST", "require_enough", "require_pixels", "require_scan"]

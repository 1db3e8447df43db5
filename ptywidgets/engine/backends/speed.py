"""What the CPU would be faster with: packages that an installation may lack, and the line that installs them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

PACKAGES = {"numba": "two to three times as long", "ducc0": "somewhat longer"}  # and what a run takes without it


def slower() -> str:
    """One sentence about those that are missing here; empty where none is."""
    return in_words([name for name in PACKAGES if importlib.util.find_spec(name) is None])


def in_words(missing: Sequence[str]) -> str:
    """What a run is like without these packages, and how they are installed.

    Examples
    --------
    >>> in_words(["ducc0"])
    'Without ducc0 this takes somewhat longer; to install it: pip install ducc0, then start Python anew.'
    >>> in_words([])
    ''
    """
    if not missing:
        return ""
    what = "it" if len(missing) == 1 else "them"
    return (
        f"Without {' and '.join(missing)} this takes {PACKAGES[missing[0]]}; "
        f"to install {what}: pip install {' '.join(missing)}, then start Python anew."
    )


__all__ = ["in_words", "slower"]

"""A widget that changes its own controls hears them say so: what they say meanwhile is not the user's."""

from __future__ import annotations


class Quiet:
    """True within its own `with` block.

    Examples
    --------
    >>> quiet = Quiet()
    >>> with quiet:
    ...     print(bool(quiet))
    True
    >>> bool(quiet)
    False
    """

    _on = False

    def __bool__(self) -> bool:
        return self._on

    def __enter__(self) -> None:
        self._on = True

    def __exit__(self, *_error: object) -> None:
        self._on = False

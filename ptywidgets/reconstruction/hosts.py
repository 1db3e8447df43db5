"""What the host can show: some drop what a thread sends after its cell has ended."""

from __future__ import annotations

import sys


def shows_threads() -> bool:
    """Whether pictures sent from a worker thread reach the page after the cell has returned.

    Colab's front end keeps them back until the next cell runs (colabtools issue 3373), so there a run blocks its cell,
    streams from it, and the interrupt button is the Stop button.

    Examples
    --------
    >>> shows_threads()
    True
    """
    return "google.colab" not in sys.modules

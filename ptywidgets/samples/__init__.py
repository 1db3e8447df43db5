"""Data to try things out on: `ducky` is simulated here, `fetch` downloads the published tutorial files."""

from __future__ import annotations

from ptywidgets.samples.ducky import SIZES, ducky, ducky_defocus, ducky_truth
from ptywidgets.samples.fetch import FetchedSample, fetch

__all__ = ["SIZES", "FetchedSample", "ducky", "ducky_defocus", "ducky_truth", "fetch"]

"""Still images of widgets, and what a notebook shows where widgets do not run."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import ipywidgets
import numpy as np

from ptywidgets.widgets.image.colormaps import CYCLIC, DIVERGING, table
from ptywidgets.widgets.image.frames import Frame, reduced

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
DEPTH = 1000.0  # the log scale is log(1 + 1000 t), as in js/lib/paint.ts
IPYWIDGETS_7 = int(ipywidgets.__version__.split(".")[0]) < 8


def scaled(fraction: np.ndarray, scale: str, gamma: float = 0.5) -> np.ndarray:
    """Where on the colour map values at ``fraction`` of the limits lie, as in the browser."""
    t = np.clip(fraction, 0, 1)
    if scale == "sqrt":
        return np.sqrt(t)
    if scale == "log":
        return np.log1p(DEPTH * t) / np.log1p(DEPTH)
    return t**gamma if scale == "power" else t


def contrast_limits(
    frame: Frame, cmap: str, percentiles: Sequence[float], limits: Sequence[float] | None
) -> tuple[float, float]:
    """Values of the lowest and highest colour, by the rules of ``js/lib/paint.ts``."""
    if limits is not None:
        return float(limits[0]), float(limits[1])
    if frame.fixed:
        return frame.lo, frame.hi
    values = frame.values
    values = np.sort(values[np.isfinite(values)])
    if values.size == 0:
        return 0.0, 0.0
    ranks = np.ceil(np.clip(percentiles, 0, 100) / 100 * values.size).astype(int)
    low, high = (float(v) for v in values[np.maximum(ranks, 1) - 1])
    if frame.kind == "complex":
        return 0.0, high
    if cmap in CYCLIC:
        return -np.pi, np.pi
    most = max(abs(low), abs(high))
    return (-most, most) if cmap in DIVERGING else (low, high)


def colours(
    frame: Frame,
    cmap: str = "gray",
    scale: str = "linear",
    gamma: float = 0.5,
    percentiles: Sequence[float] = (0.0, 100.0),
    limits: Sequence[float] | None = None,
) -> np.ndarray:
    """A frame in the colours that the browser gives it, ``(H, W, 3)`` uint8; pixels without a value are mid-grey."""
    low, high = contrast_limits(frame, cmap, percentiles, limits)
    values = frame.values
    empty = np.isnan(values)
    fraction = (np.where(empty, low, values) - low) / (high - low) if high > low else np.zeros(frame.shape)
    level = np.floor(scaled(fraction, scale, gamma) * 255 + 0.5).astype(np.uint8)
    if frame.kind == "complex":
        rgb = (table("phase")[frame.phase_codes] * (level / 255.0)[..., None] + 0.5).astype(np.uint8)
    else:
        rgb = table(cmap)[level]
    rgb[empty] = 128
    return rgb


def resized(rgb: np.ndarray, least: int = 256, most: int = 512) -> np.ndarray:
    """Few pixels as the squares they are, many averaged: the longer side between ``least`` and ``most`` px."""
    longer = max(rgb.shape[:2])
    if longer > most:
        return np.stack([np.rint(reduced(rgb[..., c], most)) for c in range(rgb.shape[2])], -1).astype(np.uint8)
    times = max(1, -(-least // longer))
    return rgb.repeat(times, 0).repeat(times, 1)


def side_by_side(images: Sequence[np.ndarray], gap: int = 8) -> np.ndarray:
    """Images in a row on white, tops aligned: the still image of a widget of several views."""
    height = max(image.shape[0] for image in images)
    width = sum(image.shape[1] for image in images) + gap * (len(images) - 1)
    row = np.full((height, width, 3), 255, np.uint8)
    x = 0
    for image in images:
        row[: image.shape[0], x : x + image.shape[1]] = image
        x += image.shape[1] + gap
    return row


def with_png(widget: Any, bundle: Any, png_bytes: bytes) -> Any:
    """The bundle of a widget with a still image and a one-line text beside the widget view.

    Parameters
    ----------
    widget : ipywidgets.DOMWidget
        Its ``repr`` becomes the text.
    bundle : dict, (dict, dict) or None
        What ``super()._repr_mimebundle_()`` gave; None (ipywidgets 7) makes a new one.
    png_bytes : bytes
        The image; empty for none.
    """
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, None)
    data = dict(data or {WIDGET_VIEW: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}})
    data["text/plain"] = repr(widget)
    if png_bytes:
        data["image/png"] = base64.b64encode(png_bytes).decode("ascii")
    return data if metadata is None else (data, metadata)


class PngFallback:
    """Mix-in for widgets with ``png() -> bytes``, before the widget class among the bases.

    Where widgets do not run (GitHub, a PDF, a notebook opened without its kernel's front end) the image is shown.
    """

    def png(self) -> bytes:
        """A still image of the widget; empty where there is nothing to show yet."""
        return b""

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        above = getattr(super(), "_repr_mimebundle_", None)
        return with_png(self, above(**kwargs) if above else None, self.png())

    if IPYWIDGETS_7:  # there a widget shows itself, and nothing looks at its bundle

        def _ipython_display_(self, **kwargs: Any) -> None:
            from IPython.display import display

            bundle = self._repr_mimebundle_()
            data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
            display(data, metadata=metadata, raw=True)
            handle = getattr(self, "_handle_displayed", None)
            if handle:
                handle(**kwargs)

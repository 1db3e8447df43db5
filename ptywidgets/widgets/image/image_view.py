"""ImageView: the one canvas of ptywidgets. Python gives numbers and regions, the browser colours, zooms and drags."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from ipywidgets import HTML, CallbackDispatcher

from ptywidgets.engine.core.errors import ParameterError, unknown_name
from ptywidgets.engine.data.calibration import in_words, single
from ptywidgets.engine.io.images.png import png
from ptywidgets.reconstruction.strict_traits import Name, Strict, own_traits
from ptywidgets.widgets.image.colormaps import check
from ptywidgets.widgets.image.frames import Frame, FrameChannel, quantise
from ptywidgets.widgets.image.png import PngFallback, colours, resized

STATIC = Path(__file__).resolve().parents[2] / "static"
SCALES = ("linear", "sqrt", "log", "power")
SHAPES = {
    "point": ("y", "x"),
    "disk": ("y", "x", "r"),
    "annulus": ("y", "x", "r", "r_inner"),
    "rectangle": ("y", "x", "h", "w"),
    "angle": ("y", "x", "r", "angle"),
    "line": ("y", "x", "y2", "x2"),
}
STILL_SIDE = 512  # px: the longer side of the frame that is kept in the notebook


def checked_region(region: dict[str, Any]) -> dict[str, Any]:
    """A region as plain numbers and words, or an error that says what it lacks."""
    shape = region.get("shape", "")
    if shape not in SHAPES:
        raise unknown_name("shape of a region", str(shape), SHAPES)
    lacking = [name for name in ("id", *SHAPES[shape]) if name not in region]
    if lacking:
        needs = ", ".join(SHAPES[shape])
        raise ParameterError(f"a {shape} region needs id, {needs}; {', '.join(lacking)} missing.")
    plain = {name: float(region[name]) for name in SHAPES[shape]}
    if not np.isfinite(list(plain.values())).all():
        raise ParameterError(f"region {region['id']!r} has a value that is no finite number: {plain}.")
    return {**region, **plain, "id": str(region["id"])}


class Pair(traitlets.List):  # type: ignore[type-arg]  # traitlets 5.9 cannot subscript it at run time
    """Two numbers, or None; one number stands for both."""

    def __init__(self, default: Sequence[float] | None = None) -> None:
        value = None if default is None else list(default)
        super().__init__(traitlets.Float(), value, 2, 2, allow_none=default is None)

    def validate(self, obj: Any, value: Any) -> Any:
        if value is not None:
            values = np.ravel(value).tolist()
            value = [float(v) for v in (values * 2 if len(values) == 1 else values)]
        return super().validate(obj, value)


class ImageView(Strict, PngFallback, anywidget.AnyWidget):
    """An image that may be live, with regions that may be dragged.

    Parameters
    ----------
    title : str
        Line above the image; plain text.
    cmap : str
        gray, magma, inferno, viridis, cividis, RdBu (symmetric about zero), phase (cyclic) or turbo.
    kind : str
        "scalar" or "complex"; follows the array that is shown.
    **traits
        Any other trait: ``scale``, ``gamma``, ``percentiles``, ``limits``, ``sampling``, ``unit``, ``origin``,
        ``note``, ``x_label``, ``y_label``, ``max_width``, ``colorbar``, ``scalebar``, ``placeholder``, ``regions``,
        ``hotkeys``, ``picked``, ``cursor``.

    Examples
    --------
    >>> view = ImageView(title="Bright field", unit="A")
    >>> view.show(np.arange(12.0).reshape(3, 4), sampling=0.2)
    >>> view.regions = [{"id": "bf", "shape": "disk", "y": 1, "x": 2, "r": 1}]
    >>> view
    ImageView('Bright field', 3 x 4 px, 0.2 A/px, 1 region)
    """

    # As text: to follow changes of a file, anywidget connects every widget with a signal of the class, for good.
    _esm = (STATIC / "image-view.js").read_text(encoding="utf-8")
    _css = (STATIC / "ptywidgets.css").read_text(encoding="utf-8")

    uid = traitlets.Unicode().tag(sync=True)  # names the model for the browser's own store
    title = traitlets.Unicode("").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)  # small, right of the title: "iteration 12", "binned 2 x"
    cmap = traitlets.Unicode("gray").tag(sync=True)
    kind = Name("kind of image", ("scalar", "complex"), "scalar").tag(sync=True)
    scale = Name("scale", SCALES, "linear").tag(sync=True)
    gamma = traitlets.Float(0.5, min=0.05, max=10).tag(sync=True)
    percentiles = Pair((0.0, 100.0)).tag(sync=True)
    limits = Pair().tag(sync=True)
    sampling = Pair().tag(sync=True)  # units per px, rows and columns
    unit = traitlets.Unicode("px").tag(sync=True)
    aspect = traitlets.Float(0.0, min=0).tag(sync=True)  # height of a pixel by its width; 0: what sampling says
    origin = Pair().tag(sync=True)  # y, x px of coordinate 0, 0
    x_label = traitlets.Unicode("").tag(sync=True)
    y_label = traitlets.Unicode("").tag(sync=True)
    max_width = traitlets.Int(512, min=0).tag(sync=True)
    colorbar = traitlets.Bool(True).tag(sync=True)  # of a complex image: the colour wheel
    scalebar = traitlets.Bool(True).tag(sync=True)
    placeholder = traitlets.Unicode("").tag(sync=True)  # words shown while there is no image
    hotkeys = traitlets.List(traitlets.Unicode()).tag(sync=True)  # keys told to `on_key`
    picked = traitlets.Bool(None, allow_none=True).tag(sync=True)  # one of several to choose from: whether it is chosen
    cursor = traitlets.Bool(False).tag(sync=True)  # whether `on_cursor` hears of the mouse
    live = traitlets.Bool(False).tag(sync=True)  # a stream is on: the browser asks where no frame comes
    still = traitlets.Bytes(b"").tag(sync=True)  # last frame, kept in the notebook
    still_meta = traitlets.Dict().tag(sync=True)
    _regions = traitlets.Dict().tag(sync=True)
    regions = traitlets.List(traitlets.Dict())

    def __init__(self, title: str = "", cmap: str = "gray", kind: str = "scalar", **traits: Any) -> None:
        self._frames = FrameChannel(self._send_frame)
        self._still_lock = threading.RLock()
        self._region_callbacks = CallbackDispatcher()
        self._key_callbacks = CallbackDispatcher()
        self._cursor_callbacks = CallbackDispatcher()
        self._pick_callbacks = CallbackDispatcher()
        self._change: list[Any] = ["", 0]  # the browser's number of its last change of a region
        self._from_browser = False
        for name in traits:
            if not self.has_trait(name):
                raise unknown_name("argument of ImageView", name, own_traits(type(self)))
        super().__init__(title=title, cmap=cmap, kind=kind, uid=uuid.uuid4().hex, **traits)
        self.on_msg(self._receive)

    # ------------------------------------------------------------------ images

    def show(
        self,
        array: Any,
        *,
        live: bool = False,
        sampling: float | Sequence[float] | None = None,
        unit: str | None = None,
        lo: float | None = None,
        hi: float | None = None,
    ) -> None:
        """Show an image; from any thread, and the array may be changed at once afterwards.

        Parameters
        ----------
        array : (H, W) array
            Real, integer, bool or complex (phase as colour, amplitude as brightness); NaN is transparent.
        live : bool
            One of a stream of frames: only the newest is sent when the browser is ready. End a stream by :meth:`settle`
            or by showing a frame with ``live=False``, which is also kept in the notebook.
        sampling, unit : float or (float, float), str, optional
            Size of a pixel (rows, columns) and its unit: "A", "1/A", "mrad", "px"; as before where not given.
        lo, hi : float, optional
            Limits of contrast for this frame. The trait ``limits`` goes before them, ``percentiles`` after.
        """
        if sampling is not None:
            self.set_trait("sampling", sampling)
        if unit is not None:
            self.unit = unit
        frame = quantise(array, fine=not live or self.scale != "linear", lo=lo, hi=hi)
        if frame.kind != self.kind:
            self.kind = frame.kind
        if live:
            if not self.live:
                self.live = True
            self._frames.post(frame)
            return
        small = frame if max(frame.shape) <= STILL_SIDE else quantise(array, lo=lo, hi=hi, side=STILL_SIDE)
        self._keep(small, self._frames.number(small))
        if small is not frame:
            self._frames.post(frame)
        self.live = False

    def settle(self) -> None:
        """End a stream: its last frame reaches the browser, whatever was lost, and is kept in the notebook."""
        self._frames.settle()
        latest = self._frames.latest
        if latest is not None and latest[0] != self.still_meta.get("seq") and max(latest[1].shape) <= 2 * STILL_SIDE:
            self._keep(latest[1], latest[0])
        self.live = False

    def clear(self) -> None:
        """Show no image any more, only the placeholder."""
        self.show(np.full((1, 1), np.nan))

    def close(self) -> None:
        """Take the widget away; frames that still come are dropped."""
        self._frames.close()
        super().close()

    def _keep(self, frame: Frame, seq: int) -> None:
        with self._still_lock, self.hold_sync():  # one message, so that the two agree
            self.still = frame.data
            self.still_meta = frame.header(seq)

    def _send_frame(self, header: dict[str, Any], data: bytes) -> None:
        self.send(header, buffers=[data])

    # ------------------------------------------------------------------ regions and keys

    def region(self, id: str) -> dict[str, Any]:
        """The region of that name, as it stands."""
        for region in self.regions:
            if region["id"] == id:
                return dict(region)
        raise unknown_name("region", id, [region["id"] for region in self.regions])

    def set_region(self, id: str, **changes: Any) -> None:
        """Change some values of one region: ``view.set_region("bf", r=12)``. Callbacks are not called."""
        new = {**self.region(id), **changes}
        self.regions = [new if region["id"] == id else region for region in self.regions]

    def on_region(self, callback: Callable[[dict[str, Any], bool], None], remove: bool = False) -> None:
        """Call ``callback(region, final)`` when the user moves a region; ``final`` at the end of a drag.

        On whatever thread the kernel hands the message over; ``regions`` holds the new value already.
        """
        self._region_callbacks.register_callback(callback, remove)

    def on_key(self, callback: Callable[[str], None], remove: bool = False) -> None:
        """Call ``callback(key)`` for the keys named in the trait ``hotkeys``."""
        self._key_callbacks.register_callback(callback, remove)

    def on_pick(self, callback: Callable[[], None], remove: bool = False) -> None:
        """Call ``callback()`` when the image is clicked, or Enter is pressed on it; needs ``picked`` to be a bool."""
        self._pick_callbacks.register_callback(callback, remove)

    def on_cursor(self, callback: Callable[[Any, Any, Any], None], remove: bool = False) -> None:
        """Call ``callback(y, x, value)`` as the mouse moves, at most 20 times a second; needs ``cursor = True``."""
        self._cursor_callbacks.register_callback(callback, remove)

    def _receive(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        kind = content.get("type")
        if kind == "ack":
            self._frames.acknowledge(int(content.get("seq", 0)))
        elif kind == "pull":
            self._frames.pull(int(content.get("have", -1)))
        elif kind == "region":
            self._region_from_browser(content)
        elif kind == "key":
            self._key_callbacks(str(content.get("key", "")))
        elif kind == "pick":
            self._pick_callbacks()
        elif kind == "cursor":
            self._cursor_callbacks(content.get("y"), content.get("x"), content.get("value"))

    def _region_from_browser(self, content: dict[str, Any]) -> None:
        region, final = content.get("region") or {}, bool(content.get("final"))
        if not any(known["id"] == region.get("id") for known in self.regions):
            return  # taken away meanwhile
        self._change = list(content.get("change") or ["", 0])
        self._from_browser = not final  # the browser shows a drag already; the end of it is told to all views
        try:
            self.regions = [region if known["id"] == region["id"] else known for known in self.regions]
        finally:
            self._from_browser = False
        if final:
            self._send_regions()
        self._region_callbacks(self.region(region["id"]), final)

    @traitlets.observe("regions")
    def _regions_changed(self, _change: Any) -> None:
        if not self._from_browser:
            self._send_regions()

    def _send_regions(self) -> None:
        self._regions = {"regions": [dict(region) for region in self.regions], "change": list(self._change)}

    # ------------------------------------------------------------------ checks

    @traitlets.validate("regions")
    def _check_regions(self, proposal: Any) -> list[dict[str, Any]]:
        regions = [checked_region(dict(region)) for region in proposal["value"]]
        ids = [region["id"] for region in regions]
        if len(set(ids)) < len(ids):
            raise ParameterError(f"every region needs an id of its own, got {', '.join(ids)}.")
        return regions

    @traitlets.validate("cmap")
    def _check_cmap(self, proposal: Any) -> str:
        return check(proposal["value"])

    @traitlets.validate("percentiles", "limits")
    def _check_range(self, proposal: Any) -> Any:
        value = proposal["value"]
        if value is not None and not (np.isfinite(value).all() and value[0] <= value[1]):
            raise ParameterError(f"{proposal['trait'].name} are a lower and a higher number, got {value}.")
        return value

    # ------------------------------------------------------------------ without a browser

    def rgb(self) -> np.ndarray:
        """The newest frame in the colours of the screen, ``(H, W, 3)`` uint8."""
        latest = self._frames.latest
        if latest is None:
            return np.full((1, 1, 3), 128, np.uint8)
        return colours(latest[1], self.cmap, self.scale, self.gamma, self.percentiles, self.limits)

    def png(self) -> bytes:
        """A still image (256 to 512 px), made without the browser; empty before the first image."""
        return png(resized(self.rgb())) if self._frames.latest else b""

    def __repr__(self) -> str:
        latest = self._frames.latest if hasattr(self, "_frames") else None
        parts = [repr(self.title)] if self.title else []
        parts.append(f"{latest[1].full[0]} x {latest[1].full[1]} px" if latest else "no image yet")
        if self.sampling:
            parts.append(f"{in_words(single(tuple(self.sampling)), 4, ' × ')} {self.unit}/px")
        if self.regions:
            parts.append(f"{len(self.regions)} region{'s' if len(self.regions) > 1 else ''}")
        return f"ImageView({', '.join(parts)})"


def style_sheet() -> HTML:
    """The style of all widgets, for those that may be shown without any image view, which brings it along."""
    return HTML(f"<style>{ImageView._css}</style>", layout={"display": "none"})


__all__ = ["ImageView", "style_sheet"]

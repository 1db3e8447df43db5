"""What all composite widgets share: the reconstruction, a status line, callbacks that cannot break them."""

from __future__ import annotations

import html
import logging
import os
from collections.abc import Callable, Hashable
from typing import Any

import ipywidgets
import numpy as np

from ptywidgets.engine.core.errors import PtyError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io.images.png import png
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.reconstruction.session.ending import Timer
from ptywidgets.reconstruction.session.hosts import shows_threads, until_run_again
from ptywidgets.reconstruction.setting_hints import known_names, right_way, short
from ptywidgets.reconstruction.strict_traits import Strict
from ptywidgets.widgets.controls.fields import set_text
from ptywidgets.widgets.image.image_view import ImageView
from ptywidgets.widgets.image.png import PngFallback, resized, side_by_side
from ptywidgets.widgets.panel import places as places  # enters the fields that errors name
from ptywidgets.widgets.panel.callback_queue import CallbackQueue
from ptywidgets.widgets.panel.closing import close_all

log = logging.getLogger("ptywidgets")
READING = ("energy", "scan_step", "q_pixel", "semiangle", "vacuum", "scan_shape")  # what a file may not say
NO_DATA = "No data yet: set recon.dataset, or open a file by Reconstruction.open(path)."
HEAVY = 64e6  # bytes of data: more are read on a thread, so that the page stays alive


def as_reconstruction(source: Reconstruction | Dataset | str | os.PathLike[str] | None) -> Reconstruction:
    """The reconstruction itself, or a new one of a dataset or a file."""
    if isinstance(source, Reconstruction):
        return source
    if source is None or isinstance(source, Dataset):
        return Reconstruction(source)
    return Reconstruction.open(source)


class StatusLine(ipywidgets.HTML):
    """One line of text; it is escaped, not parsed as HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.kind = "note"
        self.add_class("pty-status")
        self.show("")

    def show(self, message: str, kind: str = "note") -> None:
        """Show `message`; `kind` (note, warn, bad, good) gives the colour."""
        self.text, self.kind = message, kind
        self.value = (
            f'<span role="status" data-testid="pty-status-text" class="pty-{kind}">{html.escape(message)}</span>'
        )
        self.layout.display = "" if message else "none"


class Panel(Strict, PngFallback, ipywidgets.VBox):
    """A composite widget: a view of one :class:`~ptywidgets.Reconstruction`, which it shares with others.

    Parameters
    ----------
    source : Reconstruction, Dataset or path
        A dataset or file gets a reconstruction of its own.

    Notes
    -----
    A subclass makes its controls, connects them by :meth:`on_change`, :meth:`on_click` and
    :meth:`observe_reconstruction`, and sets `children` and `views`. All callbacks run one at a
    time, on whatever thread they come, and an error in one is shown in the status line.
    """

    _closed = True  # until it is made: of one whose source cannot be opened there is nothing to take away

    def __init__(self, source: Reconstruction | Dataset | str | os.PathLike[str] | None = None) -> None:
        self._recon = as_reconstruction(source)
        self.views: list[ImageView] = []
        self.status_line = StatusLine()
        self.callback_queue = CallbackQueue()
        self._cleanups: list[Callable[[], object]] = []
        self._failed: Hashable | None = None  # the callback whose error is in the status line
        self._timer: Timer | None = None
        self._closed = False
        super().__init__(layout={"grid_gap": "6px"})
        self.add_class("pty-widget")
        self._own = frozenset(vars(self))  # names of what stays when it is closed

    @property
    def recon(self) -> Reconstruction:
        """The reconstruction that is shown."""
        return self._recon

    @classmethod
    def _right_way(cls, name: str, value: Any) -> str:
        if name == "recon":
            return f"a widget keeps its reconstruction; make another one: {cls.__name__}(reconstruction)."
        if name in READING:
            return f"it belongs to opening the data: {cls.__name__}(Reconstruction.open(path, {name}={short(value)}))."
        recon = "widget.recon"
        if name[:1] != "_" and Reconstruction.class_traits().get(name) is not None:
            return f"set it with {recon}.{name} = {short(value)}."
        return right_way(name, value, recon)

    @classmethod
    def _other_names(cls) -> list[str]:
        return [*Reconstruction.class_own_traits(), *known_names()]

    # ---------------------------------------------------------------- status

    @property
    def status_text(self) -> str:
        """The text of the status line."""
        return self.status_line.text

    def set_status(self, text: str, kind: str = "note") -> None:
        """Show `text` in the status line; kind is note, warn, bad or good."""
        self._failed = None
        self.status_line.show(text, kind)

    def set_error(self, text: str) -> None:
        """Show what was wrong with an entry; nothing is changed by an empty text."""
        if text:
            self.set_status(text, "bad")

    def safe_callback(self, callback: Callable[..., Any], key: Hashable | None = None) -> Callable[..., None]:
        """`callback`, run in the queue, with any exception shown in the status line.

        A later success of the same callback clears it. With a `key`, only the newest of several calls that
        wait in the queue is made.
        """
        name = key if key is not None else object()
        return lambda *args, **kwargs: self.callback_queue.run(lambda: self._run(name, callback, *args, **kwargs), key)

    def _run(self, name: Hashable, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if self._closed:
            return
        try:
            callback(*args, **kwargs)
        except Exception as error:
            self._fail(name, error)
        else:
            if self._failed == name:
                self.set_status("")

    def _fail(self, name: Hashable, error: Exception) -> None:
        if self._closed:  # what it worked with is gone
            return
        text = error.told("widget") if isinstance(error, PtyError) else f"{type(error).__name__}: {error}"
        if not isinstance(error, PtyError):
            log.error("a callback of %s failed", type(self).__name__, exc_info=error)
        self.set_status(text, "bad")
        self._failed = name

    # ---------------------------------------------------------------- callbacks

    def observe_reconstruction(self, handler: Callable[[], Any], *names: str) -> None:
        """Call `handler()` when one of these traits of the reconstruction changes, until :meth:`close`."""
        run = self.safe_callback(handler, ("observe_reconstruction", handler))

        def changed(_change: Any) -> None:
            run()

        self.recon.observe(changed, list(names))
        self._cleanups.append(lambda: self.recon.unobserve(changed, list(names)))

    def on_change(self, control: ipywidgets.Widget, handler: Callable[[Any], Any], name: str = "value") -> None:
        """Call `handler(value)` when the user (or other code) changes a control; not when :meth:`set_silently` does."""
        run = self.safe_callback(handler, ("on_change", id(control), name))

        def changed(change: Any) -> None:
            if not self.callback_queue.is_muted:
                run(change["new"])

        control.observe(changed, name)

    def on_click(self, button: ipywidgets.Button, handler: Callable[[], Any]) -> None:
        """Call `handler()` when a button is clicked."""
        run = self.safe_callback(handler)
        button.on_click(lambda _button: run())

    def on_region_drag(self, view: ImageView, handler: Callable[[dict[str, Any], bool], Any]) -> None:
        """Call `handler(region, final)` as the user drags a region; of positions that come too fast only the newest."""

        def moved(region: dict[str, Any], final: bool) -> None:
            self.run_soon(handler, ("drag", id(view), region["id"]), region, final)

        view.on_region(moved)

    def run_soon(self, handler: Callable[..., Any], key: Hashable, *args: Any) -> None:
        """Call `handler(*args)` now where that was quick the last time, else on a thread; the newest of a `key`."""
        self.callback_queue.run_soon(lambda: self._run(key, handler, *args), key)

    def run_with_data(
        self, work: Callable[[], Any], then: Callable[[Any], Any], text: str, most: float = HEAVY
    ) -> None:
        """Do `work`, which reads all patterns, and give `then` its result; on a thread where there are many.

        Meanwhile `text` is in the status line, and the widget stays alive. Many are more than `most` bytes.
        """
        dataset = self.recon.dataset
        if dataset is None or dataset.nbytes <= most or not shows_threads():
            then(work())
            return
        self.set_status(text)
        self.callback_queue.run_in_background(
            work, lambda value: self._run(work, then, value), lambda error: self._fail(work, error)
        )

    def wait(self, timeout: float = 30.0) -> bool:
        """Wait until everything that was asked for is shown; whether that came in time. For scripts and tests."""
        return self.callback_queue.wait(timeout)

    def settle(self) -> None:
        """Show everything as it is when the sliders rest, without waiting for that."""
        self.safe_callback(self._settle)()
        self.wait()

    def settle_soon(self, delay: float = 0.4) -> None:
        """End the streams of all views when nothing has been shown for `delay` seconds."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = Timer(delay, self.safe_callback(self._settle))
        self._timer.start()

    def _settle(self) -> None:
        for view in self.views:
            if view.live and not self._closed:
                view.settle()

    def show_no_data(self, facts: ipywidgets.HTML) -> None:
        """Show nothing, and a word about why."""
        set_text(facts, NO_DATA)
        for view in self.views:
            view.clear()

    def set_silently(self, control: ipywidgets.Widget, value: Any, name: str = "value") -> None:
        """Set a control without its handler being called."""
        with self.callback_queue.muted():
            setattr(control, name, value)

    def on_close(self, cleanup: Callable[[], object]) -> None:
        """Call `cleanup()` at :meth:`close`, such as what ``recon.snapshots.subscribe`` returned."""
        self._cleanups.append(cleanup)

    # ---------------------------------------------------------------- as a whole

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        until_run_again(self, Panel.close)  # its page is gone then, but ipywidgets would keep it for good
        return super()._repr_mimebundle_(**kwargs)

    def close(self) -> None:
        """Take the widget away: its observers are disconnected, its models are closed, and it holds no data.

        It is then a view of an empty reconstruction, since others may keep it: a notebook keeps all results of cells.
        """
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for cleanup in self._cleanups:
            cleanup()
        self._cleanups.clear()
        close_all(self, super().close)
        for name in [name for name in vars(self) if name not in self._own and name != "_own"]:
            if name != "_repr_mimebundle_":
                delattr(self, name)
        self._trait_values["children"] = ()
        self.views, self._recon = [], Reconstruction()

    def rgb(self) -> np.ndarray:
        """The images of the widget side by side, (H, W, 3) uint8; one white pixel where there is none yet."""
        images = [image for image in (view.rgb() for view in self.views) if image.shape[:2] != (1, 1)]
        return side_by_side([resized(image) for image in images]) if images else np.full((1, 1, 3), 255, np.uint8)

    def png(self) -> bytes:
        """A still image, for where widgets do not run; empty where there is nothing to show."""
        image = self.rgb()
        return png(image) if image.shape[:2] != (1, 1) else b""

    def _describe(self) -> str:
        """What the one-line repr says after the name of the data."""
        return self.recon.status

    def __repr__(self) -> str:
        recon = getattr(self, "recon", None)
        if recon is None:
            return f"{type(self).__name__}()"
        data = "no data" if recon.dataset is None else f"{recon.dataset.name or 'unnamed'!r}"
        return f"{type(self).__name__}({data}; {self._describe()})"


__all__ = ["NO_DATA", "Panel", "StatusLine", "as_reconstruction", "close_all"]

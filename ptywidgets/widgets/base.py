"""What all composite widgets share: the reconstruction, one line of words, callbacks that cannot break them."""

from __future__ import annotations

import html
import logging
import os
from collections.abc import Callable, Hashable
from typing import Any

import ipywidgets
import numpy as np

from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.errors import PtyError
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.reconstruction.ending import Timer
from ptywidgets.reconstruction.hosts import shows_threads, until_run_again
from ptywidgets.reconstruction.right_way import known_names, right_way, short
from ptywidgets.reconstruction.safe import Strict
from ptywidgets.widgets import places as places  # enters the fields that errors name
from ptywidgets.widgets.closing import close_all
from ptywidgets.widgets.image_view import ImageView
from ptywidgets.widgets.png import PngFallback, png, resized, side_by_side
from ptywidgets.widgets.turns import Turns

log = logging.getLogger("ptywidgets")
READING = ("energy", "scan_step", "q_pixel", "semiangle", "vacuum", "scan_shape")  # what a file may not say
HEAVY = 64e6  # bytes of data: more are read on a thread, so that the page stays alive


def as_reconstruction(source: Reconstruction | Dataset | str | os.PathLike[str] | None) -> Reconstruction:
    """The reconstruction itself, or a new one of a dataset or a file."""
    if isinstance(source, Reconstruction):
        return source
    if source is None or isinstance(source, Dataset):
        return Reconstruction(source)
    return Reconstruction.open(source)


class StatusLine(ipywidgets.HTML):
    """One line of words; whatever they hold is shown as text."""

    def __init__(self) -> None:
        super().__init__()
        self.words = ""
        self.kind = "note"
        self.add_class("pty-status")
        self.say("")

    def say(self, words: str, kind: str = "note") -> None:
        """Show `words`; `kind` (note, warn, bad, good) gives the colour."""
        self.words, self.kind = words, kind
        self.value = f'<span role="status" data-testid="pty-words" class="pty-{kind}">{html.escape(words)}</span>'
        self.layout.display = "" if words else "none"


class Panel(Strict, PngFallback, ipywidgets.VBox):
    """A composite widget: a view of one :class:`~ptywidgets.Reconstruction`, which it shares with others.

    Parameters
    ----------
    source : Reconstruction, Dataset or path
        A dataset or file gets a reconstruction of its own.

    Notes
    -----
    A subclass makes its controls, connects them by :meth:`hear`, :meth:`click` and :meth:`watch`, and sets `children`
    and `views`. All callbacks run one at a time, on whatever thread they come, and an error in one becomes words in the
    status line.
    """

    _closed = True  # until it is made: of one whose source cannot be opened there is nothing to take away

    def __init__(self, source: Reconstruction | Dataset | str | os.PathLike[str] | None = None) -> None:
        self._recon = as_reconstruction(source)
        self.views: list[ImageView] = []
        self.status_line = StatusLine()
        self.turns = Turns()
        self._undo: list[Callable[[], object]] = []
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

    # ---------------------------------------------------------------- words

    @property
    def words(self) -> str:
        """What the status line says."""
        return self.status_line.words

    def say(self, text: str, kind: str = "note") -> None:
        """Say `text` in the status line; kind is note, warn, bad or good."""
        self._failed = None
        self.status_line.say(text, kind)

    def complain(self, text: str) -> None:
        """Say what was wrong with an entry; nothing for an empty text."""
        if text:
            self.say(text, "bad")

    def guarded(self, callback: Callable[..., Any], key: Hashable | None = None) -> Callable[..., None]:
        """`callback`, run in its turn, with any exception turned into words in the status line.

        A later success of the same callback takes the words away. With a `key`, only the newest of several calls that
        wait for their turn is made.
        """
        name = key if key is not None else object()
        return lambda *args, **kwargs: self.turns.do(lambda: self._run(name, callback, *args, **kwargs), key)

    def _run(self, name: Hashable, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if self._closed:
            return
        try:
            callback(*args, **kwargs)
        except Exception as error:
            self._fail(name, error)
        else:
            if self._failed == name:
                self.say("")

    def _fail(self, name: Hashable, error: Exception) -> None:
        if self._closed:  # what it worked with is gone
            return
        words = error.told("widget") if isinstance(error, PtyError) else f"{type(error).__name__}: {error}"
        if not isinstance(error, PtyError):
            log.error("a callback of %s failed", type(self).__name__, exc_info=error)
        self.say(words, "bad")
        self._failed = name

    # ---------------------------------------------------------------- callbacks

    def watch(self, handler: Callable[[], Any], *names: str) -> None:
        """Call `handler()` when one of these traits of the reconstruction changes, until :meth:`close`."""
        run = self.guarded(handler, ("watch", handler))

        def changed(_change: Any) -> None:
            run()

        self.recon.observe(changed, list(names))
        self._undo.append(lambda: self.recon.unobserve(changed, list(names)))

    def hear(self, control: ipywidgets.Widget, handler: Callable[[Any], Any], name: str = "value") -> None:
        """Call `handler(value)` when the user (or other code) changes a control; not when :meth:`put` does."""
        run = self.guarded(handler, ("hear", id(control), name))

        def changed(change: Any) -> None:
            if not self.turns.silent:
                run(change["new"])

        control.observe(changed, name)

    def click(self, button: ipywidgets.Button, handler: Callable[[], Any]) -> None:
        """Call `handler()` when a button is clicked."""
        run = self.guarded(handler)
        button.on_click(lambda _button: run())

    def drag(self, view: ImageView, handler: Callable[[dict[str, Any], bool], Any]) -> None:
        """Call `handler(region, final)` as the user drags a region; of positions that come too fast only the newest."""

        def moved(region: dict[str, Any], final: bool) -> None:
            self.soon(handler, ("drag", id(view), region["id"]), region, final)

        view.on_region(moved)

    def soon(self, handler: Callable[..., Any], key: Hashable, *args: Any) -> None:
        """Call `handler(*args)` now where that was quick the last time, else on a thread; the newest of a `key`."""
        self.turns.soon(lambda: self._run(key, handler, *args), key)

    def with_data(self, work: Callable[[], Any], then: Callable[[Any], Any], text: str, most: float = HEAVY) -> None:
        """Do `work`, which reads all patterns, and give `then` its result; on a thread where there are many.

        Meanwhile `text` is in the status line, and the widget stays alive. Many are more than `most` bytes.
        """
        dataset = self.recon.dataset
        if dataset is None or dataset.nbytes <= most or not shows_threads():
            then(work())
            return
        self.say(text)
        self.turns.apart(work, lambda value: self._run(work, then, value), lambda error: self._fail(work, error))

    def wait(self, timeout: float = 30.0) -> bool:
        """Wait until everything that was asked for is shown; whether that came in time. For scripts and tests."""
        return self.turns.wait(timeout)

    def settle(self) -> None:
        """Show everything as it is when the sliders rest, without waiting for that."""
        self.guarded(self._settle)()
        self.wait()

    def settle_soon(self, delay: float = 0.4) -> None:
        """End the streams of all views when nothing has been shown for `delay` seconds."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = Timer(delay, lambda: self.turns.do(self._settle))
        self._timer.start()

    def _settle(self) -> None:
        for view in self.views:
            if view.live and not self._closed:
                view.settle()

    def put(self, control: ipywidgets.Widget, value: Any, name: str = "value") -> None:
        """Set a control without its handler being called."""
        with self.turns.silence():
            setattr(control, name, value)

    def until_closed(self, undo: Callable[[], object]) -> None:
        """Call `undo()` at :meth:`close`, such as what ``recon.mailbox.subscribe`` returned."""
        self._undo.append(undo)

    # ---------------------------------------------------------------- as a whole

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        until_run_again(self, Panel.close)  # its page is gone then, but ipywidgets would keep it for good
        return super()._repr_mimebundle_(**kwargs)

    def close(self) -> None:
        """Take the widget away: it hears of nothing any more, its models are closed, and it holds no data.

        It is then a view of an empty reconstruction, since others may keep it: a notebook keeps all results of cells.
        """
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for undo in self._undo:
            undo()
        self._undo.clear()
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
        """A still picture, for where widgets do not run; empty where there is nothing to show."""
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


__all__ = ["Panel", "StatusLine", "as_reconstruction", "close_all"]

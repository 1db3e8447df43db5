"""ReconstructionRunner: start, pause, step and stop a reconstruction, and watch it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import traitlets
from ipywidgets import Accordion, Button, IntProgress, Text, ToggleButton

from ptywidgets.engine.core.errors import FileFormatError, FileInTheWay, ParameterError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_checks import in_bytes
from ptywidgets.reconstruction import Reconstruction, Snapshot
from ptywidgets.reconstruction.result.display_settings import ACROSS, Line
from ptywidgets.reconstruction.session.hosts import shows_threads
from ptywidgets.widgets.controls.fields import (
    button,
    checkbox,
    heading,
    panel,
    panels,
    set_text,
    text_label,
    tip,
    toolbar,
)
from ptywidgets.widgets.image.image_view import ImageView
from ptywidgets.widgets.panel.base import Panel
from ptywidgets.widgets.plots.convergence import Convergence
from ptywidgets.widgets.run.display_bar import DisplayBar
from ptywidgets.widgets.run.live_views import SHOWN
from ptywidgets.widgets.run.plan_editor import PlanEditor
from ptywidgets.widgets.run.status_text import (
    default_path,
    iterations_done,
    message_kind,
    plan_text,
    progress_text,
    run_message,
    stage_text,
)

LIMITS = (0.1, 99.9)  # percentiles of contrast: a few bright pixels must not darken the rest
OF_EVERY_MODEL = ("phase", "amplitude", "fft", "probe", "probe_fourier")
BAR = {
    "running": "info",
    "paused": "warning",
    "stopped": "",
    "finished": "success",
    "doubtful": "warning",
    "error": "danger",
}


class ReconstructionRunner(Panel):
    """Buttons, settings, live images and the curve of errors of one reconstruction.

    Parameters
    ----------
    source : Reconstruction, Dataset or path

    Notes
    -----
    The work is done by a thread of the reconstruction; a button only sets a flag and the widget shows what comes.
    `saved` holds the path to which was saved last.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> runner = ReconstructionRunner(samples.ducky("tiny"))
    >>> runner.recon.run(2).iteration
    2
    >>> runner
    ReconstructionRunner('ducky tiny'; finished, iteration 2 of 2)
    """

    saved = traitlets.Unicode("", help="Path to which was saved last.")

    def __init__(self, source: Reconstruction | Dataset | str | os.PathLike[str] | None = None) -> None:
        super().__init__(source)
        self._latest: Snapshot | None = self.recon.snapshot()
        self._last_message = ("", "note")
        self._stage: str | None = None  # its text, as shown
        self._line: Line | None = None  # of the latest section
        self._make_buttons()
        self.state_line = text_label("", "pty-status")
        self.stage_line = text_label("", "pty-note")
        self.progress = IntProgress(0, 0, 1, layout={"width": "100%", "height": "10px", "margin": "2px 0"})
        self.image_views = {
            name: ImageView(s.title, s.cmap, unit=s.unit, max_width=480, placeholder="nothing yet", percentiles=LIMITS)
            for name, s in SHOWN.items()
        }
        self.image_views["section"].y_label = "↓ beam"
        self.toggles = {
            name: ToggleButton(value=s.at_first, description=s.label, layout={"width": "auto"}, **tip(s.title))
            for name, s in SHOWN.items()
        }
        self.bar = DisplayBar(lambda name, value: self.run_soon(self._look, ("look", name), {name: value}))
        self.curve = Convergence()
        self.settings: PlanEditor | None = None
        self.accordion = Accordion([panel(text_label("…"))], selected_index=None)
        self.accordion.set_title(0, "Settings")
        self.children = [
            heading("Reconstruction"),
            toolbar(self.run, self.pause, self.step, self.stop, self.reset, self.find, self.path, self.save),
            self.state_line,
            self.progress,
            self.stage_line,
            self.status_line,
            self.accordion,
            toolbar(*self.toggles.values()),
            self.bar,
            panels(*self.image_views.values(), self.curve),
        ]
        self.views = list(self.image_views.values())
        self.layout.grid_gap = "6px"
        self._connect()
        self.safe_callback(self._show_all)()

    def _make_buttons(self) -> None:
        self.run = button("Run", "Start, or continue after a stop", "", "play")
        self.pause = button("Pause", "Pause before the next batch, or continue", "", "pause")
        self.step = button("Step", "One iteration, then pause", "", "step-forward")
        self.stop = button("Stop", "Stop before the next batch; everything is kept", "", "stop")
        self.reset = button("Reset", "Discard object, probe and errors", "", "undo")
        self.save = button("Save", "Save everything except the patterns to one file", "", "save")
        doc = "Before the first iteration, estimate what is not given. If off, an unknown defocus counts as 0."
        self.find = checkbox("estimate what is not given", self.recon.find_unknown, doc)
        layout = {"width": "auto", "flex": "1 1 160px", "max_width": "360px"}
        self.path = Text(default_path(self.recon), layout=layout, **tip("Where to save"))

    def _connect(self) -> None:
        self._command(self.run, self._start)
        self._command(self.pause, lambda: self.recon.resume() if self.recon.status == "paused" else self.recon.pause())
        self._command(self.step, self.recon.step)
        self._command(self.stop, self.recon.request_stop)
        self._command(self.reset, self._reset)
        self._command(self.save, self._save)
        self.on_change(self.find, lambda on: self.recon.set_trait("find_unknown", bool(on)))
        self.observe_reconstruction(lambda: self.set_silently(self.find, self.recon.find_unknown), "find_unknown")
        self.on_change(self.accordion, self._open_settings, "selected_index")
        for name, toggle in self.toggles.items():
            self.on_change(toggle, partial(self._toggle, name))
        self.observe_reconstruction(self._show_status, "status", "iteration", "message")
        self.on_region_drag(self.image_views["phase"], self._drag_line)
        self.observe_reconstruction(self._show_look, "look")
        self.observe_reconstruction(
            self._show_plan, "plan", "schedule", "object_type", "model", "device", "views", "given"
        )
        self.observe_reconstruction(self._new_data, "dataset")
        self.on_close(self.recon.snapshots.subscribe(self.safe_callback(self._receive, "snapshot")))

    # ---------------------------------------------------------------- what the user does

    def _command(self, button: Button, action: Callable[[], Any]) -> None:
        """Unlike :meth:`on_click`, always on the thread of the click: the run's own thread cannot wait for itself."""
        button.on_click(lambda _button: self._run(action, action))

    def _start(self) -> None:
        if not shows_threads():
            self.set_status(
                "Here images are shown only while a cell runs: the run occupies the cell, and an interrupt stops it."
            )
        self.recon.start()

    def _reset(self) -> None:
        self.recon.reset()
        self._latest = None
        self.safe_callback(self._show_nothing)()

    def _show_nothing(self) -> None:
        for view in self.image_views.values():
            view.clear()
        self._show_all()

    def _save(self) -> None:
        path = self.path.value.strip()
        if not path:
            raise ParameterError("no path is given: enter where to save, such as " + default_path(self.recon))
        try:
            target = self.recon.save(path)
        except FileInTheWay as error:
            raise FileFormatError(error.told("widget")) from None
        self.saved = ""  # so that the same path is reported again
        self.saved = os.path.abspath(target)
        size = in_bytes(os.path.getsize(self.saved))
        self.set_status(f"Saved to {self.saved} ({size}); Reconstruction.open(path) continues from there.", "good")

    def _open_settings(self, index: int | None) -> None:
        if index is not None and self.settings is None:
            set_error = lambda text: self.set_status(text, "bad")  # noqa: E731
            self.settings = PlanEditor(self.recon, self.safe_callback, set_error)
            self.accordion.children = [self.settings]

    def _toggle(self, name: str, on: bool) -> None:
        if name == "section":
            self._look({"section": (self._line or ACROSS) if on else None})
        elif name == "strength":
            self._look({"channel": 0 if on else None})
        view = self.image_views[name]
        view.layout.display = "" if on and self._offered(name) else "none"
        if not on and view.live:
            view.settle()
        if on and self._latest is not None:
            self._draw(name, self._latest, live=self.recon.status == "running")

    def _look(self, changes: dict[str, Any]) -> None:
        self.recon.look = self.recon.look.replace(**changes)

    def _drag_line(self, region: dict[str, Any], final: bool) -> None:
        if self._latest is None or self.recon.look.section is None:
            return
        height, width = (n - 1 for n in self._latest.object_phase.shape)
        ends = (region["y"] / height, region["x"] / width, region["y2"] / height, region["x2"] / width)
        if ends[:2] != ends[2:]:
            self._look({"section": ends})

    # ---------------------------------------------------------------- what is shown

    def _receive(self, snapshot: Snapshot) -> None:
        before, self._latest = self._latest, snapshot
        running = snapshot.status == "running"
        # The same state again: only what is looked at has changed, perhaps by a slider on its way.
        looked = before is not None and (before.status, before.losses) == (snapshot.status, snapshot.losses)
        self._show_look()
        for name, toggle in self.toggles.items():
            if toggle.value:
                self._draw(name, snapshot, live=running or looked)
        if looked and not running:
            self.settle_soon()
        self.curve.show(snapshot.losses, snapshot.iterations, now=not running)
        self._show_status()

    def _draw(self, name: str, snapshot: Snapshot, live: bool) -> None:
        shown, view = SHOWN[name], self.image_views[name]
        array = shown.array(snapshot) if shown.offered(snapshot) else None
        if array is None:
            return
        if shown.centred:
            view.origin = [n // 2 for n in array.shape]
        view.note, view.aspect, view.colorbar = shown.note(snapshot), shown.aspect(snapshot), shown.scale(snapshot)
        view.show(array, live=live, sampling=shown.sampling(snapshot))

    def _settle(self) -> None:
        """What was drawn coarsely under a moving slider is drawn finely when it rests."""
        if self._latest is None or self.recon.status == "running":
            return
        for name, view in self.image_views.items():
            if view.live and self.toggles[name].value and not self._closed:
                self._draw(name, self._latest, live=False)

    def _offered(self, name: str) -> bool:
        """Whether there is such an image; those that every model has are offered before a run, too."""
        if self._latest is None:
            return name in OF_EVERY_MODEL
        return SHOWN[name].offered(self._latest)

    def _show_look(self) -> None:
        """Controls and images that some models have, where there is something for them to show."""
        look = self.recon.look
        self.bar.show(self._latest, look)
        self.set_silently(self.toggles["section"], look.section is not None)
        self.set_silently(self.toggles["strength"], look.channel is not None)
        for name, toggle in self.toggles.items():
            offered = self._offered(name)
            toggle.layout.display = "" if offered else "none"
            self.image_views[name].layout.display = "" if offered and toggle.value else "none"
        self._show_line()

    def _show_line(self) -> None:
        """The line of the section, on the phase; as it is where the user has just dragged it there."""
        view, line = self.image_views["phase"], self.recon.look.section
        if self._latest is None or line is None or not self._offered("section"):
            if view.regions:
                view.regions = []
            return
        self._line = line
        height, width = (n - 1 for n in self._latest.object_phase.shape)
        places = {"y": line[0] * height, "x": line[1] * width, "y2": line[2] * height, "x2": line[3] * width}
        there = view.regions[0] if view.regions else {}
        if any(abs(there.get(name, -9) - place) > 0.6 for name, place in places.items()):
            view.regions = [{"id": "section", "shape": "line", "profile": False, **places}]

    def _show_all(self) -> None:
        self._show_plan()
        self._show_status()
        self._show_look()
        for name, toggle in self.toggles.items():
            self._toggle(name, toggle.value)
        self.curve.show(self.recon.losses, self.recon.target_iteration)

    def _show_plan(self) -> None:
        self.accordion.set_title(0, f"Settings: {plan_text(self.recon)}")
        if self.settings is not None:
            with self.callback_queue.muted():
                self.settings.show()
        if not self.recon.losses:
            self.curve.show([], self.recon.target_iteration)

    def _show_status(self) -> None:
        recon = self.recon
        status, done = recon.status, iterations_done(self.recon)
        active, kept = status in ("running", "paused"), recon.state is not None
        self.run.disabled = active or status == "empty"
        self.pause.disabled = not active
        self.pause.description, self.pause.icon = ("Resume", "play") if status == "paused" else ("Pause", "pause")
        self.step.disabled = status in ("running", "empty")
        self.stop.disabled = not active
        self.run.button_style, self.stop.button_style = ("", "danger") if active else ("primary", "")
        self.reset.disabled = status == "running" or not (kept or status == "error")
        self.save.disabled = recon.measurement is None and not kept
        self.progress.max = max(1, recon.target_iteration)
        self.progress.value = min(done, self.progress.max)
        kind = message_kind(recon)
        warned = status == "finished" and (kind == "warn" or recon.result.made_with)
        self.progress.bar_style = "warning" if warned else BAR.get(status, "")
        set_text(self.state_line, progress_text(recon))
        for name in ("warn", "bad"):
            (self.state_line.add_class if name == kind else self.state_line.remove_class)(f"pty-{name}")
        stage = stage_text(recon)
        if stage != self._stage:
            self._stage = stage
            set_text(self.stage_line, stage)
            self.stage_line.layout.display = "" if stage else "none"
            if self.settings is not None:
                with self.callback_queue.muted():
                    self.settings.show()
        said = (run_message(recon), kind)
        if (said[0] and said != self._last_message) or said[0] != self._last_message[0]:  # else other words may stay
            self.set_status(*said)
        self._last_message = said

    def _new_data(self) -> None:
        self.path.value = default_path(self.recon)
        self._show_all()

    def _describe(self) -> str:
        done = f"{self.recon.status}, iteration {iterations_done(self.recon)} of {self.recon.target_iteration}"
        made_with = self.recon.result.made_with
        return f"{done}, made with {made_with}" if made_with else done


__all__ = ["ReconstructionRunner"]

"""Workbench: all stages of a reconstruction in one place, each built when it is first looked at."""

from __future__ import annotations

import importlib
import os
from typing import Any

from ipywidgets import HTML, Accordion, Text, ToggleButton, VBox

from ptywidgets import samples
from ptywidgets.engine.core.errors import DataError, ScanShapeUnknown, look_up
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.source import bins_of
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.controls.fields import button, note, set_text, show_stop, text_label, tip, toolbar
from ptywidgets.widgets.files.file_chooser import FileChooser
from ptywidgets.widgets.files.missing_calibration import MissingCalibration
from ptywidgets.widgets.image.image_view import style_sheet
from ptywidgets.widgets.panel.base import Panel, as_reconstruction
from ptywidgets.widgets.run.tilt_bar import TiltBar
from ptywidgets.widgets.start.doctor_panel import DoctorPanel
from ptywidgets.widgets.start.start_panel import StartPanel
from ptywidgets.widgets.workbench.stage_tabs import STAGES, StageTabs

DUCKY = "small"
AUTO = ("Auto", "Estimate calibration, rotation and probe from the data alone", "primary", "magic")


class Workbench(Panel):
    """Data, rotation, probe, direct methods and reconstruction as tabs, with a list of what is done.

    "Auto" finds the whole start from the data, and shows every estimate with a button that opens the widget in which
    it can be changed; "Check" tells what is good, doubtful or wrong before a run.

    Parameters
    ----------
    source : Reconstruction, Dataset or path, optional
        Without one, there is a box for a path, the folders to look through, and a sample to try.

    Notes
    -----
    `recon` is the present reconstruction, `stages` what has been looked at so far, by name. "Orientation" is a view of
    the tab "Rotation", "Parallax" of the tab "Probe".

    Examples
    --------
    >>> bench = Workbench(samples.ducky("tiny"))
    >>> bench
    Workbench('ducky tiny'; 2 of 6 steps done)
    >>> bench.select("Probe").recon is bench.recon
    True
    """

    def __init__(self, source: Reconstruction | Dataset | str | os.PathLike[str] | None = None) -> None:
        super().__init__(source)
        self.stages: dict[str, Panel] = {}
        self.start: StartPanel | None = None
        self.doctor: DoctorPanel | None = None
        self._saved_at: int | None = None
        self.title = text_label("", "pty-title")
        self.data_line = note()
        self.tilts = TiltBar(self.safe_callback(self._look_at), "The tilt whose data are shown", rests=True)
        self.steps_line = HTML()
        self.path = Text(
            placeholder="path of 4D-STEM data, or of a saved reconstruction",
            layout={"width": "auto", "flex": "1 1 220px", "max_width": "640px"}, **tip("Cameras' files, HDF5, arrays"),
        )  # fmt: skip
        self.scan_shape = Text(
            placeholder="scan: rows x columns", layout={"width": "180px", "display": "none"},
            **tip("How many rows and columns the stack of patterns was scanned in"),
        )  # fmt: skip
        self.opener = button("Open", "Open the file", "", "folder-open")
        self.browse = ToggleButton(
            description="Browse", icon="search", layout={"width": "auto"},
            tooltip="Look through folders, and see what a file is before it is opened; upload files",
        )  # fmt: skip
        self.chooser: FileChooser | None = None  # made when it is first looked at
        self.files = VBox(layout={"display": "none"})
        self.missing = MissingCalibration.of_widget(self)
        self.ducky = button("Try the ducky", "Simulate a small data set: a duck of carbon", "info", "magic")
        self.auto = button(*AUTO)
        self.accordion = Accordion([VBox(), VBox()], selected_index=None)
        for index, name in enumerate(("Start: what was estimated, and how", "Check: is anything wrong?")):
            self.accordion.set_title(index, name)
        self.tab = StageTabs()
        self.children = [
            self.title,
            self.data_line,
            self.tilts,
            toolbar(self.path, self.scan_shape, self.opener, self.browse, self.ducky, self.auto),
            self.files,
            self.steps_line,
            self.status_line,
            self.missing,
            self.accordion,
            self.tab,
            style_sheet(),
        ]
        self.layout.grid_gap = "6px"
        self.on_click(self.opener, self._open)
        self.on_change(self.path, lambda _path: self._ask_no_scan())
        self.on_change(self.browse, self._browse)
        self.on_click(self.ducky, self._try_ducky)
        self.on_click(self.auto, self._find_or_stop)
        self.on_change(self.tab, lambda _index: self._show_stage(), "selected_index")
        for switch in self.tab.switches.values():
            self.on_change(switch, lambda _words: self._show_stage())
        self.on_change(self.accordion, lambda _index: self._show_accordion(), "selected_index")
        self._bind()

    @classmethod
    def _right_way(cls, name: str, value: Any) -> str:
        return "put another one on the bench with use(...)." if name == "recon" else super()._right_way(name, value)

    # ---------------------------------------------------------------- data

    def use(self, source: Reconstruction | Dataset | str | os.PathLike[str]) -> None:
        """Put other data on the bench; what is running is stopped, and the stages are made anew."""
        new = as_reconstruction(source)
        self.recon.request_stop()
        for cleanup in self._cleanups:
            cleanup()
        self._cleanups.clear()
        self._recon, self._saved_at = new, None
        self._bind()

    def _open(self) -> None:
        path = self.path.value.strip().strip("\"'")
        if not path:
            raise DataError("no path is given: enter that of the data, or try the ducky.")
        self.set_status(f"Opening {path} ...")
        asked = self.scan_shape.layout.display == "" and self.scan_shape.value.strip()
        given: dict[str, Any] = {"scan_shape": bins_of(asked, "a scan")} if asked else {}
        try:
            self.use(Reconstruction.open(os.path.expanduser(path), **given))
        except ScanShapeUnknown:
            self.scan_shape.layout.display = ""
            raise
        self.set_status(f"Opened {path}.", "good")

    def _browse(self, on: bool) -> None:
        """Show the folders; where to begin is known once they are asked for."""
        if on and self.chooser is None:
            data = self.recon.dataset
            at = None if data is None or data.path is None else data.path.parent
            self.chooser = _unframed(FileChooser(on_open=self._take_chosen, folder=at))
            self.chooser.title.layout.display = "none"
            self.files.children = [self.chooser]
        self.files.layout.display = "" if on else "none"

    def _take_chosen(self, recon: Reconstruction) -> None:
        """On the thread of the chooser, which has its own queue."""
        assert self.chooser is not None
        self.safe_callback(self._use_chosen)(recon, self.chooser.path)

    def _use_chosen(self, recon: Reconstruction, path: str) -> None:
        self.use(recon)
        shown = printable(path, 4000)
        self.set_silently(self.path, shown)
        self._ask_no_scan()
        self.set_silently(self.browse, False)
        self._browse(False)
        self.set_status(f"Opened {shown}.", "good")

    def _show_missing(self) -> None:
        self.missing.show(self.recon.dataset)

    def _ask_no_scan(self) -> None:
        """Another file may say itself how it was scanned."""
        self.scan_shape.layout.display, self.scan_shape.value = "none", ""

    def _try_ducky(self) -> None:
        self.set_status("Simulating; this takes a second or two ...")
        defocus = samples.ducky_defocus(DUCKY)
        self.use(Reconstruction(samples.ducky(DUCKY), defocus=defocus))
        self.set_status(
            f"A simulated duck of carbon; its defocus of {defocus:g} Å is set. Press Auto, or go through the tabs.",
            "good",
        )

    def _bind(self) -> None:
        """Show the present reconstruction: forget the stages of the one before, make the one that is looked at."""
        old: list[Any] = [*self.stages.values(), *filter(None, (self.start, self.doctor))]
        self.stages, self.views, self.start, self.doctor = {}, [], None, None
        self.set_silently(self.accordion, None, "selected_index")
        self.tab.clear()
        show_stop(self.auto, False, AUTO)  # a search in the data of before was stopped
        for place in self.accordion.children:
            place.children = []
        for stage in old:
            stage.close()
        self.observe_reconstruction(
            self._show_steps, "dataset", "views", "measurement", "optics", "status", "iteration"
        )
        self.observe_reconstruction(self._show_missing, "dataset")
        self.safe_callback(self._show_steps)()
        self.safe_callback(self._show_missing)()
        self.safe_callback(self._show_stage)()

    def _look_at(self, number: int) -> None:
        views = self.recon.views
        if views is not None:
            self.recon.dataset = views.datasets[number]

    # ---------------------------------------------------------------- stages

    def select(self, name: str) -> Panel:
        """Turn to a stage, such as "Rotation", or to the widget of that name; returns the widget."""
        name = next((stage for stage, (_, kind) in STAGES.items() if kind == name), name)
        name = look_up("stage of the workbench", name, STAGES)
        self.tab.select(name)
        self._show_stage()
        return self.stages[name]

    def _show_stage(self) -> None:
        name = self.tab.stage
        if self.recon.dataset is None or name is None:
            return
        if name not in self.stages:
            module, kind = STAGES[name]
            stage: Any = getattr(importlib.import_module(f"ptywidgets.widgets.{module}"), kind)(self.recon)
            self.stages[name] = _unframed(stage)
            if name == "Reconstruction":
                stage.observe(self._note_saved, "saved")
        self.tab.set_widget(name, self.stages[name])
        self.views = self.stages[name].views

    def calibrate(self) -> None:
        """Find the start from the data, and show what was estimated."""
        if self.recon.dataset is None:
            raise DataError("there are no data to start from: open a file, or try the ducky.")
        self.set_silently(self.accordion, 0, "selected_index")
        self._show_accordion()
        assert self.start is not None
        self.start.safe_callback(self.start.find)()

    def _find_or_stop(self) -> None:
        if self.start is not None and self.start.searching:
            self.recon.request_stop()
        else:
            self.calibrate()

    def _show_searching(self, change: Any) -> None:
        show_stop(self.auto, bool(change["new"]), AUTO)

    def _show_accordion(self) -> None:
        index = self.accordion.selected_index
        if self.recon.dataset is None or index is None or self.accordion.children[index].children:
            return
        panel: Any
        if index == 0:
            panel = self.start = StartPanel(self.recon, self.safe_callback(self.select))
            panel.observe(self._show_searching, "searching")
        else:
            panel = self.doctor = DoctorPanel(self.recon)
        panel.title.layout.display = "none"  # the accordion shows it
        self.accordion.children[index].children = [_unframed(panel)]

    def _note_saved(self, change: Any) -> None:
        if change["new"]:
            self._saved_at = len(self.recon.losses)
            self._show_steps()

    # ---------------------------------------------------------------- what is done

    @property
    def steps(self) -> dict[str, bool]:
        """The steps of the work, and whether each is done."""
        recon = self.recon
        has_data = recon.dataset is not None
        optics = recon.optics
        aperture = optics.vacuum is not None or optics.semiangle is not None
        done = len(recon.losses)
        return {
            "data opened": has_data,
            "calibration complete": bool(has_data and recon.calibration and not recon.calibration.missing),
            "rotation found": recon.measurement is not None,
            "probe set": aperture and (optics.aberrations.known or done > 0),
            "reconstructed": done > 0,
            "saved": done > 0 and self._saved_at == done,
        }

    def _show_steps(self) -> None:
        steps, items, now = self.steps, [], True
        for name, done in steps.items():
            kind = "pty-done" if done else "pty-now" if now else ""
            now = now and done
            items.append(f'<li class="{kind}">{name}</li>')
        self.steps_line.value = f'<ol class="pty-steps" data-testid="pty-steps">{"".join(items)}</ol>'
        dataset = self.recon.dataset
        set_text(self.title, "Ptychography" if dataset is None else f"Ptychography: {dataset.name or 'unnamed data'}")
        set_text(self.data_line, "No data yet: open a file, or try the sample." if dataset is None else repr(dataset))
        views = self.recon.views
        self.tilts.show(() if views is None else views.tilts, 0 if views is None else views.number(dataset) or 0)
        self.ducky.layout.display = "" if dataset is None else "none"
        for part in (self.tab, self.accordion, self.auto):
            part.layout.display = "none" if dataset is None else ""

    def _describe(self) -> str:
        return f"{sum(self.steps.values())} of {len(self.steps)} steps done"


def _unframed(panel: Any) -> Any:
    """A panel whose frame is that of the bench round it."""
    panel.remove_class("pty-widget")
    return panel


__all__ = ["Workbench"]

"""What a file is, shown before it is opened, and the fields for what it does not say and is needed to open it."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from ipywidgets import HTML, Dropdown, HBox, Text, VBox

from ptywidgets.engine.data.calibration import PAIRED
from ptywidgets.engine.data.source import bins_of
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.listing import Entry
from ptywidgets.engine.io.summary import FileSummary
from ptywidgets.widgets.controls.calibration_editor import ENTRIES
from ptywidgets.widgets.controls.fields import ROW, dropdown, number_field, text_label, tip, toolbar
from ptywidgets.widgets.controls.formatting import typeset
from ptywidgets.widgets.controls.quiet import Quiet

CHOOSE_A_FILE = "Choose a file, to see what it is."
NOTHING: list[tuple[str, Any]] = [("choose ...", "")]  # a menu whose value is None shows no words


class FileFacts(VBox):
    """A :class:`FileSummary` in words, and fields for what it asks.

    Parameters
    ----------
    on_change : callable
        Called when something has been filled in.
    on_error : callable
        Called with a message about an entry that is no number.
    """

    def __init__(self, on_change: Callable[[], Any], on_error: Callable[[str], Any]) -> None:
        self._on_change, self._quiet = on_change, Quiet()
        self._shown: FileSummary | None = None
        self.about = HTML(layout={"margin": "0", "width": "100%"})
        self.scan_shape = _text("Rows and columns of the scan, such as 256 x 256")
        self.dataset: Dropdown = dropdown("", NOTHING, "", "The array that holds the patterns")
        self.choose: Dropdown = dropdown("", NOTHING, "", "Which scan of the series, or the sum")
        self.dtype = _text("Type of a pixel with its byte order: <u2, >u2, <f4, u1", "<u2")
        self.detector_shape = _text("Rows and columns of a pattern, such as 256 x 256", "rows x columns")
        self.fields: dict[str, Any] = {
            "dataset": _field("array", self.dataset),
            "choose": _field("scan", self.choose),
            "dtype": _field("pixel type", self.dtype),
            "detector_shape": _field("detector", self.detector_shape),
            "scan_shape": _field("scan", self.scan_shape),
        }
        for name, (label, unit, doc) in ENTRIES.items():
            field = number_field(label, None, unit=unit, doc=doc, optional=True, pair=name in PAIRED)
            field.observe(lambda change: on_error(change["new"]), "error")
            self.fields[name] = field
        for name, field in self.fields.items():
            self._input(name).observe(self._changed, "value")
            field.layout.display = "none"
        super().__init__([self.about, toolbar(*self.fields.values())])
        self.add_class("pty-panel")
        self.clear()

    @property
    def summary(self) -> FileSummary | None:
        """What is shown; None where no file is chosen, or it is still being looked at."""
        return self._shown

    def clear(self, text: str = CHOOSE_A_FILE) -> None:
        """Show no file, only these words, and forget what was filled in."""
        self._shown = None
        self.about.value = f'<div class="pty-about"><p class="pty-note">{html.escape(text)}</p></div>'
        with self._quiet:
            for name, field in self.fields.items():
                control = self._input(name)
                if isinstance(control, Dropdown):
                    control.options = NOTHING
                else:
                    control.value = "" if isinstance(control, Text) else None
                field.layout.display = "none"

    def show_folder(self, entry: Entry) -> None:
        """Say of a folder that it can be entered."""
        self.clear("A folder: enter it to see what is in it.")
        self._head(entry.name)

    def show(self, summary: FileSummary) -> None:
        """Show what a file is, and fields for what it asks; what was filled in for this file stays."""
        with self._quiet:
            if summary.arrays:
                _offer(self.dataset, [(text, at) for at, text in summary.arrays])
            if summary.scans:
                scans = [(f"number {n}", n) for n in range(summary.scans)]
                _offer(self.choose, [*scans, ("the sum of all", "sum")])
            if summary.likely is not None:
                self.scan_shape.placeholder = f"such as {summary.likely[0]} x {summary.likely[1]}"
        for name, field in self.fields.items():
            field.layout.display = "" if name in summary.asked else "none"
        self._shown = summary
        self.about.value = _in_html(summary)

    def reading(self) -> dict[str, Any]:
        """What was filled in, as :func:`ptywidgets.read` takes it.

        Raises
        ------
        DataError
            When a shape is none.
        """
        given: dict[str, Any] = {}
        for name, field in self.fields.items():
            value = self._input(name).value
            if field.layout.display == "none" or value in (None, ""):
                continue
            if name in ("scan_shape", "detector_shape"):
                value = bins_of(str(value), "a scan" if name == "scan_shape" else "a detector")
            given[name] = value * 1e3 if name == "energy" else value
        return given

    def _input(self, name: str) -> Any:
        """Of a field, what holds the value."""
        return self.fields[name] if name in ENTRIES else getattr(self, name)

    def _head(self, name: str) -> None:
        self.about.value = self.about.value.replace("<p", f"<b>{html.escape(name)}</b><p", 1)

    def _changed(self, _change: Any) -> None:
        if not self._quiet:
            self._on_change()


def _text(doc: str, placeholder: str = "") -> Text:
    return Text("", placeholder=placeholder, continuous_update=False, layout={"width": "150px"}, **tip(doc))


def _field(label: str, control: Any) -> HBox:
    control.layout.max_width = "100%"
    return HBox([text_label(label), control], layout={**ROW, "max_width": "100%"})


def _offer(control: Dropdown, options: list[tuple[str, Any]]) -> None:
    """Let one be chosen; what is chosen already stays."""
    known = [*NOTHING, *options]
    if list(control.options) != known:
        control.options = known


def _in_html(summary: FileSummary) -> str:
    pairs = [(html.escape(name), html.escape(typeset(text))) for name, text in summary.rows()]
    rows = "".join(f"<span>{name}</span><span>{text}</span>" for name, text in pairs)
    parts = [f"<b>{html.escape(printable(summary.path.name))}</b>"]
    parts += [f'<div class="pty-facts">{rows}</div>'] if rows else []
    kind = "warn" if summary.asked else "bad"  # what is only to be answered is no fault
    parts += [_line(summary.problem("widget"), kind)] if summary.error is not None else []
    if summary.kind == "data" and summary.shape and summary.error is None:
        complete = "The calibration that a reconstruction needs is in the file"
        parts.append(_line(summary.to_give("widget"), "warn") if summary.missing else _line(complete, "good"))
        parts.append(_line(summary.found("widget"), "note"))
    if summary.kind == "reconstruction":
        parts.append(_line("It is opened with its data, settings and result, and goes on from there", "note"))
    parts += [_line(note, "warn") for note in summary.notes]
    return f'<div class="pty-about" data-testid="pty-about">{"".join(parts)}</div>'


def _line(text: str, kind: str) -> str:
    return f'<p class="pty-{kind}">{html.escape(typeset(text.rstrip(".")))}.</p>'


__all__ = ["CHOOSE_A_FILE", "FileFacts"]

"""DoctorPanel: what is good, what to look at and what is wrong before a run, each in one sentence."""

from __future__ import annotations

import os
from typing import Any

from ipywidgets import HTML

from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.controls.fields import button, heading, note, set_text, toolbar
from ptywidgets.widgets.controls.formatting import quantity_text
from ptywidgets.widgets.controls.tables import escaped_text, rows, verdict_mark
from ptywidgets.widgets.panel.base import Panel

ORDER = ("bad", "warn", "good", "")
FEW = 8e6  # bytes of data that are examined at once; more on a thread


class DoctorPanel(Panel):
    """Checks of the data, their calibration and the start, with advice; what is wrong comes first.

    Parameters
    ----------
    source : Reconstruction, Dataset or path

    Examples
    --------
    >>> from ptywidgets import samples
    >>> panel = DoctorPanel(samples.ducky("tiny"))
    >>> {finding.verdict for finding in panel.findings} <= {"good", "warn", "bad"}
    True
    """

    def __init__(self, source: Reconstruction | Dataset | str | os.PathLike[str] | None = None) -> None:
        super().__init__(source)
        self.findings: tuple[Any, ...] = ()
        self.check_button = button("Check again", "Check the data and the start again", "", "stethoscope")
        self.summary = note()
        self.table = HTML()
        self.title = heading("Check")
        self.children = [toolbar(self.title, self.check_button, self.summary), self.status_line, self.table]
        self.on_click(self.check_button, self.check)
        self.observe_reconstruction(self._outdated, "dataset", "measurement", "optics")
        self.safe_callback(self.check)()

    def check(self) -> None:
        """Examine the data and the start as they are now."""
        if self.recon.dataset is None:
            self.set_status("No data yet: open a file, or try ptywidgets.samples.ducky().", "warn")
            return
        self.run_with_data(self.recon.examine, self._show, "Checking the data ...", FEW)

    def _show(self, findings: tuple[Any, ...]) -> None:
        self.findings = tuple(sorted(findings, key=lambda finding: ORDER.index(finding.verdict)))
        self.table.value = rows([_row(finding) for finding in self.findings], "pty-findings")
        counts = {verdict: sum(f.verdict == verdict for f in findings) for verdict in ORDER}
        parts = [f"{counts['bad']} bad", f"{counts['warn']} to look at", f"{counts['good']} good"]
        set_text(self.summary, ", ".join(parts))
        self.set_status("")

    def _outdated(self) -> None:
        if self.findings:
            set_text(self.summary, "The start has changed since this check.")

    def _describe(self) -> str:
        return f"{sum(f.verdict == 'good' for f in self.findings)} of {len(self.findings)} checks good"


def _row(finding: Any) -> tuple[str, str, str, str]:
    text = escaped_text(finding.sentence)
    if finding.remedy and finding.verdict != "good":
        text += f" <span class='pty-note'>{escaped_text(finding.remedy)}</span>"
    return (
        verdict_mark(finding.verdict),
        escaped_text(finding.name),
        escaped_text(quantity_text(finding.value, unit=finding.unit)),
        text,
    )


__all__ = ["DoctorPanel"]

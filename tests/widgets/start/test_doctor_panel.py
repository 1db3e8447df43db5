"""DoctorPanel without a browser: verdicts as signs and words, the worst first."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ptywidgets import Reconstruction
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.widgets.controls.formatting import quantity_text
from ptywidgets.widgets.controls.tables import verdict_mark
from ptywidgets.widgets.start.doctor_panel import ORDER, DoctorPanel


def test_the_worst_comes_first_and_every_finding_is_there(data):
    recon = Reconstruction(data, defocus=250)
    recon.prepare(rotation=-15.0, transpose=False)
    panel = DoctorPanel(recon)
    verdicts = [ORDER.index(finding.verdict) for finding in panel.findings]
    assert verdicts == sorted(verdicts) and len(verdicts) == len(recon.examine())
    rows = re.findall(r"<div class='pty-row'>(.*?)</div>", panel.table.value)
    assert len(rows) == len(verdicts)
    for finding, row in zip(panel.findings, rows, strict=True):
        assert verdict_mark(finding.verdict) in row and finding.name in row
    panel.close()


def test_a_verdict_is_told_by_sign_and_word():
    assert [re.sub("<.*?>", "", verdict_mark(v)) for v in ("good", "warn", "bad")] == ["✓ good", "! look", "✗ bad"]


def test_what_is_wrong_is_told_with_its_remedy(data):
    panel = DoctorPanel(Dataset(data.data))
    assert any(finding.verdict == "bad" for finding in panel.findings)
    remedy = next(finding.remedy for finding in panel.findings if finding.verdict == "bad")
    assert remedy and remedy.split("(")[0].strip("'\" .") in panel.table.value
    panel.close()


def test_a_change_of_the_start_makes_the_check_an_old_one(data):
    panel = DoctorPanel(Reconstruction(data))
    panel.recon.optics = panel.recon.optics.replace(semiangle=15)
    assert "has changed" in panel.summary.value
    panel.check_button.click()
    assert "has changed" not in panel.summary.value
    panel.close()


def test_without_data_it_waits():
    panel = DoctorPanel()
    assert "No data yet" in panel.status_text and panel.findings == ()
    panel.close()


def test_whatever_the_findings_say_is_shown_as_text(data, monkeypatch):
    from types import SimpleNamespace as Finding

    recon = Reconstruction(data)
    hostile = Finding(name="<b>", verdict="warn", value=np.nan, unit="px", sentence="<img src=x>", remedy="<i>")
    monkeypatch.setattr(recon, "examine", lambda: (hostile,), raising=False)
    panel = DoctorPanel(recon)
    assert "<img" not in panel.table.value and "&lt;img" in panel.table.value
    panel.close()


@pytest.mark.parametrize(
    "value, uncertainty, unit, expected",
    [
        (353.4, 1.9, "A", "353.4 ± 1.9 Å"),
        (-14.94, 0.23, "degrees", "−14.9 ± 0.2°"),
        (-0.014, 1.6, "A", "0.0 ± 1.6 Å"),
        (-39.6, 310.0, "A", "−40 ± 310 Å"),
        (None, None, "", ""),
        (False, None, "", "no"),
    ],
)
def test_a_value_has_the_digits_that_its_uncertainty_allows(value, uncertainty, unit, expected):
    assert quantity_text(value, uncertainty, unit) == expected

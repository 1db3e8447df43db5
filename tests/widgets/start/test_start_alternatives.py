"""StartAlternatives without a browser, by itself and in the fold of the start panel."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from ptywidgets import Dataset, Reconstruction, StartAlternatives, Workbench
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.reconstruction.inputs import calibrator
from ptywidgets.testing.starts import with_alternatives
from ptywidgets.widgets.start.start_panel import StartPanel


@pytest.fixture(scope="module")
def start(data):
    return with_alternatives(calibrate(data))


@pytest.fixture
def finding(monkeypatch, start):
    """Set what a search finds; at first the start with alternatives."""

    def finds(found):
        monkeypatch.setattr(calibrator, "calibrate", lambda data, **known: found)

    finds(start)
    return finds


@pytest.fixture
def recon(data, finding):
    recon = Reconstruction(data)
    recon.calibrate()
    yield recon
    recon.stop()


@pytest.fixture
def panel(recon):
    panel = StartAlternatives(recon)
    yield panel
    panel.close()


def plain(html):
    return unescape(re.sub("<[^>]*>", "", html.value))


def listed(panel):
    """The list, row by row, without the buttons."""
    return [[plain(cell) for cell in row.children[1:]] for row in panel.list.children[1:]]


def numbers(plot):
    """Where each number stands."""
    found = {}
    for mark in plot.numbers:
        found |= {int(t): at for t, *at in zip(mark.text.tolist(), mark.x.tolist(), mark.y.tolist(), strict=True) if t}
    return {number: tuple(at) for number, at in found.items()}


def shown(part):
    return part.layout.display != "none"


def test_the_list_says_what_each_of_them_is(panel):
    one = panel.recon.start_alternatives[0]
    assert len(listed(panel)) == 5
    assert listed(panel)[0] == [
        f"{one.rotation:.1f}°".replace("-", "−"),
        "as recorded",
        f"{one.defocus:.0f} Å",
        "0.4400",
        "81 %",
    ]
    assert listed(panel)[1][1] == "transposed" and listed(panel)[2][2].startswith("−")
    assert [row[4] for row in listed(panel)] == ["81 %", "14 %", "4 %", "0.3 %", "< 0.1 %"]
    assert [button.description for button in panel.buttons] == ["✓ 1 in use", *(f"Take {n}" for n in (2, 3, 4, 5))]
    assert listed(panel)[1][0] in panel.buttons[1].tooltip and listed(panel)[1][2] in panel.buttons[1].tooltip


def test_the_image_has_all_points_and_a_ring_for_each(panel):
    landscape, alternatives = panel.recon.start_landscape, panel.recon.start_alternatives
    assert sum(len(plot.points.x) for plot in panel.plots) == len(landscape)
    for plot in panel.plots:
        ours = [n for n, one in enumerate(alternatives) if one.transpose == plot.transpose][::-1]
        assert sorted(numbers(plot)) == sorted(n + 1 for n in ours)
        assert all(numbers(plot)[n + 1] == (alternatives[n].rotation, alternatives[n].defocus) for n in ours)
        assert plot.rings.x.tolist() == [alternatives[n].rotation for n in ours]
        assert plot.rings.y.tolist() == [alternatives[n].defocus for n in ours]
        assert np.diff(plot.points.color).min() >= 0, "the best lie on top"
    best = panel.plots[0].points
    assert best.color[-1] == 1 and abs(best.x[-1] - alternatives[0].rotation) < 6
    low, high = landscape.span
    assert f"{low:.3g}" in panel.colours.value and f"{high:.3g}" in panel.colours.value


def test_numbers_of_rings_that_are_near_each_other_stand_at_different_sides(data, finding, start):
    one = start.alternatives[0]
    close = tuple(replace(one, rotation=one.rotation + 8 * n, defocus=one.defocus + 9 * n) for n in range(6))
    finding(replace(start, alternatives=close))
    recon = Reconstruction(data)
    recon.calibrate()
    panel = StartAlternatives(recon)
    plot = panel.plots[0]
    assert sorted(numbers(plot)) == [1, 2, 3, 4, 5, 6]
    assert [sorted(mark.text.tolist())[0] for mark in plot.numbers] == ["1", "2", "3", "4"]
    panel.close()


def test_a_button_takes_one_and_so_does_a_click_on_its_ring(panel):
    recon = panel.recon
    panel.buttons[2].click()
    assert recon.taken_alternative == panel.chosen == 2
    assert [b.description for b in panel.buttons] == ["Take 1", "Take 2", "✓ 3 in use", "Take 4", "Take 5"]
    assert "start 3 of 5" in panel.status_text and panel.status_line.kind == "good"
    as_recorded, transposed = panel.plots
    assert as_recorded.outer.visible and as_recorded.outer.x.tolist() == [recon.start_alternatives[2].rotation]
    transposed.rings._handle_custom_msgs(transposed.rings, {"event": "element_click", "data": {"index": 1}})
    assert recon.taken_alternative == 1
    assert transposed.outer.visible and not as_recorded.outer.visible


def test_what_is_set_elsewhere_is_followed(panel):
    recon = panel.recon
    recon.take_alternative(4)
    assert panel.buttons[4].description == "✓ 5 in use"
    recon.prepare(rotation=12.0)
    assert not any("✓" in button.description for button in panel.buttons)
    assert not any(plot.outer.visible for plot in panel.plots)


def test_during_a_run_none_can_be_taken_and_it_says_why(panel):
    recon = panel.recon
    recon.update_plan(iterations=10_000)
    recon.start()
    panel.wait()
    assert all(button.disabled for button in panel.buttons) and "stop it first" in plain(panel.facts)
    panel.plots[1].rings._handle_custom_msgs(None, {"event": "element_click", "data": {"index": 1}})
    assert "stop it first" in panel.status_text and recon.taken_alternative == 0
    recon.stop()
    panel.wait()
    assert not any(button.disabled for button in panel.buttons) and "Click a ring" in plain(panel.facts)


def test_without_a_landscape_there_is_the_list_alone(data, finding, start):
    finding(replace(start, landscape=None))
    recon = Reconstruction(data)
    recon.calibrate()
    panel = StartAlternatives(recon)
    assert len(listed(panel)) == 5 and not shown(panel.landscape_panel)
    assert "ring" not in plain(panel.facts), "there is none"
    panel.buttons[1].click()
    assert recon.taken_alternative == 1
    panel.close()


def test_a_transpose_that_was_not_tried_has_no_image(data, finding, start):
    ours = start.landscape.transpose == start.measurement.transpose
    some = {name: getattr(start.landscape, name)[ours] for name in ("rotation", "transpose", "defocus", "misfit")}
    alternatives = tuple(one for one in start.alternatives if one.transpose == start.measurement.transpose)
    finding(replace(start, landscape=type(start.landscape)(**some), alternatives=alternatives))
    recon = Reconstruction(data)
    recon.calibrate()
    panel = StartAlternatives(recon)
    assert [shown(plot) for plot in panel.plots] == [True, False]
    panel.close()


def test_without_any_one_line_says_what_to_do(data, finding, start):
    panel = StartAlternatives()
    assert "No data yet" in plain(panel.facts)
    panel.close()
    panel = StartAlternatives(data)
    assert "press Auto" in plain(panel.facts) and not shown(panel.landscape_panel) and not shown(panel.list)
    assert panel.buttons == [] and repr(panel) == "StartAlternatives('ducky tiny'; no alternatives)"
    finding(replace(start, alternatives=(), landscape=None))
    panel.recon.calibrate()
    assert "has no alternatives" in plain(panel.facts)
    finding(start)
    panel.recon.calibrate()
    assert len(panel.buttons) == 5 and shown(panel.landscape_panel)
    assert repr(panel) == "StartAlternatives('ducky tiny'; 5 alternatives, 1 in use)"
    panel.recon.dataset = Dataset(data.data.copy(), data.calibration)
    assert panel.buttons == [] and not shown(panel.landscape_panel) and "press Auto" in plain(panel.facts)
    panel.close()


def test_the_start_panel_has_them_in_a_fold_made_when_it_is_opened(data, finding):
    panel = StartPanel(Reconstruction(data))
    assert not shown(panel.accordion) and panel.alternatives is None
    panel.find()
    panel.wait()
    assert shown(panel.accordion) and panel.accordion.selected_index is None and panel.alternatives is None
    assert "5" in panel.accordion.get_title(0) and "81 %" in panel.accordion.get_title(0)
    panel.accordion.selected_index = 0
    inner = panel.alternatives
    assert inner.recon is panel.recon and len(inner.buttons) == 5
    inner.buttons[1].click()
    assert "chosen by hand" in "".join(plain(row.children[2]) for row in panel.rows.children)
    panel.accordion.selected_index = None
    panel.accordion.selected_index = 0
    assert panel.alternatives is inner
    panel.close()


def test_the_bench_has_them_after_auto(data, finding):
    bench = Workbench(Reconstruction(data))
    bench.auto.click()
    bench.start.wait()
    bench.start.accordion.selected_index = 0
    bench.start.alternatives.buttons[2].click()
    assert bench.recon.taken_alternative == 2
    assert bench.select("Rotation").rotation == pytest.approx(bench.recon.rotation, abs=0.01)
    bench.close()

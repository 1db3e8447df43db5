"""While the start is looked for, the button that began it stops it; nothing is changed then."""

from __future__ import annotations

import threading
import time

import pytest

from ptywidgets import Reconstruction, Workbench, samples
from ptywidgets.engine import Aberrations
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.core.stopping import WorkStopped
from ptywidgets.reconstruction.inputs import calibrator
from ptywidgets.widgets.start.start_panel import StartPanel

STOP = ("Stop search", "danger", "stop")


@pytest.fixture(scope="module")
def faint():
    """So few counts that the whole grid is searched, which takes seconds."""
    return samples.ducky("small", dose=2e3)


@pytest.fixture
def under_way(monkeypatch):
    """Set as soon as a search has begun its longest part."""
    begun = threading.Event()

    def search(data, **known):
        known["progress"] = lambda text: begun.set() if "orientations" in text else None
        return calibrate(data, **known)

    monkeypatch.setattr(calibrator, "calibrate", search)
    return begun


def looks(button):
    return button.description, button.button_style, button.icon


def test_the_button_of_the_panel_stops_what_it_has_begun(faint, under_way):
    recon = Reconstruction(faint)
    lens, panel = recon.optics, StartPanel(recon)
    before = looks(panel.find_button)
    panel.find_button.click()
    assert looks(panel.find_button) == STOP and panel.searching
    assert under_way.wait(60)
    begin = time.process_time()
    panel.find_button.click()
    assert panel.wait() and time.process_time() - begin < 2.0  # of this process alone, however busy the machine is
    assert looks(panel.find_button) == before and not panel.searching
    assert panel.status_text == "The search for the start was stopped; nothing was changed."
    assert panel.status_line.kind == "note", "nothing has gone wrong"
    assert recon.optics is lens and recon.measurement is None and recon.estimates == ()
    panel.close()


def test_so_does_that_of_the_bench_and_it_goes_on_afterwards(faint, under_way):
    bench = Workbench(Reconstruction(faint, optics=None))
    before = looks(bench.auto)
    bench.auto.click()
    assert looks(bench.auto) == looks(bench.start.find_button) == STOP
    assert under_way.wait(60)
    bench.auto.click()
    assert bench.start.wait()
    assert looks(bench.auto) == before and bench.recon.estimates == ()
    bench.auto.click()
    assert bench.start.wait(120)
    assert looks(bench.auto) == before and bench.recon.estimates
    bench.close()


def test_other_data_on_the_bench_stop_it(faint, under_way):
    recon = Reconstruction(faint)
    bench = Workbench(recon)
    before = looks(bench.auto)
    bench.auto.click()
    assert under_way.wait(60)
    old = bench.start
    bench.use(samples.ducky("tiny"))
    assert looks(bench.auto) == before
    assert old.wait() and recon.estimates == () and "stopped" in recon.message
    bench.close()


def test_what_goes_wrong_in_a_search_gives_the_button_back(faint, monkeypatch):
    def search(*_, **__):
        raise ValueError("no such luck")

    monkeypatch.setattr(calibrator, "calibrate", search)
    panel = StartPanel(Reconstruction(faint, optics=None))
    panel.find_button.click()
    assert panel.wait() and not panel.searching and panel.find_button.description == "Find again"
    assert "no such luck" in panel.status_text and panel.status_line.kind == "bad"
    panel.close()


def test_a_stop_from_code_is_told_in_the_panel(faint, under_way):
    recon = Reconstruction(faint)
    recon.optics = recon.optics.replace(aberrations=Aberrations(defocus=None, C30=1e4))
    panel = StartPanel(recon)
    panel.find()
    panel.find()  # which is under way
    assert under_way.wait(60)
    recon.stop()
    assert panel.wait() and "was stopped" in panel.status_text
    assert recon.optics.aberrations["C30"] == 1e4
    with pytest.raises(WorkStopped):
        recon.calibrate(stop=lambda: True)
    panel.close()

"""A search for the start is stopped at once, from another thread or by a run, and leaves everything as it was."""

from __future__ import annotations

import copy
import threading
import time

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import Aberrations, ParameterError
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.core.stopping import WorkStopped, check_stop, stop_check, stopped_by
from ptywidgets.reconstruction.session import work

PROMPT = 2.0  # s of this process, in all threads, however busy the machine is


@pytest.fixture(scope="module")
def faint():
    """So few counts that the whole grid is searched, which takes seconds."""
    return samples.ducky("small", dose=2e3)


def test_work_is_stopped_where_somebody_is_asked_and_only_there():
    check_stop()
    asked = []
    with stopped_by(lambda: asked.append(1)):  # which returns nothing
        check_stop()
        handed = stop_check()
    check_stop()
    assert asked == [1]
    handed()  # a thread that was begun within goes on asking
    assert asked == [1, 1]
    with stopped_by(None):
        check_stop()
    with pytest.raises(WorkStopped), stopped_by(lambda: True):
        check_stop()
    with pytest.raises(ParameterError, match="stop is 1; expected a function"), stopped_by(1):
        pass


@pytest.mark.parametrize("part", ["the bright-field disk", "the best of them", "a coarse reconstruction"])
def test_the_engine_obeys_in_every_part_of_a_search(faint, part):
    reached = []

    def progress(words):
        if words == part:
            reached.append(time.process_time())

    def stop():
        return bool(reached) and time.process_time() > reached[0] + 0.02

    with pytest.raises(WorkStopped):
        calibrate(faint, progress=progress, stop=stop)
    assert time.process_time() - reached[0] < PROMPT


def test_a_stop_that_is_no_function_is_refused(faint):
    with pytest.raises(ParameterError, match="stop is 5; expected a function"):
        calibrate(faint, stop=5)


def searched(recon, **known):
    """A search on a thread, and what it has come to."""
    come = []

    def work():
        try:
            come.append(recon.calibrate(**known))
        except Exception as error:
            come.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, come


def test_stop_ends_it_and_nothing_is_changed(faint):
    recon = Reconstruction(faint, optics=None)
    recon.optics = recon.optics.replace(aberrations=Aberrations(defocus=None, C30=1e4))
    before = {name: getattr(recon, name) for name in ("dataset", "optics", "preparation", "measurement", "status")}
    begun = threading.Event()
    thread, come = searched(recon, progress=lambda words: begun.set() if "orientations" in words else None)
    assert begun.wait(60)
    begin = time.process_time()
    assert recon.stop() is recon
    assert time.process_time() - begin < PROMPT
    thread.join(10)
    assert isinstance(come[0], WorkStopped)
    assert recon.message == str(come[0]) == "The search for the start was stopped; nothing was changed."
    for name, value in before.items():
        assert getattr(recon, name) is value, name
    assert recon.estimates == () and recon.start_alternatives == ()
    recon.stop()  # where nothing goes on, nothing is done


def test_progress_may_stop_it_and_what_else_says_so(faint):
    recon = Reconstruction(faint)
    with pytest.raises(WorkStopped):
        recon.calibrate(progress=lambda _words: recon.request_stop())
    with pytest.raises(WorkStopped):
        recon.calibrate(stop=lambda: True)
    assert not recon.optics.aberrations.known and recon.measurement is None


def test_a_copy_is_made_while_a_search_goes_on(faint):
    recon = Reconstruction(faint)
    begun = threading.Event()
    thread, _ = searched(recon, progress=lambda _words: begun.set())
    assert begun.wait(60)
    other = copy.copy(recon)
    other.stop()  # its own, of which there is none
    assert thread.is_alive()
    recon.stop()
    thread.join(10)


def test_a_run_that_looks_for_its_start_stops_as_fast(faint):
    recon = Reconstruction(faint).start()
    while "orientations" not in recon.message and recon.status == "running":
        time.sleep(0.005)
    time.sleep(0.05)
    begin = time.process_time()
    recon.stop()
    assert time.process_time() - begin < PROMPT
    assert recon.status == "stopped" and "Stopped while looking for" in recon.message
    assert recon.iteration == 0 and recon.optics.aberrations.known is False
    assert not np.any(list(recon.optics.aberrations.values()))


@pytest.mark.parametrize("wrong", [1, "x", True, lambda words: None], ids=repr)
def test_what_cannot_be_asked_whether_to_stop_is_refused_before_any_work(wrong):
    data = samples.ducky("tiny")
    for looks in (Reconstruction(data).calibrate, lambda **given: calibrate(data, **given)):
        said = []
        with pytest.raises(ParameterError, match=r"stop is .*; expected a function without arguments"):
            looks(stop=wrong, progress=said.append)
        with pytest.raises(ParameterError, match=r"progress is .*; expected a function that is called with words"):
            looks(progress=wrong if not callable(wrong) else lambda: None)
        assert not said


@pytest.fixture(scope="module")
def off():
    """A defocus that the counts do not confirm, so that all parts of the check are done."""
    recon = Reconstruction(samples.ducky("tiny"), defocus=300)
    recon.prepare(rotation=-15.0, transpose=False)
    return recon


PARTS = (
    "lens and scan on a part of the counts",
    "lens and scan, which the counts do not confirm",
    "both on all of the counts",
)


@pytest.mark.parametrize("ran", [False, True], ids=["the first run", "another one"])
@pytest.mark.parametrize("part", PARTS)
def test_a_stop_while_the_start_is_checked_is_said_and_nothing_is_changed(off, part, ran):
    """Stopped in the last part, it took the start over, threw the result away, and said nothing of the stop."""
    recon = off.copy()
    if ran:
        recon.hold = ("aberrations", "rotation", "scan_step", "semiangle")
        recon.run(1)
        recon.hold = ()
        recon.update_optics(C30=1.0)
    state, lens, estimates = recon.state, recon.optics, recon.estimates

    def stop(change):
        if change["new"] == f"Checking the start: {part}.":
            recon.request_stop()

    recon.observe(stop, "message")
    recon.run(1)
    said = "Stopped before the first iteration, while the start was checked: nothing was changed."
    assert (recon.status, recon.message) == ("stopped", said)
    assert recon.state is state and recon.optics is lens and recon.estimates == estimates


def test_what_was_found_before_the_check_is_told(off):
    recon = Reconstruction(off.dataset, defocus=300)

    def stop(change):
        if change["new"].endswith("both on all of the counts."):
            recon.request_stop()

    recon.observe(stop, "message")
    recon.run(1)
    assert recon.message.startswith("Found: rotation")
    assert recon.message.endswith(
        "Stopped before the first iteration, while the start was checked: nothing else was changed."
    )


def test_a_stop_while_it_is_asked_why_the_patterns_are_not_explained_is_said(off, monkeypatch):
    def doubting(problem, state, plan, progress=None, **known):
        if progress is not None:
            recon.request_stop()
            progress("at another defocus")
        return ()

    monkeypatch.setattr(work, "doubts_of", doubting)
    recon = off.copy()
    recon.find_unknown = False
    recon.run(1)
    assert recon.status == "stopped" and recon.iteration == 1
    assert recon.message == "Stopped while looking why the patterns are not explained."

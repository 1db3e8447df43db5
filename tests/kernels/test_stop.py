"""A reconstruction in real kernels: the cell returns, Stop is obeyed within one batch, nothing is lost or left behind.

Nothing here is timed: batches are counted. The dataset is drawn at random; what comes out of it does not matter.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel

PREPARED = """
import sys, threading, time
import numpy as np
import ptywidgets
from importlib import import_module
from ptywidgets.engine.data.dataset import Calibration, Dataset

def all_threads():
    return sorted(thread.name for thread in threading.enumerate() if thread.is_alive())

batches = []          # when each batch was done
original = import_module("ptywidgets.engine.solve.iterate").steps

def counted(*args, **kwargs):
    # a generator that can be sent a new plan, as the original
    inner, sent = original(*args, **kwargs), None
    while True:
        try:
            state = inner.send(sent)
        except StopIteration as end:
            return end.value
        batches.append(time.monotonic())
        if len(batches) == 40:
            open("forty_batches", "w").close()     # seen by a test while the kernel is too busy to be asked
        time.sleep(0.002)     # so that a batch takes longer than it takes to look
        sent = yield state

for module in list(sys.modules.values()):
    if module is not None and getattr(module, "steps", None) is original:
        module.steps = counted

ry, rx = np.mgrid[-8:8, -8:8]
disk = 200.0 * (np.hypot(ry, rx) < 4)
data = np.random.default_rng(0).poisson(disk, (8, 8, 16, 16)).astype("uint16")
calibration = Calibration(energy=80e3, scan_step=1.0, q_pixel=0.1, semiangle=16.0)
recon = ptywidgets.Reconstruction(Dataset(data, calibration), defocus=0)
recon.prepare(rotation=0.0, transpose=False)
recon.update_plan(iterations=10_000, batch=4)
before = all_threads()
"""

RUNNER = """
import ipywidgets

def button_named(widget, name):
    if isinstance(widget, ipywidgets.Button) and name in (widget.description, widget.tooltip):
        return widget
    found = (button_named(child, name) for child in getattr(widget, "children", ()))
    return next((button for button in found if button is not None), None)

runner = ptywidgets.ReconstructionRunner(recon)
stop_button, pause_button = button_named(runner, "Stop"), button_named(runner, "Pause")
heard = []            # how many batches were done when the click arrived
for button in (stop_button, pause_button):
    button.on_click(lambda _: heard.append(len(batches)))
"""


OWN_BUTTON = """
import ipywidgets
stop_button, heard = ipywidgets.Button(description="Halt"), []
stop_button.on_click(lambda _: recon.request_stop())
stop_button.on_click(lambda _: heard.append(len(batches)))
"""


@pytest.fixture
def prepared(kernel):
    kernel.execute(PREPARED)
    return kernel


@pytest.mark.parametrize("buttons", [OWN_BUTTON, RUNNER], ids=["own", "runner"])
def test_the_cell_returns_and_stop_is_obeyed_within_one_batch(prepared, buttons):
    prepared.execute(buttons + "recon.start()")
    assert prepared.eval("recon.status") == "running"
    prepared.wait("recon.iteration >= 2")
    prepared.click("stop_button")
    prepared.wait("recon.status == 'stopped'")
    # what stops was called just before what counts: only the batch that was being worked on may have been done since
    assert prepared.eval("len(batches) - heard[0]") <= 1
    done = prepared.eval("[recon.iteration, len(recon.losses), len(batches)]")
    assert done[0] >= 2
    assert done[0] == done[1]
    prepared.execute("time.sleep(0.1)")
    assert prepared.eval("[recon.iteration, len(recon.losses), len(batches)]") == done
    prepared.wait("all_threads() == before")


def test_pause_holds_and_resume_goes_on_to_the_end(prepared):
    prepared.execute(RUNNER + "recon.start()")
    prepared.wait("recon.iteration >= 1")
    prepared.click("pause_button")
    prepared.wait("recon.status == 'paused'")
    assert prepared.eval("len(batches) - heard[0]") <= 1
    held = prepared.eval("len(batches)")
    prepared.execute("time.sleep(0.1)")
    assert prepared.eval("len(batches)") == held
    prepared.execute("recon.resume()")
    prepared.wait(f"len(batches) > {held} + 2")
    prepared.execute("recon.stop(); recon.wait(10)")
    assert prepared.eval("recon.status") == "stopped"
    prepared.wait("all_threads() == before")


def test_stop_then_start_continues_where_it_stopped(prepared):
    prepared.execute("recon.start(); ")
    prepared.wait("recon.iteration >= 2")
    prepared.execute("recon.stop(); recon.wait(10); first = list(recon.losses)")
    prepared.execute("recon.start(2); recon.wait(60)")
    assert prepared.eval("recon.iteration == len(first) + 2 == len(recon.losses)")
    assert prepared.eval("list(recon.losses)[:len(first)] == first")
    prepared.wait("all_threads() == before")


def test_starting_twice_leaves_one_worker(prepared):
    prepared.execute("recon.start(); recon.start(); recon.start()")
    prepared.wait("recon.iteration >= 2")
    prepared.execute("recon.stop(); recon.wait(10)")
    # 64 positions in batches of 4: every batch that was done belongs to the one run
    assert prepared.eval("len(batches) == 16 * recon.iteration + recon.state.batch")
    prepared.wait("all_threads() == before")


def test_interrupting_run_means_stop_and_keep(prepared, tmp_path):
    cell = prepared.send_code("recon.run()\nafter_run = True")
    assert prepared.until((tmp_path / "forty_batches").exists, 30)  # two iterations and a half
    prepared.interrupt()
    prepared.wait_for_cell(cell)  # no traceback: the cell goes on after it
    assert prepared.eval("after_run and recon.status == 'stopped'")
    assert prepared.eval("recon.iteration == len(recon.losses) and recon.iteration > 0")
    assert prepared.eval("recon.object is not None and bool(np.isfinite(recon.object).all())")
    prepared.wait("all_threads() == before")


def test_a_restarted_kernel_is_clean_and_the_reconstruction_can_be_run_anew(prepared):
    prepared.execute("recon.start()")
    prepared.wait("recon.iteration >= 1")
    pid = prepared.eval("__import__('os').getpid()")
    prepared.manager.restart_kernel(now=False)
    prepared.rejoin()
    assert prepared.eval("__import__('os').getpid()") != pid
    prepared.execute(PREPARED + "recon.run(1)")
    assert prepared.eval("recon.iteration") == 1


def test_a_cell_run_again_leaves_no_worker_of_its_first_run(prepared):
    prepared.execute("recon.start()")
    prepared.wait("recon.iteration >= 1")
    prepared.execute(
        "recon.stop()\nrecon = ptywidgets.Reconstruction(Dataset(data, calibration), defocus=0)\n"
        "recon.prepare(rotation=0.0, transpose=False)\nrecon.start(1)\nrecon.wait(60)"
    )
    prepared.wait("all_threads() == before")


@pytest.mark.allow_errors("RuntimeError")
def test_an_error_in_the_worker_becomes_a_status_and_is_raised_by_wait(prepared):
    prepared.execute(
        "def failing(*args, **kwargs):\n"
        "    yield from ()\n"
        "    raise RuntimeError('the detector fell off')\n"
        "for module in list(sys.modules.values()):\n"
        "    if module is not None and getattr(module, 'steps', None) is counted:\n"
        "        module.steps = failing\n"
        "recon.start()"
    )
    prepared.wait("recon.status == 'error'")
    assert "the detector fell off" in prepared.eval("recon.message")
    with pytest.raises(RuntimeError, match="the detector fell off"):
        prepared.execute("recon.wait()")
    prepared.wait("all_threads() == before")

"""Cells that are run again, and kernels that end, in real kernels: nothing is left, and no noise is made."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel

PREPARED = """
import gc, weakref
import numpy as np
import ptywidgets
from ptywidgets.engine.data.dataset import Calibration, Dataset

ry, rx = np.mgrid[-8:8, -8:8]
disk = 200.0 * (np.hypot(ry, rx) < 4)
data = np.random.default_rng(0).poisson(disk, (8, 8, 16, 16)).astype("uint16")
calibration = Calibration(energy=80e3, scan_step=1.0, q_pixel=0.1, semiangle=16.0)
made = []

def new():
    recon = ptywidgets.Reconstruction(Dataset(data.copy(), calibration), defocus=0)  # else it is looked for
    recon.prepare(rotation=0.0, transpose=False)
    recon.update_plan(iterations=100_000, batch=4)
    made.append(weakref.ref(recon))
    return recon

def states():
    gc.collect()
    return [None if one() is None else one().status for one in made]
"""
START = "recon = new()\nbench = ptywidgets.Workbench(recon)\nrecon.start()\nbench"


@pytest.fixture
def prepared(kernel):
    kernel.execute(PREPARED)
    return kernel


def test_a_cell_run_again_leaves_nothing_of_its_first_run(prepared):
    for _ in range(3):
        prepared.execute(START)
        prepared.wait("recon.losses and 1")
    prepared.wait("states() == [None, None, 'running']")
    prepared.execute("recon.start()")  # a cell whose result is kept
    prepared.execute(START)
    prepared.execute("recon.start()")
    prepared.wait("states()[:3] == [None, None, None]")
    prepared.execute("recon.stop(); bench.close()")


def test_a_loop_in_a_cell_and_another_cell_stop_nobody(prepared):
    prepared.execute("several = [new().start() for _ in range(2)]")
    prepared.execute("other = new().start()")
    prepared.wait("all(one.losses for one in (*several, other)) and 1")
    assert prepared.eval("states()") == ["running"] * 3
    prepared.execute("for one in (*several, other): one.stop()")


def test_a_kernel_that_ends_while_it_computes_says_nothing_but_one_line(prepared):
    """Printed where the server shows what its kernels print; and it ends by itself, without being killed."""
    prepared.execute("recon = new()\nbench = ptywidgets.Workbench(recon)\nbench.calibrate()\nrecon.start()")
    prepared.wait("recon.losses and 1")
    pid = prepared.eval("__import__('os').getpid()")
    prepared.manager.request_shutdown()
    assert prepared.until(lambda: not prepared.manager.provisioner.has_process or ended(prepared, pid), 30)
    assert not [error for error in prepared.errors if "Traceback" in error]


def ended(kernel, pid: int) -> bool:
    return kernel.manager.provisioner.process.poll() is not None

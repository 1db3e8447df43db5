"""The harness itself: it reaches the kernels that it says, and they behave as docs/troubleshooting.md tells."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.kernel

BUTTON = """
import ipywidgets, threading, time
stop, heard = threading.Event(), []
button = ipywidgets.Button(description="Stop")
button.on_click(lambda _: (heard.append(threading.current_thread().name), stop.set()))
"""


def test_the_kernel_is_of_the_version_asked_for(kernel):
    kernel.execute("import ipykernel")
    assert kernel.eval("ipykernel.__version__").startswith(kernel.version + ".")
    assert (kernel.subshell is None) == (kernel.version == "6.31")


def test_a_click_stops_a_worker_thread_after_the_cell_has_returned(kernel):
    kernel.execute(BUTTON)
    kernel.execute("worker = threading.Thread(target=stop.wait, daemon=True)\nworker.start()")
    assert kernel.eval("worker.is_alive()")
    kernel.click("button")
    kernel.wait("not worker.is_alive()")
    assert len(kernel.eval("heard")) == 1


def test_only_kernel_7_3_hears_a_click_while_a_cell_runs(kernel):
    """Why a reconstruction runs in a thread: a loop in a cell hears no click but in a few kernel versions."""
    kernel.execute(BUTTON)
    comm = kernel.eval("button.comm.comm_id")
    cell = kernel.send_code("for turn in range(40):\n    if stop.wait(0.05): break\nduring = stop.is_set()")
    kernel.click_comm(comm)
    kernel.wait_for_cell(cell)
    kernel.wait("stop.is_set()")
    assert kernel.eval("during") == (kernel.version == "7.3")


def test_a_trait_set_by_the_browser_arrives(kernel):
    kernel.execute("import ipywidgets\nslider = ipywidgets.IntSlider(max=10)")
    kernel.set_trait(kernel.eval("slider.comm.comm_id"), value=7)
    assert kernel.wait("slider.value == 7")


@pytest.mark.allow_errors("ZeroDivisionError")
def test_an_error_in_a_callback_is_heard(kernel):
    kernel.execute(BUTTON + "button.on_click(lambda _: 1 / 0)")
    kernel.click("button")
    kernel.wait("len(heard) == 1")
    kernel.execute("pass")
    assert kernel.until(lambda: any("ZeroDivisionError" in error for error in kernel.errors), 10)


@pytest.mark.allow_errors("Exception in thread")
def test_an_error_in_a_thread_is_heard(kernel):
    kernel.execute("import threading\nthreading.Thread(target=lambda: 1 / 0).start()")
    assert kernel.until(lambda: any("ZeroDivisionError" in error for error in kernel.errors), 10)


@pytest.mark.allow_errors("KeyboardInterrupt")
def test_an_interrupt_ends_a_cell(kernel, tmp_path):
    kernel.execute("import time")
    cell = kernel.send_code("open('begun', 'w').close()\nwhile True: time.sleep(0.01)")
    assert kernel.until((tmp_path / "begun").exists, 20)
    kernel.interrupt()
    with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
        kernel.wait_for_cell(cell)

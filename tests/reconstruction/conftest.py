"""Fixtures for runs that are done by threads."""

import gc
import threading

import pytest
from patience import wait_for


@pytest.fixture
def no_thread_survives():
    """Other tests may have left idle threads of their backends; these may not, but for the direct methods' helpers."""
    before = set(threading.enumerate())
    yield
    gc.collect()

    def left():
        new = [thread.name for thread in threading.enumerate() if thread not in before]
        kept = "ptywidgets-direct"  # the threads of the direct methods stay, once there are some
        return [name for name in new if name.startswith("ptywidgets") and not name.startswith(kept)]

    wait_for(lambda: not left())

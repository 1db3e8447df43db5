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
    ours = [t for t in threading.enumerate() if t not in before and t.name.startswith("ptywidgets")]
    wait_for(lambda: not [t for t in ours if t.is_alive() and not t.name.startswith("ptywidgets-direct")])

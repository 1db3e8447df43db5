"""Scripts that end while they compute: they do end, with their own status, a word on the run, and what it saved."""

import importlib.util
import random
import sys
import threading
import time

import pytest

from ptywidgets.engine.core.workers import WorkerPool
from ptywidgets.reconstruction.session import ending

KINDS = [  # what the script does, how it ends, after how many seconds, in which format, whether it saves
    ("run", "end", 0.3, "tiny.npy", True),
    ("run", "exit", 0.0, "tiny_gzip.h5", False),
    ("run", "error", 0.6, "tiny_plain.h5", True),
    ("run", "interrupt", 0.2, "tiny_gzip.h5", True),
    ("paused", "end", 0.1, "tiny_plain.h5", True),
    ("paused", "exit", 0.4, "tiny.npy", False),
    ("preparing", "end", 0.0, "tiny_gzip.h5", False),
    ("preparing", "error", 0.3, "tiny_plain.h5", True),
    ("widgets", "end", 0.2, "tiny_gzip.h5", False),
    ("widgets", "exit", 1.0, "tiny.npy", False),
]


@pytest.fixture(scope="module")
def exits(repository):
    spec = importlib.util.spec_from_file_location("exits", repository / "benchmarks" / "exits.py")
    module = sys.modules["exits"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["exits"]


@pytest.fixture(scope="module")
def data(exits, tmp_path_factory):
    return {
        path.rsplit("/", 1)[-1]: (path, known)
        for path, known in exits.make_data(tmp_path_factory.mktemp("data"), "tiny")
    }


@pytest.mark.skipif(sys.platform != "linux", reason="no GPU: signals and times are those of Linux")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind)))
def test_a_script_ends_in_the_middle(exits, data, tmp_path, kind):
    doing, way, delay, name, saves = kind
    autosave = str(tmp_path / "auto.h5") if saves else None
    outcome = exits.run_trial(exits.Trial(doing, way, delay, autosave, *data[name]))
    assert not outcome.faults, outcome.stderr


def test_a_run_that_a_thread_of_the_program_waits_for_goes_on_to_its_end(exits, data):
    """Python itself waits for threads that are no daemons."""
    path, known = data["tiny_plain.h5"]
    code = f"""
import threading
from concurrent.futures import ThreadPoolExecutor
from ptywidgets import Reconstruction

def work(number):
    recon = Reconstruction.open({path!r}, **{known!r})
    for _ in range(2):
        recon.run(2)
    print(number, recon.status, recon.iteration, flush=True)

threading.Thread(target=work, args=("thread",)).start()
ThreadPoolExecutor(1).submit(work, "pool")
"""
    done = exits.subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stderr == ""
    assert sorted(done.stdout.splitlines()) == ["pool finished 4", "thread finished 4"]


def test_a_thread_that_begins_others_is_not_broken_into_while_it_does():
    """The exception would end the new thread before it says that it runs, and the one that waits for it never ends."""
    dice = random.Random(0)
    for _ in range(300):

        def work():
            while True:
                with WorkerPool(2) as pool:
                    pool.submit(int)

        thread = ending.Thread(work, "test")
        thread.start()
        time.sleep(dice.uniform(0, 2e-3))
        ending._unwind(thread)
        thread.join(20)
        assert not thread.is_alive()


def test_a_thread_within_the_compiler_is_not_broken_into():
    """An exception there leaves compiled code in pieces, and the next call crashes."""
    inside, go_on, seen = threading.Event(), threading.Event(), []
    compiler = {"__name__": "numba.core.stand_in", "inside": inside, "go_on": go_on}
    exec("def compiled():\n    inside.set()\n    while not go_on.wait(0.01):\n        pass\n", compiler)

    def work():
        try:
            compiler["compiled"]()
            seen.append("whole")
            while True:
                time.sleep(0.005)
        except ending.Ended:
            seen.append("ended")
            raise

    thread = ending.Thread(work, "test")
    thread.start()
    assert inside.wait(10)
    threading.Timer(0.5, go_on.set).start()
    ending._end_threads(time.monotonic() + 10)
    assert not thread.is_alive() and seen == ["whole", "ended"]

"""Scripts that end while they compute: they do end, with their own status, a word on the run, and what it saved."""

import importlib.util
import random
import subprocess
import sys
import threading
import time

import pytest

from ptywidgets.engine.core.stopping import stop_check, stopped_by
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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
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


@pytest.fixture
def compiling():
    """A thread within the compiler, what lets it out, and what it has seen."""
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
    return thread, go_on, seen


def test_a_thread_within_the_compiler_is_not_broken_into(compiling):
    """An exception there leaves compiled code in pieces, and the next call crashes."""
    thread, go_on, seen = compiling
    threading.Timer(0.5, go_on.set).start()
    ending._end_threads(time.monotonic() + 10)
    assert not thread.is_alive() and seen == ["whole", "ended"]


def test_a_thread_that_enters_the_compiler_meanwhile_is_not_broken_into(compiling):
    """It would take the compiler's lock along, for which other threads, and so the process, wait for ever."""
    thread, go_on, seen = compiling
    ending._unwind(thread)
    go_on.set()
    end = time.monotonic() + 10
    while not seen and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.1)
    assert thread.is_alive() and seen == ["whole"]
    ending._unwind(thread)
    thread.join(10)
    assert not thread.is_alive() and seen == ["whole", "ended"]


def test_a_script_that_ends_while_a_kernel_is_compiled_lets_the_compiler_finish():
    """Its C++ code, cut off, aborts the process. What is compiled is done; no other kernel is begun."""
    lock = pytest.importorskip("numba.core.compiler_lock", reason="no numba")
    code = f"""
import threading, time
from {lock.__name__} import global_compiler_lock
from ptywidgets.reconstruction.session import ending

inside = threading.Event()
compiler = {{"__name__": "numba.core.stand_in", "sleep": time.sleep}}
exec("def compiled():\\n    for _ in range(150):\\n        sleep(0.01)", compiler)

def work():
    with global_compiler_lock:
        inside.set()
        compiler["compiled"]()
        print("whole", flush=True)
    time.sleep(2)
    with global_compiler_lock:
        print("another", flush=True)

ending.Thread(work, "test").start()
inside.wait()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "whole\n", "")


def test_a_thread_that_asks_whether_to_stop_is_not_broken_into(monkeypatch):
    """Also within work that somebody else may stop, and a thread of a pool that does a part of it."""
    monkeypatch.setattr(ending, "_unwind", lambda one: broken.append(one))
    begun, given_up, seen, broken = threading.Event(), threading.Event(), [], []

    def part(check):
        begun.set()
        while not given_up.is_set():
            check()
            time.sleep(0.001)

    def work():
        try:
            with stopped_by(lambda: False), WorkerPool(1) as pool:
                pool.submit(part, stop_check()).result()
        except BaseException as error:
            seen.append(type(error))
            raise

    thread = ending.Thread(work, "test")
    thread.start()
    assert begun.wait(10)
    ending._end_threads(time.monotonic() + 10)
    given_up.set()
    assert not broken and seen == [ending.Ended]

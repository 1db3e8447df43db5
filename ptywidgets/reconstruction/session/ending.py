"""The end of the process: runs stop and save, and no thread of ours is left inside a library that is being taken apart.

A daemon thread that is still at work when the interpreter is taken down may hold a lock that the clearing up waits for
(h5py has one for everything), or is cut off in the middle of C++ code, which aborts the process. So before that, every
run is asked to stop, and threads that compute something for it or for a widget end at the next place where they ask
whether to; what does not ask in time is unwound by an exception from outside. Nothing here is reached where a process
is killed (SIGKILL, or SIGTERM without a handler).
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ptywidgets.engine.backends.kernels.kernels import hold_compiler
from ptywidgets.engine.core.stopping import stopped_by
from ptywidgets.engine.core.workers import BUSY, STARTING
from ptywidgets.engine.io.arrays.lazy import hold_hdf5

PREFIX = "ptywidgets"
COMPILERS = ("numba", "llvmlite")
PATIENCE = 0.2  # s: most batches end by themselves within that
AGAIN = 0.25  # s: longer than it takes to clean up, which must not be interrupted; what goes on to another job needs it
LIMIT = 0.7  # s, for all threads together
LATER = 0.3  # s, after that, for saving to begin
LATEST = 0.8  # s, after that, for a library that is still reading
COMPILED = 10.0  # s, after that, for a kernel that is being compiled: some take seconds on a slow machine


class Ended(SystemExit):
    """The process ends: raised in threads that compute. Threads may end by it without a word."""


class Runs:
    """The runs that are on, from any thread. Those that nobody holds any more are forgotten."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, weakref.ref[Any]] = {}

    def add(self, run: Any) -> None:
        """One has begun."""
        with self._lock:
            self._known[id(run)] = weakref.ref(run)

    def discard(self, run: Any) -> None:
        """One has ended."""
        with self._lock:
            self._known.pop(id(run), None)

    def __iter__(self) -> Iterator[Any]:
        with self._lock:
            alive = {key: run for key, reference in self._known.items() if (run := reference()) is not None}
            self._known = {key: self._known[key] for key in alive}
        return iter(alive.values())

    def forked(self) -> None:
        """In a forked child: none of the threads is here, and the lock may have been held by one."""
        self._lock = threading.Lock()
        for run in self:
            run._work.forked()
        self._known.clear()
        _waiting.clear()


RUNS = Runs()
_until = float("inf")  # monotonic, s: how long the end of the process may wait
_waiting: dict[int, int] = {}  # runs for which non-daemon threads wait, by id of the runner, and how many do


@contextmanager
def waited_for(runner: Any) -> Iterator[None]:
    """While a thread that the process waits for waits for a run, its end does not stop it."""
    if threading.current_thread().daemon:
        yield
        return
    key = id(runner)
    with RUNS._lock:
        _waiting[key] = _waiting.get(key, 0) + 1
    try:
        yield
    finally:
        with RUNS._lock:
            _waiting[key] -= 1
            if not _waiting[key]:
                del _waiting[key]


class Thread(threading.Thread):
    """A daemon thread that is ended with the process; pools end their own."""

    def __init__(self, work: Callable[[], object], name: str) -> None:
        super().__init__(target=work, name=f"{PREFIX}-{name}", daemon=True)
        self.over = False
        self._leaves = False

    def start(self) -> None:
        """As in threading."""
        with STARTING:
            super().start()

    def run(self) -> None:
        """As in threading; ended with the process, it says nothing."""
        try:
            with stopped_by(self._asked):
                super().run()
        except Ended:
            pass
        finally:
            self.over = True

    def leave(self) -> None:
        """End where its work asks whether to stop."""
        self._leaves = True

    def _asked(self) -> bool:
        if self._leaves:
            raise Ended
        return False


class Timer(threading.Timer):
    """Does `work` after a delay (s), unless it is cancelled or the process ends."""

    def __init__(self, delay: float, work: Callable[[], object]) -> None:
        super().__init__(delay, work)
        self.name, self.daemon = f"{PREFIX}-timer", True

    def start(self) -> None:
        """As in threading."""
        with STARTING:
            super().start()


def end() -> None:
    """Stop what nobody waits for, save what is to be saved, and say what becomes of it. Called when the process ends.

    Called before the pools of threads are closed, and again when only daemon threads are left.
    """
    with suppress(KeyboardInterrupt):  # whoever is in a hurry gets what there is
        _end()


def _end() -> None:
    global _until
    while _waiting:  # by threads that Python waits for anyway
        time.sleep(0.02)
    runs = list(RUNS)
    _until = min(_until, time.monotonic() + LIMIT)
    for run in runs:
        run._session.leave()
        RUNS.discard(run)
    _end_threads(_until)
    for run in runs:
        free = hold_hdf5(max(_until, time.monotonic() + LATER), release=True)
        print(f"{PREFIX}: {run._work.last_words(free)}", file=sys.stderr, flush=True)


def _end_for_good() -> None:
    end()
    if not _threads():
        return
    whole = hold_compiler(_until + COMPILED)
    _end_threads(time.monotonic() + AGAIN)  # what has come out of the compiler
    if not (whole and hold_hdf5(max(_until + LATEST, time.monotonic()))):
        # What takes the interpreter down would wait for that lock for ever, or abort. Its status is not known here.
        print(
            f"{PREFIX}: left in the middle of {'reading a file' if whole else 'compiling'}.",
            file=sys.stderr,
            flush=True,
        )
        os._exit(1)


def _threads() -> list[Thread | Timer]:
    return [one for one in threading.enumerate() if isinstance(one, (Thread, Timer))]


def _helpers() -> list[threading.Thread]:
    """Threads of pools that are at work for nobody who goes on: pools are waited for, however long that takes."""
    main, pools = threading.main_thread(), f"{PREFIX}-"
    others = [one for one in threading.enumerate() if one is not main and not one.name.startswith(pools)]
    if any(not one.daemon for one in others):
        return []
    return [one for one in threading.enumerate() if one.ident in BUSY]


def _end_threads(until: float) -> None:
    """Wait for our threads, and unwind what does not end by itself; not beyond `until`."""
    patience = min(until, time.monotonic() + PATIENCE)
    due: dict[int | None, float] = {}  # when to unwind a thread, by its identifier
    before = sys.unraisablehook
    sys.unraisablehook = lambda it: None if isinstance(it.exc_value, Ended) else before(it)  # raised within a finalizer
    try:
        while (now := time.monotonic()) < until and (alive := _threads() or _helpers()):
            for one in alive:
                if isinstance(one, Timer):
                    one.cancel()
                    continue
                if isinstance(one, Thread):
                    one.leave()
                if now >= due.get(one.ident, patience) and not getattr(one, "over", False) and not _compiles(one):
                    due[one.ident] = now + AGAIN
                    _unwind(one)
            alive[0].join(0.02)
    finally:
        sys.unraisablehook = before


def _compiles(one: threading.Thread) -> bool:
    """Whether a thread is within the compiler, which is left in pieces, and crashes, where an exception breaks in."""
    frame = None if one.ident is None else sys._current_frames().get(one.ident)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] in COMPILERS:
            return True
        frame = frame.f_back
    return False


def _unwind(one: threading.Thread) -> None:
    """Raise :class:`Ended` in a thread as soon as it is in Python code; elsewhere it only ends by itself."""
    api = getattr(ctypes, "pythonapi", None)
    if api is None or one.ident is None or not STARTING.acquire(timeout=AGAIN):
        return
    try:
        api.PyThreadState_SetAsyncExc(ctypes.c_ulong(one.ident), ctypes.py_object(Ended))
        # Threads may have taken turns since it was seen outside the compiler, whose lock it would take along.
        if _compiles(one):
            api.PyThreadState_SetAsyncExc(ctypes.c_ulong(one.ident), None)
    finally:
        STARTING.release()


atexit.register(_end_for_good)
# Pools refuse work from the moment on that the main thread has ended, which comes before `atexit`; runs must stop, and
# not fail, so this comes before that. The name begins with an underscore, but concurrent.futures is built on it, too.
getattr(threading, "_register_atexit", lambda _call: None)(end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=RUNS.forked)

__all__ = ["RUNS", "Ended", "Runs", "Thread", "Timer", "end", "waited_for"]

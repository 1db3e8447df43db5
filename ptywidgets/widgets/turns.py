"""Callbacks one at a time, whatever threads they come on, and never one waiting for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from ptywidgets.reconstruction.ending import Thread
from ptywidgets.reconstruction.hosts import shows_threads

QUICK = 0.02  # s: what takes longer is not done on the thread that the browser's messages come on
Job = Callable[[], object]


class Turns:
    """Does jobs one after the other without ever blocking the thread that brings one.

    Widgets may be changed from threads, but not from two at once. A lock would do that and could deadlock: a button's
    callback that waits for a run, whose thread waits to show its last picture. So a job that comes while another is
    being done is left on the pile, for the thread that is at work to do next. Of several jobs with the same key only
    the newest is kept. A job that is brought from within a job is done at once.

    Examples
    --------
    >>> turns, done = Turns(), []
    >>> turns.do(lambda: done.append("a"))
    >>> done
    ['a']
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._pile: dict[Hashable, Job] = {}
        self._late: dict[Hashable, Job] = {}  # for threads that are about to start
        self._cost: dict[Hashable, float] = {}  # s, of the last job with that key
        self._worker: int | None = None
        self._silent = threading.local()

    def do(self, job: Job, key: Hashable | None = None) -> None:
        """Do `job` now, or leave it to the thread at work; with a `key` it replaces an older one that still waits."""
        me = threading.get_ident()
        with self._lock:
            if self._worker is not None and self._worker != me:
                name = object() if key is None else key
                self._pile.pop(name, None)
                self._pile[name] = job
                return
            nested, self._worker = self._worker == me, me
        if nested:
            job()
            return
        error: BaseException | None = None
        while True:
            try:
                job()
            except BaseException as raised:
                error = error or raised
            with self._lock:
                if not self._pile:
                    self._worker = None
                    self._lock.notify_all()
                    break
                job = self._pile.pop(next(iter(self._pile)))
        if error is not None:
            raise error

    def soon(self, job: Job, key: Hashable) -> None:
        """Do `job` now where the last one with that key was quick, else on a thread: drags bring many, and only the
        newest counts.
        """

        def timed() -> None:
            begun = time.perf_counter()
            try:
                job()
            finally:
                self._cost[key] = time.perf_counter() - begun

        if self._cost.get(key, 0.0) < QUICK:
            self.do(timed, key)
        else:
            self.later(timed, key)

    def later(self, job: Job, key: Hashable | None = None) -> None:
        """Do `job` on a thread of its own; at once where what threads send is not shown."""
        if not shows_threads():
            self.do(job, key)
            return
        name = object() if key is None else key
        with self._lock:
            started = name in self._late
            self._late[name] = job
        if not started:
            Thread(lambda: self._when_free(name), "turn").start()

    def _when_free(self, name: Hashable) -> None:
        """On a thread that nobody waits for: it may wait, and so leaves its work to no other thread."""
        with self._lock:
            self._lock.wait_for(lambda: self._worker is None)
        self.do(lambda: self._late.pop(name)(), name)

    def apart(
        self, work: Callable[[], Any], then: Callable[[Any], object], failed: Callable[[Exception], object]
    ) -> None:
        """Do `work` on a thread, beside everything else, and only `then(result)` or `failed(error)` in its turn."""
        name = object()
        with self._lock:
            self._late[name] = work

        def run() -> None:
            result: Any = None
            error: Exception | None = None
            try:
                result = work()
            except Exception as raised:
                error = raised

            def finish() -> None:
                self._late.pop(name)
                then(result) if error is None else failed(error)

            self.do(finish)

        Thread(run, "apart").start()

    def wait(self, timeout: float = 30.0) -> bool:
        """Wait until nothing is being done nor waits to be; whether that came in time."""
        with self._lock:
            if self._worker == threading.get_ident():
                return True
            return self._lock.wait_for(lambda: self._worker is None and not self._late, timeout)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Within it, changes of widgets made by this thread call nothing back: see `silent`."""
        before = self.silent
        self._silent.on = True
        try:
            yield
        finally:
            self._silent.on = before

    @property
    def silent(self) -> bool:
        """Whether this thread is setting widgets itself."""
        return bool(getattr(self._silent, "on", False))

"""Callbacks one at a time, whatever threads they come on, without one waiting for another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

from ptywidgets.reconstruction.session.ending import Thread
from ptywidgets.reconstruction.session.hosts import shows_threads

QUICK = 0.02  # s: what takes longer is not done on the thread that the browser's messages come on
Job = Callable[[], object]


class CallbackQueue:
    """Runs jobs one after the other without ever blocking the thread that brings one.

    Widgets may be changed from threads, but not from two at once. A lock would do that and could deadlock: a button's
    callback that waits for a run, whose thread waits to show its last image. So a job that comes while another is
    being done is left in the queue, for the thread that is at work to do next. Of several jobs with the same key only
    the newest is kept. A job that is brought from within a job is done at once.

    Examples
    --------
    >>> queue, done = CallbackQueue(), []
    >>> queue.run(lambda: done.append("a"))
    >>> done
    ['a']
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._waiting: dict[Hashable, Job] = {}
        self._scheduled: dict[Hashable, Job] = {}  # for threads that are about to start
        self._cost: dict[Hashable, float] = {}  # s, of the last job with that key
        self._worker: int | None = None
        self._muted = threading.local()

    def run(self, job: Job, key: Hashable | None = None) -> None:
        """Run `job` now, or leave it to the thread at work; with a `key` it replaces an older one that still waits."""
        me = threading.get_ident()
        with self._lock:
            if self._worker is not None and self._worker != me:
                name = object() if key is None else key
                self._waiting.pop(name, None)
                self._waiting[name] = job
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
                if not self._waiting:
                    self._worker = None
                    self._lock.notify_all()
                    break
                job = self._waiting.pop(next(iter(self._waiting)))
        if error is not None:
            raise error

    def run_soon(self, job: Job, key: Hashable) -> None:
        """Run `job` now where the last one with that key was quick, else on a thread: drags bring many, and only the
        newest counts.
        """

        def timed() -> None:
            begun = time.perf_counter()
            try:
                job()
            finally:
                self._cost[key] = time.perf_counter() - begun

        if self._cost.get(key, 0.0) < QUICK:
            self.run(timed, key)
        else:
            self.run_later(timed, key)

    def run_later(self, job: Job, key: Hashable | None = None) -> None:
        """Run `job` on a thread of its own; at once where what threads send is not shown."""
        if not shows_threads():
            self.run(job, key)
            return
        name = object() if key is None else key
        with self._lock:
            started = name in self._scheduled
            self._scheduled[name] = job
        if not started:
            Thread(lambda: self._when_free(name), "callback").start()

    def _when_free(self, name: Hashable) -> None:
        """On a thread that nobody waits for: it may wait, and so leaves its work to no other thread."""
        with self._lock:
            self._lock.wait_for(lambda: self._worker is None)
        self.run(lambda: self._scheduled.pop(name)(), name)

    def run_in_background(
        self, work: Callable[[], Any], then: Callable[[Any], object], failed: Callable[[Exception], object]
    ) -> None:
        """Run `work` on a thread, beside everything else, and then queue `then(result)` or `failed(error)`."""
        name = object()
        with self._lock:
            self._scheduled[name] = work

        def run() -> None:
            result: Any = None
            error: Exception | None = None
            try:
                result = work()
            except Exception as raised:
                error = raised

            def finish() -> None:
                self._scheduled.pop(name)
                then(result) if error is None else failed(error)

            self.run(finish)

        Thread(run, "background").start()

    def wait(self, timeout: float = 30.0) -> bool:
        """Wait until nothing is being done nor waits to be; whether that came in time."""
        with self._lock:
            if self._worker == threading.get_ident():
                return True
            return self._lock.wait_for(lambda: self._worker is None and not self._scheduled, timeout)

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Within it, changes of widgets made by this thread call nothing back: see `is_muted`."""
        before = self.is_muted
        self._muted.on = True
        try:
            yield
        finally:
            self._muted.on = before

    @property
    def is_muted(self) -> bool:
        """Whether this thread is setting widgets itself."""
        return bool(getattr(self._muted, "on", False))


__all__ = ["QUICK", "CallbackQueue", "Job"]

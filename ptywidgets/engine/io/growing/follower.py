"""Who watches a file that is being written: the data set grows, and whoever wants is told of rows."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, ParameterError, PtyError
from ptywidgets.engine.core.stopping import check_stop
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.source import Supplied
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.growing.stack import GrowingScan, growing_scan

log = logging.getLogger("ptywidgets")
INTERVAL = 0.1  # s between two looks
PATIENCE = 60.0  # s without a change, after which the writer is taken for gone
Callback = Callable[["Follower"], object]


class Follower:
    """Watch the file of a data set that was opened by ``read(path, follow=True)``.

    Parameters
    ----------
    dataset : Dataset
        Whole rows of a scan that is being written. Its detector may be cropped or binned, its scan not.
    interval : float
        Seconds between two looks at the file.
    patience : float
        Seconds without a change after which the writer is taken for gone; should it come back, its rows are taken in.
    thread : callable, optional
        Makes the thread that watches, from a function and a name; by default a daemon thread. It ends when the scan is
        complete, when the follower is closed, and when nobody holds it any more.

    Raises
    ------
    ParameterError
        When the data set was not opened to be followed, or its scan has been cropped or binned.

    Examples
    --------
    >>> import tempfile
    >>> from ptywidgets.engine.io import read
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = f"{folder.name}/scan.raw"
    >>> layout = {"dtype": "u1", "detector_shape": (2, 2), "scan_shape": (3, 4)}
    >>> with open(path, "wb") as file:
    ...     _ = file.write(bytes([1]) * 4 * 5)
    >>> follower = Follower(read(path, follow=True, **layout))
    >>> follower.text
    '1 of 3 rows'
    >>> with open(path, "ab") as file:
    ...     _ = file.write(bytes([2]) * 4 * 7)
    >>> follower.wait(timeout=30).scan_mask is None, follower.complete
    (True, True)
    >>> follower.close()
    >>> folder.cleanup()
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        interval: float = INTERVAL,
        patience: float = PATIENCE,
        thread: Callable[[Callable[[], object], str], threading.Thread] | None = None,
    ) -> None:
        self.scan = _scan_of(dataset)
        self.interval, self.patience = float(interval), float(patience)
        self.error: PtyError | None = None  # why nothing more can be read
        self._dataset = dataset
        self._rows = rows_shown(dataset, self.scan)  # that the data set shows
        self._callbacks: list[Callback] = []
        self._news = threading.Condition()
        self._looking = threading.Lock()
        self._stalled = self._told_surplus = False
        self._changed_at = time.monotonic()
        self._closed = threading.Event()
        work = _watching(weakref.ref(self), self._closed, self.interval)
        self._thread = (thread or _daemon)(work, "follower")
        self._end = weakref.finalize(self, _ended, self._closed, self._thread)
        self._thread.start()

    # ---------------------------------------------------------------- asked

    @property
    def dataset(self) -> Dataset:
        """The data set with the rows that are whole by the latest look."""
        return self._dataset

    @property
    def rows(self) -> int:
        """Whole rows."""
        return self._rows

    @property
    def complete(self) -> bool:
        """Whether all rows of the scan are there."""
        return self.scan.complete

    @property
    def stalled(self) -> bool:
        """Whether nothing has come for as long as :attr:`patience` says."""
        return self._stalled

    @property
    def ended(self) -> bool:
        """Whether no more rows are expected: complete, given up, or in error."""
        return self.complete or self.scan.finished or self.error is not None or self._closed.is_set()

    @property
    def text(self) -> str:
        """How much is there and what is wrong, in a sentence or less, such as "37 of 128 rows"."""
        scan = self.scan
        if self.error is not None:
            return f"{scan.words}; {self.error}"
        more = ""
        if scan.surplus:
            more = f"; {scan.surplus} patterns behind the end of the scan are left out: check scan_shape"
        if scan.finished and not scan.complete:
            begun = f", and {scan.begun} patterns of one that was begun" if scan.begun else ""
            return f"{scan.words}, nothing more is waited for{begun and begun + ' are left out'}{more}"
        if self.stalled and not scan.complete:
            more += (
                f"; nothing has come for {time.monotonic() - self._changed_at:.0f} s: is it still being written? "
                "complete_now() goes on with what is there"
            )
        return f"{scan.words}{more}"

    # ---------------------------------------------------------------- told

    def on_rows(self, callback: Callback) -> Callable[[], None]:
        """Call `callback(follower)` on the thread that watches, when rows have come, at the end, and when it stalls.

        While it is called nobody looks at the file: rows that come meanwhile are told together. One that fails is
        logged, and not called again.

        Returns
        -------
        callable
            Without arguments; after it nobody is called any more.
        """
        with self._news:
            self._callbacks.append(callback)

        def forget() -> None:
            with self._news:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return forget

    def wait(self, rows: int | None = None, timeout: float | None = None) -> Dataset:
        """Wait for so many rows, by default for all of them, and return the data set.

        Raises
        ------
        ParameterError
            When there are not so many rows, or an argument is of the wrong type.
        DataError
            When they have not come in `timeout` seconds, or will not come.
        """
        most = self.scan.scan_shape[0]
        whole = isinstance(rows, (int, np.integer)) and not isinstance(rows, bool)
        if rows is not None and not (whole and 1 <= rows <= most):
            raise ParameterError(f"rows is {rows!r}; expected a whole number from 1 to {most}, the rows of the scan.")
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float))):
            raise ParameterError(f"timeout is {timeout!r}; expected seconds, or None.")
        wanted = most if rows is None else int(rows)
        until = None if timeout is None else time.monotonic() + timeout
        while self.rows < wanted:
            if self.error is not None:
                raise self.error
            if self.ended:
                raise DataError(f"{self.name} has {self.text}; {wanted} were waited for.")
            if until is not None and time.monotonic() > until:
                raise DataError(f"{self.name} has {self.text} after {timeout} s; {wanted} were waited for.")
            check_stop()
            with self._news:
                self._news.wait(self.interval)
        return self.dataset

    @property
    def name(self) -> str:
        """Of the file."""
        return printable(self.scan.source.path.name)

    # ---------------------------------------------------------------- done

    def look(self) -> bool:
        """Look at the file now; whether there is anything new. The thread that watches does nothing else."""
        with self._looking:
            before = (self._rows, self._stalled, self.error, self.scan.surplus > 0)
            if not self.ended:
                try:
                    self.scan.look()
                except PtyError as error:
                    self.error = error
            self._take()
            now = (self._rows, self._stalled, self.error, self.scan.surplus > 0)
        if now == before:
            return False
        self._tell()
        return True

    def complete_now(self) -> Dataset:
        """Nothing more will come: take what is there for all of it, and stop watching.

        Rows of which no pattern was written stay left out; those that are zeros throughout are taken as they are.
        """
        with self._looking:
            if self.error is None:
                self.scan.finish()
            self._take()
        self._tell()
        self._closed.set()
        return self.dataset

    def rest(self, seconds: float) -> None:
        """For a callback: let the thread that watches rest for so long, or until it is closed."""
        self._closed.wait(seconds)

    def close(self) -> None:
        """Stop watching. The data set keeps the rows that it has."""
        self._end()

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Follower({self.name!r}, {self.text})"

    # ---------------------------------------------------------------- inside

    def _take(self) -> None:
        """Let the data set show the rows that are whole, and see whether anything moves."""
        now, rows = time.monotonic(), self.scan.rows
        if rows != self._rows:
            self._dataset = with_rows(self._dataset, self.scan, self._rows)
            self._rows = rows
        quiet = self.scan.source.still
        self._changed_at = now - quiet
        self._stalled = quiet > self.patience and not self.scan.complete

    def _tell(self) -> None:
        with self._news:
            callbacks = tuple(self._callbacks)
            self._news.notify_all()
        for callback in callbacks:
            try:
                callback(self)
            except Exception:
                log.exception("what follows %s failed, and is not called again", self.name)
                with self._news:
                    if callback in self._callbacks:
                        self._callbacks.remove(callback)


def with_rows(dataset: Dataset, scan: GrowingScan, before: int) -> Dataset:
    """A data set of a growing scan with the rows that are whole now; of the first `before` its mask stays."""
    mask = scan.mask()
    if dataset.scan_mask is not None:
        mask[:before] = dataset.scan_mask[:before]
    if mask.all():
        return dataset.with_scan_mask(None)
    known = dataset.source.scan_mask or Supplied(path=dataset.source.path, dataset=dataset.source.dataset)
    shown: Dataset = dataset.with_scan_mask(mask, confirm=True, origin=dataclasses.replace(known, words=scan.words))
    return shown


def _scan_of(dataset: Dataset) -> GrowingScan:
    scan = growing_scan(dataset.data)
    if scan is None:
        raise ParameterError(
            f"{dataset.name or 'this data set'} was not opened to be followed; open it by read(path, follow=True)."
        )
    if scan.scan_shape != dataset.scan_shape:
        raise ParameterError(
            f"the scan was cropped or binned from {scan.scan_shape} to {dataset.scan_shape}, and cannot be followed "
            "any more; crop or bin the detector only, or do it when the scan is complete."
        )
    return scan


def rows_shown(dataset: Dataset, scan: GrowingScan) -> int:
    """Rows of a growing scan up to the last that a data set of it counts."""
    if dataset.scan_mask is None:
        return scan.scan_shape[0]
    counted = np.flatnonzero(dataset.scan_mask.any(1))
    return min(int(counted[-1]) + 1, scan.rows) if len(counted) else 0


def _daemon(work: Callable[[], object], name: str) -> threading.Thread:
    return threading.Thread(target=work, name=f"ptywidgets-{name}", daemon=True)


def _watching(reference: weakref.ref[Follower], closed: threading.Event, interval: float) -> Callable[[], None]:
    """What the thread does, which does not keep its follower alive."""

    def watch() -> None:
        pause = interval
        while not closed.wait(pause):
            follower = reference()
            if follower is None:
                return
            follower.look()
            if follower.ended:
                return
            pause = follower.interval
            del follower

    return watch


def _ended(closed: threading.Event, thread: threading.Thread) -> None:
    """Let the thread end, and wait for it for a moment: the library that it reads by may be taken down next."""
    closed.set()
    if thread is not threading.current_thread() and thread.is_alive():
        thread.join(2.0)


__all__ = ["Follower", "rows_shown", "with_rows"]

"""The channel from the worker to whoever draws: the latest snapshot, and the observers to be called with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ptywidgets.reconstruction.result.snapshot import Snapshot

log = logging.getLogger("ptywidgets")
Observer = Callable[[Snapshot], None]


class SnapshotChannel:
    """Latest snapshot, guarded by a lock. An observer that fails is logged once and left out: it cannot break a run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: Snapshot | None = None
        self._observers: list[Observer] = []

    @property
    def latest(self) -> Snapshot | None:
        """The newest snapshot, or None before the first."""
        with self._lock:
            return self._latest

    @property
    def has_subscribers(self) -> bool:
        """Whether anybody has subscribed."""
        with self._lock:
            return bool(self._observers)

    def forked(self) -> None:
        """In a forked child: nobody looks here, and the lock may have been held by a thread that is not here."""
        self._lock = threading.Lock()
        self._observers = []

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` with every new snapshot, from whatever thread makes it; returns what ends that."""
        with self._lock:
            self._observers.append(observer)

        def unsubscribe() -> None:
            with self._lock:
                if observer in self._observers:
                    self._observers.remove(observer)

        return unsubscribe

    def publish(self, snapshot: Snapshot) -> None:
        """Replace the latest snapshot and call the observers with it, outside the lock."""
        with self._lock:
            self._latest = snapshot
            observers = list(self._observers)
        for observer in observers:
            try:
                observer(snapshot)
            except Exception:
                log.exception("an observer of the reconstruction failed and is left out from now on")
                with self._lock:
                    if observer in self._observers:
                        self._observers.remove(observer)

"""What is asked of the package `distributed`: who is there, what is sent, waiting that can be stopped, losses."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ptywidgets.engine.core.errors import ClusterError, ParameterError
from ptywidgets.engine.core.stopping import check_stop
from ptywidgets.engine.core.workers import STARTING

Key = TypeVar("Key")
POLL = 0.02  # s between two looks whether work is to stop, and who is there, while something is waited for
REACH = 1.0  # s that a connection to a worker may take; where there is none, all goes through the scheduler
FAILURES = 2  # in a row to send something to a worker that is there, after which the way to it is not taken
LOOK = 0.5  # s between two looks who is there: a request to the scheduler
IDLE = 5.0  # s between two looks whether those who are waited for do anything
PATIENCE = 300.0  # s that a worker is waited for where there is none


class Lost(Exception):
    """A worker is gone, and with it what it was asked for."""


class Workers:
    """The workers of a client.

    Parameters
    ----------
    client : distributed.Client
    patience : float
        How long a worker is waited for where there is none, s.
    """

    def __init__(self, client: Any, patience: float = PATIENCE) -> None:
        self.client, self.patience = check_client(client), patience
        self.say: Callable[[str], object] = lambda words: None  # told when it waits, and when it goes on
        self.threads: dict[str, int] = {}  # of every worker that was there at the last look, by its address
        self._looked = float("-inf")  # when that was
        self._reached: dict[str, bool] = {}  # whether the client has a way to a worker, by its address
        self._failures: dict[str, int] = {}  # of what was sent to it, in a row

    def __len__(self) -> int:
        return len(self.threads)

    def __repr__(self) -> str:
        where = f", dashboard {self.dashboard}" if self.dashboard else ""
        return f"{len(self)} worker{'' if len(self) == 1 else 's'}{where}"

    @property
    def dashboard(self) -> str:
        """Address of the dashboard; empty where there is none."""
        if self.client.status != "running":
            return ""
        served = dict(self.client.scheduler_info().get("services") or {})
        return str(self.client.dashboard_link or "") if "dashboard" in served else ""

    # ---------------------------------------------------------------- who is there

    def look(self, *, now: bool = False) -> None:
        """Ask who is there, unless that was asked a moment ago."""
        if not now and time.monotonic() - self._looked < LOOK:
            return
        kept = "Everything up to now is kept: run again with a new client."
        if self.client.status != "running":
            raise ClusterError(f"the client is {self.client.status}: it has no scheduler any more. {kept}")
        try:
            self.threads = dict(self.client.nthreads())
        except (OSError, TimeoutError) as error:
            raise ClusterError(f"the cluster's scheduler does not answer ({error}). {kept}") from error
        self._looked = time.monotonic()

    def wait(self) -> None:
        """Return when there is a worker.

        Raises
        ------
        ClusterError
            When none has come for too long.
        """
        self.look()
        begun, told = time.monotonic(), False
        while not self.threads:
            if time.monotonic() - begun > self.patience:
                raise ClusterError(
                    f"there is no worker, and none has come within {self.patience:g} s; see why the cluster starts "
                    "none, and run again. Everything up to now is kept."
                )
            if not told:
                self.say(f"No worker is there; waiting up to {self.patience:g} s for one.")
            told = True
            check_stop()
            time.sleep(LOOK / 5)
            self.look()
        if told:
            self.say(f"Going on with {self}.")

    # ---------------------------------------------------------------- work

    def submit(self, at: str, key: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """A future of what a worker is to do."""
        name = f"ptywidgets-{key}"
        return self.client.submit(function, *arguments, key=name, workers=[at], pure=False)

    def scatter(self, things: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Futures of things that are sent to workers, by their addresses; Lost where one is gone."""
        if not things:
            return {}
        direct = self._direct(things)

        async def send() -> list[Any]:
            return await asyncio.gather(
                *(
                    self.client.scatter(each, workers=[at], hash=False, direct=direct, asynchronous=True)
                    for at, each in things.items()
                )
            )

        try:
            found = self._watched(lambda: self.client.sync(send), things)
        except Lost:
            for at in set(things) & set(self.threads):
                self._failures[at] = self._failures.get(at, 0) + 1
                self._reached[at] = self._failures[at] < FAILURES and _reachable(at)
            raise
        self._failures.clear()
        return dict(zip(things, map(list, found), strict=True))

    def _direct(self, addresses: Iterable[str]) -> bool:
        """Whether what is sent and comes back goes past the scheduler, which halves the work.

        As the client was told; else where there is a way to all of these workers.
        """
        if self.client.direct_to_workers is not None:
            return bool(self.client.direct_to_workers)
        for address in addresses:
            if address not in self._reached:
                self._reached = {other: way for other, way in self._reached.items() if other in self.threads}
                if not all(self._reached.values()):
                    return False
                self._reached[address] = _reachable(address)
            if not self._reached[address]:
                return False
        return True

    def results(self, asked: Mapping[Key, tuple[str, Any]]) -> dict[Key, Any]:
        """Results of futures, each with its worker's address; of workers that are gone there are none.

        Raises
        ------
        Exception
            What went wrong in one of them.
        """
        waiting = dict(asked)
        checked, idle = time.monotonic(), set[str]()
        done = threading.Event()
        for _, future in asked.values():
            future.add_done_callback(lambda _: done.set())
        while waiting:
            check_stop()
            done.wait(POLL)
            done.clear()
            self.look()
            if time.monotonic() - checked > IDLE:
                before, idle = idle, self._idle({at for at, _ in waiting.values()})
                checked = time.monotonic()
                # Of what a task waits for, something may be lost for good: twice in a row its worker does nothing.
                waiting = {n: one for n, one in waiting.items() if one[0] not in before & idle}
            waiting = {
                n: (at, future)
                for n, (at, future) in waiting.items()
                if future.status == "pending" and at in self.threads
            }
        for _, future in asked.values():
            if future.status == "error":
                error = self._watched(future.exception, ())
                if not _is_loss(error):
                    raise error
        ended = {n: (at, future) for n, (at, future) in asked.items() if future.status == "finished"}
        if len(ended) < len(asked):
            self.look(now=True)
            ended = {n: one for n, one in ended.items() if one[0] in self.threads}
        if not ended:
            return {}
        addresses = {at for at, _ in ended.values()}
        direct = self._direct(addresses)
        try:
            found = self._watched(
                lambda: self.client.gather([future for _, future in ended.values()], direct=direct), addresses
            )
        except Lost:
            return {}
        return dict(zip(ended, found, strict=True))

    def _idle(self, addresses: Collection[str]) -> set[str]:
        """Which of these workers have nothing to do, as far as the scheduler knows."""
        doing = self._watched(lambda: self.client.processing(list(addresses)), ())
        return {address for address in addresses if not doing.get(address)}

    def cancel(self, futures: Iterable[Any]) -> None:
        """Nobody waits for these any more; what a worker does at the moment it does to the end."""
        left = list(futures)
        if left and self.client.status == "running":
            self.client.cancel(left)

    def _watched(self, call: Callable[[], Any], at: Collection[str]) -> Any:
        """What a call of the client returns, while it is looked whether these workers are there and work may go on."""
        found: list[Any] = []
        wrong: list[Exception] = []

        def run() -> None:
            try:
                found.append(call())
            except Exception as error:
                wrong.append(error)

        thread = threading.Thread(target=run, name="ptywidgets-cluster", daemon=True)
        with STARTING:
            thread.start()
        while thread.is_alive():
            thread.join(POLL)
            check_stop()
            self.look()
            if any(address not in self.threads for address in at):
                raise Lost
        if not wrong:
            return found[0]
        (error,) = wrong
        self.look(now=True)
        if _is_loss(error) or any(address not in self.threads for address in at):
            raise Lost from error
        raise error


def check_client(client: Any) -> Any:
    """A client of dask.distributed, as it is; anything else is refused.

    Examples
    --------
    >>> check_client("tcp://127.0.0.1:8786")
    Traceback (most recent call last):
    ptywidgets.engine.core.errors.ParameterError: client is 'tcp://127.0.0.1:8786'; expected a distributed.Client, \
such as Client(LocalCluster()) or Client("tcp://scheduler:8786").
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ParameterError(
            f'a cluster takes the package distributed ({error}); install it: pip install "ptywidgets[cluster]".'
        ) from None
    if not isinstance(client, Client):
        raise ParameterError(
            f"client is {client!r}; expected a distributed.Client, such as Client(LocalCluster()) or "
            'Client("tcp://scheduler:8786").'
        )
    if client.asynchronous:
        raise ParameterError("the client is asynchronous; make one without asynchronous=True.")
    return client


def _reachable(address: str) -> bool:
    """Whether a connection to a worker can be opened from here.

    Examples
    --------
    >>> _reachable("ucx://10.0.0.1:4000")
    False
    """
    parts = urlsplit(address)
    if parts.scheme == "inproc":
        return True
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or not parts.port:
        return False
    try:
        with socket.create_connection((parts.hostname, parts.port), timeout=REACH):
            return True
    except OSError:
        return False


def _is_loss(error: BaseException) -> bool:
    """Whether an error says that a worker or the way to it was lost, and nothing of the work itself."""
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    return (
        isinstance(error, (FutureCancelledError, KilledWorker, OSError, TimeoutError))
        or "Cancelled" in type(error).__name__
    )

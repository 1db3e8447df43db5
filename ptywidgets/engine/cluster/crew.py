"""Who does the work: which worker holds which shard, what it is asked, and what happens when one is lost."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ptywidgets.engine.cluster import part as tasks
from ptywidgets.engine.cluster.client import Lost, Workers
from ptywidgets.engine.cluster.counts import Elsewhere, Stored, checksum, read_shard, taken
from ptywidgets.engine.cluster.shards import Box, divided, nbytes
from ptywidgets.engine.core.errors import ClusterError
from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.problem import Problem

TRIES = 5  # times that one shard's work may be lost before it is asked what the workers die of
KEPT = 4  # variants of a problem that workers keep: windows, losses, with counts held out
LARGE = 1_000_000  # bytes that a scheduler should not hold with a task


class Crew:
    """The workers of a client, and the shards of one measurement that they hold.

    Nothing that a worker holds is the only one of its kind: what a shard is made from is described here, so that any
    other worker can make it again. What is asked of a shard that is lost is asked again of the one that takes it over,
    with the same state; sums are added up in the order of the shards. So a result does not depend on who was there.

    Parameters
    ----------
    workers : Workers
    counts : array (J, Qy, Qx)
        As the client has them.
    shards : sequence of ndarray
        Ascending indices of each shard's positions.
    stored : Stored, optional
        Where the counts lie, for workers that see the same files.
    places : ndarray (J,)
        Each pattern's place in the scan, counted row by row.
    """

    def __init__(
        self, workers: Workers, counts: Any, shards: Sequence[np.ndarray], stored: Stored | None, places: np.ndarray
    ) -> None:
        self.workers, self.counts, self.shards = workers, counts, tuple(shards)
        # Bytes of what has been sent ("counts", "state", "work") and has come back ("results"); shards made ("made").
        self.moved = Counter[str]()
        self._lock = threading.RLock()  # whoever asks has the workers for himself
        self._stored, self._scan_places = stored, places
        self._at: dict[int, str] = {}  # which worker holds each shard
        self._counts: dict[int, Any] = {}  # futures of the shards' counts
        self._variants: OrderedDict[int, tuple[Any, dict[int, Any]]] = OrderedDict()  # futures of the shards, filled
        self._sent: tuple[tuple[Any, ...], dict[str, Any], dict[int, Any]] | None = None  # the latest state, sent
        self._boxes: tuple[Any, Any, list[Box]] | None = None
        self._blind: set[str] = set()  # workers that do not see the files
        self._keys = 0
        shard_of = np.empty(sum(map(len, shards)), np.int64)
        place_in = np.empty_like(shard_of)
        for number, own in enumerate(shards):
            shard_of[own], place_in[own] = number, np.arange(len(own))
        self._shard_of, self._place_in = shard_of, place_in

    def __repr__(self) -> str:
        return repr(self.workers)

    # ---------------------------------------------------------------- asked

    def split(self, batch: np.ndarray) -> dict[int, np.ndarray]:
        """A batch's shards by number, each with its places in the batch, in their order."""
        numbers = self._shard_of[batch]
        return {int(n): np.flatnonzero(numbers == n) for n in np.unique(numbers)}

    def within(self, batch: np.ndarray) -> np.ndarray:
        """Indices in their own shards."""
        return self._place_in[batch]

    def boxes(self, problem: Problem, state: State) -> list[Box]:
        """What each shard sees of the object."""
        grid = (problem.window, problem.sampling, problem.object_shape)
        known = self._boxes
        if known is None or known[0] is not state.positions or known[1] != grid:
            corners = problem.geometry(state.positions).corners
            around = [Box.around(corners[own], problem.window) for own in self.shards]
            known = self._boxes = (state.positions, grid, around)
        return known[2]

    def ask(
        self,
        problem: Problem,
        state: State,
        function: Callable[..., Any],
        arguments: Mapping[int, tuple[Any, ...]],
        together: int | None = None,
    ) -> list[tuple[int, Any]]:
        """What a function of a problem and a state says of some shards; in the order of the shards.

        `together` is how many positions their parts of a batch have, which decides how waves are made; see
        :class:`.part.PartModel`.

        Raises
        ------
        WorkStopped
            Within a fraction of a second, where work is to stop.
        ClusterError
            When there are no workers for too long, or they are lost again and again.
        """
        with self._lock:
            left, found = dict(arguments), dict[int, Any]()
            tried = Counter[int]()
            while left:
                asked: dict[str, tuple[str, Any]] = {}  # of each worker, which answers for all of its shards at once
                whose: dict[str, list[int]] = {}
                answers: dict[str, list[Any]] = {}
                try:
                    self._find_workers(left)
                    for number in left:
                        whose.setdefault(self._at[number], []).append(number)
                    self._submit(problem, state, function, left, together, whose, asked)
                    answers = self.workers.results(asked)
                except Lost:
                    pass
                finally:
                    self.workers.cancel(future for at, (_, future) in asked.items() if at not in answers)
                for at, told in answers.items():
                    found |= dict(zip(whose[at], told, strict=True))
                left = {number: more for number, more in left.items() if number not in found}
                if left:
                    tried.update(list(left))
                    self._check_tries(tried)
                    self._forget_unsound()
            self.moved["results"] += nbytes(list(found.values()))
            return sorted(found.items())

    def close(self) -> None:
        """Let the workers forget the shards; they are made again when they are asked for."""
        with self._lock:
            self._variants.clear()
            self._counts.clear()
            self._at.clear()
            self._sent = None

    # ---------------------------------------------------------------- who has what

    def _find_workers(self, numbers: Iterable[int]) -> None:
        """Give every shard that nobody holds to the worker that has least, and to a new one some that others hold."""
        self.workers.wait()
        there = self.workers.threads
        for number, address in list(self._at.items()):
            if address not in there:
                self._forget(number)
        if self._sent is not None:
            for address in [a for a in self._sent[1] if a not in there]:
                del self._sent[1][address]
        holds = dict.fromkeys(sorted(there), 0)
        for address in self._at.values():
            holds[address] += 1
        for number in sorted(numbers):
            if number not in self._at:
                least = min(holds, key=lambda address: holds[address])
                self._at[number] = least
                holds[least] += 1
        while max(holds.values()) - min(holds.values()) > 1:
            most, least = (choose(holds, key=lambda address: holds[address]) for choose in (max, min))
            number = max(n for n, address in self._at.items() if address == most)
            self._forget(number)
            self._at[number] = least
            holds[most] -= 1
            holds[least] += 1

    def _forget(self, number: int) -> None:
        """A shard that no worker holds any more, or that goes to another one."""
        self._at.pop(number, None)
        self._counts.pop(number, None)
        for _, filled in self._variants.values():
            filled.pop(number, None)
        if self._sent is not None:
            self._sent[2].pop(number, None)

    def _forget_unsound(self) -> None:
        """After a loss: shards that are not whole, and the state that was sent."""
        self._sent = None
        for number in list(self._at):
            futures = [self._counts.get(number), *(filled.get(number) for _, filled in self._variants.values())]
            if any(future is not None and future.status != "finished" for future in futures):
                self._forget(number)

    def _check_tries(self, tried: Counter[int]) -> None:
        number, times = max(tried.items(), key=lambda item: item[1])
        if times >= TRIES:
            raise ClusterError(
                f"workers were lost {times} times in a row while they worked on shard {number + 1} of "
                f"{len(self.shards)} ({len(self.shards[number])} patterns); see the cluster's logs. If they need more "
                "memory than they have, give them more, or take more workers. Everything up to now is kept."
            )

    # ---------------------------------------------------------------- what is sent

    def _submit(
        self,
        problem: Problem,
        state: State,
        function: Callable[..., Any],
        arguments: Mapping[int, tuple[Any, ...]],
        together: int | None,
        whose: Mapping[str, list[int]],
        asked: dict[str, tuple[str, Any]],
    ) -> None:
        """Ask the workers of some shards, `whose` they are; `asked` gets a future of each."""
        filled = self._filled(problem, arguments)
        commons, owns = self._send_state(problem, state, arguments)
        given: dict[str, Any] = {at: [arguments[n] for n in numbers] for at, numbers in whose.items()}
        self.moved["work"] += nbytes(given)
        large = {at: [each] for at, each in given.items() if nbytes(each) > LARGE}
        given |= {at: future for at, (future,) in self.workers.scatter(large).items()}
        for at, numbers in whose.items():
            if at not in commons or any(n not in filled or n not in owns for n in numbers):
                raise Lost
            parts, own, key = [filled[n] for n in numbers], [owns[n] for n in numbers], self._key(function.__name__)
            work = (parts, commons[at], own, function, given[at], together)
            asked[at] = at, self.workers.submit(at, key, tasks.work, *work)

    def _filled(self, problem: Problem, numbers: Iterable[int]) -> dict[int, Any]:
        """Futures of a problem's shards with their counts, each on its worker."""
        known = self._variants.pop(id(problem), (problem, {}))
        self._variants[id(problem)] = known  # the latest one last
        while len(self._variants) > KEPT:
            self._variants.popitem(last=False)
        filled = known[1]
        new = [number for number in numbers if number not in filled]
        self._bring_counts([number for number in new if number not in self._counts])
        for number in new:
            at = self._at[number]
            ((empty,),) = self.workers.scatter({at: [tasks.blank(problem, self.shards[number])]}).values()
            key, threads = self._key("shard"), self.workers.threads[at]
            filled[number] = self.workers.submit(at, key, tasks.filled, empty, self._counts[number], threads)
        return filled

    def _bring_counts(self, numbers: Iterable[int]) -> None:
        """Futures of shards' counts: read from the file by workers that see it, all at once, and sent to others."""
        left = list(numbers)
        self.moved["made"] += len(left)
        reading: dict[int, Any] = {}
        seen: dict[int, tuple[str, Any]] = {}
        for number in left:
            at, own = self._at[number], self.shards[number]
            if self._stored is None or at in self._blind:
                continue
            expected = checksum(self.counts, own[self._stored.compared(len(own))])
            key = self._key("read")
            reading[number] = self.workers.submit(at, key, read_shard, self._stored, self._scan_places[own], expected)
            seen[number] = at, self.workers.submit(at, f"{key}-seen", _unseen, reading[number])
        answers = self.workers.results(seen)
        for number, unseen in answers.items():
            if unseen is None:
                self._counts[number] = reading[number]
            else:
                self._blind.add(seen[number][0])
        if len(answers) < len(seen):
            raise Lost
        for number in left:
            if number not in self._counts:
                counts = taken(self.counts, self.shards[number])
                self.moved["counts"] += counts.nbytes
                ((self._counts[number],),) = self.workers.scatter({self._at[number]: [counts]}).values()

    def _send_state(
        self, problem: Problem, state: State, numbers: Iterable[int]
    ) -> tuple[dict[str, Any], dict[int, Any]]:
        """Futures of what all shards of a worker share of a state, by the worker's address, and of what each has alone.

        They stay on the workers until the state is another: a state is sent once, whatever is asked of it.
        """
        grid = (problem.window, problem.sampling, problem.object_shape)
        now = (state.object, state.probe, state.positions, *state.parameters, *state.parameters.values(), *grid)
        if self._sent is None or len(self._sent[0]) != len(now) or not all(map(_same, self._sent[0], now)):
            self._sent = (now, {}, {})
        _, commons, owns = self._sent
        boxes = self.boxes(problem, state)
        maps, others = divided(state.parameters, state.object.shape)
        per_worker: dict[str, list[int]] = {}
        for number in numbers:
            if number not in owns:
                per_worker.setdefault(self._at[number], []).append(number)
        things: dict[str, list[Any]] = {}
        for at, mine in per_worker.items():
            things[at] = [
                tasks.Own(
                    boxes[n],
                    np.ascontiguousarray(boxes[n].of(state.object)),
                    {name: np.ascontiguousarray(boxes[n].of(value)) for name, value in maps.items()},
                    state.positions[self.shards[n]],
                )
                for n in mine
            ]
            if at not in commons:
                things[at].append(tasks.Common(state.probe, others))
        self.moved["state"] += nbytes(things)
        for at, futures in self.workers.scatter(things).items():
            owns.update(zip(per_worker[at], futures, strict=False))
            if at not in commons:
                commons[at] = futures[-1]
        return commons, owns

    def _key(self, what: str) -> str:
        """A name that nothing else has, and that the dashboard shows."""
        self._keys += 1
        return f"{what}-{id(self):x}-{self._keys}"


def _same(one: Any, other: Any) -> bool:
    """Whether two things are one, or numbers and words that are equal; arrays are not looked into."""
    if one is other:
        return True
    return not isinstance(one, np.ndarray) and not isinstance(other, np.ndarray) and one == other


def _unseen(found: Any) -> str | None:
    """The file that a worker does not see; None where it has read the counts."""
    return found.path if isinstance(found, Elsewhere) else None

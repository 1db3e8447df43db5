"""A problem whose patterns are on the workers of a cluster."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

from ptywidgets.engine.algorithms.conjugate import ConjugateGradient
from ptywidgets.engine.algorithms.lsq_ml import LSQML
from ptywidgets.engine.algorithms.pie import PIE
from ptywidgets.engine.algorithms.projections import Projections
from ptywidgets.engine.cluster import part as tasks
from ptywidgets.engine.cluster.client import PATIENCE, Workers, check_client
from ptywidgets.engine.cluster.counts import Stored
from ptywidgets.engine.cluster.crew import Crew
from ptywidgets.engine.cluster.shards import Box, cut, is_map
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.protocols import Algorithm
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.models.gradients import Gradients
from ptywidgets.engine.problem.problem import Problem

Result = TypeVar("Result")
SHARDS = 2  # for each worker: where one is lost, its work is shared by the others
FEW = 8  # times the object's pixels: windows of so many the client does itself, quicker than sending directions
LARGER = 32  # batches of conjugate gradients for each shard at once: what comes back is as large as the object
ROUNDS = 8  # batches of a sweep that a shard does by itself, before all are merged


@dataclass(frozen=True)
class ClusterProblem(Problem):
    """The problem itself, with everything that is a sum over positions added up by the workers of a cluster.

    Made by :func:`on_cluster`. Constraints, what is drawn and what is saved come from the state, which the client has.
    Sums come back for each shard, for the rectangle of the object that it sees, and are added in the order of the
    shards: the same numbers, whoever has computed them. Gradients, curvatures and losses are those of a
    :class:`Problem` but for rounding. Sweeps of :class:`PIE` run in every shard from the same state; see
    :meth:`advance`.
    """

    crew: Crew | None = None

    @property
    def remote(self) -> bool:
        """Whether the counts are those that the workers have; a problem of others is worked on by the client."""
        return self.crew is not None and self.patterns.counts is self.crew.counts

    @property
    def hands(self) -> Crew:
        """Who does the work."""
        assert self.crew is not None
        return self.crew

    def alone(self) -> Problem:
        """The same problem without a cluster."""
        return Problem(**{field.name: getattr(self, field.name) for field in fields(Problem)})

    def to(self, device: str) -> Problem:
        """The same problem; the workers' device is the CPU."""
        if device != "cpu":
            raise ParameterError(
                f'a problem on a cluster stays on "cpu", and the device asked for is {device!r}; problem.alone().to('
                f"{device!r}) is one without a cluster."
            )
        return super().to(device)

    # ---------------------------------------------------------------- sums

    def gradients(self, state: State, batch: Any, *, with_probe: bool = True, with_others: bool = False) -> Gradients:
        """Loss and gradients over a batch of position indices, added up by shards."""
        return self.gradients_of(state, np.asarray(batch), with_probe, with_others, len(batch))

    def gradients_of(
        self, state: State, batch: np.ndarray, with_probe: bool, with_others: bool, together: int
    ) -> Gradients:
        """The same, with waves that are made as for a batch of so many positions."""
        if not self.remote or not len(batch):
            return super().gradients(state, batch, with_probe=with_probe, with_others=with_others)
        found = self._ask(state, batch, tasks.gradients, (with_probe, with_others), together)
        total, boxes = _Total(state), self.hands.boxes(self, state)
        for number, g in found:
            total.add(g, boxes[number])
        return total.gradients

    def value(self, state: State, batch: Any) -> float:
        """Loss over a batch of position indices."""
        batch = np.asarray(batch)
        if not self.remote or not len(batch):
            return super().value(state, batch)
        return float(sum(value for _, value in self._ask(state, batch, tasks.value, (), len(batch))))

    def curvature(self, state: State, batch: Any, directions: Sequence[Direction]) -> np.ndarray:
        """Matrix (K, K) of the loss's second derivatives along directions; of few positions, found by the client."""
        batch = np.asarray(batch)
        few = len(batch) * math.prod(self.window) <= FEW * math.prod(self.object_shape[-2:])
        if not self.remote or few:
            return super().curvature(state, batch, directions)
        crew, boxes = self.hands, self.hands.boxes(self, state)
        arguments = {
            number: (crew.within(batch[places]), [_within(d, boxes[number], crew.shards[number]) for d in directions])
            for number, places in crew.split(batch).items()
        }
        return np.asarray(sum(matrix for _, matrix in crew.ask(self, state, tasks.curvature, arguments, len(batch))))

    def misfit(self, state: State) -> float:
        """How badly a state explains the counts that are held out, per pattern; NaN where none are."""
        if not self.remote or self.held_out is None:
            return super().misfit(state)
        indices = self.held_out.indices
        parts = dict.fromkeys(self.hands.split(indices), ())
        return float(sum(v for _, v in self.hands.ask(self, state, tasks.misfit, parts, len(indices)))) / len(indices)

    def by_shards(
        self, function: Callable[..., Result], state: State, batch: np.ndarray
    ) -> list[tuple[np.ndarray, tuple[slice, slice], Result]]:
        """What a function of a problem, a state and a batch says of each shard's part of it; see :class:`Problem`."""
        if not self.remote:
            return super().by_shards(function, state, batch)
        places, boxes = self.hands.split(batch), self.hands.boxes(self, state)
        return [(places[n], boxes[n].slices, found) for n, found in self._ask(state, batch, function, (), len(batch))]

    def _ask(
        self,
        state: State,
        batch: np.ndarray,
        function: Callable[..., Any],
        more: tuple[Any, ...],
        together: int | None = None,
    ) -> list[tuple[int, Any]]:
        crew = self.hands
        arguments = {n: (crew.within(batch[places]), *more) for n, places in crew.split(batch).items()}
        return crew.ask(self, state, function, arguments, together)

    # ---------------------------------------------------------------- the loop

    def batches(self, order: np.ndarray, size: int | None, plan: Any = None) -> list[np.ndarray]:
        """An order, cut into batches: larger ones where a plan makes no other step for that.

        Conjugate gradients make one step in an iteration, and a Stop does not wait for a batch here (but the next
        request to a worker does, for some seconds). A sweep goes through :data:`ROUNDS` batches in every
        shard before all are merged. Refinements, which act after every batch, do so as often as in one process.
        """
        times = 1
        if plan is not None and self.remote and not plan.refinements:
            shards = len(self.hands.shards)
            if isinstance(plan.algorithm, ConjugateGradient):
                times = LARGER * shards
            elif isinstance(plan.algorithm, PIE):
                times = ROUNDS * shards
        if size is None or times == 1:
            return super().batches(order, size)
        alone = -(-len(order) // -(-len(order) // size))
        return [_Joined.of(batch, alone) for batch in super().batches(order, size * times)]

    def advance(self, algorithm: Algorithm, state: State, batch: Any) -> State:
        """The state after an algorithm's work on a batch of position indices.

        Of :class:`PIE`, every shard goes through its own positions, some batches one after the other, from the same
        state. Then O += sum_k w_k (O_k - O) / sum_k w_k, with w_k the light that the positions of shard k have
        put on a pixel: within a shard's block all of it is its own. Probes are averaged by the number of positions.
        """
        if not self.remote:
            return super().advance(algorithm, state, batch)
        if isinstance(algorithm, (LSQML, Projections)):
            raise ParameterError(
                f"{type(algorithm).__name__} looks at single patterns twice and does not run on a cluster; choose "
                "ConjugateGradient, GradientDescent or PIE, or run without a client."
            )
        if isinstance(algorithm, ConjugateGradient):
            return algorithm.advance(_AsAlone(self, _Joined.size_of(batch)), state, batch)
        if not isinstance(algorithm, PIE):
            return algorithm.advance(self, state, batch)
        alone, batch = _Joined.size_of(batch), np.asarray(batch)
        found = self._ask(state, batch, tasks.sweep, (algorithm, state.iteration, state.begun, alone))
        change, light = np.zeros_like(state.object), np.zeros(state.object.shape[-2:], state.probe.real.dtype)
        boxes = self.hands.boxes(self, state)
        probe, loss = np.zeros_like(state.probe), state.partial_loss
        for number, swept in found:
            boxes[number].of(change)[...] += swept.change
            boxes[number].of(light)[...] += swept.light
            probe += swept.probe
            loss += swept.loss
        change /= np.where(light > 0, light, 1)
        return state.replace(
            object=state.object + change, probe=state.probe + probe / np.float32(len(batch)), partial_loss=loss
        )


class _Joined(np.ndarray):
    """Several batches of one process, taken at once."""

    alone: int  # positions of one of them

    @classmethod
    def of(cls, batch: np.ndarray, alone: int) -> _Joined:
        """A batch that stands for several of so many positions."""
        joined = batch.view(cls)
        joined.alone = alone
        return joined

    @staticmethod
    def size_of(batch: Any) -> int:
        """Positions of a batch of one process."""
        return min(getattr(batch, "alone", len(batch)), len(batch))


class _AsAlone:
    """A problem on a cluster whose gradients come of waves that are made as in the batches of one process."""

    def __init__(self, problem: ClusterProblem, alone: int) -> None:
        self.problem, self.alone = problem, alone

    def __getattr__(self, name: str) -> Any:
        return getattr(self.problem, name)

    def gradients(self, state: State, batch: Any, *, with_probe: bool = True, with_others: bool = False) -> Gradients:
        """Of :meth:`ClusterProblem.gradients`."""
        return self.problem.gradients_of(state, np.asarray(batch), with_probe, with_others, self.alone)


class _Total:
    """Gradients of shards, added up over the whole object."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.loss = 0.0
        self.object = np.zeros_like(state.object)
        self.illumination = np.zeros((1, *state.object.shape[-2:]), state.probe.real.dtype)
        self.sums: dict[str, Any] = {"probe": None, "coverage": None}
        self.others: dict[str, dict[str, Any]] = {"others": {}, "weights": {}}

    def add(self, g: Gradients, box: Box) -> None:
        self.loss += g.loss
        box.of(self.object)[...] += g.object
        box.of(self.illumination)[...] += g.illumination
        for name in self.sums:
            one = getattr(g, name)
            if one is not None:
                self.sums[name] = one if self.sums[name] is None else self.sums[name] + one
        for kind, sums in self.others.items():
            for name, one in getattr(g, kind).items():
                known = self.state.parameters.get(name)
                if known is not None and is_map(known, self.state.object.shape):
                    if name not in sums:
                        sums[name] = np.zeros((*one.shape[:-2], *self.state.object.shape[-2:]), one.dtype)
                    box.of(sums[name])[...] += one
                else:
                    sums[name] = one if name not in sums else sums[name] + one

    @property
    def gradients(self) -> Gradients:
        return Gradients(self.loss, self.object, illumination=self.illumination, **self.sums, **self.others)


def _within(direction: Direction, box: Box, own: np.ndarray) -> Direction:
    """A direction as a shard sees it."""
    obj, positions = direction.object, direction.positions
    return Direction(
        object=None if obj is None else np.ascontiguousarray(box.of(obj)),
        probe=direction.probe,
        positions=None if positions is None else positions[own],
    )


def on_cluster(
    problem: Problem,
    client: Any,
    dataset: Dataset | None = None,
    *,
    shards: int | None = None,
    patience: float = PATIENCE,
    progress: Callable[[str], object] | None = None,
) -> ClusterProblem:
    """The same problem, worked on by the workers of a cluster.

    Workers need the same version of this package. They hold the counts of their shards in memory, in their own type.

    Parameters
    ----------
    problem : Problem
        Of one view, on the CPU.
    client : distributed.Client
    dataset : Dataset, optional
        What the problem was made from: where its patterns are in a file, workers that see the same file read theirs
        themselves. All others are sent their counts once.
    shards : int, optional
        Into how many the scan is cut; by default two for each worker that is there. With the same number of shards
        results are the same to the last bit, whatever the number of workers.
    patience : float
        How long a worker is waited for where there is none, s.
    progress : callable, optional
        Is told, in words, when a worker is waited for, now and later.

    Returns
    -------
    ClusterProblem

    Raises
    ------
    ParameterError
        When the package is missing, or what was given is not what is expected.
    ClusterError
        When no worker comes.
    """
    check_client(client)
    if not isinstance(problem, Problem):
        raise ParameterError("a series of tilts does not run on a cluster yet; run it without a client.")
    if problem.backend.name != "cpu":
        raise ParameterError('a cluster works on CPUs; make the problem with device="cpu".')
    if isinstance(problem, ClusterProblem):
        problem = problem.alone()
    workers = Workers(client, patience)
    if progress is not None:
        workers.say = progress
    workers.wait()
    counts = problem.patterns.counts
    cuts = cut(problem.initial_positions, SHARDS * len(workers) if shards is None else shards)
    stored = Stored.of(dataset, problem.measurement, counts)
    crew = Crew(workers, counts, cuts, stored, problem.measurement.scan_indices)
    return ClusterProblem(**{field.name: getattr(problem, field.name) for field in fields(Problem)}, crew=crew)

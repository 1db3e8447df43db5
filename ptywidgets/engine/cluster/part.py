"""A shard as a problem of its own, and what a worker does with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.cluster.shards import Box
from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.protocols import Array, Backend
from ptywidgets.engine.core.state import State
from ptywidgets.engine.core.workers import VARIABLE, worker_count
from ptywidgets.engine.data.patterns import Patterns, Substitutes
from ptywidgets.engine.models.composed import Model
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.models.geometry import Geometry
from ptywidgets.engine.models.gradients import Gradients
from ptywidgets.engine.models.incident import Incident
from ptywidgets.engine.problem.batches import along_the_scan
from ptywidgets.engine.problem.held_out import HeldOut
from ptywidgets.engine.problem.problem import Problem

NOWHERE = Box((0, 0), (0, 0))  # before it is known which state is asked of


@dataclass(frozen=True)
class Part(Problem):
    """The positions of one shard, which see one rectangle of the object; states are of that rectangle.

    Positions are counted from the whole object's first pixel, so that rounding is the same as there.
    """

    box: Box = NOWHERE
    bound: float = 1.0  # the whole problem's curvature bound

    @cached_property
    def curvature_bound(self) -> float:
        """That of all shards together."""
        return self.bound

    @property
    def object_shape(self) -> tuple[int, ...]:
        """(S, Y, X) of the rectangle."""
        return (self.model.exit_wave.slices, *self.box.shape)

    def geometry(self, positions: np.ndarray) -> Geometry:
        """Where positions (B, 2) in A lie in the rectangle's pixels."""
        whole = Geometry.from_pixels(positions / np.array(self.sampling), self.window, self.measurement.shifts)
        corners = whole.corners - np.array(self.box.first)
        last = np.array(self.box.shape) - np.array(self.window)
        if (corners < 0).any() or (corners > last).any():
            raise DataError("a position's window lies outside its shard's part of the object; this is a fault.")
        return self.model.placed(replace(whole, corners=corners))


@dataclass(frozen=True, repr=False)
class PartModel(Model):
    """A model whose waves are made as those of the whole batch would be, of which a shard has a part."""

    together: int | None = None  # positions of the whole batch

    def incident(self, backend: Backend, probe: Array, fractions: Array | None, exact: bool = False) -> Incident:
        """What meets the specimen at each position, of a probe (M, Ny, Nx), corner-centred."""
        return Incident.prepare(backend, probe, self.ensemble, fractions, exact, self.together)

    @classmethod
    def of(cls, model: Model, together: int | None) -> PartModel:
        """The same model."""
        return cls(**{field.name: getattr(model, field.name) for field in fields(Model)}, together=together)


@dataclass(frozen=True)
class NoCounts:
    """What stands for counts that are somewhere else."""

    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(frozen=True)
class Common:
    """What all shards get of a state."""

    probe: np.ndarray
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Own:
    """What a shard gets of a state: its rectangle of object and maps, its positions."""

    box: Box
    object: np.ndarray
    maps: Mapping[str, Any]
    positions: np.ndarray


@dataclass(frozen=True)
class Swept:
    """What a shard's own sweep asks for."""

    change: np.ndarray  # of the object's rectangle, times `light`
    light: np.ndarray  # (Y, X) of the rectangle, that the probe puts on it
    probe: np.ndarray  # change of the probe, times the number of positions
    loss: float
    seconds: float = 0.0


def blank(problem: Problem, indices: np.ndarray) -> Part:
    """A shard of a problem without its counts: what is sent once, a few numbers for each position."""
    patterns, known = problem.patterns, problem.measurement
    shape = (len(indices), *(int(n) for n in patterns.counts.shape[1:]))
    own = Patterns(
        NoCounts(shape, np.dtype(patterns.counts.dtype)),
        np.asarray(patterns.origin)[indices],
        patterns.window,
        patterns.mask,
        _substitutes(patterns.substitutes, indices),
    )
    nothing = np.zeros((2, 0, 0))
    measurement = replace(
        known,
        patterns=own,
        shifts=None if known.shifts is None else np.asarray(known.shifts)[indices],
        positions=np.asarray(known.positions)[indices],
        com_measured=nothing,
        origin=nothing,
        scan_mask=None,
        notes=(),
    )
    return Part(
        measurement=measurement,
        model=problem.model,
        loss=problem.loss,
        backend=problem.backend,
        patterns=own,
        initial_object=np.zeros((problem.object_shape[0], 0, 0), problem.initial_object.dtype),
        initial_probe=problem.initial_probe,
        initial_positions=problem.initial_positions[indices],
        held_out=_held_out(problem.held_out, indices),
        held=problem.held,
        bound=problem.curvature_bound,
    )


def _substitutes(others: Substitutes | None, indices: np.ndarray) -> Substitutes | None:
    """Those of a shard's positions."""
    if others is None:
        return None
    places, rows = others.among(indices)
    if not len(places):
        return None
    own = np.full(len(indices), -1)
    own[places] = np.arange(len(places))
    return Substitutes(own, others.patterns.take(rows), others.factor)


def _held_out(held: HeldOut | None, indices: np.ndarray) -> HeldOut | None:
    """What is held out of a shard's patterns; None where that is nothing."""
    if held is None:
        return None
    mine = np.flatnonzero(np.isin(held.indices, indices))
    if not len(mine):
        return None
    return HeldOut(np.searchsorted(indices, held.indices[mine]), held.patterns.take(mine), held.share)


# -------------------------------------------------------------------------------------------------- on a worker


@lru_cache(maxsize=1)
def own_backend(threads: int) -> CpuBackend:
    """The one backend of a worker process, which its shards share."""
    return CpuBackend(threads)


def filled(part: Part, counts: np.ndarray, threads: int) -> Part:
    """A shard with its counts, on the device of the worker that has them."""
    threads = worker_count() if os.environ.get(VARIABLE) else threads
    patterns = replace(part.patterns, counts=counts)
    measurement = replace(part.measurement, patterns=patterns)
    return replace(part, measurement=measurement, patterns=patterns, backend=own_backend(threads))


def work(
    parts: list[Part],
    common: Common,
    owns: list[Own],
    function: Callable[..., Any],
    arguments: list[tuple[Any, ...]],
    together: int | None = None,
) -> list[Any]:
    """Call a function of a problem and a state on some shards, one after the other.

    `together` is how many positions the whole batch has; None where a shard's part is one by itself.
    """
    found = []
    for part, own, more in zip(parts, owns, arguments, strict=True):
        state = State(
            object=own.object,
            probe=common.probe,
            positions=own.positions,
            parameters={**common.parameters, **own.maps},
            sampling=part.sampling,
            slice_thickness=part.slice_thickness,
        )
        part = replace(part, box=own.box, model=PartModel.of(part.model, together))
        found.append(function(part, state, *more))
    return found


def gradients(part: Part, state: State, batch: np.ndarray, with_probe: bool, with_others: bool) -> Gradients:
    """Of :meth:`Problem.gradients`."""
    return part.gradients(state, batch, with_probe=with_probe, with_others=with_others)


def value(part: Part, state: State, batch: np.ndarray) -> float:
    """Of :meth:`Problem.value`."""
    return part.value(state, batch)


def curvature(part: Part, state: State, batch: np.ndarray, directions: list[Direction]) -> np.ndarray:
    """Of :meth:`Problem.curvature`."""
    return part.curvature(state, batch, directions)


def misfit(part: Part, state: State) -> float:
    """Of :meth:`Problem.misfit`, times the number of patterns that counts are held out of."""
    assert part.held_out is not None
    return part.misfit(state) * len(part.held_out.indices)


def sweep(part: Part, state: State, batch: np.ndarray, algorithm: Any, iteration: int, begun: int, size: int) -> Swept:
    """Let an algorithm work through a shard's part of a batch by itself, in batches of at most `size` one by one."""
    before = state = state.replace(iteration=iteration, begun=begun)
    line = batch[along_the_scan(part.initial_positions[batch])]
    rounds = -(-len(line) // size)
    for first in range(rounds):
        state = algorithm.advance(part, state, np.sort(line[first::rounds]))
    light = _light(part, before, batch)
    return Swept(
        change=(state.object - before.object) * light,
        light=light,
        probe=(state.probe - before.probe) * np.float32(len(batch)),
        loss=float(state.partial_loss),
    )


def _light(part: Part, state: State, batch: np.ndarray) -> Array:
    """Intensity (Y, X) that a batch puts on the rectangle, at whole pixels."""
    probe = state.probe
    light = np.fft.fftshift((probe.real**2 + probe.imag**2).sum(0))
    out = np.zeros(part.box.shape, light.dtype)
    part.backend.add_same_patch(out, part.geometry(state.positions).corners[batch], light)
    return out

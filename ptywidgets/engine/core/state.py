"""The state of a reconstruction: a value, whole at every batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class State:
    """Everything that a reconstruction knows between two batches; saving it and going on gives the same result.

    Arrays live on the problem's device. A yielded state is valid until the next one is asked for.
    """

    object: Any  # (S, Y, X) complex64 transmission, or float32 phase in rad
    probe: Any  # (M, Ny, Nx) complex64, corner-centred; sum |P|^2 = mean counts of a pattern
    positions: np.ndarray  # (J, 2) float64, A, of the probe's centre from object pixel [0, 0]
    iteration: int = 0  # finished iterations
    batch: int = 0  # finished batches of the present iteration
    order: np.ndarray | None = None  # (J,) the present iteration's order of positions; None between iterations
    partial_loss: float = 0.0  # loss so far in the present iteration
    losses: tuple[float, ...] = ()  # normalised error of each finished iteration
    misfits: tuple[float, ...] = ()  # of held-out counts, likewise; NaN where none were held out
    stage: int = 0  # of a schedule
    begun: int = 0  # iteration with which the schedule began: later ones are those after a change of the model
    random: Any = None  # state of the bit generator that draws the orders
    # What else the model has to find, by name: arrays and numbers such as "tds_strength" or "exit_wave.tilt".
    parameters: Mapping[str, Any] = field(default_factory=dict)
    # Arrays that an algorithm keeps from batch to batch, by "Algorithm.name"; gone when another one takes over.
    memory: Mapping[str, Any] = field(default_factory=dict)

    def replace(self, **changes: Any) -> State:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def recall(self, algorithm: Any, name: str) -> Any:
        """What an algorithm has kept under a name by :meth:`remember`, or None."""
        return self.memory.get(f"{type(algorithm).__name__}.{name}")

    def remember(self, algorithm: Any, **arrays: Any) -> State:
        """The state with these arrays as an algorithm's memory, in place of whatever was kept; None is left out."""
        owner = type(algorithm).__name__
        return self.replace(memory={f"{owner}.{name}": a for name, a in arrays.items() if a is not None})

    @property
    def at_iteration_end(self) -> bool:
        """Whether an iteration has just been finished (or none begun)."""
        return self.order is None

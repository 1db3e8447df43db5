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
    sampling: tuple[float, float] | None = None  # A, of a pixel (row, column) of object and probe; None: not known
    slice_thickness: tuple[float, ...] | None = None  # (S,) A, as the model was made; see `thicknesses`
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
    def thicknesses(self) -> np.ndarray | None:
        """Of each slice, or layer of a volume, (S,) A, as refined where it was; None where it is not known.

        Examples
        --------
        >>> state = State(None, None, np.zeros((0, 2)), slice_thickness=(20.0, 20.0))
        >>> state.thicknesses.tolist()
        [20.0, 20.0]
        >>> state.replace(parameters={"exit_wave.thickness": np.array([21.0, 22.0])}).thicknesses.tolist()
        [21.0, 22.0]
        """
        given = self.parameters.get("exit_wave.thickness", self.slice_thickness)
        return None if given is None else np.asarray(given, float)

    @property
    def at_iteration_end(self) -> bool:
        """Whether an iteration has just been finished (or none begun)."""
        return self.order is None

"""The seams of the engine, documented once.

Nothing inherits from these classes: an object that has the methods fits. Whoever adds a brick finds here what it must
offer, and in :mod:`ptywidgets.testing` the tests that it must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from ptywidgets.engine.problem import Problem
    from ptywidgets.engine.state import State

Array = Any  # numpy or cupy array; the backend decides
Result = TypeVar("Result")


class Backend(Protocol):
    """What a device can do. `xp` is numpy or cupy; the rest is what each does best in its own way."""

    name: str
    xp: Any

    def to_device(self, array: Any, dtype: Any = None) -> Array:
        """Copy a host array to the device (no copy where it is there already)."""

    def to_numpy(self, array: Array) -> Any:
        """Copy a device array to the host (no copy where it is there already)."""

    def fft2(self, waves: Array) -> Array:
        """Orthonormal 2-D FFT over the last two axes; may reuse the memory of `waves`."""

    def ifft2(self, waves: Array) -> Array:
        """Orthonormal inverse 2-D FFT over the last two axes; may reuse the memory of `waves`."""

    def cut(self, field: Array, corners: Any, shape: tuple[int, int]) -> Array:
        """Patches (B, S, Ny, Nx) of a field (S, Y, X) with first pixels `corners` (B, 2)."""

    def paste(self, field: Array, corners: Any, patches: Array) -> None:
        """Add patches (B, S, Ny, Nx) into a field (S, Y, X): the adjoint of :meth:`cut`."""

    def portions(self, indices: Any, bytes_per_position: int) -> list[Any]:
        """Split position indices into portions that suit the device's memory."""

    def map_reduce(
        self, task: Callable[[Any, Any], None], portions: Sequence[Any], make: Callable[[], Result]
    ) -> list[Result]:
        """Call ``task(portion, accumulator)`` for every portion; returns the accumulators, one per worker."""


class Specimen(Protocol):
    """How the unknown object becomes a transmission function (S, Y, X)."""

    def initial(self, shape: tuple[int, ...]) -> Any: ...

    def transmission(self, backend: Backend, obj: Array) -> Array: ...

    def transmission_adjoint(self, backend: Backend, transmission: Array, gradient: Array) -> Array: ...


class Passage(Protocol):
    """How waves (B, M, Ny, Nx) go through patches (B, S, Ny, Nx) of the specimen."""

    def transmit(self, backend: Backend, waves: Array, patches: Array) -> tuple[Array, Any]: ...

    def transmit_adjoint(self, backend: Backend, residual: Array, tape: Any) -> tuple[Array, Array]: ...


class DetectorModel(Protocol):
    """How exit waves become what the detector would count, and back."""

    def propagate(self, backend: Backend, exits: Array, shifts: Array | None) -> Array: ...

    def propagate_adjoint(self, backend: Backend, residual: Array, shifts: Array | None) -> Array: ...


class Loss(Protocol):
    """Distance of modelled from measured patterns, and the residual wave that reduces it."""

    def residual(self, backend: Backend, far: Array, amplitudes: Array) -> tuple[Any, Array]: ...


class Algorithm(Protocol):
    """One step from a state, given the gradients of a batch."""

    def advance(self, problem: Problem, state: State, batch: Any) -> State: ...


class Constraint(Protocol):
    """A description; `prepare` builds what it needs once and returns the function that is applied."""

    def prepare(self, problem: Problem) -> Callable[[State], State]: ...

"""Constraints on the object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array, ReconstructionProblem
from ptywidgets.engine.core.state import State


@dataclass(frozen=True)
class VacuumBaseline(Params):
    """Make the mean phase outside the scanned field zero, so that "positive" has a meaning."""

    acts_on = "object"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        xp = problem.backend.xp
        outside = problem.backend.to_device(np.flatnonzero(~problem.field_of_view()))

        def apply(state: State) -> State:
            if not len(outside):
                return state
            obj = state.object
            vacuum = obj.reshape(len(obj), -1)[:, outside]
            if xp.iscomplexobj(obj):
                mean = complex(vacuum.mean(dtype=np.complex128))  # of the waves: phases would have to be unwrapped
                return state.replace(object=obj * obj.dtype.type(np.exp(-1j * np.angle(mean))))
            return state.replace(object=obj - np.float32(float(vacuum.mean(dtype=np.float64))))

        return apply


@dataclass(frozen=True)
class AmplitudeLimit(Params):
    """A specimen cannot give electrons: keep the amplitude of a complex object at or below a limit."""

    limit: float = param(1.0, low=0.1, high=10, doc="Largest amplitude of the object.")

    acts_on = "object"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        limit = np.float32(self.limit)
        return _on_complex(problem, lambda xp, obj, amplitude: obj * (limit / xp.maximum(amplitude, limit)))


@dataclass(frozen=True)
class PurePhase(Params):
    """A thin specimen only shifts the phase: set the amplitude of a complex object to 1."""

    acts_on = "object"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        return _on_complex(problem, lambda xp, obj, amplitude: obj / amplitude)


@dataclass(frozen=True)
class Positivity(Params):
    """Atoms attract electrons: no negative potential."""

    acts_on = "object"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        xp = problem.backend.xp

        def apply(state: State) -> State:
            if xp.iscomplexobj(state.object):  # a complex object has no sign; AmplitudeLimit is its counterpart
                return state
            return state.replace(object=xp.maximum(state.object, 0))

        return apply


@dataclass(frozen=True)
class Shrinkage(Params):
    """Take a little off all that is positive, so that a weak background goes to zero; phases of a complex object alike.

    V becomes max(V - amount, min(V, 0)), the proximal step of amount * sum max(V, 0). It lowers atoms as well.
    """

    amount: float = param(0.01, unit="rad", low=0, high=1, step=0.001, doc="Taken off in every iteration.")

    acts_on = "object"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        amount = np.float32(self.amount)
        return _on_phase(problem, lambda xp, phase: xp.maximum(phase - amount, xp.minimum(phase, 0)))


@dataclass(frozen=True)
class Sparsity(Params):
    """Few pixels hold anything: move every phase towards zero by an amount, and no farther than zero.

    V becomes sign(V) max(abs(V) - amount, 0), the proximal step of amount * sum abs(V) (iterative shrinkage and
    thresholding; Beck & Teboulle, SIAM J. Imaging Sci. 2, 183 (2009)).
    """

    amount: float = param(0.01, unit="rad", low=0, high=1, step=0.001, doc="Taken off in every iteration.")

    acts_on = "object"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        amount = np.float32(self.amount)
        return _on_phase(problem, lambda xp, phase: xp.sign(phase) * xp.maximum(xp.abs(phase) - amount, 0))


def _on_phase(problem: ReconstructionProblem, change: Callable[[Any, Array], Array]) -> Callable[[State], State]:
    """Apply `change` to a potential, or to the phase of a complex object whose amplitude stays."""
    xp = problem.backend.xp

    def apply(state: State) -> State:
        obj = state.object
        if not xp.iscomplexobj(obj):
            return state.replace(object=change(xp, obj).astype(obj.dtype, copy=False))
        phase = xp.angle(obj)
        return state.replace(object=(obj * xp.exp(1j * (change(xp, phase) - phase))).astype(obj.dtype, copy=False))

    return apply


def _on_complex(
    problem: ReconstructionProblem, change: Callable[[Any, Array, Array], Array]
) -> Callable[[State], State]:
    """Apply `change` to complex objects; potentials have amplitude 1 by construction."""
    xp = problem.backend.xp

    def apply(state: State) -> State:
        if not xp.iscomplexobj(state.object):
            return state
        amplitude = xp.maximum(xp.abs(state.object), np.float32(1e-6))
        return state.replace(object=change(xp, state.object, amplitude).astype(np.complex64, copy=False))

    return apply

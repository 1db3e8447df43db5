"""Preconditioned gradient descent, the rule of the tutorial."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ptywidgets.engine.algorithms.rules import Plain, rule_of
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array, ReconstructionProblem
from ptywidgets.engine.core.state import State


@dataclass(frozen=True)
class GradientDescent(Params):
    """Object and probe move together, each by its gradient over a normalisation of how well it was seen.

    O += a G_O / sqrt(((1 - n) W)^2 + (n max W)^2), with W the illumination of the batch; the probe likewise with the
    coverage. n = 1 is one global step, n near 0 divides by the local illumination as the PIE family does; Maiden and
    Rodenburg, Ultramicroscopy 109, 1256 (2009), and Odstrcil et al., Opt. Express 26, 3108 (2018). Losses that bend
    more than the amplitude loss take steps that are shorter by :attr:`Problem.curvature_bound`, so that `step` says the
    same for each. A `rule` (:mod:`ptywidgets.engine.algorithms.rules`) turns this step into the one that is taken:
    ``GradientDescent(rule=Momentum())``.
    """

    step: float = param(0.5, low=0.001, high=2, step=0.01, doc="Share of the full step taken at every update.")
    normalization_min: float = param(
        1.0,
        low=0,
        high=1,
        step=0.05,
        doc="1: one step for all; towards 0: poorly illuminated pixels move as fast as others, noise too.",
    )
    probe_from: int = param(0, low=0, high=100000, doc="First iteration in which the probe is refined too.")
    hold_probe: bool = param(False, doc="Keep the probe as it is.")
    rule: Any = field(default_factory=Plain)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "rule", rule_of(self.rule))

    def step_size(self, seen: Array, xp: Any) -> Array:
        """Step for every pixel, given how well each was seen."""
        n = np.float32(self.normalization_min)
        top = seen.max()
        if n == 1:
            return np.float32(self.step) / xp.sqrt(np.float32(1e-16) + top**2)
        return np.float32(self.step) / xp.sqrt(np.float32(1e-16) + ((1 - n) * seen) ** 2 + (n * top) ** 2)

    def advance(self, problem: ReconstructionProblem, state: State, batch: Any) -> State:
        """The state after one batch; the two updates both start from the old object and probe."""
        with_probe = not self.hold_probe and state.iteration >= self.probe_from
        g = problem.gradients(state, batch, with_probe=with_probe)
        pairs = {"object": (g.object, g.illumination)}
        if with_probe:
            pairs["probe"] = (g.probe, g.coverage)
        changes: dict[str, Any] = {}
        memory: dict[str, Any] = {}
        for what, (gradient, seen) in pairs.items():
            size = self.step_size(seen, problem.backend.xp)
            if problem.curvature_bound != 1:
                size = size / np.float32(problem.curvature_bound)
            present = getattr(state, what)
            gradient *= size
            step, keep = self.rule.turn(what, present, gradient, self._kept(state, what))
            # A step that the rule does not keep may become what it leads to: an object is large.
            changes[what] = problem.backend.xp.add(present, step, out=None if self.rule.keeps else step)
            memory |= {f"{what} {name}": array for name, array in keep.items()}
        return state.replace(partial_loss=state.partial_loss + g.loss, **changes).remember(self, **memory)

    def _kept(self, state: State, what: str) -> dict[str, Any]:
        """What the rule has kept of the object or of the probe; nothing where it is of another rule or shape."""
        kept = {name: state.recall(self, f"{what} {name}") for name in self.rule.keeps}
        shapes = {getattr(array, "shape", None) for array in kept.values()} - {()}
        return kept if shapes == {getattr(state, what).shape} else {}

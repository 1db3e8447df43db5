"""Rules: what becomes of a gradient's step before it is taken. Each keeps its own arrays from batch to batch.

A rule is given the step that gradient descent would take, and gives the one that is taken. It is told whether the
object moves or the probe, and finds what it kept of that one by name: all that it remembers is in the state, and a
saved run goes on as if it had not been stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ptywidgets.engine.core.bricks import brick_of, named
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array


class Rule(Protocol):
    """A description with one method."""

    @property
    def keeps(self) -> tuple[str, ...]:
        """Names of the arrays that it keeps."""

    def turn(self, what: str, present: Array, step: Array, kept: Mapping[str, Any]) -> tuple[Array, dict[str, Any]]:
        """The step that is taken, and what is kept; `kept` is empty at first, and its arrays stay as they are.

        `what` is "object" or "probe", `present` is that array before the step.
        """


@dataclass(frozen=True)
class Plain(Params):
    """The step as it is."""

    keeps = ()

    def turn(self, what: str, present: Array, step: Array, kept: Mapping[str, Any]) -> tuple[Array, dict[str, Any]]:
        return step, {}


@dataclass(frozen=True)
class Momentum(Params):
    """Goes on in the direction of the last steps: v <- (1 - friction) v + step, and v is taken.

    The heavy ball of B. T. Polyak, USSR Comput. Math. Math. Phys. 4, 1 (1964). Where gradients keep their direction,
    steps grow by 1 / friction; where they turn about, they cancel.

    Examples
    --------
    >>> first, kept = Momentum(friction=0.5).turn("object", np.zeros(1), np.ones(1), {})
    >>> second, kept = Momentum(friction=0.5).turn("object", first, np.ones(1), kept)
    >>> first.tolist(), second.tolist()
    ([1.0], [1.5])
    """

    friction: float = param(
        0.3, low=0.01, high=1, step=0.01, doc="Share of the speed that is lost at every update; 1: no momentum."
    )

    keeps = ("velocity",)

    def turn(self, what: str, present: Array, step: Array, kept: Mapping[str, Any]) -> tuple[Array, dict[str, Any]]:
        if "velocity" in kept:
            step = step + np.float32(1 - self.friction) * kept["velocity"]
        return step, {"velocity": step}


@dataclass(frozen=True)
class Adam(Params):
    """Every pixel moves at one rate, the more surely the steadier its gradient: mean gradient over its own size.

    Kingma and Ba, arXiv 1412.6980 (2014), with |g|^2 for complex pixels. How large the gradients are does not matter,
    nor does the step of gradient descent; its `normalization_min` still does, as far as batches are lit differently.
    The rates say how far a pixel goes in an update: too large ones leave noise, so they fall as
    1 / sqrt(1 + update / 100).
    """

    rate_object: float = param(
        0.02, unit="rad", low=1e-5, high=1, log=True, doc="How far a pixel of the object goes in an update."
    )
    rate_probe: float = param(
        0.02, low=1e-5, high=1, log=True, doc="The same for the probe, as a share of its root mean square."
    )
    beta1: float = param(0.9, low=0, high=0.999, step=0.01, doc="Memory of the mean gradient.")
    beta2: float = param(0.99, low=0, high=0.9999, step=0.001, doc="Memory of the gradient's size.")
    floor: float = param(
        0.1, low=1e-6, high=1, log=True, doc="Of the largest gradient's size: pixels below it move more slowly."
    )

    keeps = ("mean", "square", "updates")

    def turn(self, what: str, present: Array, step: Array, kept: Mapping[str, Any]) -> tuple[Array, dict[str, Any]]:
        before = float(kept["updates"]) if kept else 0.0
        size = step.real**2
        if np.iscomplexobj(step):
            size += step.imag**2
        mean, square = np.float32(1 - self.beta1) * step, np.float32(1 - self.beta2) * size
        if kept:
            mean += np.float32(self.beta1) * kept["mean"]
            square += np.float32(self.beta2) * kept["square"]
        now = before + 1
        deviation = np.sqrt(square)
        deviation += np.float32(self.floor) * deviation.max() + np.finfo(deviation.dtype).tiny
        rate = self.rate_object
        if what == "probe":
            rate = self.rate_probe * float(np.sqrt((present.real**2 + present.imag**2).mean()))
        rate *= np.sqrt(1 - self.beta2**now) / (1 - self.beta1**now) / np.sqrt(1 + before / 100)
        return np.float32(rate) * mean / deviation, {"mean": mean, "square": square, "updates": np.float64(now)}


RULES: dict[str, type[Any]] = {"plain": Plain, "momentum": Momentum, "Adam": Adam}


def rule_of(value: Any) -> Any:
    """A rule from an instance, a name or a class.

    Examples
    --------
    >>> rule_of("adam").beta1
    0.9
    """
    return brick_of("rule", value, named(RULES))

"""What every algorithm must do."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptywidgets.engine.iterate import iterate, steps
from ptywidgets.engine.plan import Plan
from ptywidgets.engine.problem import Problem
from ptywidgets.testing.cases import example_problem


class AlgorithmContract:
    """Give a fixture `algorithm`; it is tried on every kind of object."""

    iterations = 4
    batch = 32
    falls_to = 0.9  # share of the first iteration's loss that must be reached

    def problems(self) -> list[Problem]:
        """The problems to solve."""
        return [example_problem(kind) for kind in ("complex", "potential")]

    def plan(self, algorithm: Any, **changes: Any) -> Plan:
        """Without constraints, so that what falls is the algorithm's doing."""
        return Plan(iterations=self.iterations, batch=self.batch, algorithm=algorithm, constraints=()).replace(
            **changes
        )

    def test_the_loss_falls(self, algorithm: Any) -> None:
        for problem in self.problems():
            *_, state = iterate(problem, self.plan(algorithm))
            assert np.isfinite(state.losses).all()
            assert state.losses[-1] < self.falls_to * state.losses[0]

    def test_results_are_the_same_in_every_run(self, algorithm: Any) -> None:
        for problem in self.problems():
            one, two = (list(iterate(problem, self.plan(algorithm, iterations=2)))[-1] for _ in range(2))
            assert one.losses == two.losses
            np.testing.assert_array_equal(one.object, two.object)
            np.testing.assert_array_equal(one.probe, two.probe)

    def test_a_step_leaves_the_old_state_alone(self, algorithm: Any) -> None:
        for problem in self.problems():
            state = problem.start()
            obj, probe, positions = state.object.copy(), state.probe.copy(), state.positions.copy()
            next(steps(problem, self.plan(algorithm), state))
            np.testing.assert_array_equal(state.object, obj)
            np.testing.assert_array_equal(state.probe, probe)
            np.testing.assert_array_equal(state.positions, positions)

    def test_shapes_and_types_stay(self, algorithm: Any) -> None:
        for problem in self.problems():
            start = problem.start()
            state = next(steps(problem, self.plan(algorithm)))
            for name in ("object", "probe", "positions"):
                assert getattr(state, name).shape == getattr(start, name).shape
                assert getattr(state, name).dtype == getattr(start, name).dtype

"""What every refinement must do."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.solve.iterate import iterate
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.testing.contracts.algorithms import from_file
from ptywidgets.testing.exact import exact_problem

NAMES = ("object", "probe", "positions")


class RefinementContract:
    """Give a fixture `refinement`, and in `parts` what its model must have."""

    parts: dict[str, Any] = {}  # noqa: RUF012  # read only

    def cases(self) -> list[tuple[Problem, State]]:
        """Problems and states that are not far from the truth, for each kind of object; parameters as at a start."""
        out = []
        for kind in ("complex", "potential"):
            problem, truth = exact_problem(kind, **self.parts)
            positions = truth.positions + np.random.default_rng(0).normal(scale=0.05, size=truth.positions.shape)
            near = truth.replace(object=truth.object * np.float32(0.95), positions=positions)
            out.append((problem, near.replace(parameters=problem.start().parameters)))
        return out

    def test_shapes_and_types_stay(self, refinement: Any) -> None:
        for problem, state in self.cases():
            after = refinement.prepare(problem)(state, np.arange(0, problem.count, 5))
            for name in NAMES:
                old, new = getattr(state, name), getattr(after, name)
                assert type(new) is type(old) and new.shape == old.shape and new.dtype == old.dtype
                assert np.isfinite(problem.backend.to_numpy(new)).all()
            assert (after.iteration, after.losses) == (state.iteration, state.losses)

    def test_the_given_state_is_not_changed(self, refinement: Any) -> None:
        for problem, state in self.cases():
            before = {name: getattr(state, name).copy() for name in NAMES}
            known = {name: np.copy(value) for name, value in state.parameters.items()}
            refinement.prepare(problem)(state, np.arange(0, problem.count, 5))
            assert set(state.parameters) == set(known)
            for name, value in known.items():
                np.testing.assert_array_equal(state.parameters[name], value)
            for name in NAMES:
                np.testing.assert_array_equal(getattr(state, name), before[name])

    def test_the_loss_falls(self, refinement: Any) -> None:
        """By what it finds alone, of all positions; the algorithm has no part in it."""
        everything = np.arange(64)
        for problem, state in self.cases():
            apply = refinement.prepare(problem)
            before = problem.gradients(state, everything).loss
            for _ in range(3):
                state = apply(state, everything)
            assert problem.gradients(state, everything).loss < before

    def test_a_saved_run_goes_on_as_if_it_had_not_stopped(self, refinement: Any) -> None:
        plan = Plan(iterations=2, batch=32, constraints=(), refinements=(refinement,))
        for problem, state in self.cases()[1:]:
            first, last = list(iterate(problem, plan, state))
            *_, resumed = iterate(problem, plan, from_file(problem, plan, first))
            assert resumed.losses == last.losses
            for name in NAMES:
                np.testing.assert_array_equal(getattr(resumed, name), getattr(last, name))
            assert set(resumed.parameters) == set(last.parameters)

    def test_the_description_prints_compares_and_hashes(self, refinement: Any) -> None:
        assert type(refinement).__name__ in repr(refinement)
        assert refinement == refinement and hash(refinement) == hash(refinement)
        assert all(parameter.doc for parameter in refinement.describe())

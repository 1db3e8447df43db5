"""What every constraint must do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptywidgets.engine.core.state import State
from ptywidgets.engine.optics.modes import first_modes
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.testing.cases import example_problem

NAMES = {"object", "probe", "positions"}


class ConstraintContract:
    """Give a fixture `constraint`, whose `acts_on` is "object", "probe" or "positions".

    A constraint that is no projection sets ``idempotent = False`` in its class.
    """

    idempotent = True
    tolerance = 1e-5  # relative to the largest value

    def states(self) -> list[tuple[Problem, State]]:
        """States that need constraining: each kind of object, thin with one mode, and of slices with three modes."""
        problems = [example_problem(kind) for kind in ("complex", "potential")]
        return [disturbed(problem) for problem in (*problems, *map(thick, problems))]

    def test_shapes_and_types_stay(self, constraint: Any) -> None:
        for problem, state in self.states():
            after = constraint.prepare(problem)(state)
            for name in NAMES:
                old, new = getattr(state, name), getattr(after, name)
                assert type(new) is type(old)
                assert new.shape == old.shape
                assert new.dtype == old.dtype

    def test_results_are_finite(self, constraint: Any) -> None:
        for problem, state in self.states():
            after = constraint.prepare(problem)(state)
            assert np.isfinite(problem.backend.to_numpy(after.object)).all()
            assert np.isfinite(problem.backend.to_numpy(after.probe)).all()
            assert np.isfinite(after.positions).all()

    def test_the_given_state_is_not_changed(self, constraint: Any) -> None:
        for problem, state in self.states():
            obj, probe, positions = state.object.copy(), state.probe.copy(), state.positions.copy()
            constraint.prepare(problem)(state)
            np.testing.assert_array_equal(state.object, obj)
            np.testing.assert_array_equal(state.probe, probe)
            np.testing.assert_array_equal(state.positions, positions)

    def test_only_what_it_acts_on_changes(self, constraint: Any) -> None:
        acts_on = getattr(constraint, "acts_on", None)
        for problem, state in self.states():
            after = constraint.prepare(problem)(state)
            if acts_on:  # a schedule acts on what its constraint does
                assert acts_on in NAMES
                for name in NAMES - {acts_on}:
                    np.testing.assert_array_equal(getattr(after, name), getattr(state, name))
            assert (after.iteration, after.losses) == (state.iteration, state.losses)

    def test_applied_twice_it_does_no_more_than_once(self, constraint: Any) -> None:
        if not self.idempotent:
            return
        for problem, state in self.states():
            apply = constraint.prepare(problem)
            once = apply(state)
            twice = apply(once)
            for name in NAMES:
                first, second = getattr(once, name), getattr(twice, name)
                np.testing.assert_allclose(
                    second,
                    first,
                    rtol=0,
                    atol=self.tolerance * np.abs(first).max(),
                    err_msg=f"applied twice, {constraint!r} changes {name} again. A filter does, and is tested with "
                    "idempotent = False (those of ptywidgets: their names go to NO_PROJECTIONS in "
                    "tests/engine/constraints/test_constraints.py); a projection must not.",
                )

    def test_the_description_prints_compares_and_hashes(self, constraint: Any) -> None:
        assert type(constraint).__name__ in repr(constraint)
        assert constraint == constraint
        assert hash(constraint) == hash(constraint)


@dataclass(frozen=True)
class _Layers:
    """What constraints ask of an exit-wave model: the thickness of each slice in A."""

    thickness: tuple[float, ...]

    @property
    def slices(self) -> int:
        return len(self.thickness)


def thick(problem: Problem, thickness: tuple[float, ...] = (8.0, 10.0, 12.0), modes: int = 3) -> Problem:
    """The same problem with several slices and probe modes: to constrain, not to reconstruct.

    Examples
    --------
    >>> thick(example_problem()).object_shape
    (3, 106, 106)
    """
    return replace(
        problem,
        model=replace(problem.model, exit_wave=_Layers(thickness)),  # type: ignore[arg-type]  # has the thickness that is asked for
        initial_object=np.repeat(problem.initial_object, len(thickness), axis=0),
        initial_probe=first_modes(problem.initial_probe, modes),
    )


def disturbed(problem: Problem, seed: int = 0) -> tuple[Problem, State]:
    """A problem's first state with noise on object, probe and positions."""
    generator = np.random.default_rng(seed)
    state = problem.start()

    def noise(array: Any, strength: float) -> Any:
        real = generator.normal(scale=strength, size=array.shape)
        if np.dtype(array.dtype).kind == "c":
            real = real + 1j * generator.normal(scale=strength, size=array.shape)
        return problem.backend.to_device(real.astype(array.dtype))

    probe_scale = float(abs(state.probe).max())
    return problem, state.replace(
        object=state.object + noise(state.object, 0.2),
        probe=state.probe + noise(state.probe, 0.02 * probe_scale),
        positions=state.positions + generator.normal(scale=2 * min(problem.sampling), size=state.positions.shape),
    )

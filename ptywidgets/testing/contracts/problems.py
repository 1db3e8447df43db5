"""What every problem must do: one view of a specimen, or many of a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.algorithms.gradient import GradientDescent
from ptywidgets.engine.algorithms.pie import PIE
from ptywidgets.engine.constraints import Positivity, ProbeCentre, ProbeIntensity
from ptywidgets.engine.core.protocols import ReconstructionProblem
from ptywidgets.engine.losses.losses import get_loss
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.refinements.positions import RefinePositions
from ptywidgets.engine.solve.iterate import iterate, steps
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.solve.schedule import reconstruct
from ptywidgets.engine.tomography.series import TiltSeries
from ptywidgets.testing.exact import in_double

if TYPE_CHECKING:  # the types' part of the contract
    _FIT: tuple[type[ReconstructionProblem], ...] = (Problem, TiltSeries)

ARRAYS = ("object", "probe", "positions")


class ProblemContract:
    """Give a fixture `problem` of whole counts: a :class:`~ptywidgets.engine.core.protocols.ReconstructionProblem`."""

    def test_it_has_all_that_may_be_asked_for(self, problem: Any) -> None:
        names = [name for name in vars(ReconstructionProblem) if not name.startswith("_")]
        assert {"backend", "views", "advance", "misfit"} <= set(names)
        assert [name for name in names if not hasattr(problem, name)] == []

    def test_the_start_is_what_it_begins_with(self, problem: Any) -> None:
        state, host = problem.start(), problem.backend.to_numpy
        np.testing.assert_array_equal(host(state.object), problem.initial_object)
        np.testing.assert_array_equal(host(state.probe), problem.initial_probe)
        np.testing.assert_array_equal(state.positions, problem.initial_positions)
        assert state.object.shape == problem.object_shape
        assert state.sampling == problem.sampling and state.slice_thickness == problem.slice_thickness
        assert state.probe.shape == (len(problem.views) * problem.modes, *problem.window)
        assert state.positions.shape == (problem.count, 2)
        assert problem.field_of_view().shape == problem.illumination().shape == problem.object_shape[-2:]

    def test_another_problem_begins_with_what_it_is_given(self, problem: Any) -> None:
        assert problem.empty
        obj, probe = problem.initial_object + problem.initial_object.dtype.type(0.25), 2 * problem.initial_probe
        other = problem.with_initial(obj=obj, probe=probe, held=("object",))
        state, host = other.start(), problem.backend.to_numpy
        np.testing.assert_array_equal(host(state.object), obj)
        np.testing.assert_array_equal(host(state.probe), probe)
        for view, own in zip(other.views, np.split(probe, len(other.views)), strict=True):
            np.testing.assert_array_equal(view.initial_probe, own)
        assert not other.empty and other.held == ("object",)
        assert problem.empty and problem.held == ()
        assert other.with_initial().held == ("object",)

    def test_what_is_held_has_no_gradient_and_comes_back(self, problem: Any) -> None:
        held = problem.with_initial(held=("object",))
        state = held.start()
        assert not held.backend.to_numpy(held.gradients(state, np.arange(held.count)).object).any()
        assert problem.backend.to_numpy(problem.gradients(state, np.arange(held.count)).object).any()
        moved = held.resample_state(state.replace(object=state.object + 1, probe=2 * state.probe))
        np.testing.assert_array_equal(held.backend.to_numpy(moved.object), held.initial_object)
        np.testing.assert_array_equal(held.backend.to_numpy(moved.probe), 2 * held.initial_probe)
        *_, last = iterate(held, Plan(iterations=1, batch=16, algorithm=PIE(), constraints=()))
        np.testing.assert_array_equal(held.backend.to_numpy(last.object), held.initial_object)

    def test_gradients_are_derivatives_of_the_loss(self, problem: Any) -> None:
        state, batch = in_double(problem.start()), np.arange(0, problem.count, 3)
        generator = np.random.default_rng(0)
        state = state.replace(object=state.object + 0.05 * generator.normal(size=state.object.shape))
        gradients = problem.gradients(state, batch)
        for name in ("object", "probe"):
            array = getattr(state, name)
            direction = generator.normal(size=array.shape) * 1e-3 * float(abs(state.probe).max()) ** (name == "probe")
            by_step = [
                problem.gradients(state.replace(**{name: array + step * direction}), batch).loss
                for step in (1e-4, -1e-4)
            ]
            expected = -2 * np.vdot(getattr(gradients, name), direction).real
            np.testing.assert_allclose((by_step[0] - by_step[1]) / 2e-4, expected, rtol=1e-4)

    def test_the_loss_is_that_of_its_views(self, problem: Any) -> None:
        state, batch = problem.start(), np.arange(0, problem.count, 2)
        parts = problem.split(batch)
        assert sum(len(places) for _, places in parts) == len(batch)
        for number, view in enumerate(problem.views):
            own = problem.view(state, number)
            assert own.sampling == view.sampling and own.slice_thickness == view.slice_thickness
            assert own.object.shape == view.object_shape
        values = [problem.views[n].gradients(problem.view(state, n), places).loss for n, places in parts]
        np.testing.assert_allclose(problem.gradients(state, batch).loss, sum(values), rtol=1e-6)

    def test_patterns_are_those_of_its_views(self, problem: Any) -> None:
        state, batch = problem.start(), np.arange(0, problem.count, 2)
        patterns = problem.intensities(state, batch)
        assert patterns.shape == (len(batch), *problem.window)
        parts = [problem.views[n].intensities(problem.view(state, n), places) for n, places in problem.split(batch)]
        np.testing.assert_allclose(patterns, np.concatenate(parts), rtol=1e-5, atol=1e-6 * patterns.max())

    def test_the_curvature_is_symmetric_and_positive(self, problem: Any) -> None:
        state, generator = problem.start(), np.random.default_rng(1)
        directions = [
            Direction(object=problem.backend.to_device(generator.normal(size=state.object.shape).astype(np.float32)))
            for _ in range(2)
        ]
        matrix = problem.curvature(state, np.arange(0, problem.count, 4), directions)
        np.testing.assert_allclose(matrix, matrix.T, rtol=1e-5)
        assert np.linalg.eigvalsh(matrix).min() > 0

    def test_an_order_has_every_position_once(self, problem: Any) -> None:
        state, plan = problem.start(), Plan(batch=7)
        for algorithm in (GradientDescent(), PIE()):
            order = problem.order(state, plan.replace(algorithm=algorithm), np.random.default_rng(2))
            np.testing.assert_array_equal(np.sort(order), np.arange(problem.count))
            batches = problem.batches(order, 7)
            np.testing.assert_array_equal(np.sort(np.concatenate(batches)), np.arange(problem.count))
            assert max(map(len, batches)) <= 7
            found = [(n, places) for batch in batches for n, places in problem.split(batch)]
            for number, view in enumerate(problem.views):
                own = np.concatenate([places for n, places in found if n == number])
                np.testing.assert_array_equal(np.sort(own), np.arange(view.count))

    def test_algorithms_constraints_and_refinements_leave_shapes_and_types(self, problem: Any) -> None:
        before, batch = problem.start(), np.arange(0, problem.count, 2)
        states = [problem.advance(algorithm, before, batch) for algorithm in (GradientDescent(), PIE())]
        states += [problem.constrained(c)(before) for c in (Positivity(), ProbeCentre(), ProbeIntensity())]
        states += [problem.refined(RefinePositions())(before, batch)]
        for after in states:
            for name in ARRAYS:
                old, new = getattr(before, name), getattr(after, name)
                assert type(new) is type(old) and new.shape == old.shape and new.dtype == old.dtype
                assert np.isfinite(problem.backend.to_numpy(new)).all()
        assert (states[-1].positions != before.positions).any()

    def test_the_probe_constraint_sees_each_view_s_probe(self, problem: Any) -> None:
        state = problem.start().replace(probe=3 * problem.start().probe)
        probe = problem.backend.to_numpy(problem.constrained(ProbeIntensity())(state).probe)
        for view, own in zip(problem.views, np.split(probe, len(problem.views)), strict=True):
            np.testing.assert_allclose((np.abs(own) ** 2).sum(), view.mean_intensity, rtol=1e-4)

    def test_the_loop_lowers_the_loss(self, problem: Any) -> None:
        for algorithm in (GradientDescent(), PIE()):
            *_, last = iterate(problem, Plan(iterations=3, batch=16, algorithm=algorithm, constraints=(Positivity(),)))
            assert last.losses[-1] < last.losses[0]
            assert np.isnan(last.misfits).all()  # nothing is held out

    def test_the_schedule_works_on_it(self, problem: Any) -> None:
        *_, last = reconstruct(problem, iterations=6)
        assert last.iteration <= 6 and last.losses[-1] < last.losses[0]
        assert np.isfinite(last.misfits).all()

    def test_counts_are_held_out_and_stay_so_on_another_device(self, problem: Any) -> None:
        assert problem.held_out is None and np.isnan(problem.misfit(problem.start()))
        split = problem.with_held_out(seed=3)
        value = split.misfit(split.start())
        assert split.held_out is not None and np.isfinite(value)
        moved = split.to("cpu")
        assert moved.misfit(moved.start()) == value
        everything = np.arange(problem.count)
        of_whole, of_part = (p.gradients(p.start(), everything).loss for p in (problem, split))
        assert of_whole != of_part

    def test_another_loss_is_another_problem(self, problem: Any) -> None:
        state, batch = problem.start(), np.arange(problem.count)
        other = problem.with_loss("poisson")
        assert other.loss == get_loss("poisson") and problem.loss != other.loss
        assert all(view.loss == other.loss for view in other.views)
        assert other.gradients(state, batch).loss != problem.gradients(state, batch).loss

    def test_its_own_window_changes_nothing(self, problem: Any) -> None:
        here = problem.at_window(problem.window)
        assert here.window == problem.window and here.object_shape == problem.object_shape
        state = next(steps(problem, Plan(batch=16, algorithm=PIE())))
        again = here.resample_state(state)
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(again, name), getattr(state, name))

    def test_a_state_comes_back_from_the_host(self, problem: Any) -> None:
        state, host = problem.start(), problem.backend.to_numpy
        again = problem.on_device(state.replace(object=host(state.object), probe=host(state.probe)))
        assert type(again.object) is type(state.object)
        np.testing.assert_array_equal(host(again.object), host(state.object))

"""What every algorithm must do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ptywidgets.engine.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ptywidgets.engine.checkpoint.plain import from_plain, to_plain
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.dataset import Calibration
from ptywidgets.engine.losses import LOSSES
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import Preparation
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.solve.iterate import iterate, steps
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.testing.cases import example_problem


class AlgorithmContract:
    """Give a fixture `algorithm`; it is tried on every kind of object."""

    iterations = 4
    batch: int | None = 32
    falls_to = 0.9  # share of the first iteration's loss that must be reached
    falls_to_with_any_loss = 0.95  # the same for every loss, in twice as many iterations

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

    def test_every_loss_falls(self, algorithm: Any) -> None:
        for problem in self.problems():
            for kind in LOSSES.values():
                other = replace(problem, loss=kind())
                *_, state = iterate(other, self.plan(algorithm, iterations=2 * self.iterations))
                assert np.isfinite(state.losses).all(), kind
                assert np.isfinite(state.object).all() and np.isfinite(state.probe).all(), kind
                assert state.losses[-1] < self.falls_to_with_any_loss * state.losses[0], kind

    def test_masked_pixels_count_nowhere(self, algorithm: Any) -> None:
        for problem in self.problems():
            counts = problem.patterns.counts
            mask = np.random.default_rng(5).random(counts.shape[1:]) < 0.9
            wrong = np.where(mask, counts, np.iinfo(counts.dtype).max)
            results = []
            for each in (counts, wrong):
                masked = replace(problem, patterns=replace(problem.patterns, counts=each, mask=mask))
                *_, state = iterate(masked, self.plan(algorithm))
                assert state.losses[-1] < self.falls_to * state.losses[0]
                results.append(state)
            np.testing.assert_array_equal(results[0].object, results[1].object)
            assert results[0].losses == results[1].losses

    def test_several_probe_modes(self, algorithm: Any) -> None:
        for problem in self.problems():
            first = problem.initial_probe[0]
            rows = np.fft.fftfreq(len(first))[:, None].astype(np.float32)
            modes = np.stack([first * np.float32(0.95**0.5), first * rows])
            modes[1] *= np.sqrt(0.05 * (np.abs(first) ** 2).sum() / (np.abs(modes[1]) ** 2).sum())
            *_, state = iterate(replace(problem, initial_probe=modes), self.plan(algorithm))
            assert state.probe.shape == modes.shape
            assert state.losses[-1] < self.falls_to * state.losses[0]

    def test_a_saved_run_goes_on_as_if_it_had_not_stopped(self, algorithm: Any) -> None:
        """Both between two iterations and in the middle of one."""
        for problem in self.problems():
            plan = self.plan(algorithm)
            whole = list(steps(problem, plan))
            for done in {len(whole) // 2, len(whole) // 2 + 1}:
                resumed = whole[done - 1]
                copy = from_file(problem, plan, resumed)
                assert copy.random == resumed.random and set(copy.memory) == set(resumed.memory)
                *_, state = steps(problem, plan, copy)
                assert state.losses == whole[-1].losses
                np.testing.assert_array_equal(state.object, whole[-1].object)
                np.testing.assert_array_equal(state.probe, whole[-1].probe)

    def test_it_can_be_written_down(self, algorithm: Any) -> None:
        assert from_plain(json.loads(json.dumps(to_plain(algorithm)))) == algorithm

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


def from_file(problem: Problem, plan: Plan, state: State) -> State:
    """A state as it comes back from a file."""
    with TemporaryDirectory() as folder:
        checkpoint = Checkpoint(
            state=state,
            plan=plan,
            preparation=Preparation(),
            optics=Optics(semiangle=20),
            calibration=Calibration(),
            object_type=problem.model.specimen.object_type,
            sampling=problem.sampling,
            rotation=0.0,
            transpose=False,
            scan_shape=problem.measurement.scan_shape,
            provenance={},
        )
        loaded = load_checkpoint(save_checkpoint(Path(folder) / "state.h5", checkpoint)).state
    assert loaded is not None
    return problem.on_device(loaded)

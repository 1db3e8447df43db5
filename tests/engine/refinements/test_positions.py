"""Positions: derivatives against finite differences, and displacements that are found again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import Plan, iterate
from ptywidgets.engine.algorithms import LSQML, ConjugateGradient
from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.checkpoint.plain import from_plain, to_plain
from ptywidgets.engine.constraints import Every, From, Until
from ptywidgets.engine.losses import LOSSES
from ptywidgets.engine.metrics import position_errors
from ptywidgets.engine.models import Background, Diffuse, Multislice, PartialCoherence, PointSpread
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.models.shift import ChebyshevShift, FourierShift, NoShift, fewest_terms
from ptywidgets.engine.optics.modes import first_modes
from ptywidgets.engine.refinements import REFINEMENTS, RefineAffine, RefinePositions, position_derivatives
from ptywidgets.engine.refinements.affine import MAPS
from ptywidgets.engine.refinements.positions import mapped
from ptywidgets.testing import exact_problem, example_problem
from ptywidgets.testing.exact import difference, in_double

EXTENT = (20.0, 20.0)
WAVELENGTH = 0.04
SLICES = Multislice((20.0, 15.0, 10.0), WAVELENGTH, EXTENT, tilt=(3.0, -2.0))
DIFFUSE = Diffuse(("C",), 0.5, EXTENT)
MODELS = {
    "thin": {},
    "slices": {"exit_wave": SLICES},
    "source": {"ensemble": PartialCoherence(0.3, 20.0, WAVELENGTH, EXTENT, order=2)},
    "diffuse": {"exit_wave": SLICES, "diffuse": DIFFUSE, "background": Background(first_counts=0.1)},
    "response": {"response": PointSpread(0.6)},
}
BATCH = np.array([3, 20, 21, 60])


def disturbed(problem, state, seed=1, amount=0.03):
    """Double precision, an object that does not fit, modes, and positions off the true ones."""
    generator = np.random.default_rng(seed)
    state = in_double(state.replace(probe=first_modes(state.probe, 2)))
    noise = generator.normal(scale=amount, size=state.object.shape)
    positions = state.positions + generator.uniform(-0.05, 0.05, state.positions.shape)
    return state.replace(object=state.object * (1 + noise), positions=positions)


@pytest.mark.parametrize("make", [NoShift, FourierShift, ChebyshevShift])
def test_tangents_of_shifted_waves_are_their_slopes(make):
    generator, backend = np.random.default_rng(0), CpuBackend(1)
    k = np.hypot(np.fft.fftfreq(20)[:, None], np.fft.fftfreq(17)[None])
    spectrum = (generator.normal(size=(2, 20, 17)) + 1j * generator.normal(size=(2, 20, 17))) * (k < 0.25)
    fractions = np.vstack([[[0, 0], [0.5, -0.5]], generator.uniform(-0.45, 0.45, (4, 2))])
    places = np.arange(len(fractions))
    for axis in (0, 1):

        def moved(h, axis=axis):
            return FourierShift(spectrum, fractions + h * np.eye(2)[axis]).waves(backend, places).copy()

        expected = difference(moved, 1e-5)
        if make is NoShift:
            shift, expected = NoShift(backend.ifft2(spectrum.copy())), expected[:1]
        elif make is ChebyshevShift:
            shift = ChebyshevShift.prepare(backend, spectrum, fewest_terms(np.abs(spectrum[0]) ** 2, 1e-8), fractions)
        else:
            shift = FourierShift(spectrum, fractions)
        np.testing.assert_allclose(shift.tangent(backend, places, axis), expected, rtol=0, atol=1e-6)


# A blur by transforms may leave less than nothing in the dark, where two of the losses have no slope.
WITH_SLOPES = [
    (name, loss) for name in MODELS for loss in LOSSES if name != "response" or loss not in ("amplitude", "poisson")
]


@pytest.mark.parametrize("kind", ["complex", "potential"])
@pytest.mark.parametrize("name, loss", WITH_SLOPES)
def test_the_gradient_is_that_of_the_loss(kind, name, loss):
    problem, state = exact_problem(kind=kind, **MODELS[name])
    problem = replace(problem, loss=LOSSES[loss]())
    state = disturbed(problem, state)
    found = position_derivatives(problem, state, BATCH)
    generator = np.random.default_rng(2)
    direction = generator.normal(size=(len(BATCH), 2))

    def at(h):
        positions = state.positions.copy()
        positions[BATCH] += h * direction
        return problem.gradients(state.replace(positions=positions), BATCH).loss

    expected = difference(at, 1e-5)
    assert -2 * float((found.positions * direction).sum()) == pytest.approx(expected, rel=2e-5)
    whole = problem.gradients(state, BATCH)
    assert found.loss == pytest.approx(whole.loss)
    np.testing.assert_allclose(found.object, whole.object, atol=1e-9 * np.abs(whole.object).max())


@pytest.mark.parametrize("name", ["thin", "slices", "response"])
def test_where_the_model_fits_the_curvature_is_exact(name):
    """There the Gauss-Newton approximation leaves nothing out, and the gradient's change is the second derivative."""
    problem, state = exact_problem(**MODELS[name])
    state = in_double(state)
    problem = replace(problem, loss=LOSSES["anscombe"]())
    found = position_derivatives(problem, state, BATCH)

    def slopes(h):
        positions = state.positions + np.array([h, 0.5 * h])
        return position_derivatives(problem, state.replace(positions=positions), BATCH).positions

    expected = -difference(slopes, 1e-5)
    np.testing.assert_allclose(found.hessian @ [1, 0.5], expected, rtol=2e-3, atol=2e-3 * np.abs(expected).max())


def test_the_curvature_along_a_displacement_of_all_is_the_sum():
    problem, state = exact_problem()
    state = in_double(state)
    field = np.random.default_rng(3).normal(size=state.positions.shape)
    whole = problem.curvature(state, BATCH, [Direction(positions=field)])[0, 0] / 2
    hessian = position_derivatives(problem, state, BATCH).hessian
    assert np.einsum("ja,jab,jb->", field[BATCH], hessian, field[BATCH]) == pytest.approx(whole, rel=0.01)


@pytest.mark.parametrize("name", ["thin", "slices", "source"])
def test_displaced_positions_are_found_again_when_the_object_is_known(name):
    problem, state = exact_problem(**MODELS[name])
    generator = np.random.default_rng(4)
    pixel = problem.sampling[0]
    away = generator.normal(scale=0.5 * pixel / np.sqrt(2), size=state.positions.shape)
    away -= away.mean(0)
    displaced = replace(problem, initial_positions=state.positions + away)
    now = state.replace(positions=displaced.initial_positions)
    refine = RefinePositions().prepare(displaced)
    for _ in range(6):
        now = refine(now, np.arange(problem.count))
    assert position_errors(now.positions, state.positions).rms < 0.025 * pixel


def test_displaced_positions_and_the_object_are_found_together():
    problem, truth = exact_problem()
    pixel = problem.sampling[0]
    away = np.random.default_rng(5).normal(scale=0.5 * pixel / np.sqrt(2), size=truth.positions.shape)
    problem = replace(problem, initial_positions=truth.positions + away)
    plan = Plan(
        iterations=12, batch=16, algorithm=LSQML(hold_probe=True), constraints=(), refinements=(RefinePositions(),)
    )
    assert position_errors(problem.initial_positions, truth.positions).rms > 0.4 * pixel
    *_, state = iterate(problem, plan)
    assert position_errors(state.positions, truth.positions).rms < 0.1 * pixel


@pytest.mark.parametrize("matrix", MAPS, ids=["scale", "rotation", "stretch", "shear"])
def test_an_affine_error_of_two_per_cent_is_removed(matrix):
    problem, truth = exact_problem()
    middle = truth.positions.mean(0)
    wrong = middle + (truth.positions - middle) @ (np.eye(2) + 0.02 * matrix).T
    problem = replace(problem, initial_positions=wrong)
    plan = Plan(
        iterations=15, batch=32, algorithm=LSQML(hold_probe=True), constraints=(), refinements=(RefineAffine(),)
    )
    *_, state = iterate(problem, plan)
    found = position_errors(state.positions, truth.positions, affine=True)
    assert found.rms < 1e-6
    assert np.abs(found.matrix - np.eye(2)).max() < 0.006


def test_scale_rotation_and_shear_can_be_held():
    problem, truth = exact_problem()
    generator = np.random.default_rng(9)
    start = truth.replace(positions=truth.positions * 1.01 + generator.normal(scale=0.1, size=truth.positions.shape))
    problem = replace(problem, initial_positions=start.positions)
    after = RefinePositions(hold="affine").prepare(problem)(start, np.arange(problem.count))
    moved = after.positions - start.positions
    assert np.sqrt((moved**2).mean()) > 0.05
    design = np.column_stack([np.ones(len(moved)), start.positions])
    np.testing.assert_allclose(np.linalg.lstsq(design, moved, rcond=None)[0], 0, atol=1e-10)


def test_what_an_affine_map_has_found_is_neither_held_back_nor_counted_as_a_move():
    problem, truth = exact_problem()
    middle = truth.positions.mean(0)
    problem = replace(problem, initial_positions=middle + 0.98 * (truth.positions - middle))
    found = {"affine": (np.eye(2) / 0.98).ravel()}
    state = truth.replace(parameters=found)
    everything = np.arange(problem.count)
    for refinement in (RefinePositions(hold="affine"), RefinePositions(limit_total=0.02)):
        after = refinement.prepare(problem)(state, everything)
        assert np.abs(after.positions - truth.positions).max() < 0.03
    alone = RefinePositions(limit_total=0.02).prepare(problem)(truth, everything)
    assert np.abs(alone.positions - truth.positions).max() > 0.1, "without the map, that is too far"


def test_an_affine_map_is_remembered_step_by_step():
    problem, truth = exact_problem()
    middle = truth.positions.mean(0)
    problem = replace(problem, initial_positions=middle + 0.985 * (truth.positions - middle))
    state = truth.replace(positions=problem.initial_positions)
    refine = RefineAffine().prepare(problem)
    for _ in range(3):
        state = refine(state, np.arange(problem.count))
    assert not np.allclose(state.parameters["affine"], np.eye(2).ravel(), atol=1e-4)
    np.testing.assert_allclose(mapped(state, problem.initial_positions), state.positions, atol=1e-9)


def test_positions_of_a_coarse_grid_that_has_more_room_are_brought_inside():
    problem = example_problem("potential")
    coarse = problem.at_window((48, 48))
    spread = coarse.initial_positions.mean(0) + 1.2 * (coarse.initial_positions - coarse.initial_positions.mean(0))
    state = problem.resample_state(coarse.start().replace(positions=coarse.inside(spread)))
    problem.geometry(state.positions)


def test_limits_hold_and_the_mean_stays():
    problem, state = exact_problem()
    away = np.random.default_rng(6).normal(scale=0.3, size=state.positions.shape)
    problem = replace(problem, initial_positions=state.positions + away)
    start = state.replace(positions=problem.initial_positions)
    everything = np.arange(problem.count)
    after = RefinePositions(limit_step=0.02).prepare(problem)(start, everything)
    moved = after.positions - start.positions
    assert 0 < np.hypot(*(moved - moved.mean(0)).T).max() <= 0.04
    np.testing.assert_allclose(after.positions.mean(0), start.positions.mean(0), atol=1e-12)
    bounded = RefinePositions(limit_total=0.05).prepare(problem)
    for _ in range(3):
        after = bounded(after, everything)
    assert np.hypot(*(after.positions - problem.initial_positions).T).max() <= 0.05 + 1e-12
    alone = RefinePositions().prepare(problem)(start, BATCH)
    common = alone.positions - start.positions
    others = np.setdiff1d(everything, BATCH)
    np.testing.assert_allclose(common[others], common[others[:1]].repeat(len(others), 0), atol=1e-12)


@pytest.mark.parametrize(
    "refinement", [RefinePositions(limit_step=50, limit_total=100, step=4), RefineAffine(limit=0.2)]
)
def test_no_window_leaves_the_object(refinement):
    problem = example_problem("potential")  # has no room
    state = problem.start()
    state = state.replace(object=state.object + np.random.default_rng(7).normal(size=state.object.shape).astype("f4"))
    after = refinement.prepare(problem)(state, np.arange(problem.count))
    assert not np.array_equal(after.positions, state.positions)
    problem.geometry(after.positions)


@pytest.mark.parametrize("wrapper, acts", [(Every(2, RefinePositions()), [1, 3]), (From(2, RefinePositions()), [2, 3])])
def test_schedules_say_when(wrapper, acts):
    problem, truth = exact_problem()
    start = truth.replace(positions=truth.positions + np.random.default_rng(8).normal(scale=0.1, size=(64, 2)))
    apply = wrapper.prepare(problem)
    for iteration in range(4):
        before = start.replace(iteration=iteration)
        after = apply(before, BATCH)
        assert np.array_equal(after.positions, before.positions) == (iteration not in acts)


@pytest.mark.parametrize("algorithm", [ConjugateGradient(), LSQML()], ids=lambda a: type(a).__name__)
def test_a_plan_with_refinements_runs_and_can_be_written_down(algorithm):
    problem = example_problem("complex")
    chosen = (Until(2, RefineAffine()), RefinePositions())
    plan = Plan(iterations=2, batch=32, algorithm=algorithm, refinements=chosen)
    assert from_plain(json.loads(json.dumps(to_plain(plan)))) == plan
    *_, state = iterate(problem, plan)
    assert np.isfinite(state.losses).all() and np.isfinite(state.positions).all()


def test_every_refinement_describes_its_parameters():
    for kind in REFINEMENTS.values():
        assert kind() == kind() and hash(kind()) == hash(kind())
        assert all(p.doc for p in kind.describe())

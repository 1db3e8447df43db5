"""What is added to the waves is found: its strength, its shape, and what all patterns have in common."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import ConjugateGradient, Plan, iterate
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.losses import LOSSES
from ptywidgets.engine.models import Background, Diffuse
from ptywidgets.engine.models.parts.learned_shape import LEARNED, areas
from ptywidgets.engine.models.parts.scattering import thermal_profile
from ptywidgets.engine.models.shift import TOLERANCE
from ptywidgets.engine.refinements import RefineDiffuse
from ptywidgets.testing import exact_problem

TRUE_B = 0.8


def scattering(loss="poisson", background=0.02, dose=1.0):
    """A problem with diffuse scattering where the atoms are, and a background; the truth as a state."""
    problem, truth = exact_problem("potential")
    extent = tuple(n * s for n, s in zip(problem.window, problem.sampling, strict=True))
    diffuse = Diffuse(("C",), 0.3, extent, energy=80e3)
    where = np.maximum(truth.object, 0)
    parameters = {
        "tds_strength": (0.3 * where / where.max())[None].astype(np.float32),
        "b_factor": np.array([TRUE_B]),
        "background": np.full(problem.window, background, np.float32),
    }
    model = replace(problem.model, diffuse=diffuse, background=Background())
    problem = replace(problem, model=model, loss=LOSSES[loss]())
    truth = truth.replace(parameters=parameters)
    counts = problem.intensities(truth, np.arange(problem.count))
    return replace(problem, patterns=Patterns.centred(counts.astype(np.float32)).on(problem.backend)), truth


@pytest.mark.parametrize("loss", ["poisson", "anscombe", "amplitude"])
def test_the_truth_stays(loss):
    problem, truth = scattering(loss)
    after = RefineDiffuse(smooth=0.0).prepare(problem)(truth.replace(iteration=20), np.arange(problem.count))
    for name, value in truth.parameters.items():
        np.testing.assert_allclose(after.parameters[name], value, rtol=2.5 * TOLERANCE, atol=1e-6)  # of shifted waves


@pytest.mark.parametrize("loss", ["poisson", "anscombe", "amplitude"])
def test_strength_and_shape_are_found_with_the_object(loss):
    """Beside a known background: an unknown one and a broad shape are hard to tell apart."""
    problem, truth = scattering(loss)
    start = problem.start().parameters | {"background": truth.parameters["background"]}
    refinement = RefineDiffuse(map_from=0, b_from=2, smooth=0.0, background=False)
    hold = ConjugateGradient(lower_bound=0.0, hold_probe=True)
    plan = Plan(iterations=50, batch=32, constraints=(), algorithm=hold, refinements=(refinement,))
    *_, found = iterate(problem, plan, truth.replace(parameters=start))
    assert abs(float(found.parameters["b_factor"][0]) / TRUE_B - 1) < 0.1
    lit = problem.field_of_view()
    tds_strength, true = (s.parameters["tds_strength"][0, 0][lit] for s in (found, truth))
    assert np.corrcoef(tds_strength, true)[0, 1] > 0.95
    assert abs(tds_strength.mean() / true.mean() - 1) < 0.05


def test_a_background_is_found():
    problem, truth = exact_problem("potential")
    pattern = np.random.default_rng(3).uniform(0.5, 1.5, problem.window).astype(np.float32)
    problem = replace(problem, model=replace(problem.model, background=Background()), loss=LOSSES["poisson"]())
    truth = truth.replace(parameters={"background": pattern})
    counts = problem.intensities(truth, np.arange(problem.count))
    problem = replace(problem, patterns=Patterns.centred(counts.astype(np.float32)).on(problem.backend))
    state = refined(problem, truth, 60, RefineDiffuse(smooth_background=0))
    dark = np.abs(np.fft.fft2(problem.initial_probe[0])) < 1e-3
    np.testing.assert_allclose(state.parameters["background"][dark].mean(), pattern[dark].mean(), rtol=0.02)
    assert np.corrcoef(state.parameters["background"][dark], pattern[dark])[0, 1] > 0.9


def refined(problem, truth, times, refinement):
    """After some steps from the start, with the true object and probe."""
    state, refine = truth.replace(parameters=problem.start().parameters), refinement.prepare(problem)
    for _ in range(times):
        state = refine(state, np.arange(problem.count))
    return state


def smooth_background(most, hot=0.0):
    """Counted patterns with a smooth background, of up to `most` counts in a pixel, and a hot pixel if there is any."""
    problem, truth = exact_problem("potential")
    q = np.hypot(*np.meshgrid(*[np.fft.fftfreq(n) for n in problem.window], indexing="ij"))
    pattern = (most * (0.2 + 0.8 * np.exp(-((q / 0.25) ** 2)))).astype(np.float32)
    problem = replace(problem, model=replace(problem.model, background=Background()), loss=LOSSES["poisson"]())
    truth = truth.replace(parameters={"background": pattern})
    counts = np.random.default_rng(0).poisson(problem.intensities(truth, np.arange(problem.count))).astype(np.float32)
    counts[:, 20, 25] += hot
    return replace(problem, patterns=Patterns.centred(counts).on(problem.backend)), truth


@pytest.mark.parametrize("most", [0.3, 3.0])
def test_a_smooth_background_is_found_better_than_one_that_is_free_at_every_pixel(most):
    problem, truth = smooth_background(most)
    true = truth.parameters["background"]
    dark = np.abs(np.fft.fft2(problem.initial_probe[0])) < 1e-3  # elsewhere the waves outshine it by far

    def found(sigma):
        return refined(problem, truth, 30, RefineDiffuse(smooth_background=sigma)).parameters["background"]

    def rms(pattern):
        return np.sqrt(np.mean((pattern - true)[dark] ** 2))

    smooth = found(3.0)
    assert (smooth > 0).all()
    assert rms(smooth) < 0.5 * rms(found(0.0)) and rms(smooth) < 0.3 * rms(0 * true)
    assert smooth[dark].sum() == pytest.approx(true[dark].sum(), rel=0.1)


def test_the_counts_of_a_smooth_background_are_those_that_were_measured():
    problem, truth = smooth_background(3.0)
    state = refined(problem, truth, 60, RefineDiffuse())
    batch = np.arange(problem.count)
    dark = np.abs(np.fft.fft2(problem.initial_probe[0])) < 1e-3
    expected, measured = problem.intensities(state, batch), problem.patterns.amplitudes() ** 2
    assert expected[:, dark].sum() == pytest.approx(measured[:, dark].sum(), rel=2e-3)


def test_a_hot_pixel_is_no_background():
    """A thousand times brighter than what is around it; by itself, a background takes it all."""
    problem, truth = smooth_background(0.3, hot=300.0)
    plain, _ = smooth_background(0.3)
    with_it, without = (refined(p, truth, 30, RefineDiffuse()).parameters["background"] for p in (problem, plain))
    np.testing.assert_allclose(with_it, without, rtol=0.1)
    free = refined(problem, truth, 30, RefineDiffuse(smooth_background=0)).parameters["background"]
    assert free[20, 25] > 100


@pytest.mark.parametrize("sigma", [0.0, 3.0])
def test_masked_pixels_do_not_count_in_what_is_found(sigma):
    """With a quarter of the detector left out, steps are as long, and lead to the same."""
    problem, truth = scattering()
    mask = np.ones(problem.window, bool)
    mask[: problem.window[0] // 2, : problem.window[1] // 2] = False
    masked = replace(problem, patterns=replace(problem.patterns, mask=mask))
    begun = truth.parameters | {
        "tds_strength": 0.5 * truth.parameters["tds_strength"],
        "background": 0.7 * truth.parameters["background"],
    }
    lit, dark = problem.field_of_view(), np.abs(np.fft.fft2(problem.initial_probe[0])) < 1e-3
    after = []
    for one in (problem, masked):
        refine = RefineDiffuse(b_factor=False, smooth=0.0, smooth_background=sigma).prepare(one)
        state, seen = truth.replace(parameters=begun, iteration=20), []
        for _ in range(30):
            state = refine(state, np.arange(problem.count))
            known = state.parameters
            seen.append((known["tds_strength"][0, 0][lit].mean(), known["background"][dark & mask].mean()))
        after.append(np.array(seen) / (truth.parameters["tds_strength"][0, 0][lit].mean(), 0.02))
    np.testing.assert_allclose(after[1], after[0], atol=0.05)  # after every step
    np.testing.assert_allclose(after[1][-1], 1, atol=0.2)


def test_data_without_diffuse_scattering_are_not_harmed():
    problem, truth = exact_problem("potential")
    extent = tuple(n * s for n, s in zip(problem.window, problem.sampling, strict=True))
    plan = Plan(iterations=12, batch=32, constraints=(), algorithm=ConjugateGradient(lower_bound=0.0, hold_probe=True))
    *_, coherent = iterate(problem, plan)
    channel = replace(problem, model=replace(problem.model, diffuse=Diffuse(("C",), 0.5, extent)))
    *_, with_it = iterate(channel, plan.replace(refinements=(RefineDiffuse(),)))
    lit = problem.field_of_view()

    def error(state):
        difference = (state.object - truth.object)[0][lit]
        return (difference - difference.mean()).std()

    assert error(with_it) < 1.1 * error(coherent)
    assert with_it.parameters["tds_strength"][0, 0][lit].mean() < 2e-3


def test_what_is_switched_off_stays():
    problem, truth = scattering()
    state = truth.replace(parameters=problem.start().parameters, iteration=20)
    still = RefineDiffuse(tds_strength=False, b_factor=False, background=False).prepare(problem)
    for name, value in still(state, np.arange(8)).parameters.items():
        np.testing.assert_array_equal(value, state.parameters[name])


def test_slow_electrons_are_scattered_further_than_born_says():
    k = np.array([2.0, 3.0])
    one, other = (thermal_profile("Mo", 0.5, k, energy) for energy in (30e3, 300e3))
    born = thermal_profile("Mo", 0.5, k)
    assert (np.abs(one / born - 1) > np.abs(other / born - 1)).all()
    np.testing.assert_allclose(thermal_profile("C", 0.5, k, 300e3), thermal_profile("C", 0.5, k), rtol=0.02)


def test_a_shape_is_learned():
    """That of carbon comes out where it is dark, from a start that knows nothing of it, and as much of it."""
    problem, truth = scattering()
    true = problem.model.diffuse
    aperture, reach = 0.5, float(np.hypot(*(0.5 / s for s in problem.sampling)))
    learned = Diffuse((LEARNED,), 0.3, true.extent, aperture=aperture, reach=reach)
    problem = replace(problem, model=replace(problem.model, diffuse=learned))
    start = problem.start().parameters | {
        "tds_strength": truth.parameters["tds_strength"],
        "background": truth.parameters["background"],
    }
    apply = RefineDiffuse(map_from=100, b_from=0, background=False).prepare(problem)
    state = truth.replace(parameters=start, iteration=1)
    for _ in range(12):
        state = apply(state, np.arange(problem.count))
    found = problem.model_at(state).diffuse.patterns(problem.backend, problem.window, np.float64)[0]
    found *= state.parameters["tds_strength"].mean() / truth.parameters["tds_strength"].mean()
    wanted = true.bind(truth.parameters).patterns(problem.backend, problem.window, np.float64)[0]
    ky, kx = (np.fft.fftfreq(n, s) for n, s in zip(problem.window, problem.sampling, strict=True))
    k = np.hypot(ky[:, None], kx[None])
    ring = (k > 1.6 * aperture) & (k < 0.8 * reach)
    assert np.abs(found[ring] / wanted[ring] - 1).mean() < 0.05
    np.testing.assert_allclose(state.parameters["profile"] @ areas(aperture, reach), 1)


@pytest.mark.parametrize("window", [(64, 64), (48, 40)])
def test_a_learned_shape_holds_one_electron_on_any_part_of_the_detector(window):
    extent, reach = (20.0, 20.0), float(np.hypot(1.6, 1.6))
    shape = Diffuse((LEARNED,), 0.3, extent, aperture=0.4, reach=reach)
    whole = np.tensordot(shape.weights()[0], shape.hat_functions((160, 160)), 1)
    np.testing.assert_allclose(whole.sum(), 1, rtol=2e-3)  # 160 pixels reach to 4 1/A: beyond the farthest corner
    part = np.tensordot(shape.weights()[0], shape.hat_functions(window), 1)
    middle = tuple(np.fft.fftfreq(n, 1 / n).astype(int) for n in window)
    np.testing.assert_allclose(part, whole[middle[0][:, None], middle[1][None]])

"""The variants that starts are tried on: the same for the same seed, and true in what they say of themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import Aberrations, ModelConfig, Optics, iterate, make_problem, prepare, single_slice
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.metrics import compare_to_truth
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.testing.variants import KINDS, Variant, recipe, simulated, variant

EASY = {"dose": None, "source": 0.0, "spread": 0.0, "jitter": 0.0, "stated_step": 1.0, "stated_semiangle": 1.0}


def few_iterations(
    made: Variant, off: float = 0.0, transpose: bool | None = None, sign: float = 1.0
) -> tuple[float, float]:
    """Loss, and correlation with the true phase, of a few iterations: from the truth, or from what is near it."""
    truth, lens = made.truth, made.recipe.aberrations
    lens = Aberrations(**{name: sign * value for name, value in lens.cartesian.items()})
    slices = max(1, round(made.thickness / 20)) if made.kind == "thick" else 1
    down = sign * (made.thickness - made.thickness / slices) / 2  # from the first plane to the middle
    lens = lens.replace(defocus=lens["defocus"] + (down if slices > 1 else 0))
    optics = Optics.from_dataset(made.dataset, aberrations=lens)
    transpose = truth["transpose"] if transpose is None else transpose
    measurement = prepare(made.dataset, rotation=truth["rotation"] + off, transpose=transpose)
    model = ModelConfig(slices=slices, thickness=made.thickness).build("potential", measurement)
    problem = make_problem(measurement, optics, model=model)
    *_, state = iterate(problem, Plan(iterations=6, constraints=default_constraints("potential")))
    sampling = made.recipe.sampling
    found = compare_to_truth(
        problem.backend.to_numpy(state.object).sum(0),
        np.asarray(state.positions),
        made.phase,
        made.positions,
        sampling=sampling,
        truth_sampling=sampling,
        cutoff=0.3 / sampling,
    )
    return state.losses[-1], found.correlation


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_true_of_a_variant_explains_it(kind):
    made = simulated(replace(recipe(39, kind), **EASY, scan=(11, 10)))
    loss, correlation = few_iterations(made)
    others = [
        few_iterations(made, **wrong)
        for wrong in ({"off": 20}, {"transpose": not made.truth["transpose"]}, {"sign": -1})
    ]
    least = min(loss for loss, _ in others)
    if kind == "thick":  # of which a dozen slices in a few iterations leave much
        assert loss < 0.97 * least
    else:
        assert loss < 0.9 * least and correlation > 0.75


def test_a_seed_is_a_variant():
    one, again, other = variant(6), variant(6), recipe(11)
    assert np.array_equal(one.dataset.data, again.dataset.data) and one.recipe == again.recipe
    assert one.kind == other.kind and one.recipe != other


def test_kinds_take_turns_and_seeds_reach_every_difficulty():
    recipes = [recipe(seed) for seed in range(200)]
    assert {r.kind for r in recipes[:5]} == set(KINDS)
    for name in ("transpose", "vacuum", "jitter", "source", "spread", "is_misled", "tell_thickness"):
        share = np.mean([bool(getattr(r, name)) for r in recipes])
        assert 0.02 < share < 0.8, name
    assert 0.05 < np.mean([r.dose is None for r in recipes]) < 0.2
    coarse = [r for r in recipes if r.kind == "lattice" and r.step > 2.7]
    assert len(coarse) > 10
    with pytest.raises(ParameterError, match="kind of specimen"):
        recipe(0, "duck")


def test_what_is_stated_wrongly_leaves_the_patterns_as_they_are():
    told = replace(recipe(1), scan=(4, 5))
    misled = replace(told, stated_step=1.05, stated_semiangle=0.95)
    one, other = simulated(replace(told, stated_step=1.0, stated_semiangle=1.0)), simulated(misled)
    assert np.array_equal(one.dataset.data, other.dataset.data)
    assert other.dataset.calibration.scan_step == pytest.approx(1.05 * told.step)
    assert other.dataset.calibration.semiangle == pytest.approx(0.95 * told.semiangle)
    assert misled.is_misled


def test_descan_moves_patterns_and_nothing_else():
    still = replace(recipe(3), **EASY, scan=(6, 6), descan=(0.0, 0.0, 0.0, 0.0))
    moved = replace(still, descan=(5.0, 0.0, 0.0, 2.5))
    one, other = (np.asarray(simulated(r).dataset.data) for r in (still, moved))
    middle = np.indices(one.shape[-2:])
    first, second = ((p[..., None, :, :] * middle).sum((-2, -1)) / p.sum((-2, -1))[..., None] for p in (one, other))
    wander = (second - first)[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert wander == pytest.approx(np.array([[-2.5, -1.25], [-2.5, 1.25], [2.5, -1.25], [2.5, 1.25]]), abs=0.1)


def test_a_thick_variant_counts_its_defocus_from_its_middle():
    """A weak film seen with the true defocus of its middle: other planes explain it less."""
    made = simulated(replace(recipe(2, "film"), **EASY, scan=(12, 12)))
    lens, tried = made.recipe.aberrations, {}
    measurement = prepare(made.dataset, rotation=made.recipe.rotation, transpose=made.recipe.transpose)
    for off in (-made.thickness, 0.0, made.thickness):
        optics = Optics.from_dataset(made.dataset, aberrations=lens.replace(defocus=lens["defocus"] + off))
        problem = make_problem(measurement, optics, model=single_slice("potential"))
        *_, state = iterate(problem, Plan(iterations=6))
        tried[off] = state.losses[-1]
    assert min(tried, key=lambda off: tried[off]) == 0.0

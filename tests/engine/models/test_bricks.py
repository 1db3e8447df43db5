"""Parts that have arrays of their own to find bring them to another grid, other slices or fewer counts themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine.models import single_slice
from ptywidgets.engine.models.parts.object_modes import ObjectModes
from ptywidgets.engine.models.parts.scattering import Background, Diffuse
from ptywidgets.engine.problem.resample import WindowChange
from ptywidgets.engine.solve.room import Margin

SHAPE, WINDOW = (2, 24, 30), (16, 16)
BRICKS = {
    "diffuse": Diffuse(("C", "Si"), 0.5, (8.0, 8.0)),
    "background": Background(),
    "object_modes": ObjectModes(4, 0.08),
}


def found(brick, seed=0):
    """What a state may have found for a brick: what it begins with, and something more."""
    generator = np.random.default_rng(seed)
    return {
        name: value + generator.uniform(0, 0.01, np.shape(value)).astype(value.dtype)
        for name, value in brick.first(SHAPE, WINDOW).items()
    }


@pytest.fixture(params=BRICKS)
def brick(request):
    return BRICKS[request.param]


def test_a_brick_changes_its_own_arrays_alone(brick):
    known, margin = found(brick) | {"b of another": np.ones(3)}, Margin(((0, 0), (2, 2), (3, 3)))
    changes = (brick.resampled(known, margin), brick.in_slices(known, np.ones((1, 2))), brick.dimmed(known, 0.5))
    for changed in changes:
        assert set(changed) <= set(found(brick))
        assert all(changed[name].dtype == known[name].dtype for name in changed)
    for changed in (brick.resampled({}, margin), brick.in_slices({}, np.ones((1, 2))), brick.dimmed({}, 0.5)):
        assert changed == {}


def test_another_window_has_arrays_of_the_shapes_of_a_start_there(brick):
    window, shape = (12, 12), (2, 18, 23)
    known = found(brick)
    now = known | brick.resampled(known, WindowChange(WINDOW, window, shape))
    there = brick.first(shape, window)
    assert {n: np.shape(v) for n, v in now.items()} == {n: np.shape(v) for n, v in there.items()}
    for name, value in known.items():  # they are smooth enough for their means to stay
        np.testing.assert_allclose(np.mean(now[name]), np.mean(value), atol=0.02)


def test_more_room_leaves_what_was_there(brick):
    known = found(brick)
    changed = brick.resampled(known, Margin(((0, 0), (2, 2), (3, 3))))
    larger = brick.first((2, 28, 36), WINDOW)
    for name, value in changed.items():
        assert value.shape == larger[name].shape
        inner = value if name == "background" else value[..., 2:-2, 3:-3]
        np.testing.assert_array_equal(inner, known[name])


def test_diffuse_scattering_adds_up_over_the_depth():
    known = found(BRICKS["diffuse"])
    shares = np.array([[1.0, 0.0], [0.0, 0.25], [0.0, 0.75]])
    strength = BRICKS["diffuse"].in_slices(known, shares)["tds_strength"]
    assert strength.shape == (2, 3, *SHAPE[1:])
    np.testing.assert_allclose(strength.sum(1), known["tds_strength"].sum(1), rtol=1e-6)
    np.testing.assert_allclose(strength[:, 1], 0.25 * known["tds_strength"][:, 1], rtol=1e-6)


def test_a_model_asks_those_bricks_that_it_has():
    known = {name: value for brick in BRICKS.values() for name, value in found(brick).items()} | {"exit_wave.tilt": 1.0}
    model = replace(single_slice(), background=BRICKS["background"])
    dimmed = model.dimmed(known, 0.5)
    np.testing.assert_array_equal(dimmed["background"], known["background"] / 2)
    assert all(dimmed[name] is known[name] for name in known if name != "background")
    whole = replace(model, diffuse=BRICKS["diffuse"], object_modes=BRICKS["object_modes"])
    assert len(whole.bricks) == 3 and single_slice().bricks == ()
    assert set(whole.first_parameters(SHAPE, WINDOW)) == set(known) - {"exit_wave.tilt"}

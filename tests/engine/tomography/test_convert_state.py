"""A series goes on under another model: the volume stays where it lies, and what is seen in projection with it."""

from __future__ import annotations

import numpy as np
import pytest

from ptywidgets.engine import Plan, iterate
from ptywidgets.engine.tomography import convert_series_state
from ptywidgets.engine.tomography.convert_state import in_depth
from ptywidgets.testing.series import blobs, example_series


@pytest.fixture(scope="module")
def found():
    series = example_series(slices=2, modes=2)
    *_, state = iterate(series, Plan(iterations=3, batch=10, constraints=()))
    return series, state


@pytest.mark.parametrize("options", [{"slices": 4, "modes": 2}, {"slices": 1, "modes": 1}, {"slices": 2, "modes": 3}])
def test_other_slices_and_modes_leave_the_volume_alone(found, options):
    old, state = found
    new = example_series(**options)
    adopted = convert_series_state(new, old, state)
    np.testing.assert_array_equal(adopted.object, state.object)
    assert adopted.probe.shape == new.initial_probe.shape and adopted.memory == {}
    before, after = (np.sum(np.abs(p.reshape(5, -1)) ** 2, axis=1) for p in (state.probe, adopted.probe))
    np.testing.assert_allclose(after, before, rtol=1e-3)  # counts of every view
    *_, last = iterate(new, Plan(iterations=5, batch=10, constraints=()), adopted)
    assert last.iteration == 5 and last.losses[4] < last.losses[3]


def test_a_deeper_volume_holds_the_same_about_the_same_middle(found):
    old, state = found
    deep = convert_series_state(example_series(slices=2, modes=2, depth=12.0), old, state)
    assert deep.object.shape[0] == 24
    np.testing.assert_array_equal(deep.object[4:20], state.object)
    assert not deep.object[:4].any() and not deep.object[20:].any()
    flat = convert_series_state(example_series(slices=2, modes=2, depth=6.0), old, state)
    np.testing.assert_array_equal(flat.object, state.object[2:14])


def test_finer_layers_hold_the_same_phase():
    volume = blobs((6, 5, 4))
    for count in (4, 9, 12):
        shared = in_depth(volume, 1.0, count, 6.0 / count)
        np.testing.assert_allclose(shared.sum(0), volume.sum(0), rtol=1e-5, atol=1e-6)
        middles = [(np.arange(n) - (n - 1) / 2) * 6.0 / n for n in (6, count)]
        lies = [np.tensordot(z, v, 1) for z, v in zip(middles, (volume, shared), strict=True)]
        # A layer that is cut is dealt out evenly, so that nothing moves by more than half the thicker layer.
        exact = 1e-5 if count % 6 == 0 else 0.5 * max(1.0, 6.0 / count)
        assert (np.abs(lies[1] - lies[0]) <= exact * volume.sum(0) + 1e-5).all()

"""A ModelConfig makes the series that its parts make one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import DataError, ModelConfig, ParameterError, Plan, iterate
from ptywidgets.engine.problem.problem import make_problem
from ptywidgets.engine.tomography import compose_series, make_series, series_of
from ptywidgets.testing.series import SERIES_OPTICS, dark_measurement

TILTS = (-30.0, 0.0, 20.0)


def composed(config, count=3, **options):
    return compose_series([dark_measurement()] * count, TILTS, SERIES_OPTICS, config, **options)


@pytest.mark.parametrize(("slices", "modes"), [(1, 1), (2, 2)])
def test_it_is_the_series_that_is_made_by_hand(slices, modes):
    one = composed(ModelConfig(slices=slices, thickness=8, modes=modes))
    two = make_series([dark_measurement()] * 3, TILTS, SERIES_OPTICS, depth=8.0, slices=slices, modes=modes)
    assert one.object_shape == two.object_shape and one.voxel == two.voxel
    np.testing.assert_allclose(one.initial_probe, two.initial_probe, atol=1e-5)
    batch = np.arange(one.count)
    np.testing.assert_allclose(
        one.intensities(one.start(), batch), two.intensities(two.start(), batch), rtol=1e-4, atol=1e-3
    )


def test_views_share_one_set_of_processors():
    series = composed(ModelConfig(thickness=8))
    assert len({id(view.backend) for view in series.views}) == 1


def test_all_parts_of_a_model_are_in_every_view():
    series = composed(ModelConfig(slices=2, thickness=8, source_size=0.4, background=True, diffuse="C"))
    names = set(series.start().parameters)
    assert {"0 background", "2 background", "1 tds_strength", "1 b_factor"} <= names
    *_, state = iterate(series, Plan(iterations=2, batch=None, constraints=()))
    assert state.losses[-1] < state.losses[0]


def test_the_focus_of_one_slice_is_that_of_the_volume():
    """One slice has its plane in the middle, whatever the defocus is said to be meant for."""
    middle, entrance = (composed(ModelConfig(thickness=8, focus=plane)) for plane in ("middle", "entrance"))
    np.testing.assert_array_equal(middle.initial_probe, entrance.initial_probe)


def test_what_does_not_fit_is_said():
    deep = ModelConfig(thickness=8)
    for config, words in ((ModelConfig(slices=2), "how deep the volume"), (deep, "phases add up")):
        with pytest.raises(ParameterError, match=words):
            composed(config, object_type="complex" if config == deep else "potential")
    with pytest.raises(ParameterError, match="states of the slices of one view"):
        composed(deep.replace(object_modes=4))
    with pytest.raises(ParameterError, match="2 views but 3 tilts"):
        composed(deep, count=2)
    with pytest.raises(ParameterError, match="2 optics but 3 tilts"):
        compose_series([dark_measurement()] * 3, TILTS, [SERIES_OPTICS] * 2, deep)
    other = replace(dark_measurement(), sampling=(0.6, 0.5))
    with pytest.raises(DataError, match="tilt 1 has patterns"):
        compose_series([dark_measurement(), other], TILTS[:2], SERIES_OPTICS, deep)


def test_views_may_be_made_elsewhere():
    view = make_problem(dark_measurement(), SERIES_OPTICS, model=composed(ModelConfig(thickness=8)).model)
    series = series_of([view] * 2, (0, 90), depth=8.0, voxel_depth=2.0)
    assert series.object_shape[0] == 4 and series.projections[1].thickness == 8.0

"""make_series: one grid for all views, what it takes from whom, and what it says when numbers do not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import Calibration, Dataset, Optics, prepare
from ptywidgets.engine.constraints import VolumeSlab, VolumeSupport
from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.models import Multislice, single_slice
from ptywidgets.engine.tomography import Tilt, make_series
from ptywidgets.testing import ConstraintContract, example_problem, example_series
from ptywidgets.testing.series import SERIES_OPTICS, dark_measurement


def another(scan=(4, 5), detector=20, energy=80e3):
    counts = np.zeros((*scan, detector, detector), np.uint16)
    counts[..., detector // 2, detector // 2] = 500
    calibration = Calibration(energy=energy, scan_step=1.5, q_pixel=2 / detector, semiangle=25)
    return prepare(Dataset(counts, calibration), rotation=0.0, transpose=False, origin="constant")


def make(measurements=None, tilts=(0.0, 20.0), optics=SERIES_OPTICS, **options):
    measurements = measurements or [dark_measurement()] * len(tilts)
    return make_series(measurements, tilts, optics, **({"depth": 8.0} | options))


def test_slices_voxels_and_modes_are_as_asked_for():
    series = make(slices=4, modes=3, voxel_depth=1.0)
    assert series.object_shape[0] == 8 and series.voxel == (1.0, 0.5, 0.5)
    assert series.model.exit_wave.thickness == (2.0,) * 4
    assert series.projections[1].thickness == 2.0 and series.projections[1].tilt == Tilt(x=20)
    assert series.initial_probe.shape == (6, 20, 20)
    np.testing.assert_allclose((np.abs(series.initial_probe[:3]) ** 2).sum(), 1000, rtol=1e-5)
    assert make().object_shape[0] == 16


def test_scans_of_different_size_have_their_middle_in_common():
    series = make([dark_measurement(), another(scan=(7, 4))])
    assert series.views[0].object_shape == series.views[1].object_shape
    middles = [(v.initial_positions.max(0) + v.initial_positions.min(0)) / 2 for v in series.views]
    np.testing.assert_allclose(middles[0], middles[1])
    np.testing.assert_allclose(middles[0], series.projections[0].middle[1:])
    assert series.count == 20 + 28 and series.mean_intensity == pytest.approx((20 * 1000 + 28 * 500) / 48)


def test_each_view_may_have_its_own_optics_and_any_model():
    series = make(optics=[Optics(semiangle=25), Optics(semiangle=20)])
    assert not np.allclose(series.initial_probe[0], series.initial_probe[1])
    exit_wave = Multislice((4.0, 4.0), wavelength=0.04, extent=(10.0, 10.0))
    assert make(model=replace(single_slice("potential"), exit_wave=exit_wave)).projections[0].slices == 2


def test_a_first_volume_is_taken():
    volume = np.random.default_rng(0).random(make().object_shape)
    np.testing.assert_allclose(make(volume=volume).start().object, volume, rtol=1e-6)
    np.testing.assert_allclose(make().with_volume(volume).start().object, volume, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"tilts": (0.0, 1.0, 2.0), "measurements": [1, 2]}, ParameterError, "2 measurements but 3 tilts"),
        ({"depth": -1.0}, ParameterError, "how deep the volume is"),
        ({"slices": 1.5}, ParameterError, "whole number"),
        ({"optics": [SERIES_OPTICS]}, ParameterError, "1 optics but 2 tilts"),
        ({"measurements": "small"}, DataError, "Bin, crop or pad"),
        ({"measurements": "fast"}, DataError, "100000.0 eV"),
        ({"model": single_slice("complex")}, ParameterError, "phases add up"),
        ({"ordering": "shufled"}, ParameterError, "shuffled"),
        ({"ordering": (0, 0)}, ParameterError, "each of the 2 views once"),
        ({"kernel": "cubik"}, ParameterError, "cubic"),
        ({"volume": np.zeros((2, 2, 2))}, ParameterError, "this series has"),
    ],
)
def test_mistakes_are_named(options, error, words):
    measured = {"small": another(detector=16), "fast": another(energy=100e3)}
    if isinstance(options.get("measurements"), str):
        options = options | {"measurements": [dark_measurement(), measured[options["measurements"]]]}
    with pytest.raises(error, match=words):
        make(**options)


def test_a_coarse_window_is_refused():
    series = make()
    assert series.at_window(series.window) is series and not series.scalable
    with pytest.raises(ParameterError, match="whole window"):
        series.at_window((16, 16))


def test_supports_leave_the_middle_and_empty_the_outside():
    series = example_series(slices=2)
    state = series.start()
    state = state.replace(object=np.ones_like(state.object))
    z, y, x = (n // 2 for n in series.object_shape)
    ball, tube, slab = (
        series.constrained(c)(state).object
        for c in (VolumeSupport(), VolumeSupport(radius=3, edge=0, shape="cylinder x"), VolumeSlab(thickness=4, edge=0))
    )
    for kept in (ball, tube, slab):
        assert kept[z, y, x] == 1 and kept[0].sum() < 0.1 * kept[z].sum()
    assert ball[z, y, 0] == 0 and tube[z, y, 0] == 1 and slab[z, 0, 0] == 1
    assert slab[:, y, x].sum() == 8  # 4 A of 0.5 A voxels
    np.testing.assert_allclose(ball, ball[::-1], atol=1e-6)
    with pytest.raises(ParameterError, match="for volumes"):
        VolumeSupport().prepare(example_problem())


class TestVolumeConstraints(ConstraintContract):
    idempotent = False  # a soft edge is softer the second time

    @pytest.fixture(params=[VolumeSupport(radius=3), VolumeSupport(shape="cylinder y"), VolumeSlab(3)], ids=repr)
    def constraint(self, request):
        return request.param

    def states(self):
        series = example_series(slices=2)
        state = series.start()
        generator = np.random.default_rng(0)
        return [(series, state.replace(object=generator.normal(size=state.object.shape).astype(np.float32)))]

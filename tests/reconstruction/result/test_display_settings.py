"""What is looked at: single slices, cuts in depth, modes and their shares, against the state that they come from."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.optics.modes import occupations
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.reconstruction import DisplaySettings
from ptywidgets.reconstruction.result.display_settings import ACROSS
from ptywidgets.reconstruction.result.snapshot import beside

THICK = ModelConfig(slices=3, thickness=60, modes=2, diffuse="C", background=True)


@pytest.fixture(scope="module")
def data():
    return samples.ducky("tiny")


def made(data, **values):
    recon = Reconstruction(data, defocus=samples.ducky_defocus("tiny"), **values)
    recon.prepare(rotation=-15.0, transpose=False)
    return recon


@pytest.fixture(scope="module", params=["potential", "complex"])
def thick(request, data):
    recon = made(data, object_type=request.param, model=THICK)
    return recon.run(2)


def test_slices_make_the_whole(thick):
    assert thick.slices.shape == (3, *thick.object_phase.shape)
    if thick.object_type == "potential":
        np.testing.assert_allclose(thick.slices.sum(0), thick.object_phase, atol=1e-5)
    assert thick.depths.tolist() == [0, 20, 40, 60]


def test_a_section_is_what_the_slices_hold_along_its_line(thick):
    row = 7
    height, width = np.array(thick.object_phase.shape) - 1
    section, sampling = thick.section((row / height, 0, row / height, 1))
    np.testing.assert_allclose(section, thick.slices[:, row], atol=1e-5)
    assert sampling == pytest.approx((20, thick.sampling[1]))
    column = thick.section((0, 4 / width, 1, 4 / width))[0]
    np.testing.assert_allclose(column, thick.slices[:, :, 4], atol=1e-5)


def test_a_snapshot_holds_what_is_looked_at_and_nothing_else(thick):
    thick.look = DisplaySettings()
    plain = thick.snapshot()
    assert (plain.slices, plain.slice, plain.section, plain.tds_strength) == (3, None, None, None)
    assert plain.elements == ("C",) and plain.b_factors == (0.5,) and plain.background.shape == (64, 64)
    thick.look = DisplaySettings(slice=1, mode=None, section=ACROSS, channel=0)
    full = thick.snapshot()
    assert full.slice == 1 and full.mode is None and full.probe.shape == (64, 128)
    np.testing.assert_allclose(full.object_phase, thick.slices[1], atol=1e-5)
    np.testing.assert_allclose(full.section, thick.section()[0], atol=1e-5)
    np.testing.assert_allclose(full.tds_strength, thick.tds_strength[0])
    thick.look = DisplaySettings(slice=99, mode=99)
    last = thick.snapshot()
    assert (last.slice, last.mode) == (2, 1), "what is no more does not stand for the last"


def test_modes_are_orthogonal_and_their_shares_add_up(thick):
    modes = thick.modes
    assert modes.shape == thick.probe.shape == (2, 64, 64)
    assert abs(np.vdot(modes[0], modes[1])) < 1e-4 * np.linalg.norm(modes) ** 2
    assert thick.occupations.sum() == pytest.approx(1) and thick.occupations[0] > thick.occupations[1]
    np.testing.assert_allclose((abs(modes) ** 2).sum(0), (abs(thick.probe) ** 2).sum(0), rtol=1e-4, atol=1e-4)
    assert thick.snapshot().occupations == pytest.approx(occupations(modes).tolist())


def test_what_a_model_has_not_is_none(data):
    recon = made(data)
    assert recon.slices is recon.depths is recon.section() is recon.tds_strength is recon.b_factors is None
    assert recon.modes.shape == (1, 64, 64) and recon.occupations.tolist() == [1]
    recon.run(1)
    assert recon.tds_strength is recon.b_factors is recon.background is None
    recon.look = DisplaySettings(slice=2, mode=None, section=ACROSS, channel=0)
    thin = recon.snapshot()
    assert thin.slices == 1 and thin.slice is thin.section is thin.tds_strength is thin.background is None
    assert thin.mode == 0 and thin.probe.shape == (64, 64)


def test_modes_beside_each_other_are_equally_bright():
    waves = np.array([[[4.0]], [[0.5j]], [[0.0]]])
    assert beside(waves).tolist() == [[1, 1j], [0, 0]]


@pytest.mark.parametrize("line", [(0, 0, 0, 0), (0, 0, 1), ("a", 0, 1, 1), (0, 0, np.nan, 1)])
def test_a_line_that_is_none_is_told(line):
    with pytest.raises(ParameterError, match="expected row, column"):
        DisplaySettings(section=line)


def test_looking_elsewhere_shows_it_at_once(thick):
    seen = []
    undo = thick.snapshots.subscribe(seen.append)
    thick.look = DisplaySettings(slice=2)
    undo()
    assert [snapshot.slice for snapshot in seen] == [2]


def until(condition, timeout=30.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@pytest.mark.parametrize("schedule", ["automatic", "manual"])
def test_the_model_may_change_while_paused(data, schedule):
    recon = made(data, schedule=schedule)
    recon.update_plan(iterations=2000, **({} if schedule == "automatic" else {"batch": 48}))
    recon.run(3)
    recon.start()
    until(lambda: len(recon.losses) > 3)
    recon.pause()
    until(lambda: recon.status == "paused")
    done = len(recon.losses)
    recon.model = ModelConfig(slices=2, thickness=40)
    assert "Resume" in recon.message
    recon.resume()
    until(lambda: len(recon.losses) > done)
    assert recon.object.shape[0] == 2 and recon.status == "running"
    recon.stop()


def test_a_finished_run_goes_on_with_slices(data):
    recon = made(data).run()
    done = recon.iteration
    recon.model = ModelConfig(slices=2, thickness=40)
    recon.run(2)
    assert recon.iteration > done and len(recon.slices) == 2


def test_how_far_positions_have_moved_is_told_in_the_scan_frame(data):
    """A scan of one step more between its lines than was said: lines are moved apart, along the scan's rows."""
    recon = made(data)
    assert recon.run(1).position_corrections is None
    problem, state = recon.present
    rows = np.repeat(np.arange(data.scan_shape[0]), data.scan_shape[1]) * 0.1
    angle = np.radians(15.0)  # a displacement turns by minus the rotation, of -15 degrees
    moved = rows[:, None] * np.array([np.cos(angle), np.sin(angle)])
    recon.result.state = state.replace(positions=problem.initial_positions + moved)
    position_corrections = recon.position_corrections
    np.testing.assert_allclose(position_corrections[..., 0], rows.reshape(data.scan_shape), atol=1e-6)
    np.testing.assert_allclose(position_corrections[..., 1], 0, atol=1e-6)
    snapshot = recon.snapshot()
    np.testing.assert_allclose(snapshot.position_corrections, position_corrections[..., 0], atol=1e-6)
    assert snapshot.drift_size == pytest.approx((np.sqrt((rows**2).mean()), rows.max()))
    assert snapshot.scan_step == data.calibration.scan_step


def test_a_map_of_how_far_atoms_move(data):
    recon = made(data, model=ModelConfig(object_modes=2, displacement=0.06))
    recon.run(1)
    assert recon.displacement.shape == recon.object_phase.shape
    np.testing.assert_allclose(recon.displacement, 0.06, rtol=1e-5)
    assert recon.snapshot().displacement.shape == recon.snapshot().object_phase.shape
    assert made(data).run(1).displacement is None


def test_a_learned_shape_is_told(data):
    recon = made(data, model=ModelConfig(diffuse="learned, C"))
    recon.run(1)
    radii, weights = recon.diffuse_profile
    assert weights.shape == (1, len(radii)) and (np.diff(radii) > 0).all()
    assert set(recon.b_factors) == {"C"}

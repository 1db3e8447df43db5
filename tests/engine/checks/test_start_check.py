"""Lens and scan are held against the counts: what is right stays, what is wrong is found, what is held is kept."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import read, samples
from ptywidgets.engine import Aberrations, Optics, ParameterError, make_problem, prepare, single_slice
from ptywidgets.engine.checks.joint_fit import MAPS, JointFit, Offsets
from ptywidgets.engine.checks.start_changes import changes, in_words
from ptywidgets.engine.checks.start_check import can_be_checked, check_start, lens, moved, on_grid, with_offsets
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.models import Multislice
from ptywidgets.testing import example_problem

DEFOCUS, ROTATION, SEMIANGLE, STEP = 350.0, -15.0, 20.0, 2.0  # of the small duck


@pytest.fixture(scope="module")
def duck():
    return samples.ducky("small")


def start(duck, *, defocus=1.0, rotation=0.0, step=1.0, semiangle=None):
    """A problem and its optics, off by factors and degrees; with a semi-angle no vacuum pattern tells the aperture."""
    dataset = duck.with_calibration(scan_step=STEP * step)
    aberrations = Aberrations(defocus=DEFOCUS * defocus)
    if semiangle is None:
        optics = Optics.from_dataset(dataset, aberrations=aberrations)
    else:
        optics = Optics(semiangle=SEMIANGLE * semiangle, aberrations=aberrations)
    measurement = prepare(dataset, rotation=ROTATION + rotation, transpose=False)
    return make_problem(measurement, optics, model=single_slice("potential")), optics


def found(checked, problem, optics):
    """Defocus, rotation, scan step and semi-angle that a check has come to."""
    measurement, optics = moved(problem.measurement, checked.offsets), lens(optics, checked.offsets)
    step = measurement.calibration.scan_step
    return optics.aberrations["defocus"], measurement.rotation, step, optics.semiangle


def test_a_right_start_stays_as_it_is(duck):
    problem, optics = start(duck)
    checked = check_start(problem, optics)
    assert not checked and checked.offsets is None and checked.suspected is not None


@pytest.mark.parametrize("error", [{"defocus": 1.1}, {"rotation": 3.0}, {"step": 1.05}, {"step": 0.95}], ids=str)
def test_what_is_wrong_is_found_and_nothing_else_is_touched(duck, error):
    problem, optics = start(duck, **error)
    checked = check_start(problem, optics)
    defocus, rotation, step, semiangle = found(checked, problem, optics)
    assert defocus == pytest.approx(DEFOCUS, rel=0.03)
    assert rotation == pytest.approx(ROTATION, abs=0.3)
    assert step == pytest.approx(STEP, rel=0.012)
    assert semiangle == SEMIANGLE
    untouched = {"defocus": defocus == DEFOCUS, "rotation": rotation == ROTATION, "step": step == STEP}
    assert untouched == {name: name not in error for name in untouched}
    assert checked.gain > 5


def test_all_of_it_at_once(duck):
    problem, optics = start(duck, defocus=0.88, rotation=-3.0, step=1.04)
    defocus, rotation, step, _ = found(check_start(problem, optics), problem, optics)
    assert defocus == pytest.approx(DEFOCUS, rel=0.03)
    assert rotation == pytest.approx(ROTATION, abs=0.3)
    assert step == pytest.approx(STEP, rel=0.012)


def test_the_aperture_is_that_of_the_disk_whatever_was_said(duck):
    for factor in (0.93, 1.1):
        problem, optics = start(duck, semiangle=factor)
        checked = check_start(problem, optics)
        assert found(checked, problem, optics)[3] == pytest.approx(SEMIANGLE, rel=0.02)
        assert "semi-angle" in in_words(changes(checked.offsets, problem.measurement, optics))


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("name, size", [("rotation", 0.02), ("scale", -0.03)])
def test_offsets_move_the_positions_as_they_say(duck, transpose, name, size):
    measurement = prepare(duck, rotation=37.0, transpose=transpose)
    offsets = Offsets({}, np.eye(2) + size * MAPS[name])
    after = moved(measurement, offsets)
    np.testing.assert_allclose(after.positions, measurement.positions @ offsets.affine.T, atol=0.02)
    assert np.abs(after.positions - measurement.positions).max() > 0.3


@pytest.mark.parametrize("hold", ["rotation", ("rotation", "scan_step", "aberrations")])
def test_what_is_held_is_kept(duck, hold):
    problem, optics = start(duck, rotation=3.0)
    checked = check_start(problem, optics, hold=hold)
    assert checked.offsets is None or found(checked, problem, optics)[1] == pytest.approx(ROTATION + 3.0)


def test_unknown_names_to_hold_are_refused(duck):
    with pytest.raises(ParameterError, match="scan_step"):
        check_start(start(duck)[0], hold=["scanstep"])


def test_where_nothing_can_be_held_out_the_error_decides(duck):
    problem, optics = start(duck, rotation=3.0)
    counts = problem.patterns.counts * np.float32(1e-3)
    scaled = Patterns(counts, problem.patterns.origin)
    measurement = replace(problem.measurement, patterns=scaled, mean_intensity=1e-3 * problem.mean_intensity)
    problem = make_problem(measurement, optics, model=single_slice("potential"))
    checked = check_start(problem, optics)
    assert found(checked, problem, optics)[1] == pytest.approx(ROTATION, abs=0.3)


def test_thick_specimens_modes_and_pictures_are_not_checked():
    problem = example_problem("potential")
    assert can_be_checked(problem)
    model = problem.model
    slices = replace(model, exit_wave=Multislice((20.0, 20.0), 0.04, (12.8, 12.8)))
    modes = np.concatenate([problem.initial_probe, 0.1 * problem.initial_probe])
    picture = problem.initial_object + np.float32(0.1)
    others = [{"model": slices}, {"initial_probe": modes}, {"initial_object": picture}, {"held": ("object",)}]
    for change in others:
        other = replace(problem, **change)
        assert not can_be_checked(other)
        assert check_start(other).suspected is None


def test_a_probe_that_wraps_round_its_box_tells_nothing():
    dataset = samples.ducky("tiny").bin(detector=2)
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=250))
    assert not can_be_checked(make_problem(prepare(dataset, rotation=-12.0), optics, model=single_slice("potential")))


def test_noise_is_no_reason_to_change_anything(duck):
    """Patterns of nothing: what a fit makes of them is not confirmed by counts that it has not seen."""
    mean = np.asarray(duck.data, float).mean((0, 1))
    data = np.random.default_rng(0).poisson(mean, duck.shape).astype(np.uint16)
    noise = replace(duck, data=data)
    problem, optics = start(noise)
    assert not check_start(problem, optics)


def test_positions_that_are_no_grid_are_left_alone(duck):
    problem, optics = start(duck, step=1.05)
    generator = np.random.default_rng(1)
    jitter = generator.normal(scale=0.3, size=problem.measurement.positions.shape)
    measurement = replace(problem.measurement, positions=problem.measurement.positions + jitter)
    assert on_grid(problem.measurement) and not on_grid(measurement)
    other = make_problem(measurement, optics, model=single_slice("potential"))
    checked = check_start(other, optics)
    assert checked.offsets is None or (checked.offsets.affine == np.eye(2)).all()


def test_a_stop_is_obeyed_in_the_middle_of_a_check(duck):
    class Stopped(Exception):
        pass

    said = []

    def progress(words):
        said.append(words)
        if len(said) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        check_start(*start(duck, rotation=3.0), progress=progress)
    assert "do not confirm" in said[1]


def test_the_probe_of_offsets_is_that_of_the_lens(duck):
    problem, optics = start(duck)
    offsets = Offsets({"C10": 40.0, "C12a": -9.0, "C21b": 300.0}, np.eye(2))
    after = lens(optics, offsets)
    expected = make_problem(problem.measurement, after, model=problem.model).initial_probe
    np.testing.assert_allclose(
        with_offsets(problem, offsets).initial_probe, expected, atol=2e-4 * np.abs(expected).max()
    )


def test_the_object_resists_a_single_step_and_not_a_joint_one(duck):
    """Three degrees off: one joint step finds most of it, where an object that is held lets hardly any through."""
    problem, _ = start(duck, rotation=3.0)
    fit = JointFit(problem, (), ("rotation",), side=7)
    fit.update(False)
    fit.update()
    assert fit.offsets.rotation > 1.2


@pytest.mark.parametrize("name", ["crystal_a", "crystal_b", "crystal_c"])
def test_crystals_that_the_scan_undersamples(simulated, name):
    known = json.loads((simulated / f"{name}_meta.json").read_text())
    dataset = read(simulated / f"{name}.h5", energy=known["energy_eV"], semiangle=known["semiangle_mrad"])
    dataset = dataset.load().with_vacuum(simulated / f"{name}_vacuum-probe.h5")
    aberrations = Aberrations(**known["aberrations"])
    for turn in (0.0, 3.0):
        measurement = prepare(dataset, rotation=known["rotation_deg"] + turn, transpose=known["transpose"])
        optics = Optics.from_dataset(dataset, aberrations=aberrations)
        problem = make_problem(measurement, optics, model=single_slice("potential"))
        checked = check_start(problem, optics)
        assert bool(checked) == bool(turn)
        if checked:
            assert moved(measurement, checked.offsets).rotation == pytest.approx(known["rotation_deg"], abs=0.3)


@pytest.mark.parametrize("far", [{"rotation": 90.0}, {"defocus": -1.0}, {"step": 0.1}], ids=str)
def test_a_start_that_is_far_off_is_not_said_to_be_put_right(duck, far):
    """Something near it explains the counts better by much more than noise, and is as wrong."""
    problem, optics = start(duck, **far)
    assert not check_start(problem, optics)

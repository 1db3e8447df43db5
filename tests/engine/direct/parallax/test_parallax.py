"""Parallax finds the optics that the data were simulated with: frames, signs, orders, orientations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import Aberrations, Calibration, Dataset, Optics, make_probe
from ptywidgets.engine.direct import TiltSpectra, align_with, bright_field, parallax
from ptywidgets.engine.direct.parallax.align import Alignment
from ptywidgets.engine.direct.parallax.search import coarse_search, merged
from ptywidgets.engine.preprocess import scan_positions
from ptywidgets.engine.preprocess.rotation import wrapped_angle
from ptywidgets.engine.simulate import diffraction_patterns, poisson_counts, projected_phase

ENERGY, Q_PIXEL, DETECTOR, SCAN, STEP = 80e3, 0.05, 64, 22, 1.6


def simulated(aberrations, rotation=0.0, dose=None, descan=0.0, transpose=False):
    """Scattered carbon atoms, seen with given optics and orientation."""
    sampling = 1 / (DETECTOR * Q_PIXEL)
    field = int(1.5 * SCAN * STEP / sampling) + DETECTOR
    atoms = np.random.default_rng(7).uniform(0, field * sampling, (330, 2))
    phase = projected_phase(atoms, (field, field), sampling, ENERGY)
    probe = make_probe(Optics(semiangle=20, aberrations=aberrations), (DETECTOR,) * 2, (sampling,) * 2, ENERGY)
    positions = scan_positions((SCAN, SCAN), STEP, rotation, transpose) + field * sampling / 2
    y, x = np.meshgrid(*[np.linspace(-1, 1, SCAN)] * 2, indexing="ij")
    wander = descan * np.stack([x - 2 * y, -x - 3 * y]).reshape(2, -1).T
    patterns = diffraction_patterns(phase, probe, positions / sampling, wander)
    if dose is not None:
        patterns = poisson_counts(patterns * dose * STEP**2, np.random.default_rng(1))
    calibration = Calibration(energy=ENERGY, scan_step=STEP, q_pixel=Q_PIXEL, semiangle=20.0)
    return Dataset(patterns.reshape(SCAN, SCAN, DETECTOR, DETECTOR), calibration)


def complex_value(aberrations, name):
    cartesian = Aberrations(**aberrations).cartesian
    return complex(cartesian[f"{name}a"], cartesian[f"{name}b"])


@pytest.mark.parametrize(
    "true, rotation, transpose",
    [
        (Aberrations(defocus=260, C12=60, phi12=0.4), -15.0, False),
        (Aberrations(defocus=260, C12=60, phi12=0.4), 70.0, True),
        (Aberrations(defocus=-260, C12=40, phi12=-1.0), 33.0, False),
        (Aberrations(defocus=-300, C12=50, phi12=1.2), -120.0, True),
    ],
)
def test_defocus_astigmatism_and_orientation(true, rotation, transpose):
    bright = bright_field(simulated(true, rotation, transpose=transpose), rotation=rotation + 8, transpose=transpose)
    result = parallax(bright, order=1)
    assert result.transpose == transpose
    assert wrapped_angle(result.rotation - rotation) == pytest.approx(0, abs=0.5)
    assert result.aberrations["defocus"] == pytest.approx(true["defocus"], rel=0.03)
    assert abs(complex_value(result.aberrations, "C12") - complex_value(true, "C12")) < 5
    assert result.bright.rotation == result.rotation


def test_coma_and_threefold_in_the_detector_frame():
    true = Aberrations(defocus=280, C21=6000, phi21=0.7, C23=2500, phi23=-0.3)
    result = parallax(bright_field(simulated(true, 40.0), rotation=40.0, transpose=False), order=2)
    assert abs(complex_value(result.aberrations, "C21") / complex_value(true, "C21") - 1) < 0.12
    assert abs(complex_value(result.aberrations, "C23") / complex_value(true, "C23") - 1) < 0.2
    assert result.rotation == pytest.approx(40, abs=0.5)


def test_a_wrong_orientation_is_given_up_for_the_right_one():
    """The flip has the opposite aberrations and is turned by 180 degrees; the shifts cannot tell it."""
    true = Aberrations(defocus=260)
    bright = bright_field(simulated(true, 25.0), rotation=120.0, transpose=True)
    result = parallax(bright, order=1)
    twin = result.aberrations["defocus"] < 0
    assert not result.transpose
    assert wrapped_angle(result.rotation - 25 - 180 * twin) == pytest.approx(0, abs=0.6)
    assert abs(result.aberrations["defocus"]) == pytest.approx(260, rel=0.03)


@pytest.mark.parametrize("dose, descan", [(1e4, 0.0), (1e5, 0.8)])
def test_counting_noise_and_descan(dose, descan):
    true = Aberrations(defocus=260, C12=30, phi12=0.2)
    dataset = simulated(true, -15.0, dose, descan)
    result = parallax(bright_field(dataset, rotation=-10.0, transpose=False), order=1)
    assert result.rotation == pytest.approx(-15, abs=1.5)
    assert result.aberrations["defocus"] == pytest.approx(260, rel=0.04)
    assert abs(complex_value(result.aberrations, "C12") - complex_value(true, "C12")) < 12
    assert 0 < result.uncertainty["rotation"] < 2 and 0 < result.uncertainty["C10"] < 15
    assert "rotation" in result.message and "C10" in result.message


@pytest.fixture(scope="module")
def easy():
    bright = bright_field(simulated(Aberrations(defocus=260), -15.0), rotation=-15.0, transpose=False)
    return bright, parallax(bright, order=1)


def test_shifts_are_measured_in_the_scan_frame(easy):
    bright, result = easy
    assert result.shifts.shape == result.predicted.shape == bright.tilts.shape
    deviation = np.hypot(*(result.shifts - result.predicted).T)
    assert np.sqrt((deviation**2).mean()) < 0.3 * STEP
    expected = bright.to_scan(-bright.wavelength * 260 * bright.tilts.T).T  # grad chi / 2 pi of a defocus
    assert np.abs(result.predicted - expected).max() < 0.06 * np.abs(expected).max()


def test_aligned_is_sharper_and_is_what_the_slider_shows(easy):
    bright, result = easy
    assert result.aligned.std() > 3 * result.unaligned.std()
    np.testing.assert_allclose(result.align_with(result.aberrations), result.aligned, atol=1e-5)
    np.testing.assert_allclose(
        align_with(bright, result.aberrations, result.rotation, result.transpose), result.aligned, atol=3e-3
    )
    turned = result.align_with(result.aberrations, rotation=result.rotation + 40)
    assert turned.std() < 0.8 * result.aligned.std()


def test_given_values_are_kept(easy):
    bright, _ = easy
    result = parallax(bright, order=1, rotation=-14.0, transpose=False, aberrations=Aberrations(defocus=200), free=True)
    assert result.rotation == -14.0 and "rotation" not in result.uncertainty
    assert result.aberrations["defocus"] == pytest.approx(260, rel=0.04)


def test_images_without_anything_in_common_are_said_to_be_so(easy):
    bright, _ = easy
    noise = np.random.default_rng(0).poisson(50, bright.images.shape).astype(np.float32)
    result = parallax(replace(bright, images=noise), order=1)
    assert "chance" in result.message


def test_coarse_search_starts_within_reach(easy):
    bright, _ = easy
    found = coarse_search(bright)
    assert found.defocus == pytest.approx(260, rel=0.2) and found.coherence > 5


def test_spectra_beyond_their_limit_lose_the_fastest_waves_only(easy):
    bright, result = easy
    full = TiltSpectra.prepare(bright)
    small = TiltSpectra.prepare(bright, limit=full.spectra.nbytes / 2)
    assert full.whole and not small.whole and small.spectra.nbytes <= full.spectra.nbytes / 2
    part = small.aligned(result.predicted)
    assert part.shape == result.aligned.shape
    assert np.corrcoef(part.ravel(), full.aligned(result.predicted).ravel())[0, 1] > 0.8


def test_merging_keeps_the_counts(easy):
    bright, _ = easy
    few = merged(bright, 40)
    assert len(few.images) <= 60 < len(bright.images)
    np.testing.assert_allclose(few.images.sum(), bright.images.sum(), rtol=1e-5)
    assert math.isclose(few.q_pixel / bright.q_pixel, round(few.q_pixel / bright.q_pixel))


def test_masks_follow_the_rotation_within_a_degree(easy):
    """What is kept between steps must not tie a step to the orientation that it was made for."""
    bright, result = easy
    spectra = TiltSpectra.prepare(bright, margin=8)
    kept = Alignment(bright, spectra)
    kept.step(bright.turned(60.0), result.predicted)
    fresh = Alignment(bright, spectra).step(bright, result.predicted)
    np.testing.assert_allclose(kept.step(bright, result.predicted).pull, fresh.pull)


def test_a_step_leads_back_to_where_the_images_lie(easy):
    bright, result = easy
    spectra = TiltSpectra.prepare(bright, margin=8)
    step = Alignment(bright, spectra, weak=False).step(bright, result.predicted * 1.1)
    back = np.linalg.solve(step.stiffness, step.pull[..., None])[..., 0]
    away = 0.1 * result.predicted
    assert float((back * away).sum() / (away**2).sum()) < -0.3

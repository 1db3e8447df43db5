"""Wigner distribution deconvolution of known phases, weak and strong."""

import importlib.util
import json

import numpy as np
import pytest

from ptywidgets import read
from ptywidgets.engine import (
    Aberrations,
    Calibration,
    Dataset,
    Optics,
    ParameterError,
    make_probe,
    prepare,
)
from ptywidgets.engine.direct import bright_field, ssb, wdd
from ptywidgets.engine.preprocess.measurement import scan_positions
from ptywidgets.engine.simulate import diffraction_patterns

ENERGY, SEMIANGLE, Q_PIXEL, DETECTOR = 80e3, 20.0, 0.025, 128


def wave_dataset(amplitude, scan=16, step=1.0, aberrations=None, semiangle=SEMIANGLE):
    """Patterns of one wave, four periods in the scan, and the phase (scan, scan) at the positions."""
    sampling = 1 / (Q_PIXEL * DETECTOR)
    positions = scan_positions((scan, scan), step, 0.0)
    pixels = int(np.ceil(np.ptp(positions, axis=0).max() / sampling)) + DETECTOR + 2
    middle = pixels // 2 * sampling
    y, x = np.meshgrid(*[np.arange(pixels) * sampling - middle] * 2, indexing="ij")
    optics = Optics(semiangle=semiangle, aberrations=aberrations or Aberrations(defocus=150, C12=60, phi12=0.4))

    def phase(rows, columns):
        return amplitude * np.cos(2 * np.pi * (3 * rows + columns) / (scan * step) - 0.4)

    probe = make_probe(optics, (DETECTOR, DETECTOR), (sampling, sampling), ENERGY, 1e4)
    patterns = diffraction_patterns(phase(y, x), probe, (positions + middle) / sampling)
    calibration = Calibration(energy=ENERGY, scan_step=step, q_pixel=Q_PIXEL, semiangle=semiangle)
    dataset = Dataset(patterns.reshape(scan, scan, DETECTOR, DETECTOR), calibration)
    measurement = prepare(dataset, origin="constant", rotation=0.0, transpose=False)
    return dataset, measurement, optics, phase(*positions.T).reshape(scan, scan)


@pytest.mark.parametrize("epsilon, allowed", [(None, 0.09), (30.0, 0.12)])
def test_a_weak_phase_comes_back_in_radians(epsilon, allowed):
    dataset, measurement, optics, truth = wave_dataset(0.03)
    image = wdd(dataset, optics, measurement=measurement, epsilon=epsilon, upsampling=1)
    assert np.sqrt(((image.phase - truth) ** 2).mean()) < allowed * truth.std()


@pytest.mark.parametrize("semiangle", [18.0, 19.0, 20.0, 20.5, 21.0])
def test_a_strong_phase_too(semiangle):
    """1 rad, where side bands of a weak phase err by a quarter; wherever in the overlaps the scan folds them."""
    dataset, measurement, optics, truth = wave_dataset(1.0, semiangle=semiangle)
    assert contrast_error(ssb(dataset, optics, measurement=measurement), truth) > 0.2
    assert contrast_error(wdd(dataset, optics, measurement=measurement), truth) < 0.06


def contrast_error(image, truth):
    """Relative deviation at the scan's own points, constants aside."""
    every = image.phase.shape[0] // len(truth)
    phase = image.phase[::every, ::every]
    return ((phase - phase.mean()) - (truth - truth.mean())).std() / truth.std()


def test_aberrations_may_be_given_instead():
    dataset, measurement, optics, _ = wave_dataset(0.03)
    plain = wdd(dataset, Optics(semiangle=SEMIANGLE), measurement=measurement, aberrations=optics.aberrations)
    assert plain.aberrations == optics.aberrations
    np.testing.assert_array_equal(plain.phase, wdd(dataset, optics, measurement=measurement).phase)


def test_mistakes_are_told():
    dataset, measurement, optics, _ = wave_dataset(0.03, scan=4)
    with pytest.raises(ParameterError, match="epsilon is 0"):
        wdd(dataset, optics, measurement=measurement, epsilon=0)
    with pytest.raises(ParameterError, match="upsampling is 0"):
        wdd(dataset, optics, measurement=measurement, upsampling=0)
    with pytest.raises(ParameterError, match="give optics"):
        wdd(bright_field(dataset, measurement))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_known_specimen_scores_high(shared, simulated):
    """py4DSTEM's WDD scores 0.433 on this set."""
    pytest.importorskip("skimage", reason="the score needs scikit-image")
    pytest.importorskip("matplotlib", reason="the score needs matplotlib")
    meta = json.loads((simulated / "small_meta.json").read_text())
    dataset = read(simulated / "small.h5", energy=meta["energy_eV"], semiangle=meta["semiangle_mrad"])
    dataset = dataset.with_vacuum(simulated / "small_vacuum-probe.h5")
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=meta["defocus_A"]))
    image = wdd(dataset, optics, measurement=prepare(dataset, rotation=-15.0))
    spec = importlib.util.spec_from_file_location("score", shared / "tools" / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    y, x = np.indices(dataset.scan_shape).reshape(2, -1) * meta["scan_step_A"] / image.sampling[0]
    assert module.score(image.phase, np.stack([y, x], axis=1), image.sampling[0], "small")["corr"] > 0.88

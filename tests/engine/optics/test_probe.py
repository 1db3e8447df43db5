"""Probes against closed-form physics."""

import numpy as np
import pytest
from scipy.integrate import simpson
from scipy.optimize import brentq
from scipy.special import j1

from ptywidgets.engine import Aberrations, Calibration, CalibrationError, DataError, Optics, make_probe, probe_report
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.data.detectors import disk_semiangle
from ptywidgets.engine.optics.probe import aperture_amplitude, make_aperture

ENERGY, SHAPE, SAMPLING = 80e3, (128, 128), (0.15, 0.15)


def test_soft_edge():
    alpha = np.array([0, 18, 19, 19.5, 20, 20.5, 21, 25])
    np.testing.assert_allclose(aperture_amplitude(20, 2, alpha), [1, 1, 1, 0.8536, 0.5, 0.1464, 0, 0], atol=1e-4)
    np.testing.assert_allclose(aperture_amplitude(20, 0, np.array([19.9, 20.1])), [1, 0])


@pytest.mark.parametrize("rolloff", [0.0, 0.3, 2.0, 6.0, 40.0])
def test_half_of_the_amplitude_is_left_at_the_semiangle(rolloff):
    """Whatever the edge; the area then is pi (semiangle^2 + rolloff^2 (1/4 - 2 / pi^2)), by parts."""
    alpha = np.linspace(0, 50, 500_001)
    amplitude = aperture_amplitude(20, rolloff, alpha)
    assert alpha[np.searchsorted(-amplitude, -0.5)] == pytest.approx(20, abs=2e-4)
    area = simpson(amplitude * 2 * np.pi * alpha, x=alpha)
    assert area == pytest.approx(np.pi * (20**2 + rolloff**2 * (0.25 - 2 / np.pi**2)), rel=1e-5)
    assert aperture_amplitude(20, rolloff, 20 + np.array([-1, 1]) * (rolloff / 2 + 1e-6)).tolist() == [1, 0]


@pytest.mark.parametrize("rolloff", [0.0, 2.0, 5.0])
def test_counts_are_at_half_height_a_little_inside(rolloff):
    known = Calibration(energy=ENERGY, q_pixel=0.025)
    counts = brentq(lambda a: float(aperture_amplitude(20, rolloff, np.array(a))) ** 2 - 0.5, 10, 30, xtol=1e-9)
    assert disk_semiangle(counts / known.angle_mean, known, rolloff) == pytest.approx(20, abs=1e-6)
    assert 20 - counts == pytest.approx(0.1360 * rolloff, abs=1e-3)


def test_in_focus_probe_is_an_airy_pattern():
    shape, sampling = (512, 512), (0.1, 0.1)
    probe = make_probe(Optics(semiangle=20, rolloff=0), shape, sampling, ENERGY)
    y = np.arange(1, 40) * sampling[0]
    x = 2 * np.pi * 20e-3 / wavelength(ENERGY) * y
    expected = (2 * j1(x) / x) ** 2
    measured = np.abs(probe[1:40, 0]) ** 2 / np.abs(probe[0, 0]) ** 2
    np.testing.assert_allclose(measured, expected, atol=0.01)


def test_intensity_is_the_mean_counts():
    probe = make_probe(Optics(semiangle=20, aberrations=Aberrations(defocus=300)), SHAPE, SAMPLING, ENERGY, 1234.0)
    assert (np.abs(probe) ** 2).sum() == pytest.approx(1234, rel=1e-5)


def test_defocus_is_free_propagation():
    """Positive defocus: the crossover lies behind; propagating by it brings the probe into focus."""
    ky, kx = np.fft.fftfreq(128, 0.15)[:, None], np.fft.fftfreq(128, 0.15)[None]
    blurred = make_probe(Optics(semiangle=20, aberrations=Aberrations(defocus=300)), SHAPE, SAMPLING, ENERGY)
    fresnel = np.exp(-1j * np.pi * wavelength(ENERGY) * 300 * (ky**2 + kx**2))
    focused = make_probe(Optics(semiangle=20), SHAPE, SAMPLING, ENERGY)
    np.testing.assert_allclose(np.fft.ifft2(np.fft.fft2(blurred) * fresnel), focused, atol=1e-5)


@pytest.mark.parametrize("centre", [(64.0, 64.0), (60.3, 66.7)])
def test_vacuum_pattern_is_centred(centre):
    y, x = np.indices(SHAPE)
    pattern = 1000.0 * np.clip(20.5 - np.hypot(y - centre[0], x - centre[1]), 0, 1) + 0.1
    aperture = make_aperture(Optics(vacuum=pattern), SHAPE, SAMPLING, ENERGY)
    power = np.fft.fftshift(aperture**2)
    assert (power * y).sum() / power.sum() == pytest.approx(64, abs=0.05)
    assert (power * x).sum() / power.sum() == pytest.approx(64, abs=0.05)


@pytest.mark.parametrize(
    "vacuum, words",
    [
        (np.zeros((8, 8)), "no counts"),
        (np.full((8, 8), np.nan), "NaN"),
        (np.ones((2, 8, 8)), "2-D"),
        (np.array([["<b>", "x"]]), "2-D array of counts"),
    ],
)
def test_bad_vacuum_patterns(vacuum, words):
    with pytest.raises(DataError, match=words):
        Optics(vacuum=vacuum)


def test_vacuum_of_another_shape():
    with pytest.raises(DataError, match=r"\(64, 64\) pixels but the patterns are \(128, 128\)"):
        make_probe(Optics(vacuum=np.ones((64, 64))), SHAPE, SAMPLING, ENERGY)


def test_no_aperture():
    with pytest.raises(CalibrationError, match=r"semiangle=20\.0 or vacuum=path"):
        make_probe(Optics(), SHAPE, SAMPLING, ENERGY)


def test_report_is_the_tutorials():
    known = Calibration(energy=80e3, scan_step=4.0, q_pixel=0.025)
    report = {
        q.name: q
        for q in probe_report(
            Optics(semiangle=20, aberrations=Aberrations(defocus=500)), known, (200, 200), (41, 41), 1.6e6
        )
    }
    assert report["object pixel"].value == pytest.approx(0.2)
    assert report["probe box"].value == pytest.approx(40)
    assert 15 < report["probe diameter"].value < 25  # 2 x defocus x semi-angle = 20 A, less the soft edge
    assert report["dose"].value == pytest.approx(1e5)
    assert report["overlap"].verdict == "good"


def test_report_warns():
    known = Calibration(energy=80e3, scan_step=12.0, q_pixel=0.025)
    report = {q.name: q for q in probe_report(Optics(semiangle=20), known, (200, 200), (41, 41))}
    assert report["overlap"].verdict == "bad" and "smaller step" in report["overlap"].advice

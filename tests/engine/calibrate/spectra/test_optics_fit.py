"""The linear fit: gradients are those of the share, weak specimens give the optics, and what is given stays."""

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations, Optics, ParameterError, prepare
from ptywidgets.engine.calibrate import find_optics
from ptywidgets.engine.calibrate.coarse.coarse_model import CoarseModel
from ptywidgets.engine.calibrate.coarse.refine_optics import refine_optics
from ptywidgets.engine.calibrate.spectra.optics_fit import TERMS
from ptywidgets.engine.calibrate.spectra.scan_spectra import ScanSpectra
from ptywidgets.engine.direct import bright_field
from ptywidgets.engine.preprocess import wrapped_angle

LENS = {"defocus": 300.0, "C12": 40.0, "phi12": 0.4, "C21": 6000.0, "phi21": 1.0}


@pytest.fixture(scope="module")
def weak(variant):
    return variant(**LENS)


@pytest.fixture(scope="module")
def bright(weak):
    return bright_field(weak)


@pytest.mark.parametrize("transpose", [False, True])
def test_the_gradient_is_that_of_the_share(bright, transpose):
    bands = ScanSpectra.prepare(bright, 40)
    values, rotation = np.array([-280.0, 20.0, 10.0, 2000.0, 3000.0]), -14.0
    gradient = bands.normal(TERMS, values, rotation, transpose).gradient.sum(0)
    for index, step in enumerate([0.1, 0.1, 0.1, 20.0, 20.0]):
        shares = []
        for sign in (1, -1):
            moved = values.copy()
            moved[index] += sign * step
            shares.append(bands.normal(TERMS, moved, rotation, transpose).share)
        slope = (shares[0] - shares[1]) / (2 * step) * bands.energy / 2
        assert slope == pytest.approx(gradient[index], rel=0.02, abs=0.01 * float(np.abs(gradient[:3]).max()))


def test_shares_by_defocus_are_those_of_the_whole_model(bright):
    bands = ScanSpectra.prepare(bright, 40, 100)
    grid = np.linspace(-400, -200, 5)
    quick = bands.shares_by_defocus(-15.0, False, grid).sum(0)
    slow = [bands.normal(["C10"], np.array([c]), -15.0, False).share for c in grid]
    np.testing.assert_allclose(quick, slow, rtol=0.02)


def test_a_weak_specimen_gives_the_optics(bright):
    fit = find_optics(bright, Optics(aberrations=Aberrations(defocus=1)))
    truth = Aberrations(**LENS).cartesian
    found = fit.aberrations.cartesian
    assert abs(wrapped_angle(fit.rotation + 15)) < 0.3 and not fit.transpose
    assert found["C10"] == pytest.approx(truth["C10"], rel=0.02)
    for name in TERMS[1:]:
        assert abs(found[name] - truth[name]) < 4 * fit.uncertainties[name] + 0.05 * abs(truth[name])


def test_a_start_far_away_does_no_harm(bright):
    fit = find_optics(bright.turned(100.0, True), Optics(aberrations=Aberrations(defocus=1)))
    assert abs(wrapped_angle(fit.rotation + 15)) < 0.3 and not fit.transpose


def test_twins_explain_the_same(bright):
    fit = find_optics(bright)
    twin = fit.flipped()
    bands = ScanSpectra.prepare(bright)
    shares = [
        bands.normal(TERMS, np.array([f.aberrations.cartesian[t] for t in TERMS]), f.rotation, f.transpose).share
        for f in (fit, twin)
    ]
    assert shares[0] == pytest.approx(shares[1], rel=1e-4)
    assert twin.flipped().aberrations["defocus"] == pytest.approx(fit.aberrations["defocus"])
    np.testing.assert_allclose(twin.phase, -fit.phase)


def test_given_values_stay(bright):
    fit = find_optics(bright, Optics(aberrations=Aberrations(C30=1e4)), rotation=-14.0, transpose=False, defocus=290.0)
    assert fit.rotation == -14.0 and fit.aberrations["defocus"] == pytest.approx(290)
    assert fit.aberrations["C30"] == pytest.approx(1e4)


def test_higher_orders_can_be_asked_for(variant):
    dataset = variant(defocus=300.0, C30=4e5)
    fit = find_optics(bright_field(dataset), Optics(aberrations=Aberrations(defocus=1)), terms=[*TERMS, "C30"])
    assert fit.aberrations["C30"] == pytest.approx(4e5, rel=0.15)
    assert fit.aberrations["defocus"] == pytest.approx(300, rel=0.03)


def test_unknown_coefficient(bright):
    with pytest.raises(ParameterError, match="C12a"):
        find_optics(bright, terms=["C10", "C12"])


def test_a_coarse_reconstruction_makes_the_optics_finer():
    dataset = samples.ducky("medium")
    measurement = prepare(dataset)
    fit = find_optics(bright_field(dataset, measurement), Optics(aberrations=Aberrations(defocus=1)))
    refinement = refine_optics(measurement, Optics.from_dataset(dataset), fit)
    assert refinement.accepted and refinement.peaks > 0 and refinement.peaks_clear
    assert abs(refinement.fit.aberrations["defocus"] / 420 - 1) < 0.005 < abs(fit.aberrations["defocus"] / 420 - 1)


def test_the_coarse_model_has_the_right_derivatives():
    dataset = samples.ducky("tiny", dose=None)
    measurement = prepare(dataset)
    values, rotation = np.array([-240.0, 5.0, 3.0, 500.0, 300.0]), -14.5
    none, every = np.zeros(6, bool), np.ones(6, bool)

    def model():
        made = CoarseModel(measurement, Optics.from_dataset(dataset), TERMS, 5)
        made.update(values, rotation, False, none, inner=3)
        return made

    first = model()
    kept = first.object.copy()
    first.update(values, rotation, False, every, inner=1)
    left, columns = first.left.copy(), first.columns.copy()
    for index, step in enumerate([1.0, 1.0, 1.0, 50.0, 50.0]):
        moved = values.copy()
        moved[index] += step
        other = model()
        other.object = kept.copy()
        other.update(moved, rotation, False, none, inner=1)
        slope = (left - other.left) / step
        likeness = (slope * columns[index]).sum() / np.sqrt((slope**2).sum() * (columns[index] ** 2).sum())
        assert likeness > 0.99, TERMS[index]

"""The coarse reconstruction: the edge of the aperture, descan and few counts pull neither defocus nor coma."""

import numpy as np
import pytest
from scipy.fft import next_fast_len

from ptywidgets.engine import Aberrations, Optics, prepare
from ptywidgets.engine.calibrate import find_optics
from ptywidgets.engine.calibrate.coarse.coarse_block import Cut, asked_pixels, moved_aperture
from ptywidgets.engine.calibrate.coarse.refine_optics import refine_optics
from ptywidgets.engine.direct import bright_field
from ptywidgets.engine.preprocess import wrapped_angle

LENS = {"C12": 40.0, "phi12": 0.4, "C21": 6000.0, "phi21": 1.0}


def refinement(dataset, defocus):
    measurement = prepare(dataset)
    start = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=np.sign(defocus)))
    fit = find_optics(bright_field(dataset, measurement), start)
    return refine_optics(measurement, start, fit)


@pytest.mark.parametrize("descan, lens", [(0.5, {}), (0.5, LENS), (0.0, LENS)])
def test_pixels_that_take_in_an_edge_which_descan_moves_bend_nothing(variant, descan, lens):
    dataset = variant(defocus=300.0, descan=descan, binning=2, **lens)
    result = refinement(dataset, 300.0)
    truth, found = Aberrations(defocus=300, **lens).cartesian, result.fit.aberrations.cartesian
    assert result.accepted and abs(wrapped_angle(result.fit.rotation + 15)) < 0.2
    assert found["C10"] == pytest.approx(truth["C10"], rel=0.01)
    assert np.hypot(*(found[f"C21{part}"] - truth[f"C21{part}"] for part in "ab")) < 150
    assert np.hypot(*(found[f"C12{part}"] - truth[f"C12{part}"] for part in "ab")) < 1.5


def test_stated_uncertainties_are_those_of_the_errors(variant):
    ratios = []
    for seed, (specimen, dose) in enumerate([("film", 1e5), ("film", 2e3), ("particles", 1e5), ("particles", 1e4)] * 2):
        optics = {**LENS, "C21": 1500.0 * (seed % 3)}
        rotation = 40.0 * seed - 100
        data = variant(
            specimen, defocus=300.0, dose=dose, seed=seed, rotation=rotation, descan=0.5, binning=2, **optics
        )
        fit = refinement(data, 300.0).fit
        truth, found = Aberrations(defocus=300, **optics).cartesian, fit.aberrations.cartesian
        names = ("C10", "C12a", "C12b", "C21a", "C21b")
        ratios.append([(found[name] - truth[name]) / fit.uncertainties[name] for name in names])
        ratios[-1].append(wrapped_angle(fit.rotation - rotation) / fit.uncertainties["rotation"])
    rms = np.sqrt((np.array(ratios) ** 2).mean(0))
    assert (rms < 2).all() and np.median(rms) > 0.2, rms


def test_rim_and_cut_are_not_asked_and_follow_the_descan():
    still, moved = asked_pixels(64, 16.0, np.array([[0.0, 0.0], [3.0, 0.0]]))
    assert still[0, :15].all() and not still[0, 15:18].any() and still[0, 18:25].all() and not still[0, 26:32].any()
    np.testing.assert_array_equal(moved[18:21, 0], 0)
    assert moved[:18, 0].all()


def test_a_moved_aperture_keeps_its_counts_and_does_not_ring():
    k = np.fft.fftfreq(32, 1 / 32)
    disk = (np.hypot(k[:, None], k[None]) < 9).astype(np.float32)
    moved = moved_aperture(disk, np.array([[0.5, -0.3], [0.0, 0.0]]))
    np.testing.assert_allclose((moved**2).sum((1, 2)), disk.sum(), rtol=1e-5)
    np.testing.assert_allclose(moved[1], disk)
    assert moved[0].max() <= 1 + 1e-6
    centre = [(moved[0] ** 2 * axis).sum() / disk.sum() for axis in (k[:, None], k[None])]
    np.testing.assert_allclose(centre, [0.5, -0.3], atol=1e-4)


@pytest.mark.parametrize("multiple", [2, 4])
def test_the_side_of_a_cut_is_even_and_of_a_length_of_which_transforms_are_fast(multiple):
    k = np.fft.fftfreq(96, 1 / 96)
    sides = [Cut.about(np.hypot(k[:, None], k) < r, (0.5, 0.5), 1.4, multiple).n for r in np.arange(3, 40, 0.5)]
    assert all(n % multiple == 0 and next_fast_len(n) == n for n in sides)
    assert sides == sorted(sides) and sides[-1] == 96

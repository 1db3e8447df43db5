"""A reconstruction on a turned, coarser grid is laid on the truth by its positions."""

import json

import numpy as np
import pytest
from scipy import ndimage

from ptywidgets.engine import DataError
from ptywidgets.engine.metrics import compare_to_truth

# corr of py4DSTEM's results, by another program (README of the simulated sets)
SCORES = {
    "tiny_complex_64": 0.983,
    "tiny_potential_64": 0.997,
    "small_complex_64": 0.945,
    "small_dose1e4_complex_64": 0.901,
    "small_mixed_complex_48_m3b64": 0.918,
    "sto_potential_64_s10b64": 0.905,
}


def test_a_turned_and_coarser_picture_is_laid_on_the_truth():
    generator = np.random.default_rng(0)
    truth = 0.3 * ndimage.gaussian_filter(generator.normal(size=(240, 240)), 5, mode="wrap")
    truth_pixel, pixel, angle = 0.2, 0.35, np.deg2rad(12)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    y, x = np.mgrid[:100, :100]
    places = (np.stack([y.ravel(), x.ravel()], 1) - 50) * pixel @ turn.T + 24
    true = ndimage.map_coordinates(truth, places.T / truth_pixel, order=5, mode="grid-wrap").reshape(100, 100)
    positions = generator.uniform(15, 85, (90, 2))
    true_positions = (positions - 50) * pixel @ turn.T + 24
    result = np.exp(1j * (true + 0.7 + 0.01 * y))
    found = compare_to_truth(
        result,
        (positions + np.array([0.8, -0.4])) * pixel,
        truth,
        true_positions,
        sampling=pixel,
        truth_sampling=truth_pixel,
    )
    assert found.correlation > 0.9995 and found.contrast == pytest.approx(1, abs=5e-3)
    np.testing.assert_allclose(found.gauge.shift, [-0.8 * pixel, 0.4 * pixel], atol=0.01 * pixel)
    assert found.gauge.ramp[0] * pixel == pytest.approx(0.01, abs=1e-4)


def test_a_magnification_of_all_positions_is_not_held_against_it():
    generator = np.random.default_rng(0)
    truth = 0.3 * ndimage.gaussian_filter(generator.normal(size=(128, 128)), 4, mode="wrap")
    places = generator.uniform(30, 100, (60, 2))
    found = compare_to_truth(truth, places * 1.03, truth, places, sampling=1.03, truth_sampling=1.0)
    assert found.correlation > 0.9999


def test_stacks_are_compared_as_sums_or_slice_by_slice():
    generator = np.random.default_rng(0)
    truth = 0.1 * ndimage.gaussian_filter(generator.normal(size=(4, 96, 96)), (0, 4, 4), mode="wrap")
    places = generator.uniform(20, 75, (60, 2))
    result = truth.reshape(2, 2, 96, 96).sum(1)[::-1]
    grids = {"sampling": 1.0, "truth_sampling": 1.0}
    assert compare_to_truth(result, places, truth, places, **grids).correlation > 0.9999
    wrong = compare_to_truth(result, places, truth, places, **grids, thickness=10, truth_thickness=5)
    right = compare_to_truth(result[::-1], places, truth, places, **grids, thickness=10, truth_thickness=5)
    assert right.correlation > 0.9999 and right.gauge.depth_shift == pytest.approx(0, abs=0.02)
    assert wrong.correlation < 0.8


def test_three_positions_enclose_nothing():
    image, places = np.zeros((8, 8)), np.array([[1.0, 1], [6, 1], [1, 6]])
    with pytest.raises(DataError, match="four"):
        compare_to_truth(image, places, image, places, sampling=1, truth_sampling=1)


@pytest.mark.parametrize("name", SCORES)
def test_a_peers_results_score_as_another_program_says(simulated, name):
    stored = np.load(simulated / "py4dstem" / f"py4d_{name}.npz")
    base = str(simulated / str(stored["dataset"]))
    with open(base + "_meta.json", encoding="utf-8") as file:
        meta = json.load(file)
    found = compare_to_truth(
        stored["object"],
        stored["pos_px"] * stored["sampling"],
        np.load(base + "_truth.npz")["phase"],
        np.load(base + "_positions_A.npy"),
        sampling=float(stored["sampling"]),
        truth_sampling=meta["truth_sampling_A"],
    )
    assert found.correlation == pytest.approx(SCORES[name], abs=0.005)

"""Origins: known surfaces come back, outliers do not matter, bad data are named."""

import numpy as np
import pytest

from ptywidgets.engine import DataError, Dataset, DataWarning, ParameterError
from ptywidgets.engine.preprocess import centre_of_mass, fit_origin


def surface(model, shape=(9, 11)):
    y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    flat = {"constant": 0 * y, "plane": 2 * y - x, "parabola": 2 * y - x + y * y - 0.5 * x * y}[model]
    return np.stack([32 + flat, 30 - 0.7 * flat])


@pytest.mark.parametrize("model", ["constant", "plane", "parabola"])
def test_known_surfaces_come_back(model):
    np.testing.assert_allclose(fit_origin(surface(model), model), surface(model), atol=1e-9)


def test_outliers_are_left_out():
    com = surface("plane") + np.random.default_rng(1).normal(0, 0.02, (2, 9, 11))
    com[:, 4, 4:6] += 8
    assert np.abs(fit_origin(com, "plane") - surface("plane")).max() < 0.05
    assert np.abs(fit_origin(com, "plane", robust=False) - surface("plane")).max() > 0.1


def test_one_row_scan():
    com = surface("plane", (1, 11))
    np.testing.assert_allclose(fit_origin(com, "plane"), com, atol=1e-9)


def test_none_takes_the_centre_of_mass_itself():
    com = np.random.default_rng(0).normal(size=(2, 4, 4))
    np.testing.assert_array_equal(fit_origin(com, "none"), com)


def test_unknown_model():
    with pytest.raises(ParameterError, match="did you mean 'plane'"):
        fit_origin(surface("plane"), "plain")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.uint64])
def test_centre_of_mass_of_a_point(dtype):
    data = np.zeros((2, 3, 16, 20), dtype)
    data[..., 5, 7] = 3
    com = centre_of_mass(Dataset(data))
    np.testing.assert_allclose(com[0], 5, atol=1e-5)
    np.testing.assert_allclose(com[1], 7, atol=1e-5)


@pytest.mark.parametrize("bad, words", [(np.nan, "NaN"), (-5.0, "negative"), (0.0, "single count")])
def test_bad_patterns_are_left_out_and_named(bad, words):
    data = np.ones((3, 4, 8, 8)) * np.arange(1, 13).reshape(3, 4, 1, 1) * 100
    data[1, 2] = bad
    with pytest.warns(DataWarning, match=words) as caught:
        com = centre_of_mass(Dataset(data))
    assert "1 frame of 12" in str(caught[0].message) and "[1, 2]" in str(caught[0].message)
    np.testing.assert_allclose(com, 3.5)


@pytest.mark.parametrize("bad, words", [(np.nan, "NaN"), (-5.0, "negative"), (0.0, "no counts at all")])
def test_mostly_bad_patterns_are_refused_and_named(bad, words):
    data = np.ones((3, 4, 8, 8)) * 100
    data[1:] = bad
    with pytest.raises(DataError, match=words) as caught:
        centre_of_mass(Dataset(data))
    assert "[1, 0]" in str(caught.value)


@pytest.mark.parametrize("masked", [False, True])
def test_centre_of_mass_is_that_of_plain_sums(masked):
    generator = np.random.default_rng(3)
    mask = generator.random((16, 12)) if masked else None
    for data in (generator.poisson(4, (3, 4, 16, 12)).astype(np.uint8), generator.random((3, 4, 16, 12))):
        weighted = data * (1.0 if mask is None else mask)
        total = weighted.sum((2, 3))
        y, x = (np.tensordot(weighted, axis, 2) / total for axis in np.indices((16, 12)))
        np.testing.assert_allclose(centre_of_mass(Dataset(data), mask), np.stack([y, x]), atol=2e-5)

"""Metrics: known correlations, and halves that are independent."""

import numpy as np
import pytest

from ptywidgets.engine import DataError, Dataset
from ptywidgets.engine.metrics import frc, thin_counts


def test_correlation_falls_where_the_signal_ends():
    generator = np.random.default_rng(0)
    k = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)[None])
    image = np.fft.ifft2(np.fft.fft2(generator.normal(size=(128, 128))) * (k < 0.2)).real
    halves = [image + 0.05 * generator.normal(size=image.shape) for _ in range(2)]
    ring = frc(*halves, sampling=2.0)
    assert ring.resolution() == pytest.approx(2 / 0.2, rel=0.1)
    assert ring.mean(0.01, 0.09) > 0.95 and abs(ring.mean(0.12)) < 0.1


def test_oblong_pixels_and_images():
    image = np.random.default_rng(0).normal(size=(40, 90))
    ring = frc(image, image, (1.0, 0.5))
    np.testing.assert_allclose(ring.correlation, 1)
    assert ring.frequency[-1] <= 0.5


def test_shapes_must_agree():
    with pytest.raises(DataError, match="one shape"):
        frc(np.zeros((4, 4)), np.zeros((4, 5)))


def test_halves_are_poisson_and_independent():
    data = np.random.default_rng(1).poisson(6.0, (20, 20, 16, 16)).astype(np.uint16)
    one, two = thin_counts(Dataset(data), seed=3)
    assert one.dtype == np.uint16 and (one.data + two.data == data).all()
    a, b = one.data.astype(float).ravel(), two.data.astype(float).ravel()
    assert a.mean() == pytest.approx(3, rel=0.01) and a.var() == pytest.approx(3, rel=0.02)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.01
    assert (thin_counts(Dataset(data), seed=3)[0].data == one.data).all()


def test_intensities_cannot_be_thinned():
    with pytest.raises(DataError, match="whole counts"):
        thin_counts(Dataset(np.full((2, 2, 8, 8), 0.5)))
    with pytest.raises(DataError, match="negative"):
        thin_counts(Dataset(np.full((2, 2, 8, 8), -1)))

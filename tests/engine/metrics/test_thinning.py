"""Halves of the counts: Poisson, and independent of one another."""

import numpy as np
import pytest

from ptywidgets.engine import DataError, Dataset
from ptywidgets.engine.metrics import thin_counts


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

"""Cepstra: a lattice shows at its own vectors, wherever it is and however the pattern is moved."""

import numpy as np
import pytest

from ptywidgets.engine import Calibration, Dataset, ParameterError
from ptywidgets.engine.direct.cepstrum import cepstral_image, cepstrum
from ptywidgets.engine.virtual import disk_mask

Q = 64


def lattice(period, angle, envelope=14.0, shift=(0.0, 0.0)):
    """Bragg spots of a square lattice with `period` px of real space, under an envelope."""
    y, x = np.mgrid[:Q, :Q] - Q / 2
    y, x = y - shift[0], x - shift[1]
    c, s = np.cos(angle), np.sin(angle)
    u, v = c * y + s * x, -s * y + c * x
    waves = (0.51 + 0.49 * np.cos(2 * np.pi * u * period / Q)) * (0.51 + 0.49 * np.cos(2 * np.pi * v * period / Q))
    return 2000 * waves**4 * np.exp(-(y**2 + x**2) / (2 * envelope**2))


@pytest.mark.parametrize("period, angle", [(10.0, 0.0), (12.0, 0.4), (8.0, 1.0)])
def test_the_peak_lies_at_the_lattice_vector(period, angle):
    dataset = Dataset(lattice(period, angle)[None, None], Calibration(q_pixel=0.05))
    found = cepstrum(dataset)
    assert found.sampling == pytest.approx((1 / (0.05 * Q),) * 2)
    y, x = np.indices((Q, Q)) - Q // 2
    seen = np.where((np.hypot(y, x) > 0.6 * period) & (y >= 0), found.mean, 0)
    top = np.unravel_index(seen.argmax(), seen.shape)
    assert np.hypot(y[top], x[top]) == pytest.approx(period, abs=1)


def test_images_map_where_the_lattice_is():
    data = np.array([[lattice(10, 0.0), lattice(14, 0.0)], [lattice(10, 0.0, shift=(2, -3)), lattice(14, 0.3)]])
    counts = np.random.default_rng(0).poisson(data).astype(np.uint16)
    image = cepstral_image(Dataset(counts), disk_mask((Q, Q), (Q / 2 + 10, Q / 2), 1.5))
    assert image[:, 0].min() > 2 * image[:, 1].max()
    assert image[0, 0] == pytest.approx(image[1, 0], rel=0.15)  # a shifted pattern has the same cepstrum


def test_wrong_arguments():
    dataset = Dataset(np.ones((2, 2, 8, 8)))
    with pytest.raises(ParameterError, match="mask"):
        cepstral_image(dataset, np.ones((8, 9), bool))
    with pytest.raises(ParameterError, match="above 0"):
        cepstrum(dataset, background=0)

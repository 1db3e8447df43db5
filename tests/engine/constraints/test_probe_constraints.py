"""Constraints on probes of one mode and of several."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine.constraints import (
    ProbeCentre,
    ProbeFourierAmplitude,
    ProbeIntensity,
    ProbeOrthogonality,
    ProbeSupport,
)
from ptywidgets.engine.constraints.aperture import EdgeFit
from ptywidgets.engine.optics.modes import first_modes
from ptywidgets.testing import example_problem
from ptywidgets.testing.contracts.constraints import disturbed, thick


def applied(constraint, problem, probe):
    return constraint.prepare(problem)(problem.start().replace(probe=probe)).probe


@pytest.fixture
def problem():
    return thick(example_problem("potential"))


def gaussian(problem, width=5.0):
    y, x = (np.fft.fftfreq(n, 1 / n) for n in problem.initial_probe.shape[-2:])
    return np.exp(-(y[:, None] ** 2 + x**2) / (2 * width**2)).astype(np.complex64)


def test_modes_move_together(problem):
    """All by the same shift, that of their common centre of mass; how they lie to each other stays."""
    modes = first_modes(gaussian(problem), 3)
    other = np.stack([modes[0], np.roll(modes[1], 2, -1), modes[2]])
    once = applied(ProbeCentre(), problem, other)
    moved = applied(ProbeCentre(), problem, np.roll(other, (4, -3), (-2, -1)))
    np.testing.assert_allclose(moved, once, atol=1e-5 * abs(once).max())
    np.testing.assert_allclose(
        np.einsum("iyx,jyx->ij", once.conj(), once),
        np.einsum("iyx,jyx->ij", other.conj(), other),
        atol=1e-4 * (abs(other) ** 2).sum(),
    )


def test_a_soft_support_falls_over_its_width(problem):
    probe = np.ones_like(problem.initial_probe)
    ny = probe.shape[-2]
    soft = applied(ProbeSupport(radius=0.25, width=0.1), problem, probe)[0, : ny // 2, 0].real
    r = np.arange(ny // 2) / ny
    assert soft[r == 0.25] == pytest.approx(0.5, abs=1e-6)
    assert np.interp(0.25 + 0.01, r, soft) - np.interp(0.25 - 0.01, r, soft) == pytest.approx(-0.2, rel=0.1)
    np.testing.assert_allclose(soft[r < 0.1], 1, atol=1e-3)
    np.testing.assert_allclose(soft[r > 0.4], 0, atol=1e-3)


def test_counts_are_those_of_the_patterns(problem):
    probe = applied(ProbeIntensity(), problem, 3 * problem.initial_probe)
    assert (abs(probe) ** 2).sum(dtype=float) == pytest.approx(problem.mean_intensity, rel=1e-5)
    np.testing.assert_allclose(
        probe / abs(probe).max(), problem.initial_probe / abs(problem.initial_probe).max(), atol=1e-5
    )
    np.testing.assert_array_equal(applied(ProbeIntensity(), problem, 0 * probe), 0 * probe)


def test_modes_become_orthogonal_and_nothing_is_seen_of_it(problem):
    tilted = first_modes(gaussian(problem), 3, "tilts", main_share=0.5)
    modes = applied(ProbeOrthogonality(), problem, tilted)
    gram = np.einsum("iyx,jyx->ij", modes.conj(), modes)
    np.testing.assert_allclose(gram, np.diag(gram.diagonal()), atol=1e-5 * abs(gram).max())
    np.testing.assert_allclose((abs(modes) ** 2).sum(0), (abs(tilted) ** 2).sum(0), rtol=1e-4)
    thin = example_problem("potential")
    before, after = (
        replace(thin, initial_probe=p).intensities(replace(thin.start(), probe=p), [0, 9]) for p in (tilted, modes)
    )
    np.testing.assert_allclose(after, before, atol=1e-5 * before.max())


def ellipse(fit, edge, width, share=0.2):
    """A lit disk whose edge is edge (1 + share cos 2 phi)."""
    return fit.profile(fit.radius, edge * (1 + share * np.cos(2 * fit.angle)), np.full_like(fit.radius, width))


@pytest.mark.parametrize("sampling", [(0.2, 0.2), (0.2, 0.25)])
@pytest.mark.parametrize("width", [1.0, 3.0])
def test_the_edge_is_found_on_every_ray(sampling, width):
    fit = EdgeFit((96, 80), sampling, 4.0, 5)
    noise = np.random.default_rng(0).normal(scale=5, size=(96, 80))
    edge, widths, level = fit.edges(100 * ellipse(fit, 20.0, width) + noise)
    half = 20 * (1 + 0.2 * np.cos(2 * fit.angles)) - width / 2
    found = edge - widths / 2
    assert abs(found - half).max() < 0.7
    assert np.sqrt(((found - half) ** 2).mean()) < 0.3
    assert level == pytest.approx(100, rel=0.02)


def test_what_is_outside_the_aperture_goes_and_counts_stay():
    problem = example_problem("potential")
    fit = EdgeFit(problem.initial_probe.shape[-2:], problem.sampling, 3.0, 5)
    generator = np.random.default_rng(1)
    phase = generator.uniform(-1, 1, fit.radius.shape)
    clean = np.sqrt(ellipse(fit, 12.0, 2.0)) * np.exp(1j * phase)
    dirt = 0.1 * generator.normal(size=(2, *clean.shape))
    spectrum = clean + dirt[0] + 1j * dirt[1]
    probe = np.fft.ifft2(spectrum)[None].astype(np.complex64)
    far = fit.radius > 20
    for flat in (False, True):
        after = applied(ProbeFourierAmplitude(flat=flat), problem, probe)
        assert (abs(after) ** 2).sum() == pytest.approx((abs(probe) ** 2).sum(), rel=1e-5)
        found = np.fft.fft2(after[0])
        assert abs(found[far]).max() < 1e-4
        inside = fit.radius < 7
        np.testing.assert_allclose(np.angle(found[inside] / spectrum[inside]), 0, atol=1e-3)
        if flat:
            assert abs(found[inside]).std() < 1e-4 * abs(found[inside]).mean()
            wanted = np.sqrt(ellipse(fit, 12.0, 2.0))
            assert np.corrcoef(abs(found).ravel(), wanted.ravel())[0, 1] > 0.99


def test_all_modes_come_through_the_same_aperture(problem):
    problem, state = disturbed(problem)
    ratio = np.fft.fft2(applied(ProbeFourierAmplitude(), problem, state.probe)) / np.fft.fft2(state.probe)
    np.testing.assert_allclose(ratio[1:], np.broadcast_to(ratio[:1], ratio[1:].shape), atol=2e-2)
    np.testing.assert_allclose(ratio.imag, 0, atol=2e-2)

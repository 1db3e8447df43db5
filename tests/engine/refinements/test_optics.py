"""Aberrations: found inside a run, and read off a free probe."""

import numpy as np
import pytest

from ptywidgets.engine import Aberrations, Plan, iterate
from ptywidgets.engine.algorithms import LSQML
from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.optics.chi_terms import coefficient_names
from ptywidgets.engine.optics.modes import first_modes
from ptywidgets.engine.optics.probe import Optics, make_probe
from ptywidgets.engine.refinements import RefineOptics, fit_aberrations, refined_aberrations
from ptywidgets.engine.refinements.optics import NAMES, chi_shapes
from ptywidgets.testing import exact_problem
from ptywidgets.testing.exact import difference, in_double

TERMS = ("C10", "C12a", "C12b", "C21a")


def defocused(problem, state, **change):
    """The state with the probe of other aberrations."""
    chi = sum(c * shape for c, shape in zip(change.values(), chi_shapes(problem, tuple(change)), strict=True))
    probe = np.fft.ifft2(np.fft.fft2(state.probe) * np.exp(-1j * chi))
    return state.replace(probe=probe.astype(state.probe.dtype))


@pytest.mark.parametrize("name", TERMS)
def test_directions_are_slopes_of_the_loss(name):
    problem, state = exact_problem()
    state = in_double(state)
    state = state.replace(object=0.9 * state.object, probe=first_modes(state.probe, 2).astype(complex))
    batch = np.arange(0, 64, 9)
    scale = 0.1 / np.abs(chi_shapes(problem, (name,))[0]).max()
    expected = difference(lambda h: problem.gradients(defocused(problem, state, **{name: h}), batch).loss, 1e-3 * scale)
    shape = chi_shapes(problem, (name,))[0]
    along = Direction(probe=np.fft.ifft2(-1j * shape * np.fft.fft2(state.probe)))
    found = -2 * along.dot(Direction(probe=problem.gradients(state, batch).probe))
    assert found == pytest.approx(expected, rel=1e-5)


def test_aberrations_are_found_when_the_object_is_known():
    problem, truth = exact_problem()
    wrong = {"C10": 25.0, "C12a": 4.0, "C12b": -6.0}
    state = defocused(problem, truth, **wrong)
    refine = RefineOptics().prepare(problem)
    for _ in range(5):
        state = refine(state, np.arange(problem.count))
    found = dict(zip(NAMES, state.parameters["aberrations"], strict=True))
    for name, value in wrong.items():
        assert found[name] == pytest.approx(-value, abs=0.1)
    assert all(v == 0 for n, v in found.items() if n not in wrong)
    overlap = np.abs(np.vdot(state.probe, truth.probe)) / np.vdot(truth.probe, truth.probe).real
    assert overlap > 0.9999
    np.testing.assert_allclose(np.abs(np.fft.fft2(state.probe)), np.abs(np.fft.fft2(truth.probe)), atol=2e-3)


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_a_defocus_off_by_a_tenth_is_found_with_the_object(share):
    problem, _ = exact_problem()
    defocus = 237.5  # of the example's probe
    state = defocused(problem, problem.start(), C10=(1 - share) * defocus)
    plan = Plan(
        iterations=14,
        batch=16,
        algorithm=LSQML(hold_probe=True),
        constraints=(),
        refinements=(RefineOptics("defocus"),),
    )
    *_, state = iterate(problem, plan, state)
    found = refined_aberrations(state, Aberrations(defocus=share * defocus))
    assert found["defocus"] == pytest.approx(defocus, rel=0.01)


def test_terms_are_known_names():
    assert RefineOptics("C12", order=1).coefficients == ("C10", "C12a", "C12b")
    assert RefineOptics("", order=3).coefficients == coefficient_names(3)
    assert RefineOptics("C21b trefoil").coefficients == ("C21b", "C23a", "C23b")
    with pytest.raises(ParameterError, match="did you mean 'defocus'"):
        RefineOptics("defocsu")


TRUE = Aberrations(defocus=300, C12=25, phi12=0.4, C21=900, phi21=-1.0, C23=700, phi23=0.2, C30=2e4)


@pytest.mark.parametrize("shift, modes, noise", [((0, 0), 1, 0.0), ((1.3, -2.2), 3, 0.0), ((0.5, 0), 1, 0.05)])
def test_a_free_probe_tells_its_aberrations(shift, modes, noise):
    sampling = (0.28, 0.3)
    probe = make_probe(Optics(semiangle=22, aberrations=TRUE), (96, 90), sampling, 80e3)
    ky, kx = np.fft.fftfreq(96, sampling[0])[:, None], np.fft.fftfreq(90, sampling[1])[None]
    spectrum = np.fft.fft2(probe) * np.exp(2j - 2j * np.pi * (ky * shift[0] + kx * shift[1]))
    generator = np.random.default_rng(0)
    rough = generator.normal(size=spectrum.shape) + 1j * generator.normal(size=spectrum.shape)
    moved = np.fft.ifft2(spectrum + noise * np.abs(spectrum).max() * rough)
    given = first_modes(moved[None].astype(np.complex64), modes) if modes > 1 else moved
    found = fit_aberrations(given, sampling, 80e3, semiangle=23.0)
    near = 1.0 if noise == 0 else 100.0
    for name in coefficient_names(2):
        size = 1.0 if name[1] == "1" else 50.0  # A that turn the aperture's edge by about as much
        assert found[name] == pytest.approx(TRUE[name], abs=0.02 * size * near), name


def test_too_few_lit_pixels_are_an_error():
    with pytest.raises(DataError, match="lower the order"):
        fit_aberrations(make_probe(Optics(semiangle=3), (24, 24), (0.3, 0.3), 80e3), (0.3, 0.3), 80e3, order=5)

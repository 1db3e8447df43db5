"""Every part of a model, alone and together: the contract, and identities with a closed form."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.losses import LOSSES
from ptywidgets.engine.models import (
    Background,
    Diffuse,
    Multislice,
    NearField,
    ObjectModes,
    PartialCoherence,
    PointSpread,
    Segments,
    single_slice,
)
from ptywidgets.engine.models.parts.exit_wave import fresnel
from ptywidgets.testing import ModelContract, model_case
from ptywidgets.testing.contracts.models import check_gradient, check_slope

WAVELENGTH, EXTENT, WINDOW = 0.0197, (20 * 0.3, 17 * 0.3), (20, 17)
SLICES = Multislice((12.0, 8.0, 10.0), WAVELENGTH, EXTENT, tilt=(3.0, -2.0))
COHERENCE = PartialCoherence(0.2, 30.0, WAVELENGTH, EXTENT)


def tds_strength(slices, channels=2, seed=4):
    return np.random.default_rng(seed).uniform(0, 0.4, (channels, slices, WINDOW[0] + 12, WINDOW[1] + 15))


def diffuse(slices):
    return Diffuse(("C", "C"), (0.5, 2.0), EXTENT, tds_strength(slices))


def background():
    return Background(np.random.default_rng(6).uniform(0, 0.1, WINDOW))


def object_modes(slices, count=2, seed=8):
    shape = (count, slices, WINDOW[0] + 12, WINDOW[1] + 15)
    return ObjectModes(count, 0.1, np.random.default_rng(seed).normal(0, 0.3, shape))


BRICKS = {
    "slices": {"exit_wave": SLICES},
    "slices, few kept": {"exit_wave": replace(SLICES, thickness=(5.0, 6.0, 7.0, 8.0, 9.0), tape_bytes=1)},
    "source and focal spread": {"ensemble": COHERENCE},
    "background": {"background": background()},
    "diffuse": {"diffuse": diffuse(1)},
    "point spread": {"response": PointSpread(0.8)},
    "near field": {"detector": NearField(300.0, WAVELENGTH, EXTENT)},
    "object modes": {"object_modes": object_modes(1)},
    "object modes, slices, diffuse": {"object_modes": object_modes(3), "exit_wave": SLICES, "diffuse": diffuse(3)},
    "all": {
        "exit_wave": SLICES,
        "ensemble": replace(COHERENCE, focal_spread=0.0, order=2),
        "diffuse": diffuse(3),
        "background": background(),
        "response": PointSpread(0.5),
    },
}


class TestBricks(ModelContract):
    @pytest.fixture(params=[(kind, name) for kind in ("complex", "potential") for name in BRICKS], ids=" ".join)
    def model(self, request):
        kind, name = request.param
        return replace(single_slice(kind), **BRICKS[name])


@pytest.mark.parametrize("kind", ["complex", "potential"])
@pytest.mark.parametrize("slices", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("spread", [None, PointSpread(0.7)])
def test_gradients_by_what_is_added_are_slopes_of_the_loss(kind, slices, loss, spread):
    exit_wave = {"exit_wave": SLICES} if slices == 3 else {}
    model = replace(single_slice(kind), diffuse=diffuse(slices), background=background(), response=spread, **exit_wave)
    case = replace(model_case(model), loss=LOSSES[loss]())
    found = case.gradients(with_others=True)

    def at(**parameters):
        return replace(case, model=model.bind(parameters)).gradients().loss

    b = model.diffuse.b_factor
    check_slope(lambda s: at(tds_strength=s, b_factor=b), model.diffuse.tds_strength, -found.others["tds_strength"] / 2)
    check_slope(lambda b: at(background=b), model.background.pattern, -found.others["background"] / 2)


@pytest.mark.parametrize("kind", ["complex", "potential"])
@pytest.mark.parametrize("slices", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_by_object_modes_are_slopes_of_the_loss(kind, slices, loss):
    parts = {"exit_wave": SLICES, "diffuse": diffuse(3)} if slices == 3 else {}
    model = replace(single_slice(kind), object_modes=object_modes(slices, count=4), **parts)
    case = replace(model_case(model), loss=LOSSES[loss]())
    found = case.gradients(with_others=True)

    def at(**parameters):
        return replace(case, model=model.bind(parameters)).gradients().loss

    check_slope(lambda d: at(object_modes=d), model.object_modes.phases, -found.others["object_modes"] / 2)
    if slices == 3:
        b = model.diffuse.b_factor
        check_slope(
            lambda s: at(tds_strength=s, b_factor=b), model.diffuse.tds_strength, -found.others["tds_strength"] / 2
        )


@pytest.mark.parametrize("slices", [1, 3])
def test_object_modes_add_as_so_many_specimens_would(slices):
    parts = {"exit_wave": SLICES} if slices == 3 else {}
    plain = replace(single_slice("potential"), **parts)
    states = object_modes(slices, count=4)
    case = model_case(replace(plain, object_modes=states))
    apart = [replace(case, model=plain, obj=case.obj + phases).intensities() for phases in states.phases]
    np.testing.assert_allclose(case.intensities(), np.mean(apart, axis=0), rtol=1e-9)


def test_object_modes_that_are_alike_are_one():
    case = model_case(single_slice("potential"))
    for states in (ObjectModes(4, 0.1), ObjectModes(2, 0.1, np.zeros((2, *case.obj.shape)))):
        alike = replace(case, model=replace(case.model, object_modes=states))
        np.testing.assert_allclose(alike.intensities(), case.intensities(), rtol=1e-12)
        np.testing.assert_allclose(alike.gradients().object, case.gradients().object, rtol=1e-9, atol=1e-12)


def test_slices_without_space_between_them_are_one():
    thick = replace(single_slice("potential"), exit_wave=replace(SLICES, thickness=(0.0, 0.0, 0.0)))
    case = model_case(thick)
    one = replace(case, model=single_slice("potential"), obj=case.obj.sum(0, keepdims=True))
    np.testing.assert_allclose(case.intensities(), one.intensities(), rtol=1e-9, atol=1e-12)


def test_one_slice_is_a_thin_specimen():
    thin = model_case(single_slice("complex"))
    one = replace(thin, model=replace(thin.model, exit_wave=replace(SLICES, thickness=(50.0,))))
    np.testing.assert_array_equal(one.intensities(), thin.intensities())
    np.testing.assert_array_equal(one.gradients().object, thin.gradients().object)


def test_in_vacuum_a_probe_of_another_focus_comes_out():
    """Free space over z is a defocus by z: the far field shows the aperture whatever the way."""
    model = replace(single_slice("potential"), exit_wave=SLICES)
    case = model_case(model, modes=1, subpixel=False)
    vacuum = np.zeros_like(case.obj)
    aperture = np.abs(np.fft.fft2(case.probe[0], norm="ortho")) ** 2
    np.testing.assert_allclose(case.intensities(obj=vacuum)[0], aperture, rtol=1e-9, atol=1e-12)
    distance = sum(SLICES.thickness[:-1])
    last = np.zeros_like(case.obj)
    last[2] = case.obj[2]
    moved = np.fft.ifft2(np.fft.fft2(case.probe) * fresnel(WINDOW, EXTENT, WAVELENGTH, distance, SLICES.tilt))
    thin = replace(case, model=single_slice("potential"), obj=last[2:], probe=moved)
    np.testing.assert_allclose(case.intensities(obj=last), thin.intensities(), rtol=1e-9, atol=1e-12)


def test_a_tilted_specimen_moves_the_wave_sideways():
    tilt, distance = 20.0, 150.0
    shift = distance * np.tan(tilt * 1e-3) / 0.3  # px
    there = fresnel(WINDOW, EXTENT, WAVELENGTH, distance, (tilt, 0.0))
    ramp = np.exp(-2j * np.pi * np.fft.fftfreq(WINDOW[0])[:, None] * shift)
    np.testing.assert_allclose(there, fresnel(WINDOW, EXTENT, WAVELENGTH, distance) * ramp, atol=1e-9)


def test_there_and_back_is_the_identity():
    wave = model_case(modes=1).probe[0]
    there = np.fft.ifft2(np.fft.fft2(wave) * fresnel(WINDOW, EXTENT, WAVELENGTH, 80.0, (5.0, 1.0)))
    back = np.fft.ifft2(np.fft.fft2(there) * fresnel(WINDOW, EXTENT, WAVELENGTH, -80.0, (5.0, 1.0)))
    np.testing.assert_allclose(back, wave, atol=1e-12)


def test_equal_replicas_are_one_mode():
    case = model_case(modes=1)
    replicas = np.repeat(case.probe / np.sqrt(3), 3, axis=0)
    np.testing.assert_allclose(case.intensities(probe=replicas), case.intensities(), rtol=1e-10)


def test_a_source_of_no_size_and_electrons_of_one_energy_are_coherent():
    case = model_case()
    spread = replace(case, model=replace(case.model, ensemble=PartialCoherence(0.0, 0.0, WAVELENGTH, EXTENT)))
    np.testing.assert_allclose(spread.intensities(), case.intensities(), rtol=1e-10)


def test_the_ensemble_has_an_exact_adjoint_and_keeps_counts():
    backend, generator = CpuBackend(1), np.random.default_rng(2)
    probe, waves = (
        generator.normal(size=(n, *WINDOW)) + 1j * generator.normal(size=(n, *WINDOW)) for n in (2, 2 * COHERENCE.count)
    )
    spread = COHERENCE.spread(backend, probe)
    np.testing.assert_allclose(np.vdot(COHERENCE.gather(backend, waves), probe), np.vdot(waves, spread), rtol=1e-12)
    np.testing.assert_allclose((np.abs(spread) ** 2).sum(), (np.abs(probe) ** 2).sum(), rtol=1e-12)


def test_a_source_blurs_the_probe_by_its_own_variance():
    backend, n, pixel = CpuBackend(1), 64, 0.25
    y = np.fft.fftfreq(n, 1 / n) * pixel
    probe = np.exp(-(y[:, None] ** 2 + y**2) / (4 * 1.5**2))[None].astype(complex)
    ensemble = PartialCoherence(0.6, 0.0, WAVELENGTH, (n * pixel, n * pixel))
    light = (np.abs(ensemble.spread(backend, probe)) ** 2).sum(0)
    variance = (light * y[:, None] ** 2).sum() / light.sum()
    np.testing.assert_allclose(variance, 1.5**2 + 0.6**2, rtol=1e-4)


def test_no_strength_is_coherent():
    case = model_case(single_slice("potential"))
    none = Diffuse(("C",), 0.5, EXTENT, np.zeros((1, *case.obj.shape)))
    still = replace(case, model=replace(case.model, diffuse=none))
    np.testing.assert_allclose(still.intensities(), case.intensities(), rtol=1e-12)


def test_what_leaves_the_coherent_wave_is_what_arrives_diffusely():
    """With a shape that all of it reaches the detector by, no electron is lost."""
    model = replace(single_slice("potential"), exit_wave=SLICES, diffuse=diffuse(3))
    case = model_case(model)
    backend = case.backend
    slab = model.slab(backend, case.obj)
    where = case.geometry.at(backend, np.arange(case.count))
    waves = model.incident(backend, case.probe, where.fractions, exact=True).waves(backend, np.arange(case.count))
    far = model.propagate_to_detector(backend, waves.copy(), slab, where)
    coherent = (np.abs(far.waves) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(coherent + far.diffuse_counts.sum(1), (np.abs(case.probe) ** 2).sum(), rtol=1e-9)
    reaches = [
        replace(model.diffuse, extent=(20.0, 20.0)).patterns(backend, (n, n), float).sum((1, 2)) for n in (96, 800)
    ]
    assert (reaches[0] < reaches[1]).all() and (reaches[0] > 0.3).all()
    np.testing.assert_allclose(reaches[1], 1, rtol=0.01)


def test_channels_share_what_is_absorbed():
    d, s = diffuse(2), tds_strength(2)
    emitted = d.emission(np, s)
    np.testing.assert_allclose(emitted.sum(0), 1 - d.absorption(np, s) ** 2, rtol=1e-12)
    np.testing.assert_allclose(emitted[0] / emitted[1], s[0] / s[1], rtol=1e-12)
    generator = np.random.default_rng(0)
    direction, by = generator.normal(size=(2, *s.shape))
    change = (d.emission(np, s + 1e-6 * direction) - d.emission(np, s - 1e-6 * direction)) / 2e-6
    np.testing.assert_allclose((change * by).sum(), (d.emission_adjoint(np, s, by) * direction).sum(), rtol=1e-6)


def test_a_spread_pattern_keeps_its_counts_and_its_adjoint():
    backend, generator = CpuBackend(1), np.random.default_rng(2)
    masks = generator.uniform(0, 1, (5, *WINDOW))
    for response, out in ((PointSpread(0.9), WINDOW), (Segments(masks), (5, 1))):
        intensity, derivative = generator.uniform(0, 1, (3, *WINDOW)), generator.normal(size=(3, *out))
        expected = response.expect(backend, intensity)
        np.testing.assert_allclose(
            (expected * derivative).sum(), (intensity * response.adjoint(backend, derivative)).sum(), rtol=1e-6
        )
    np.testing.assert_allclose(
        PointSpread(0.9).expect(backend, intensity).sum((1, 2)), intensity.sum((1, 2)), rtol=1e-6
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_segments_see_what_their_masks_let_through(loss):
    masks = np.random.default_rng(1).uniform(0, 1, (6, *WINDOW))
    model = replace(single_slice("complex"), response=Segments(masks))
    case = model_case(model)
    patterns = np.random.default_rng(2).uniform(1, 5, (case.count, 6, 1))
    case = replace(
        case,
        loss=LOSSES[loss](),
        patterns=Patterns(patterns, np.zeros((case.count, 2), int), (6, 1)).on(case.backend),
    )
    plain = replace(case, model=single_slice("complex")).intensities()
    expected = np.einsum("jyx,dyx->jd", plain, masks)
    np.testing.assert_allclose(case.intensities()[..., 0], expected, rtol=1e-10)
    for name in ("object", "probe"):
        check_gradient(case, name)

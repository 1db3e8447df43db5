"""What a model is made of, and how a state goes on under another one."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations, ModelConfig, Optics, ParameterError, Plan, iterate, make_problem, prepare
from ptywidgets.engine.models.parts.exit_wave import fresnel
from ptywidgets.engine.optics.modes import occupations
from ptywidgets.engine.problem.convert_state import convert_state, depth_shares, split_slices


@pytest.fixture(scope="module")
def measured():
    dataset = samples.ducky("tiny")
    aberrations = Aberrations(defocus=samples.ducky_defocus("tiny"))
    return prepare(dataset, rotation=-15.0), Optics.from_dataset(dataset, aberrations=aberrations)


def problem(measured, object_type="potential", **numbers):
    measurement, optics = measured
    config = ModelConfig(**numbers)
    model, probe = config.build(object_type, measurement), config.initial_probe(optics, measurement)
    return make_problem(measurement, optics, model=model, probe=probe)


EVERYTHING = {
    "slices": 2,
    "thickness": 20.0,
    "tilt_rows": 1.0,
    "modes": 2,
    "source_size": 0.2,
    "diffuse": "C",
    "background": True,
    "blur": 0.3,
}


@pytest.mark.parametrize("object_type", ["complex", "potential"])
def test_all_of_it_together_is_one_model_whose_loss_falls(measured, object_type):
    everything = problem(measured, object_type, **EVERYTHING)
    *_, state = iterate(everything, Plan(iterations=2, batch=48, constraints=()))
    assert state.losses[1] < state.losses[0]
    assert state.object.shape[0] == 2 and state.probe.shape[0] == 2
    assert set(state.parameters) == {"tds_strength", "b_factor", "background"}


def test_modes_share_the_counts_of_a_pattern(measured):
    several = problem(measured, modes=4)
    assert occupations(several.initial_probe)[0] > 0.5
    np.testing.assert_allclose(
        (np.abs(several.initial_probe) ** 2).sum(), (np.abs(problem(measured).initial_probe) ** 2).sum(), rtol=1e-5
    )


def test_focus_in_the_middle_is_where_the_probe_has_the_given_defocus(measured):
    thick = problem(measured, slices=2, thickness=80.0, focus="middle")
    plain = problem(measured)
    exit_wave = thick.model.exit_wave
    half_way = fresnel(thick.window, exit_wave.extent, exit_wave.wavelength, exit_wave.depths.mean())
    moved = np.fft.ifft2(np.fft.fft2(thick.initial_probe[0]) * half_way)
    np.testing.assert_allclose(moved, plain.initial_probe[0], atol=1e-4 * np.abs(moved).max())
    one = problem(measured, slices=1, thickness=80.0, focus="middle")  # whose only plane it is
    np.testing.assert_array_equal(one.initial_probe, plain.initial_probe)


def test_slices_need_a_thickness_and_channels_elements(measured):
    with pytest.raises(ParameterError, match="thickness is 0 A; give the specimen's thickness"):
        problem(measured, slices=3)
    with pytest.raises(ParameterError, match="there is no element 'Xx'"):
        problem(measured, diffuse="C, Xx")


def test_a_specimen_is_shared_out_by_depth():
    shares_ = depth_shares(np.array([0, 0.2, 1.0]), np.array([0, 0.5, 1.0]))
    np.testing.assert_allclose(shares_, [[1, 0.375], [0, 0.625]])
    potential = np.random.default_rng(0).random((2, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(split_slices(potential, shares_).sum(0), potential.sum(0), rtol=1e-6)
    wave = np.exp(1j * potential) * 0.9
    np.testing.assert_allclose(split_slices(wave, shares_).prod(0), wave.prod(0), rtol=1e-6)


@pytest.mark.parametrize("object_type", ["complex", "potential"])
def test_a_state_goes_on_under_another_model(measured, object_type):
    thin = problem(measured)
    *_, state = iterate(thin, Plan(iterations=2, batch=48, constraints=()))
    rich = problem(measured, object_type, **EVERYTHING)
    begun = convert_state(rich, thin, state)
    assert begun.object.shape == rich.object_shape and begun.object.dtype == rich.initial_object.dtype
    projected = begun.object.sum(0) if object_type == "potential" else np.angle(begun.object.prod(0))
    np.testing.assert_allclose(projected, state.object[0], atol=1e-5)
    np.testing.assert_allclose((np.abs(begun.probe) ** 2).sum(), (np.abs(state.probe) ** 2).sum(), rtol=1e-5)
    *_, after = iterate(rich, Plan(iterations=8, batch=48, constraints=()), begun)
    assert after.losses[-1] < 0.9 * state.losses[0]
    back = convert_state(thin, rich, after)
    assert back.object.shape == thin.object_shape and back.probe.shape == thin.initial_probe.shape
    assert back.parameters == {} and back.losses == after.losses


def test_refined_numbers_go_on_where_the_new_model_has_them(measured):
    thick = problem(measured, slices=3, thickness=30.0, source_size=0.2, diffuse="C", background=True)
    refined = {
        "exit_wave.tilt": np.array([1.5, -0.5]),
        "exit_wave.thickness": np.array([12.0, 11.0, 10.0]),
        "ensemble.source_size": np.asarray(0.3),
        "aberrations": np.arange(25.0),
    }
    begun = thick.start()
    tds_strength = np.random.default_rng(0).random(begun.parameters["tds_strength"].shape).astype(np.float32)
    state = begun.replace(parameters={**begun.parameters, **refined, "tds_strength": tds_strength})

    def then(**numbers):
        return convert_state(problem(measured, **numbers), thick, state).parameters

    same = then(slices=3, thickness=30.0, source_size=0.2, modes=2)
    assert set(same) == set(refined)
    for name, value in refined.items():
        np.testing.assert_array_equal(same[name], value)

    finer = then(slices=6, thickness=30.0, diffuse="C", blur=0.3)
    assert set(finer) == {"exit_wave.tilt", "exit_wave.thickness", "aberrations", "tds_strength", "b_factor"}
    np.testing.assert_allclose(finer["exit_wave.thickness"], 33 / 6)  # of all slices together as it was found
    np.testing.assert_allclose(finer["tds_strength"].sum(1), tds_strength.sum(1), rtol=1e-5)

    other = then(slices=3, thickness=60.0, source_size=0.5)  # who says otherwise knows better
    assert set(other) == {"exit_wave.tilt", "aberrations"}
    assert set(then()) == {"aberrations"}


def test_thin_and_thick_are_one_model_where_the_thickness_is_nothing(measured):
    thin, thick = problem(measured), problem(measured, slices=4, thickness=1e-6)
    batch = np.arange(8)
    state = convert_state(thick, thin, thin.start().replace(object=np.full(thin.object_shape, 0.4, np.float32)))
    one = thin.start().replace(object=np.full(thin.object_shape, 0.4, np.float32))
    np.testing.assert_allclose(thick.intensities(state, batch), thin.intensities(one, batch), rtol=1e-3, atol=1e-2)
    assert replace(thin, model=thick.model).model.exit_wave.slices == 4

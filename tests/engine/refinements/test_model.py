"""Numbers of the model: derivatives against finite differences, and values that are found again."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import Plan, iterate
from ptywidgets.engine.algorithms import LSQML
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.losses import LOSSES
from ptywidgets.engine.models import Multislice, NearField, PartialCoherence, PointSpread
from ptywidgets.engine.refinements import RefineModel, model_derivatives
from ptywidgets.engine.refinements.model_derivatives import parameter_of
from ptywidgets.testing import exact_problem, example_problem
from ptywidgets.testing.exact import difference, in_double

START = example_problem("potential")
PLACE = {"wavelength": START.measurement.calibration.wavelength, "extent": tuple(64 * s for s in START.sampling)}
SLICES = Multislice((30.0, 40.0, 30.0), **PLACE, tilt=(3.0, -2.0))
COHERENCE = PartialCoherence(0.3, 25.0, **PLACE, order=2)
PARTS = {"exit_wave": SLICES, "ensemble": COHERENCE, "response": PointSpread(0.6)}
ALL = RefineModel(thickness="each", tilt=True, source_size=True, focal_spread=True, blur=True)


@pytest.mark.parametrize(
    "refinement, loss",
    [(RefineModel(thickness="common"), "anscombe"), (ALL, "anscombe"), (ALL, "intensity")]
    + [(replace(ALL, blur=False), name) for name in ("amplitude", "poisson")],  # a blur may go below nothing
)
def test_slopes_are_those_of_the_loss(refinement, loss):
    problem, state = exact_problem(**PARTS if refinement.blur else {**PARTS, "response": None})
    problem = replace(problem, loss=LOSSES[loss]())
    state = in_double(state)
    state = state.replace(object=0.9 * state.object)
    batch = np.arange(0, 64, 9)
    parameters = refinement.parameters(problem)
    value, derivative, hessian = model_derivatives(problem, state, batch, parameters)
    assert value == pytest.approx(problem.gradients(state, batch).loss, rel=1e-9)
    np.testing.assert_array_equal(hessian, hessian.T)
    for parameter, found in zip(parameters, derivative, strict=True):
        now = parameter_of(problem.model, parameter.name)

        def at(h, parameter=parameter, now=now):
            return problem.gradients(state.replace(parameters={parameter.name: parameter.turned(now, h)}), batch).loss

        assert found == pytest.approx(difference(at, 1e-4 * parameter.scale), rel=1e-5), parameter.name


def refined(refinement, problem, state, times=8, **wrong):
    """Parameters after some steps from wrong ones, with the true object."""
    state = state.replace(parameters={name.replace("__", "."): np.asarray(v, float) for name, v in wrong.items()})
    apply = refinement.prepare(problem)
    for _ in range(times):
        state = apply(state, np.arange(problem.count))
    return state.parameters


def test_the_tilt_of_two_slices_is_found():
    exit_wave = Multislice((60.0, 60.0), **PLACE, tilt=(6.0, -4.0))
    problem, state = exact_problem(exit_wave=exit_wave)
    found = refined(RefineModel(tilt=True, limit_tilt=5), problem, state, exit_wave__tilt=(0.0, 0.0))
    np.testing.assert_allclose(found["exit_wave.tilt"], (6.0, -4.0), atol=0.05)


@pytest.mark.parametrize("how", ["common", "each"])
def test_thickness_is_found(how):
    problem, state = exact_problem(exit_wave=SLICES)
    wrong = 1.15 * np.array(SLICES.thickness)
    found = refined(RefineModel(thickness=how), problem, state, exit_wave__thickness=wrong)["exit_wave.thickness"]
    np.testing.assert_allclose(found[:-1], SLICES.thickness[:-1], rtol=0.01)
    if how == "each":
        assert found[-1] == wrong[-1]  # there is no space behind the last slice


def test_partial_coherence_and_blur_are_found_together():
    problem, state = exact_problem(ensemble=COHERENCE, response=PointSpread(0.6))
    refinement = RefineModel(source_size=True, focal_spread=True, blur=True, limit=0.3)
    wrong = {"ensemble__source_size": 0.2, "ensemble__focal_spread": 35.0, "response__sigma": 0.45}
    found = refined(refinement, problem, state, **wrong)
    assert found["ensemble.source_size"] == pytest.approx(0.3, rel=0.03)
    assert found["ensemble.focal_spread"] == pytest.approx(25.0, rel=0.05)
    assert found["response.sigma"] == pytest.approx(0.6, rel=0.01)


def test_a_blur_is_found_with_the_object():
    problem, _ = exact_problem(response=PointSpread(0.6))
    problem = replace(problem, model=replace(problem.model, response=PointSpread(0.4)), loss=LOSSES["anscombe"]())
    plan = Plan(
        iterations=8, batch=32, algorithm=LSQML(hold_probe=True), constraints=(), refinements=(RefineModel(blur=True),)
    )
    *_, state = iterate(problem, plan)
    assert float(state.parameters["response.sigma"]) == pytest.approx(0.6, rel=0.05)


NEAR = NearField(800.0, **PLACE)


def test_the_slope_by_a_near_field_s_distance_is_that_of_the_loss():
    problem, state = exact_problem(detector=NEAR)
    state, batch = in_double(state), np.arange(0, 64, 9)
    state = state.replace(object=0.9 * state.object)
    parameter = RefineModel(distance=True).parameters(problem)[0]
    _, derivative, _ = model_derivatives(problem, state, batch, [parameter])

    def at(h):
        return problem.gradients(
            state.replace(parameters={parameter.name: parameter.turned(NEAR.distance, h)}), batch
        ).loss

    assert derivative[0] == pytest.approx(difference(at, 1e-4 * parameter.scale), rel=1e-5)


def test_a_near_field_s_distance_is_found_with_the_object():
    problem, truth = exact_problem(detector=NEAR)
    begun = 0.97 * NEAR.distance
    wrong = replace(problem, model=replace(problem.model, detector=replace(NEAR, distance=begun)))
    found = refined(RefineModel(distance=True), wrong, truth, detector__distance=begun)["detector.distance"]
    assert found == pytest.approx(NEAR.distance, rel=1e-4)
    plan = Plan(iterations=12, batch=32, algorithm=LSQML(hold_probe=True), constraints=())
    plan = plan.replace(refinements=(RefineModel(distance=True),))
    *_, state = iterate(wrong, plan)
    assert float(state.parameters["detector.distance"]) == pytest.approx(NEAR.distance, rel=3e-3)


@pytest.mark.parametrize(
    "refinement",
    [RefineModel(tilt=True), RefineModel(blur=True), RefineModel(source_size=True), RefineModel(distance=True)],
)
def test_what_a_model_has_not_cannot_be_refined(refinement):
    with pytest.raises(ParameterError, match="choose a model that has it"):
        refinement.prepare(START)


def test_sizes_begin_above_zero():
    model = replace(START.model, ensemble=replace(COHERENCE, focal_spread=0.0))
    with pytest.raises(ParameterError, match="begin above 0"):
        RefineModel(focal_spread=True).prepare(replace(START, model=model))
    one = replace(START.model, exit_wave=Multislice((50.0,), **PLACE))
    with pytest.raises(ParameterError, match="no space between slices"):
        RefineModel(tilt=True).prepare(replace(START, model=one))


def test_steps_are_limited():
    problem, state = exact_problem(exit_wave=SLICES)
    found = refined(RefineModel(thickness="common", limit=0.02), problem, state, times=1, exit_wave__thickness=[60] * 3)
    assert np.abs(found["exit_wave.thickness"] / 60 - 1).max() <= 0.02 + 1e-9

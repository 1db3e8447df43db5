"""Every model with every algorithm and every loss: it runs, and what it does is finite and lowers the loss."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import ModelConfig, Plan, iterate, make_problem
from ptywidgets.engine.algorithms import ALGORITHMS
from ptywidgets.engine.losses import LOSSES
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.refinements import default_refinements
from ptywidgets.testing import example_problem

MODELS = {
    "slices": ModelConfig(slices=2, thickness=30.0, tilt_rows=2.0),
    "modes": ModelConfig(modes=2),
    "coherence": ModelConfig(source_size=0.2),
    "diffuse": ModelConfig(diffuse="C", background=True),
    "object modes": ModelConfig(object_modes=2, slices=2, thickness=30.0, modes=2, diffuse="learned"),
    "blur": ModelConfig(blur=0.4),
    "all": ModelConfig(slices=2, thickness=30.0, modes=2, source_size=0.2, diffuse="C", background=True, blur=0.3),
}


def problem(config, object_type):
    """The example's data under another model."""
    example = example_problem(object_type)
    measurement = example.measurement
    several = config.initial_probe(Optics(semiangle=20.0), measurement).shape[0]
    probe = np.repeat(example.initial_probe, several, axis=0)
    if several > 1:  # faint ones of another shape
        probe[1:] *= 0.2 * np.sign(np.fft.fftfreq(probe.shape[-1]) + 1e-9).astype(np.float32)
    return make_problem(measurement, model=config.build(object_type, measurement), probe=probe)


@pytest.mark.parametrize(
    "model, loss, object_type",
    [(model, loss, "potential") for model in MODELS for loss in LOSSES if loss in ("amplitude", "poisson")]
    + [("all", loss, "complex") for loss in LOSSES],
)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_runs(model, algorithm, loss, object_type):
    config = MODELS[model]
    case = replace(problem(config, object_type), loss=LOSSES[loss]())
    plan = Plan(
        iterations=2,
        batch=32,
        algorithm=ALGORITHMS[algorithm](),
        constraints=(),
        refinements=default_refinements(config),
    )
    *_, state = iterate(case, plan)
    assert np.isfinite(state.losses).all()
    assert np.isfinite(state.object).all() and np.isfinite(state.probe).all()
    assert all(np.isfinite(value).all() for value in state.parameters.values())
    if loss == "amplitude" and algorithm != "projections":  # which rise before they fall, as the Poisson loss may
        assert state.losses[1] < 1.05 * state.losses[0]

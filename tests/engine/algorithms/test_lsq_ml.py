"""LSQ-ML against its own formulas, written out by numpy, and its two ways to remember."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import LSQML, Plan, iterate
from ptywidgets.engine.algorithms import lsq_ml
from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.losses import LOSSES
from ptywidgets.testing import example_problem


def rough(object_type, loss="amplitude"):
    """The example on whole pixels, with an object that leaves nothing of the detector dark."""
    problem = example_problem(object_type)
    generator = np.random.default_rng(7)
    obj = 0.3 * generator.normal(size=problem.object_shape)
    if object_type == "complex":
        obj = 1 + obj + 0.3j * generator.normal(size=problem.object_shape)
    return replace(
        problem,
        loss=LOSSES[loss](),
        initial_positions=np.rint(problem.initial_positions / problem.sampling) * problem.sampling,
        measurement=replace(problem.measurement, shifts=np.zeros_like(problem.measurement.shifts)),
        initial_object=obj.astype(problem.initial_object.dtype),
    )


def by_hand(problem, batch, algorithm):
    """Object and probe after a batch, from the formulas of the paper."""
    state = problem.start()
    obj, probe = state.object[0].astype(complex), np.fft.fftshift(state.probe[0]).astype(complex)
    potential = problem.model.specimen.object_type == "potential"
    t = np.exp(1j * obj.real) if potential else obj
    ny, nx = probe.shape
    windows = [np.s_[y : y + ny, x : x + nx] for y, x in problem.geometry(state.positions).corners[batch]]
    measured = problem.backend.amplitudes(problem.patterns, np.asarray(batch), np.float64)
    by_object, by_probe = np.zeros_like(obj), np.zeros_like(probe)
    light, seen = np.zeros(obj.shape), np.zeros(probe.shape)
    residuals = []
    for window, amplitude in zip(windows, measured, strict=True):
        far = np.fft.fft2(probe * t[window], norm="ortho")
        chi = np.fft.ifft2((amplitude / np.abs(far) - 1) * far, norm="ortho")
        change = probe.conj() * chi
        by_object[window] += (t[window].conj() * change).imag if potential else change
        by_probe += t[window].conj() * chi
        light[window] += np.abs(probe) ** 2
        seen += np.abs(t[window]) ** 2
        residuals.append(chi)
    by_object /= light + algorithm.damping * light.max()
    by_probe /= seen + algorithm.damping * seen.max()
    tangent = 1j * t * by_object if potential else by_object
    matrices, rights = [], []
    for window, chi in zip(windows, residuals, strict=True):
        columns = np.stack([(tangent[window] * probe).ravel(), (by_probe * t[window]).ravel()], axis=1)
        matrices.append((columns.conj().T @ columns).real)
        rights.append((columns.conj().T @ chi.ravel()).real)
    matrices = np.array(matrices) + np.diag(lsq_ml.RIDGE * np.diagonal(np.mean(matrices, 0)))
    wanted = np.array([np.linalg.solve(m, r) for m, r in zip(matrices, rights, strict=True)])
    low, high = np.quantile(wanted, (lsq_ml.TRIMMED, 1 - lsq_ml.TRIMMED), axis=0)
    wanted = wanted.clip(low, high)
    spread = np.zeros(obj.shape)
    for window, (along, _) in zip(windows, wanted, strict=True):
        spread[window] += along * np.abs(probe) ** 2 / (light[window] + 1e-6 * light.max())
    obj = obj + algorithm.object_step * by_object * spread
    return obj, np.fft.ifftshift(probe + algorithm.probe_step * wanted[:, 1].mean() * by_probe)


@pytest.mark.parametrize("object_type", ["complex", "potential"])
@pytest.mark.parametrize("batch", [[27], [3, 27, 28, 40, 60]], ids=len)
def test_a_batch_is_the_formula(object_type, batch):
    problem, algorithm = rough(object_type), LSQML(damping=0.2)
    after = algorithm.advance(problem, problem.start(), np.array(batch))
    obj, probe = by_hand(problem, batch, algorithm)
    np.testing.assert_allclose(after.object[0], obj, rtol=0, atol=1e-4)
    np.testing.assert_allclose(after.probe[0], probe, rtol=0, atol=1e-4 * np.abs(probe).max())


@pytest.mark.parametrize("object_type", ["complex", "potential"])
def test_a_batch_too_large_to_keep_is_computed_again(object_type, monkeypatch):
    problem = example_problem(object_type)
    batch = np.arange(0, problem.count, 2)
    kept = LSQML().advance(problem, problem.start(), batch)
    monkeypatch.setattr(lsq_ml, "KEPT_BYTES", 0)
    again = LSQML().advance(problem, problem.start(), batch)
    np.testing.assert_allclose(again.object, kept.object, rtol=0, atol=1e-6)
    np.testing.assert_allclose(again.probe, kept.probe, rtol=0, atol=1e-6 * np.abs(kept.probe).max())


@pytest.mark.parametrize("loss", ["anscombe", "poisson"])
def test_the_whole_step_of_losses_of_counts_is_about_that_of_amplitudes(loss):
    """Near the solution they ask for the same correction."""
    ways = {}
    for name in ("amplitude", loss):
        problem = rough("potential", name)
        start = problem.start()
        counts = problem.intensities(start, np.arange(problem.count))
        problem = replace(problem, patterns=Patterns.centred(counts).on(problem.backend))
        noise = np.random.default_rng(0).normal(size=start.object.shape).astype(np.float32)
        start = start.replace(object=start.object + np.float32(0.02) * noise)
        ways[name] = LSQML().advance(problem, start, np.arange(problem.count)).object - start.object
    sizes = {name: float(np.sqrt((way**2).mean())) for name, way in ways.items()}
    assert sizes[loss] == pytest.approx(sizes["amplitude"], rel=0.5)


def test_the_poisson_loss_keeps_the_mean_of_faint_counts_and_is_finite_in_the_dark():
    """What all counts together ask of a model of their mean is nothing, to 2 % of its modulus."""
    loss, backend, mean = lsq_ml._WholeStep(LOSSES["poisson"](), None), CpuBackend(1), 0.05
    counts = np.random.default_rng(0).poisson(mean, (1, 400, 400)).astype(float)
    far = np.full((1, 1, 400, 400), np.sqrt(mean), complex)
    _, chi = loss.residual(backend, far, np.sqrt(counts))
    assert abs(chi.mean()) < 0.02 * np.sqrt(mean)
    for faint in (0.0, 1e-30, 1e-12):
        for count in (0.0, 1.0, 1e4):
            far = np.full((2, 1, 4, 4), faint, np.complex64)
            value, chi = loss.residual(backend, far, np.full((2, 4, 4), np.float32(count) ** 0.5))
            assert np.isfinite(value) and np.isfinite(chi).all() and np.abs(chi).max() <= max(3, count**0.5) + 1e-3


def test_momentum_goes_further_while_ways_agree():
    problem = example_problem("potential")
    plan = Plan(iterations=5, batch=32, constraints=())
    plain = list(iterate(problem, plan.replace(algorithm=LSQML())))
    faster = list(iterate(problem, plan.replace(algorithm=LSQML(momentum=0.5))))
    np.testing.assert_array_equal(plain[0].object, faster[0].object)  # nothing to compare with yet
    assert faster[-1].losses[-1] < plain[-1].losses[-1]
    assert {name.split(".")[1] for name in faster[-1].memory} == {
        "loss", "object way", "object velocity", "probe way", "probe velocity",
    }  # fmt: skip


def test_momentum_is_forgotten_where_the_loss_has_risen():
    problem = example_problem("potential")
    algorithm = LSQML(momentum=0.5)
    plan = Plan(iterations=2, batch=None, algorithm=algorithm, constraints=())
    *_, state = iterate(problem, plan)
    everything = np.arange(problem.count)
    risen = replace(state, memory=state.memory | {"LSQML.loss": np.float64(0)})
    plain = LSQML().advance(problem, state, everything)
    np.testing.assert_array_equal(algorithm.advance(problem, risen, everything).object, plain.object)
    assert not np.array_equal(algorithm.advance(problem, state, everything).object, plain.object)

"""Every constraint keeps its contract, and does what its sentence says."""

import json

import numpy as np
import pytest

from ptywidgets.engine import Plan, iterate
from ptywidgets.engine.checkpoint.plain import from_plain, to_plain
from ptywidgets.engine.constraints import (
    CONSTRAINTS,
    VOLUMES,
    AmplitudeLimit,
    Every,
    From,
    Positivity,
    ProbeAperture,
    ProbeCentre,
    ProbeSupport,
    PurePhase,
    Relaxed,
    Until,
    VacuumBaseline,
    default_constraints,
)
from ptywidgets.testing import ConstraintContract, example_problem
from ptywidgets.testing.contracts.constraints import disturbed

# Filters and proximal steps do more when they act again. A probe that is moved over the edge of its box comes in on the
# other side; an edge that has been fitted is fitted a little otherwise.
NO_PROJECTIONS = {
    "ButterworthFilter",
    "DepthFilter",
    "FieldOfView",
    "GaussianFilter",
    "KzFilter",
    "ProbeCentre",
    "ProbeFourierAmplitude",
    "Shrinkage",
    "Sparsity",
    "TotalVariation",
}


class TestConstraints(ConstraintContract):
    @pytest.fixture(params=sorted(set(CONSTRAINTS) - NO_PROJECTIONS))
    def constraint(self, request):
        return CONSTRAINTS[request.param]()


class TestNoProjections(ConstraintContract):
    idempotent = False

    @pytest.fixture(params=sorted(NO_PROJECTIONS))
    def constraint(self, request):
        return CONSTRAINTS[request.param]()


class TestSchedules(ConstraintContract):
    idempotent = False

    @pytest.fixture(
        params=[Every(2, Positivity()), From(3, PurePhase()), Until(3, ProbeSupport()), Relaxed(0.5, AmplitudeLimit())],
        ids=repr,
    )
    def constraint(self, request):
        return request.param


@pytest.fixture(params=["complex", "potential"])
def case(request):
    return disturbed(example_problem(request.param))


def applied(constraint, case):
    problem, state = case
    return constraint.prepare(problem)(state)


def test_the_baseline_is_zero_outside_the_scan(case):
    problem, _ = case
    outside = ~problem.field_of_view()
    obj = applied(VacuumBaseline(), case).object[0]
    phase = np.angle(obj) if np.iscomplexobj(obj) else obj
    assert abs(phase[outside].mean()) < 2e-3


def test_amplitudes_are_limited():
    case = disturbed(example_problem("complex"))
    assert np.abs(applied(AmplitudeLimit(limit=0.9), case).object).max() < 0.9 + 1e-6
    np.testing.assert_allclose(np.abs(applied(PurePhase(), case).object), 1, rtol=1e-5)


def test_potentials_are_positive():
    assert applied(Positivity(), disturbed(example_problem("potential"))).object.min() == 0


def test_a_moved_probe_is_centred_again(case):
    problem, state = case
    y, x = (np.fft.fftfreq(n, 1 / n) for n in problem.initial_probe.shape[-2:])
    compact = np.exp(-(y[:, None] ** 2 + x**2) / 50)[None].astype(np.complex64)
    moved = state.replace(probe=np.roll(compact, (3, -2), axis=(-2, -1)))
    centred = ProbeCentre().prepare(problem)(moved).probe
    np.testing.assert_allclose(centred, compact, rtol=0, atol=1e-5)


def test_the_aperture_stays_as_it_was(case):
    problem, _ = case
    wanted = np.abs(np.fft.fft2(problem.initial_probe))
    np.testing.assert_allclose(
        np.abs(np.fft.fft2(applied(ProbeAperture(), case).probe)), wanted, atol=1e-4 * wanted.max()
    )


def test_nothing_is_left_beyond_the_support(case):
    ny, nx = case[1].probe.shape[-2:]
    beyond = np.hypot(np.fft.fftfreq(ny)[:, None], np.fft.fftfreq(nx)[None]) > 0.3
    assert not applied(ProbeSupport(radius=0.3), case).probe[:, beyond].any()


@pytest.mark.parametrize(
    "schedule, acts",
    [(Every(2, PurePhase()), [1, 3]), (From(3, PurePhase()), [3, 4]), (Until(2, PurePhase()), [0, 1])],
    ids=repr,
)
def test_schedules_say_when(schedule, acts):
    problem, state = disturbed(example_problem("complex"))
    apply = schedule.prepare(problem)
    changed = [i for i in range(5) if apply(state.replace(iteration=i)).object is not state.object]
    assert changed == acts


def test_relaxed_goes_part_of_the_way():
    problem, state = disturbed(example_problem("potential"))
    whole, half = (c.prepare(problem)(state).object for c in (Positivity(), Relaxed(0.5, Positivity())))
    np.testing.assert_allclose(half, (whole + state.object) / 2, atol=1e-6)


def test_the_defaults_suit_their_object():
    assert default_constraints("complex") == Plan().constraints
    assert Positivity() in default_constraints("potential")


@pytest.mark.parametrize("name", [*CONSTRAINTS, *VOLUMES])
def test_every_constraint_goes_into_a_file_and_comes_back(name):
    kind = (CONSTRAINTS | VOLUMES)[name]
    numbers = {p.name: p.low if p.type is int else p.high for p in kind.describe() if p.type in (int, float)}
    for constraint in (kind(), kind(**numbers)):
        assert from_plain(json.loads(json.dumps(to_plain(constraint)))) == constraint


@pytest.mark.parametrize("kind", ["complex", "potential"])
def test_all_of_them_act_in_one_run(kind):
    """In the registry's order, one after the other; the loss stays finite and positions inside the object."""
    problem = example_problem(kind)
    plan = Plan(iterations=2, batch=32, constraints=tuple(c() for c in CONSTRAINTS.values()))
    *_, state = iterate(problem, plan)
    assert np.isfinite(state.losses).all() and state.losses[1] < 1
    assert np.isfinite(state.object).all() and np.isfinite(state.probe).all()


def test_the_documentation_has_every_constraint_with_its_parameters(repository):
    text = (repository / "docs" / "constraints.md").read_text(encoding="utf-8")
    lines = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    assert list(lines) == [*CONSTRAINTS, *VOLUMES]  # in the order in which the editor has them act
    for name, kind in (CONSTRAINTS | VOLUMES).items():
        for parameter in kind.describe():
            assert f"`{parameter.name}`" in lines[name], f"{name}.{parameter.name}"

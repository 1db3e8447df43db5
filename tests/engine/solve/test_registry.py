"""Bricks by name, by class, and of one's own: understood, or refused at once."""

import json
from dataclasses import dataclass, fields

import numpy as np
import pytest

from ptywidgets.engine import PIE, FileFormatError, ModelConfig, ParameterError, Plan, Preparation, register
from ptywidgets.engine.algorithms import ALGORITHMS, RULES, GradientDescent
from ptywidgets.engine.checkpoint.plain import check_saveable, from_plain, to_plain
from ptywidgets.engine.constraints import CONSTRAINTS, VOLUMES, Every, From, Positivity, PurePhase, Relaxed, Until
from ptywidgets.engine.core.params import Params
from ptywidgets.engine.refinements import REFINEMENTS, RefinePositions
from ptywidgets.engine.solve.registry import unregister

BRICKS = {c.__name__: c for named in (ALGORITHMS, RULES, CONSTRAINTS, VOLUMES, REFINEMENTS) for c in named.values()}


def there_and_back(value):
    return from_plain(json.loads(json.dumps(to_plain(value))))


# ------------------------------------------------------------------ what a plan understands


@pytest.mark.parametrize(
    "given, kind",
    [
        ("PIE", "PIE"),
        ("pie", "PIE"),
        ("lsqml", "LSQML"),
        ("LSQ-ML", "LSQML"),
        ("Conjugate Gradients", "ConjugateGradient"),
        ("conjugate_gradient", "ConjugateGradient"),
        ("raar", "Projections"),
        (PIE, "PIE"),
        (PIE(), "PIE"),
    ],
)
def test_algorithms_are_found(given, kind):
    assert type(Plan(algorithm=given).algorithm).__name__ == kind


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_every_algorithm_is_found_by_the_name_that_it_is_shown_with(name):
    assert type(Plan(algorithm=name.upper()).algorithm) is ALGORITHMS[name]


@pytest.mark.parametrize("given", ["positivity", Positivity, Positivity(), ["Positivity"], iter([Positivity])])
def test_constraints_are_found(given):
    assert Plan(constraints=given).constraints == (Positivity(),)


def test_refinements_and_rules_are_found():
    assert Plan(refinements="refine positions").refinements == (RefinePositions(),)
    assert GradientDescent(rule="adam").rule.beta1 == 0.9
    assert Plan(constraints=None, refinements=None).constraints == ()


def test_constraints_that_are_bricks_already_stay_the_very_same_tuple():
    plan = Plan()
    assert plan.replace(iterations=3).constraints is plan.constraints  # what was prepared for it still holds


@pytest.mark.parametrize(
    "values, words",
    [
        ({"algorithm": "PIEE"}, "did you mean 'PIE'"),
        ({"algorithm": 5}, "the algorithm is 5; expected an instance"),
        ({"algorithm": None}, "the algorithm is None"),
        ({"algorithm": Positivity()}, "the algorithm is Positivity"),
        ({"constraints": "postivity"}, "did you mean 'Positivity'"),
        ({"constraints": [1]}, "the constraint is 1"),
        ({"constraints": 3.5}, "the constraint is 3.5"),
        ({"constraints": [Every]}, r"Every\(n, constraint\)"),
        ({"constraints": [RefinePositions()]}, "is a refinement, not a constraint"),
        ({"constraints": [Every(2, RefinePositions())]}, "is a refinement, not a constraint"),
        ({"constraints": "RefinePositions"}, "is a refinement, not a constraint"),
        ({"refinements": [Positivity()]}, "is a constraint, not a refinement"),
        ({"loss": "poison"}, "did you mean 'poisson'"),
        ({"loss": 3}, "expected one of 'automatic'"),
    ],
)
def test_what_is_not_understood_is_refused_at_once(values, words):
    with pytest.raises(ParameterError, match=words):
        Plan(**values)


def test_choices_do_not_mind_case():
    assert Plan(loss="Poisson").loss == "poisson"
    assert Preparation(origin="Plane").origin == "plane"
    assert ModelConfig(focus="Middle").focus == "middle"


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Every(0, Positivity()), "n of Every is 0; expected a whole number of at least 1"),
        (lambda: Every(2.5, Positivity()), "n of Every is 2.5"),
        (lambda: From(-1, Positivity()), "first of From is -1"),
        (lambda: Until(True, Positivity()), "last of Until is True"),
        (lambda: Relaxed(1.5, Positivity()), "share of Relaxed is 1.5; expected a number from 0 to 1"),
        (lambda: Every(2, 3), "the constraint is 3"),
        (lambda: Every(2, "PurePhase"), r"one like PurePhase\(\)"),
    ],
)
def test_schedules_check_their_numbers(make, words):
    with pytest.raises(ParameterError, match=words):
        make()


# ------------------------------------------------------------------ numbers of numpy


def as_numpy(value, kind):
    """A number as numpy has it, of some kind that can hold it."""
    if isinstance(value, bool):
        return np.bool_(value) if kind != "0-d" else np.array(value)
    if isinstance(value, int):
        return {"wide": np.int64, "narrow": np.int32, "0-d": np.array}[kind](value)
    if isinstance(value, float):
        return {"wide": np.float64, "narrow": np.float32, "0-d": np.array}[kind](value)
    return np.str_(value) if isinstance(value, str) else value


@pytest.mark.parametrize("kind", ["wide", "narrow", "0-d"])
@pytest.mark.parametrize(
    "cls", [Plan, Preparation, ModelConfig, *BRICKS.values()], ids=lambda c: c.__name__ if isinstance(c, type) else c
)
def test_numbers_of_numpy_are_saved_and_loaded(cls, kind):
    plain = cls()
    brick = cls(**{f.name: as_numpy(getattr(plain, f.name), kind) for f in fields(cls)})
    for field in fields(cls):
        assert not isinstance(getattr(brick, field.name), (np.generic, np.ndarray)), field.name
    assert there_and_back(brick) == brick
    if kind != "narrow":
        assert brick == plain


@pytest.mark.parametrize(
    "schedule",
    [Every(np.int64(2), PurePhase()), From(np.int32(3), PurePhase()), Until(np.array(4), PurePhase())],
    ids=repr,
)
def test_schedules_with_numbers_of_numpy_are_saved_and_loaded(schedule):
    assert there_and_back(schedule) == schedule


def test_a_share_of_numpy_is_saved_and_loaded():
    relaxed = Relaxed(np.float32(0.5), Every(np.uint8(2), Positivity))
    assert there_and_back(relaxed) == relaxed == Relaxed(0.5, Every(2, Positivity()))


# ------------------------------------------------------------------ bricks of one's own


@dataclass(frozen=True)
class Blur(Params):
    """Does nothing, with numbers."""

    width: float = 0.5
    names: tuple[str, ...] = ("a",)

    def prepare(self, problem):
        return lambda state: state


@pytest.fixture
def blur():
    yield register(Blur)
    unregister(Blur)


def test_one_of_your_own_comes_back_when_it_is_registered(blur):
    plan = Plan(constraints=[blur(width=np.float32(0.25)), Every(3, blur(names=("b", "c")))])
    check_saveable(plan)
    assert there_and_back(plan) == plan
    assert Plan(constraints="blur").constraints == (Blur(),)


def test_one_that_is_not_registered_is_refused_with_the_way_to_register_it():
    with pytest.raises(ParameterError, match=r"Blur cannot be saved; make the class known: put @register"):
        to_plain(Plan(constraints=[Blur()]))


def test_a_file_with_a_name_that_is_not_known_says_so():
    with pytest.raises(FileFormatError, match="import the module that registers it"):
        from_plain({"is": "Blur", "width": 1.0})
    with pytest.raises(FileFormatError, match="other fields"):
        from_plain({"is": "ProbeCentre", "wdth": 1.0} | {"is": "Every"})
    for hostile in ("os.system", "builtins.eval", "__import__", ["Plan"], None, 3):
        with pytest.raises(FileFormatError):
            from_plain({"is": hostile, "command": "true"})


def test_a_class_of_yours_with_a_name_of_ours_is_not_taken_for_ours():
    other = dataclass(frozen=True)(type("Positivity", (Blur,), {"__module__": __name__}))
    with pytest.raises(ParameterError, match="there is another Positivity"):
        to_plain(other())
    with pytest.raises(ParameterError, match="there is a Positivity already"):
        register(other)


@pytest.mark.parametrize("value", [np.zeros(3), lambda x: x, {"a": 1}, {1}, object()], ids=repr)
def test_what_a_file_cannot_say_is_refused_and_not_dropped(blur, value):
    with pytest.raises(ParameterError, match=r"Blur\.width is .*cannot be saved"):
        to_plain(Plan(constraints=[blur(width=value)]))


def test_a_cell_that_is_run_again_registers_again(blur):
    again = dataclass(frozen=True)(type("Blur", (Blur,), {"__module__": Blur.__module__, "__qualname__": "Blur"}))
    assert register(again) is again
    assert there_and_back(Plan(constraints=[again()])) == Plan(constraints=[again()])
    unregister(again)


def test_what_is_no_brick_is_not_registered():
    with pytest.raises(ParameterError, match="no method 'prepare'"):
        register(dataclass(frozen=True)(type("Nothing", (), {})))
    with pytest.raises(ParameterError, match="no frozen dataclass"):
        register(type("Loose", (), {"prepare": lambda self, problem: None}))
    with pytest.raises(ParameterError, match="expected a class"):
        register(Blur())
    with pytest.raises(ParameterError, match="did you mean 'refinement'"):
        register(kind="refinment")(Blur)

"""A reconstruction is made of parts and inherits from none; what they have, it has, typed and documented."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import ParameterError
from ptywidgets.reconstruction import reconstruction
from ptywidgets.reconstruction.forwarding import chained, command, derived
from ptywidgets.reconstruction.result.result import Result
from ptywidgets.reconstruction.session.session import COMMANDS, Session
from ptywidgets.reconstruction.strict_traits import SafeTraits

LONGEST = 350  # lines
SET_BY_THE_PROGRAM = {
    *("measurement", "estimates", "start_alternatives", "start_landscape"),
    *("status", "iteration", "message", "doubts"),
}


class Engine:
    """A part."""

    gear = 0

    def start(self, /, gear: int = 1, **others: object) -> None:
        """Begin."""
        self.gear = gear

    def sound(self, how: str = "loud") -> str:
        """What is heard."""
        return f"{how} in gear {self.gear}"

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.gear > 0


class Car:
    """A whole."""

    start = chained("engine", Engine.start)
    sound = command("engine", Engine.sound)
    running = derived("engine", Engine.running)

    def __init__(self) -> None:
        self.engine = Engine()


def test_members_of_a_part_are_those_of_the_whole():
    car = Car()
    assert car.running is False
    assert car.start(gear=2) is car and car.running is True
    assert car.sound() == "loud in gear 2" and car.sound(how="soft") == "soft in gear 2"
    assert Car().running is False  # each has an engine of its own


def test_they_are_documented_as_in_the_part_and_cannot_be_set():
    assert (Car.start.__doc__, Car.sound.__doc__, Car.running.__doc__) == (
        "Begin.",
        "What is heard.",
        "Whether it runs.",
    )
    assert str(inspect.signature(Car().sound)) == "(how: 'str' = 'loud') -> 'str'"
    assert str(inspect.signature(Car().start)).endswith("-> 'Self'")
    with pytest.raises(AttributeError):
        Car().running = True


def test_a_reconstruction_inherits_from_no_part_and_is_short():
    assert Reconstruction.__bases__ == (SafeTraits,)
    assert len(Path(reconstruction.__file__).read_text(encoding="utf-8").splitlines()) < LONGEST


def test_arguments_of_the_constructor_are_written_out_and_typed():
    taken = inspect.signature(Reconstruction.__init__).parameters
    assert all(one.kind is not one.VAR_KEYWORD and one.annotation is not one.empty for one in list(taken.values())[1:])
    own = {name for name in Reconstruction.class_own_traits() if not name.startswith("_")}
    assert set(taken) - {"self", "tilts", "defocus"} == own - SET_BY_THE_PROGRAM


@pytest.mark.parametrize("name", sorted(SET_BY_THE_PROGRAM))
def test_what_the_program_sets_is_no_argument(name):
    with pytest.raises(ParameterError, match=f"unknown argument of Reconstruction '{name}'"):
        Reconstruction(**{name: None})


def test_all_commands_of_the_session_are_commands_of_the_reconstruction():
    assert all(getattr(Reconstruction, name).__doc__ == getattr(Session, name).__doc__ for name in COMMANDS)


def test_what_is_derived_from_the_state_is_the_same_in_both_places(ran):
    names = [name for name, one in vars(Result).items() if isinstance(one, property) and name != "seen"]
    assert len(names) > 20
    for name in names:
        one, other = getattr(ran, name), getattr(ran.result, name)
        assert type(one) is type(other) and getattr(Reconstruction, name).__doc__ == getattr(Result, name).__doc__
    assert ran.losses == ran.result.losses and ran.state is ran.result.state


@pytest.fixture(scope="module")
def ran():
    return Reconstruction(samples.ducky("tiny"), defocus=250).run(1)


def test_the_result_cannot_be_exchanged(ran):
    with pytest.raises(ParameterError, match="result of a Reconstruction cannot be set"):
        ran.result = None

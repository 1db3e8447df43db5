"""Before an automatic run: lens and scan as they were given or found are held against the counts, and corrected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from traitlets import Tuple

from ptywidgets.engine.calibrate import Decision
from ptywidgets.engine.checks.joint_fit import Offsets
from ptywidgets.engine.checks.start_changes import Change, changes, in_words
from ptywidgets.engine.checks.start_check import check_start, checked_names, lens, moved
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.solve.room import moves_positions
from ptywidgets.reconstruction.inputs.beginning import Beginning
from ptywidgets.reconstruction.inputs.unknown import Unknown
from ptywidgets.reconstruction.inputs.who_set import TURN
from ptywidgets.reconstruction.safe import RefusedValueError

SOURCE = "from the counts, before the run"


class Names(Tuple):
    """What is held, by names; a single one will do."""

    def validate(self, obj: Any, value: Any) -> Any:
        try:
            return super().validate(obj, checked_names(value))
        except ParameterError as error:
            raise RefusedValueError(str(error)) from None


class Checking(Beginning, Unknown):
    """The side of :class:`~ptywidgets.Reconstruction` that doubts what it was given.

    A defocus off a knob, a calibration of last year, a rotation by eye: what is given is often some per cent off, and
    no run ever says so. So the automatic schedule looks at a hundredth of the counts first; where they ask for another
    lens or scan, and all counts agree, it takes that, says so, and leaves what is right as it was. Names in
    :attr:`hold` are kept whatever the counts say. A plan of one's own changes nothing that was given, unless it moves
    positions: they need the step and the rotation of the whole scan to be right before each is looked at by itself.
    """

    hold = Names(
        help='What an automatic run keeps: one or several of "aberrations", "rotation", "scan_step", "semiangle".'
    )

    auto: Any
    plan: Any

    def _correct_start(self, problem: Any) -> str:
        """Where the counts say so, take another lens or scan over than `problem` has; says which, or nothing."""
        dataset, measurement = self.dataset, self.measurement
        moving = moves_positions(self.plan.refinements)
        if self.views is not None or dataset is None or measurement is None:
            return ""
        if not (self.find_unknown and (self.auto or moving)):
            return ""
        hold = set(self.hold)
        if self.probe_is_given or not self.auto:
            hold |= {"aberrations", "semiangle"}
        if measurement is not self._prepared:  # somebody has made it, who knew
            hold |= {"rotation", "scan_step"}
        before = self.message
        tell = self._halting(self._tell_check)
        checked = check_start(problem, self.optics, hold=tuple(hold), seed=self.plan.seed, progress=tell)
        self.message = before
        if checked.offsets is None:
            return ""
        changed = changes(checked.offsets, measurement, self.optics, self._given_names)
        self._take_offsets(checked.offsets, changed)
        return in_words(changed)

    @property
    def _given_names(self) -> tuple[str, ...]:
        """Of semi-angle, defocus, astigmatism, coma, rotation and scan step those that somebody has given."""
        found = self._found_names
        measured = [one.name for one in self._data().source.calibration if one.where == "measured"]
        names = [name for name in ("scan_step", "semiangle") if name not in measured]
        lens = self.optics.aberrations
        given = self._who.given(lens)
        if lens.known and given.known:
            names.append("defocus")
        names += [name for name, symbol in (("astigmatism", "C12"), ("coma", "C21")) if given[symbol]]
        if self.preparation.rotation is not None and "rotation" not in found:
            names.append("rotation")
        return tuple(names)

    def _take_offsets(self, offsets: Offsets, told: tuple[Change, ...]) -> None:
        measurement = self.measurement
        assert measurement is not None
        after, given = moved(measurement, offsets), self._given_names
        turned, scaled = after.rotation != measurement.rotation, after.calibration != measurement.calibration
        optics = lens(self.optics, offsets)
        self._taking = True  # the dataset only gets the calibration that was found for it
        try:
            with self.hold_trait_notifications():
                known: dict[str, Any] = {"scan_step": after.calibration.scan_step} if scaled else {}
                if optics.semiangle != self.optics.semiangle:
                    known["semiangle"] = optics.semiangle
                if known:
                    self._recalibrate(origin="measured", **known)
                    after = replace(after, calibration=self._data().calibration)
                if turned or known:
                    after = replace(after, preparation=self.preparation)
                    if turned:
                        turn = {"rotation": after.rotation, "transpose": after.transpose}
                        after = replace(after, preparation=self.preparation.replace(**turn, flip=False))
                        if "rotation" not in given:
                            self._who = self._who.with_found_turn(after.preparation, TURN)
                    self.preparation = after.preparation
                    self.measurement = self._prepared = after
                if optics is not self.optics:
                    self._lens_moves(optics.aberrations)
                    self.optics = optics
                self.start_decisions = _corrected(self.start_decisions, told)
        finally:
            self._taking = False

    def _tell_check(self, words: str) -> None:
        self.message = f"Checking the start: {words}."

    def _halting(self, tell: Callable[[str], None]) -> Callable[[str], None]:
        """The same, which raises Halted where the run is to stop."""

        def told(words: str) -> None:
            self._session.halt()
            tell(words)

        return told


def _corrected(decisions: tuple[Decision, ...], told: tuple[Change, ...]) -> tuple[Decision, ...]:
    """Decisions with what a check has changed; what nothing was decided about before stands at the end."""
    if not decisions:
        return ()
    by_name = {change.name: change for change in told}
    changed = [
        decision
        if (one := by_name.pop(decision.name, None)) is None
        else replace(decision, value=one.value, uncertainty=None, source=SOURCE, sentence=one.sentence)
        for decision in decisions
    ]
    added = [Decision(c.name, c.value, None, c.unit, SOURCE, c.sentence) for c in by_name.values()]
    return (*changed, *added)


__all__ = ["Checking"]

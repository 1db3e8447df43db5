"""Before an automatic run: lens and scan as they were given or found are held against the counts, and corrected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from traitlets import Tuple

from ptywidgets.engine.calibrate import Estimate
from ptywidgets.engine.checks.doubts import CONTRADICTED
from ptywidgets.engine.checks.facts import Facts, Finding
from ptywidgets.engine.checks.joint_fit import Offsets
from ptywidgets.engine.checks.scale import Scale, judge_scale
from ptywidgets.engine.checks.start_changes import Change, changes, in_words, touched
from ptywidgets.engine.checks.start_check import check_start, checked_names, lens, moved
from ptywidgets.engine.core.errors import ParameterError, PtyError
from ptywidgets.engine.solve.room import moves_positions
from ptywidgets.reconstruction.inputs.who_set import TURN
from ptywidgets.reconstruction.strict_traits import RefusedValueError

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

CHECKING = "Checking the start"  # begins what is said meanwhile
SOURCE = "from the counts, before the run"


class Names(Tuple):
    """What is held, by names; a single one will do."""

    def validate(self, obj: Any, value: Any) -> Any:
        try:
            return super().validate(obj, checked_names(value))
        except ParameterError as error:
            raise RefusedValueError(str(error)) from None


class StartCheck:
    """Doubts what a reconstruction was given.

    A defocus off a knob, a calibration of last year, a rotation by eye: what is given is often some per cent off, and
    no run ever says so. So the automatic schedule looks at a hundredth of the counts first; where they ask for another
    lens or scan, and all counts agree, it takes that, says so, and leaves what is right as it was. Names in
    :attr:`hold` are kept whatever the counts say; what they say against them is told at the end. A plan of one's own
    changes nothing that was given, unless it moves positions: they need the step and the rotation of the whole scan to
    be right before each is looked at by itself.
    """

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self._scale: tuple[Any, Finding] | None = None  # the calibration that was taken, and what is in question of it
        self._held: tuple[Finding, ...] = ()  # what the counts say against what is held

    def correct(self, problem: Any) -> str:
        """Where the counts say so, take another lens or scan over than `problem` has; says which, or nothing."""
        recon = self.recon
        dataset, measurement = recon.dataset, recon.measurement
        moving = moves_positions(recon.plan.refinements)
        self._held = ()
        if recon.views is not None or dataset is None or measurement is None:
            return ""
        if measurement.rows_there is not None:  # a part of a scan tells less, and the rest is still to come
            return ""
        if not (recon.find_unknown and (recon.schedule == "automatic" or moving)):
            return ""
        fixed: set[str] = set()  # what is not asked about
        if recon._waves.probe_is_given or recon.schedule == "manual":
            fixed |= {"aberrations", "semiangle"}
        if measurement is not recon._inputs.prepared:  # somebody has made it, who knew
            fixed |= {"rotation", "scan_step"}
        before, hold, given = recon.message, fixed | set(recon.hold), self.given_names
        scale = self._asked_for(problem, fixed, given, hold)
        if scale is not None and (against := touched(scale.offsets) & set(recon.hold)):
            self._held = self._against(scale, given, against)
            scale = self._asked_for(problem, hold, given, hold)
        recon._session.halt()  # stopped during the last part, nothing is taken over
        recon.message = before
        if scale is None:
            return ""
        changed = self._changes(scale, given)
        self.take_offsets(scale.offsets, changed)
        self._scale = None if scale.finding is None else (recon._inputs.calibration, scale.finding)
        return in_words(changed)

    def _asked_for(self, problem: Any, fixed: set[str], given: tuple[str, ...], hold: set[str]) -> Scale | None:
        """How the counts ask for another lens or scan, of which `fixed` is as it is; None where they do not."""
        recon = self.recon
        tell = self._halting(self._tell_check)
        checked = check_start(problem, recon.optics, hold=tuple(fixed), seed=recon.plan.seed, progress=tell)
        return None if checked.offsets is None else self._judged(checked.offsets, given, hold)

    def _changes(self, scale: Scale, given: tuple[str, ...]) -> tuple[Change, ...]:
        recon = self.recon
        assert recon.measurement is not None
        return changes(scale.offsets, recon.measurement, recon.optics, given, told=scale.finding is None)

    def _against(self, scale: Scale, given: tuple[str, ...], held: frozenset[str]) -> tuple[Finding, ...]:
        """What the counts say of `held`, which is kept; nothing where a run does not see it."""
        words = in_words(change for change in self._changes(scale, given) if change.held in held)
        if not words:
            return ()
        remedy = "It is held and was not changed: release it (hold), or check what else was given."
        return (Finding(CONTRADICTED, "bad", None, "", words, remedy),)

    def _judged(self, offsets: Offsets, given: tuple[str, ...], hold: set[str]) -> Scale:
        """Whether the step is wrong or the camera length, as far as the disk and what was given tell."""
        recon, dataset = self.recon, self.recon._inputs.data()
        facts = Facts(dataset, recon.measurement, recon.optics)
        try:
            disk = facts.disk if recon.optics.vacuum is None else facts.vacuum_disk
        except PtyError:  # there is none
            disk = None
        return judge_scale(offsets, dataset.calibration, recon.optics, disk, given, hold)

    @property
    def doubts(self) -> tuple[Finding, ...]:
        """What the counts say against what is held; and what is in question together, as long as nobody has given
        another calibration."""
        known = self.recon._inputs.calibration
        scale = (self._scale[1],) if self._scale is not None and self._scale[0] is known else ()
        return (*self._held, *scale)

    def confirm_calibration(self) -> None:
        """Somebody has given the calibration as it is: what was in question with it is not any more."""
        self._scale = None

    def doubt_again(self, findings: Iterable[Finding]) -> None:
        """What was in question before it was saved still is."""
        held, scale = [], None
        for finding in findings:
            if finding.name == CONTRADICTED:
                held.append(finding)
            else:
                scale = (self.recon._inputs.calibration, finding)
        self._held, self._scale = tuple(held), scale

    @property
    def given_names(self) -> tuple[str, ...]:
        """Of semi-angle, defocus, astigmatism, coma, rotation and scan step those that somebody has given."""
        recon, inputs = self.recon, self.recon._inputs
        found = inputs.found_names
        measured = [one.name for one in inputs.data().source.calibration if one.where == "measured"]
        names = [name for name in ("scan_step", "semiangle", "q_pixel") if name not in measured]
        lens = recon.optics.aberrations
        given = inputs.who.given(lens)
        if lens.known and given.known:
            names.append("defocus")
        names += [name for name, symbol in (("astigmatism", "C12"), ("coma", "C21")) if given[symbol]]
        if recon.preparation.rotation is not None and "rotation" not in found:
            names.append("rotation")
        return tuple(names)

    def take_offsets(self, offsets: Offsets, told: tuple[Change, ...]) -> None:
        recon, inputs = self.recon, self.recon._inputs
        measurement = recon.measurement
        assert measurement is not None
        after, given = moved(measurement, offsets), self.given_names
        turned, scaled = after.rotation != measurement.rotation, after.calibration != measurement.calibration
        optics = lens(recon.optics, offsets)
        inputs.taking = True  # the dataset only gets the calibration that was found for it
        try:
            with recon.hold_trait_notifications():
                known: dict[str, Any] = {}
                if scaled:
                    known = {name: getattr(after.calibration, name) for name in ("scan_step", "q_pixel")}
                    known = {n: v for n, v in known.items() if v != getattr(measurement.calibration, n)}
                if optics.semiangle != recon.optics.semiangle and offsets.pixel == 1:  # else it is as it was given
                    known["semiangle"] = optics.semiangle
                if known:
                    inputs.recalibrate(origin="measured", **known)
                    after = replace(after, calibration=inputs.data().calibration)
                if turned or known:
                    after = replace(after, preparation=recon.preparation)
                    if turned:
                        turn = {"rotation": after.rotation, "transpose": after.transpose}
                        after = replace(after, preparation=recon.preparation.replace(**turn, flip=False))
                        if "rotation" not in given:
                            inputs.who = inputs.who.with_found_turn(after.preparation, TURN)
                    recon.preparation = after.preparation
                    recon.measurement = inputs.prepared = after
                if optics is not recon.optics:
                    recon._calibrator.move_lens(optics.aberrations)
                    recon.optics = optics
                recon.estimates = _corrected(recon.estimates, told)
        finally:
            inputs.taking = False

    def _tell_check(self, words: str) -> None:
        recon = self.recon
        recon.message = f"{CHECKING}: {words}."

    def _halting(self, tell: Callable[[str], None]) -> Callable[[str], None]:
        """The same, which raises Halted where the run is to stop."""
        recon = self.recon

        def told(words: str) -> None:
            recon._session.halt()
            tell(words)

        return told


def _corrected(estimates: tuple[Estimate, ...], told: tuple[Change, ...]) -> tuple[Estimate, ...]:
    """Estimates with what a check has changed; what nothing was estimated of before stands at the end."""
    if not estimates:
        return ()
    by_name = {change.name: change for change in told}
    changed = [
        estimate
        if (one := by_name.pop(estimate.name, None)) is None
        else replace(estimate, value=one.value, uncertainty=None, source=SOURCE, sentence=one.sentence, told=None)
        for estimate in estimates
    ]
    added = [Estimate(c.name, c.value, None, c.unit, SOURCE, c.sentence) for c in by_name.values()]
    return (*changed, *added)


__all__ = ["Names", "StartCheck"]

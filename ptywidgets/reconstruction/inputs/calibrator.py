"""Finds calibration, orientation and optics from the data, takes them over, and lets somebody choose another start."""

from __future__ import annotations

import dataclasses
import operator
import threading
from typing import TYPE_CHECKING, Any

from ptywidgets.engine.calibrate import CalibrationResult, Orientation, calibrate, find_orientation
from ptywidgets.engine.calibrate.certainty import question
from ptywidgets.engine.calibrate.chosen import chosen_aberrations, chosen_estimates, in_words
from ptywidgets.engine.calibrate.estimates import CANNOT, FLIP, GIVEN, Estimate
from ptywidgets.engine.checks.doctor import Finding, examine
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import check_options
from ptywidgets.engine.core.stopping import WorkStopped, check_stop_function
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import Measurement, reorient, wrapped_angle
from ptywidgets.reconstruction.inputs.who_set import TURN, found_by

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

OF_ALTERNATIVES = (
    "rotation",
    "transpose",
    FLIP,
    "defocus",
    "astigmatism",
    "coma",
)  # estimates that each has its own of


class _Search:
    """A search for a start that goes on, on some thread."""

    def __init__(self) -> None:
        self.stop, self.done, self.thread = threading.Event(), threading.Event(), threading.get_ident()


class Calibrator:
    """What of a reconstruction's start is found from its data."""

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self._searches: tuple[_Search, ...] = ()  # that go on now

    def calibrate(self, /, **known: Any) -> CalibrationResult:
        """Estimate calibration, rotation, transpose and aberrations from the data, and take them over.

        Of aberrations set before, those that are not looked for are kept, and of the defocus the sign is used. A model
        of several slices tells its thickness; what is found is the defocus of its middle, which its focus becomes.

        Parameters
        ----------
        **known
            As of :func:`ptywidgets.engine.calibrate.calibrate`, such as ``rotation=-15`` (degrees).

        Returns
        -------
        CalibrationResult
            What was found; each estimate with value, uncertainty and reason is also in :attr:`estimates`.

        Raises
        ------
        WorkStopped
            Where :meth:`stop` was called meanwhile, on another thread or by `progress`: then nothing is changed.
        """
        recon, inputs = self.recon, self.recon._inputs
        check_options(calibrate, known)
        check_stop_function(known.get("stop"))  # it is asked along with the button that stops
        dataset = inputs.data()
        recon._session.require_idle("look for a start")
        known.setdefault("preparation", recon.preparation.replace(rotation=None, transpose=None, flip=False))
        given = inputs.who.given(recon.optics.aberrations)  # also a defocus of 0, kept where none is found
        if given or given.known:
            known.setdefault("aberrations", given)
        somebodys = recon.views is None and not recon._work.model_is_found  # of a volume the slices differ
        if somebodys and recon.model.slices > 1:
            known.setdefault("thickness", recon.model.thickness)
        there = (dataset, recon.optics, recon.preparation, recon.model)
        vacuum, looked_at = recon.optics.vacuum, dataset
        if vacuum is not None and vacuum.shape == dataset.detector_shape:
            looked_at = dataset.with_vacuum(vacuum)  # the aperture that the probe will have
        start = self._stoppable(looked_at, known)
        recon._session.require_idle("take a start over")
        now = (recon.dataset, recon.optics, recon.preparation, recon.model)
        if any(one is not other for one, other in zip(there, now, strict=True)):
            raise ParameterError(
                "data, optics, preparation or model were changed while a start was looked for; what was found is "
                "not of what is there now and was not taken over: look again."
            )
        self._take_over(start)
        asked = question(start)
        told = f"Start found in {start.seconds:.1f} s." if asked is None else str(asked)
        recon.message = " ".join([*start.measurement.notes, told])
        return start

    def _stoppable(self, dataset: Any, known: dict[str, Any]) -> CalibrationResult:
        """A start, unless somebody stops the search."""
        recon, search, asked = self.recon, _Search(), known.pop("stop", None)
        self._searches = (*self._searches, search)
        stop = search.stop.is_set if asked is None else lambda: search.stop.is_set() or asked()
        try:
            return calibrate(dataset, stop=stop, **known)
        except WorkStopped:
            recon.message = "The search for the start was stopped; nothing was changed."
            raise WorkStopped(recon.message) from None
        finally:
            self._searches = tuple(one for one in self._searches if one is not search)
            search.done.set()

    def stop_searches(self, wait: float | None = 0.0) -> None:
        """End what :meth:`calibrate` is doing on other threads, and wait so long for it, s; None: to the end."""
        for search in self._searches:
            search.stop.set()
            if search.thread != threading.get_ident():
                search.done.wait(wait)

    def _take_over(self, start: CalibrationResult) -> None:
        recon, inputs = self.recon, self.recon._inputs
        free = [n for n in TURN if start.estimate(n).source != GIVEN]
        dataset, measurement, lens = inputs.data(), start.measurement, recon.optics
        inputs.taking = True  # the dataset only gets the calibration that was found for it
        try:
            with recon.hold_trait_notifications():
                if measurement.calibration != dataset.calibration:
                    inputs.recalibrate(origin="measured", **dataclasses.asdict(measurement.calibration))
                    recon.initial_image = None
                inputs.leave_out(measurement)
                turn = {"rotation": measurement.rotation, "transpose": measurement.transpose}
                told = {n: v for n, v in turn.items() if start.estimate(n).source != CANNOT}
                # What is not told stays, as nothing is better.
                before = {n: getattr(recon.preparation, n) for n in turn if n not in told}
                recon.preparation = measurement.preparation.replace(**told, **before)
                if any(value is not None for value in before.values()):
                    measurement = reorient(measurement, recon.preparation)
                recon.optics = start.optics
                inputs.who = inputs.who.with_found(found_by(start))
                recon.measurement = inputs.prepared = measurement
                recon.estimates = start.estimates
                self.offer(start, taken=start.fit.found)
                recon._work.take_thickness(start.thickness)
                if recon.model.slices > 1:
                    recon.model = recon.model.replace(focus="middle")
        finally:
            inputs.taking = False
        if any(value is not None for value in before.values()):  # which is not what was looked at
            inputs.revise(turn, {"rotation": measurement.rotation, "transpose": measurement.transpose})
        self._keep_aperture(lens)
        inputs.who = inputs.who.with_found_turn(recon.preparation, free)

    def apply(self, start: CalibrationResult) -> None:
        """Take a start over, and keep what the optics have been given."""
        recon, inputs = self.recon, self.recon._inputs
        lens = recon.optics
        self._take_over(start)
        if lens.aberrations.known:  # held, but for the last digit of a fit
            recon.optics = recon.optics.replace(aberrations=lens.aberrations)
            inputs.who = inputs.who.with_given(lens.aberrations)

    def _keep_aperture(self, before: Optics) -> None:
        """Where somebody has drawn another aperture than the data state, that is the one."""
        recon = self.recon
        stated = (recon._inputs.data().calibration.semiangle, Optics().rolloff)
        if before.vacuum is None and before.semiangle is not None and (before.semiangle, before.rolloff) != stated:
            recon.optics = recon.optics.replace(semiangle=before.semiangle, rolloff=before.rolloff)

    def offer(self, start: CalibrationResult, taken: bool = True) -> None:
        """Keep what else a start could be; the first is in use now, or all of them wait for somebody to choose."""
        recon, inputs = self.recon, self.recon._inputs
        inputs.who = inputs.who.with_start(start, recon.optics.aberrations, taken)
        recon.start_alternatives, recon.start_landscape = start.alternatives, start.landscape

    def move_lens(self, after: Aberrations) -> None:
        """Set other aberrations, of which the change is the program's and not somebody's."""
        recon, inputs = self.recon, self.recon._inputs
        before = recon.optics.aberrations
        recon.optics = recon.optics.replace(aberrations=after)
        inputs.who = inputs.who.with_moved(before, after)

    @property
    def taken_alternative(self) -> int | None:
        """Which of :attr:`start_alternatives` is in use, from 0; None where it is none of them, or changed since."""
        recon = self.recon
        return recon._inputs.who.taken(recon.rotation, recon.transpose, recon.optics.aberrations)

    def take_alternative(self, index: int) -> None:
        """Begin with another of :attr:`start_alternatives`; the next run starts anew with it.

        Rotation, transpose and defocus become those of the alternative. Other aberrations that were found are left out
        with another orientation, and have the opposite sign with the one turned by 180 degrees; given ones are kept.
        Alternative 0 is what was found, with all of its aberrations.

        Parameters
        ----------
        index : int
            From 0, as they are in the tuple.

        Raises
        ------
        ParameterError
            Where there is no such alternative, or while a run is active.

        Examples
        --------
        >>> from ptywidgets import Reconstruction, samples
        >>> recon = Reconstruction(samples.ducky("tiny"))
        >>> start = recon.calibrate()
        >>> if len(recon.start_alternatives) > 1:
        ...     recon.take_alternative(1)
        >>> recon.run(1).iteration
        1
        """
        recon, inputs = self.recon, self.recon._inputs
        number = self._checked_alternative(index)
        recon._session.require_idle("take another start")
        asked, own = inputs.who.offered, inputs.who.given_since(recon.optics.aberrations)
        if asked is not None:
            self.apply(asked)
        start, alternatives = inputs.who.found_start, recon.start_alternatives
        assert start is not None
        one = alternatives[number]
        found = start.aberrations.replace(**own)
        turn, lens, estimates = (start.rotation, start.transpose), found, start.estimates
        plain = start.aberrations  # without what somebody has set since
        if number or (asked is not None and not asked.fit.found):  # of what was not told none was taken
            turn = (float(one.rotation), bool(one.transpose))
            lens = chosen_aberrations(one, start, found, start.found - set(own))
            plain = chosen_aberrations(one, start, plain, start.found)
            estimates = chosen_estimates(alternatives, number, start, plain)
        estimates = inputs.revised_lens(_with_the_rest(estimates, recon.estimates), plain, lens)
        inputs.taking = True  # the dataset may only be told what its measurement leaves out
        try:
            with recon.hold_trait_notifications():
                self._turn_round(*turn)
                given = {"C10"} if start.estimates and _estimate(start.estimates, "defocus").source == GIVEN else set()
                names = (start.found | {"C10"}) - set(own) - given
                inputs.who = inputs.who.with_found({n: v for n, v in lens.cartesian.items() if n in names})
                if lens != recon.optics.aberrations:
                    recon.optics = recon.optics.replace(aberrations=lens)
                recon.estimates = estimates
                inputs.who = inputs.who.with_taken(number, turn, lens, own)
        finally:
            inputs.taking = False
        turned = "transposed" if turn[1] else "not transposed"
        recon.message = (
            f"The next run begins with {in_words(alternatives, number)}: rotation {turn[0]:.1f} degrees, {turned}, "
            f"defocus {lens['defocus']:.4g} A."
        )

    def _checked_alternative(self, index: int) -> int:
        recon = self.recon
        count = len(recon.start_alternatives)
        if not count:
            raise ParameterError(
                "there are no alternatives to take: calibrate() looks for them, and other data or another calibration "
                "forget them."
            )
        try:
            number = -1 if isinstance(index, bool) else operator.index(index)
        except TypeError:
            number = -1
        if not 0 <= number < count:
            raise ParameterError(
                f"alternative {index!r} is none of the {count} that there are; expected a whole number from 0 to "
                f"{count - 1}, their place in start_alternatives."
            )
        return number

    def _turn_round(self, rotation: float, transpose: bool) -> None:
        """Read the data with another orientation, where they are not read with it already."""
        recon, inputs = self.recon, self.recon._inputs
        there = recon.measurement
        if there is None or there.transpose != transpose or abs(wrapped_angle(there.rotation - rotation)) > 1e-6:
            recon.preparation = recon.preparation.replace(rotation=rotation, transpose=transpose, flip=False)
            recon.measurement = inputs.prepared = inputs.as_asked()
            inputs.leave_out(recon.measurement)
            inputs.who = inputs.who.with_found_turn(recon.preparation, [name for name, _ in inputs.who.found_turn])

    def find_orientation(self) -> Orientation:
        """The eight ways in which detector and scan may lie to each other, compared; nothing is changed by it.

        Where a search for a start has found the orientation, its word counts.
        """
        recon = self.recon
        found = recon._inputs.who.found_start
        free = found is not None and not any(d.source == GIVEN for d in found.estimates if d.name in TURN)
        trials = recon.start_alternatives if free else ()
        return find_orientation(recon._images.bright_field(), recon.measurement, recon.optics, trials=trials)

    def orient(self, rotation: float, transpose: bool) -> Measurement:
        """Prepare with another orientation; aberrations that :meth:`calibrate` found turn with it.

        The data ask for the opposite of all aberrations when they are read with half a turn more: what was found from
        them is one of these two readings. Aberrations that somebody has set are left as they are.
        """
        recon, inputs = self.recon, self.recon._inputs
        wanted = recon.preparation.replace(rotation=rotation).rotation  # checked there
        before, found = recon.rotation, inputs.who.found(recon.optics.aberrations)
        measurement = inputs.prepare(rotation=None if wanted is None else wrapped_angle(wanted), transpose=transpose)
        half_a_turn = before is not None and abs(wrapped_angle(measurement.rotation - before)) > 135
        values = {n: -v if n in found else v for n, v in recon.optics.aberrations.cartesian.items() if v}
        if half_a_turn and found & set(values):
            self.move_lens(Aberrations(**values))
            recon.message = (
                f"Read with {measurement.rotation:.2f} degrees; the aberrations that were found have the opposite sign."
            )
        return measurement

    def examine(self) -> tuple[Finding, ...]:
        """Check data, calibration and start; a tuple of findings, each with a verdict and a sentence of advice."""
        recon = self.recon
        return examine(recon._inputs.data(), recon.measurement, recon.optics)


def _with_the_rest(chosen: tuple[Estimate, ...], present: tuple[Estimate, ...]) -> tuple[Estimate, ...]:
    """Estimates of an alternative, and the present ones of what no alternative changes, such as the scan step."""
    rest = {one.name: one for one in present if one.name not in OF_ALTERNATIVES}
    known = {one.name for one in chosen}
    return (*(rest.get(one.name, one) for one in chosen), *(one for name, one in rest.items() if name not in known))


def _estimate(estimates: tuple[Estimate, ...], name: str) -> Estimate:
    return next(estimate for estimate in estimates if estimate.name == name)


__all__ = ["Calibrator"]

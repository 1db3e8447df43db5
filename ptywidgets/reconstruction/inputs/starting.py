"""What a reconstruction begins with: prepared data, a start found from them, a first image by a direct method."""

from __future__ import annotations

import dataclasses
import operator
from typing import Any

from traitlets import Instance, Tuple

from ptywidgets.engine import direct
from ptywidgets.engine.calibrate import Orientation, Start, find_orientation, find_start
from ptywidgets.engine.calibrate.alternatives import Landscape
from ptywidgets.engine.calibrate.certainty import question
from ptywidgets.engine.calibrate.chosen import chosen_aberrations, chosen_decisions, in_words
from ptywidgets.engine.calibrate.decisions import CANNOT, GIVEN, Decision
from ptywidgets.engine.calibrate.flip import resolve_flip
from ptywidgets.engine.checks.doctor import Finding, examine
from ptywidgets.engine.core.errors import ParameterError, look_up
from ptywidgets.engine.core.params import check_options
from ptywidgets.engine.direct import BrightField, DirectImage, bright_field, start_object
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import Measurement, prepare, reorient, wrapped_angle
from ptywidgets.engine.preprocess.measurement import left_out_alike
from ptywidgets.reconstruction.inputs.inputs import Inputs, same_origin
from ptywidgets.reconstruction.inputs.who_set import TURN, WhoSet, found_by

METHODS = ("dpc", "parallax", "ssb", "obf", "wdd")
SAME = 2.0  # degrees: an image is still a start for data that are read with a rotation so near to its own


class Starting(Inputs):
    """The side of :class:`~ptywidgets.Reconstruction` that comes before the first iteration."""

    start_image = Instance(DirectImage, allow_none=True, help="What the next fresh run begins from; None: empty.")
    start_decisions = Tuple(help="What find_start() decided: name, value, uncertainty, source, sentence of each.")
    start_alternatives = Tuple(help="What the start could be instead, the most probable first: Alternative objects.")
    start_landscape = Instance(Landscape, allow_none=True, help="All that a search for the start has tried.")

    rotation: Any
    transpose: Any
    composition: Any
    _forget_object: Any
    _apply_start: Any
    _who = WhoSet()
    _bright: tuple[Any, BrightField] | None = None
    _prepared: Measurement | None = None  # the measurement that was made here; another one was given
    _started_from = "empty"  # what the present run began from, for the record

    # ---------------------------------------------------------------- the data

    def prepare(self, **changes: Any) -> Measurement:
        """Prepare the data; keyword arguments change single fields of :attr:`preparation` first.

        Where no rotation is given and the curl leaves the 180-degree ambiguity, a known defocus decides. Of a tilt
        series the tilt that is looked at is prepared, and the others alike when they are needed.
        """
        self._data()
        self._require_idle("prepare anew")
        self.preparation = self.preparation.replace(**changes)
        return self._prepare()

    def _as_asked(self) -> Measurement:
        """The measurement that the preparation asks for; data are read only where their origin is another one."""
        if self.measurement is not None and same_origin(self.measurement, self.preparation):
            return reorient(self.measurement, self.preparation)
        return prepare(self._data(), self.preparation)

    def _prepare(self) -> Measurement:
        measurement = self._as_asked()
        message = measurement.rotation_fit.message
        if self._can_resolve_flip():
            test = resolve_flip(measurement, self.optics)
            given = self.preparation.rotation is not None or self.preparation.flip
            if test.resolved and test.rotation != measurement.rotation and not given:
                measurement = reorient(measurement, self.preparation.replace(rotation=test.rotation))
            message = f"{message.split(';')[0].rstrip('.')}; {test.message}"
        message = message[:1].upper() + message[1:]
        self.measurement = self._prepared = measurement
        self._leave_out(measurement)
        self.message = " ".join([*measurement.notes, message])
        return measurement

    def _leave_out(self, measurement: Measurement) -> None:
        """Let the dataset say what its measurement leaves out, so that images of it and what is saved do, too."""
        dataset = self.dataset
        if dataset is None or self.views is not None or dataset.scan_shape != measurement.scan_shape:
            return
        masked = left_out_alike(dataset, measurement)
        if masked is not dataset:
            before, self._taking = self._taking, True
            try:
                self.dataset = masked
            finally:
                self._taking = before

    def _can_resolve_flip(self) -> bool:
        has_aperture = self.optics.vacuum is not None or self.optics.semiangle is not None
        return has_aperture and self.optics.aberrations["C10"] != 0

    def find_start(self, **known: Any) -> Start:
        """Find calibration, rotation, transpose and aberrations from the data, and take them over.

        Of aberrations set before, those that are not looked for are kept, and of the defocus the sign is used. A model
        of several slices tells its thickness; what is found is the defocus of its middle, which its focus becomes.

        Parameters
        ----------
        **known
            As of :func:`ptywidgets.engine.calibrate.find_start`, such as ``rotation=-15`` (degrees).

        Returns
        -------
        Start
            What was found; each decision with value, uncertainty and reason is also in :attr:`start_decisions`.
        """
        check_options(find_start, known)
        dataset = self._data()
        self._require_idle("look for a start")
        known.setdefault("preparation", self.preparation.replace(rotation=None, transpose=None, flip=False))
        given = self._who.given(self.optics.aberrations)  # also a defocus of 0, which is kept where none is found
        if given or given.known:
            known.setdefault("aberrations", given)
        if self.composition.slices > 1 and self.views is None:  # of a volume the slices differ
            known.setdefault("thickness", self.composition.thickness)
        there = (dataset, self.optics, self.preparation, self.composition)
        vacuum, looked_at = self.optics.vacuum, dataset
        if vacuum is not None and vacuum.shape == dataset.detector_shape:
            looked_at = dataset.with_vacuum(vacuum)  # the aperture that the probe will have
        start = find_start(looked_at, **known)
        self._require_idle("take a start over")
        now = (self.dataset, self.optics, self.preparation, self.composition)
        if any(one is not other for one, other in zip(there, now, strict=True)):
            raise ParameterError(
                "data, optics, preparation or composition were changed while a start was looked for; what was found is "
                "not of what is there now and was not taken over: look again."
            )
        self._take_over(start)
        asked = question(start)
        told = f"Start found in {start.seconds:.1f} s." if asked is None else str(asked)
        self.message = " ".join([*start.measurement.notes, told])
        return start

    def _take_over(self, start: Start) -> None:
        dataset, measurement, lens = self._data(), start.measurement, self.optics
        self._taking = True  # the dataset only gets the calibration that was found for it
        try:
            with self.hold_trait_notifications():
                if measurement.calibration != dataset.calibration:
                    self._recalibrate(origin="measured", **dataclasses.asdict(measurement.calibration))
                    self.start_image = None
                self._leave_out(measurement)
                turn = {"rotation": measurement.rotation, "transpose": measurement.transpose}
                told = {n: v for n, v in turn.items() if start.decision(n).source != CANNOT}
                before = {n: getattr(self.preparation, n) for n in turn if n not in told}  # stays, as nothing is better
                self.preparation = measurement.preparation.replace(**told, **before)
                if any(value is not None for value in before.values()):
                    measurement = reorient(measurement, self.preparation)
                self.optics = start.optics
                self._who = self._who.with_found(found_by(start))
                self.measurement = self._prepared = measurement
                self.start_decisions = start.decisions
                self._offer(start, taken=start.fit.found)
                if self.composition.slices > 1:
                    self.composition = self.composition.replace(focus="middle")
        finally:
            self._taking = False

        self._keep_aperture(lens)

    def _keep_aperture(self, before: Optics) -> None:
        """Where somebody has drawn another aperture than the data state, that is the one."""
        stated = (self._data().calibration.semiangle, Optics().rolloff)
        if before.vacuum is None and before.semiangle is not None and (before.semiangle, before.rolloff) != stated:
            self.optics = self.optics.replace(semiangle=before.semiangle, rolloff=before.rolloff)

    def _offer(self, start: Start, taken: bool = True) -> None:
        """Keep what else a start could be; the first is in use now, or all of them wait for somebody to choose."""
        self._who = self._who.with_start(start, self.optics.aberrations, taken)
        self.start_alternatives, self.start_landscape = start.alternatives, start.landscape

    def _forget(self) -> None:
        super()._forget()
        self._who = WhoSet(self._who.found_aberrations, self._who.found_turn)

    def _lens_moves(self, after: Aberrations) -> None:
        """Set other aberrations, of which the change is the program's and not somebody's."""
        before = self.optics.aberrations
        self.optics = self.optics.replace(aberrations=after)
        self._who = self._who.with_moved(before, after)

    @property
    def taken_alternative(self) -> int | None:
        """Which of :attr:`start_alternatives` is in use, from 0; None where it is none of them, or changed since."""
        return self._who.taken(self.rotation, self.transpose, self.optics.aberrations)

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
        >>> start = recon.find_start()
        >>> if len(recon.start_alternatives) > 1:
        ...     recon.take_alternative(1)
        >>> recon.run(1).iteration
        1
        """
        number = self._checked_alternative(index)
        self._require_idle("take another start")
        asked, own = self._who.offered, self._who.given_since(self.optics.aberrations)
        if asked is not None:
            self._apply_start(asked)
        start, alternatives = self._who.found_start, self.start_alternatives
        assert start is not None
        one = alternatives[number]
        found = start.aberrations.replace(**own)
        turn, lens, decisions = (start.rotation, start.transpose), found, start.decisions
        if number or (asked is not None and not asked.fit.found):  # of what was not told none was taken
            turn = (float(one.rotation), bool(one.transpose))
            lens = chosen_aberrations(one, start, found, start.found - set(own))
            decisions = chosen_decisions(alternatives, number, start, lens)
        self._taking = True  # the dataset may only be told what its measurement leaves out
        try:
            with self.hold_trait_notifications():
                self._turn_round(*turn)
                given = {"C10"} if start.decisions and _decision(start.decisions, "defocus").source == GIVEN else set()
                names = (start.found | {"C10"}) - set(own) - given
                self._who = self._who.with_found({n: v for n, v in lens.cartesian.items() if n in names})
                if lens != self.optics.aberrations:
                    self.optics = self.optics.replace(aberrations=lens)
                self.start_decisions = decisions
                self._who = self._who.with_taken(number, turn, lens, own)
        finally:
            self._taking = False
        turned = "transposed" if turn[1] else "not transposed"
        self.message = (
            f"The next run begins with {in_words(alternatives, number)}: rotation {turn[0]:.1f} degrees, {turned}, "
            f"defocus {lens['defocus']:.4g} A."
        )

    def _checked_alternative(self, index: int) -> int:
        count = len(self.start_alternatives)
        if not count:
            raise ParameterError(
                "there are no alternatives to take: find_start() looks for them, and other data or another calibration "
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
        there = self.measurement
        if there is None or there.transpose != transpose or abs(wrapped_angle(there.rotation - rotation)) > 1e-6:
            self.preparation = self.preparation.replace(rotation=rotation, transpose=transpose, flip=False)
            self.measurement = self._prepared = self._as_asked()
            self._leave_out(self.measurement)
            self._who = self._who.with_found_turn(self.preparation, [name for name, _ in self._who.found_turn])

    def find_orientation(self) -> Orientation:
        """The eight ways in which detector and scan may lie to each other, compared; nothing is changed by it.

        Where a search for a start has found the orientation, its word counts.
        """
        found = self._who.found_start
        free = found is not None and not any(d.source == GIVEN for d in found.decisions if d.name in TURN)
        trials = self.start_alternatives if free else ()
        return find_orientation(self.bright_field(), self.measurement, self.optics, trials=trials)

    def orient(self, rotation: float, transpose: bool) -> Measurement:
        """Prepare with another orientation; aberrations that :meth:`find_start` found turn with it.

        The data ask for the opposite of all aberrations when they are read with half a turn more: what was found from
        them is one of these two readings. Aberrations that somebody has set are left as they are.
        """
        wanted = self.preparation.replace(rotation=rotation).rotation  # checked there
        before, found = self.rotation, self._who.found(self.optics.aberrations)
        measurement = self.prepare(rotation=None if wanted is None else wrapped_angle(wanted), transpose=transpose)
        half_a_turn = before is not None and abs(wrapped_angle(measurement.rotation - before)) > 135
        values = {n: -v if n in found else v for n, v in self.optics.aberrations.cartesian.items() if v}
        if half_a_turn and found & set(values):
            self._lens_moves(Aberrations(**values))
            self.message = (
                f"Read with {measurement.rotation:.2f} degrees; the aberrations that were found have the opposite sign."
            )
        return measurement

    def examine(self) -> tuple[Finding, ...]:
        """Check data, calibration and start; a tuple of findings, each with a verdict and a sentence of advice."""
        return examine(self._data(), self.measurement, self.optics)

    # ---------------------------------------------------------------- direct methods

    def bright_field(self) -> BrightField:
        """The scan images of the aperture's detector pixels; kept until the data or their origin change."""
        dataset, measurement = self._data(), self.measurement or self._prepare()
        gathered = (dataset.data, dataset.calibration, measurement.origin)
        if self._bright is None or not _alike(self._bright[0], gathered):
            self._bright = (gathered, bright_field(dataset, measurement))
        return self._bright[1].turned(measurement.rotation, measurement.transpose)

    def direct(self, method: str = "ssb", **options: Any) -> DirectImage:
        """The phase by a direct method, with the present rotation and aberrations.

        Parameters
        ----------
        method : {"dpc", "parallax", "ssb", "obf", "wdd"}
        **options
            Of the function of that name in :mod:`ptywidgets.engine.direct`.
        """
        method = look_up("direct method", method, METHODS)
        check_options(getattr(direct, method), options)
        if method == "dpc":
            return direct.dpc(self.measurement or self._prepare(), **options)
        if method == "parallax":
            return direct.corrected(direct.parallax(self.bright_field(), **options))
        if method == "wdd":  # it uses electrons beyond the aperture, too
            return direct.wdd(self._data(), self.optics, measurement=self.measurement or self._prepare(), **options)
        return getattr(direct, method)(self.bright_field(), self.optics, **options)

    def start_from(self, image: DirectImage | None) -> None:
        """Let the next run begin anew, from this image instead of an empty object; None: from empty again.

        Examples
        --------
        >>> from ptywidgets import Reconstruction, samples
        >>> recon = Reconstruction(samples.ducky("tiny"), defocus=250)
        >>> recon.start_from(recon.direct("dpc"))
        >>> recon.run(1).started_from
        'DirectImage(dpc, 12x12, 1.5 A pixels)'
        """
        if image is not None:
            self._forget_object()  # the latest wish holds
        self.start_image = image
        self._stale = True

    @property
    def started_from(self) -> str:
        """What the present run began from: "empty", or the words of an image."""
        return self._started_from

    def _begin_from_image(self, problem: Any) -> Any:
        """A fresh problem, with the object that :meth:`start_from` asked for."""
        image, measurement = self.start_image, problem.measurement
        self._started_from = "empty"
        if image is None:
            return problem
        if self.views is not None:
            self.message = "Started from empty: the image of one tilt is no volume."
            return problem
        turned = abs(wrapped_angle(image.rotation - measurement.rotation))
        if turned > SAME or image.transpose != measurement.transpose:
            self.message = f"Started from empty: the {image.method} image was made with another rotation."
            return problem
        self._started_from = repr(image)
        return dataclasses.replace(problem, first_object=start_object(image, problem))


def _decision(decisions: tuple[Decision, ...], name: str) -> Decision:
    return next(decision for decision in decisions if decision.name == name)


def _alike(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return one[0] is other[0] and one[1] == other[1] and one[2] is other[2]


__all__ = ["METHODS", "Starting"]

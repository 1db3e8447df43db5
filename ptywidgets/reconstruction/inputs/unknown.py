"""What a run needs and nobody has given: found from the data before the first iteration, or asked for."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from traitlets import Bool

from ptywidgets.engine.calibrate import Start, find_start
from ptywidgets.engine.calibrate.certainty import in_one_line, question
from ptywidgets.engine.calibrate.decisions import GIVEN
from ptywidgets.engine.calibrate.spectra.optics_fit import TERMS
from ptywidgets.engine.calibrate.start import calibrate_by_disk
from ptywidgets.engine.checks import Facts
from ptywidgets.engine.checks.patterns import check_disk
from ptywidgets.engine.checks.step import check_step
from ptywidgets.engine.core.asked import AskingError
from ptywidgets.engine.core.errors import DataError, PtyError
from ptywidgets.engine.optics.aberrations import ALIASES, Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.defects.repair import repaired
from ptywidgets.engine.preprocess.disk.aperture import measured_aperture
from ptywidgets.reconstruction.inputs.starting import Starting
from ptywidgets.reconstruction.inputs.who_set import TURN, WhoSet, found_by
from ptywidgets.reconstruction.session.session import Halted

SHARP = 1.0  # degrees: a rotation that the curl tells less sharply is looked for in the bright field, too
DIRECTED = 0.4  # share of the curl: with more, the centre of mass has hardly a direction
TITLES = {"semiangle": "semi-angle", "q_pixel": "detector pixel"}


class Unknown(Starting):
    """The side of :class:`~ptywidgets.Reconstruction` that finds, before a run, what is not known."""

    find_unknown = Bool(True, help="Find what nobody has given, before a run; else a defocus not given counts as 0.")

    probe_is_given: Any
    _found_words = ""  # what was found for the present run, in one line
    _careful = False  # whether a thin object has not described the data

    @property
    def unknown(self) -> tuple[str, ...]:
        """What a run would look for in the data, since nobody has given it: "defocus", "semiangle", ...

        Examples
        --------
        >>> from ptywidgets import Reconstruction, samples
        >>> Reconstruction(samples.ducky("tiny")).unknown
        ('defocus', 'rotation', 'transpose')
        >>> Reconstruction(samples.ducky("tiny"), defocus=0).unknown
        ('rotation', 'transpose')
        """
        if self.dataset is None:
            return ()
        known = self.dataset.calibration
        names = [name for name in ("semiangle", "q_pixel") if getattr(known, name) is None]
        if self._aperture_is_known:
            names = [name for name in names if name != "semiangle"]
        if self.probe_is_given:
            names = [name for name in names if name != "semiangle"]
        elif not all(optics.aberrations.known for optics in self._all_optics):
            names.append("defocus")
        if not self._positions_are_given:
            names += [name for name in ("rotation", "transpose") if getattr(self.preparation, name) is None]
        return tuple(names)

    def _check_given(self) -> None:
        """Ask at once for what no data tell."""
        known = self._data().calibration
        findable = self.find_unknown and known.semiangle is not None
        absent = [name for name in known.missing if not (name == "q_pixel" and findable)]
        ways = [name for name in absent if name != "q_pixel"]
        if absent and ways != absent and self.find_unknown:  # either of the two tells the other
            raise AskingError(
                "{named} are not set, of the last two one is enough; {set}.", *ways, "q_pixel", "semiangle"
            )
        if absent:
            raise AskingError("{named} " + ("is" if len(absent) == 1 else "are") + " not set; {set}.", *absent)

    @property
    def _aperture_is_known(self) -> bool:
        return all(optics.vacuum is not None or optics.semiangle is not None for optics in self._all_optics)

    @property
    def _all_optics(self) -> tuple[Optics, ...]:
        views = self.views
        return views.optics if views is not None and views.optics else (self.optics,)

    @property
    def _positions_are_given(self) -> bool:
        """Whether the measurement is that of somebody who knew where the probe was."""
        return self.measurement is not None and self.measurement.scan_shape != self._data().scan_shape

    # ---------------------------------------------------------------- finding

    def _find_unknown(self) -> str:
        """For the one who works: find what is unknown, with what is given held; raises what has to be asked.

        Returns in one line what was found and how sure it is; nothing where nothing was looked for.
        """
        self._found_words = ""
        if self.find_unknown and not self._positions_are_given:
            wanted, sought = self.unknown, self._sought
            try:
                self._found_words = self._find_for_tilts() if self.views is not None else self._find_here()
            except Halted:
                self.message = f"Stopped while looking for {sought}: {self._taken_of(wanted)}."
                raise
            if not self._found_words and self.message.startswith("Finding "):
                self.message = ""
        return self._found_words

    def _taken_of(self, wanted: Sequence[str]) -> str:
        """What a search that was stopped has left behind; semi-angle and detector pixel are taken before the rest."""
        known = [TITLES[name] for name in wanted if name in TITLES and name not in self.unknown]
        return f"only the {' and the '.join(known)}, from the disk, was taken" if known else "nothing was changed"

    def _find_here(self) -> str:
        decisions = list(self._complete_aperture())
        if self.optics.aberrations.known:
            decisions += self._sharper_rotation()
            self._draw_aperture()
        elif not self.probe_is_given:
            decisions += self._look(**_held(self.optics.aberrations))
        found = in_one_line(decisions, self._careful)
        notes = () if not found or self.measurement is None else self.measurement.notes
        return " ".join([*notes, found])

    def _complete_aperture(self) -> Sequence[Any]:
        """The aperture of the data where the optics have none; semi-angle or detector pixel from the disk."""
        dataset = self._data()
        known = dataset.calibration
        if not self._aperture_is_known and (dataset.vacuum is not None or known.semiangle is not None):
            self.optics = self.optics.replace(vacuum=dataset.vacuum, semiangle=known.semiangle)
        if not (known.q_pixel is None or (known.semiangle is None and not self._aperture_is_known)):
            return ()
        self._tell("the bright-field disk")
        found, decisions = calibrate_by_disk(dataset)
        self._taking = True
        try:
            self._recalibrate(**dataclasses.asdict(found.calibration))
            self.measurement = None
        finally:
            self._taking = False
        if not self._aperture_is_known:
            self.optics = self.optics.replace(semiangle=found.calibration.semiangle)
        return decisions

    def _draw_aperture(self) -> None:
        """As the disk of the patterns is, where there is no vacuum pattern and nobody has drawn the aperture."""
        dataset, lens = self._data(), self.optics
        stated = (dataset.calibration.semiangle, Optics().rolloff)
        if self.probe_is_given or lens.vacuum is not None or (lens.semiangle, lens.rolloff) != stated:
            return
        measurement = self.measurement or self._prepare()
        if measurement.scan_shape == dataset.scan_shape:
            self._tell("the edge of the aperture")
            with contextlib.suppress(DataError):  # no disk is seen: then what is stated is the best there is
                self.optics = measured_aperture(lens, repaired(dataset), measurement)

    def _sharper_rotation(self) -> Sequence[Any]:
        """With known aberrations: the rotation from the bright field where the curl has not told it sharply."""
        if self.preparation.rotation is not None or self.preparation.flip:
            return ()
        fit, held = (self.measurement or self._prepare()).rotation_fit, self.optics.aberrations
        directed = fit.solenoidal_share <= DIRECTED
        if (directed and fit.uncertainty <= SHARP) or (self.measurement is not self._prepared):
            return ()
        try:
            if not held:  # a probe in focus looks the same from all sides
                raise AskingError(
                    "The data cannot tell {named}: they show hardly any direction; {set}.", "rotation=..."
                )
            return self._look(defocus=held["defocus"], aberrations=held, terms=("C10",))
        except AskingError:
            if not directed:
                raise
            return ()  # then the curl's is the best there is, and the message says how sharp it is

    def _look(self, **held: Any) -> Sequence[Any]:
        """Find a start with what is given held, and take it over; raises what has to be asked."""
        self._careful = False
        dataset, lens = self._data(), self.optics
        known: dict[str, Any] = {"preparation": self.preparation, **held}
        if lens.vacuum is None or lens.vacuum.shape == dataset.detector_shape:
            dataset = dataset.with_vacuum(lens.vacuum)  # the aperture that the probe will have
        given = self.measurement
        by_hand = given is not None and given is not self._prepared
        if given is not None and (by_hand or self.preparation.flip):  # somebody has said how the detector lies
            known |= {"rotation": given.rotation, "transpose": given.transpose}
        if self.composition.slices > 1 and self.views is None:
            known["thickness"] = self.composition.thickness
        try:
            with np.errstate(divide="ignore", invalid="ignore"):
                start = find_start(dataset, progress=self._tell, **known)
        except (PtyError, Halted):
            raise
        except (ArithmeticError, IndexError, np.linalg.LinAlgError, ValueError) as error:
            names = [f"{name}=..." for name in ("defocus", "rotation") if name not in known]
            raise AskingError(
                "The data cannot tell {named}, they leave the fit without a solution; {set}.", *names
            ) from error
        asked = question(start)
        if asked is not None:
            if not by_hand:
                self._offer(start, taken=False)
            raise _contradiction(Facts(dataset, start.measurement, start.optics)) or asked
        self._careful = start.refinement is not None and not start.refinement.accepted
        if by_hand:
            self.optics = lens.replace(aberrations=start.optics.aberrations)
            self._who = self._who.with_found(found_by(start))
            self.start_decisions = start.decisions
            self._offer(start)
            return start.decisions
        self._apply_start(start)
        return start.decisions

    def _apply_start(self, start: Start) -> None:
        """Take a start over, and keep what the optics have been given."""
        lens = self.optics
        self._take_over(start)
        if lens.aberrations.known:  # held, but for the last digit of a fit
            self.optics = self.optics.replace(aberrations=lens.aberrations)
            self._who = self._who.with_given(lens.aberrations)

    def _take_over(self, start: Start) -> None:
        free = [n for n in ("rotation", "transpose") if start.decision(n).source != GIVEN]
        super()._take_over(start)
        self._who = self._who.with_found_turn(self.preparation, free)

    def _forget(self) -> None:
        """Of other data nothing is known that was found in these."""
        super()._forget()
        found = self._found_names
        if self._who.found(self.optics.aberrations):
            self.optics = self.optics.replace(aberrations=self._who.given(self.optics.aberrations))
        self.preparation = self.preparation.replace(**{name: None for name in TURN if name in found})
        self._who = WhoSet()

    @property
    def _found_names(self) -> tuple[str, ...]:
        """Of Cartesian aberrations, rotation and transpose those in use that were found from the data and not given."""
        return self._who.found_names(self.optics.aberrations, self.preparation)

    def _remember_found(self, names: Sequence[str]) -> None:
        """Take what is in use for found, not given, as it was before it was saved."""
        lens = {n: v for n, v in self.optics.aberrations.cartesian.items() if n in names}
        self._who = self._who.with_found(lens).with_found_turn(self.preparation, names)

    def _tell(self, words: str) -> None:
        """Say what is looked at; raises Halted where the run is to stop."""
        self._session.halt()
        self.message = f"Finding {self._sought}: {words}."

    @property
    def _sought(self) -> str:
        names = [TITLES.get(name, name) for name in self.unknown]
        return ", ".join(names) or "the start"

    # ---------------------------------------------------------------- tilts

    def _find_for_tilts(self) -> str:
        """The tilt that is nearest to none is looked at, where a thick volume is thinnest; the others are alike."""
        views = self.views
        assert views is not None
        if self.probe_is_given or all(optics.aberrations.known for optics in self._all_optics):
            return ""
        looked_at = self.dataset, self.measurement, self.optics
        level = int(np.argmin([np.hypot(np.hypot(t.x, t.y), t.z) for t in views.tilts]))
        each = views.optics
        with self._quietly():
            self.dataset, self.measurement = views.datasets[level], None
            if each:
                self.optics = each[level]
        try:
            said = self._find_here()
        except Halted:  # the tilt that was looked at before is looked at again
            if self.views is views:
                with self._quietly():
                    self.dataset, self.measurement, self.optics = looked_at
            raise
        found = self.optics.aberrations
        views = self.views
        assert views is not None
        if each:
            with self._quietly():
                same = tuple(o if o.aberrations.known else o.replace(aberrations=found) for o in each)
                self.views = dataclasses.replace(views, optics=same)
        number = next((n for n, one in enumerate(views.datasets) if one is looked_at[0]), level)
        self.dataset = views.datasets[number]
        return f"{said[:-1]}; of tilt {level + 1} of {len(views)}, and taken for all."


def _contradiction(facts: Facts) -> AskingError | None:
    """What was given and cannot be, which is asked first: with it nothing that is found can be right."""
    step = check_step(facts)
    if step.verdict == "bad":
        words = f"{step.sentence} {step.remedy} Give {{give}}."
        return AskingError(words, f"scan_step={10 * (step.value or 0.0):.3g}")
    try:
        disk = check_disk(facts)
    except PtyError:  # no disk is seen: then the question is what it was
        return None
    if disk.verdict != "bad":
        return None
    words = f"{disk.sentence} {disk.remedy} With both as they are, nothing else can be found; give {{give}}."
    names = [f"semiangle={disk.value:.3g}"]
    if len(set(facts.calibration.q_pixels)) == 1 and disk.value:
        asked = facts.optics.semiangle or facts.calibration.semiangle or 0.0
        names.append(f"q_pixel={facts.calibration.q_pixels[0] * asked / disk.value:.3g}")
    return AskingError(words, *names, joined="or")


def _held(aberrations: Aberrations) -> dict[str, Any]:
    """Of aberrations without a defocus, those that were given are not looked for."""
    given = {ALIASES.get(name, name)[:3] for name in aberrations if name.startswith("C")}
    return {"aberrations": aberrations, "terms": tuple(t for t in TERMS if t[:3] not in given)}


__all__ = ["Unknown"]

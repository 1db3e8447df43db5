"""What a run needs and nobody has given: found from the data before the first iteration, or asked for."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.calibrate.calibration import calibrate_by_disk
from ptywidgets.engine.calibrate.certainty import ROTATION, in_one_line, question, unsure_of_rotation
from ptywidgets.engine.calibrate.spectra.optics_fit import TERMS
from ptywidgets.engine.checks import Facts
from ptywidgets.engine.checks.facts import Finding
from ptywidgets.engine.checks.patterns import check_disk, check_mask, check_whole_vacuum
from ptywidgets.engine.checks.step import check_step
from ptywidgets.engine.core.asked import AskingError
from ptywidgets.engine.core.errors import CalibrationError, DataError, PtyError
from ptywidgets.engine.core.stopping import WorkStopped
from ptywidgets.engine.optics.aberrations import ALIASES, Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.defects.repair import repaired
from ptywidgets.engine.preprocess.disk.aperture import measured_aperture
from ptywidgets.reconstruction.inputs.who_set import found_by
from ptywidgets.reconstruction.session.session import Halted

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

SHARP = 1.0  # degrees: a rotation that the curl tells less sharply is looked for in the bright field, too
DIRECTED = 0.4  # share of the curl: with more, the centre of mass has hardly a direction
ALIKE = 0.02  # the same of transposed and not: with less between them either may be true
TITLES = {"semiangle": "semi-angle", "q_pixel": "detector pixel"}


class UnknownNumbers:
    """What a run needs of a reconstruction, and nobody has given."""

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self.found_words = ""  # what was found for the present run, in one line
        self._careful = False  # whether a thin object has not described the data

    @property
    def names(self) -> tuple[str, ...]:
        """What a run would look for in the data, since nobody has given it: "defocus", "semiangle", ...

        Examples
        --------
        >>> from ptywidgets import Reconstruction, samples
        >>> Reconstruction(samples.ducky("tiny")).unknown
        ('defocus', 'rotation', 'transpose')
        >>> Reconstruction(samples.ducky("tiny"), defocus=0).unknown
        ('rotation', 'transpose')
        """
        recon = self.recon
        if recon.dataset is None:
            return ()
        known = recon.dataset.calibration
        names = [name for name in ("semiangle", "q_pixel") if getattr(known, name) is None]
        if self._aperture_is_known:
            names = [name for name in names if name != "semiangle"]
        if recon._waves.probe_is_given:
            names = [name for name in names if name != "semiangle"]
        elif not all(optics.aberrations.known for optics in self._all_optics):
            names.append("defocus")
        if not self._positions_are_given:
            names += [name for name in ("rotation", "transpose") if getattr(recon.preparation, name) is None]
        return tuple(names)

    def check_given(self) -> None:
        """Ask at once for what no data tell."""
        recon = self.recon
        known = recon._inputs.data().calibration
        findable = recon.find_unknown and known.semiangle is not None
        absent = [name for name in known.missing if not (name == "q_pixel" and findable)]
        ways = [name for name in absent if name != "q_pixel"]
        if absent and ways != absent and recon.find_unknown:  # either of the two tells the other
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
        recon = self.recon
        views = recon.views
        return views.optics if views is not None and views.optics else (recon.optics,)

    @property
    def _positions_are_given(self) -> bool:
        """Whether the measurement is that of somebody who knew where the probe was."""
        recon = self.recon
        return recon.measurement is not None and recon.measurement.scan_shape != recon._inputs.data().scan_shape

    # ---------------------------------------------------------------- finding

    def find(self) -> str:
        """For the one who works: find what is unknown, with what is given held; raises what has to be asked.

        Returns in one line what was found and how sure it is; nothing where nothing was looked for.
        """
        recon = self.recon
        self.found_words = ""
        if recon.find_unknown and not self._positions_are_given:
            self._check_recorded()
            wanted, sought = self.names, self._sought
            try:
                self.found_words = self._find_for_tilts() if recon.views is not None else self._find_here()
            except Halted:
                recon.message = f"Stopped while looking for {sought}: {self._taken_of(wanted)}."
                raise
            if not self.found_words and recon.message.startswith("Finding "):
                recon.message = ""
        return self.found_words

    def _check_recorded(self) -> None:
        """Refuse a mask or a vacuum pattern that lacks what no work can make good, before any is done."""
        recon, inputs = self.recon, self.recon._inputs
        dataset = inputs.data()
        if recon.views is not None or recon._waves.probe_is_given:
            return
        if dataset.mask is not None and dataset.calibration.q_pixel is not None:
            measurement = recon.measurement or inputs.prepare_now()
            finding = _looked_at(check_mask, Facts(inputs.data(), measurement, recon.optics))
            if finding is not None and measurement is inputs.prepared:
                raise DataError(f"{finding.sentence} {finding.remedy}")
        facts = Facts(inputs.data(), None, recon.optics)
        if facts.vacuum is not None and facts.vacuum.shape == dataset.detector_shape:
            finding = _looked_at(check_whole_vacuum, facts)
            if finding is not None:
                raise AskingError(f"{finding.sentence} {finding.remedy} Give {{give}}.", "vacuum")

    def _taken_of(self, wanted: Sequence[str]) -> str:
        """What a search that was stopped has left behind; semi-angle and detector pixel are taken before the rest."""
        known = [TITLES[name] for name in wanted if name in TITLES and name not in self.names]
        return f"only the {' and the '.join(known)}, from the disk, was taken" if known else "nothing was changed"

    def _find_here(self) -> str:
        recon = self.recon
        estimates, by_curl = list(self._complete_aperture()), ""
        if recon.optics.aberrations.known:
            sharper = self._sharper_rotation()
            by_curl = "" if sharper or not self._turn_is_the_curls else recon._inputs.turn_words
            estimates += sharper
            self._draw_aperture()
        elif not recon._waves.probe_is_given:
            estimates += self._look(**_held(recon.optics.aberrations))
        found = " ".join(filter(None, (in_one_line(estimates, self._careful), by_curl)))
        notes = () if not found or recon.measurement is None else recon.measurement.notes
        return " ".join([*notes, found])

    def _complete_aperture(self) -> Sequence[Any]:
        """The aperture of the data where the optics have none; semi-angle or detector pixel from the disk."""
        recon, inputs = self.recon, self.recon._inputs
        dataset = inputs.data()
        known = dataset.calibration
        if not self._aperture_is_known and (dataset.vacuum is not None or known.semiangle is not None):
            recon.optics = recon.optics.replace(vacuum=dataset.vacuum, semiangle=known.semiangle)
        if not (known.q_pixel is None or (known.semiangle is None and not self._aperture_is_known)):
            return ()
        self._tell("the bright-field disk")
        found, estimates = calibrate_by_disk(dataset)
        inputs.taking = True
        try:
            inputs.recalibrate(**dataclasses.asdict(found.calibration))
            recon.measurement = None
        finally:
            inputs.taking = False
        if not self._aperture_is_known:
            recon.optics = recon.optics.replace(semiangle=found.calibration.semiangle)
        return estimates

    def _draw_aperture(self) -> None:
        """As the disk of the patterns is, where there is no vacuum pattern and nobody has drawn the aperture."""
        recon, inputs = self.recon, self.recon._inputs
        dataset, lens = inputs.data(), recon.optics
        stated = (dataset.calibration.semiangle, Optics().rolloff)
        if recon._waves.probe_is_given or lens.vacuum is not None or (lens.semiangle, lens.rolloff) != stated:
            return
        measurement = recon.measurement or inputs.prepare_now()
        if measurement.scan_shape == dataset.scan_shape:
            self._tell("the edge of the aperture")
            with contextlib.suppress(DataError):  # no disk is seen: then what is stated is the best there is
                recon.optics = measured_aperture(lens, repaired(dataset), measurement, dataset.mask)

    @property
    def _turn_is_the_curls(self) -> bool:
        """Whether nobody has said how the detector is turned, and the measurement has it from the centre of mass."""
        recon = self.recon
        given = recon.preparation.rotation is not None or recon.preparation.flip
        return not given and recon.measurement is recon._inputs.prepared

    def _sharper_rotation(self) -> Sequence[Any]:
        """With known aberrations: rotation and transpose from the bright field where the curl has not told them well.

        Where the bright field does not tell them either, the curl's are taken if they are told as well as a start has
        to be; else they are asked for, as without known aberrations.
        """
        recon, inputs, wanted = self.recon, self.recon._inputs, self.recon.preparation
        if wanted.flip or (wanted.rotation is not None and wanted.transpose is not None):
            return ()
        measurement = recon.measurement or inputs.prepare_now()
        if measurement is not inputs.prepared:
            return ()
        fit, held, name = measurement.rotation_fit, recon.optics.aberrations, "rotation"
        directed = fit.solenoidal_share <= DIRECTED
        sharp, told = directed and fit.uncertainty <= SHARP, directed and fit.uncertainty <= ROTATION
        if wanted.rotation is not None:
            directed = abs(fit.other_share - fit.solenoidal_share) > ALIKE
            sharp = told = fit.uncertainty <= SHARP or directed
            name = "transpose"
        if sharp:
            return ()
        if held:
            try:
                return self._look(defocus=held["defocus"], aberrations=held, terms=("C10",))
            except _ContradictionError:
                raise
            except AskingError:
                if not told:
                    raise
        elif not directed:  # a probe in focus looks the same from all sides
            raise AskingError("The data cannot tell {named}: they show hardly any direction; {set}.", f"{name}=...")
        elif not told:
            raise unsure_of_rotation(measurement.rotation, fit.uncertainty)
        return ()

    def _look(self, **held: Any) -> Sequence[Any]:
        """Find a start with what is given held, and take it over; raises what has to be asked."""
        recon, inputs = self.recon, self.recon._inputs
        self._careful = False
        dataset, lens = inputs.data(), recon.optics
        known: dict[str, Any] = {"preparation": recon.preparation, **held}
        if lens.vacuum is None or lens.vacuum.shape == dataset.detector_shape:
            dataset = dataset.with_vacuum(lens.vacuum)  # the aperture that the probe will have
        given = recon.measurement
        by_hand = given is not None and given is not inputs.prepared
        if given is not None and (by_hand or recon.preparation.flip):  # somebody has said how the detector lies
            known |= {"rotation": given.rotation, "transpose": given.transpose}
        if recon.model.slices > 1 and recon.views is None and not recon._work.model_is_found:
            known["thickness"] = recon.model.thickness
        try:
            with np.errstate(divide="ignore", invalid="ignore"):
                start = calibrate(dataset, progress=self._tell, stop=lambda: recon._session.stopping, **known)
        except WorkStopped:
            raise Halted from None
        except CalibrationError as error:  # a question with the disk's own numbers says more
            asked = None if isinstance(error, AskingError) else _contradiction(Facts(dataset, None, lens))
            raise asked or error from None
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
                recon._calibrator.offer(start, taken=False)
            raise _contradiction(Facts(dataset, start.measurement, start.optics)) or asked
        self._careful = start.refinement is not None and not start.refinement.accepted and start.thickness is None
        if by_hand:
            recon._work.take_thickness(start.thickness)
            recon.optics = lens.replace(aberrations=start.optics.aberrations)
            inputs.who = inputs.who.with_found(found_by(start))
            recon.estimates = start.estimates
            recon._calibrator.offer(start)
            return start.estimates
        recon._calibrator.apply(start)
        return start.estimates

    def _tell(self, words: str) -> None:
        """Say what is looked at; raises Halted where the run is to stop."""
        recon = self.recon
        recon._session.halt()
        recon.message = f"Finding {self._sought}: {words}."

    @property
    def _sought(self) -> str:
        names = [TITLES.get(name, name) for name in self.names]
        return ", ".join(names) or "the start"

    # ---------------------------------------------------------------- tilts

    def _find_for_tilts(self) -> str:
        """The tilt that is nearest to none is looked at, where a thick volume is thinnest; the others are alike."""
        recon, inputs = self.recon, self.recon._inputs
        views = recon.views
        assert views is not None
        if recon._waves.probe_is_given or all(optics.aberrations.known for optics in self._all_optics):
            return ""
        looked_at = recon.dataset, recon.measurement, recon.optics
        level = int(np.argmin([np.hypot(np.hypot(t.x, t.y), t.z) for t in views.tilts]))
        each = views.optics
        with inputs.quietly():
            recon.dataset, recon.measurement = views.datasets[level], None
            if each:
                recon.optics = each[level]
        try:
            said = self._find_here()
        except Halted:  # the tilt that was looked at before is looked at again
            if recon.views is views:
                with inputs.quietly():
                    recon.dataset, recon.measurement, recon.optics = looked_at
            raise
        found = recon.optics.aberrations
        views = recon.views
        assert views is not None
        if each:
            with inputs.quietly():
                same = tuple(o if o.aberrations.known else o.replace(aberrations=found) for o in each)
                recon.views = dataclasses.replace(views, optics=same)
        number = next((n for n, one in enumerate(views.datasets) if one is looked_at[0]), level)
        recon.dataset = views.datasets[number]
        return f"{said[:-1]}; of tilt {level + 1} of {len(views)}, and taken for all."


def _looked_at(check: Callable[[Facts], Finding], facts: Facts) -> Finding | None:
    """What a check finds to be bad; None where it is not, or cannot tell."""
    try:
        finding = check(facts)
    except PtyError:  # no disk is seen, or something is not known
        return None
    return finding if finding.verdict == "bad" else None


class _ContradictionError(AskingError):
    """What was given and cannot be."""


def _contradiction(facts: Facts) -> AskingError | None:
    """What was given and cannot be, which is asked first: with it nothing that is found can be right."""
    step = check_step(facts)
    if step.verdict == "bad":
        words = f"{step.sentence} {step.remedy} Give {{give}}."
        return _ContradictionError(words, f"scan_step={10 * (step.value or 0.0):.3g}")
    disk = _looked_at(check_disk, facts)
    if disk is None:  # then the question is what it was
        return None
    words = f"{disk.sentence} {disk.remedy} With both as they are, nothing else can be found; give {{give}}."
    names = [f"semiangle={disk.value:.3g}"]
    if len(set(facts.calibration.q_pixels)) == 1 and disk.value:
        asked = facts.optics.semiangle or facts.calibration.semiangle or 0.0
        names.append(f"q_pixel={facts.calibration.q_pixels[0] * asked / disk.value:.3g}")
    return _ContradictionError(words, *names, joined="or")


def _held(aberrations: Aberrations) -> dict[str, Any]:
    """Of aberrations without a defocus, those that were given are not looked for."""
    given = {ALIASES.get(name, name)[:3] for name in aberrations if name.startswith("C")}
    return {"aberrations": aberrations, "terms": tuple(t for t in TERMS if t[:3] not in given)}


__all__ = ["UnknownNumbers"]

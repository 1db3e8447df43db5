"""The one state object that all widgets share."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from traitlets import Any as AnyTrait
from traitlets import Bool, Enum, Instance, Int, Tuple, Unicode, validate

from ptywidgets.engine.backends import checked_device
from ptywidgets.engine.checkpoint import Checkpoint, is_reconstruction, load_checkpoint
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.core.errors import DataError, ParameterError, PtyError, unknown_name
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io import read
from ptywidgets.engine.models import SPECIMENS
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import prepare
from ptywidgets.engine.preprocess.consistent import check_belongs
from ptywidgets.engine.problem.composition import Composition
from ptywidgets.engine.refinements import default_refinements
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.solve.registry import algorithm_of
from ptywidgets.engine.solve.schedule import Stage
from ptywidgets.reconstruction.inputs.making import Making
from ptywidgets.reconstruction.inputs.views import Views
from ptywidgets.reconstruction.result.look import Look
from ptywidgets.reconstruction.result.results import Results
from ptywidgets.reconstruction.right_way import known_names, right_way
from ptywidgets.reconstruction.safe import Name
from ptywidgets.reconstruction.saving import copying, keeping
from ptywidgets.reconstruction.session.made_in import MadeIn
from ptywidgets.reconstruction.session.mailbox import Mailbox
from ptywidgets.reconstruction.session.session import STATUSES, Session
from ptywidgets.reconstruction.session.work import ReconstructionWork

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger("ptywidgets")
Path = Union[str, "os.PathLike[str]"]
FOUND = (  # traits that nobody gives
    *("measurement", "start_decisions", "start_alternatives", "start_landscape"),
    *("status", "iteration", "message", "doubts"),
)


class Reconstruction(Results, Making):
    """Data, calibration, probe, plan, run and results in one place; widgets are views of it, and it needs none.

    Parameters
    ----------
    dataset : Dataset or sequence of Dataset, optional
        From :func:`ptywidgets.read` or :mod:`ptywidgets.samples`. Several are a tilt series, which sees one volume.
    tilts : sequence of Tilt, float or ndarray (3, 3), optional
        One for each data set of a series; numbers are degrees about the columns' axis. ``composition.thickness`` is
        then the volume's depth.
    defocus : float, optional
        In A; other aberrations through ``optics``, for a series one or one for each tilt.

    Notes
    -----
    Traits to observe: `dataset`, `views`, `preparation`, `measurement`, `optics`, `given`, `start_image`,
    `start_decisions`, `start_alternatives`, `start_landscape`, `object_type`, `composition`, `plan`, `device`, `look`,
    `status`, `iteration`, `message`. Their values are replaced, never changed in place. Observers may be called on any
    thread; one that fails is logged and disconnected.
    Of a tilt series, `dataset` and `measurement` are those of one tilt; ``recon.dataset = recon.views.datasets[12]``
    looks at another one.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> recon = Reconstruction(samples.ducky("tiny"), defocus=samples.ducky_defocus("tiny"))
    >>> recon.run(3).iteration
    3
    >>> recon.object_phase.ndim, len(recon.losses)
    (2, 3)
    """

    object_type = Name(
        "object type", tuple(SPECIMENS), "potential", help="What is unknown: a complex object or a potential."
    )
    composition = Instance(Composition, args=(), help="What the model is made of: slices, modes, coherence, diffuse.")
    plan = Instance(Plan, args=(), help="How long, in what batches, by which rule.")
    auto = Bool(True, help="The schedule that finds its own way, instead of the plan's batches and rule.")
    device = Unicode("cpu", help="cpu or gpu.")
    status = Enum(STATUSES, "empty", help="Where the run stands.")
    iteration = Int(0, help="Finished iterations.")
    look = Instance(Look, args=(), help="What snapshots hold: which slice, which mode, a section.")
    doubts = Tuple(help="What should be doubted after a run that has ended: findings, each with a remedy.")
    message = Unicode("", help="The last thing worth saying, in one sentence.")
    autosave = AnyTrait(
        None,
        allow_none=True,
        help="Path to which a running reconstruction is saved once a minute, and when it is done.",
    )

    def __init__(
        self,
        dataset: Dataset | Sequence[Dataset] | None = None,
        *,
        tilts: Sequence[Any] | None = None,
        defocus: float | None = None,
        **values: Any,
    ) -> None:
        for name, value in values.items():
            if name in FOUND or not self.has_trait(name):
                raise self._unknown_argument(name, value)
        _check_data(dataset)
        self._problem: Any = None  # Problem or TiltSeries
        self._coarse: tuple[Any, Any] | None = None  # a problem, and the same at the window of the state
        self._composed: tuple[Composition, str] | None = None  # what the problem was made of
        self._state: State | None = None
        self._stale = False
        self._warned = ""  # of what cannot be saved
        self._work = ReconstructionWork(self)
        self._session = Session(self._work)
        self.mailbox = Mailbox()
        given = values.pop("optics", None)
        each = tuple(given) if isinstance(given, Sequence) else ()
        if tilts is not None or isinstance(dataset, Sequence):
            several: Any = tuple(dataset) if isinstance(dataset, Sequence) else (dataset,)
            values["views"] = Views(several, tuple(() if tilts is None else tilts), each)
        views: Views | None = values.get("views")
        if views is not None and views.optics:
            given = views.optics[0]
            if defocus is not None:
                raise ParameterError("defocus is for all tilts, but each has optics of its own; leave one of them out.")
        elif each:
            raise ParameterError(f"{len(each)} optics are given but one data set; expected one Optics.")
        super().__init__(**values)
        if "plan" not in values:
            self.plan = self.plan.replace(
                constraints=default_constraints(self.object_type), refinements=default_refinements(self.composition)
            )
        elif "auto" not in values:
            self.auto = False
        self.dataset = dataset if views is None else views.datasets[0]
        if given is not None:
            self.optics = given
        elif self.dataset is not None:
            self.optics = Optics.from_dataset(self.dataset)
        self._session.set_status(self._work.idle)
        if defocus is not None:
            self.optics = self.optics.replace(aberrations=self.optics.aberrations.replace(defocus=defocus))
        self.observe(self._follow_inputs, ["views", "dataset", "measurement", "optics"])
        self.observe(self._follow_given, "given")
        self.observe(self._follow_object_type, "object_type")
        self.observe(self._follow_composition, "composition")
        self.observe(self._follow_plan, "plan")
        self.observe(self._follow_auto, "auto")
        self.observe(self._follow_model, ["composition", "object_type"])
        self.observe(self._follow_look, "look")
        self._made_in = MadeIn(self)

    # ---------------------------------------------------------------- opening

    @classmethod
    def open(
        cls,
        path: Path | Sequence[Path],
        vacuum: Path | np.ndarray | None = None,
        *,
        tilts: Sequence[Any] | None = None,
        defocus: float | None = None,
        **calibration: Any,
    ) -> Reconstruction:
        """Open a file of data, the files of a tilt series, or a saved reconstruction.

        Parameters
        ----------
        path : path or sequence of path
            Anything that :func:`ptywidgets.read` understands, or what :meth:`save` wrote.
        tilts : sequence, optional
            One for each of several files, as above.
        vacuum : path or ndarray, optional
            Vacuum pattern.
        defocus : float, optional
            In A.
        **calibration
            What the file does not say: ``energy=80e3`` (eV), ``semiangle=20`` (mrad), ``scan_step`` (A), ``q_pixel``
            (1/A); and how the data are to be read, as for :func:`ptywidgets.read`: ``dataset``, ``mask``,
            ``scan_shape``, ``choose``, ``allow_external``.

        Raises
        ------
        ParameterError
            When something else than what it was made with is given along with a saved reconstruction.
        """
        if isinstance(path, (str, os.PathLike)):
            saved = _checkpoint(path)
            if saved is not None:
                given = {"vacuum": vacuum, "tilts": tilts, "defocus": defocus, **calibration}
                keeping.refuse_other(path, saved, given)
                return cls.load(path)
            files, several = [path], tilts is not None
        else:
            files, several = list(path), True
            for one in files:
                if is_reconstruction(one):
                    raise ParameterError(
                        f"{os.path.basename(one)} is a saved reconstruction, not a data file; a tilt series is opened "
                        "from the data of each tilt, and a saved one by itself: Reconstruction.load(path)."
                    )
        datasets = [read(one, **calibration) for one in files]
        if vacuum is not None:
            datasets = [dataset.with_vacuum(vacuum) for dataset in datasets]
        return cls(datasets if several else datasets[0], tilts=tilts, defocus=defocus)

    # ---------------------------------------------------------------- changing

    def update_optics(self, **changes: Any) -> None:
        """Change fields of :attr:`optics`, or single aberrations by name: ``update_optics(defocus=500)``, in A."""
        own = {k: v for k, v in changes.items() if k in {f.name for f in dataclasses.fields(Optics)}}
        rest = {k: v for k, v in changes.items() if k not in own}
        if rest:
            aberrations = own.get("aberrations", self.optics.aberrations)
            own["aberrations"] = Aberrations(**dict(aberrations)).replace(**rest)
        self.optics = self.optics.replace(**own)

    def update_plan(self, **changes: Any) -> None:
        """Change fields of :attr:`plan`, or of its algorithm; a running reconstruction follows from its next batch."""
        own = {k: v for k, v in changes.items() if k in self.plan.to_dict()}
        rest = {k: v for k, v in changes.items() if k not in own}
        if rest:
            algorithm = own.get("algorithm", self.plan.algorithm)
            self._check_fields(algorithm, rest)
            own["algorithm"] = algorithm_of(algorithm).replace(**rest)
        plan, before = self.plan.replace(**own), self.plan
        if "iterations" in own:
            self._session.target = None
        self.plan = plan
        if self._session.active:
            if self.autosave is not None:
                try:
                    self._say_unsaveable()
                except ParameterError:
                    self.plan = before
                    raise
            self._session.change_plan(self.plan.replace(iterations=self.target_iteration))

    def reset(self) -> Reconstruction:
        """Stop, and forget object, probe and losses, and what :meth:`begin_with` gave; data, calibration and plan
        stay."""
        self._session.reset()
        return self

    # ---------------------------------------------------------------- running

    def start(self, n: int | None = None, *, block: bool | None = None) -> Self:
        """Begin, or go on; returns at once while the work is done in a thread.

        Parameters
        ----------
        n : int, optional
            Iterations to add; by default up to ``plan.iterations``, or as many again when those are done.
        block : bool, optional
            Work in the calling cell instead. By default only where the host does not show what threads send (Colab);
            the interrupt button then means stop and keep.
        """
        self._session.start(n, block=block)
        return self

    def run(self, n: int | None = None) -> Self:
        """Start and wait: for scripts. An interrupt stops the run and keeps what it has.

        Parameters
        ----------
        n : int, optional
            Iterations to add, 1 or more; by default as :meth:`start`.

        Raises
        ------
        ParameterError
            When `n` is no whole number of at least 1.
        """
        self.start(n, block=False)
        return self.wait()

    def step(self) -> Self:
        """One iteration, then pause."""
        self._session.step()
        return self

    def pause(self) -> Self:
        """Hold before the next batch; :meth:`resume` goes on."""
        self._session.pause()
        return self

    def resume(self) -> Self:
        """Go on after a pause, or after a stop."""
        self._session.resume()
        return self

    def stop(self, timeout: float | None = 60.0) -> Self:
        """End before the next batch and keep everything; returns when the thread has ended."""
        self._session.stop(timeout)
        return self

    def request_stop(self) -> None:
        """Ask the run to end before the next batch, and return at once: for buttons."""
        self._session.request_stop()

    def wait(self, timeout: float | None = None) -> Self:
        """Wait for the end of the run (or of `timeout` seconds); raises what went wrong in it."""
        self._session.wait(timeout)
        return self

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The automatic schedule of the latest run, each stage with its reason."""
        return self._session.stages

    @property
    def stage(self) -> Stage | None:
        """What the automatic schedule is doing; None before it has begun, or where there is a plan."""
        stages = self._session.stages
        if not self.auto or self._state is None or self._state.stage >= len(stages):
            return None
        return stages[self._state.stage]

    @property
    def exception(self) -> BaseException | None:
        """What went wrong in the latest run; None where nothing did."""
        return self._session.error

    # ---------------------------------------------------------------- copies

    def copy(self) -> Reconstruction:
        """An idle one that goes on from the same state, and by itself: the two share the counts, which nobody changes.

        Of one that runs, the copy has the latest state. It does not run, saves nowhere by itself, and is watched by
        nobody.

        Examples
        --------
        >>> from ptywidgets import samples
        >>> recon = Reconstruction(samples.ducky("tiny"), defocus=samples.ducky_defocus("tiny")).run(2)
        >>> other = recon.copy()
        >>> other.run(1).iteration, recon.iteration
        (3, 2)
        """
        return copying.restored(type(self), copying.parts(self))

    def __copy__(self) -> Reconstruction:
        return self.copy()

    def __reduce__(self) -> Any:
        """What is pickled, also of one that runs: an idle one in its latest state; data on disk stay there."""
        return copying.restored, (type(self), copying.parts(self))

    # ---------------------------------------------------------------- keeping

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> str:
        """Save everything but the patterns themselves into one EMD file; an older file stays whole until it is done.

        Parameters
        ----------
        path : path
            A new file, or a saved reconstruction, which is replaced.
        overwrite : bool
            Whether a file that is something else may be replaced. One of :attr:`inputs` never is.

        Raises
        ------
        FileFormatError
            When the file may not or cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> import ptywidgets as pw
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pw.write(f"{folder}/duck.h5", pw.samples.ducky("tiny"))
        ...     recon = pw.Reconstruction.open(file, defocus=250).run(1)
        ...     try:
        ...         recon.save(file, overwrite=True)
        ...     except pw.engine.PtyError as error:
        ...         print(str(error).split('; ')[1])
        choose another name, such as duck_result.h5.
        """
        return keeping.save(self, path, overwrite)

    def check_save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Raise at once what :meth:`save` would raise over a path, for whoever works for hours before."""
        keeping.check_save(self, path, overwrite)

    def _check_path(self, path: Path) -> None:
        keeping.check_path(self, path)

    def can_save(self) -> bool:
        """Whether everything that describes this reconstruction can be saved; what cannot is in :attr:`message`.

        A constraint, refinement or algorithm of your own has to be registered: :func:`ptywidgets.engine.register`.
        """
        words = self._unsaveable()
        if words:
            self.message = words
        return not words

    def _unsaveable(self) -> str:
        """Why this reconstruction cannot be saved; "" where it can."""
        try:
            keeping.check_can_save(self)
        except ParameterError as error:
            return f"This cannot be saved: {error}"
        return ""

    def _say_unsaveable(self) -> None:
        """Before the work is done: an error where it is to be saved on the way, else a word in the log."""
        words = self._unsaveable()
        if words and self.autosave is not None:
            raise ParameterError(f"autosave is on. {words}")
        if words and words != self._warned:
            self._warned = self.message = words
            log.warning(words)

    @classmethod
    def load(cls, path: Path, dataset: Dataset | Path | Sequence[Dataset | Path] | None = None) -> Reconstruction:
        """Load what :meth:`save` wrote, and go on where it stopped.

        Parameters
        ----------
        path : path
        dataset : Dataset or path, optional
            The data, where they are no longer at the path that the file remembers; of a tilt series one for each tilt.
            Calibration, masks and vacuum pattern stay those that were saved; where these have others, :attr:`message`
            says so.
        """
        checkpoint, found = keeping.load(path, dataset)
        recon = cls(
            **found,
            plan=checkpoint.plan,
            preparation=checkpoint.preparation,
            object_type=checkpoint.object_type,
            composition=checkpoint.composition,
            given=checkpoint.given,
        )
        for file in checkpoint.inputs:
            recon.remember_input(file)
        said = checkpoint.provenance
        if checkpoint.state is not None or "schedule" in said:
            recon.auto = said.get("schedule") == "automatic"
        recon.hold, recon.find_unknown = tuple(said.get("hold", "").split()), said.get("find_unknown") != "False"
        if checkpoint.state is not None:
            recon._started_from = said.get("started_from", "empty")
            recon._continue_from(checkpoint.state)
            recon._stale = said.get("stale") == "True"  # it was changed after the run that is saved
        recon._remember_found(said.get("found", "").split())
        words = keeping.other_than_saved(dataset, found["dataset"])
        if words:
            recon.message = words
            log.warning(words)
        return recon

    def _continue_from(self, state: State) -> None:
        measurement = prepare(self._data(), self.preparation)
        if self.views is None and len(measurement.patterns) != len(state.positions):
            raise DataError(
                f"the saved reconstruction is of {len(state.positions)} scan positions, but "
                f"{len(measurement.patterns)} of these data count; leave out the same ones: "
                "dataset=data.with_scan_mask(...), or what Auto left out, dataset=data.without_bad_frames()."
            )
        self.measurement = self._prepared = measurement
        self._problem = problem = self._problem_of(state)
        self._composed = (self.composition, self.object_type)
        self._state = problem.on_device(state)
        self._stale = False
        self.iteration = state.iteration
        self._session.set_status("stopped")
        self._work.publish()

    def __repr__(self) -> str:
        data = "no data" if self.dataset is None else repr(self.dataset)
        if self.views is not None:
            data = f"{self.views}, looking at {data}"
        error = f", error {self.error:.4g}" if self.losses else ""
        return f"Reconstruction({data}; {self.status}, iteration {self.iteration} of {self.target_iteration}{error})"

    # ---------------------------------------------------------------- inside

    @classmethod
    def _right_way(cls, name: str, value: Any) -> str:
        return right_way(name, value)

    @classmethod
    def _other_names(cls) -> list[str]:
        return known_names()

    @classmethod
    def _unknown_argument(cls, name: str, value: Any) -> ParameterError:
        known = [n for n in cls.class_trait_names() if n not in FOUND]
        way = right_way(name, value)
        if not way:
            return unknown_name("argument of Reconstruction", name, [*known, "tilts", "defocus"])
        return ParameterError(f"unknown argument of Reconstruction {name!r}; make it without, and {way}")

    def _check_fields(self, algorithm: Any, changes: dict[str, Any]) -> None:
        """Refuse what neither the plan nor its algorithm has, with where it belongs."""
        algorithm = algorithm_of(algorithm)
        fields = {f.name for f in dataclasses.fields(algorithm)}
        for name, value in changes.items():
            if name not in fields:
                way = right_way(name, value)
                if way and "update_plan" not in way:
                    raise ParameterError(f"a plan has no {name!r}; {way}")
                kind = f"parameter of Plan or {type(algorithm).__name__}"
                raise unknown_name(kind, name, [*self.plan.to_dict(), *fields])

    @validate("device")
    def _check_device(self, proposal: Any) -> str:
        return checked_device(proposal["value"])

    @validate("autosave")
    def _check_autosave(self, proposal: Any) -> Any:
        path = proposal["value"]
        if path is not None and not (isinstance(path, (str, os.PathLike)) and os.fspath(path)):
            raise ParameterError(f"autosave is {path!r}; expected the path of a file to write, or None.")
        if path is not None:
            self._work.check_autosave_path(path)
        return path

    @validate("measurement")
    def _check_measurement(self, proposal: Any) -> Any:
        measurement = proposal["value"]
        if measurement is not None and self.dataset is not None:
            check_belongs(measurement, self.dataset)
        return measurement

    @validate("iteration")
    def _check_iteration(self, proposal: Any) -> int:
        number, state = proposal["value"], self._state
        if number not in (0, 0 if state is None else state.iteration):
            raise ParameterError(
                f"iteration is counted, not set; for more of them, run({number}) or update_plan(iterations={number})."
            )
        return number

    def _require_idle(self, what: str) -> None:
        self._session.require_idle(what)

    def _follow_object_type(self, change: Any) -> None:
        if self.plan.constraints == default_constraints(change["old"]):
            self.plan = self.plan.replace(constraints=default_constraints(change["new"]))

    def _follow_composition(self, change: Any) -> None:
        """What the model has to find is refined, and no longer when it has not: the rest of the plan stays."""
        before, now = default_refinements(change["old"]), default_refinements(change["new"])
        if before != now:
            others = tuple(r for r in self.plan.refinements if r not in before and type(r) not in map(type, now))
            self.plan = self.plan.replace(refinements=(*others, *now))

    def _follow_plan(self, change: Any) -> None:
        """Whoever chooses batches or a rule has planned; how long and under which constraints is asked of both."""
        old, new = change["old"], change["new"]
        if (old.batch, old.algorithm) != (new.batch, new.algorithm):
            self.auto = False

    def _follow_auto(self, change: Any) -> None:
        if self._session.active:
            self.message = "The method changes with the next run: Stop, then Run."

    def _follow_model(self, change: Any) -> None:
        if self._session.active:
            goes_on = "Resume goes on with it" if self.status == "paused" else "Pause and Resume, or Stop and Run"
            self.message = f"The model changes with the next run: {goes_on}."

    def _follow_look(self, change: Any) -> None:
        self._work.publish()

    def _leave(self) -> None:
        """Let the run end, as the process does."""
        self._session.leave()

    def _last_words(self, may_save: bool) -> str:
        return self._work.last_words(may_save)

    def _forked(self) -> None:
        """In a forked child: the run goes on in the parent only, and its locks may be held by threads not here."""
        self._work.forked()
        self.mailbox.forked()
        if self._session.forked():
            self._trait_values["status"] = "stopped"  # told to nobody: whoever observes shows it in the parent


def _check_data(dataset: Any) -> None:
    """Refuse what is no data set, with the way to make one of it."""
    if isinstance(dataset, (str, bytes, os.PathLike)):
        raise ParameterError(f"a path is opened: Reconstruction.open({os.fspath(dataset)!r}).")
    if dataset is None or isinstance(dataset, (Dataset, Sequence)):
        return
    kind = type(dataset).__name__
    raise ParameterError(
        f"the data are {'an' if kind[0] in 'aeiou' else 'a'} {kind}; expected a Dataset: "
        "Dataset(array, Calibration(energy=..., scan_step=..., q_pixel=...)), or Reconstruction.open(path)."
    )


def _checkpoint(path: Any) -> Checkpoint | None:
    try:
        return load_checkpoint(path)
    except PtyError:
        return None


__all__ = ["STATUSES", "Reconstruction"]

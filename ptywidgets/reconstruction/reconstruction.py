"""The one state object that all widgets share."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any, Union

import numpy as np
from traitlets import Any as AnyTrait
from traitlets import Bool, Enum, Instance, Int, Unicode

from ptywidgets.engine.composition import Composition
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.errors import ParameterError, PtyError, unknown_name
from ptywidgets.engine.io import read
from ptywidgets.engine.io.checkpoint import load_checkpoint
from ptywidgets.engine.models import SPECIMENS
from ptywidgets.engine.plan import Plan
from ptywidgets.engine.prepare import prepare
from ptywidgets.engine.probe import Optics
from ptywidgets.engine.refinements import default_refinements
from ptywidgets.engine.schedule import Stage
from ptywidgets.engine.state import State
from ptywidgets.reconstruction import keeping
from ptywidgets.reconstruction.clock import Clock
from ptywidgets.reconstruction.look import Look
from ptywidgets.reconstruction.mailbox import Mailbox
from ptywidgets.reconstruction.results import Results
from ptywidgets.reconstruction.runner import Runner
from ptywidgets.reconstruction.running import Running
from ptywidgets.reconstruction.views import Views

Path = Union[str, "os.PathLike[str]"]
STATUSES = ("empty", "ready", "running", "paused", "stopped", "finished", "doubtful", "error")
FOUND = ("measurement", "start_decisions", "status", "iteration", "message", "doubts")  # traits that nobody gives


class Reconstruction(Results, Running):
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
    Traits to observe: `dataset`, `views`, `preparation`, `measurement`, `optics`, `start_image`, `start_decisions`,
    `object_type`, `composition`, `plan`, `device`, `look`, `status`, `iteration`, `message`. Their values are
    replaced, never changed in place. Observers may be called on any thread; one that fails is logged and disconnected.
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

    object_type = Enum(tuple(SPECIMENS), "potential", help="What is unknown: a complex object or a potential.")
    composition = Instance(Composition, args=(), help="What the model is made of: slices, modes, coherence, diffuse.")
    plan = Instance(Plan, args=(), help="How long, in what batches, by which rule.")
    auto = Bool(True, help="The schedule that finds its own way, instead of the plan's batches and rule.")
    device = Unicode("cpu", help="cpu or gpu.")
    status = Enum(STATUSES, "empty", help="Where the run stands.")
    iteration = Int(0, help="Finished iterations.")
    look = Instance(Look, args=(), help="What snapshots hold: which slice, which mode, a section.")
    message = Unicode("", help="The last thing worth saying, in one sentence.")
    autosave = AnyTrait(None, allow_none=True, help="Path to which a running reconstruction is saved once a minute.")

    def __init__(
        self,
        dataset: Dataset | Sequence[Dataset] | None = None,
        *,
        tilts: Sequence[Any] | None = None,
        defocus: float | None = None,
        **values: Any,
    ) -> None:
        known = [n for n in self.trait_names() if n not in FOUND]
        for name in values:
            if name not in known:
                raise unknown_name("argument of Reconstruction", name, [*known, "tilts", "defocus"])
        self._lock = threading.RLock()
        self._runner: Runner | None = None
        self._problem: Any = None  # Problem or TiltSeries
        self._coarse: tuple[Any, Any] | None = None  # a problem, and the same at the window of the state
        self._composed: tuple[Composition, str] | None = None  # what the problem was made of
        self._stages: tuple[Stage, ...] = ()
        self._state: State | None = None
        self._stale = False
        self._goal: int | None = None  # where the present run ends, where that is not what is planned
        self._error: BaseException | None = None
        self._clock = Clock()
        self._publishing = threading.RLock()
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
        self.status = "empty" if self.dataset is None else "ready"
        if defocus is not None:
            self.optics = self.optics.replace(aberrations=self.optics.aberrations.replace(defocus=defocus))
        self.observe(self._follow_inputs, ["views", "dataset", "measurement", "optics"])
        self.observe(self._follow_object_type, "object_type")
        self.observe(self._follow_composition, "composition")
        self.observe(self._follow_plan, "plan")
        self.observe(self._follow_auto, "auto")
        self.observe(self._follow_model, ["composition", "object_type"])
        self.observe(self._follow_look, "look")

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
            (1/A).
        """
        if isinstance(path, (str, os.PathLike)):
            if _is_checkpoint(path):
                return cls.load(path)
            files, several = [path], tilts is not None
        else:
            files, several = list(path), True
        datasets = [read(one, **calibration) for one in files]
        if vacuum is not None:
            datasets = [dataset.with_vacuum(vacuum) for dataset in datasets]
        return cls(datasets if several else datasets[0], tilts=tilts, defocus=defocus)

    # ---------------------------------------------------------------- changing

    def update_plan(self, **changes: Any) -> None:
        """Change fields of :attr:`plan`, or of its algorithm; a running reconstruction follows from its next batch."""
        own = {k: v for k, v in changes.items() if k in self.plan.to_dict()}
        rest = {k: v for k, v in changes.items() if k not in own}
        if rest:
            own["algorithm"] = self.plan.algorithm.replace(**rest)
        if "iterations" in own:
            self._goal = None
        self.plan = self.plan.replace(**own)
        runner = self._runner
        if runner is not None and runner.active:
            runner.change_plan(self.plan.replace(iterations=self.goal))

    def reset(self) -> Reconstruction:
        """Stop, and forget object, probe and losses; data, calibration and plan stay."""
        self.stop()
        self._state = None
        self._problem = None
        self._error = None
        self._stale = False
        self._goal = None
        self.iteration = 0
        self.doubts = ()
        self.message = ""
        self.status = "empty" if self.dataset is None else "ready"
        return self

    # ---------------------------------------------------------------- keeping

    def save(self, path: str | os.PathLike[str]) -> str:
        """Save everything but the patterns themselves into one EMD file; an older file stays whole until it is done."""
        return keeping.save(self, path)

    @classmethod
    def load(cls, path: Path, dataset: Dataset | Path | Sequence[Dataset | Path] | None = None) -> Reconstruction:
        """Load what :meth:`save` wrote, and go on where it stopped.

        Parameters
        ----------
        path : path
        dataset : Dataset or path, optional
            The data, where they are no longer at the path that the file remembers; of a tilt series one for each tilt.
        """
        checkpoint, found = keeping.load(path, dataset)
        recon = cls(
            **found,
            plan=checkpoint.plan,
            preparation=checkpoint.preparation,
            object_type=checkpoint.object_type,
            composition=checkpoint.composition,
        )
        if checkpoint.state is not None:
            recon._started_from = checkpoint.provenance.get("started_from", "empty")
            recon.auto = checkpoint.provenance.get("schedule") == "automatic"
            recon._continue_from(checkpoint.state)
        return recon

    def _continue_from(self, state: State) -> None:
        self.measurement = self._prepared = prepare(self._data(), self.preparation)
        self._problem = problem = self._make_problem()
        self._composed = (self.composition, self.object_type)
        self._state = problem.on_device(state)
        self._stale = False
        self.iteration = state.iteration
        self.status = "stopped"
        self._publish()

    def __repr__(self) -> str:
        data = "no data" if self.dataset is None else repr(self.dataset)
        if self.views is not None:
            data = f"{self.views}, looking at {data}"
        error = f", error {self.error:.4g}" if self.losses else ""
        return f"Reconstruction({data}; {self.status}, iteration {self.iteration} of {self.goal}{error})"

    # ---------------------------------------------------------------- inside

    def _require_idle(self, what: str) -> None:
        if self._runner is not None and self._runner.active:
            raise ParameterError(f"cannot {what} while the reconstruction is {self.status}; stop it first.")

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
        if self._runner is not None and self._runner.active:
            self.message = "The method changes with the next run: Stop, then Run."

    def _follow_model(self, change: Any) -> None:
        if self._runner is not None and self._runner.active:
            goes_on = "Resume goes on with it" if self.status == "paused" else "Pause and Resume, or Stop and Run"
            self.message = f"The model changes with the next run: {goes_on}."

    def _follow_look(self, change: Any) -> None:
        self._publish()


def _is_checkpoint(path: Any) -> bool:
    try:
        load_checkpoint(path)
    except PtyError:
        return False
    return True


__all__ = ["STATUSES", "Reconstruction"]

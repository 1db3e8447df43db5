"""The one state object that all widgets share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from traitlets import Any as AnyTrait
from traitlets import Bool, Enum, Instance, Int, Unicode, validate

from ptywidgets._renamed import now_called
from ptywidgets.engine.backends import checked_device
from ptywidgets.engine.calibrate.alternatives import Landscape
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.core.errors import ParameterError, unknown_name
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.direct import DirectImage
from ptywidgets.engine.models import SPECIMENS
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import Measurement, Preparation
from ptywidgets.engine.preprocess.consistent import check_belongs
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.refinements import default_refinements
from ptywidgets.engine.solve.given import Given
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.reconstruction.following.following import Following
from ptywidgets.reconstruction.forwarding import chained, command, derived
from ptywidgets.reconstruction.inputs.calibrator import Calibrator
from ptywidgets.reconstruction.inputs.first_image import FirstImage
from ptywidgets.reconstruction.inputs.given_waves import GivenWaves
from ptywidgets.reconstruction.inputs.inputs import Inputs
from ptywidgets.reconstruction.inputs.made_of import Stands
from ptywidgets.reconstruction.inputs.problem_maker import ProblemMaker
from ptywidgets.reconstruction.inputs.settings import Settings
from ptywidgets.reconstruction.inputs.start_check import Names, StartCheck
from ptywidgets.reconstruction.inputs.tilt_series_data import TiltSeriesData, views_and_optics
from ptywidgets.reconstruction.inputs.unknown import UnknownNumbers
from ptywidgets.reconstruction.result.display_settings import DisplaySettings
from ptywidgets.reconstruction.result.result import Result
from ptywidgets.reconstruction.saving import copies
from ptywidgets.reconstruction.saving.files import FilePath, Files, loaded, opened
from ptywidgets.reconstruction.session.made_in import MadeIn
from ptywidgets.reconstruction.session.session import STATUSES, Session
from ptywidgets.reconstruction.session.snapshot_channel import SnapshotChannel
from ptywidgets.reconstruction.session.work import ReconstructionWork
from ptywidgets.reconstruction.setting_hints import known_names, right_way
from ptywidgets.reconstruction.strict_traits import Client, Name, SafeTraits, Told

SCHEDULES = ("automatic", "manual")


class Reconstruction(SafeTraits):
    """Data, calibration, probe, plan, run and results in one place; widgets are views of it, and it needs none.

    Parameters
    ----------
    dataset : Dataset or sequence of Dataset, optional
        From :func:`ptywidgets.read` or :mod:`ptywidgets.samples`. Several are a tilt series, which sees one volume.
    tilts : sequence of Tilt, float or ndarray (3, 3), optional
        One for each data set of a series; numbers are degrees about the columns' axis. ``model.thickness`` is
        then the volume's depth.
    defocus : float, optional
        In A; other aberrations through `optics`, for a series one or one for each tilt.
    plan : Plan, optional
        A plan of one's own makes the schedule manual; by default constraints and refinements are those of the model.
    optics, preparation, object_type, model, schedule, device, client, ... : optional
        First values of the traits of these names, where they are not to be the usual ones.

    Notes
    -----
    Traits to observe: `dataset`, `views`, `preparation`, `measurement`, `optics`, `given`, `initial_image`,
    `estimates`, `start_alternatives`, `start_landscape`, `object_type`, `model`, `plan`, `schedule`, `device`,
    `client`, `look`, `status`, `iteration`, `message`. Their values are replaced, never changed in place. Observers may
    be called on any thread; one that fails is logged and disconnected.
    Of a series, `dataset` and `measurement` are of one tilt; ``recon.dataset = recon.views.datasets[1]`` is another.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> recon = Reconstruction(samples.ducky("tiny"), defocus=samples.ducky_defocus("tiny"))
    >>> recon.run(3).iteration
    3
    >>> recon.object_phase.ndim, len(recon.losses)
    (2, 3)
    """

    dataset = Stands(Dataset, allow_none=True, help="The data; of a tilt series those that are looked at.")
    views = Stands(TiltSeriesData, allow_none=True, help="The tilt series; None: there is one data set.")
    preparation = Instance(Preparation, args=(), help="How the data are prepared.")
    measurement = Instance(Measurement, allow_none=True, help="Prepared data; None until prepare().")
    optics = Stands(Optics, args=(), help="What forms the probe.")
    given = Stands(Given, allow_none=True, help="A known probe or object to begin with; None: there is none.")
    initial_image = Stands(DirectImage, allow_none=True, help="What the next fresh run begins from; None: empty.")
    estimates = Told("Estimate", help="What calibrate() has estimated, and what is in use where it was set since.")
    start_alternatives = Told("Alternative", help="What the start could be instead, the most probable first.")
    start_landscape = Instance(Landscape, allow_none=True, help="All that a search for the start has tried.")
    find_unknown = Bool(True, help="Find what nobody has given, before a run; else a defocus not given counts as 0.")
    hold = Names(
        help="An automatic run keeps these: aberrations, rotation, scan_step, semiangle, q_pixel, model; one or more."
    )
    object_type = Name("object type", tuple(SPECIMENS), "potential", help="The unknown: a complex object or potential.")
    model = Instance(ModelConfig, args=(), help="What the model is made of: slices, modes, coherence, diffuse.")
    plan = Instance(Plan, args=(), help="How long, in what batches, by which rule.")
    schedule = Name(
        "schedule",
        SCHEDULES,
        "automatic",
        help="automatic: stages that end by themselves; manual: the plan's batches and rule.",
    )
    device = Unicode("cpu", help="cpu or gpu.")
    client = Client(help="Of dask.distributed: whose workers compute; None: this process. Not kept in files.")
    look = Instance(DisplaySettings, args=(), help="What snapshots hold: which slice, which mode, a section.")
    autosave = AnyTrait(
        None,
        allow_none=True,
        help="Path to which a running reconstruction is saved once a minute, and when it is done.",
    )
    status = Enum(STATUSES, "empty", read_only=True, help="Where the run stands.")
    iteration = Int(0, help="Finished iterations.")
    doubts = Told("Finding", help="What should be doubted after a run that has ended: findings, each with a remedy.")
    message = Unicode("", help="The last thing worth saying, in one sentence.")

    def __init__(
        self,
        dataset: Dataset | Sequence[Dataset] | None = None,
        *,
        tilts: Sequence[Any] | None = None,
        defocus: float | None = None,
        views: TiltSeriesData | None = None,
        preparation: Preparation | None = None,
        optics: Optics | Sequence[Optics] | None = None,
        given: Given | None = None,
        initial_image: DirectImage | None = None,
        object_type: str | None = None,
        model: ModelConfig | None = None,
        plan: Plan | None = None,
        schedule: str | None = None,
        device: str | None = None,
        look: DisplaySettings | None = None,
        autosave: FilePath | None = None,
        hold: str | Sequence[str] | None = None,
        find_unknown: bool | None = None,
        client: Any = None,
    ) -> None:
        views, first, optics = views_and_optics(dataset, views, tilts, optics, defocus)
        self.snapshots = SnapshotChannel()
        self._work = ReconstructionWork(self)
        self._session = Session(self._work)
        self._inputs, self._settings, self._calibrator = Inputs(self), Settings(self), Calibrator(self)
        self._unknown, self._check, self._maker = UnknownNumbers(self), StartCheck(self), ProblemMaker(self)
        self._images, self._waves, self._following = FirstImage(self), GivenWaves(self), Following(self)
        self._files, self._result = Files(self), Result(self)
        values: dict[str, Any] = {"views": views, "preparation": preparation, "given": given, "autosave": autosave}
        values |= {"initial_image": initial_image, "object_type": object_type, "model": model, "hold": hold}
        values |= {"plan": plan, "schedule": schedule, "device": device, "look": look, "find_unknown": find_unknown}
        values["client"] = client
        super().__init__(**{name: value for name, value in values.items() if value is not None})
        if plan is None:
            self.plan = self.plan.replace(
                constraints=default_constraints(self.object_type), refinements=default_refinements(self.model)
            )
        elif schedule is None:
            self.schedule = "manual"
        self.dataset = first
        if optics is not None:
            self.optics = optics
        elif first is not None:
            self.optics = Optics.from_dataset(first)
        self._session.set_status(self._work.idle)
        if defocus is not None:
            self.optics = self.optics.replace(aberrations=self.optics.aberrations.replace(defocus=defocus))
        _ = self.model, self.plan  # made now: who follows a change asks what there was before
        self.observe(self._inputs.follow, ["views", "dataset", "preparation", "measurement", "optics"])
        self._following.begin()
        self.observe(self._waves.follow, "given")
        self.observe(self._images.follow, "initial_image")
        self._settings.begin()
        self.observe(lambda _: self._work.publish(), "look")
        self._made_in = MadeIn(self)

    # ---------------------------------------------------------------- files and copies

    open = classmethod(opened)
    load = classmethod(loaded)
    save = command("_files", Files.save)
    check_save = command("_files", Files.check_save)
    can_save = command("_files", Files.can_save)
    export, to_xarray = command("_files", Files.export), command("_files", Files.to_xarray)
    copy = __copy__ = copies.copied

    def __reduce__(self) -> Any:
        """What is pickled, also of one that runs: an idle one in its latest state; data on disk stay there."""
        return copies.restored, (type(self), copies.parts(self))

    # ---------------------------------------------------------------- what a run is made from

    calibration = derived("_inputs", Inputs.calibration)
    rotation = derived("_inputs", Inputs.rotation)
    transpose = derived("_inputs", Inputs.transpose)
    measurements = derived("_inputs", Inputs.measurements)
    inputs = derived("_inputs", Inputs.files)
    remember_input = command("_inputs", Inputs.remember_input)
    crop = command("_inputs", Inputs.crop)
    bin = command("_inputs", Inputs.bin)
    crop_and_bin = command("_inputs", Inputs.crop_and_bin)
    uncrop = command("_inputs", Inputs.uncrop)
    set_calibration = command("_inputs", Inputs.set_calibration)
    prepare = command("_inputs", Inputs.prepare)
    update_optics = command("_settings", Settings.update_optics)
    update_plan = command("_settings", Settings.update_plan)
    probe_is_given = derived("_waves", GivenWaves.probe_is_given)
    begin_with = chained("_waves", GivenWaves.begin_with)

    following = derived("_following", Following.current)
    complete_now = command("_following", Following.complete_now)

    # ---------------------------------------------------------------- the start

    unknown = derived("_unknown", UnknownNumbers.names)
    calibrate = command("_calibrator", Calibrator.calibrate)
    taken_alternative = derived("_calibrator", Calibrator.taken_alternative)
    take_alternative = command("_calibrator", Calibrator.take_alternative)
    find_orientation = command("_calibrator", Calibrator.find_orientation)
    orient = command("_calibrator", Calibrator.orient)
    examine = command("_calibrator", Calibrator.examine)
    bright_field = command("_images", FirstImage.bright_field)
    direct = command("_images", FirstImage.direct)
    initialize_from = command("_images", FirstImage.initialize_from)
    initialized_from = derived("_images", FirstImage.initialized_from)

    # ---------------------------------------------------------------- the run

    start = chained("_session", Session.start)
    step = chained("_session", Session.step)
    pause = chained("_session", Session.pause)
    resume = chained("_session", Session.resume)
    stop = chained("_session", Session.stop)
    request_stop = command("_session", Session.request_stop)
    wait = chained("_session", Session.wait)
    run = chained("_session", Session.run)
    reset = chained("_session", Session.reset)
    exception = derived("_session", Session.exception)
    seconds_per_iteration = derived("_session", Session.seconds_per_iteration)
    target_iteration = derived("_work", ReconstructionWork.target_iteration)
    stages = derived("_work", ReconstructionWork.stages)
    stage = derived("_work", ReconstructionWork.stage)

    # ---------------------------------------------------------------- what it has come to

    @property
    def result(self) -> Result:
        """Everything that is derived from the state; the everyday names are also here."""
        return self._result

    @property
    def state(self) -> State | None:
        """The engine's latest state; its arrays live on the device."""
        return self._result.state

    problem = derived("_result", Result.problem)
    present = derived("_result", Result.present)
    volume = derived("_result", Result.volume)
    voxel = derived("_result", Result.voxel)
    made_with = derived("_result", Result.made_with)
    object = derived("_result", Result.object)
    object_phase = derived("_result", Result.object_phase)
    object_amplitude = derived("_result", Result.object_amplitude)
    slices, depths = derived("_result", Result.slices), derived("_result", Result.depths)
    modes, occupations = derived("_result", Result.modes), derived("_result", Result.occupations)
    cluster = derived("_result", Result.cluster)
    tds_strength = derived("_result", Result.tds_strength)
    b_factors = derived("_result", Result.b_factors)
    diffuse_profile = derived("_result", Result.diffuse_profile)
    displacement = derived("_result", Result.displacement)
    background = derived("_result", Result.background)
    probe = derived("_result", Result.probe)
    probe_fourier = derived("_result", Result.probe_fourier)
    positions = derived("_result", Result.positions)
    position_corrections = derived("_result", Result.position_corrections)
    sampling = derived("_result", Result.sampling)
    losses, error = derived("_result", Result.losses), derived("_result", Result.error)
    memory = derived("_result", Result.memory)
    section = command("_result", Result.section)
    snapshot = command("_result", Result.snapshot)

    def __repr__(self) -> str:
        data = "no data" if self.dataset is None else repr(self.dataset)
        if self.views is not None:
            data = f"{self.views}, looking at {data}"
        error = (f", error {self.error:.4g}" if self.losses else "") + (
            self.made_with and f", made with {self.made_with}"
        )
        return f"Reconstruction({data}; {self.status}, iteration {self.iteration} of {self.target_iteration}{error})"

    # ---------------------------------------------------------------- what is refused

    @classmethod
    def _right_way(cls, name: str, value: Any) -> str:
        return right_way(name, value)

    @classmethod
    def _other_names(cls) -> list[str]:
        return known_names()

    @classmethod
    def _unknown_argument(cls, name: str, value: Any, taken: list[str]) -> ParameterError:
        if now_called(name):
            return ParameterError(f"unknown argument of Reconstruction {name!r}; {now_called(name)}")
        way = right_way(name, value)
        if not way:
            return unknown_name("argument of Reconstruction", name, taken)
        return ParameterError(f"unknown argument of Reconstruction {name!r}; make it without, and {way}")

    def _check_settable(self, name: str, value: Any) -> None:
        super()._check_settable(name, value)
        self._inputs.check_settable(name, value)

    @validate("device")
    def _check_device(self, proposal: Any) -> str:
        return checked_device(proposal["value"])

    @validate("autosave")
    def _check_autosave(self, proposal: Any) -> Any:
        path = proposal["value"]
        if path is not None and not (isinstance(path, (str, os.PathLike)) and os.fspath(path)):
            raise ParameterError(f"autosave is {path!r}; expected the path of a file to write, or None.")
        if path is not None:
            self._files.check_autosave(path)
        return path

    @validate("measurement")
    def _check_measurement(self, proposal: Any) -> Any:
        if proposal["value"] is not None and self.dataset is not None:
            check_belongs(proposal["value"], self.dataset)
        return proposal["value"]

    @validate("iteration")
    def _check_iteration(self, proposal: Any) -> int:
        number, state = proposal["value"], self._result.state
        if isinstance(number, bool) or number not in (0, 0 if state is None else state.iteration):
            raise ParameterError(
                f"iteration is counted, not set; for more of them, run({number}) or update_plan(iterations={number})."
            )
        return number


__all__ = ["STATUSES", "Reconstruction"]

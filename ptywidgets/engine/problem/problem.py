"""A problem: measured patterns, a model and starting values, on one device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from scipy import fft as sfft
from scipy import ndimage

from ptywidgets.engine.backends import get_backend
from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.core.protocols import Algorithm, Backend, Constraint, Loss, Refinement
from ptywidgets.engine.core.state import State
from ptywidgets.engine.core.workers import worker_count
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.losses.losses import get_loss
from ptywidgets.engine.models import single_slice
from ptywidgets.engine.models.composed import Geometry, Model
from ptywidgets.engine.models.curvature import Direction, curvature
from ptywidgets.engine.models.gradients import Gradients
from ptywidgets.engine.optics.probe import Optics, make_probe
from ptywidgets.engine.preprocess.consistent import check_measurement
from ptywidgets.engine.preprocess.measurement import Measurement, scan_positions
from ptywidgets.engine.problem.batches import batches_of, shuffled
from ptywidgets.engine.problem.held_out import HeldOut, hold_out
from ptywidgets.engine.problem.resample import WindowChange, resample_object, resample_probe, resampled_shape

if TYPE_CHECKING:
    from ptywidgets.engine.solve.plan import Plan
    from ptywidgets.engine.tomography.projection import Projection

Result = TypeVar("Result")
EDGE = 0.499  # px, how far a position may be from the last whole pixel that its window can be cut at


@dataclass(frozen=True)
class Problem:
    """What is measured and how it is modelled. Made by :func:`make_problem`; moved by :meth:`to`."""

    measurement: Measurement
    model: Model
    loss: Loss
    backend: Backend
    patterns: Patterns  # J of (Ny, Nx), on the device
    initial_object: np.ndarray  # (S, Y, X)
    initial_probe: np.ndarray  # (M, Ny, Nx) complex64, corner-centred
    initial_positions: np.ndarray  # (J, 2) A, from object pixel [0, 0]
    held_out: HeldOut | None = None  # counts that are not in `patterns`, to judge by
    held: tuple[str, ...] = ()  # "probe", "object": what stays as it is at the start

    @property
    def views(self) -> tuple[Problem, ...]:
        """The problem itself, which is of one view."""
        return (self,)

    @property
    def projections(self) -> tuple[Projection, ...]:
        """None: the object is seen as it is."""
        return ()

    @property
    def slice_thickness(self) -> tuple[float, ...] | None:
        """Of each slice, or between two of them, in A, as the exit-wave model has it; None where it has none."""
        given = getattr(self.model.exit_wave, "thickness", None)
        return None if given is None else tuple(np.atleast_1d(np.asarray(given, float)).tolist())

    @property
    def count(self) -> int:
        """Number of positions J."""
        return len(self.initial_positions)

    @property
    def modes(self) -> int:
        """Number of probe modes M."""
        return len(self.initial_probe)

    @property
    def sampling(self) -> tuple[float, float]:
        """Size of an object pixel (row, column) in A."""
        return self.measurement.sampling

    @property
    def mean_intensity(self) -> float:
        """Mean counts of a pattern."""
        return self.measurement.mean_intensity

    @cached_property
    def curvature_bound(self) -> float:
        """Half of the loss's second derivative by the modulus, where the brightest measured pixel is matched.

        1 for the amplitude loss, 2 for the Poisson loss, four times the most counts for that of intensities: what steps
        that are not measured by a search are divided by, so that none of them goes too far.
        """

        def at(counts: float) -> float:
            return float(self.loss.curvature(np.float64(counts), np.float64(counts) ** 0.5)) / 2

        if at(1.0) == at(4.0):
            return at(1.0)

        return at(self.patterns.max_counts())

    @property
    def object_shape(self) -> tuple[int, ...]:
        """(S, Y, X)."""
        return self.initial_object.shape

    def to(self, device: str) -> Problem:
        """The same problem on another device, "cpu" or "gpu", with the same window and the same counts held out."""
        backend = get_backend(device)
        return replace(self, backend=backend, patterns=self.patterns.on_host(self.backend).on(backend))

    def with_loss(self, loss: str | Loss) -> Problem:
        """The same problem with another loss."""
        return replace(self, loss=get_loss(loss))

    def with_held_out(self, *, seed: int = 0) -> Problem:
        """The same problem without some of the counts; :func:`ptywidgets.engine.problem.held_out.hold_out`."""
        return hold_out(self, seed=seed)

    def with_initial(
        self, *, obj: np.ndarray | None = None, probe: np.ndarray | None = None, held: tuple[str, ...] | None = None
    ) -> Problem:
        """The same problem with another object or probe to begin with, of the same shape, or with another one held."""
        return replace(
            self,
            initial_object=self.initial_object if obj is None else obj,
            initial_probe=self.initial_probe if probe is None else probe,
            held=self.held if held is None else held,
        )

    @property
    def scan_middle(self) -> np.ndarray:
        """(2,) A, from object pixel [0, 0]: where the middle of the scan lies in the object.

        Positions that are left out count here: without an edge column the others lie off the middle.
        """
        first, known = self.initial_positions, self.measurement
        if known.scan_mask is None or len(known.scan_indices) != len(first):
            return (first.max(0) + first.min(0)) / 2
        step = known.calibration.scan_steps
        whole = scan_positions(known.scan_shape, step, known.rotation, known.transpose)  # about its middle
        return (first - whole[known.scan_indices]).mean(0)

    @property
    def scalable(self) -> bool:
        """Whether :meth:`at_window` may leave out detector pixels."""
        return self.model.detector.scalable and self.patterns.shape[-2:] == self.window

    @property
    def window(self) -> tuple[int, int]:
        """Detector pixels in use (Ny, Nx), which is also the window of a position in the object."""
        return self.initial_probe.shape[-2:]

    def at_window(self, window: tuple[int, int]) -> Problem:
        """The same problem with only the central `window` of the detector in use: larger object pixels, less work."""
        if tuple(window) == self.window:
            return self
        shape = resampled_shape(self.object_shape, self.window, window)
        if self.empty:
            first = self.model.specimen.initial(shape)
        else:
            first = resample_object(self.initial_object, self.window, window, shape, self.vacuum)
        (dy, dx), (ny, nx), (my, mx) = self.sampling, self.window, window
        sampling = (dy * ny / my, dx * nx / mx)
        cropped = self.patterns.crop(window)
        measurement = replace(self.measurement, patterns=self.measurement.patterns.crop(window), sampling=sampling)
        probe = resample_probe(self.initial_probe, window)
        return replace(self, measurement=measurement, patterns=cropped, initial_object=first, initial_probe=probe)

    @property
    def vacuum(self) -> float:
        """What an object is where there is nothing."""
        return float(self.model.specimen.initial((1,)).real[0])

    @property
    def empty(self) -> bool:
        """Whether it begins with nothing but vacuum."""
        return bool((self.initial_object == self.vacuum).all())

    def resample_state(self, state: State) -> State:
        """A state of the same problem at another window, on this one's grid; what an algorithm kept is gone."""
        window = tuple(state.probe.shape[-2:])
        if window == self.window:
            return self.as_held(state)
        # An object of larger pixels is of a whole number of them, and may have had a little more room.
        state = state.replace(positions=self.inside(state.positions))
        host, device = self.backend.to_numpy, self.backend.to_device
        obj = resample_object(host(state.object), window, self.window, self.object_shape, self.vacuum)
        probe = resample_probe(host(state.probe), self.window)
        found = {name: host(value) for name, value in state.parameters.items()}
        found = self.model.resampled(found, WindowChange(window, self.window, self.object_shape))
        state = state.replace(
            object=device(obj),
            probe=device(probe),
            memory={},
            parameters=self._placed(found),
            sampling=self.sampling,
        )
        return self.as_held(state)

    def as_held(self, state: State) -> State:
        """A state with what is held as it is at the start, whatever became of it on another grid or under a model."""
        first = {"probe": self.initial_probe, "object": self.initial_object}
        return (
            state.replace(**{name: self.backend.to_device(first[name]) for name in self.held}) if self.held else state
        )

    def start(self) -> State:
        """The state before the first iteration."""
        device = self.backend.to_device
        return State(
            object=device(self.initial_object),
            probe=device(self.initial_probe),
            positions=self.initial_positions.copy(),
            parameters=self._placed(self.model.first_parameters(self.object_shape, self.window)),
            sampling=self.sampling,
            slice_thickness=self.slice_thickness,
        )

    def _placed(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters with the images among them on the device."""
        device = self.backend.to_device
        return {name: device(value) if np.ndim(value) > 1 else value for name, value in parameters.items()}

    def view(self, state: State, number: int) -> State:
        """The state itself, as there is one view."""
        return state

    def model_at(self, state: State) -> Model:
        """The model with what a state has found of its parameters."""
        return self.model.bind(state.parameters) if state.parameters else self.model

    def advance(self, algorithm: Algorithm, state: State, batch: Any) -> State:
        """The state after an algorithm's work on a batch of position indices."""
        return algorithm.advance(self, state, batch)

    def order(self, state: State, plan: Plan, generator: np.random.Generator) -> np.ndarray:
        """The order (J,) in which an iteration takes the positions."""
        return shuffled(state.positions, plan.batch, generator)

    def batches(self, order: np.ndarray, size: int | None, plan: Plan | None = None) -> list[np.ndarray]:
        """An order, cut into batches of at most `size`, whatever else is planned.

        Counts that stay on disk are read ahead in it from now on.
        """
        batches = batches_of(order, size)
        self.patterns.read_ahead(batches)
        return batches

    def split(self, batch: Any) -> list[tuple[int, np.ndarray]]:
        """A batch's views, of which there is one, each with its position indices."""
        return [(0, np.asarray(batch))]

    def by_shards(
        self, function: Callable[..., Result], state: State, batch: np.ndarray
    ) -> list[tuple[np.ndarray, tuple[slice, slice], Result]]:
        """What a function of a problem, a state and a batch says, by the parts that are worked on apart: here of one.

        Of each part its places in the batch, the object's pixels that it sees, and the result. The function is one of a
        module, so that it can be called in another process.
        """
        return [(np.arange(len(batch)), (slice(None), slice(None)), function(self, state, batch))]

    def constrained(self, constraint: Constraint) -> Callable[[State], State]:
        """What applies a constraint to this problem's states."""
        return constraint.prepare(self)

    def refined(self, refinement: Refinement) -> Callable[[State, Any], State]:
        """What refines this problem's states after a batch."""
        return refinement.prepare(self)

    def curvature(self, state: State, batch: Any, directions: Sequence[Direction]) -> np.ndarray:
        """Matrix (K, K) of the loss's second derivatives along directions; :func:`models.curvature.curvature`."""
        return curvature(self, state, batch, directions)

    def on_device(self, state: State) -> State:
        """A state, from wherever it was, on this problem's device."""
        device = self.backend.to_device
        memory = {name: device(array) for name, array in state.memory.items()}
        parameters = self._placed(state.parameters)
        return state.replace(
            object=device(state.object), probe=device(state.probe), memory=memory, parameters=parameters
        )

    def geometry(self, positions: np.ndarray) -> Geometry:
        """Where positions (J, 2) in A lie in the object's pixels."""
        window = self.initial_probe.shape[-2:]
        geometry = Geometry.from_pixels(positions / np.array(self.sampling), window, self.measurement.shifts)
        last = np.array(self.object_shape[-2:]) - np.array(window)
        if (geometry.corners < 0).any() or (geometry.corners > last).any():
            raise DataError("a position's window lies outside the object; make the object larger (object_padding).")
        return self.model.placed(geometry)

    def inside(self, positions: np.ndarray) -> np.ndarray:
        """Positions (J, 2) in A, brought back so far that every window lies in the object."""
        half = np.array([n // 2 for n in self.window])
        last = np.array(self.object_shape[-2:]) - np.array(self.window)
        pixel = np.array(self.sampling)
        return positions.clip((half - EDGE) * pixel, (half + last + EDGE) * pixel)

    def gradients(self, state: State, batch: Any, *, with_probe: bool = True, with_others: bool = False) -> Gradients:
        """Loss and gradients over a batch of position indices; `with_others`: also by the model's parameters."""
        found = self.model_at(state).gradients(
            self.backend,
            state.object,
            state.probe,
            self.geometry(state.positions),
            self.patterns,
            batch,
            self.loss,
            with_probe=with_probe,
            with_others=with_others,
        )
        return replace(found, object=found.object * 0) if "object" in self.held else found

    def value(self, state: State, batch: Any) -> float:
        """Loss over a batch of position indices, without gradients."""
        geometry = self.geometry(state.positions)
        model = self.model_at(state)
        return model.value(self.backend, state.object, state.probe, geometry, self.patterns, batch, self.loss)

    def misfit(self, state: State) -> float:
        """How badly a state explains the counts that are held out, per pattern; NaN where none are."""
        return np.nan if self.held_out is None else self.held_out.misfit(self, state)

    def intensities(self, state: State, batch: Any) -> np.ndarray:
        """Modelled patterns (B, Ny, Nx), corner-centred: the forward model on its own."""
        geometry = self.geometry(state.positions)
        return self.model_at(state).intensities(self.backend, state.object, state.probe, geometry, batch)

    def illumination(self) -> np.ndarray:
        """Intensity (Y, X) that the initial probe puts on the object, summed over positions, at whole pixels.

        A histogram of the positions convolved with |P|^2.
        """
        shape = self.object_shape[-2:]
        hits = np.zeros(shape, np.float32)
        nearest = np.rint(self.initial_positions / np.array(self.sampling)).astype(int)
        np.add.at(hits, (nearest[:, 0], nearest[:, 1]), 1)
        intensity = np.fft.fftshift((np.abs(self.initial_probe) ** 2).sum(0))
        window = np.zeros(shape, np.float32)
        window[: intensity.shape[0], : intensity.shape[1]] = intensity
        window = np.roll(window, [-(n // 2) for n in intensity.shape], (0, 1))
        workers = worker_count()
        spectrum = sfft.rfft2(hits, workers=workers) * sfft.rfft2(window, workers=workers)
        return sfft.irfft2(spectrum, s=shape, workers=workers).clip(0)

    def field_of_view(self) -> np.ndarray:
        """Mask (Y, X) of the pixels that are well illuminated: more than a quarter of the most."""
        lit = ndimage.gaussian_filter(self.illumination(), 1.0)
        return lit > 0.25 * lit.max()


def make_problem(
    measurement: Measurement,
    optics: Optics | None = None,
    *,
    model: Model | None = None,
    loss: str | Loss = "amplitude",
    device: str = "cpu",
    probe: np.ndarray | None = None,
    obj: np.ndarray | None = None,
    object_padding: float = 0.0,
    whole_scan: bool = False,
) -> Problem:
    """Put measurement, model and starting values together.

    Parameters
    ----------
    measurement : Measurement
        From :func:`ptywidgets.engine.preprocess.prepare`.
    optics : Optics, optional
        Aperture (or vacuum pattern) and aberrations of the initial probe; by default those of the measurement.
    model : Model, optional
        By default single-slice with a complex object.
    loss : {"amplitude", "anscombe", "poisson", "intensity"} or Loss
        How far modelled patterns are from measured ones; see :mod:`ptywidgets.engine.losses.losses`.
    device : {"cpu", "gpu"}
        Where to work.
    probe : ndarray (M, Ny, Nx) or (Ny, Nx), optional
        Starting probe, corner-centred; replaces what `optics` would make.
    obj : ndarray (S, Y, X) or (Y, X), optional
        Starting object.
    object_padding : float
        Room around the windows of the outermost positions, in A.
    whole_scan : bool
        Make the object as large as all of the scan needs, also where positions of it are left out: so that it stays
        in place when they come.

    Returns
    -------
    Problem
    """
    if isinstance(measurement, Dataset):
        raise ParameterError(
            "make_problem() takes a Measurement and got a Dataset; prepare it first: make_problem(prepare(dataset), "
            "Optics.from_dataset(dataset))."
        )
    check_measurement(measurement)
    model = model or single_slice()
    window = measurement.patterns.shape[-2:]
    if probe is None:
        if optics is None:
            raise ParameterError("no probe: give optics=Optics(semiangle=..., ...) or probe=array.")
        probe = make_probe(
            optics, window, measurement.sampling, measurement.calibration.require("energy"), measurement.mean_intensity
        )
    if np.ndim(probe) not in (2, 3) or np.asarray(probe).dtype.kind not in "biufc":
        raise ParameterError(f"the probe is {np.shape(probe)}; expected numbers (Ny, Nx), or (M, Ny, Nx) for modes.")
    probe = np.ascontiguousarray(probe, np.complex64).reshape(-1, *np.shape(probe)[-2:])  # as compiled loops need it
    if not (np.isfinite(probe).all() and probe.any()):
        raise ParameterError("the probe is zero everywhere, or has NaN or infinite pixels; expected a wave.")
    if probe.shape[-2:] != window:
        raise ParameterError(f"the probe is {probe.shape[-2:]} pixels but the patterns are {window}; make them equal.")
    sampling = np.array(measurement.sampling)
    field = measurement.positions
    if whole_scan and measurement.scan_mask is not None:
        steps = measurement.calibration.scan_steps
        field = scan_positions(measurement.scan_shape, steps, measurement.rotation, measurement.transpose)
    extent = field.max(0) - field.min(0)
    room = np.ceil(object_padding / sampling).astype(int)
    shape = tuple(int(v) for v in np.ceil(extent / sampling - 1e-6) + np.array(window) + 2 * room)
    # The scan's middle lies where half a window is left on either side.
    middle = (np.array(shape) - np.array(window)) / 2 + np.array([n // 2 for n in window])
    centre = (field.max(0) + field.min(0)) / 2
    positions = measurement.positions - centre + middle * sampling
    full = (model.exit_wave.slices, *shape)
    first = model.specimen.initial(full) if obj is None else _initial_object(obj, model, full)
    backend = get_backend(device)
    return Problem(
        measurement=measurement,
        model=model,
        loss=get_loss(loss),
        backend=backend,
        patterns=measurement.patterns.on(backend),
        initial_object=first,
        initial_probe=probe,
        initial_positions=positions,
    )


def _initial_object(obj: Any, model: Model, shape: tuple[int, ...]) -> np.ndarray:
    """A starting object of the model's kind; a phase and a transmission become each other."""
    given = np.asarray(obj)
    if given.shape not in (shape, shape[1:] if shape[0] == 1 else shape) or given.dtype.kind not in "biufc":
        raise ParameterError(
            f"the object is {given.shape} {given.dtype}; expected {shape}: slices, and pixels of the whole field; "
            "engine.given.begin fits one of other pixels."
        )
    given = given.reshape(shape)
    if not np.isfinite(given).all():
        raise ParameterError("the object has NaN or infinite pixels; replace them.")
    if model.specimen.object_type == "complex":
        return np.ascontiguousarray(given if given.dtype.kind == "c" else np.exp(1j * given), np.complex64)
    return np.ascontiguousarray(np.angle(given) if given.dtype.kind == "c" else given, np.float32)

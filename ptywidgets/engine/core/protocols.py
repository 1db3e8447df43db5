"""The seams of the engine, documented once.

Nothing inherits from these classes: an object that has the methods fits. Whoever adds a brick finds here what it must
offer, and in :mod:`ptywidgets.testing` the tests that it must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from ptywidgets.engine.core.state import State

if TYPE_CHECKING:
    from ptywidgets.engine.data.patterns import Patterns
    from ptywidgets.engine.models.composed import Model
    from ptywidgets.engine.models.curvature import Direction
    from ptywidgets.engine.models.gradients import Gradients
    from ptywidgets.engine.preprocess.measurement import Measurement
    from ptywidgets.engine.problem.problem import Problem
    from ptywidgets.engine.solve.plan import Plan
    from ptywidgets.engine.tomography.projection import Projection
    from ptywidgets.engine.tomography.series import TiltSeries

Array = Any  # numpy or cupy array; the backend decides
Result = TypeVar("Result")
AnyProblem = TypeVar("AnyProblem", bound="ReconstructionProblem")


class Backend(Protocol):
    """What a device can do. `xp` is numpy or cupy; the rest is what each does best in its own way.

    Waves are (B, M, Ny, Nx): B positions of a chunk, M modes; (1, M, Ny, Nx) where all positions share one wave. A
    field is one slice (Y, X), and `corners` (B, 2) are the first pixels of the windows in it. Where an operation says
    that it works in the memory of an argument, that argument holds something else afterwards; what :meth:`empty` gave,
    and every result, stays until the same worker asks for the same thing again, that is until its next chunk.
    """

    name: str
    xp: Any

    def to_device(self, array: Any, dtype: Any = None) -> Array:
        """Copy a host array to the device (no copy where it is there already)."""

    def to_numpy(self, array: Array) -> Any:
        """Copy a device array to the host (no copy where it is there already)."""

    def empty(self, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Memory for a chunk's work; the same `name` may give a worker the same memory again."""

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Zeros, in memory of their own, to add up in."""

    def free_memory(self) -> float | None:
        """Bytes that can still be had; None where that is not known."""

    def fft2(self, waves: Array) -> Array:
        """Orthonormal 2-D FFT over the last two axes; may work in the memory of `waves`."""

    def ifft2(self, waves: Array) -> Array:
        """Orthonormal inverse 2-D FFT over the last two axes; may work in the memory of `waves`."""

    def extract_patches(self, field: Array, corners: Any, shape: tuple[int, int]) -> Array:
        """Windows (B, S, Ny, Nx) of slices (S, Y, X)."""

    def add_patches(self, field: Array, corners: Any, patches: Array) -> None:
        """Add (B, S, Ny, Nx) into the windows of slices (S, Y, X): the adjoint of :meth:`extract_patches`."""

    def phase_factor(self, phase: Array) -> Array:
        """exp(i phase), of any shape."""

    def phase_gradient(self, transmission: Array, gradient: Array) -> Array:
        """Im(conj(transmission) gradient), of any shape."""

    def multiply_patches(self, waves: Array, field: Array, corners: Any) -> Array:
        """Waves times the windows of a field."""

    def multiply_patches_adjoint(
        self, residual: Array, field: Array, corners: Any, waves: Array, gradient: Array
    ) -> Array:
        """Adjoint of :meth:`multiply_patches`: adds sum_m conj(waves) residual into the windows of `gradient`, and
        returns conj(window) residual, in the memory of `residual`."""

    def correct(self, field: Array, corners: Any, waves: Array, residual: Array, step: Array, passed: Array) -> None:
        """Adjoint of :meth:`multiply_patches` and a step along it in one: window += step x sum_m conj(waves) residual.

        Windows share no pixel. `waves` (B, M, Ny, Nx) become conj(window) residual, and `passed` (B, Ny, Nx)
        |window|^2, of the window as it was.
        """

    def correct_phase(
        self, phase: Array, field: Array, corners: Any, waves: Array, residual: Array, step: Array
    ) -> None:
        """The same for a field that is exp(i phase) and stays so: window of the phase += step x Im(conj(window) sum_m
        conj(waves) residual)."""

    def add_same_patch(self, field: Array, corners: Any, image: Array) -> None:
        """Add one real image (Ny, Nx) into every window of a field."""

    def sum_patches(self, field: Array, corners: Any, sums: Array) -> None:
        """Add every window of a real field into `sums` (Ny, Nx), the adjoint of :meth:`add_same_patch`; or of the
        intensity of a complex one."""

    def ramp(self, waves: Array, slopes: Array, rows: Array, columns: Array) -> None:
        """waves *= exp(i (slopes[:, 0] rows + slopes[:, 1] columns)), in place; (B, 2), (Ny,) and (Nx,), in rad."""

    def amplitudes(self, patterns: Patterns, indices: Any, dtype: Any) -> Array:
        """Square roots (B, Ny, Nx) of the counts of some patterns, which are :meth:`Patterns.on` this device: in FFT
        order from each one's origin, and -1 where a pixel is masked. Of `dtype`, float32 or float64 as the waves."""

    def modulus(self, far: Array, amplitudes: Array) -> Any:
        """far *= (A / |far| - 1) w in place, with |far|^2 summed over modes and the `amplitudes` A (B, Ny, Nx) of the
        same positions; returns sum (A - |far|)^2. Where A < 0 nothing was measured: far becomes 0 and adds nothing.
        w = |far|^2 / (|far|^2 + tau^2) is less than 1 where far may be what transforms rounded: tau is
        :func:`~ptywidgets.engine.core.amplitudes.rounding_share` of the root mean square of the pattern's A."""

    def residual(self, far: Array, amplitudes: Array, loss: Loss) -> Any:
        """far *= -derivative of the loss, in place, 0 where nothing was measured; returns the sum of its values."""

    def hessian_block(self, far: Array, tangents: Array, amplitudes: Array, loss: Loss) -> Any:
        """Second derivatives (K, K) of the loss along changes Xi_k of the waves Psi = `far`, the `tangents`
        (K, B, M, Ny, Nx), made safe for a line search; float64, on the host.

        With I = sum_m |Psi|^2, its changes dI_k = 2 Re sum_m conj(Psi) Xi_k and u_k = dI_k / (2 sqrt I), the sum over
        measured pixels of c u_k u_n + 2 d (Re sum_m conj(Xi_k) Xi_n - u_k u_n), where c is the loss's
        `majorizer_curvature` and d its `derivative`, negative ones taken as 0: exact where the model fits or is too
        bright, and not negative along any mixture. `far` and `tangents` stay as they are.
        """

    def combine(self, weights: Array, images: Array) -> Array:
        """Waves sum_r weights (B, R) images (R, M, Ny, Nx), weights real."""

    def combine_adjoint(self, weights: Array, waves: Array, sums: Array) -> None:
        """sums (R, M, Ny, Nx) += sum_b weights (B, R) waves."""

    def chunks(self, indices: Any, bytes_per_position: int) -> list[Any]:
        """Split position indices into chunks that suit the device's memory; `bytes_per_position` is one wave's."""

    def map_reduce(
        self,
        task: Callable[[Any, Any], None],
        chunks: Sequence[Any],
        make: Callable[[], Result],
        sums: Sequence[Result] = (),
    ) -> list[Result]:
        """Call ``task(chunk, accumulator)`` for every chunk; returns the workers' accumulators, which are `sums`
        (of an earlier call, to go on with) as far as there are any. Not nested."""

    def map_ordered(self, task: Callable[[slice], None], sizes: Sequence[int], clash: Any) -> None:
        """Call ``task(places)`` for all places, none before those of lower number that it clashes with are done.

        Places are numbered through groups of these `sizes`, within which none clash, so that a device may take a group
        at once; `clash` (B, B) bool. Not nested.
        """

    def close(self) -> None:
        """End what runs in the background; the backend may be used again."""


class Specimen(Protocol):
    """How the unknown object becomes a transmission function (S, Y, X)."""

    object_type: str
    lossless: bool  # whether |t| = 1 everywhere

    def initial(self, shape: tuple[int, ...]) -> Any: ...

    def from_transmission(self, transmission: Any) -> Any: ...

    def transmission(self, backend: Backend, obj: Array) -> Array: ...

    def tangent(self, backend: Backend, transmission: Array, direction: Array) -> Array:
        """How the transmission changes along a direction of the object."""

    def transmission_adjoint(self, backend: Backend, transmission: Array, gradient: Array) -> Array:
        """The adjoint of :meth:`tangent`."""

    def correct(
        self,
        backend: Backend,
        obj: Array,
        transmission: Array,
        corners: Any,
        waves: Array,
        residual: Array,
        step: Array,
        passed: Array,
    ) -> None:
        """A step of an object of one slice along the gradient of each window by itself, and of its transmission, in
        place; `waves` and, unless it is lossless, `passed` as of :meth:`Backend.correct`."""


class ExitWaveModel(Protocol):
    """How waves (B, M, Ny, Nx) go through the windows of a transmission (S, Y, X)."""

    @property
    def slices(self) -> int: ...

    def forward(
        self,
        backend: Backend,
        waves: Array,
        transmission: Array,
        corners: Any,
        watch: Callable[[int, Array], None] | None = None,
    ) -> tuple[Array, Any]:
        """Exit waves (B, M, Ny, Nx), in memory of their own, and a tape of what the adjoint needs. `watch` is shown
        the number of each slice and the waves that enter it."""

    def tangent(
        self,
        backend: Backend,
        waves: Array,
        transmission: Array,
        corners: Any,
        by_waves: Array | None,
        by_transmission: Array | None,
    ) -> Array:
        """How exit waves change along directions of the waves and of the transmission; at least one is given."""

    def adjoint(
        self,
        backend: Backend,
        residual: Array,
        transmission: Array,
        corners: Any,
        tape: Any,
        gradient: Array,
        sources: Callable[[int, Array], Array] | None = None,
    ) -> Array:
        """Adds the gradient by the transmission to `gradient`; returns that by the waves. May work in `residual`.
        `sources` gives, for each slice and the waves that enter it, what else is to be added to their gradient."""


class DetectorModel(Protocol):
    """How exit waves become what the detector would count, and back."""

    @property
    def scalable(self) -> bool:
        """Whether fewer detector pixels about the origin are larger pixels of the object."""

    @property
    def follows_window(self) -> bool:
        """Whether a pattern lies as its window does in the object, so that it has to be moved back by the fraction of a
        pixel that the probe is moved in the window: `shifts` are these fractions then, and else what is left of the
        pattern's origin below a pixel."""

    def propagate(self, backend: Backend, exits: Array, shifts: Array | None) -> Array: ...

    def propagate_adjoint(self, backend: Backend, residual: Array, shifts: Array | None) -> Array: ...

    def apply_shift_ramp(self, backend: Backend, waves: Array, shifts: Array | None, sign: int = 1) -> None:
        """Multiply waves by what the shifts of the origin are to exit waves, or by its conjugate, in place: to do so
        and to propagate without shifts is to propagate. Nothing where it follows the window."""

    def moving(self, backend: Backend, far: Array, axis: int) -> Array | None:
        """How waves in the detector plane change with the fractions along an axis, per px; None where they do not."""


class Response(Protocol):
    """What a detector makes of intensities (B, Ny, Nx), before they are compared with counts: a linear map."""

    def expect(self, backend: Backend, intensity: Array) -> Array: ...

    def adjoint(self, backend: Backend, derivative: Array) -> Array: ...


class GridChange(Protocol):
    """How real maps go over to another grid of the same specimen."""

    def on_object(self, maps: np.ndarray, beyond: float) -> np.ndarray:
        """Maps (S, Y, X) on the object's pixels; `beyond` is what there is where the old grid did not reach."""

    def on_detector(self, pattern: np.ndarray, beyond: float) -> np.ndarray:
        """A pattern (Ny, Nx) in FFT order, likewise."""


class ModelBrick(Protocol):
    """A part of a model that has arrays of its own to find, by name in `State.parameters`.

    What it is given are all that a state has found, in host memory; what it returns are its own, and only those that
    become others.
    """

    def first(self, shape: tuple[int, ...], window: tuple[int, int]) -> dict[str, np.ndarray]:
        """At the start, for an object (S, Y, X)."""

    def resampled(self, parameters: Mapping[str, Any], change: GridChange) -> dict[str, np.ndarray]:
        """On another grid of as many slices."""

    def in_slices(self, parameters: Mapping[str, Any], shares: np.ndarray) -> dict[str, np.ndarray]:
        """Where slices are shared out anew: shares (S', S) of each old slice that lie in each new one."""

    def dimmed(self, parameters: Mapping[str, Any], share: Any) -> dict[str, Any]:
        """For a share of all counts; arrays stay where they are."""


class Loss(Protocol):
    """Distance of modelled from measured patterns, and the residual wave that reduces it.

    The functions take modelled intensities I >= 0, summed over modes, and measured amplitudes A of any one shape, and
    are 0 where A < 0, that is where nothing was measured.
    """

    def value(self, intensity: Array, amplitude: Array) -> Array:
        """Loss of each pixel."""

    def derivative(self, intensity: Array, amplitude: Array) -> Array:
        """d value / d I."""

    def second_derivative(self, intensity: Array, amplitude: Array) -> Array:
        """d2 value / d I2."""

    def curvature(self, intensity: Array, amplitude: Array) -> Array:
        """d2 value / d sqrt(I)2 = 4 I second_derivative + 2 derivative."""

    def majorizer_curvature(self, intensity: Array, amplitude: Array) -> Array:
        """The same, for steps: where the model is too dark, of the parabola that leads to the loss's minimum."""

    def intensity_floor(self, dtype: Any) -> Any:
        """Intensity that darker pixels are taken to have."""

    def residual(self, backend: Backend, far: Array, amplitudes: Array) -> tuple[Any, Array]:
        """Loss and residual waves, in the memory of `far` (B, M, Ny, Nx); `amplitudes` (B, Ny, Nx) are what was
        measured there, negative where nothing was."""


class ReconstructionProblem(Protocol):
    """What the loop, the schedule, constraints and algorithms on sums of gradients may ask of a problem.

    A :class:`~ptywidgets.engine.problem.problem.Problem` is one view of a specimen, a
    :class:`~ptywidgets.engine.tomography.series.TiltSeries` several views of one volume; both pass
    :class:`ptywidgets.testing.ProblemContract`. Whoever works on the windows of single patterns gets a
    `Problem`, one view after the other; :meth:`advance`, :meth:`constrained` and :meth:`refined` see to that.

    T is the number of views, J that of the positions of all of them, M that of the probe modes of each.
    """

    @property
    def backend(self) -> Backend: ...

    @property
    def model(self) -> Model:
        """That of the first view."""

    @property
    def loss(self) -> Loss: ...

    @property
    def measurement(self) -> Measurement:
        """That of the first view."""

    @property
    def views(self) -> Sequence[Problem]:
        """The T views; a problem of one view is its own."""

    @property
    def projections(self) -> Sequence[Projection]:
        """How each of T views looks at a volume; none where the object is seen as it is."""

    @property
    def initial_object(self) -> np.ndarray:
        """(S, Y, X) slices, or the (Z, Y, X) voxels of a volume, to begin with."""

    @property
    def initial_probe(self) -> np.ndarray:
        """(T M, Ny, Nx) complex64, corner-centred: those of one view after the other."""

    @property
    def initial_positions(self) -> np.ndarray:
        """(J, 2) A, from object pixel [0, 0]: those of one view after the other."""

    @property
    def object_shape(self) -> tuple[int, ...]:
        """(S, Y, X), or (Z, Y, X) of a volume."""

    @property
    def slice_thickness(self) -> tuple[float, ...] | None:
        """Of each slice, or between two of them, in A; None where the model has none."""

    @property
    def sampling(self) -> tuple[float, float]:
        """Size of an object pixel (row, column) in A."""

    @property
    def window(self) -> tuple[int, int]:
        """Detector pixels in use (Ny, Nx), which is also the window of a position in the object."""

    @property
    def scan_middle(self) -> np.ndarray:
        """(2,) A, from object pixel [0, 0]."""

    @property
    def count(self) -> int:
        """Number of positions J."""

    @property
    def modes(self) -> int:
        """Number of probe modes M of a view."""

    @property
    def mean_intensity(self) -> float:
        """Mean counts of a pattern."""

    @property
    def curvature_bound(self) -> float:
        """What steps that no search measures are divided by."""

    @property
    def vacuum(self) -> float:
        """What an object is where there is nothing."""

    @property
    def empty(self) -> bool:
        """Whether it begins with nothing but vacuum."""

    @property
    def scalable(self) -> bool:
        """Whether :meth:`at_window` may leave out detector pixels."""

    @property
    def held(self) -> tuple[str, ...]:
        """Of "probe" and "object", what stays as it is at the start."""

    @property
    def held_out(self) -> object | None:
        """Counts that it does not get to see, to judge by with :meth:`misfit`; None where there are none."""

    def illumination(self) -> np.ndarray:
        """Intensity (Y, X) that the initial probes put on the object, summed over positions."""

    def field_of_view(self) -> np.ndarray:
        """Mask (Y, X) of the pixels that are well illuminated."""

    # ---------------------------------------------------------------- another problem

    def to(self: AnyProblem, device: str) -> AnyProblem:
        """The same problem on another device, "cpu" or "gpu"."""

    def with_loss(self: AnyProblem, loss: str | Loss) -> AnyProblem:
        """The same problem with another loss."""

    def with_held_out(self: AnyProblem, *, seed: int = 0) -> AnyProblem:
        """The same problem without some of the counts; the same one where the data are no whole counts."""

    def with_initial(
        self: AnyProblem,
        *,
        obj: np.ndarray | None = None,
        probe: np.ndarray | None = None,
        held: tuple[str, ...] | None = None,
    ) -> AnyProblem:
        """The same problem with another object or probe to begin with, of the same shape, or with another one held."""

    def at_window(self: AnyProblem, window: tuple[int, int]) -> AnyProblem:
        """The same problem with only the central `window` of the detector in use."""

    # ---------------------------------------------------------------- states

    def start(self) -> State:
        """The state before the first iteration."""

    def on_device(self, state: State) -> State:
        """A state, from wherever it was, on this problem's device."""

    def resample_state(self, state: State) -> State:
        """A state of the same problem at another window, on this one's grid."""

    def view(self, state: State, number: int) -> State:
        """What a state says of one view."""

    def model_at(self, state: State) -> Model:
        """The first view's model with what a state has found of its parameters."""

    # ---------------------------------------------------------------- what a state is worth

    def gradients(self, state: State, batch: Any, *, with_probe: bool = True, with_others: bool = False) -> Gradients:
        """Loss and gradients over a batch of position indices; `with_others`: also by the model's parameters."""

    def curvature(self, state: State, batch: Any, directions: Sequence[Direction]) -> np.ndarray:
        """Matrix (K, K) of the loss's second derivatives along K directions, summed over a batch."""

    def intensities(self, state: State, batch: Any) -> np.ndarray:
        """Modelled patterns (B, Ny, Nx), corner-centred."""

    def misfit(self, state: State) -> float:
        """How badly a state explains the counts that are held out, per pattern; NaN where none are."""

    # ---------------------------------------------------------------- the loop

    def order(self, state: State, plan: Plan, generator: np.random.Generator) -> np.ndarray:
        """The order (J,) in which an iteration takes the positions."""

    def batches(self, order: np.ndarray, size: int | None, plan: Plan | None = None) -> list[np.ndarray]:
        """An order, cut into batches of at most `size`; of larger ones where they make no difference to a plan."""

    def split(self, batch: Any) -> list[tuple[int, np.ndarray]]:
        """A batch's views by number, in the order in which they come, each with its own position indices."""

    def advance(self, algorithm: Algorithm, state: State, batch: Any) -> State:
        """The state after an algorithm's work on a batch of position indices."""

    def constrained(self, constraint: Constraint) -> Callable[[State], State]:
        """What applies a constraint to this problem's states."""

    def refined(self, refinement: Refinement) -> Callable[[State, Any], State]:
        """What refines this problem's states after a batch."""


class Algorithm(Protocol):
    """One step from a state of one view, given the gradients of a batch.

    One that works on sums of gradients alone takes any :class:`ReconstructionProblem`.
    """

    def advance(self, problem: Problem, state: State, batch: Any) -> State: ...


class Refinement(Protocol):
    """A description; `prepare` builds what it needs once and returns the function that is applied after a batch."""

    def prepare(self, problem: Problem) -> Callable[[State, Any], State]: ...


class SeriesRefinement(Protocol):
    """A refinement of what only a series of tilts has; its `acts_on` is "tilts"."""

    def prepare(self, problem: TiltSeries) -> Callable[[State, Any], State]: ...


class Constraint(Protocol):
    """A description; `prepare` builds what it needs once and returns the function that is applied.

    One that acts on the object is given the whole problem, any other one view after the other.
    """

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]: ...

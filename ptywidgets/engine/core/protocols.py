"""The seams of the engine, documented once.

Nothing inherits from these classes: an object that has the methods fits. Whoever adds a brick finds here what it must
offer, and in :mod:`ptywidgets.testing` the tests that it must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ptywidgets.engine.core.state import State

if TYPE_CHECKING:
    from ptywidgets.engine.data.patterns import Patterns
    from ptywidgets.engine.problem.problem import Problem

Array = Any  # numpy or cupy array; the backend decides
Result = TypeVar("Result")


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
        """far *= A / |far| - 1 in place, with |far|^2 summed over modes and the `amplitudes` A (B, Ny, Nx) of the same
        positions; returns sum (A - |far|)^2. Where A < 0 nothing was measured: far becomes 0 and adds nothing."""

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


class Algorithm(Protocol):
    """One step from a state, given the gradients of a batch."""

    def advance(self, problem: Problem, state: State, batch: Any) -> State: ...


class Refinement(Protocol):
    """A description; `prepare` builds what it needs once and returns the function that is applied after a batch."""

    def prepare(self, problem: Problem) -> Callable[[State, Any], State]: ...


class Constraint(Protocol):
    """A description; `prepare` builds what it needs once and returns the function that is applied."""

    def prepare(self, problem: Problem) -> Callable[[State], State]: ...

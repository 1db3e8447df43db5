"""The CPU backend: small chunks that stay in the cache, on a few worker threads.

Positions are independent, so two threads each transform their own few patterns with a single-threaded FFT. That is
faster than one FFT on two threads, and does not collapse when a browser takes a core for a moment. The loops of numpy,
scipy and of the compiled kernels release the interpreter lock, so the threads really run side by side.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import wait
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from ptywidgets.engine.backends.aligned import aligned, keep_freed_memory
from ptywidgets.engine.backends.kernels.kernels import Kernels, load_kernels
from ptywidgets.engine.backends.transforms import Transform, load_transform
from ptywidgets.engine.backends.turns import Turns
from ptywidgets.engine.core import memory
from ptywidgets.engine.core.protocols import Loss
from ptywidgets.engine.core.workers import WorkerPool, worker_count
from ptywidgets.engine.data.patterns import Patterns

Result = TypeVar("Result")
BANDS = 4  # of rows for each worker: those of a field's middle are more work than its edges
_CACHE_BYTES = 1_300_000  # one wave array of a chunk; larger ones fall out of the cache, smaller ones cost calls


class CpuBackend:
    """numpy and scipy on worker threads, with compiled kernels where numba is installed.

    Parameters
    ----------
    threads : int, optional
        Number of workers; by default what :func:`ptywidgets.engine.core.workers.worker_count` says.
    kernels : {"auto", "numba", "numpy"}
        What does the element-by-element work. "auto" is numba where it is installed.
    transforms : {"auto", "ducc0", "scipy"}
        What does the Fourier transforms. "auto" is ducc0 where it is installed (extra ``fast``).
    """

    name = "cpu"
    xp: Any = np

    def __init__(self, threads: int | None = None, kernels: str = "auto", transforms: str = "auto") -> None:
        keep_freed_memory()
        self.threads = threads or worker_count()
        self._wanted = (kernels, transforms)
        self._kernels: Kernels | None = None
        self._transform: Transform | None = None
        self._without_threads()
        _BACKENDS.add(self)

    def _without_threads(self) -> None:
        """At first, and in a forked child, where threads are not and a lock may be held by one of them."""
        self._pool: WorkerPool | None = None
        self._busy = threading.Lock()
        self._worker = threading.local()
        self._buffers: dict[tuple[int, str], np.ndarray] = {}

    def __reduce__(self) -> Any:
        """Copied and pickled without its threads and buffers, which are made when they are needed."""
        return CpuBackend, (self.threads, *self._wanted)

    @property
    def kernels(self) -> Kernels:
        """The loops in use; compiled ones are loaded when first needed."""
        if self._kernels is None:
            self._kernels = load_kernels(self._wanted[0])
        return self._kernels

    # Arrays

    def to_device(self, array: Any, dtype: Any = None) -> np.ndarray:
        return np.asarray(array, dtype=dtype)

    def to_numpy(self, array: Any) -> np.ndarray:
        return np.asarray(array)

    def empty(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        rank = getattr(self._worker, "rank", None)
        if rank is None:
            return aligned(shape, dtype)
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        buffer = self._buffers.get((rank, name))
        if buffer is None or buffer.nbytes < size:
            buffer = self._buffers[rank, name] = aligned((size,), np.uint8)
        return buffer[:size].view(dtype).reshape(shape)

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        out = aligned(shape, dtype)
        out[...] = 0
        return out

    # Transforms

    def free_memory(self) -> float | None:
        return memory.available_memory()

    def fft2(self, waves: np.ndarray) -> np.ndarray:
        return self._fft(waves, True)

    def ifft2(self, waves: np.ndarray) -> np.ndarray:
        return self._fft(waves, False)

    def _fft(self, waves: np.ndarray, forward: bool) -> np.ndarray:
        """A worker transforms its own chunk alone; a stack outside of the workers is shared among threads."""
        if self._transform is None:
            self._transform = load_transform(self._wanted[1])
        return self._transform(waves, forward, 1 if waves.ndim < 4 or hasattr(self._worker, "rank") else self.threads)

    # Windows of a field

    def extract_patches(self, field: np.ndarray, corners: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        patches = self.empty("patches", (len(corners), len(field), *shape), field.dtype)
        self.kernels.extract_patches(field, corners, patches)
        return patches

    def add_patches(self, field: np.ndarray, corners: np.ndarray, patches: np.ndarray) -> None:
        self.kernels.add_patches(field, corners, patches)

    def phase_factor(self, phase: np.ndarray) -> np.ndarray:
        out = self.empty("phase factor", phase.shape, np.result_type(phase.dtype, np.complex64))
        self.kernels.phase_factor(phase, out)
        return out

    def phase_gradient(self, transmission: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        out = self.empty("phase gradient", transmission.shape, transmission.real.dtype)
        self.kernels.phase_gradient(transmission, gradient, out)
        return out

    def multiply_patches(self, waves: np.ndarray, field: np.ndarray, corners: np.ndarray) -> np.ndarray:
        out = self.empty("product", (len(corners), *waves.shape[1:]), waves.dtype)
        self.kernels.multiply_patches(waves, field, corners, out)
        return out

    def multiply_patches_adjoint(
        self, residual: np.ndarray, field: np.ndarray, corners: np.ndarray, waves: np.ndarray, gradient: np.ndarray
    ) -> np.ndarray:
        self.kernels.multiply_patches_adjoint(residual, field, corners, waves, gradient)
        return residual

    def correct(
        self,
        field: np.ndarray,
        corners: np.ndarray,
        waves: np.ndarray,
        residual: np.ndarray,
        step: np.ndarray,
        passed: np.ndarray,
    ) -> None:
        self.kernels.correct(field, corners, waves, residual, step, passed)

    def correct_phase(
        self,
        phase: np.ndarray,
        field: np.ndarray,
        corners: np.ndarray,
        waves: np.ndarray,
        residual: np.ndarray,
        step: np.ndarray,
    ) -> None:
        self.kernels.correct_phase(phase, field, corners, waves, residual, step)

    def add_same_patch(self, field: np.ndarray, corners: np.ndarray, image: np.ndarray) -> None:
        corners = corners[np.argsort(corners[:, 0], kind="stable")]
        self._in_bands(
            len(field), lambda rows, _: self.kernels.add_same_patch(field, corners, image, rows), lambda: None
        )

    def sum_patches(self, field: np.ndarray, corners: np.ndarray, sums: np.ndarray) -> None:
        corners = corners[np.argsort(corners[:, 0], kind="stable")]

        def task(rows: tuple[int, int], part: np.ndarray) -> None:
            self.kernels.sum_patches(field, corners, part, rows)

        parts = self._in_bands(len(field), task, lambda: np.zeros_like(sums))
        for part in parts:
            sums += part

    def _in_bands(
        self, rows: int, task: Callable[[tuple[int, int], Any], None], make: Callable[[], Result]
    ) -> list[Result]:
        """Work on a field by all workers, each on rows of its own; a worker that calls works on all rows itself."""
        if hasattr(self._worker, "rank"):
            alone = make()
            task((0, rows), alone)
            return [alone]
        edges = np.linspace(0, rows, BANDS * self.threads + 1).astype(int).tolist()
        return self.map_reduce(task, list(pairwise(edges)), make)

    # Waves

    def ramp(self, waves: np.ndarray, slopes: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
        self.kernels.ramp(waves, slopes, rows, columns)

    def amplitudes(self, patterns: Patterns, indices: np.ndarray, dtype: Any) -> np.ndarray:
        out = self.empty("amplitudes", (len(indices), *patterns.shape[1:]), dtype)
        self.kernels.amplitudes(*patterns.few(indices), patterns.mask, out)
        if patterns.substitutes is not None:
            places, rows = patterns.substitutes.among(indices)
            if len(places):
                others = patterns.substitutes.patterns
                few = self.empty("other amplitudes", (len(places), *patterns.shape[1:]), dtype)
                self.kernels.amplitudes(others.counts, rows, others.origin, others.mask, few)
                few *= few.dtype.type(patterns.substitutes.factor)
                out[places] = few
        return out

    def modulus(self, far: np.ndarray, amplitudes: np.ndarray) -> float:
        return float(self.kernels.modulus(far, amplitudes))

    def residual(self, far: np.ndarray, amplitudes: np.ndarray, loss: Loss) -> float:
        return float(self.kernels.residual(far, amplitudes, loss))

    def hessian_block(self, far: np.ndarray, tangents: np.ndarray, amplitudes: np.ndarray, loss: Loss) -> np.ndarray:
        return self.kernels.hessian_block(far, tangents, amplitudes, loss)

    def combine(self, weights: np.ndarray, images: np.ndarray) -> np.ndarray:
        out = self.empty("waves", (len(weights), *images.shape[1:]), images.dtype)
        self.kernels.accumulate(weights, _real_rows(images), _real_rows(out), True)
        return out

    def combine_adjoint(self, weights: np.ndarray, waves: np.ndarray, sums: np.ndarray) -> None:
        self.kernels.accumulate(np.ascontiguousarray(weights.T), _real_rows(waves), _real_rows(sums), False)

    # Work

    def chunks(self, indices: np.ndarray, bytes_per_position: int) -> list[np.ndarray]:
        size = max(1, _CACHE_BYTES // bytes_per_position)
        rounds = -(-len(indices) // (size * self.threads))
        parts = np.array_split(indices, max(rounds, 1) * self.threads)  # as many for one worker as for another
        return [part for part in parts if len(part)]

    def map_reduce(
        self,
        task: Callable[[Any, Any], None],
        chunks: Sequence[Any],
        make: Callable[[], Result],
        sums: Sequence[Result] = (),
    ) -> list[Result]:
        with self._busy:  # buffers belong to a rank, and there is one set of ranks
            workers = max(1, min(self.threads, len(chunks)))
            accumulators: list[Any] = [*sums, *[None] * (workers - len(sums))]

            def work(rank: int, stop: threading.Event) -> None:
                if accumulators[rank] is None:
                    accumulators[rank] = make()
                # A fixed share for each worker keeps the order of the sums, and so the result, the same.
                for chunk in chunks[rank::workers]:
                    if stop.is_set():
                        return
                    task(chunk, accumulators[rank])

            self._work(work, workers)
            return accumulators

    def map_ordered(self, task: Callable[[slice], None], sizes: Sequence[int], clash: np.ndarray) -> None:
        turns = Turns(sizes, clash, self.threads)

        def work(rank: int, stop: threading.Event) -> None:
            try:
                while not stop.is_set() and (places := turns.take()) is not None:
                    task(places)
                    turns.done(places)
            except BaseException:
                turns.stop()  # nobody waits for what will not be done
                raise

        with self._busy:
            self._work(work, max(1, min(self.threads, max(sizes, default=1))), turns.stop)

    def _work(
        self,
        work: Callable[[int, threading.Event], None],
        workers: int,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        """Call ``work(rank, stop)`` by every worker; when it should end early, `stop` is set and `release` called."""
        stop = threading.Event()

        def ranked(rank: int) -> None:
            self._worker.rank = rank
            try:
                work(rank, stop)
            finally:
                del self._worker.rank

        if workers == 1:
            ranked(0)
            return
        if self._pool is None:
            self._pool = WorkerPool(self.threads - 1, "ptywidgets-cpu")
        futures: list[Any] = []
        try:
            for rank in range(1, workers):
                try:
                    futures.append(self._pool.submit(ranked, rank))
                except RuntimeError:  # no pool takes work once the main thread has ended, and other threads go on
                    ranked(rank)
            ranked(0)  # here: to wake a thread and to be woken takes as long as some transforms
            for future in futures:
                future.result()
        except BaseException:  # also an interrupt of the main thread: leave no worker behind at work
            stop.set()
            release()
            wait(futures)
            raise

    def close(self) -> None:
        """End the worker threads and free the buffers; the backend makes new ones when it is used again."""
        with self._busy:
            if self._pool is not None:
                self._pool.shutdown(wait=True)
                self._pool = None
            self._buffers.clear()


def _forked() -> None:
    for backend in _BACKENDS:
        backend._without_threads()


_BACKENDS: weakref.WeakSet[CpuBackend] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _real_rows(array: np.ndarray) -> np.ndarray:
    """A contiguous complex array as real numbers, one row for each index of its first axis."""
    return array.reshape(len(array), -1).view(array.real.dtype)

"""Small seeded problems that exercise everything at once: sub-pixel positions, descan, modes, an odd window."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from ptywidgets import samples
from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.core.protocols import Backend, Loss
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.losses import AmplitudeLoss
from ptywidgets.engine.models import Gradients, Model, single_slice
from ptywidgets.engine.models.composed import Geometry
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import prepare
from ptywidgets.engine.problem.problem import Problem, make_problem


@dataclass(frozen=True)
class ModelCase:
    """A model with arrays to run it on."""

    model: Model
    backend: Backend
    obj: Any  # (S, Y, X)
    probe: Any  # (M, Ny, Nx), corner-centred
    geometry: Geometry
    patterns: Patterns
    loss: Loss = field(default_factory=AmplitudeLoss)

    @property
    def amplitudes(self) -> np.ndarray:
        """What is measured (J, Ny, Nx), in the case's precision."""
        return self.backend.amplitudes(self.patterns, np.arange(self.count), self.probe.real.dtype)

    @property
    def count(self) -> int:
        """Number of positions J."""
        return len(self.geometry.corners)

    def gradients(
        self, batch: Any = None, *, with_probe: bool = True, with_others: bool = False, **changes: Any
    ) -> Gradients:
        """Loss and gradients, with `obj`, `probe` or another field replaced."""
        case = replace(self, **changes)
        batch = np.arange(self.count) if batch is None else np.asarray(batch)
        return case.model.gradients(
            case.backend,
            case.obj,
            case.probe,
            case.geometry,
            case.patterns,
            batch,
            case.loss,
            with_probe=with_probe,
            with_others=with_others,
        )

    def intensities(self, **changes: Any) -> np.ndarray:
        """Modelled patterns (J, Ny, Nx)."""
        case = replace(self, **changes)
        return case.model.intensities(case.backend, case.obj, case.probe, case.geometry, np.arange(self.count))


def model_case(
    model: Model | None = None,
    *,
    modes: int = 2,
    positions: int = 7,
    window: tuple[int, int] = (20, 17),
    double: bool = True,
    subpixel: bool = True,
    backend: Backend | None = None,
    seed: int = 0,
) -> ModelCase:
    """Random smooth object and probe, and amplitudes that they do not explain.

    Examples
    --------
    >>> model_case(modes=3).probe.shape
    (3, 20, 17)
    """
    model = model or single_slice()
    backend = backend or CpuBackend(2)
    generator = np.random.default_rng(seed)
    shape = (model.exit_wave.slices, window[0] + 12, window[1] + 15)
    phase = _smooth(generator, shape).real
    obj = model.specimen.from_transmission(np.exp(1j * phase) * (1 - 0.1 * np.abs(_smooth(generator, shape))))
    probe = _smooth(generator, (modes, *window))
    wander = generator.uniform(0, 1, (positions, 2)) * (np.array(shape[-2:]) - window - 1)
    centres = wander + np.array([n // 2 for n in window]) + 0.5
    shifts = generator.uniform(-0.5, 0.5, (positions, 2)) if subpixel else None
    geometry = Geometry.from_pixels(centres if subpixel else np.floor(centres), window, shifts)
    amplitudes = np.abs(_smooth(generator, (positions, *window))) + 0.05
    real, complex_ = (np.float64, np.complex128) if double else (np.float32, np.complex64)
    return ModelCase(
        model=model,
        backend=backend,
        obj=backend.to_device(obj, complex_ if np.iscomplexobj(obj) else real),
        probe=backend.to_device(probe, complex_),
        geometry=geometry,
        patterns=Patterns.centred((amplitudes**2).astype(real)).on(backend),
    )


def _smooth(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Complex noise of unit variance, most of its power at low frequencies, and enough at high ones to have a phase."""
    noise = generator.normal(size=shape) + 1j * generator.normal(size=shape)
    k2 = np.fft.fftfreq(shape[-2])[:, None] ** 2 + np.fft.fftfreq(shape[-1])[None] ** 2
    smooth = np.fft.ifft2(np.fft.fft2(noise) * (np.exp(-k2 / 0.01) + 0.05))
    return smooth / smooth.std()


@lru_cache(maxsize=4)
def example_problem(object_type: str = "complex") -> Problem:
    """Counted patterns of a corner of the duck, 8 x 8 positions of 64 x 64 pixels, and a probe that is nearly right.

    Examples
    --------
    >>> example_problem("potential").count
    64
    """
    whole = samples.ducky("tiny")
    dataset = Dataset(np.asarray(whole.data)[2:10, 2:10], calibration=whole.calibration, vacuum=whole.vacuum)
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=0.95 * samples.ducky_defocus("tiny")))
    return make_problem(prepare(dataset, rotation=-15.0), optics, model=single_slice(object_type))

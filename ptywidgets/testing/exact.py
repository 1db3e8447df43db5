"""Problems whose patterns are what their own model makes of a known state: what is true has no misfit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.problem.problem import Problem, make_problem
from ptywidgets.testing.cases import example_problem

ROOM = 2.0  # A around the outermost windows
FINEST = 0.12  # cycles a pixel of the object's details


def exact_problem(
    kind: str = "potential", *, strength: float = 0.35, seed: int = 0, **parts: Any
) -> tuple[Problem, State]:
    """A problem of 64 positions, and the state that explains its patterns.

    Parameters
    ----------
    kind : {"potential", "complex"}
        Of the object, whose phase is smooth noise with a standard deviation of `strength` rad in each slice.
    **parts
        Of the model, such as ``exit_wave=Multislice(...)``.

    Returns
    -------
    (Problem, State)

    Examples
    --------
    >>> problem, truth = exact_problem()
    >>> problem.gradients(truth, np.arange(problem.count)).loss < 1e-5 * problem.count * problem.mean_intensity
    True
    """
    start = example_problem(kind)
    model = replace(start.model, **parts)
    problem = make_problem(start.measurement, model=model, probe=start.initial_probe, object_padding=ROOM)
    noise = np.random.default_rng(seed).normal(size=problem.object_shape)
    q = np.hypot(np.fft.fftfreq(noise.shape[-2])[:, None], np.fft.fftfreq(noise.shape[-1])[None])
    smooth = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-((q / FINEST) ** 2))).real
    phase = (strength * smooth / smooth.std()).astype(np.float32)
    state = problem.start().replace(object=phase if kind == "potential" else np.exp(1j * phase).astype(np.complex64))
    counts = problem.intensities(state, np.arange(problem.count))  # a blur by transforms goes below nothing
    return with_patterns(problem, counts.clip(0)), state


def with_patterns(problem: Problem, counts: np.ndarray) -> Problem:
    """The problem with other patterns (J, Ny, Nx), in FFT order."""
    return replace(problem, patterns=Patterns.centred(counts.astype(np.float32)).on(problem.backend))


def in_double(state: State) -> State:
    """The state in double precision."""
    kind = np.complex128 if np.iscomplexobj(state.object) else np.float64
    return state.replace(object=state.object.astype(kind), probe=state.probe.astype(np.complex128))


def difference(function: Callable[[float], Any], step: float) -> Any:
    """Central difference of a function of one number, at 0."""
    return (function(step) - function(-step)) / (2 * step)

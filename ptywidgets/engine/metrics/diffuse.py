"""How many electrons a fitted model scatters diffusely at each position: what an annular dark field would see of it."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.problem import Problem

_CHUNK = 64  # positions at a time


def diffuse_counts(problem: Problem, state: State) -> np.ndarray:
    """Electrons that each diffuse channel gives off at each position, on and beyond the detector.

    q_jc = sum_s sum_r sum_m |psi_jms|^2 E_cs of :mod:`ptywidgets.engine.models.parts.scattering`: the beam's
    intensity where channel c scatters.

    Parameters
    ----------
    problem : Problem
        Its model has a diffuse part.
    state : State
        Of that problem.

    Returns
    -------
    ndarray (J, C)
        Counts.

    Raises
    ------
    ParameterError
        When the model has no diffuse part.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from ptywidgets.engine.models import Diffuse
    >>> from ptywidgets.testing import example_problem
    >>> problem = example_problem("potential")
    >>> extent = tuple(n * s for n, s in zip(problem.window, problem.sampling))
    >>> warm = replace(problem, model=replace(problem.model, diffuse=Diffuse(("C",), 0.5, extent)))
    >>> diffuse_counts(warm, warm.start()).shape == (problem.count, 1)
    True
    """
    model, backend = problem.model_at(state), problem.backend
    if model.diffuse is None:
        raise ParameterError("the model scatters nothing diffusely; make it with ModelConfig(diffuse='MoS2').")
    slab = model.slab(backend, state.object)
    geometry = problem.geometry(state.positions)
    found = []
    for start in range(0, problem.count, _CHUNK):
        where = geometry.at(backend, np.arange(start, min(start + _CHUNK, problem.count)))
        places = np.arange(len(where.corners))
        incident = model.incident(backend, state.probe, where.fractions, exact=True)
        far = model.propagate_to_detector(backend, incident.waves(backend, places), slab, where)
        found.append(backend.to_numpy(far.diffuse_counts).copy())
    return np.concatenate(found)

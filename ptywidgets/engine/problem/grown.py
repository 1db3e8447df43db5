"""More patterns of the same scan, as they come while it is being measured: the problem of all, and its state."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.core.state import State
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.problem.held_out import hold_out_more
from ptywidgets.engine.problem.problem import Problem


def places_in(old: Measurement, new: Measurement) -> np.ndarray:
    """Where each pattern (J,) of a measurement is in another one of the same scan; -1 where it is not.

    Raises
    ------
    DataError
        When the two are not of one scan.
    """
    if tuple(old.scan_shape) != tuple(new.scan_shape):
        raise DataError(f"the scan is {new.scan_shape} and was {old.scan_shape}; rows are added to the same scan only.")
    where = np.full(int(np.prod(old.scan_shape)), -1)
    where[old.scan_indices] = np.arange(len(old.patterns))
    return where[new.scan_indices]


def grown_state(problem: Problem, old: Problem, state: State) -> State:
    """A state at the end of an iteration, as one of a problem that has more patterns of the same scan.

    What was found stays: object, probe, positions, and what the model has found besides. New positions begin where the
    scan has them, moved as the latest of the old ones were.

    Parameters
    ----------
    problem : Problem
        Made with ``whole_scan``, as the old one was, and turned alike, so that the object is in one place in both.
    old : Problem
        Whose state it is.
    state : State

    Raises
    ------
    DataError
        When the object is not in one place in both.
    """
    window = (int(state.probe.shape[-2]), int(state.probe.shape[-1]))
    places, here = places_in(old.measurement, problem.measurement), problem.at_window(window)
    if tuple(here.object_shape) != tuple(state.object.shape):
        raise DataError(
            f"the object would be {tuple(here.object_shape)} pixels with the rows that have come, and was "
            f"{tuple(state.object.shape)}; begin anew: reset() and run()."
        )
    moved = state.positions - old.initial_positions
    positions = problem.initial_positions + moved[-old.measurement.scan_shape[1] :].mean(0)
    known = places >= 0
    positions[known] = state.positions[places[known]]
    return here.on_device(
        state.replace(positions=here.inside(positions), memory={}, order=None, batch=0, partial_loss=0.0)
    )


def grown_training(problem: Problem, training: Problem, seed: int = 0) -> Problem:
    """A problem with more patterns as one to work on: with the loss, and without the counts held out, of the old one.

    Parameters
    ----------
    problem : Problem
        The new one.
    training : Problem
        The old one, as :func:`ptywidgets.engine.solve.schedule.prepared_for_schedule` has made it.
    seed : int
        Of which patterns are split, among those that have come.
    """
    places = places_in(training.measurement, problem.measurement)
    return hold_out_more(problem, training, places, seed=seed).with_loss(training.loss)


__all__ = ["grown_state", "grown_training", "places_in"]

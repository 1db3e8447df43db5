"""ptywidgets itself: the default plan of gradient descent, and the automatic schedule."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from protocol import LONG, Given, Turn

from ptywidgets import read
from ptywidgets.engine import (
    Calibration,
    Dataset,
    Plan,
    Problem,
    iterate,
    make_problem,
    prepare,
    reconstruct,
    single_slice,
)
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.constraints import default_constraints

PACKAGES = ("ptywidgets", "scipy", "numba", "ducc0")


def run(given: Given, mode: str, turn: Turn) -> None:
    """`mode` is "complex" or "potential" (gradient descent), "auto", or "auto-file" (timed from opening the file)."""
    if mode.startswith("auto"):
        for _ in reconstruct(told(given, "potential"), iterations=4):
            pass  # compiles, which is no part of what is measured
        if mode == "auto-file":
            turn.ready("automatic schedule; opening the file and finding the start included", PACKAGES)
            problem = found(given)
        else:
            problem = told(given, "potential")
            turn.ready("automatic schedule", PACKAGES)
        states: Iterator[Any] = (state for state in reconstruct(problem) if state.at_iteration_end)
    else:
        problem = told(given, mode)
        plan = Plan(iterations=LONG, constraints=default_constraints(mode))
        next(iterate(problem, plan))  # compiles; the run below begins anew
        turn.ready(f"Plan(): gradient descent, batch {plan.batch}, {mode} object", PACKAGES)
        states = iterate(problem, plan)
    for state in states:
        turn.done(partial(result, problem, state))


def told(given: Given, object_type: str = "complex") -> Problem:
    """The problem with its geometry and its first probe given, as the peers get them."""
    calibration = Calibration(
        energy=float(given["energy"]),
        scan_step=float(given["scan_step"]),
        q_pixel=float(given["q_pixel"]),
        semiangle=float(given["semiangle"]),
    )
    shape = (*given["scan_shape"], *given["probe"].shape)
    dataset = Dataset(data=given["patterns"].reshape(shape), calibration=calibration)
    measurement = prepare(dataset, rotation=float(given["rotation"]), transpose=bool(given["transpose"]))
    return make_problem(measurement, probe=given["probe"], model=single_slice(object_type))


def found(given: Given) -> Problem:
    """The problem of a file, told nothing but energy, scan step, detector pixel and semi-angle."""
    known = {name: float(given[name]) for name in ("energy", "scan_step", "q_pixel", "semiangle")}
    dataset = read(str(given["path"]), **known).with_vacuum(given["vacuum"]).load()
    start = calibrate(dataset)
    return make_problem(start.measurement, start.optics, model=single_slice("potential"))


def result(problem: Problem, state: Any) -> tuple[Any, Any, float]:
    """Object, positions in its pixels, size of a pixel."""
    problem = problem.at_window(state.probe.shape[-2:])
    image = problem.backend.to_numpy(state.object)
    image = image[0] if len(image) == 1 else image.sum(0)
    return image, state.positions / problem.sampling, problem.sampling[0]

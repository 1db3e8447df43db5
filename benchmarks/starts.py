"""What a direct image is worth as a start: seconds to a correlation with the truth, from it and from an empty object.

    python benchmarks/starts.py [small small_dose1e4 full_counts] [--data FOLDER] [--objects potential complex]

Both get prepared data with the true orientation and lens, and take turns, whole runs, of which the medians count; the
direct image's own seconds, from the patterns in memory, are part of its run. "auto" is the automatic schedule, "plan"
the default plan of gradient descent.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from cases import Case, load_case
from score import score

from ptywidgets.engine import (
    Aberrations,
    Optics,
    Plan,
    Problem,
    State,
    iterate,
    make_problem,
    prepare,
    reconstruct,
    single_slice,
)
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.direct import BrightField, DirectImage, bright_field, obf, ssb, start_object

METHODS: dict[str, Callable[[BrightField, Optics], DirectImage]] = {
    "SSB": ssb,
    "OBF": obf,
    "OBF/4": lambda bright, optics: obf(bright, optics, upsampling=4),  # times finer than the scan
}
Course = list[tuple[int, float]]  # iteration, correlation
LEVELS = (0.9, 0.92, 0.94, 0.96, 0.97, 0.98, 0.99)


def main() -> None:
    """Print a table for each set, object and algorithm."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*", default=["small", "small_dose1e4", "full_counts"])
    parser.add_argument("--data", type=Path, help="folder of simulated sets with their truth; else our own ducky")
    parser.add_argument("--objects", nargs="*", default=["complex", "potential"])
    parser.add_argument("--algorithms", nargs="*", default=["auto", "plan"])
    parser.add_argument("--starts", nargs="*", default=["OBF"], choices=list(METHODS))
    parser.add_argument("--iterations", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for name in options.sets:
        with tempfile.TemporaryDirectory() as scratch:
            case = load_case(name, options.data, Path(scratch))
            for kind in options.objects:
                problem = problem_of(case, kind)
                for algorithm in options.algorithms:
                    starts = (None, *options.starts)
                    # The first runs load loops and fill memory with pages; they are scored, the others only timed,
                    # since scoring would leave nothing in the caches for what comes next.
                    courses: dict[str | None, Course] = {start: [] for start in starts}
                    for start, course in courses.items():
                        run(case, problem, algorithm, start, options.iterations, partial(note, case, problem, course))
                    seconds: dict[str | None, list[list[float]]] = {start: [] for start in starts}
                    for _ in range(options.rounds):
                        for start in starts:
                            seconds[start].append(run(case, problem, algorithm, start, options.iterations))
                    print(f"{name}, {kind}, {algorithm}")
                    for start, course in courses.items():
                        median = np.median(seconds[start], axis=0)
                        print(f"  {start or 'empty':6} {told(median, course)}", flush=True)


def problem_of(case: Case, kind: str) -> Problem:
    """With the true orientation and lens, from an empty object."""
    measurement = prepare(case.dataset, rotation=case.rotation, transpose=case.transpose)
    optics = Optics.from_dataset(case.dataset, aberrations=Aberrations(defocus=case.defocus))
    return make_problem(measurement, optics, model=single_slice(kind))


def run(
    case: Case,
    problem: Problem,
    algorithm: str,
    start: str | None,
    iterations: int,
    look: Callable[[State], None] = lambda state: None,
) -> list[float]:
    """Seconds at every iteration of one run from one start, each of which is shown to `look`."""
    begun, seconds = time.perf_counter(), []
    if start is not None:
        optics = Optics.from_dataset(case.dataset, aberrations=Aberrations(defocus=case.defocus))
        bright = bright_field(case.dataset, problem.measurement)
        problem = replace(problem, initial_object=start_object(METHODS[start](bright, optics), problem))
        seconds.append(time.perf_counter() - begun)
        look(problem.start())
    constraints = default_constraints(problem.model.specimen.object_type)
    if algorithm == "auto":
        states: Iterator[State] = reconstruct(problem, iterations=iterations, constraints=constraints)
    else:
        states = iterate(problem, Plan(iterations=iterations, constraints=constraints))
    for state in states:
        if state.at_iteration_end:
            seconds.append(time.perf_counter() - begun)
            look(state)
    return seconds


def note(case: Case, problem: Problem, course: Course, state: State) -> None:
    """Add a state's iteration and its correlation with the true phase to a course."""
    here = problem.at_window(state.probe.shape[-2:])
    found = np.asarray(here.backend.to_numpy(state.object))[0]
    correlation = score(found, state.positions / here.sampling, case.truth).correlation
    course.append((state.iteration, float(correlation)))


def told(seconds: np.ndarray, course: Course) -> str:
    """When each correlation was reached first, and the best."""
    words = []
    for level in LEVELS:
        reached = [(s, n) for s, (n, c) in zip(seconds, course, strict=True) if c >= level]
        words.append(f"{level}: {reached[0][0]:.2f} s ({reached[0][1]})" if reached else f"{level}: -")
    return ", ".join(words) + f", best {max(c for _, c in course):.4f}"


if __name__ == "__main__":
    main()

"""What a direct image is worth as a start: seconds to a correlation with the truth, from it and from an empty object.

    python benchmarks/starts.py [small small_dose1e4 full_counts] [--data FOLDER] [--objects potential complex]

Both get prepared data with the true orientation and lens, and take turns, iteration by iteration; the direct image's
own seconds, from the patterns in memory, count. "auto" is the automatic schedule, "plan" the default plan of gradient
descent.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
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
    auto_steps,
    iterate,
    make_problem,
    prepare,
    single_slice,
)
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.direct import BrightField, DirectImage, bright_field, obf, ssb, start_object

METHODS: dict[str, Callable[[BrightField, Optics], DirectImage]] = {
    "SSB": ssb,
    "OBF": obf,
    "OBF/4": lambda bright, optics: obf(bright, optics, upsampling=4),  # times finer than the scan
    "OBF/6": lambda bright, optics: obf(bright, optics, upsampling=6),
}
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
    options = parser.parse_args()
    load_loops(options)
    for name in options.sets:
        with tempfile.TemporaryDirectory() as scratch:
            case = load_case(name, options.data, Path(scratch))
            for kind in options.objects:
                problem = problem_of(case, kind)
                for algorithm in options.algorithms:
                    runs = {start: Run(case, problem, algorithm, start, options.iterations) for start in options.starts}
                    runs = {"empty": Run(case, problem, algorithm, None, options.iterations), **runs}
                    while any([run.go_on() for run in runs.values()]):
                        pass
                    print(f"{name}, {kind}, {algorithm}")
                    for start, run in runs.items():
                        print(f"  {start:6} {run.told()}", flush=True)


def load_loops(options: argparse.Namespace) -> None:
    """Let everything that is measured have run once."""
    with tempfile.TemporaryDirectory() as scratch:
        case = load_case("tiny", None, Path(scratch))
        for kind in options.objects:
            for start in options.starts:
                for algorithm in options.algorithms:
                    run = Run(case, problem_of(case, kind), algorithm, start, 4)
                    while run.go_on():
                        pass


def problem_of(case: Case, kind: str) -> Problem:
    """With the true orientation and lens, from an empty object."""
    measurement = prepare(case.dataset, rotation=case.rotation, transpose=case.transpose)
    optics = Optics.from_dataset(case.dataset, aberrations=Aberrations(defocus=case.defocus))
    return make_problem(measurement, optics, model=single_slice(kind))


class Run:
    """One algorithm from one start, an iteration whenever it is asked for."""

    def __init__(self, case: Case, problem: Problem, algorithm: str, start: str | None, iterations: int) -> None:
        begun = time.perf_counter()
        if start is not None:
            optics = Optics.from_dataset(case.dataset, aberrations=Aberrations(defocus=case.defocus))
            bright = bright_field(case.dataset, problem.measurement)
            problem = replace(problem, first_object=start_object(METHODS[start](bright, optics), problem))
        self.case, self.problem = case, problem
        self.seconds = time.perf_counter() - begun
        self.course: list[tuple[float, int, float]] = []  # seconds, iteration, correlation
        if start is not None:
            self._score(problem.start())
        constraints = default_constraints(problem.model.specimen.object_type)
        if algorithm == "auto":
            self.states: Iterator[State] = auto_steps(problem, iterations=iterations, constraints=constraints)
        else:
            self.states = iterate(problem, Plan(iterations=iterations, constraints=constraints))

    def go_on(self) -> bool:
        """Whether there was another iteration."""
        begun = time.perf_counter()
        for state in self.states:
            if state.at_iteration_end:
                self.seconds += time.perf_counter() - begun
                self._score(state)
                return True
        return False

    def told(self) -> str:
        """When each correlation was reached first, and the best."""
        words = []
        for level in LEVELS:
            reached = [(s, n) for s, n, c in self.course if c >= level]
            words.append(f"{level}: {reached[0][0]:.2f} s ({reached[0][1]})" if reached else f"{level}: -")
        return ", ".join(words) + f", best {max(c for *_, c in self.course):.4f}"

    def _score(self, state: State) -> None:
        here = self.problem.at_window(state.probe.shape[-2:])
        found = np.asarray(here.backend.to_numpy(state.object))[0]
        correlation = score(found, state.positions / here.sampling, self.case.truth).correlation
        self.course.append((self.seconds, state.iteration, correlation))


if __name__ == "__main__":
    main()

"""The tutorial's 64 iterations, from a closed file: seconds, and what comes of them.

    python benchmarks/tutorial.py [full_counts] [--data FOLDER] [--objects complex potential] [--iterations 64]

Gradient descent in batches of 512 with the default constraints; the rotation is found, the true defocus is given, as in
the tutorial. Compiled loops are loaded before the clock starts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from cases import Case, load_case
from score import score

from ptywidgets import read
from ptywidgets.engine import Aberrations, Optics, Plan, iterate, make_problem, prepare, single_slice
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.testing import example_problem


def main() -> None:
    """Print a line for each object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("set", nargs="?", default="full_counts")
    parser.add_argument("--data", type=Path, help="folder of simulated sets with their truth; else our own ducky")
    parser.add_argument("--objects", nargs="*", default=["complex", "potential"])
    parser.add_argument("--iterations", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        case = load_case(options.set, options.data, Path(scratch))
        for kind in options.objects:
            list(iterate(example_problem(kind), Plan(iterations=1, constraints=default_constraints(kind))))
            seconds, correlation = tutorial(case, kind, options.iterations)
            print(f"{kind}: {options.iterations} iterations in {seconds:.1f} s, {correlation:.4f}", flush=True)


def tutorial(case: Case, kind: str, iterations: int) -> tuple[float, float]:
    """Seconds, and the correlation with the truth."""
    begun, known = time.perf_counter(), case.dataset.calibration
    dataset = read(case.path, energy=known.energy, semiangle=known.semiangle)
    measurement = prepare(dataset.with_vacuum(case.dataset.vacuum).load())
    optics = Optics.from_dataset(case.dataset, aberrations=Aberrations(defocus=case.defocus))
    problem = make_problem(measurement, optics, model=single_slice(kind))
    *_, state = iterate(problem, Plan(iterations=iterations, constraints=default_constraints(kind)))
    seconds = time.perf_counter() - begun
    return seconds, score(np.asarray(state.object)[0], state.positions / problem.sampling, case.truth).correlation


if __name__ == "__main__":
    main()

"""Seconds from opening a file to a quality, by the automatic schedule: no setting is touched between sets.

    python benchmarks/auto.py [small small_dose1e4 full_counts ...] [--data FOLDER] [--amplitudes]

Each line is an iteration: seconds since the file began to be opened (the scores' own time left out), and what the phase
correlates with the truth. Compiled loops are loaded before the clock starts, as they are in a kernel that has run once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cases import load_case
from score import score

from ptywidgets import read
from ptywidgets.engine import Plan, Problem, State, make_problem, reconstruct, single_slice
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.checks.start_check import check_start, with_offsets
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.problem.held_out import hold_out
from ptywidgets.engine.solve.schedule import automatic_schedule, run_stages
from ptywidgets.testing import example_problem


def main() -> None:
    """Print the course of each set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*", default=["small", "small_dose1e4"])
    parser.add_argument("--data", type=Path, help="folder of simulated sets with their truth; else our own ducky")
    parser.add_argument(
        "--amplitudes", action="store_true", help="the amplitude loss, also where the Anscombe loss suits"
    )
    options = parser.parse_args()
    for _ in reconstruct(example_problem("potential"), iterations=4):
        pass
    for name in options.sets:
        with tempfile.TemporaryDirectory() as scratch:
            case = load_case(name, options.data, Path(scratch))
            known = case.dataset.calibration
            seconds, begun = 0.0, time.perf_counter()
            dataset = read(case.path, energy=known.energy, semiangle=known.semiangle)
            dataset = dataset.with_vacuum(case.dataset.vacuum)
            start = calibrate(dataset.load())
            problem = make_problem(start.measurement, start.optics, model=single_slice("potential"))
            checked = check_start(problem, start.optics)
            if checked.offsets is not None:
                problem = with_offsets(problem, checked.offsets, start.optics)
            print(f"{case.title}\n  started after {time.perf_counter() - begun:.2f} s", flush=True)
            for state in by_amplitudes(problem) if options.amplitudes else reconstruct(problem):
                if state.at_iteration_end:
                    seconds += time.perf_counter() - begun
                    here = problem.at_window(state.probe.shape[-2:])
                    phase = here.backend.to_numpy(state.object)[0]
                    found = score(phase, state.positions / here.sampling, case.truth)
                    told = f"{found.correlation:.4f}, rms {found.rms:.4f} rad, gain {found.gain:.3f}"
                    print(f"  {state.iteration:3} on {here.window[0]} px, {seconds:6.2f} s: {told}", flush=True)
                    begun = time.perf_counter()


def by_amplitudes(problem: Problem) -> Iterator[State]:
    """The same schedule with the loss that the problem has."""
    plan = Plan(constraints=default_constraints("potential"))
    split = hold_out(problem)
    return run_stages(split, automatic_schedule(split, constraints=plan.constraints), plan)


if __name__ == "__main__":
    main()

"""What a cluster of worker processes on this machine does: the same numbers, the same scores, how much faster, bytes
moved, and whether workers may die.

    python benchmarks/cluster.py [full_counts small ...] [--data FOLDER] [--only equal score speed kill] [--kills 10]

Workers are single-threaded processes, and so is what they are compared with. Each line says what was measured.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("PTYWIDGETS_NUM_THREADS", "1")  # of every worker, and of the one process

import numpy as np
from cases import Case, load_case
from score import score

from ptywidgets import read
from ptywidgets.engine import (
    PIE,
    ConjugateGradient,
    Plan,
    Problem,
    State,
    iterate,
    make_problem,
    reconstruct,
    single_slice,
)
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.checks.start_check import check_start, with_offsets
from ptywidgets.engine.cluster import ClusterProblem, on_cluster
from ptywidgets.testing import example_problem

MEASURES = ("equal", "score", "speed", "kill")
ITERATIONS = 10


def main() -> None:
    """Print what was measured of each set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*", default=["small"])
    parser.add_argument("--data", type=Path, help="folder of simulated sets with their truth; else our own ducky")
    parser.add_argument("--only", nargs="*", choices=MEASURES, default=MEASURES)
    parser.add_argument("--kills", type=int, default=10, help="runs in each of which a worker is killed")
    parser.add_argument("--pairs", type=int, default=12, help="pairs of iterations that are timed")
    options = parser.parse_args()
    for name in options.sets:
        with tempfile.TemporaryDirectory() as scratch:
            case = load_case(name, options.data, Path(scratch))
            dataset, problem = started(case)
            print(
                f"{case.title}: {problem.count} patterns of {problem.window}, object {problem.object_shape}", flush=True
            )
            with workers(1) as one, workers(2) as two:
                crews = {f"{n} workers": on_cluster(problem, c, dataset) for n, c in ((1, one), (2, two))}
                if "equal" in options.only:
                    equal(problem, crews)
                if "score" in options.only:
                    scores(case, problem, crews)
                if "speed" in options.only:
                    speed(problem, crews, options.pairs)
                if "kill" in options.only:
                    kill(crews["2 workers"], options.kills)


@contextmanager
def workers(number: int) -> Iterator[Any]:
    """A client of so many single-threaded processes on this machine."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=number, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def started(case: Case) -> tuple[Any, Problem]:
    """The data, left in their file, and the problem that an automatic run would work on."""
    known = case.dataset.calibration
    lazy = read(case.path, energy=known.energy, semiangle=known.semiangle)
    dataset = lazy.with_vacuum(case.dataset.vacuum)
    start = calibrate(dataset.load())
    problem = make_problem(start.measurement, start.optics, model=single_slice("potential"))
    checked = check_start(problem, start.optics)
    if checked.offsets is not None:
        problem = with_offsets(problem, checked.offsets, start.optics)
    return dataset, problem


def equal(problem: Problem, crews: dict[str, ClusterProblem]) -> None:
    """Conjugate gradients: how far the object is from that of one process.

    Where the model has no electrons at all, as outside of the aperture before there is an object, the phase of a
    residual wave is that of rounding: of an empty start, one process with other batches says how much that is.
    """
    plan = Plan(iterations=ITERATIONS, algorithm=ConjugateGradient(), batch=256, constraints=())
    *_, swept = iterate(problem, Plan(iterations=1, batch=64, algorithm=PIE(), constraints=()))
    for words, begun, last in (("an empty object", None, ITERATIONS), ("a sweep of PIE", swept, ITERATIONS + 1)):
        here = plan.replace(iterations=last)
        *_, alone = iterate(problem, here, begun)
        *_, other = iterate(problem, here.replace(batch=None), begun)
        told = [f"one process with other batches {relative(other, alone):.1e}"]
        for name, crew in crews.items():
            *_, state = iterate(crew, here, begun)
            told.append(f"{name} {relative(state, alone):.1e}")
        words = f"conjugate gradients, {ITERATIONS} iterations from {words}, object against one process"
        print(f"  {words}: {', '.join(told)}", flush=True)


def relative(state: State, other: State) -> float:
    """|difference| / |object|."""
    return float(np.linalg.norm(state.object - other.object) / np.linalg.norm(other.object))


def scores(case: Case, problem: Problem, crews: dict[str, ClusterProblem]) -> None:
    """What the automatic schedule comes to."""
    for name, one in {"one process": problem, **crews}.items():
        begun = time.perf_counter()
        *_, state = reconstruct(one)
        seconds = time.perf_counter() - begun
        here = problem.at_window(state.probe.shape[-2:])
        found = score(state.object[0], state.positions / here.sampling, case.truth)
        told = f"correlation {found.correlation:.4f}, rms {found.rms:.4f} rad, gain {found.gain:.3f}"
        print(f"  automatic schedule, {name}: {told}, {state.iteration} iterations in {seconds:.1f} s", flush=True)


def speed(problem: Problem, crews: dict[str, ClusterProblem], pairs: int) -> None:
    """Seconds of an iteration of conjugate gradients, in turns; efficiency by pairs; bytes.

    Where others use the machine, seconds say nothing. Processor seconds do: of the busiest worker, and of the client
    with its scheduler, as if it worked only while the workers wait.
    """
    split = {name: one.with_held_out() for name, one in {"one process": problem, **crews}.items()}
    plan = Plan(iterations=pairs + 2, algorithm=ConjugateGradient(), batch=256, constraints=())
    runs = {name: iterate(one, plan) for name, one in split.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    own: dict[str, list[float]] = {name: [] for name in runs}
    before: dict[str, Any] = {}
    for number in range(pairs + 2):
        if number == 2:  # the first two load, compile and send
            before = {name: (crew.hands.moved.copy(), busy(crew)) for name, crew in crews.items()}
        for name, run in runs.items():
            begun, used = time.perf_counter(), time.process_time()
            next(run)
            if number > 1:
                seconds[name].append(time.perf_counter() - begun)
                own[name].append(time.process_time() - used)
    for name, each in seconds.items():
        print(f"  {name}: {median(each):.3f} s an iteration ({min(each):.3f} to {max(each):.3f})")
    ratios = [a / (2 * b) for a, b in zip(seconds["1 workers"], seconds["2 workers"], strict=True)]
    print(f"  efficiency at 2 workers: median {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    processor = {}
    for name, crew in crews.items():
        moved, used = before[name]
        workers = max(now - then for now, then in zip(busy(crew), used, strict=True)) / pairs
        processor[name] = workers + median(own[name])
        told = {k: (crew.hands.moved[k] - moved[k]) / pairs / 1e6 for k in ("state", "work", "results")}
        print(f"  {name}: processor seconds, the busiest worker {workers:.3f}, the client {median(own[name]):.3f}")
        parts = ", ".join(f"{k} {v:.2f}" for k, v in told.items())
        print(f"  {name}: {sum(told.values()):.2f} MB an iteration ({parts})", flush=True)
    by_processor = processor["1 workers"] / (2 * processor["2 workers"])
    print(f"  efficiency at 2 workers by processor seconds, nothing overlapping: {by_processor:.3f}", flush=True)


def busy(crew: ClusterProblem) -> list[float]:
    """Processor seconds that every worker has used."""
    return [used for _, used in sorted(crew.hands.workers.client.run(time.process_time).items())]


def kill(crew: ClusterProblem, runs: int) -> None:
    """A worker is killed at a random moment of every run; what the run comes to."""
    plan = Plan(iterations=ITERATIONS, algorithm=ConjugateGradient(), batch=256, constraints=())
    client, generator = crew.hands.workers.client, np.random.default_rng(0)
    there = len(pids(client))
    for _ in range(2):  # the first one loads and sends
        begun = time.perf_counter()
        *_, whole = iterate(crew, plan)
        undisturbed = time.perf_counter() - begun
    same = number = 0
    while number < runs:
        when, whom = generator.uniform(0, undisturbed), int(generator.choice(pids(client, there)))
        killed = threading.Event()

        def shoot(whom: int = whom, killed: threading.Event = killed) -> None:
            os.kill(whom, signal.SIGKILL)
            killed.set()

        timer = threading.Timer(when, shoot)
        begun = time.perf_counter()
        timer.start()
        *_, state = iterate(crew, plan)
        took = time.perf_counter() - begun
        timer.cancel()
        timer.join()
        if not killed.is_set():
            continue  # it had ended by then
        number += 1
        equal_bits = np.array_equal(state.object, whole.object) and np.array_equal(state.probe, whole.probe)
        same += equal_bits
        print(
            f"  run {number}: killed after {when:.2f} of {undisturbed:.2f} s, finished after {took:.2f} s, "
            + ("the same to the last bit" if equal_bits else f"differs by {relative(state, whole):.1e}"),
            flush=True,
        )
        while whom in pids(client, there):
            time.sleep(0.1)
    print(f"  {same} of {runs} runs gave the same to the last bit", flush=True)


def pids(client: Any, number: int = 1) -> list[int]:
    """Process identifiers of the workers, when there are so many."""
    while True:
        try:
            found = client.run(os.getpid, on_error="ignore")
        except OSError:  # one is about to go
            found = {}
        if len(found) >= number and len(client.nthreads()) >= number:
            return sorted(found.values())
        time.sleep(0.2)


if __name__ == "__main__":
    for _ in reconstruct(example_problem("potential"), iterations=4):
        pass
    main()

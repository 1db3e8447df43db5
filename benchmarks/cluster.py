"""What a cluster of worker processes on this machine does: the same numbers, the same scores, how much faster, bytes
moved, and whether workers may die.

    python benchmarks/cluster.py [full_counts small ...] [--data FOLDER] [--only equal score speed kill] [--kills 10]
    python benchmarks/cluster.py --scan 96 --only speed       # 9216 patterns of 256 x 256, simulated: 1.2 GB

Workers are single-threaded processes, and so is the one process that they are compared with; the client has all cores,
which are idle while it works. Each line says what was measured.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import streaming
from cases import Case, load_case
from score import score

from ptywidgets import read
from ptywidgets.engine import (
    PIE,
    Aberrations,
    ConjugateGradient,
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
from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.checks.start_check import check_start, with_offsets
from ptywidgets.engine.cluster import ClusterProblem, on_cluster
from ptywidgets.engine.cluster.client import Workers
from ptywidgets.testing import example_problem

MEASURES = ("equal", "score", "speed", "kill")
ITERATIONS = 10


def main() -> None:
    """Print what was measured of each set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*")
    parser.add_argument("--scan", type=int, help="a dense scan of so many rows and columns, instead of a set")
    parser.add_argument("--data", type=Path, help="folder of simulated sets with their truth; else our own ducky")
    parser.add_argument("--only", nargs="*", choices=MEASURES, default=MEASURES)
    parser.add_argument("--kills", type=int, default=10, help="runs in each of which a worker is killed")
    parser.add_argument("--pairs", type=int, default=12, help="iterations by one and by two workers that are timed")
    options = parser.parse_args()
    if options.scan and "score" in options.only:
        parser.error("a dense scan has no score; name what is to be measured: --only speed")
    for name in options.sets or ["dense" if options.scan else "small"]:
        with tempfile.TemporaryDirectory() as scratch:
            if options.scan:
                title, (dataset, problem) = "dense scan", dense(Path(scratch) / "counts.npy", options.scan)
            else:
                case = load_case(name, options.data, Path(scratch))
                title, (dataset, problem) = case.title, started(case)
            print(f"{title}: {problem.count} patterns of {problem.window}, object {problem.object_shape}", flush=True)
            if "speed" in options.only:
                speed(problem, dataset, options.pairs)
            if "kill" in options.only:
                kill(problem, dataset, options.kills)
            if not {"equal", "score"} & set(options.only):
                continue
            with workers(1) as one, workers(2) as two:
                crews = {f"{n} workers": on_cluster(problem, c, dataset) for n, c in ((1, one), (2, two))}
                if "equal" in options.only:
                    equal(problem, crews)
                if "score" in options.only:
                    scores(case, problem, crews)


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


def dense(path: Path, scan: int) -> tuple[Any, Problem]:
    """Data as a detector writes many of, in their file, and the problem with what is known of their optics."""
    streaming.simulate(path, scan, 256)
    dataset = streaming.calibrated(read(path))
    optics = Optics(semiangle=streaming.SEMIANGLE, aberrations=Aberrations(defocus=streaming.DEFOCUS))
    measurement = prepare(dataset.load(), rotation=streaming.ROTATION, transpose=False)
    return dataset, make_problem(measurement, optics, model=single_slice("potential"))


def single_threaded(problem: Problem) -> Problem:
    """The same problem, worked on by one thread."""
    return replace(problem, backend=CpuBackend(1))


def equal(problem: Problem, crews: dict[str, ClusterProblem]) -> None:
    """Conjugate gradients: how far the object is from that of one process.

    One process with other batches says how much of it is the order of sums.
    """
    problem = single_threaded(problem)
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
    for name, one in {"one process": single_threaded(problem), **crews}.items():
        begun = time.perf_counter()
        *_, state = reconstruct(one)
        seconds = time.perf_counter() - begun
        here = problem.at_window(state.probe.shape[-2:])
        found = score(state.object[0], state.positions / here.sampling, case.truth)
        told = f"correlation {found.correlation:.4f}, rms {found.rms:.4f} rad, gain {found.gain:.3f}"
        print(f"  automatic schedule, {name}: {told}, {state.iteration} iterations in {seconds:.1f} s", flush=True)


def speed(problem: Problem, dataset: Any, pairs: int) -> None:
    """Seconds of an iteration of conjugate gradients by one worker and by two, taking turns; bytes.

    How fast a machine is changes within a minute where others use it, too, so that only neighbours are compared. How
    much two processes that know nothing of each other slow each other down is measured beside it: no cluster on this
    machine can do better. Processor seconds are those of the busiest worker, and of the client with its scheduler.
    """
    plan = Plan(iterations=pairs + 2, algorithm=ConjugateGradient(), batch=256, constraints=())
    with workers(2) as client:
        crews = {
            "1 worker": on_cluster(problem, client, dataset, shards=2),
            "2 workers": on_cluster(problem, client, dataset),
        }
        crews["1 worker"].hands.workers = First(client)
        runs = {name: iterate(crew.with_held_out(), plan) for name, crew in crews.items()}
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        own, theirs = (dict.fromkeys(runs, 0.0) for _ in range(2))
        sent: dict[str, Any] = {}
        for number in range(pairs + 2):
            if number == 2:  # the first two load, compile and send
                sent = {name: crew.hands.moved.copy() for name, crew in crews.items()}
            for name, run in runs.items():
                used = busy(crews[name])
                begun, mine = time.perf_counter(), time.process_time()
                next(run)
                if number > 1:
                    seconds[name].append(time.perf_counter() - begun)
                    own[name] += (time.process_time() - mine) / pairs
                    theirs[name] += max(n - t for n, t in zip(busy(crews[name]), used, strict=True)) / pairs
        for name, crew in crews.items():
            moved = {k: (crew.hands.moved[k] - sent[name][k]) / pairs / 1e6 for k in ("state", "work", "results")}
            parts = ", ".join(f"{k} {v:.2f}" for k, v in moved.items())
            each = seconds[name]
            print(
                f"  {name}: {median(each):.3f} s an iteration ({min(each):.3f} to {max(each):.3f}); processor seconds, "
                f"the busiest worker {theirs[name]:.3f}, the client {own[name]:.3f}; "
                f"{sum(moved.values()):.2f} MB ({parts})"
            )
    ratios = [one / (2 * two) for one, two in zip(seconds["1 worker"], seconds["2 workers"], strict=True)]
    print(
        f"  efficiency, 2 workers, by {pairs} pairs: median {median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )
    by_processor = (theirs["1 worker"] + own["1 worker"]) / (2 * (theirs["2 workers"] + own["2 workers"]))
    print(f"  efficiency by processor seconds, nothing overlapping: {by_processor:.3f}", flush=True)
    found = [max(apart(problem, number, 5)) for number in (1, 2, 1, 2)]
    print(
        "  processes that know nothing of each other, each a whole run: alone "
        f"{found[0]:.3f} and {found[2]:.3f} s, two side by side {found[1]:.3f} and {found[3]:.3f} s: efficiency "
        f"{found[0] / found[1]:.3f} and {found[2] / found[3]:.3f}",
        flush=True,
    )


class First(Workers):
    """Of a client's workers the first one only."""

    def look(self, *, now: bool = False) -> None:
        """Ask who is there."""
        super().look(now=now)
        self.threads = dict(sorted(self.threads.items())[:1])


def apart(problem: Problem, number: int, iterations: int) -> list[float]:
    """Seconds an iteration of so many processes, each of which has the whole problem to itself, at the same time."""
    spawn = multiprocessing.get_context("spawn")
    barrier, answers = spawn.Barrier(number), spawn.Queue()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem"
        path.write_bytes(pickle.dumps(single_threaded(problem).with_held_out()))  # our own, for our own processes
        processes = [spawn.Process(target=alone, args=(path, iterations, barrier, answers)) for _ in range(number)]
        for process in processes:
            process.start()
        found = [answers.get() for _ in processes]
        for process in processes:
            process.join()
    return found


def alone(path: Path, iterations: int, barrier: Any, answers: Any) -> None:
    """One of them."""
    run = iterate(
        pickle.loads(path.read_bytes()),
        Plan(iterations=iterations + 2, algorithm=ConjugateGradient(), batch=256, constraints=()),
    )
    next(run)
    next(run)
    barrier.wait()
    each = []
    for _ in range(iterations):
        begun = time.perf_counter()
        next(run)
        each.append(time.perf_counter() - begun)
    answers.put(median(each))


def busy(crew: ClusterProblem) -> list[float]:
    """Processor seconds that every worker has used."""
    return [used for _, used in sorted(crew.hands.workers.client.run(time.process_time).items())]


def kill(problem: Problem, dataset: Any, runs: int) -> None:
    """In every run, on a cluster of two of its own, a worker is killed at a random moment; what the run comes to."""
    plan = Plan(iterations=ITERATIONS, algorithm=ConjugateGradient(), batch=256, constraints=())
    generator, whole, undisturbed = np.random.default_rng(0), None, 0.0
    same = number = 0
    while number < runs:
        with workers(2) as client:
            crew = on_cluster(problem, client, dataset)
            *_, state = iterate(crew, plan.replace(iterations=1))  # loads and sends
            if whole is None:
                begun = time.perf_counter()
                *_, whole = iterate(crew, plan)
                undisturbed = time.perf_counter() - begun
                continue
            when, whom = generator.uniform(0, undisturbed), int(generator.choice(pids(client, 2)))
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

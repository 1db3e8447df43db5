"""Seconds per iteration of gradient descent, as a ratio to its Fourier transforms alone, timed in the same moment.

    python benchmarks/iteration.py [tiny small full ...] [--iterations 5] [--kernels numpy numba]

Wall time on a shared machine tells little; ratios tell more, and minima are taken of both. One is to the floor: the two
FFTs of every position and nothing else, by the same library on the same threads, turn about with the iterations. With
PTYWIDGETS_PY4DSTEM naming a Python that has py4DSTEM, it is given the same data, turn about with ours, and the ratio of
the two is printed: same algorithm, same batches.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.fft

from ptywidgets import samples
from ptywidgets.engine import Aberrations, Dataset, Optics, Plan, Problem, iterate, make_problem, prepare, single_slice
from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.constraints import default_constraints

BATCH = 512
FLOOR = "FFTs alone"

PEER = """
import sys, time, numpy as np, py4DSTEM
f = np.load(sys.argv[1]); n = float(f["q_pixel"]); data = f["data"]
cube = py4DSTEM.DataCube(data.astype(np.float32))
cube.calibration.set_R_pixel_size(float(f["scan_step"])); cube.calibration.set_R_pixel_units("A")
cube.calibration.set_Q_pixel_size(n); cube.calibration.set_Q_pixel_units("A^-1")
p = py4DSTEM.process.phase.SingleslicePtychography(
    datacube=cube, energy=float(f["energy"]), vacuum_probe_intensity=f["vacuum"].astype(np.float32),
    defocus=float(f["defocus"]), verbose=False, device="cpu")
p.preprocess(plot_center_of_mass=False, plot_rotation=False, plot_probe_overlaps=False,
             force_com_rotation=-15, force_com_transpose=False)
first = True
for line in sys.stdin:
    t = time.perf_counter()
    p.reconstruct(num_iter=1, max_batch_size=int(f["batch"]), seed_random=0, reset=first, progress_bar=False)
    print("SECONDS", time.perf_counter() - t, flush=True)
    first = False
"""


def main() -> None:
    """Print one line for each size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sizes", nargs="*", default=["tiny", "small", "full"])
    parser.add_argument("--iterations", type=int, default=4)
    parser.add_argument("--object", choices=["complex", "potential"], default="complex")
    has_numba = importlib.util.find_spec("numba") is not None
    parser.add_argument("--kernels", nargs="*", default=["numpy", "numba"] if has_numba else ["numpy"])
    options = parser.parse_args()
    peer = os.environ.get("PTYWIDGETS_PY4DSTEM")
    for size in options.sizes:
        dataset = samples.ducky(size)
        defocus = samples.ducky_defocus(size)
        start = time.perf_counter()
        measurement = prepare(dataset, rotation=-15.0)
        prepared = time.perf_counter() - start
        optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=defocus))
        problem = make_problem(measurement, optics, model=single_slice(options.object))
        plan = Plan(iterations=10**5, batch=BATCH, constraints=default_constraints(options.object))
        runs = {f"ours, {name}": ours(problem, plan, name) for name in options.kernels}
        runs[FLOOR] = transforms_alone(problem)
        if peer:
            runs["py4DSTEM"] = theirs(peer, dataset, defocus)
        seconds, transform = measure(runs, options.iterations, problem)
        shape = "x".join(map(str, dataset.shape))
        print(f"{size} ({shape}): one FFT {transform * 1e6:.0f} us, prepared in {prepared:.2f} s")
        for name, value in seconds.items():
            line = f"  {name:12} {value:8.3f} s/iteration = {value / (transform * problem.count):6.2f} FFTs a position"
            if name.startswith("ours"):
                line += f", {value / seconds[FLOOR]:.2f} floors"
            if peer and name.startswith("ours"):
                line += f"; {seconds['py4DSTEM'] / value:.1f} times as fast as py4DSTEM"
            print(line, flush=True)


def measure(runs: dict[str, Iterator[float]], rounds: int, problem: Problem) -> tuple[dict[str, float], float]:
    """Least seconds of an iteration of each run, and of one FFT; all take turns, to share the machine's moods."""
    seconds = dict.fromkeys(runs, np.inf)
    transform = np.inf
    for number in range(rounds + 1):
        for name, run in runs.items():
            value = next(run)
            if number:  # the first iteration compiles and warms up
                seconds[name] = min(seconds[name], value)
        transform = min(transform, fft_seconds(problem.initial_probe.shape[-2:]))
    for run in runs.values():
        run.close()  # type: ignore[attr-defined]
    return seconds, transform


def fft_seconds(shape: tuple[int, int]) -> float:
    """Least seconds of one complex64 FFT on one thread, among some hundred."""
    waves = np.ones((4, *shape), np.complex64)
    best = np.inf
    for _ in range(30):
        start = time.perf_counter()
        waves = scipy.fft.fft2(waves, norm="ortho", overwrite_x=True)
        best = min(best, (time.perf_counter() - start) / len(waves))
    return best


def transforms_alone(problem: Problem) -> Iterator[float]:
    """Seconds of two transforms for every position, in chunks on worker threads as an iteration makes them."""
    backend = CpuBackend()
    shape = problem.initial_probe.shape

    def task(places: np.ndarray, _: None) -> None:
        waves = backend.empty("waves", (len(places), *shape), np.complex64)
        backend.ifft2(backend.fft2(waves))

    def fill(places: np.ndarray, _: None) -> None:
        backend.empty("waves", (len(places), *shape), np.complex64)[...] = 1

    chunks = backend.chunks(np.arange(problem.count), problem.initial_probe.nbytes)
    backend.map_reduce(fill, chunks, lambda: None)
    try:
        while True:
            start = time.perf_counter()
            backend.map_reduce(task, chunks, lambda: None)
            yield time.perf_counter() - start
    finally:
        backend.close()


def ours(problem: Problem, plan: Plan, kernels: str) -> Iterator[float]:
    """Seconds of each iteration, constraints included."""
    backend = CpuBackend(kernels=kernels)
    states = iterate(replace(problem, backend=backend), plan)
    try:
        while True:
            start = time.perf_counter()
            next(states)
            yield time.perf_counter() - start
    finally:
        backend.close()


def theirs(python: str, dataset: Dataset, defocus: float) -> Iterator[float]:
    """The same of py4DSTEM, in a process of its own that works only when asked."""
    calibration = dataset.calibration
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        np.savez(
            path,
            data=np.asarray(dataset.data),
            vacuum=dataset.vacuum,
            energy=calibration.energy,
            scan_step=calibration.scan_step,
            q_pixel=calibration.q_pixel,
            defocus=defocus,
            batch=BATCH,
        )
        command = [python, "-c", PEER, str(path)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdin is not None and process.stdout is not None
            try:
                while True:
                    process.stdin.write("next\n")
                    process.stdin.flush()
                    for line in process.stdout:
                        if line.startswith("SECONDS"):
                            yield float(line.split()[1])
                            break
                    else:
                        sys.exit("py4DSTEM ended before it was done; run it by hand to see why")
            finally:
                process.kill()


if __name__ == "__main__":
    main()

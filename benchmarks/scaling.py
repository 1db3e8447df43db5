"""Cost of an iteration against the size of the data: it grows with the number of patterns, and with a pattern's pixels.

    python benchmarks/scaling.py [--scans 12 24 48 64] [--detectors 64 128 256] [--iterations 4]

The data are Poisson noise, which costs as much as anything else; the plan is the default one.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence

import numpy as np
import scipy.fft

from ptywidgets.engine import Aberrations, Calibration, Dataset, Optics, Plan, Problem, iterate, make_problem, prepare

STEP = 6  # object pixels between positions
PIXEL = 0.25  # A


def main(arguments: Sequence[str] | None = None) -> dict[int, dict[int, float]]:
    """Print a table and how the seconds grow; seconds of an iteration by detector and scan."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scans", nargs="*", type=int, default=[12, 24, 48, 64])
    parser.add_argument("--detectors", nargs="*", type=int, default=[64, 128, 256])
    parser.add_argument("--iterations", type=int, default=4)
    options = parser.parse_args(arguments)
    print("| scan | detector | patterns | s/iteration | µs/pattern | FFTs a pattern |")
    print("|---|---|---|---|---|---|")
    seconds: dict[int, dict[int, float]] = {n: {} for n in options.detectors}
    for detector in options.detectors:
        for scan in options.scans:
            value, transform = measure(random_problem(scan, detector), options.iterations)
            seconds[detector][scan] = value
            each = value / scan**2
            cells = (
                f"{scan}²",
                f"{detector}²",
                scan**2,
                f"{value:.3g}",
                f"{each * 1e6:.0f}",
                f"{each / transform:.1f}",
            )
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    for detector, found in seconds.items():
        if len(found) > 1:
            slope, _ = np.polyfit(np.log([n * n for n in found]), np.log(list(found.values())), 1)
            print(f"\n{detector} x {detector}: seconds grow as patterns to the power of {slope:.2f}")
    return seconds


def random_problem(scan: int, detector: int) -> Problem:
    """Noise of `scan` x `scan` patterns with `detector` x `detector` pixels."""
    generator = np.random.default_rng(0)
    q_pixel = 1 / (detector * PIXEL)
    calibration = Calibration(energy=80e3, scan_step=STEP * PIXEL, q_pixel=q_pixel, semiangle=20.0)
    one_row = generator.poisson(5.0, (scan, detector, detector)).astype(np.uint16)
    data = np.stack([np.roll(one_row, n, axis=(0, 1)[n % 2]) for n in range(scan)])
    measurement = prepare(Dataset(data, calibration), rotation=7.0, transpose=False)
    return make_problem(measurement, Optics(semiangle=20.0, aberrations=Aberrations(defocus=200.0)))


def measure(problem: Problem, iterations: int) -> tuple[float, float]:
    """Least seconds of an iteration and of one FFT of that size on one thread, taking turns."""
    states = iterate(problem, Plan(iterations=iterations + 1))
    next(states)  # compiles and warms up
    waves = np.ones((4, *problem.initial_probe.shape[-2:]), np.complex64)
    seconds = transform = math.inf
    for _ in range(iterations):
        start = time.perf_counter()
        next(states)
        seconds = min(seconds, time.perf_counter() - start)
        for _ in range(10):
            start = time.perf_counter()
            scipy.fft.fft2(waves, norm="ortho", workers=1)
            transform = min(transform, (time.perf_counter() - start) / len(waves))
    return seconds, transform


if __name__ == "__main__":
    main()

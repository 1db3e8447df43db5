"""Data of four times the memory that a process may have: its start, its run, its peak, and how quick it is.

    python benchmarks/streaming.py FOLDER                        # 4.3 GB of counts for processes of 1.08 GB
    python benchmarks/streaming.py FOLDER --scan 64 --kinds npy gzip bitshuffle --iterations 3

The data are simulated once and stay in FOLDER, so give one on a disk with room: the scan in `counts.npy`, and copies of
it that are compressed. Each run has a process of its own, whose memory (RLIMIT_DATA: what it allocates) is limited
before anything is read; one without a limit has the counts in memory. All are told the rotation and find the rest.
Printed are the start that each finds, a digest of the object after some iterations from one and the same start, seconds
an iteration, and the most memory that was in use.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.fft
from numpy.lib.format import open_memmap
from scipy import ndimage

from ptywidgets import read
from ptywidgets.engine import Aberrations, Dataset, Optics, Plan, iterate, make_problem, prepare
from ptywidgets.engine.algorithms import ConjugateGradient
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.data.streamed_counts import StreamedCounts
from ptywidgets.engine.optics.probe import make_probe
from ptywidgets.engine.preprocess.measurement import scan_positions

PIXEL, STEP, ROTATION, ENERGY, SEMIANGLE, DEFOCUS, ELECTRONS = 0.3, 2.0, -15.0, 80e3, 21.4, 350.0, 4e5
TURNS = 7
COMPRESSED = {"gzip": {"compression": "gzip", "compression_opts": 4}, "bitshuffle": {}}


def main() -> None:
    """Make the data and run the children."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scan", type=int, default=182)
    parser.add_argument("--detector", type=int, default=256)
    parser.add_argument("--kinds", nargs="*", default=["npy", "gzip", "bitshuffle"])
    parser.add_argument("--iterations", type=int, default=2)
    parser.add_argument("--share", type=float, default=0.25, help="of the data's size: the memory a process may have")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(**json.loads(options.child))))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    plain = options.folder / "counts.npy"
    if not plain.exists():
        simulate(plain, options.scan, options.detector)
    size = plain.stat().st_size
    limit = int(options.share * size)
    print(f"{size / 1e9:.2f} GB of counts; {limit / 1e9:.2f} GB for a process that is limited")
    files = {kind: plain if kind == "npy" else compressed(plain, kind) for kind in options.kinds}
    first = run(path=str(plain), limit=0, iterations=options.iterations)
    show("in memory", first, None)
    print(f"  taking turns in one process, {TURNS} times: {paired(plain):.3f} of the speed in memory")
    for kind, path in files.items():
        show(f"{kind}, limited", run(path=str(path), limit=limit, iterations=options.iterations), first)


def simulate(path: Path, scan: int, n: int) -> None:
    """Counts of atoms at random, whole-pixel windows and probes moved by the rest."""
    generator = np.random.default_rng(3)
    positions = scan_positions((scan, scan), STEP, ROTATION)
    corners = (positions - positions.min(0)) / PIXEL
    shape = tuple(int(v) for v in np.ceil(corners.max(0)) + n + 2)
    atoms = np.zeros(shape, np.float32)
    places = (generator.random((2, int(0.03 * np.prod(shape) * PIXEL**2))) * np.array(shape)[:, None]).astype(int)
    np.add.at(atoms, tuple(places), 1.0)
    phase = ndimage.gaussian_filter(atoms, 1.5)
    phase *= 0.35 / phase.max()
    obj = np.exp(1j * phase).astype(np.complex64)
    optics = Optics(semiangle=SEMIANGLE, aberrations=Aberrations(defocus=DEFOCUS))
    probe = np.asarray(make_probe(optics, (n, n), (PIXEL, PIXEL), ENERGY, ELECTRONS)).reshape(n, n)
    spectrum, k = scipy.fft.fft2(probe), np.fft.fftfreq(n)
    part = path.with_suffix(".part.npy")
    counts = open_memmap(part, "w+", np.uint16, (scan, scan, n, n))
    flat = counts.reshape(-1, n, n)
    for start in range(0, len(flat), 64):
        rows = slice(start, min(start + 64, len(flat)))
        whole = np.rint(corners[rows]).astype(int)
        y, x = (corners[rows] - whole).T
        ramp = np.exp(-2j * np.pi * (k[None, :, None] * y[:, None, None] + k * x[:, None, None])).astype(np.complex64)
        waves = scipy.fft.fftshift(scipy.fft.ifft2(spectrum * ramp), axes=(1, 2))
        waves *= np.stack([obj[a : a + n, b : b + n] for a, b in whole])
        expected = np.abs(scipy.fft.fft2(waves, norm="ortho")) ** 2
        flat[rows] = generator.poisson(scipy.fft.fftshift(expected, axes=(1, 2)))
    counts.flush()
    part.rename(path)


def compressed(plain: Path, kind: str) -> Path:
    """The same counts in an HDF5 file, in chunks of a few patterns."""
    path = plain.with_name(f"counts_{kind}.h5")
    if path.exists():
        return path
    options: dict[str, Any] = dict(COMPRESSED[kind])
    if kind == "bitshuffle":
        import hdf5plugin  # an extra

        options = dict(hdf5plugin.Bitshuffle(cname="lz4"))
    counts, part = np.load(plain, mmap_mode="r"), path.with_suffix(".part")
    with h5py.File(part, "w") as file:
        made = file.create_dataset("data", counts.shape, counts.dtype, chunks=(1, 8, *counts.shape[2:]), **options)
        for row in range(len(counts)):
            made[row] = counts[row]
    part.rename(path)
    return path


def paired(plain: Path) -> float:
    """Seconds of iterations in memory over those of the same counts in their file, taking turns; the median."""
    dataset = calibrated(read(plain))
    part = dataset.crop(scan=(0, min(30, dataset.scan_shape[0]), 0, dataset.scan_shape[1]))
    optics = Optics(semiangle=SEMIANGLE, aberrations=Aberrations(defocus=DEFOCUS))
    whole = make_problem(prepare(part.load(), rotation=ROTATION, transpose=False), optics)
    streamed = replace(whole, patterns=replace(whole.patterns, counts=StreamedCounts(part.data)))
    plan, ratios = Plan(iterations=1, algorithm=ConjugateGradient(), batch=256), []
    for _ in range(TURNS):
        seconds = []
        for problem in (whole, streamed):
            begun = time.perf_counter()
            for _state in iterate(problem, plan):
                pass
            seconds.append(time.perf_counter() - begun)
        ratios.append(seconds[0] / seconds[1])
    return float(np.median(ratios))


def calibrated(dataset: Dataset) -> Dataset:
    """With what the simulation knows."""
    q_pixel = 1 / (dataset.detector_shape[0] * PIXEL)
    return dataset.with_calibration(energy=ENERGY, scan_step=STEP, q_pixel=q_pixel, semiangle=SEMIANGLE)


def run(**arguments: Any) -> dict[str, Any]:
    """What a child says."""
    command = [sys.executable, __file__, "-", "--child", json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(path: str, limit: int, iterations: int) -> dict[str, Any]:
    """Find a start and reconstruct, with so much memory."""
    if limit:
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    begin = time.perf_counter()
    dataset = calibrated(read(path))
    start = calibrate(dataset, rotation=ROTATION, transpose=False)
    found = time.perf_counter() - begin
    measurement = prepare(dataset, rotation=ROTATION, transpose=False)
    optics = Optics(semiangle=SEMIANGLE, aberrations=Aberrations(defocus=DEFOCUS))
    problem, seconds = make_problem(measurement, optics), []
    then = time.perf_counter()
    for state in iterate(problem, Plan(iterations=iterations, algorithm=ConjugateGradient(), batch=256)):  # noqa: B007
        seconds.append(time.perf_counter() - then)
        then = time.perf_counter()
    return {
        "defocus": start.optics.aberrations["defocus"],
        "start": found,
        "seconds": min(seconds),
        "digest": hashlib.sha256(np.ascontiguousarray(state.object)).hexdigest()[:12],
        "peak": peak(),
        "streamed": type(measurement.patterns.counts).__name__,
    }


def peak() -> float:
    """The most memory that this process has had, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines() if os.path.exists("/proc/self/status") else ():
        if line.startswith("VmHWM"):
            return float(line.split()[1]) * 1e3
    import resource  # not on Windows

    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1e3)


def show(name: str, found: dict[str, Any], beside: dict[str, Any] | None) -> None:
    """A line about a run."""
    same = (
        "" if beside is None else ("  the same object" if found["digest"] == beside["digest"] else "  ANOTHER object")
    )
    speed = "" if beside is None else f"  {beside['seconds'] / found['seconds']:.2f} of the speed"
    print(
        f"  {name:20} start {found['start']:6.1f} s, defocus {found['defocus']:.1f} A; iteration "
        f"{found['seconds']:6.1f} s{speed}; peak {found['peak'] / 1e9:.2f} GB{same}",
        flush=True,
    )


if __name__ == "__main__":
    main()

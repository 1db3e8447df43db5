"""A detector at 2,000 patterns a second into a file, and how far behind it browser, SSB image and run are.

    python benchmarks/follow.py [--kind raw|mib|swmr] [--scan 128] [--detector 128] [--rate 2000] [--run]

Another process writes 4D-STEM data, row by row in pieces of odd sizes, and tells at what time each row was whole. Here
it is measured when the browser's virtual image has that row, when the SSB image was made of it, and when the run has
taken it in, once all of them have begun on the first four rows. Every pattern that is there is held against what was
written, whenever rows come.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from ptywidgets import DatasetBrowser, DirectExplorer, Reconstruction
from ptywidgets.engine import Plan
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.io import read
from ptywidgets.engine.preprocess import Preparation

ENERGY, SEMIANGLE = 80e3, 20.0  # eV, mrad
WRITER = """
import sys, time
import numpy as np
kind, path, source, rate = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])
scan = np.load(source, mmap_mode="r")
ry, rx, qy, qx = scan.shape
flat = scan.reshape(ry * rx, qy, qx)
rng, done, rows = np.random.default_rng(0), 0, 0
if kind == "swmr":
    import h5py
    file = h5py.File(path, "w", libver="latest")
    data = file.create_dataset("data", (0, rx, qy, qx), "u2", maxshape=scan.shape, chunks=(1, 8, qy, qx))
    file.swmr_mode = True
else:
    file = open(path, "wb", buffering=0)
    header = 384 if kind == "mib" else 0
    record = header + 2 * qy * qx
    def records(first, end):
        if kind == "raw":
            return flat[first:end].tobytes()
        parts = []
        for j in range(first, end):
            words = f"MQ1,{j + 1:06d},00384,01,{qx:04d},{qy:04d},U16,   1x1,01,"
            words += "2026-01-01 00:00:00.000000,0.0005,0,0,0,1"
            parts += [words.encode().ljust(384, b"\\0"), flat[j].astype(">u2").tobytes()]
        return b"".join(parts)
print("begun", flush=True)
begun, waits, first = time.time(), True, 0
total = ry * rx
while done < total:
    due = min(total, first + int((time.time() - begun) * rate))
    if waits and done >= 4 * rx:  # until all who follow are there
        sys.stdin.readline()
        begun, waits, first = time.time(), False, done
        continue
    if due <= done:
        time.sleep(0.001)
        continue
    if kind == "swmr":
        for j in range(done, due):
            y, x = divmod(j, rx)
            if y >= data.shape[0]:
                data.resize(y + 1, 0)
            data[y, x] = flat[j]
        data.flush()
    else:
        block, at = records(done, due), 0
        while at < len(block):
            piece = int(rng.integers(1, 3 * record))
            file.write(block[at : at + piece])
            at += piece
    done = due
    while rows < done // rx:
        rows += 1
        print(f"{rows} {time.time():.4f}", flush=True)
file.close()
"""


def made(ry: int, detector: int) -> tuple[np.ndarray, dict[str, float]]:
    """Patterns (Ry, Rx, Qy, Qx) uint16 of a weak phase object, enough for an image, and their calibration."""
    generator = np.random.default_rng(0)
    q_pixel = SEMIANGLE * 1e-3 / wavelength(ENERGY) / (0.2 * detector)
    y, x = np.indices((detector, detector)) - detector // 2
    disk = np.clip(0.2 * detector - np.hypot(y, x) + 0.5, 0, 1)
    patterns = np.empty((ry, ry, detector, detector), np.uint16)
    rows, columns = np.indices((ry, ry))
    atoms = np.cos(2 * np.pi * rows / 7) * np.cos(2 * np.pi * columns / 6)
    for row in range(ry):
        lean = 1 + 0.15 * atoms[row][:, None, None] * np.sign(x)
        patterns[row] = generator.poisson(4 * disk * lean)
    return patterns, {"energy": ENERGY, "semiangle": SEMIANGLE, "q_pixel": q_pixel, "scan_step": 0.5 / q_pixel / 20}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", default="raw", choices=("raw", "mib", "swmr"))
    parser.add_argument("--scan", type=int, default=128)
    parser.add_argument("--detector", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--run", action="store_true", help="let a run take the rows in, too")
    parser.add_argument("--no-ssb", action="store_true")
    options = parser.parse_args()
    patterns, known = made(options.scan, options.detector)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "truth.npy"
        np.save(source, patterns)
        path = Path(folder) / {"raw": "scan.raw", "mib": "scan.mib", "swmr": "scan.h5"}[options.kind]
        words = [sys.executable, "-c", WRITER, options.kind, str(path), str(source), str(options.rate)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
            measure(options, path, patterns, known, writer)


def measure(
    options: argparse.Namespace,
    path: Path,
    patterns: np.ndarray,
    known: dict[str, float],
    writer: subprocess.Popen[str],
) -> None:
    """Follow the writer, and print how far behind everybody was."""
    ry = options.scan
    written: dict[int, float] = {}

    def listen() -> None:
        for line in writer.stdout or ():
            if line[0].isdigit():
                row, at = line.split()
                written[int(row)] = float(at)

    assert writer.stdout is not None
    writer.stdout.readline()
    threading.Thread(target=listen, daemon=True).start()
    layout = {} if options.kind == "swmr" else {"scan_shape": (ry, ry)}
    if options.kind == "raw":
        layout |= {"dtype": "<u2", "detector_shape": (options.detector, options.detector)}
    while not path.exists():
        time.sleep(0.001)
    recon = Reconstruction(
        read(path, follow=True, **layout, **known),
        defocus=0.0,
        preparation=Preparation(rotation=0, transpose=False),
        plan=Plan(iterations=2),
    )
    seen: dict[str, dict[int, float]] = {"browser": {}, "SSB": {}, "run": {}}
    checked = [0]

    def check(_follower: object = None) -> None:
        """All patterns that have come, against the truth."""
        rows = recon.following.rows
        data = recon.dataset.data
        for row in range(checked[0], rows):
            if not np.array_equal(data[row], patterns[row]):
                raise SystemExit(f"row {row} is not what was written")
        if data[rows:ry].any() and rows == recon.following.rows:
            raise SystemExit("a row is shown that is not whole")
        checked[0] = rows

    browser = DatasetBrowser(recon)
    explorer = None
    if not options.no_ssb:
        recon.prepare()
        explorer = DirectExplorer(recon)
    if options.run:
        recon.start()
    browser.wait(600)
    while browser.virtual_image is None or (explorer is not None and explorer.image is None):
        time.sleep(0.05)
    while options.run and not recon.iteration:
        time.sleep(0.05)
    assert writer.stdin is not None
    writer.stdin.write("go\n")
    writer.stdin.flush()
    end = time.time() + 20 * ry * ry / options.rate + 120
    while time.time() < end:
        now = time.time()
        image = browser.virtual_image
        there = 0 if image is None else int(np.isfinite(image).any(1).sum())
        shown = {"browser": there}
        if explorer is not None and explorer.image is not None and " rows" in explorer.facts.value:
            shown["SSB"] = int(explorer.facts.value.split(" of ")[0].split()[-1])
        of = recon._maker.made_of
        if options.run and of is not None and recon.iteration:
            shown["run"] = of.measurement.rows_there or ry
        for name, rows in shown.items():
            first = max(seen[name], default=0) + 1
            seen[name] |= dict.fromkeys(range(first, rows + 1), now)
        if there > checked[0] + ry // 8 or there == ry:
            check()
        if all(max(seen[name], default=0) == ry for name in shown) and there == ry:
            break
        time.sleep(0.01)
    check()
    if options.run:
        recon.wait()
    took = written[ry] - written[6]
    print(f"{options.kind}: {ry} x {ry} patterns of {options.detector} x {options.detector}, {took:.1f} s to write")
    print(f"{checked[0]} of {ry} rows read while they were written, each equal to what was written")
    print(f"{'':10}{'median':>8}{'90 %':>8}{'most':>8}{'last row':>10}   seconds behind the writer")
    for name, rows in seen.items():
        late = [at - written[row] for row, at in rows.items() if row in written and row > 5]
        if late:
            few = np.array(late)
            print(f"{name:10}{np.median(few):8.2f}{np.quantile(few, 0.9):8.2f}{few.max():8.2f}{late[-1]:10.2f}")
    if options.run:
        print(f"{recon!r}")
    browser.close()


if __name__ == "__main__":
    main()

"""Direct methods against a known truth, and their seconds; peers beside them, taking turns.

    python benchmarks/direct.py [small small_dose1e4 full_counts] [--methods SSB OBF WDD] [--rounds 2]

The sets and the score are those of docs/benchmarks.md, in the folder PTYWIDGETS_SHARED or ../shared. Orientation and
lens are given to all; the time is that from patterns in memory to the phase, everything included. "/scan" pictures lie
on the scan's own grid, the others are as fine as the side bands reach. Peers are measured where PTYWIDGETS_PY4DSTEM or
PTYWIDGETS_QUANTEM names a Python that has them.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets import read
from ptywidgets.engine import Aberrations, Dataset, Optics
from ptywidgets.engine.direct import bright_field, corrected, dpc, obf, parallax, ssb, wdd

SHARED = Path(os.environ.get("PTYWIDGETS_SHARED", Path(__file__).resolve().parents[2] / "shared"))
PEERS = {"py4DSTEM": "PTYWIDGETS_PY4DSTEM", "quantem": "PTYWIDGETS_QUANTEM"}
FINE = 4  # times finer than the scan, for a peer that can be
Answer = tuple[float, np.ndarray, float]  # seconds, phase, sampling


def main() -> None:
    """Print one table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*", default=["small", "small_dose1e4", "full_counts"])
    parser.add_argument("--methods", nargs="*", default=["DPC", "parallax", "SSB", "OBF", "WDD"])
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    if not (SHARED / "data").is_dir():
        sys.exit(f"no sets with a known truth in {SHARED}; set PTYWIDGETS_SHARED")
    score = loaded(SHARED / "tools" / "score.py").score
    for name in options.sets:
        dataset, meta = known_set(name)
        print(f"{name} ({'x'.join(map(str, dataset.shape))})")
        with tempfile.TemporaryDirectory() as folder:
            peers = {
                p: Peer(p, os.environ[v], dataset, meta, Path(folder)) for p, v in PEERS.items() if v in os.environ
            }
            for method in options.methods:
                runs = {label: run for label, run in ours(dataset, meta).items() if label.split("/")[0] == method}
                own = list(runs)
                for label, peer in peers.items():
                    asked = [method, "OBF, prior"] if method == "OBF" and label == "quantem" else [method]
                    runs |= {f"{label} {m}": lambda peer=peer, m=m: peer.run(m) for m in asked}
                compare(runs, own, options.rounds, lambda p, s, name=name, d=dataset: scored(score, p, s, name, d))
            for peer in peers.values():
                peer.close()


def ours(dataset: Dataset, meta: dict[str, Any]) -> dict[str, Callable[[], Answer]]:
    """Our methods by name."""
    turn = {"rotation": meta["rotation_deg"], "transpose": meta["transpose"]}
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=meta["defocus_A"]))

    def timed(work: Callable[[], Any]) -> Callable[[], Answer]:
        def run() -> Answer:
            start = time.perf_counter()
            image = work()
            return time.perf_counter() - start, image.phase, image.sampling[0]

        return run

    def gathered() -> Any:
        return bright_field(dataset, **turn)

    def wigner(**grid: Any) -> Any:
        return wdd(gathered(), optics, **grid)

    scan = {"upsampling": 1}
    return {
        "DPC": timed(lambda: dpc(dataset, **turn)),
        "parallax": timed(lambda: corrected(parallax(gathered(), **turn))),
        "SSB/scan": timed(lambda: ssb(gathered(), optics, **scan)),
        "SSB": timed(lambda: ssb(gathered(), optics)),
        "OBF/scan": timed(lambda: obf(gathered(), optics, **scan)),
        "OBF": timed(lambda: obf(gathered(), optics)),
        "WDD/scan": timed(lambda: wigner(**scan)),
        "WDD": timed(lambda: wigner()),
    }


def compare(runs: dict[str, Callable[[], Answer]], own: list[str], rounds: int, scoring: Callable) -> None:
    """Let all runs take turns; a line for each with its least seconds, its score, and what it takes against ours."""
    seconds = dict.fromkeys(runs, math.inf)
    scores: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for label, run in runs.items():
            taken, phase, sampling = run()
            if taken < seconds[label]:
                seconds[label] = taken
            if label not in scores and math.isfinite(taken):
                scores[label] = scoring(phase, sampling)
    for label, s in scores.items():
        times = [f"{seconds[label] / seconds[o]:.1f}x {o}" for o in own if label not in own]
        line = f"  {label:20} {seconds[label]:8.3f} s  corr {s['corr']:.3f}  rms {s['rms_rad']:.3f} rad"
        print(f"{line}  ssim {s['ssim']:.3f}  {s['frc05_A']:5.2f} A  {', '.join(times)}", flush=True)


class Peer:
    """A peer in a process of its own, which works only when asked."""

    def __init__(self, name: str, python: str, dataset: Dataset, meta: dict[str, Any], folder: Path) -> None:
        source, self.result = folder / f"{name}.npz", folder / f"{name}_result.npz"
        calibration = dataset.calibration
        np.savez(
            source,
            data=np.asarray(dataset.data),
            energy=calibration.energy,
            scan_step=calibration.scan_step,
            q_pixel=calibration.q_pixel,
            semiangle=calibration.semiangle,
            defocus=meta["defocus_A"],
            rotation=meta["rotation_deg"],
            fine=FINE,
        )
        script = Path(__file__).with_name("direct_peers.py")
        command = [python, str(script), name.lower(), str(source), str(self.result)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)

    def run(self, method: str) -> Answer:
        """Infinite seconds where it has no such method, or fails."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{method}\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("SECONDS"):
                with np.load(self.result) as found:
                    return float(line.split()[1]), found["phase"], float(found["sampling"])
            if line.startswith(("NONE", "FAILED")):
                print(f"  {method}: {line.strip()}")
                return math.inf, np.zeros((1, 1)), 1.0
        sys.exit("a peer ended before it was done; run direct_peers.py by hand to see why")

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def known_set(name: str) -> tuple[Dataset, dict[str, Any]]:
    """A simulated set in memory, and what is known about it."""
    folder = SHARED / "data" / "simulated"
    meta = json.loads((folder / f"{name}_meta.json").read_text())
    dataset = read(folder / f"{name}.h5", energy=meta["energy_eV"], semiangle=meta["semiangle_mrad"]).load()
    return dataset.with_vacuum(folder / f"{name}_vacuum-probe.h5"), meta


def scored(score: Callable, phase: np.ndarray, sampling: float, name: str, dataset: Dataset) -> dict[str, float]:
    """The score of a phase whose pixel [0, 0] is the first scan position."""
    points = np.indices(dataset.scan_shape).reshape(2, -1).T * dataset.calibration.require("scan_step")
    return score(np.asarray(phase, float), points / sampling, sampling, name)


def loaded(path: Path) -> Any:
    """A module from a file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()

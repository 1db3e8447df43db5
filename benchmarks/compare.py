"""Ours beside the peers: seconds per iteration, seconds to a quality, and memory, all taking turns in one run.

    python benchmarks/compare.py [small small_dose1e4 full_counts] [--data FOLDER] [--seconds 600] [--envs FOLDER]

Every engine works in a process and an environment of its own (made by this, see peers/environments.py), gets the same
data with the true geometry and the true first probe, and makes one iteration whenever it is its turn; idle ones wait.
Writes docs/peers.md, docs/images/peers.png and docs/peers.json; `--tables` makes the first two again from the last.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from cases import Case, load_case, write_given  # noqa: E402
from compare_report import write_report  # noqa: E402
from peers.environments import NotMade, python_of  # noqa: E402
from runs import Ended, Engine, Run, ending  # noqa: E402

SCORED = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
REFERENCE = Engine("ptywidgets, complex", "ours", "complex")
ENGINES = (
    REFERENCE,
    Engine("ptywidgets, potential", "ours", "potential"),
    Engine("ptywidgets, automatic", "ours", "auto"),
    Engine("ptywidgets, automatic, from file", "ours", "auto-file"),
    Engine("py4DSTEM, complex", "py4dstem", "complex"),
    Engine("py4DSTEM, potential", "py4dstem", "potential"),
    Engine("phaser, ePIE", "phaser", "epie"),
    Engine("phaser, Adam", "phaser", "adam"),
    Engine("pty-chi, ePIE", "pty_chi", "epie"),
    Engine("pty-chi, LSQML", "pty_chi", "lsqml"),
    Engine("PtyRAD, Adam", "ptyrad", "adam"),
    Engine("quantem, Adam", "quantem", "adam"),
)


def compare(case: Case, engines: list[Engine], pythons: dict[str, str], options: argparse.Namespace) -> dict[str, Any]:
    """All engines on one case, in groups that fit into memory, each with the reference among them."""
    out: dict[str, Any] = {"title": case.title, "shape": list(case.dataset.shape), "fft": {}, "engines": {}}
    with tempfile.TemporaryDirectory() as folder:
        scratch = options.logs or Path(folder)
        given = Path(folder) / f"{case.name}.npz"
        write_given(case, given)
        others = [e for e in engines if e != REFERENCE]
        size = options.together - 1 if options.together > 1 else max(len(others), 1)
        groups = [others[i : i + size] for i in range(0, len(others), size)] or [[]]
        for group in groups:
            runs: list[Run] = []
            try:
                active = []
                for engine in (REFERENCE, *group):  # one after the other, so that they do not slow each other's set-up
                    runs.append(Run(engine, pythons[engine.driver], given, scratch))
                    with ending(runs[-1]):
                        runs[-1].set_up()
                        active.append(runs[-1])
                _take_turns(case, active, out["fft"], options)
            finally:
                for run in runs:
                    run.close()
            reference = runs[0].record["seconds"]
            for run in runs:
                run.record["reference"] = _typical(reference)
                out["engines"].setdefault(run.engine.label, run.record)
    return out


def _take_turns(case: Case, active: list[Run], floor: dict[str, float], options: argparse.Namespace) -> None:
    for _ in range(options.iterations):
        for run in list(active):
            active.remove(run)
            with ending(run):
                try:
                    iteration = run.iterate()
                except Ended:
                    run.score(case)
                    raise
                spent = sum(run.record["seconds"])
                worked = spent - run.record["seconds"][0]  # the first may compile
                last = worked >= options.seconds or iteration == options.iterations
                if iteration in SCORED or last:
                    run.score(case)
                    correlation = run.record["scores"][str(iteration)][0]
                    print(f"  {run.engine.label:34} {iteration:3} {spent:8.2f} s  {correlation:.4f}", flush=True)
                if not last:
                    active.append(run)
        for name, value in fft_seconds().items():
            floor[name] = min(floor.get(name, np.inf), value)
        if not active:
            break


def _typical(seconds: list[float]) -> dict[str, float]:
    """Least and median seconds of an iteration; the first is left out, since it may compile."""
    later = seconds[1:] or seconds
    return {"least": min(later), "median": statistics.median(later)} if later else {}


def fft_seconds() -> dict[str, float]:
    """Least seconds of one 200 x 200 complex64 transform on one thread, in batches of four."""
    waves = np.ones((4, 200, 200), np.complex64)
    libraries = {"scipy": lambda: scipy.fft.fft2(waves, norm="ortho", workers=1)}
    try:
        import ducc0

        libraries["ducc0"] = lambda: ducc0.fft.c2c(waves, axes=(1, 2), nthreads=1)
    except ImportError:
        pass
    out = {}
    for name, transform in libraries.items():
        best = np.inf
        for _ in range(10):
            start = time.perf_counter()
            transform()
            best = min(best, (time.perf_counter() - start) / len(waves))
        out[name] = best
    return out


def machine() -> dict[str, Any]:
    """What it ran on."""
    names = [li.split(":")[1].strip() for li in _lines("/proc/cpuinfo") if li.startswith("model name")]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    name = names[0] if names else platform.processor() or platform.machine()
    return {"cpu": name, "cores": os.cpu_count(), "system": platform.system(), "load": round(load, 1)}


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure, write, and give back what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*", default=["small", "small_dose1e4", "full_counts"])
    parser.add_argument("--data", type=Path, help="folder of simulated sets with their truth; else our own ducky")
    parser.add_argument("--envs", type=Path, default=Path.home() / ".cache" / "ptywidgets-bench")
    parser.add_argument("--engines", nargs="*", help="drivers or labels (parts of them) to run; all by default")
    parser.add_argument("--iterations", type=int, default=SCORED[-1])
    parser.add_argument("--seconds", type=float, default=600.0, help="budget of an engine, its first iteration aside")
    parser.add_argument("--together", type=int, default=5, help="engines at a time, for memory; 0: all")
    parser.add_argument("--docs", type=Path, default=HERE.parent / "docs", help="where tables and plot go")
    parser.add_argument("--logs", type=Path, help="folder to keep what the engines print")
    parser.add_argument("--tables", action="store_true", help="write tables and plot again from what was measured")
    options = parser.parse_args(arguments)
    kept = options.docs / "peers.json"
    if options.tables:
        results = json.loads(kept.read_text())
        write_report(results, options.docs)
        return results
    wanted = [e for e in ENGINES if options.engines is None or any(w in (e.driver, e.label) for w in options.engines)]
    pythons, missing = {"ours": sys.executable}, {}
    for driver in dict.fromkeys(e.driver for e in wanted if e.driver != "ours"):
        try:
            pythons[driver] = python_of(driver, options.envs)
        except NotMade as reason:
            missing[driver] = str(reason)
            print(f"{driver}: {reason}", flush=True)
    results = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "seconds": options.seconds, "sets": {}}
    results["missing"] = {e.label: missing[e.driver] for e in wanted if e.driver in missing}
    for folder in filter(None, (options.docs, options.logs)):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.sets:
            case = load_case(name, options.data, Path(scratch))
            print(f"{name} ({'x'.join(map(str, case.dataset.shape))})", flush=True)
            results["sets"][name] = compare(case, [e for e in wanted if e.driver in pythons], pythons, options)
            kept.write_text(json.dumps(results, indent=1))  # after each, so that a run cut short is not lost
    write_report(results, options.docs)
    return results


if __name__ == "__main__":
    main()

"""Whether a script that ends while it computes really ends: how soon, with which status, and what it says.

    python benchmarks/exits.py [--times 200] [--data small full] [--seed 0] [--only run,paused]

Each child is a short script that begins something (a run, a paused run, the preparation of a run, what widgets compute
on threads), comes to its end at a random moment, and ends in one of four ways: by itself, by ``sys.exit(3)``, by an
error, by an interrupt. It must be gone within two seconds of its last line, with the status that belongs to that way,
nothing on stderr but one line on what becomes of the run, and, where there is an autosave, a file that can be opened.
The data are read lazily from HDF5 (plain and compressed) and .npy; "full" is the simulated set of full size.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets import Reconstruction, samples

REPOSITORY = Path(__file__).resolve().parents[1]
LIMIT = 2.0  # s, from the last line of a script to its end
HUNG = 30.0  # s: it is ended by force
WAYS = {"end": 0, "exit": 3, "error": 1, "interrupt": -2}  # and the status that each gives
DOING = ("run", "paused", "preparing", "widgets")

SCRIPT = """
import os, signal, sys, threading, time
doing, way, delay, autosave, path, known = {doing!r}, {way!r}, {delay!r}, {autosave!r}, {path!r}, {known!r}
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored where this was started in the background
from ptywidgets import Reconstruction
recon = Reconstruction.open(path, **known)
recon.autosave = autosave
if doing in ("run", "paused"):
    recon.update_plan(iterations=100000, batch=48)  # by hand: the automatic schedule may come to its end before that
    recon.start()
    while recon.state is None and recon.status == "running":
        time.sleep(0.005)
    time.sleep(delay)
    if doing == "paused":
        recon.pause()
        while recon.status == "running":
            time.sleep(0.005)
elif doing == "preparing":
    recon.start()
    time.sleep(delay)
elif doing == "widgets":
    from ptywidgets import Workbench
    bench = Workbench(recon)
    bench.calibrate()
    time.sleep(delay)
print("END", time.monotonic(), time.process_time(), flush=True)
if way == "exit":
    sys.exit(3)
if way == "error":
    raise ValueError("an error of the script")
if way == "interrupt":
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)
"""


@dataclass(frozen=True)
class Trial:
    """One script."""

    doing: str
    way: str
    delay: float  # s
    autosave: str | None
    path: str
    known: dict[str, float]

    def __str__(self) -> str:
        saves = "with autosave" if self.autosave else "without autosave"
        return f"{self.doing}, {self.way} after {self.delay:.2f} s, {Path(self.path).name}, {saves}"


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    seconds: float  # from its last line to its end; infinite where it was ended by force
    faults: tuple[str, ...]  # other than that it took too long
    stderr: str
    computing: float = 0.0  # s of the processors from its last line to its end: what a busy machine does not change


def run_trial(trial: Trial) -> Outcome:
    """Let a script run and look at its end."""
    code = SCRIPT.format(**{name: getattr(trial, name) for name in trial.__dataclass_fields__})
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    )
    assert process.stdout is not None
    before = _children()
    said = re.match(r"END (\S+) (\S+)", process.stdout.readline())  # however long it takes to get there
    try:
        _, err = process.communicate(timeout=HUNG)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # it says then where its threads are
        return Outcome(float("inf"), ("it hung",), process.communicate()[1])
    now = time.monotonic()
    if said is None:
        return Outcome(float("inf"), ("it failed before its end",), err)
    seconds = now - float(said[1])
    computing = _children() - before - float(said[2])
    return Outcome(seconds, tuple(_faults(trial, process.returncode, err)), err, computing)


def _children() -> float:
    """Seconds of the processors that children which have ended took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _faults(trial: Trial, status: int, err: str) -> Iterator[str]:
    # Python forgets that it was interrupted where another thread compiles code at that moment, and says 1.
    if status != WAYS[trial.way] and not (trial.way == "interrupt" and status == 1):
        yield f"its status is {status}, expected {WAYS[trial.way]}"
    if err.count("Traceback") != (trial.way in ("error", "interrupt")):
        yield "a traceback too many or too few"
    for noise in ("Exception ignored", "Fatal", "terminate called", "Exception in thread", "Warning"):
        if noise in err:
            yield f"{noise!r} on stderr"
    lines = re.findall(r"^ptywidgets: .*$", err, re.MULTILINE)
    if trial.doing in ("run", "paused"):
        if len(lines) != 1:
            yield f"{len(lines)} lines on what becomes of the run, expected one"
        elif trial.autosave and "saved to" not in lines[0]:
            yield f"it was not saved: {lines[0]}"
    if trial.autosave and any("saved to" in line for line in lines):
        try:
            Reconstruction.load(trial.autosave)
        except Exception as error:
            yield f"what it saved cannot be opened: {error}"


def make_data(folder: Path, size: str) -> list[tuple[str, dict[str, float]]]:
    """Paths of data, and what their files do not say."""
    if size == "full":
        full = REPOSITORY.parent / "shared" / "data" / "simulated" / "full_counts.h5"
        return [(str(full), {"energy": 80e3, "semiangle": 20.0, "defocus": 500.0})]
    name = {"small": "small", "tiny": "tiny"}[size]
    data = samples.ducky(name)
    known = {key: value for key, value in vars(data.calibration).items() if isinstance(value, float)}
    known = {key: known[key] for key in ("energy", "semiangle", "scan_step", "q_pixel")}
    known["defocus"] = samples.ducky_defocus(name)
    counts = np.asarray(data.data)
    np.save(folder / f"{size}.npy", counts)
    for kind, options in (("plain", {}), ("gzip", {"compression": "gzip", "chunks": (1, 4, *counts.shape[2:])})):
        with h5py.File(folder / f"{size}_{kind}.h5", "w") as file:
            file.create_dataset("data", data=counts, **options)
    return [(str(folder / name), known) for name in (f"{size}.npy", f"{size}_plain.h5", f"{size}_gzip.h5")]


def make_trials(folder: Path, times: int, sizes: list[str], doing: list[str], seed: int) -> list[Trial]:
    """So many scripts, of all kinds in turn, that end at random moments."""
    dice = random.Random(seed)
    data = {size: make_data(folder, size) for size in sizes}
    trials = []
    for number in range(times):
        path, known = dice.choice(data[sizes[number % len(sizes)]])
        what, way = doing[number % len(doing)], list(WAYS)[number // len(doing) % len(WAYS)]
        autosave = str(folder / f"auto{number}.h5") if dice.random() < 0.5 and what != "widgets" else None
        delay = dice.uniform(0.0, {"preparing": 1.0, "widgets": 3.0}.get(what, 1.5))
        trials.append(Trial(what, way, delay, autosave, path, known))
    return trials


def main(arguments: list[str] | None = None) -> list[Outcome]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--data", nargs="+", choices=("tiny", "small", "full"), default=["small"])
    parser.add_argument("--only", default=",".join(DOING), help="what the scripts do, of " + ", ".join(DOING))
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    outcomes: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        for trial in make_trials(Path(folder), chosen.times, chosen.data, chosen.only.split(","), chosen.seed):
            outcome = run_trial(trial)
            outcomes.append(outcome)
            late = (f"it took {outcome.seconds:.1f} s to end",) if outcome.seconds > LIMIT else ()
            if outcome.faults or late:
                print(f"{trial}: {'; '.join((*outcome.faults, *late))}\n{outcome.stderr}", flush=True)
            if trial.autosave:
                Path(trial.autosave).unlink(missing_ok=True)
    good = sum(not outcome.faults for outcome in outcomes)
    soon = sum(outcome.seconds <= LIMIT for outcome in outcomes)
    print(f"{good} of {len(outcomes)} scripts ended as they should, {soon} within {LIMIT:g} s; median and most:")
    for words, name in (("seconds to the end", "seconds"), ("of the processors", "computing")):
        times = sorted(getattr(outcome, name) for outcome in outcomes)
        print(f"  {words}: {times[len(times) // 2]:.2f}, {times[-1]:.2f}")
    return outcomes


if __name__ == "__main__":
    sys.exit(any(outcome.faults or outcome.seconds > LIMIT for outcome in main()))

"""What is left of a file when the process that saves it is killed at a random moment: always a whole one.

    python benchmarks/kill_saving.py --times 200
    python benchmarks/kill_saving.py --full FOLDER    # on a small file system made for it: it is filled to the brim

A process saves one reconstruction after another, over the last one or under a new name, and is killed without warning
(kill -9). Then every file that is there must load and hold one of the reconstructions, unmixed; no older one than the
last that was reported as saved; and of temporary files no more than the one that was being written, which the next save
removes.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ptywidgets.engine import Calibration, Optics, Plan, Preparation
from ptywidgets.engine.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ptywidgets.engine.core.errors import PtyError
from ptywidgets.engine.core.state import State

SIDE = 512  # pixels of the object: a file of 3 MB


def numbered(number: int) -> Checkpoint:
    """A reconstruction that says in each of its values which one it is."""
    state = State(
        object=np.full((1, SIDE, SIDE), number, np.complex64),
        probe=np.full((4, 128, 128), number, np.complex64),
        positions=np.full((1024, 2), float(number)),
        iteration=number,
        losses=(float(number),) * 50,
        random={"number": number},
    )
    return Checkpoint(
        state=state,
        plan=Plan(),
        preparation=Preparation(),
        optics=Optics(semiangle=20.0),
        calibration=Calibration(80e3, 1.5, 0.05, 20.0),
        object_type="complex",
        sampling=(0.3, 0.3),
        rotation=0.0,
        transpose=False,
        scan_shape=(32, 32),
        provenance={"program": "ptywidgets"},
    )


def number_of(path: Path) -> int:
    """Which one a file holds; raises where it is not whole, or mixed."""
    state = load_checkpoint(path).state
    assert state is not None
    arrays = (state.object, state.probe, state.positions, np.asarray(state.losses))
    if any((array != state.iteration).any() for array in arrays) or state.random != {"number": state.iteration}:
        raise ValueError(f"{path} is a mixture")
    return state.iteration


def save_on(folder: Path, anew: bool, first: int, report: int) -> None:
    """Save until killed, telling each number that is safely there."""
    for number in range(first, sys.maxsize):
        save_checkpoint(folder / (f"new{number}.h5" if anew else "same.h5"), numbered(number))
        os.write(report, number.to_bytes(8, "little"))


def kill_once(folder: Path, anew: bool, first: int, seconds: float) -> tuple[int, bool]:
    """Let a process save from a number on and kill it; the last number that is there, and whether it was at work."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            save_on(folder, anew, first, writing)
        finally:
            os._exit(1)
    os.close(writing)
    told = os.read(reading, 8)  # the first is there
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        raise RuntimeError(f"the process ended by itself, {status}")
    while more := os.read(reading, 1 << 16):
        told = (told + more)[-8:]
    os.close(reading)
    reported = int.from_bytes(told, "little")
    files = sorted(folder.glob("*.h5"))
    numbers = [number_of(file) for file in files]
    last = max(numbers)
    if last not in (reported, reported + 1):
        raise ValueError(f"{reported} was saved, and {last} is there")
    if anew and sorted(numbers) != sorted(int(file.stem[3:]) for file in files):
        raise ValueError(f"{numbers} are under other names: {files}")
    parts = list(folder.glob(".*.part"))
    if len(parts) > 1:
        raise ValueError(f"more than one temporary file is left: {parts}")
    return last, bool(parts)


def kill(times: int, seed: int) -> None:
    """Kill a saving process so many times; raises as soon as something is not whole."""
    chance, interrupted = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as scratch:
        folders = {anew: Path(scratch) / name for anew, name in ((False, "same"), (True, "new"))}
        last = dict.fromkeys(folders, 0)
        for folder in folders.values():
            folder.mkdir()
        for n in range(times):
            anew = n % 2 == 1
            last[anew], at_work = kill_once(folders[anew], anew, last[anew] + 1, chance.uniform(0, 0.2))
            interrupted += at_work
            for file in sorted(folders[True].glob("*.h5"))[:-1]:
                file.unlink()
        for folder in folders.values():
            save_checkpoint(folder / "end.h5", numbered(1))
            left = list(folder.glob(".*.part"))
            if left:
                raise ValueError(f"the next save has not removed {left}")
    print(f"killed {times} times, {interrupted} of them in the middle of a file: {times} times whole files,")
    print("0 files lost, mixed or cut; 0 temporary files left after the next save")


def fill(folder: Path, spare: int) -> None:
    """Leave about so many bytes free."""
    with (folder / "ballast").open("wb") as file:
        free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
        file.write(bytes(max(0, free - spare)))


def full(folder: Path, times: int) -> None:
    """Save where there is less and less space; raises as soon as the old file is not what it was."""
    target, failed = folder / "same.h5", 0
    save_checkpoint(target, numbered(1))
    size = target.stat().st_size
    for n in range(times):
        (folder / "ballast").unlink(missing_ok=True)
        fill(folder, int(size * 1.2 * n / times))
        before = number_of(target)
        try:
            save_checkpoint(target, numbered(n + 2))
        except PtyError as error:
            failed += 1
            if "the disk is full" not in str(error) or number_of(target) != before:
                raise
        else:
            if number_of(target) != n + 2:
                raise ValueError("a save that was reported is not there")
        left = {file.name for file in folder.iterdir()} - {"same.h5", "ballast", "lost+found"}
        if left:
            raise ValueError(f"left behind: {left}")
    (folder / "ballast").unlink()
    target.unlink()
    print(f"saved {times} times on a full disk: {failed} times refused in words, the old file whole each time")


def main() -> None:
    """Kill, or fill."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", type=Path, help="a folder on a small file system of its own")
    options = parser.parse_args()
    if options.full is None:
        kill(options.times, options.seed)
    else:
        full(options.full, options.times)


if __name__ == "__main__":
    main()

"""What the drivers share. A driver runs in the environment of the program it drives; this file needs numpy only.

    python protocol.py DRIVER MODE GIVEN.npz

loads DRIVER.py from this folder and calls its ``run(given, mode, turn)``. Commands come on standard input: "next" makes
one iteration, "save PATH" writes the object, the positions in object pixels and the sampling. Answers are lines of JSON
on standard output; whatever the program prints itself goes to standard error.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Given = Mapping[str, Any]  # see `dataset_of` in compare.py, which writes it
Result = tuple[np.ndarray, np.ndarray, float]  # object (Y, X) complex or phase, positions (J, 2) px, A per pixel
_KEPT: list[Any] = []  # what must not be forgotten
LONG = 100000  # iterations asked of a program that wants to know how many; it is ended long before


class Turn:
    """The driver's side of the conversation: it works only when asked, and only its own work is timed."""

    def __init__(self) -> None:
        sys.stdout.flush()
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._iteration = 0
        self._begin = time.perf_counter()
        self._started = False
        self._result: Callable[[], Result] | None = None

    def ready(self, settings: str, packages: tuple[str, ...]) -> None:
        """Everything is set up; returns when the first iteration is asked for. `packages` need not all be there."""
        seconds = time.perf_counter() - self._begin
        versions = {name: version for name in (*packages, "numpy") if (version := _version(name))}
        python = ".".join(map(str, sys.version_info[:3]))
        self._started = True
        self._answer(ready=seconds, settings=settings, versions=versions, python=python, peak_mb=peak_mb())
        self._wait()

    def done(self, result: Callable[[], Result]) -> None:
        """An iteration is done; returns when the next is asked for. `result` is called where it is to be saved."""
        seconds = time.perf_counter() - self._begin
        self._iteration += 1
        self._result = result
        self._answer(iteration=self._iteration, seconds=seconds, peak_mb=peak_mb())
        self._wait()

    def end(self, reason: str = "") -> None:
        """There is no further iteration, or none at all."""
        self._answer(end=reason)
        self._wait(over=True)

    def _wait(self, over: bool = False) -> None:
        for line in sys.stdin:
            word, _, path = line.strip().partition(" ")
            if word == "next" and not over:
                self._begin = time.perf_counter()
                return
            if word == "save" and self._result is not None:
                image, positions, sampling = self._result()
                np.savez(path, object=image, positions=positions, sampling=sampling)
                self._answer(saved=path)
            else:
                self._answer(end="")
        os._exit(0)  # the asking side has left; threads of the program must not hold us

    def _answer(self, **values: Any) -> None:
        print(json.dumps(values), file=self._answers, flush=True)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def peak_mb() -> float:
    """Most memory that this process ever had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def centred(given: Given) -> np.ndarray:
    """Patterns (J, N, N) float32 with their origin at pixel N // 2, descan taken off by a cubic spline."""
    name = "centred" if "centred" in given else "patterns"
    return np.asarray(given[name], np.float32)


def sampling(given: Given) -> float:
    """Object pixel in A."""
    return float(1 / (given["probe"].shape[-1] * given["q_pixel"]))


def window_corners(given: Given, room: int = 8) -> tuple[np.ndarray, tuple[int, int]]:
    """First pixels (J, 2) of the windows, fractional, and the shape of an object with so many pixels around them."""
    pixels = given["positions"] / sampling(given)
    corners = pixels - pixels.min(0) + room
    shape = np.ceil(corners.max(0)).astype(int) + given["probe"].shape[-1] + room
    return corners, (int(shape[0]), int(shape[1]))


def positions_of_windows(corners: np.ndarray, given: Given) -> np.ndarray:
    """Positions (J, 2) in object pixels: where the window's pixel N // 2 lies."""
    return np.asarray(corners, float) + given["probe"].shape[-1] // 2


def torchvision_stand_in() -> None:
    """Let torchvision load where its compiled part does not fit the torch there is; nothing here needs that part."""
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
    else:
        return
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)


def main(name: str, mode: str, path: str) -> None:
    """Run a driver until its input ends."""
    folder = Path(__file__).resolve().parent
    sys.path[:] = [
        p for p in sys.path if Path(p or ".").resolve() != folder
    ]  # the drivers are named like what they drive
    sys.modules["protocol"] = sys.modules[__name__]
    turn = Turn()
    spec = importlib.util.spec_from_file_location(f"driver_{name}", folder / f"{name}.py")
    assert spec is not None and spec.loader is not None
    driver = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = driver
    try:
        spec.loader.exec_module(driver)
        with np.load(path) as given:
            driver.run(given, mode, turn)
    except Exception as error:
        traceback.print_exc()
        turn.end(" ".join(f"{type(error).__name__}: {error}".split())[:200])
    else:
        turn.end()


if __name__ == "__main__":
    main(*sys.argv[1:])

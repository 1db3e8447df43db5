"""Engines at work in processes of their own: the asking side of peers/protocol.py."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case
from score import score

PROTOCOL = Path(__file__).resolve().parent / "peers" / "protocol.py"


@dataclass(frozen=True)
class Engine:
    """One way of one program to reconstruct."""

    label: str
    driver: str
    mode: str


class Ended(Exception):
    """An engine makes no further iteration, and why."""


class Run:
    """An engine at work on a case; what it did is in `record`, made of plain values."""

    def __init__(self, engine: Engine, python: str, given: Path, scratch: Path) -> None:
        self.engine = engine
        self.record: dict[str, Any] = {"driver": engine.driver, "mode": engine.mode, "seconds": [], "scores": {}}
        self._result = scratch / f"{engine.driver}_{engine.mode}.npz"
        self._log = (scratch / f"{engine.driver}_{engine.mode}.log").open("w")
        command = [python, str(PROTOCOL), engine.driver, engine.mode, str(given)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._log, text=True)

    def set_up(self) -> None:
        """Wait until it could begin."""
        answer = self._answer()
        self.record |= {k: answer[k] for k in ("settings", "versions", "python", "peak_mb")}
        self.record["set_up"] = answer["ready"]

    def iterate(self) -> int:
        """One iteration; its number."""
        answer = self._ask("next")
        self.record["seconds"].append(answer["seconds"])
        self.record["peak_mb"] = answer["peak_mb"]
        return int(answer["iteration"])

    def score(self, case: Case) -> None:
        """Score what it has now, if there is anything and it is not scored yet."""
        iteration = str(len(self.record["seconds"]))
        if iteration == "0" or iteration in self.record["scores"]:
            return
        self._ask(f"save {self._result}")
        with np.load(self._result) as found:
            if not np.isfinite(found["object"]).all():
                raise Ended("it diverged")
            value = score(found["object"], found["positions"], case.truth)
        self.record["scores"][iteration] = [round(value.correlation, 5), round(value.rms, 5)]

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def _ask(self, command: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Ended("it ended by itself") from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"end": "it ended by itself"}
        if "end" in answer:
            raise Ended(answer["end"])
        return answer


@contextmanager
def ending(run: Run) -> Iterator[None]:
    """Where an engine ends, note why and go on with the others."""
    try:
        yield
    except Ended as end:
        run.record["end"] = str(end)
        print(f"  {run.engine.label:34} {end}", flush=True)

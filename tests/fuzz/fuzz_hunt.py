"""Damaged files by the thousand, each opened in a child with limits: ``python tests/fuzz/fuzz_hunt.py --count 100000``.

Nothing may hang, crash, run code, take memory without end, or end in anything but an error of our own. What does is
kept with its name and seed, ``NAME:SEED``, from which ``--again NAME:SEED`` makes the same file.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

CHILD = Path(__file__).resolve().parent / "fuzz_child.py"
SECONDS = 10.0  # for one file, by every door; of the processor's time, where that can be told, for machines are busy
PATIENCE = 6  # times as long, for who waits and does not work
CHILD_FILES = 4000  # then a new child: what HDF5 itself leaks over damaged files is not ours


@dataclass
class Report:
    """What was found."""

    count: int = 0
    seconds: float = 0.0
    slowest: tuple[float, str] = (0.0, "")
    hangs: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    foreign: dict[str, list[str]] = field(default_factory=lambda: collections.defaultdict(list))  # words: cases
    whole: list[str] = field(default_factory=list)  # whole files that did not open

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.hangs or self.crashes or self.foreign or self.whole)

    def __str__(self) -> str:
        lines = [
            f"{self.count} files in {self.seconds:.0f} s: {len(self.hangs)} hangs above {SECONDS:g} s, "
            f"{len(self.crashes)} crashes, {sum(map(len, self.foreign.values()))} foreign exceptions; the slowest took "
            f"{self.slowest[0]:.2f} s ({self.slowest[1]})"
        ]
        lines += [f"hang   {case}" for case in self.hangs] + [f"crash  {case}" for case in self.crashes]
        for words, cases in sorted(self.foreign.items(), key=lambda item: -len(item[1])):
            lines.append(f"{len(cases):6d} {words}   such as {', '.join(cases[:3])}")
        return "\n".join([*lines, *(f"whole  {words}" for words in self.whole)])


class Child:
    """One process that opens files, and what it says."""

    def __init__(self, folder: Path, names: list[str], log: Path):
        self.log = log.open("wb")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), str(folder), json.dumps(names)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=environment,
        )
        self.said: queue.Queue[str | None] = queue.Queue()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.put(line.decode("utf-8", "replace"))
        self.said.put(None)

    def ask(self, cases: list[tuple[int, str, str]]) -> None:
        """Hand over some cases; a child that is gone is noticed by who listens."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            for case in cases:
                self.process.stdin.write(json.dumps(case).encode() + b"\n")
            self.process.stdin.flush()

    def hear(self, seconds: float) -> str | None:
        """The next line, or None when the child has ended; TimeoutError when it says nothing and works, or waits on."""
        before = self.worked()
        for _ in range(PATIENCE):
            try:
                return self.said.get(timeout=seconds)
            except queue.Empty:
                if before is None or (self.worked() or 0.0) - before > 0.8 * seconds:
                    break
        raise TimeoutError from None

    def worked(self) -> float | None:
        """Seconds of the processor's time that it has had; None where that cannot be told."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, AttributeError, IndexError):
            return None

    def end(self, kill: bool = False) -> int:
        """Let it end, or make it; its exit status."""
        assert self.process.stdin is not None and self.process.stdout is not None
        if kill:
            self.process.send_signal(signal.SIGABRT if os.name == "posix" else signal.SIGTERM)  # prints where it was
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                self.process.kill()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        status = self.process.wait(60)
        self.listener.join()
        self.process.stdout.close()
        self.log.close()
        return status


def hunt(cases: list[str], folder: Path, names: list[str], keep: Path | None = None) -> Report:
    """Open damaged files one after the other.

    Parameters
    ----------
    cases : list of str
        ``NAME:SEED``.
    folder : Path
        With the whole files.
    names : list of str
        Of the whole files.
    keep : Path, optional
        Folder for files that hang or crash.
    """
    report, began = Report(), time.monotonic()
    todo = collections.deque(enumerate(cases))
    while todo:
        batch = [todo.popleft() for _ in range(min(CHILD_FILES, len(todo)))]
        left = _one_child(batch, folder, names, report, keep)
        todo.extendleft(reversed(left))
    report.seconds = time.monotonic() - began
    return report


def _one_child(
    batch: list[tuple[int, str]], folder: Path, names: list[str], report: Report, keep: Path | None
) -> list[tuple[int, str]]:
    """One child's work; what is left to do when it had to be ended."""
    log = folder / "child.log"
    child = Child(folder, names, log)
    known = dict(batch)
    waiting = collections.deque(batch)
    asked: collections.deque[tuple[int, str]] = collections.deque()
    current, since = None, time.monotonic()
    for _ in names:
        line = child.hear(60)
        if line is None:
            raise RuntimeError(f"the child did not begin: {log.read_text(errors='replace')[-2000:]}")
        name, wrong = json.loads(line[2:])
        report.whole += [words for each in wrong if (words := f"{name}: {each}") not in report.whole]
    while waiting or asked:
        while waiting and len(asked) < 32:
            number, case = waiting.popleft()
            asked.append((number, case))
            child.ask([(number, case.rsplit(":", 1)[0], case)])
        try:
            line = child.hear(SECONDS)
        except TimeoutError:
            child.end(kill=True)
            number, case = asked.popleft()
            report.hangs.append(f"{case} ({_where(log)})")
            report.count += 1
            _keep(case, folder, keep, log)
            return [*asked, *waiting]
        if line is None:
            status = child.end()
            number, case = asked.popleft()
            report.crashes.append(f"{case} (exit status {status}; {_where(log)})")
            report.count += 1
            _keep(case, folder, keep, log)
            return [*asked, *waiting]
        kind, number_text, *rest = line.split(" ", 2)
        if kind == "b":
            since = time.monotonic()
            continue
        current = int(number_text)
        assert asked[0][0] == current
        asked.popleft()
        took = time.monotonic() - since
        report.count += 1
        report.slowest = max(report.slowest, (took, known[current]))
        for words in json.loads(rest[0]):
            if words not in report.foreign:
                _keep(known[current], folder, keep, log)
            report.foreign[words].append(known[current])
    child.end()
    return []


def _where(log: Path) -> str:
    """The innermost line of our own that a crashed child printed."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.startswith("  File")]
    ours = [line for line in lines if "/ptywidgets/" in line and "engine" in line] or lines
    return ours[0].split("/")[-1] if ours else "no traceback"


def _keep(case: str, folder: Path, keep: Path | None, log: Path) -> None:
    if keep is not None:
        from fuzz_mutations import damaged

        name = case.rsplit(":", 1)[0]
        keep.mkdir(parents=True, exist_ok=True)
        target = keep / (case.replace(":", "_") + Path(name).suffix)
        target.write_bytes(damaged((folder / name).read_bytes(), case))
        shutil.copyfile(log, target.with_suffix(".log"))


def several(count: int, first: int, folder: Path, names: list[str], keep: Path | None, jobs: int) -> Report:
    """`count` cases, dealt out to the whole files in turn and to so many children at once."""
    cases = [f"{names[n % len(names)]}:{n}" for n in range(first, first + count)]
    reports: list[Report] = []

    def work(job: int) -> None:
        own = folder / f"job{job}"
        own.mkdir()
        for file in folder.iterdir():
            if file.is_file():
                shutil.copyfile(file, own / file.name)
        reports.append(hunt(cases[job::jobs], own, names, keep))

    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(job,)) for job in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = Report(seconds=time.monotonic() - began)
    for report in reports:
        total.count += report.count
        total.hangs += report.hangs
        total.crashes += report.crashes
        total.slowest = max(total.slowest, report.slowest)
        total.whole += [words for words in report.whole if words not in total.whole]
        for words, those in report.foreign.items():
            total.foreign[words] += those
    return total


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="whole files whose name holds this")
    parser.add_argument("--again", nargs="+", metavar="NAME:SEED", help="these cases only")
    parser.add_argument("--shared", type=Path, help="folder with data of other programs, to damage them as well")
    parser.add_argument("--keep", type=Path, default=Path("test-artifacts/fuzz"), help="for files that hang or crash")
    parser.add_argument("--make", type=Path, help="write the case of --again into this file, and end")
    options = parser.parse_args()
    from fuzz_files import make_files
    from fuzz_mutations import damaged

    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as temporary:
        folder = Path(temporary)
        names = [file.name for file in make_files(folder, options.shared) if options.only in file.name]
        if options.make:
            (case,) = options.again
            options.make.write_bytes(damaged((folder / case.rsplit(":", 1)[0]).read_bytes(), case))
            return 0
        if options.again:
            report = hunt(options.again, folder, names, options.keep)
        else:
            report = several(options.count, options.first, folder, names, options.keep, options.jobs)
    print(report)
    return 0 if report.clean else 1


if __name__ == "__main__":
    sys.exit(main())

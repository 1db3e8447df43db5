"""A writer of files that grow, in a process of its own: piece by piece as it is told, or as fast as a detector.

``python -m ptywidgets.testing.growing_files KIND PATH RY RX QY QX [PATTERNS_PER_SECOND]`` writes the patterns of
:func:`pattern`. Without a rate it reads numbers from its standard input, writes so many bytes (of ``raw`` and ``mib``)
or patterns (of the others), and answers with a line. It imports nothing of this package, as no writer does.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np

HEADER = 384  # bytes before a frame of a .mib
KINDS = ("raw", "mib", "swmr", "hdf5", "room", "npy", "files")


def pattern(index: int, shape: tuple[int, int]) -> np.ndarray:
    """Pattern number `index`, (Qy, Qx) uint16, unlike all others and nowhere 0.

    Examples
    --------
    >>> pattern(3, (1, 4)).tolist()
    [[4, 5, 6, 7]]
    """
    return (np.arange(shape[0] * shape[1]).reshape(shape) % 251 + 1 + index).astype(np.uint16)


def truth(scan: tuple[int, int], detector: tuple[int, int]) -> np.ndarray:
    """All of a scan, (Ry, Rx, Qy, Qx)."""
    return np.stack([pattern(j, detector) for j in range(scan[0] * scan[1])]).reshape(*scan, *detector)


class Writer:
    """The writer as a subprocess; within ``with`` it lives.

    Parameters
    ----------
    kind : {"raw", "mib", "swmr", "hdf5", "room", "npy", "files"}
        Bare numbers; Merlin; HDF5 by SWMR, its first axis growing; HDF5 without, flushed; HDF5 by SWMR with room for
        all rows from the beginning; a .npy with room for all; a folder with a .npy for each pattern.
    path : Path
    scan, detector : (int, int)
    rate : float, optional
        Patterns a second; by default it writes when it is told to.
    """

    def __init__(
        self, kind: str, path: Path, scan: tuple[int, int], detector: tuple[int, int], rate: float | None = None
    ) -> None:
        self.detector = detector
        sizes = [str(n) for n in (*scan, *detector)]
        words = [sys.executable, __file__, kind, str(path), *sizes, *([] if rate is None else [str(rate)])]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def write(self, amount: int) -> None:
        """Let it write so many bytes, or patterns, and wait until it has."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{amount}\n")
        self.process.stdin.flush()
        self._answer()

    def _answer(self) -> None:
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            raise RuntimeError(f"the writer has ended with {self.process.wait()}")

    def finish(self) -> None:
        """Let it close its file, and end."""
        self.process.communicate(timeout=60)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None and not stream.closed:
                stream.close()


def mib_header(index: int, detector: tuple[int, int]) -> bytes:
    """What Merlin writes before a frame."""
    qy, qx = detector
    words = f"MQ1,{index + 1:06d},{HEADER:05d},01,{qx:04d},{qy:04d},U16,   1x1,01,"
    words += "2026-01-01 00:00:00.000000,0.0005,0,0,0,1"
    return words.encode().ljust(HEADER, b"\0")


def _pieces(kind: str, path: Path, scan: tuple[int, int], detector: tuple[int, int]) -> Callable[[int], None]:
    """What writes the next bytes, or patterns."""
    count = scan[0] * scan[1]
    if kind in ("raw", "mib"):
        file = path.open("wb", buffering=0)
        record = 2 * detector[0] * detector[1] + (HEADER if kind == "mib" else 0)
        state = {"at": 0}

        def write_bytes(amount: int) -> None:
            while amount and state["at"] < count * record:
                index, inside = divmod(state["at"], record)
                if kind == "mib":
                    data = mib_header(index, detector) + pattern(index, detector).astype(">u2").tobytes()
                else:
                    data = pattern(index, detector).tobytes()
                data = data[inside : inside + amount]
                file.write(data)
                state["at"] += len(data)
                amount -= len(data)

        return write_bytes
    patterns = _patterns(kind, path, scan, detector)
    next(patterns)

    def write_patterns(amount: int) -> None:
        for _ in range(amount):
            next(patterns, None)

    return write_patterns


def _patterns(kind: str, path: Path, scan: tuple[int, int], detector: tuple[int, int]) -> Iterator[None]:
    (ry, rx), count = scan, scan[0] * scan[1]
    if kind == "files":
        path.mkdir(exist_ok=True)
        np.save(path / "0.npy", pattern(0, detector))
        yield
        for index in range(1, count):
            np.save(path / f"{index}.npy", pattern(index, detector))
            yield
        return
    if kind == "npy":
        array = np.lib.format.open_memmap(path, "w+", np.uint16, (ry, rx, *detector))
        yield
        for index in range(count):
            array[divmod(index, rx)] = pattern(index, detector)
            array.flush()
            yield
        return
    with h5py.File(path, "w", **({} if kind == "hdf5" else {"libver": "latest"})) as file:
        rows = 0 if kind == "swmr" else ry
        full = {"maxshape": (ry, rx, *detector)} if kind == "swmr" else {}
        data = file.create_dataset("data", (rows, rx, *detector), "u2", chunks=(1, min(3, rx), *detector), **full)
        file.flush()
        if kind != "hdf5":
            file.swmr_mode = True
        yield
        for index in range(count):
            y, x = divmod(index, rx)
            if y >= data.shape[0]:
                data.resize(y + 1, 0)
            data[y, x] = pattern(index, detector)
            if kind != "hdf5":
                data.flush()
            else:
                file.flush()
            yield


def main(words: list[str]) -> None:
    """Write as told."""
    kind, path = words[0], Path(words[1])
    scan, detector = (int(words[2]), int(words[3])), (int(words[4]), int(words[5]))
    write = _pieces(kind, path, scan, detector)
    print("ready", flush=True)
    if len(words) > 6:
        _at_rate(write, kind, scan, detector, float(words[6]))
        return
    for line in sys.stdin:
        write(int(line))
        print("written", flush=True)


def _at_rate(
    write: Callable[[int], None], kind: str, scan: tuple[int, int], detector: tuple[int, int], rate: float
) -> None:
    """In pieces of odd sizes, at the pace of a detector; each row is told with the time at which it was written."""
    record = 2 * detector[0] * detector[1] + (HEADER if kind == "mib" else 0)
    unit = record if kind in ("raw", "mib") else 1
    generator, begun, done, rows = np.random.default_rng(0), time.time(), 0, 0
    total = scan[0] * scan[1] * unit
    while done < total:
        due = min(total, int((time.time() - begun) * rate * unit))
        while done < due:
            amount = min(due - done, int(generator.integers(1, 3 * unit + 1)))
            write(amount)
            done += amount
        while rows < done // (unit * scan[1]):
            rows += 1
            print(f"row {rows} {time.time():.6f}", flush=True)
        time.sleep(0.002)


if __name__ == "__main__":
    main(sys.argv[1:])

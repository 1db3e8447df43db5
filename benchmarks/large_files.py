"""How soon a file of 30 GB is open, shows its first pattern, and a virtual image of a sample of its positions.

    python benchmarks/large_files.py FOLDER [--gigabytes 30]

Files are sparse: they take little of the disk, and what is read of them is zeros. Each is opened in a process of its
own, after one of a few patterns has brought the package and its loops into memory.
"""

from __future__ import annotations

import argparse
import json
import math
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets import read
from ptywidgets.engine.data.detectors import disk_mask
from ptywidgets.engine.data.virtual import VirtualImager
from ptywidgets.testing.growing_files import mib_header
from ptywidgets.testing.record_files import dm_file

DETECTOR = (256, 256)
FRAME = 2 * math.prod(DETECTOR)


def main() -> None:
    """Write the files, and print a line about each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigabytes", type=float, default=30.0)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(*map(Path, options.child))))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    side = round(math.sqrt(options.gigabytes * 1e9 / FRAME))
    print(f"{'':8}{'GB':>6}{'on disk':>9}{'open ms':>9}{'pattern ms':>12}{'image s':>9}")
    for kind, write in WRITERS.items():
        small, large = (options.folder / f"{name}.{kind}" for name in ("small", "large"))
        write(small, 4)
        write(large, side)
        command = [sys.executable, __file__, str(options.folder), "--child", str(small), str(large)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        stat = large.stat()
        print(
            f"{kind:8}{stat.st_size / 1e9:6.1f}{stat.st_blocks * 512 / 1e9:9.2f}{1e3 * found['open']:9.1f}"
            f"{1e3 * found['pattern']:12.2f}{found['image']:9.2f}",
            flush=True,
        )
        large.unlink()


def child(small: Path, large: Path) -> dict[str, float]:
    """Seconds, after the same was done with a small file."""
    for path in (small, large):
        layout: dict[str, Any] = {}
        if path.suffix in (".raw", ".mib"):
            header = 384 if path.suffix == ".mib" else 0
            side = round(math.sqrt(path.stat().st_size / (FRAME + header)))
            layout = {"scan_shape": (side, side)}
        if path.suffix == ".raw":
            layout |= {"dtype": "<u2", "detector_shape": DETECTOR}
        begun = time.perf_counter()
        dataset = read(path, **layout)
        opened = time.perf_counter()
        np.asarray(dataset.data[dataset.scan_shape[0] // 2, 1])
        shown = time.perf_counter()
        VirtualImager(dataset).preview(disk_mask(DETECTOR, (128, 128), 40))
        imaged = time.perf_counter()
        if dataset.shape[2:] != DETECTOR:
            raise SystemExit(f"{path.name} was read as {dataset.shape}")
    return {"open": opened - begun, "pattern": shown - opened, "image": imaged - shown}


def _mib(path: Path, side: int) -> None:
    with path.open("wb") as file:
        for index in range(side * side):
            file.write(mib_header(index, DETECTOR))
            file.seek(FRAME, 1)
        file.truncate(side * side * (384 + FRAME))


def _raw(path: Path, side: int) -> None:
    with path.open("wb") as file:
        file.truncate(side * side * FRAME)


def _npy(path: Path, side: int) -> None:
    words = f"{{'descr': '<u2', 'fortran_order': False, 'shape': {(side, side, *DETECTOR)}, }}".encode()
    words = words.ljust(117) + b"\n"
    with path.open("wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(words)) + words)
        file.truncate(10 + len(words) + side * side * FRAME)


def _dm4(path: Path, side: int) -> None:
    known = [(1.0, "nm"), (1.0, "nm"), (0.01, "1/nm"), (0.01, "1/nm")]
    dm_file(path, np.broadcast_to(np.uint16(0), (side, side, *DETECTOR)), known)


WRITERS: dict[str, Callable[[Path, int], None]] = {"mib": _mib, "dm4": _dm4, "raw": _raw, "npy": _npy}


if __name__ == "__main__":
    main()

"""Peak memory of preparing data and of iterations of gradient descent, each run in a process of its own.

    python benchmarks/memory.py             # 128 x 128 positions of 256 x 256 pixels, a memory map of uint16
    python benchmarks/memory.py --scan 64 --detector 256 --dtype uint8
    python benchmarks/memory.py data.h5 --energy 80e3 --semiangle 20

Pages of a memory map that were read count as memory of the process, as the system counts them, though they give way.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import json, sys, time
import numpy as np
from ptywidgets import read
from ptywidgets.engine import Aberrations, Calibration, Dataset, Optics, Plan, iterate, make_problem, prepare

def peak():
    try:
        for line in open("/proc/self/status"):
            if line.startswith("VmHWM"):
                return float(line.split()[1]) / 1e3
    except OSError:
        pass
    import resource
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale

wanted = json.loads(sys.argv[1])
print(f"  {'imported':28}{peak():8.0f} MB", flush=True)
if wanted["path"].endswith(".npy"):
    calibration = Calibration(energy=80e3, scan_step=0.4, q_pixel=0.05, semiangle=20)
    dataset = Dataset(np.load(wanted["path"], mmap_mode="r"), calibration)
else:
    dataset = read(wanted["path"], energy=wanted["energy"], semiangle=wanted["semiangle"])
start = time.perf_counter()
measurement = prepare(dataset, rotation=0.0)
print(f"  {'prepared':28}{peak():8.0f} MB  {time.perf_counter() - start:6.1f} s", flush=True)
optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=100))
problem = make_problem(measurement, optics)
start = time.perf_counter()
for state in iterate(problem, Plan(iterations=wanted["iterations"], batch=512)):
    text = f"iteration {state.iteration}"
    print(f"  {text:28}{peak():8.0f} MB  {time.perf_counter() - start:6.1f} s", flush=True)
"""

MAKE = """
import sys
import numpy as np
path, scan, detector, dtype = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
y, x = np.mgrid[:detector, :detector] - detector // 2
generator = np.random.default_rng(0)
disk = np.stack([10.0 * (np.hypot(y - generator.normal(), x - generator.normal()) < 10) + 0.1 for _ in range(64)])
some = generator.poisson(disk).astype(dtype)
data = np.lib.format.open_memmap(path, "w+", dtype, (scan, scan, detector, detector))
for row in range(scan):
    data[row] = some[generator.integers(0, 64, scan)]
data.flush()
"""


def main() -> None:
    """Print the peak after each stage."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path", nargs="?", help="a file to read; by default patterns are made up")
    parser.add_argument("--scan", type=int, default=128)
    parser.add_argument("--detector", type=int, default=256)
    parser.add_argument("--dtype", default="uint16")
    parser.add_argument("--energy", type=float, help="eV, where the file does not say")
    parser.add_argument("--semiangle", type=float, help="mrad, where the file does not say")
    parser.add_argument("--iterations", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.path
        if path is None:
            path = str(Path(folder) / "patterns.npy")
            size = [str(options.scan), str(options.detector), options.dtype]
            subprocess.run([sys.executable, "-c", MAKE, path, *size], check=True)
        print(f"{Path(path).name}, {Path(path).stat().st_size / 1e6:.0f} MB on disk")
        wanted = {"path": path, **{k: getattr(options, k) for k in ("energy", "semiangle", "iterations")}}
        subprocess.run([sys.executable, "-c", CHILD, json.dumps(wanted)], check=True)


if __name__ == "__main__":
    main()

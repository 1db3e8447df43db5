"""Many kernels at once on one machine: memory of each, and how soon each shows its first picture.

    nice python benchmarks/kernels.py [--count 20] [--size small] [--report kernels.json]

Each kernel is a process of its own, as one of a Jupyter server for a class is: it imports ptywidgets, makes the data,
a reconstruction and its runner, and starts to run. All begin at the same time. Times are from the first line of the
cell to the first picture of the object that leaves for the browser; memory is resident, and proportional (PSS), where
what kernels share is counted once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from jupyter_client import KernelManager

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS / "kernels"))

from kernel_client import KernelClient  # noqa: E402

CELL = """
import time
began = time.monotonic()
first = None
from ptywidgets import Reconstruction, ReconstructionRunner, samples
imported = time.monotonic() - began
data = samples.ducky("{size}")
recon = Reconstruction(data, defocus=samples.ducky_defocus("{size}"))
recon.update_plan(iterations=10)
runner = ReconstructionRunner(recon)
shown = runner.image_views["phase"]
before = shown._frames.latest
recon.start()
while shown._frames.latest is before and recon.status in ("running", "ready"):
    time.sleep(0.01)
first = time.monotonic() - began
"""


def memory(pid: int) -> tuple[float, float]:
    """Resident and proportional MB of a process."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size, *_ = line.split()
        found[name.rstrip(":")] = float(size) / 1e3
    return found["Rss"], found["Pss"]


def measure(count: int, size: str) -> list[dict[str, Any]]:
    """One entry for each kernel."""
    managers = [KernelManager() for _ in range(count)]
    try:
        for manager in managers:
            manager.start_kernel()
        clients = [KernelClient(manager.connection_file) for manager in managers]
        bare = [memory(client.eval("__import__('os').getpid()")) for client in clients]
        began = time.monotonic()
        cells = [client.send_code(CELL.replace("{size}", size)) for client in clients]
        found = []
        for client, cell in zip(clients, cells, strict=True):
            client.wait_for_cell(cell, timeout=1800)
        print(f"the last of {count} shows its first picture after {time.monotonic() - began:.1f} s", flush=True)
        for client, (bare_rss, _) in zip(clients, bare, strict=True):
            client.wait("recon.status != 'running'", timeout=1800)
            rss, pss = memory(client.eval("__import__('os').getpid()"))
            told = client.eval("[imported, first, recon.status, recon.error]")
            found.append(
                {
                    "bare_MB": round(bare_rss, 1),
                    "resident_MB": round(rss, 1),
                    "proportional_MB": round(pss, 1),
                    "import_s": round(told[0], 2),
                    "first_picture_s": round(told[1], 2),
                    "status": told[2],
                    "error": told[3],
                    "errors": client.errors,
                }
            )
        for client in clients:
            client.close()
        return found
    finally:
        for manager in managers:
            if manager.has_kernel:
                manager.shutdown_kernel(now=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--size", default="small", help="of the ducky")
    parser.add_argument("--report", type=Path, default=Path("test-artifacts/kernels.json"))
    options = parser.parse_args()
    options.report.parent.mkdir(parents=True, exist_ok=True)
    found = measure(options.count, options.size)
    options.report.write_text(json.dumps(found, indent=1))
    print("| of each kernel | median | largest |\n|---|---|---|")
    for name in ("bare_MB", "resident_MB", "proportional_MB", "import_s", "first_picture_s"):
        values = [one[name] for one in found]
        print(f"| {name.replace('_', ' ')} | {statistics.median(values):.4g} | {max(values):.4g} |")
    print(f"| all together, proportional MB | {sum(one['proportional_MB'] for one in found):.0f} | |")
    wrong = [one for one in found if one["status"] != "finished" or one["errors"]]
    print("\n".join(f"WRONG: {one}" for one in wrong) or "all have finished")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""How soon a Stop is obeyed in the automatic schedule: stopped at random moments, and sent on.

python benchmarks/stop.py [size of our ducky, by default full] [--times 24]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from ptywidgets import Reconstruction, samples


def main() -> None:
    """Print each time and the median."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("size", nargs="?", default="full")
    parser.add_argument("--times", type=int, default=24)
    options = parser.parse_args()
    recon = Reconstruction(samples.ducky(options.size), defocus=samples.ducky_defocus(options.size))
    recon.prepare()
    recon.run(1)  # compiles
    generator = np.random.default_rng(0)
    seconds = []
    for _ in range(options.times):
        recon.start()
        time.sleep(generator.uniform(0.3, 1.2))
        begun = time.perf_counter()
        running = recon.status == "running"
        recon.stop()
        if running:
            seconds.append(time.perf_counter() - begun)
            print(f"{seconds[-1]:.3f} s in iteration {recon.iteration + 1}", flush=True)
    print(f"median {np.median(seconds):.3f} s, at most {max(seconds):.3f} s, of {len(seconds)}")


if __name__ == "__main__":
    main()

"""Where an automatic run ends that begins a little wrong: the correlation with the truth, against the true start's.

    python benchmarks/off_start.py [crystal_a crystal_c small_dose1e4 small ...] [--data FOLDER] [--hold]

The same data are run from the true start, and from starts of which one number is wrong: the defocus by 10 %, the
rotation by 3 degrees, the semi-angle by 5 % (with no vacuum pattern, which would tell the aperture; against a run with
none and the true one), the scan step by 5 %; and from all of them together. With --hold nothing is corrected.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case, load_case
from score import score

from ptywidgets import Reconstruction
from ptywidgets.engine import Aberrations, Optics
from ptywidgets.engine.checks.start_check import HELD

ERRORS: dict[str, dict[str, float]] = {
    "true": {},
    "defocus +10 %": {"defocus": 1.1},
    "defocus -10 %": {"defocus": 0.9},
    "rotation +3 deg": {"rotation": 3.0},
    "step +5 %": {"step": 1.05},
    "step -5 %": {"step": 0.95},
    "true, no vacuum": {"semiangle": 1.0},
    "semi-angle +5 %": {"semiangle": 1.05},
    "semi-angle -5 %": {"semiangle": 0.95},
    "all together": {"defocus": 1.1, "rotation": -3.0, "semiangle": 1.05, "step": 0.95},
}


def main() -> None:
    """Print a table for each set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*", default=["small_dose1e4", "small"])
    parser.add_argument("--data", type=Path, help="folder of simulated sets with their truth; else our own ducky")
    parser.add_argument("--hold", action="store_true", help="keep every start as it is")
    parser.add_argument("--errors", nargs="*", default=list(ERRORS), help="some of the rows only")
    options = parser.parse_args()
    for name in options.sets:
        with tempfile.TemporaryDirectory() as scratch:
            case = load_case(name, options.data, Path(scratch))
            print(f"{case.title}\n  {'start':18} ends    against  iterations, s of the processor; what was said")
            ends: dict[str, float] = {}
            for label in options.errors:
                begun = time.process_time()
                recon = started(case, ERRORS[label], aberrations_of(case, options.data))
                recon.hold = HELD if options.hold else ()
                recon.run()
                seconds = time.process_time() - begun
                ends[label] = end = correlation(case, recon)
                like = "true, no vacuum" if "semiangle" in ERRORS[label] else "true"
                against = f"{end - ends[like]:+.4f}" if like in ends else ""
                told = f"{recon.iteration:3}, {seconds:5.1f}; {recon.message}"
                print(f"  {label:18} {end:.4f}  {against:7}  {told}", flush=True)


def started(case: Case, error: dict[str, float], aberrations: Aberrations) -> Reconstruction:
    """A reconstruction that begins with what is true, but for an error."""
    dataset, calibration = case.dataset, case.dataset.calibration
    if "step" in error:
        dataset = dataset.with_calibration(scan_step=calibration.require("scan_step") * error["step"])
    if "semiangle" in error:
        dataset = dataset.with_vacuum(None).with_calibration(
            semiangle=calibration.require("semiangle") * error["semiangle"]
        )
    aberrations = aberrations.replace(defocus=aberrations["defocus"] * error.get("defocus", 1.0))
    recon = Reconstruction(dataset, optics=Optics.from_dataset(dataset, aberrations=aberrations))
    recon.prepare(rotation=case.rotation + error.get("rotation", 0.0), transpose=case.transpose)
    return recon


def aberrations_of(case: Case, folder: Path | None) -> Aberrations:
    """Those that are true, all of them where a file tells them."""
    known: dict[str, Any] = {}
    if folder is not None:
        known = json.loads((folder / f"{case.name}_meta.json").read_text()).get("aberrations") or {}
    return Aberrations(**known) if known else Aberrations(defocus=case.defocus)


def correlation(case: Case, recon: Reconstruction) -> float:
    """Of the phase that a run has come to with the true one."""
    assert recon.positions is not None and recon.sampling is not None
    found = score(np.asarray(recon.object), recon.positions / np.array(recon.sampling), case.truth)
    return float(found.correlation)


if __name__ == "__main__":
    main()

"""The command line, without Jupyter: ``ptywidgets demo | info FILE | reconstruct FILE -o OUT``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ptywidgets._version import __version__
from ptywidgets.engine.errors import PtyError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (PtyError, OSError) as error:
        words = error.told("command line") if isinstance(error, PtyError) else error
        print(f"ptywidgets: {words}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nptywidgets: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ptywidgets", description="Electron ptychography of 4D-STEM data: look, reconstruct, keep."
    )
    parser.add_argument("--version", action="version", version=f"ptywidgets {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="open the first notebook in JupyterLab")
    demo.add_argument("--no-browser", action="store_true", help="only print the address")
    demo.set_defaults(command=_demo)

    info = commands.add_parser("info", help="say what is in a file")
    info.add_argument("file", type=Path)
    _add_calibration(info)
    info.set_defaults(command=_info)

    run = commands.add_parser(
        "reconstruct",
        help="reconstruct a file and save the result",
        description="Reconstruct a file and save the result.",
        epilog="Exit status: 0 where the run has finished; 2 where something has to be given or put right, with a "
        "sentence on what; 3 where it has ended and something should be doubted, which is said (saved all the same); "
        "130 where it was stopped.",
    )
    run.add_argument(
        "file", type=Path, nargs="+", help="data, or a saved reconstruction to go on with; or a tilt series"
    )
    run.add_argument("-o", "--output", type=Path, required=True, help="file to save the reconstruction in")
    run.add_argument("--vacuum", type=Path, help="file with the vacuum pattern")
    _add_calibration(run)
    run.add_argument("--defocus", type=float, help="defocus in A (default: found; 0 is a probe in focus)")
    run.add_argument("--rotation", type=float, help="detector to scan in degrees (default: found)")
    run.add_argument("--transpose", action=argparse.BooleanOptionalAction, help="detector transposed (default: found)")
    run.add_argument(
        "--find",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="find from the data what is not given, and stop with a question where they cannot tell; without, a "
        "defocus that is not given is 0",
    )
    run.add_argument(
        "--tilts", type=_numbers, metavar="A,B,...", help="degrees of several files: --tilts=-60,-30,0,30,60"
    )
    run.add_argument("--slices", type=int, default=1, help="slices of the specimen, of its --thickness")
    run.add_argument("--thickness", type=float, default=0.0, help="of the specimen, or of a series' volume, in A")
    run.add_argument("--modes", type=int, default=1, help="probe modes")
    run.add_argument("--object-type", choices=("complex", "potential"), default="potential")
    run.add_argument("--iterations", type=int, default=64, help="at most")
    run.add_argument("--batch", type=int, help="gradient descent with so many patterns per update (0: all)")
    run.add_argument("--step", type=float, help="gradient descent with this step; without, a schedule finds its way")
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    run.set_defaults(command=_reconstruct)
    return parser


def _add_calibration(command: argparse.ArgumentParser) -> None:
    """What a file may not say about its data."""
    command.add_argument("--dataset", help="path of the 4-D data inside an HDF5 file")
    command.add_argument("--energy", type=float, help="electron energy in eV")
    command.add_argument("--semiangle", type=float, help="convergence semi-angle in mrad")
    command.add_argument("--scan-step", type=float, help="scan step in A")
    command.add_argument("--q-pixel", type=float, help="detector pixel in 1/A")


def _calibration(options: argparse.Namespace) -> dict[str, Any]:
    """Of these what was given."""
    names = ("energy", "semiangle", "scan_step", "q_pixel", "dataset")
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _numbers(text: str) -> list[float]:
    """Numbers with commas between them."""
    return [float(part) for part in text.split(",")]


def _demo(options: argparse.Namespace) -> int:
    if importlib.util.find_spec("jupyterlab") is None:
        raise PtyError("JupyterLab is not installed; run: pip install 'ptywidgets[lab]'.")
    notebook = _notebook()
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", str(notebook)]
    if options.no_browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return subprocess.call(command)


def _notebook() -> Path:
    """The first notebook: where the package was cloned, or a copy of the packaged one in the working folder."""
    name = "01_ptychography_in_widgets.ipynb"
    package = Path(__file__).resolve().parent
    cloned = package.parent / "notebooks" / name
    if cloned.is_file():
        return cloned
    target = Path(name).resolve()
    if not target.exists():
        shutil.copyfile(package / "notebooks" / name, target)
    return target


def _info(options: argparse.Namespace) -> int:
    from ptywidgets.engine.errors import FileFormatError
    from ptywidgets.engine.io import contents, read
    from ptywidgets.engine.io.checkpoint import load_checkpoint

    try:
        saved = load_checkpoint(options.file)
    except FileFormatError:
        saved = None
    if saved is not None:
        done = 0 if saved.state is None else saved.state.iteration
        print(f"Saved reconstruction: {done} of {saved.plan.iterations} iterations, {saved.object_type} object")
        if saved.views:
            from ptywidgets.reconstruction import tilt_words

            print(
                f"  a volume, seen from {len(saved.views)} tilts: {'; '.join(tilt_words(v.tilt) for v in saved.views)}"
            )
        for name, value in saved.provenance.items():
            print(f"  {name}: {value}")
        return 0
    dataset = read(options.file, **_calibration(options))
    print(dataset)
    print(dataset.calibration.describe())
    for path, shape, dtype in contents(options.file):
        if len(shape) > 1:
            print(f"  {path}  {'x'.join(map(str, shape))}  {dtype}")
    for line in _missing(dataset):
        print(line)
    return 0


def _missing(dataset: Any) -> list[str]:
    """What the file does not say, as flags: first what nothing else tells, then what the data may tell."""
    from ptywidgets.engine.asked import QUANTITIES

    def listed(names: list[str]) -> str:
        return ", ".join(f"{QUANTITIES[n].flag} ({_titled(n)})" for n in names)

    known = dataset.calibration
    needed = [name for name in ("energy", "scan_step") if getattr(known, name) is None]
    absent = [name for name in ("semiangle", "q_pixel") if getattr(known, name) is None]
    found = ["defocus", "rotation", "transpose"]
    lines = []
    if len(absent) == 1:
        found = absent + found
    if needed:
        lines.append(f"To reconstruct, give: {listed(needed)}")
    if len(absent) == 2:
        lines.append(f"{'and one of' if needed else 'To reconstruct, give one of'}: {listed(absent)}")
    lines.append(f"Not in the file, and found from the data unless you give it: {listed(found)}")
    if dataset.vacuum is None:
        lines.append("Better than an aperture that is drawn: --vacuum FILE (vacuum pattern)")
    return lines


def _titled(name: str) -> str:
    from ptywidgets.engine.asked import QUANTITIES

    quantity = QUANTITIES[name]
    return f"{quantity.title}, {quantity.unit}" if quantity.unit else quantity.title


def _open(options: argparse.Namespace) -> Any:
    from ptywidgets.engine.composition import Composition
    from ptywidgets.reconstruction import Reconstruction

    several = len(options.file) > 1 or options.tilts is not None
    files = options.file if several else options.file[0]
    recon = Reconstruction.open(
        files, options.vacuum, tilts=options.tilts, defocus=options.defocus, **_calibration(options)
    )
    recon.find_unknown = options.find
    if recon.state is None:
        recon.preparation = recon.preparation.replace(rotation=options.rotation, transpose=options.transpose)
        recon.object_type = options.object_type
        recon.composition = Composition(slices=options.slices, thickness=options.thickness, modes=options.modes)
    recon.device = options.device
    by_hand: dict[str, Any] = {} if options.step is None else {"step": options.step}
    if options.batch is not None:
        by_hand["batch"] = options.batch or None
    recon.update_plan(iterations=recon.iteration + options.iterations, seed=options.seed, **by_hand)
    if by_hand:
        recon.auto = False
    return recon


def _reconstruct(options: argparse.Namespace) -> int:
    recon = _open(options)
    print(recon)
    bar = _Bar(recon.plan.iterations)
    said = _Said()
    recon.start()
    try:
        while recon.status in ("running", "ready"):
            said.show(recon)
            bar.show(recon)
            time.sleep(0.1)
        recon.wait()
    except KeyboardInterrupt:
        recon.stop()
    said.show(recon)
    bar.show(recon)
    bar.end()
    for finding in recon.doubts:
        print(f"ptywidgets: doubtful: {finding.sentence} {finding.remedy}", file=sys.stderr)
    print(f"{recon.status}: saved in {recon.save(options.output)}")
    if recon.status not in ("finished", "doubtful"):
        return 130
    return 3 if recon.doubts else 0


class _Said:
    """What a run says before it iterates, each sentence once."""

    def __init__(self) -> None:
        self.last = ""

    def show(self, recon: Any) -> None:
        words = recon.message
        if words and words != self.last and not recon.doubts and recon.status != "error":
            print(words, flush=True)
        self.last = words


class _Bar:
    """A progress bar in one line of a terminal; plain lines, few, where the output is a file."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.live = sys.stdout.isatty()
        self.last = -1

    def show(self, recon: Any) -> None:
        done = len(recon.losses)
        if done == self.last or not done:
            return
        if not self.live and done != self.total and done % max(1, self.total // 8):
            return
        self.last = done
        seconds = recon.seconds_per_iteration
        pace = "" if seconds is None else f"  {seconds:.2f} s each"
        if seconds is not None and not recon.auto:
            pace += f", {seconds * (self.total - done):.0f} s left"
        filled = round(24 * done / self.total)
        text = f"[{'#' * filled}{'.' * (24 - filled)}] {done}/{self.total}  error {recon.error:.4g}{pace}"
        print(f"\r{text:<78}" if self.live else text, end="" if self.live else "\n", flush=True)

    def end(self) -> None:
        if self.live:
            print()


if __name__ == "__main__":
    sys.exit(main())

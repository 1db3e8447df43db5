"""The command line, without Jupyter: ``ptywidgets demo | info FILE | reconstruct FILE -o OUT``."""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ptywidgets._version import __version__
from ptywidgets.engine.calibrate.certainty import question
from ptywidgets.engine.checkpoint import is_reconstruction, load_checkpoint
from ptywidgets.engine.checks.start_check import checked_names
from ptywidgets.engine.core.asked import AskingError
from ptywidgets.engine.core.errors import DataWarning, FileFormatError, FileInTheWay, PtyError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.source import bins_of, region_of
from ptywidgets.engine.io import FLIPS, atomic_file, contents, read, write
from ptywidgets.engine.io.detect_format import is_hdf5
from ptywidgets.engine.io.formats.registry import keys
from ptywidgets.engine.io.summary import summary_of
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.reconstruction import Reconstruction, tilt_text
from ptywidgets.reconstruction.saving import saved_file

_READING = (  # arguments of read()
    *("dataset", "scan_shape", "choose", "mask", "axes", "allow_external"),
    *("format", "sync_offset", "flip", "follow", "detector_shape", "dtype", "header_bytes", "gap_bytes"),
)

# one of them in a message, with its value
_ARGUMENT = re.compile(
    rf"(?<![-\w])({'|'.join(('energy', 'semiangle', 'scan_step', 'q_pixel', *_READING))})="
    r"(\([\d., -]+\)|'[^'\\]*'|[-+]?[\d.]+(?:e[-+]?\d+)?(?<!\.))"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        with _plain_warnings():
            return options.command(options)
    except (PtyError, OSError) as error:
        words = error.told("command line") if isinstance(error, PtyError) else str(error)
        print(f"ptywidgets: {_in_flags(words)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nptywidgets: interrupted", file=sys.stderr)
        return 130


def _in_flags(words: str) -> str:
    """A message with the arguments of `read` as flags: what is asked for there is asked for here by another name.

    Examples
    --------
    >>> _in_flags("pass the rows and columns: read(path, scan_shape=(3, 4)).")
    'pass the rows and columns: --scan-shape=3,4.'
    >>> _in_flags("read(path, choose=0) to choose=1, or choose='sum'")
    '--choose=0 to --choose=1, or --choose=sum'
    """
    out, start = "", 0
    for match in re.finditer(r"read\(path, (?=[a-z_]+=)", words):
        depth = 1
        for end in range(match.end(), len(words)):
            depth += {"(": 1, ")": -1}.get(words[end], 0)
            if not depth:
                break
        try:
            call = ast.parse(words[match.start() : end + 1], mode="eval").body
            given = {one.arg: ast.literal_eval(one.value) for one in getattr(call, "keywords", [])}
        except (SyntaxError, ValueError):  # words that stand for a value
            continue
        flags = " ".join(_flag(str(name), value) for name, value in given.items())
        out, start = out + words[start : match.start()] + flags, end + 1
    return _ARGUMENT.sub(lambda match: _flag(match[1], ast.literal_eval(match[2])), out + words[start:])


def _flag(name: str, value: Any) -> str:
    return f"--{name.replace('_', '-')}={','.join(map(str, value)) if isinstance(value, tuple) else value}"


@contextlib.contextmanager
def _plain_warnings() -> Iterator[None]:
    """What is said about data is a sentence for the user, without the place in the program that says it."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, DataWarning):
                print(f"ptywidgets: {message}", file=sys.stderr)
            else:
                others(message, category, *place, **more)

        warnings.showwarning = show
        yield


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
    _add_reading(info)
    _add_calibration(info)
    info.set_defaults(command=_info)

    convert = commands.add_parser(
        "convert",
        help="write the data of any file as HDF5 that this program and py4DSTEM read",
        description="Write the data of a file, or a part of them, as EMD 1.0 (HDF5), with what is known of their "
        "calibration. Masks and a vacuum pattern are taken along.",
    )
    convert.add_argument("file", type=Path, help="data in any format that is read")
    convert.add_argument("output", type=Path, help="HDF5 file to write")
    convert.add_argument("--overwrite", action="store_true", help="replace OUTPUT")
    convert.add_argument("--compress", action="store_true", help="with gzip: smaller, and slower to read")
    convert.add_argument("--vacuum", type=Path, help="file with the vacuum pattern, to be put beside the data")
    _add_reading(convert)
    _add_calibration(convert)
    convert.set_defaults(command=_convert)

    export = commands.add_parser(
        "export",
        help="write the result of a saved reconstruction for other programs",
        description="Write the result of a saved reconstruction for other programs: the phase as .tif (32 bit, with "
        "the size of a pixel), .png (with a scale bar) or .hspy (HyperSpy), the settings as .json, or a folder of all.",
    )
    export.add_argument("file", type=Path, help="a saved reconstruction")
    export.add_argument(
        "output", type=Path, help="a name that ends with .tif, .png, .hspy, .json or .zarr.zip, or a folder"
    )
    export.add_argument("--overwrite", action="store_true", help="replace files of these names")
    export.set_defaults(command=_export)

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
    run.add_argument("-o", "--output", required=True, help="file to save in: a new one, or a saved reconstruction")
    run.add_argument("--overwrite", action="store_true", help="replace OUTPUT even if it is something else")
    run.add_argument("--vacuum", type=Path, help="file with the vacuum pattern")
    _add_reading(run)
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
        "--alternative",
        type=_place,
        metavar="N",
        help="begin with this one of the readings of the data that a question lists, counted from 1",
    )
    run.add_argument(
        "--hold",
        type=_held,
        action="append",
        metavar="NAME",
        help="aberrations, rotation, scan-step, semiangle or q-pixel: what the counts are not to correct before the "
        "run; model: what they are not to replace after it; may be given several times",
    )
    run.add_argument(
        "--tilts", type=_numbers, metavar="A,B,...", help="degrees of several files: --tilts=-60,-30,0,30,60"
    )
    run.add_argument("--slices", type=int, help="slices of the specimen, of its --thickness")
    run.add_argument("--thickness", type=float, help="of the specimen, or of a series' volume, in A")
    run.add_argument("--modes", type=int, help="probe modes")
    run.add_argument("--object-type", choices=("complex", "potential"))
    run.add_argument("--iterations", type=int, default=64, help="at most")
    run.add_argument("--batch", type=int, help="gradient descent with so many patterns per update (0: all)")
    run.add_argument("--step", type=float, help="gradient descent with this step; without, a schedule finds its way")
    run.add_argument("--seed", type=int, help="of the random order of patterns (default 0)")
    run.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    run.set_defaults(command=_reconstruct)
    return parser


def _add_reading(parser: argparse.ArgumentParser) -> None:
    """How the data are to be read, and what part of them."""
    parser.add_argument("--dataset", help="path of the 4-D data inside an HDF5 file")
    parser.add_argument("--scan-shape", type=_bins, metavar="ROWS,COLUMNS", help="how a stack of patterns was scanned")
    parser.add_argument("--choose", type=_choice, metavar="N|sum", help="which scan of a series, or the sum of all")
    parser.add_argument("--mask", type=Path, help="file with the detector pixels that count, or a pixel_mask")
    parser.add_argument("--axes", metavar="NAMES", help="the array's axes in its own order, such as 'Qy Qx Ry Rx'")
    parser.add_argument("--allow-external", action="store_const", const=True, help="follow links to other files")
    parser.add_argument("--format", choices=keys(), help="what the file is, where its content does not tell it")
    parser.add_argument(
        "--sync-offset",
        type=int,
        metavar="N",
        help="patterns to skip at the start of a stack; below 0, blanks before it",
    )
    parser.add_argument("--flip", choices=FLIPS, help="detector axes to turn about")
    parser.add_argument("--follow", action="store_const", const=True, help="the file is still being written")
    bare = parser.add_argument_group("bare numbers", "of a file that does not say how it is laid out")
    bare.add_argument("--dtype", help="type of a pixel with its byte order: <u2, >u2, <f4, ...")
    bare.add_argument("--detector-shape", type=_bins, metavar="ROWS,COLUMNS", help="of a pattern")
    bare.add_argument("--header-bytes", type=int, metavar="N", help="before the first pattern")
    bare.add_argument("--gap-bytes", type=int, metavar="N", help="after each pattern")
    parser.add_argument("--crop-scan", type=_region, metavar="Y0:Y1,X0:X1", help="part of the scan")
    parser.add_argument("--crop-detector", type=_region, metavar="Y0:Y1,X0:X1", help="part of the detector")
    parser.add_argument("--cut-disk", action="store_true", help="a part of the detector may cut the bright-field disk")
    parser.add_argument("--bin-scan", type=_bins, metavar="N|NY,NX", help="sum so many scan positions")
    parser.add_argument("--bin-detector", type=_bins, metavar="N|NY,NX", help="sum so many detector pixels")


def _bins(text: str) -> tuple[int, int]:
    return _told(bins_of, text)


def _region(text: str) -> tuple[int, int, int, int]:
    return _told(region_of, text)


def _held(text: str) -> str:
    return _told(checked_names, text.replace("-", "_"))[0]


def _place(text: str) -> int:
    """A place in a list that is counted from 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no place in the list of readings; expected a whole number from 1 on. Leave it out to have "
            "the list, where the data cannot tell which of them is true."
        )
    return number


def _told(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except PtyError as error:  # argparse keeps the words of its own errors only
        raise argparse.ArgumentTypeError(str(error)) from None


def _choice(text: str) -> int | str:
    return "sum" if text == "sum" else int(text)


def _pair(text: str) -> float | tuple[float, float]:
    """One number, or one for rows and one for columns, with an x or a comma between them."""
    rows, *columns = (float(part) for part in text.replace(",", "x").split("x"))
    if len(columns) > 1:
        raise ValueError("more than two numbers")
    return (rows, columns[0]) if columns else rows


_pair.__name__ = "number, or two as 4x3.2"  # what argparse calls it in its error


def _add_calibration(command: argparse.ArgumentParser) -> None:
    """What a file may not say about its data."""
    command.add_argument("--energy", type=float, help="electron energy in eV")
    command.add_argument("--semiangle", type=float, help="convergence semi-angle in mrad")
    command.add_argument("--scan-step", type=_pair, help="scan step in A, such as 4 or, for rows and columns, 4x3.2")
    command.add_argument("--q-pixel", type=_pair, help="detector pixel in 1/A, such as 0.025 or 0.025x0.02")


def _calibration(options: argparse.Namespace) -> dict[str, Any]:
    """Of these, and of how the data are to be read, what was given."""
    names = ("energy", "semiangle", "scan_step", "q_pixel", *_READING)
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
        with atomic_file(target) as temporary:
            shutil.copyfile(package / "notebooks" / name, temporary)
    return target


def _info(options: argparse.Namespace) -> int:
    try:
        saved = load_checkpoint(options.file)
    except FileFormatError:
        saved = None
    if saved is not None:
        done = 0 if saved.state is None else saved.state.iteration
        print(f"Saved reconstruction: {done} of {saved.plan.iterations} iterations, {saved.object_type} object")
        if saved.views:
            print(
                f"  a volume, seen from {len(saved.views)} tilts: {'; '.join(tilt_text(v.tilt) for v in saved.views)}"
            )
        if saved.outcome.get("status"):
            print(f"  {saved.outcome['status']}: {saved.outcome.get('message', '')}".rstrip(": "))
        for name, value in saved.provenance.items():
            print(f"  {name}: {value}")
        for one in [saved.data, *(view.data for view in saved.views)]:
            if one is not None:
                print(textwrap.indent(one.source.describe(), "  "))
        return 0
    summary = summary_of(_part(options))
    print(summary.headline)
    print(summary.text)
    for path, shape, dtype in contents(options.file) if is_hdf5(options.file) else ():
        if len(shape) > 1:
            print(f"  {path}  {'x'.join(map(str, shape))}  {dtype}")
    for line in summary.needs("command line"):
        print(line)
    return 0


def _part(options: argparse.Namespace) -> Dataset:
    """The data, or what is asked for of them."""
    dataset: Dataset = read(options.file, **_calibration(options))
    if options.crop_scan or options.crop_detector:
        dataset = dataset.crop(options.crop_scan, options.crop_detector, cut_disk=options.cut_disk)
    return dataset.bin(options.bin_scan or 1, options.bin_detector or 1)


def _convert(options: argparse.Namespace) -> int:
    if options.output.suffix.lower() not in (".h5", ".hdf5", ".emd"):
        raise PtyError(
            f"{options.output.name} would be HDF5, the only format that is written; expected a name with .h5, .hdf5 or "
            ".emd."
        )
    dataset = _part(options)
    if options.vacuum is not None:
        dataset = dataset.with_vacuum(options.vacuum)
    written = write(
        options.output, dataset, overwrite=options.overwrite, compression="gzip" if options.compress else None
    )
    print(dataset)
    print(f"Written to {written}")
    return 0


def _export(options: argparse.Namespace) -> int:
    for file in Reconstruction.load(options.file).export(options.output, options.overwrite):
        print(file)
    return 0


def _open(options: argparse.Namespace) -> Any:
    several = len(options.file) > 1 or options.tilts is not None
    files = options.file if several else options.file[0]
    if len(options.file) == 1 and is_reconstruction(options.file[0]):
        files = options.file[0]
        _refuse_for_saved(options)
        given = {"defocus": options.defocus, "vacuum": options.vacuum, "tilts": options.tilts}
        saved_file.refuse_other(files, load_checkpoint(files), {**_calibration(options), **given}, flags=True)
        recon = Reconstruction.load(files)
        recon.find_unknown = options.find
    else:
        recon = Reconstruction.open(
            files, options.vacuum, tilts=options.tilts, defocus=options.defocus, **_calibration(options)
        )
        recon.find_unknown = options.find
        recon.preparation = recon.preparation.replace(rotation=options.rotation, transpose=options.transpose)
        recon.object_type = options.object_type or "potential"
        model = {name: getattr(options, name) for name in ("slices", "thickness", "modes")}
        recon.model = ModelConfig(**{name: value for name, value in model.items() if value is not None})
        recon.crop_and_bin(
            options.crop_scan,
            options.crop_detector,
            bin_scan=options.bin_scan or 1,
            bin_detector=options.bin_detector or 1,
            cut_disk=options.cut_disk,
        )
    recon.device = options.device
    by_hand: dict[str, Any] = {} if options.step is None else {"step": options.step}
    if options.batch is not None:
        by_hand["batch"] = options.batch or None
    seed = {} if options.seed is None else {"seed": options.seed}
    recon.update_plan(iterations=recon.iteration + options.iterations, **seed, **by_hand)
    if by_hand:
        recon.schedule = "manual"
    recon.hold = tuple(options.hold or ())
    if options.alternative is not None:
        _take_alternative(recon, options)
    return recon


def _take_alternative(recon: Any, options: argparse.Namespace) -> None:
    """Search as the run would, and begin with the reading that was asked for."""
    asked = f"--alternative {options.alternative}"
    if not options.find or recon.views is not None:
        what = "--no-find, which searches nothing" if not options.find else "several files"
        raise PtyError(f"{asked} does not go with {what}; leave one of them out.")
    given = {name: getattr(options, name) for name in ("defocus", "rotation", "transpose")}
    start = recon.calibrate(
        **{name: value for name, value in given.items() if value is not None},
        progress=lambda words: print(f"Finding the start: {words}.", flush=True),
    )
    count = len(recon.start_alternatives)
    if not count:
        why = question(start)
        raise PtyError(f"{asked}: these data offer no alternatives. {why.told('command line') if why else ''}".strip())
    if not 1 <= options.alternative <= count:
        lines = "\n".join(_alternatives(recon))
        raise PtyError(f"{asked} is none of the {count} that there are; expected a number from 1 to {count}.\n{lines}")
    recon.take_alternative(options.alternative - 1)
    print(recon.message)


def _alternatives(recon: Any) -> list[str]:
    """What the data may be read as, as --alternative counts it."""
    lines = ["What the data may be read as, for --alternative N:"]
    for number, one in enumerate(recon.start_alternatives, 1):
        turned = "transposed" if one.transpose else "not transposed"
        lines.append(
            f"{number:3d}  rotation {one.rotation:7.1f} degrees, {turned + ',':15} defocus {one.defocus:6.0f} A, "
            f"probability {one.probability:4.0%}"
        )
    return lines


def _refuse_for_saved(options: argparse.Namespace) -> None:
    """A saved reconstruction has its data, model and orientation; flags for another one are not dropped in silence."""
    flags: tuple[str, ...] = (
        "crop_scan",
        "crop_detector",
        "bin_scan",
        "bin_detector",
        "cut_disk",
        "rotation",
        "transpose",
    )
    flags += ("object_type", "slices", "thickness", "modes", "alternative", "hold")
    given = [f"--{name.replace('_', '-')}" for name in flags if _is_given(getattr(options, name))]
    if options.transpose is False:
        given.append("--no-transpose")
    if given:
        raise PtyError(
            f"{options.file[0].name} is a saved reconstruction, which has its own data, orientation and model: "
            f"{', '.join(given)} cannot be changed by going on. Leave {'it' if len(given) == 1 else 'them'} out, or "
            "reconstruct the data file anew."
        )


def _is_given(value: Any) -> bool:
    """Whether a flag was on the command line; 0 is a value."""
    return value is not None and value is not False


def _reconstruct(options: argparse.Namespace) -> int:
    recon = _open(options)
    recon.check_save(options.output, options.overwrite)  # not after hours of work
    with contextlib.suppress(FileInTheWay):  # what is to be overwritten stays until there is a result
        recon.autosave = options.output
    print(recon)
    bar, said, failed = _Bar(recon.plan.iterations), _Said(), None
    recon.start()
    try:
        while recon.status in ("running", "ready"):
            said.show(recon)
            bar.show(recon)
            time.sleep(0.1)
        recon.wait()
    except KeyboardInterrupt:
        recon.stop()
    except Exception as error:
        if not recon.losses:
            if isinstance(error, AskingError) and recon.start_alternatives and recon.taken_alternative is None:
                print(*_alternatives(recon), sep="\n", file=sys.stderr)
            raise
        failed = error  # the iterations before it are kept
    said.show(recon)
    bar.show(recon)
    bar.end()
    for finding in recon.doubts:
        print(f"ptywidgets: doubtful: {finding.sentence} {finding.advice('command line')}", file=sys.stderr)
    in_place = _save(recon, options)
    if failed is not None:
        raise failed
    if not in_place:
        return 2
    if recon.status not in ("finished", "doubtful"):
        return 130
    return 3 if recon.doubts else 0


def _save(recon: Any, options: argparse.Namespace) -> bool:
    """Save, and say where; whether that is where it was asked for."""
    try:
        print(f"{recon.status}: saved in {recon.save(options.output, options.overwrite)}")
    except PtyError as error:  # since the work began, the disk has run full or something was put there
        words = getattr(error, "problem", error)
        print(
            f"ptywidgets: {words}",
            f"saved in {_save_elsewhere(recon, options.output)} instead",
            sep="\n",
            file=sys.stderr,
        )
        return False
    return True


def _save_elsewhere(recon: Any, path: str) -> str:
    """Save under a new name, beside `path` or where else that can be done; raises where it cannot be done at all."""
    name = f"{Path(path).stem}_{time.strftime('%Y-%m-%d_%H-%M-%S')}.h5"
    *first, last = (Path(path).expanduser().parent, Path.cwd(), Path.home(), Path(tempfile.gettempdir()))
    for folder in first:
        with contextlib.suppress(PtyError):
            return recon.save(folder / name)
    return recon.save(last / name)


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
        if seconds is not None and recon.schedule == "manual":
            pace += f", {seconds * (self.total - done):.0f} s left"
        filled = round(24 * done / self.total)
        text = f"[{'#' * filled}{'.' * (24 - filled)}] {done}/{self.total}  error {recon.error:.4g}{pace}"
        print(f"\r{text:<78}" if self.live else text, end="" if self.live else "\n", flush=True)

    def end(self) -> None:
        if self.live:
            print()


if __name__ == "__main__":
    sys.exit(main())

"""Rarer formats through rosettasciio, a package under the GPL that is used where it is installed and never required."""

from __future__ import annotations

import contextlib
import importlib
import logging
import math
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataWarning, FileFormatError, PtyError, SeveralArrays
from ptywidgets.engine.core.files import listed_files
from ptywidgets.engine.data.dataset_checks import check_memory, sizes
from ptywidgets.engine.io.arrays.array_likes import Foreign
from ptywidgets.engine.io.arrays.axes import Mark
from ptywidgets.engine.io.arrays.conventions import hyperspy_entries, hyperspy_mark, words
from ptywidgets.engine.io.arrays.conventions import number as number_of
from ptywidgets.engine.io.calibration_entries import CalibrationEntry, entry_if_set
from ptywidgets.engine.io.detect_format import first_bytes, is_hdf5, printable
from ptywidgets.engine.io.formats.containers import npz
from ptywidgets.engine.io.formats.file_contents import FileContents
from ptywidgets.engine.io.formats.hdf5.tree import hdf5_errors, open_hdf5, walk
from ptywidgets.engine.io.formats.packages import missing

KEY = "rosettasciio"
NAME = "what rosettasciio reads (CEOS .prz, TIA .ser, and with format='rosettasciio' others)"
TIA = b"II\x97\x01"  # a .ser file begins with
_FOR_SUFFIX = {".app5": "topspin", ".prz": "pantarhei", ".ser": "tia", ".emi": "tia", ".emd": "emd", ".mrcz": "mrcz"}
_OF_THEIR_OWN = {  # read by modules of this package, and otherwise than rosettasciio does
    ".mib": "it turns the rows of Merlin's patterns about",
    ".dm3": "of files in the old order it says that their first axes are the scan's",
    ".dm4": "of files in the old order it says that their first axes are the scan's",
}
# what is said of the microscope among the original metadata, by the reader that puts it there
_STATED = (
    ("energy", "HardwareSettings.GunHighVoltage", "V"),  # TopSpin
    ("energy", "Optics.AccelerationVoltage", "V"),  # Velox, as text
    ("semiangle", "Optics.BeamConvergence", "rad"),  # Velox, which may write a number below 0
)
_WORTH_KEEPING = {
    "ProcedureData.DiffractionToStemRotation": ("diffraction to STEM rotation", "rad"),
    "ProcedureData.ScanRotation": ("scan rotation", "rad"),
    "HardwareSettings.DiffractionCameraLength": ("camera length", "m"),
    "Optics.CameraLength": ("camera length", "m"),
    "ProcedureData.Camera": ("camera", ""),
    "ProcedureData.FrameTime": ("frame time", "s"),
}


def understands(path: Path) -> bool:
    """Whether it is a file of a kind that nobody else reads here, by its content."""
    try:
        names = npz.member_names(path)
        return (names is not None and npz.is_prz(names)) or first_bytes(path, 4) == TIA
    except OSError:
        return False


def read(
    path: Path, dataset: str | None = None, scan_shape: tuple[int, int] | None = None, allow_external: bool = False
) -> FileContents:
    """The only scan or stack in the file, or the one whose number or title is `dataset`."""
    signals = _signals(path)
    number = _chosen(signals, path, dataset, scan_shape is not None)
    signal = signals[number]
    if path.suffix.lower() in _OF_THEIR_OWN:
        warnings.warn(
            f"{printable(path.name)} is read by rosettasciio, as was asked for: {_OF_THEIR_OWN[path.suffix.lower()]}. "
            "Leave out format='rosettasciio', or look at the patterns.",
            DataWarning,
            stacklevel=3,
        )
    data = signal["data"]
    if not isinstance(data, np.ndarray):
        data = Read(path, number, data)
    original = signal.get("original_metadata") or {}
    told = signal.get("metadata") or {}
    entries = hyperspy_entries(lambda name: _item(told, f"Acquisition_instrument.TEM.{name}"))
    if not any(entry.quantity == "energy" for entry in entries):
        entries += _original_entries(original)
    metadata = {
        name: printable(f"{value} {unit}".strip(), 80)
        for key, (name, unit) in _WORTH_KEEPING.items()
        if (value := _item(original, key)) is not None
    }
    if isinstance(data, np.ndarray):
        metadata["reading"] = f"read whole, {sizes(data.shape)} {data.dtype}"
    return FileContents(
        data,
        entries,
        metadata=metadata,
        at="" if len(signals) == 1 else str(number),  # titles need not differ
        axes=tuple(_marks(signal)[-4:]),
    )


def _original_entries(original: Mapping[str, Any]) -> list[CalibrationEntry]:
    return [c for quantity, key, unit in _STATED for c in entry_if_set(quantity, _item(original, key), unit, key)]


def _marks(signal: Mapping[str, Any]) -> list[Mark]:
    """What is said about each axis. Where one is said to be of the scan and none of the detector, or the other way
    round, that is not taken for an answer."""
    axes = list(signal["axes"])
    told = len({bool(axis.get("navigate")) for axis in axes}) == 2
    marks = []
    for i, axis in enumerate(axes):
        said = {name: axis.get(name) for name in ("name", "units", "scale", "axis")}
        said["units"] = "rad" if said["units"] == "Angle" else said["units"]  # TopSpin's word
        step = number_of(said["scale"])
        said["scale"] = step if step is not None and math.isfinite(step) and step > 0 else None  # else it says nothing
        marks.append(hyperspy_mark({**said, **({"navigate": axis.get("navigate")} if told else {})}, f"axis {i}"))
    return marks


def _chosen(signals: list[dict[str, Any]], path: Path, dataset: str | None, stack: bool) -> int:
    """Number of the one to read."""
    shapes = [tuple(int(n) for n in signal["data"].shape) for signal in signals]
    held = "; ".join(f"{n}: {printable(repr(_title(s)), 60)} {sizes(shapes[n])}" for n, s in enumerate(signals[:8]))
    if dataset is not None:
        named = [n for n, signal in enumerate(signals) if dataset in (_title(signal), str(n))]
        if len(named) != 1:
            raise FileFormatError(
                f"{printable(path.name)} holds {len(named) or 'no'} signals called {printable(repr(dataset), 60)}; it "
                f"holds {held}. Name one by its number: read(path, dataset='0')."
            )
        return named[0]
    for ndim in (4, 3, 5) if stack else (4, 5, 3):
        fitting = [n for n, shape in enumerate(shapes) if len(shape) == ndim and min(shape[-2:]) > 1]
        if len(fitting) > 1:
            raise SeveralArrays(
                f"{printable(path.name)} holds {len(fitting)} signals that could be the data: {held}",
                [(str(n), f"{n}: {printable(repr(_title(signals[n])), 60)} {sizes(shapes[n])}") for n in fitting],
                f". Name one by its number: read(path, dataset='{fitting[0]}')",
            )
        if fitting:
            return fitting[0]
    raise FileFormatError(f"{printable(path.name)} holds no scan of patterns (Ry, Rx, Qy, Qx); it holds {held}.")


def _title(signal: Mapping[str, Any]) -> str:
    return words(_item(signal.get("metadata") or {}, "General.title"))


def _item(tree: Any, key: str) -> Any:
    """What lies at a path of names; None where that leads nowhere."""
    for name in key.split("."):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def _signals(path: Path) -> list[dict[str, Any]]:
    """Everything that rosettasciio finds in a file, lazily where it can.

    Raises
    ------
    FileFormatError
        Where it is not installed, has no reader for such a file, or finds a fault.
    """
    path_is_prz = (names := npz.member_names(path)) is not None and npz.is_prz(names)
    if names is not None and path_is_prz and "meta_data_json.npy" not in names:
        raise FileFormatError(
            f"{printable(path.name)} keeps what it says about its data as Python objects, which are never opened: they "
            "can run any program. Save it with Panta Rhei 24.03 or newer; or take the numbers alone, without a "
            "calibration and in the order in which they are stored: read(path, format='npz', dataset='data')."
        )
    try:
        import rsciio
    except ImportError as error:
        raise missing("rsciio", path, "is of a kind that only rosettasciio reads here", error) from error
    options: dict[str, Any] = {"lazy": True}
    if path_is_prz:
        member = next(m for m in npz.opened(path) if m.entry.path == "data")
        if member.info.compress_type != npz.STORED:  # of which a part cannot be read
            check_memory(2 * member.nbytes, f"{member.entry} of {printable(path.name)}, which is read whole,")
            options["lazy"] = False
    with _errors(path):
        if is_hdf5(path):  # a look through its structure, of which a damaged one can end the process
            with open_hdf5(path) as file, hdf5_errors(path):
                for _ in walk(file):
                    pass
            check_memory(path.stat().st_size, f"{printable(path.name)}, which may be read whole,")
        reader = _reader(rsciio, path)
        if reader.__name__ == "rsciio.topspin":
            options["show_progressbar"] = False
        with _quiet():
            found = reader.file_reader(
                os.path.abspath(path), **options
            )  # lazy arrays open it again, wherever one works
        signals = [signal for signal in found if hasattr(signal["data"], "shape") and len(signal["data"].shape)]
    if not signals:
        raise FileFormatError(f"{printable(path.name)} holds nothing that rosettasciio finds.")
    return signals


def _reader(rsciio: Any, path: Path) -> Any:
    """The module of rosettasciio for files of that suffix."""
    suffix = path.suffix.lower()
    named = _FOR_SUFFIX.get(suffix)
    modules = [
        plugin["api"] for plugin in rsciio.IO_PLUGINS if suffix.lstrip(".") in map(str.lower, plugin["file_extensions"])
    ]
    if named is None and len(modules) != 1:
        raise FileFormatError(
            f"{printable(path.name)} is not of one kind to rosettasciio: {len(modules)} of its readers take "
            f"{printable(suffix or 'a name without a suffix')!r}. Open it there, and pass its array to Dataset."
        )
    return importlib.import_module(modules[0] if named is None else f"rsciio.{named}")


class Read(Foreign):
    """An array that rosettasciio reads when it is asked for; pickling carries the path."""

    def __init__(self, path: Path, number: int, data: Any) -> None:
        super().__init__(data)
        self.path, self.number = Path(os.path.abspath(path)), number
        self.input_files = listed_files((self.path,))
        self._size = self.path.stat().st_size

    def __getitem__(self, key: Any) -> np.ndarray:
        with _errors(self.path):
            if self.path.stat().st_size < self._size:  # of a file that is mapped, what is gone would end the process
                raise ValueError("it has become shorter since it was opened")
            with _quiet():
                return super().__getitem__(key)

    def __reduce__(self) -> Any:
        return _read_again, (Path(os.path.abspath(self.path)), self.number, self.shape, self.dtype)


def _read_again(path: Path, number: int, shape: tuple[int, ...], dtype: np.dtype) -> Read:
    signals = _signals(path)
    if number >= len(signals) or tuple(signals[number]["data"].shape) != shape:
        raise FileFormatError(f"{printable(path.name)} has been replaced since it was opened; read it again.")
    return Read(path, number, signals[number]["data"])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what rosettasciio prints, and without warnings about versions of other packages."""
    logger = logging.getLogger("rsciio")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Turn whatever it raises into a FileFormatError."""
    try:
        yield
    except (PtyError, MemoryError):
        raise
    except Exception as error:
        reason = printable(f"{type(error).__name__}: {' '.join(str(error).split())}", 240)
        raise FileFormatError(
            f"{printable(path.name)} could not be read by rosettasciio ({reason}). It may be cut off or damaged; or "
            "export it from the microscope's program as another format."
        ) from None

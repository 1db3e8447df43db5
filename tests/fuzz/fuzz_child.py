"""The process that opens damaged files: under limits, and told on by an audit hook.

It is given a folder and the first number of each file on its standard input, and answers on standard output:
``b NUMBER NAME`` before a file is opened, ``e NUMBER OUTCOME`` after it.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEMORY = 1024**3  # bytes beside what the interpreter itself has mapped

_found: list[str] = []
_opened: list[str] = []  # by which doors the last file could be opened
_FORBIDDEN = {
    "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect", "pickle.find_class",
    "ctypes.dlopen", "os.remove", "os.rename", "shutil.rmtree", "webbrowser.open",
}  # fmt: skip


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _FORBIDDEN:
        _found.append(f"{event} {arguments!r:.200}")
    elif event == "exec" and not os.path.exists(getattr(arguments[0], "co_filename", "")):
        name = getattr(arguments[0], "co_filename", "")
        if not name.startswith("<frozen"):
            _found.append(f"exec of {name!r:.200}")
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        _found.append(f"open {arguments[0]!r:.100} to write")


def open_in_every_way(path: Path, beside: Path) -> list[str]:
    """Open a file as a user would by every door; a list of what ended in anything but a PtyError."""
    from ptywidgets import Reconstruction, read
    from ptywidgets.engine.checkpoint import load_checkpoint
    from ptywidgets.engine.core.errors import PtyError
    from ptywidgets.engine.io import contents, read_pattern
    from ptywidgets.engine.io.masks import read_mask
    from ptywidgets.testing.series import example_tilts

    how: dict[str, Any] = {"scan_shape": (3, 4)} if "stack" in path.name else {}
    how |= {"choose": "sum"} if "series" in path.name else {}
    how |= {"energy": 80e3} if "abtem" in path.name else {}  # its pixels are in mrad

    def data() -> None:
        dataset = read(path, **how)
        assert str(dataset) and dataset.describe() and dict(dataset.metadata) is not None
        dataset.pattern(0, 0)
        dataset.pattern(dataset.shape[0] - 1, dataset.shape[1] - 1)
        if dataset.nbytes < 1e9:  # more than that takes its time in an honest file, too
            dataset.mean_pattern()

    def pattern() -> None:
        assert read_pattern(path).ndim == 2

    def mask() -> None:
        assert read_mask(path)[0].dtype == bool

    def begin() -> None:
        assert Reconstruction().begin_with(probe=path).probe_is_given

    def saved() -> None:
        load_checkpoint(path)
        recon = Reconstruction.load(path, example_tilts()[:2] if "volume" in path.name else beside)
        assert str(recon)
        recon.object_phase, recon.probe, recon.positions, recon.error  # noqa: B018

    doors: dict[str, tuple[Callable[..., Any], ...]] = {
        "data": (contents, data),
        "pattern": (pattern, mask, begin, contents),
        "saved": (saved, contents),
    }
    wrong = []
    _opened.clear()
    for door in doors[path.name.split(".")[0]]:
        _found.clear()
        try:
            if door is contents:
                door(path)
            else:
                door()
                _opened.append(door.__name__)
        except PtyError:
            pass
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in frames if "ptywidgets" in frame.filename] or frames
            where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
            wrong.append(f"{type(error).__name__} in {door.__name__} at {where}: {str(error)[:200]}")
        wrong += _found
    return wrong


def limit_memory() -> None:
    """Allow this process so much more than it has now; not where the system cannot."""
    try:
        import resource
    except ImportError:
        return
    pages = Path("/proc/self/statm")
    mapped = int(pages.read_text().split()[0]) * resource.getpagesize() if pages.exists() else 8 * 1024**3
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    from fuzz_mutations import damaged

    faulthandler.enable(all_threads=True)
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    beside = folder / "beside.h5"
    names = json.loads(sys.argv[2])
    whole = {name: (folder / name).read_bytes() for name in names}
    for name in names:  # whole files open; and whatever is imported late is imported now
        wrong = open_in_every_way(folder / name, beside)
        if not _opened and "shared" not in name and "virtual" not in name:  # which is refused
            wrong.append("it does not open")
        print(f"w {json.dumps([name, wrong])}", flush=True)
    limit_memory()
    sys.addaudithook(_audit)
    for line in sys.stdin:
        number, name, seed = json.loads(line)
        path = folder / f"{name.rsplit('.', 1)[0]}.damaged.{os.getpid()}.{name.rsplit('.', 1)[1]}"
        path.write_bytes(damaged(whole[name], seed))
        print(f"b {number}", flush=True)
        wrong = open_in_every_way(path, beside)
        print(f"e {number} {json.dumps(wrong)}", flush=True)
        path.unlink()


if __name__ == "__main__":
    main()

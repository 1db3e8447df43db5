"""An hour of work in JupyterLab, with a browser attached: runs, pauses, stops, saves, widgets made anew.

    nice python benchmarks/soak.py [--minutes 60] [--report soak.json]

Needs what the browser tests need: JupyterLab, playwright and Chromium. In turns, cells that make the widgets are run
again, a reconstruction runs, pauses, goes on, is saved and loaded, and is stopped, and a stream posts pictures as fast
as it can. Checked at each pause, stop and end of a stream: the browser shows the last frame. Checked at the end: the
kernel's resident memory is as it was after the warm-up (a tenth of the time), within 5 %, and no thread is left that
was not there then. Ends with 1 where something is wrong. Nobody has to look: every turn writes what was found so far.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import TimeoutError as PlaywrightTimeout
from playwright.sync_api import sync_playwright

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "browser"), str(TESTS / "kernels")]

from alive import open_lab  # noqa: E402
from conftest import ARGUMENTS, CHROMIUM, WINDOW  # noqa: E402
from jupyter_pages import LabNotebook  # noqa: E402
from lab_server import JupyterServer  # noqa: E402

PATIENCE = 120.0  # s for a view to appear and its last frame to be painted, on a busy machine
GROWTH = 0.05  # of the resident memory, from after the warm-up to the end
STREAM = 400  # pictures in one turn's stream

FIRST = """
import gc, os, threading, time
import numpy as np
from ptywidgets import ImageView, Reconstruction, ReconstructionRunner, Workbench, samples
data = samples.ducky("{size}")
posted = 0

def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def threads():
    return sorted(thread.name for thread in threading.enumerate())

def newest(view):
    latest = view._frames.latest
    return -1 if latest is None else latest[0]

def stream(count):  # in a thread, as a program of somebody's own would; small pictures, so that it is quick
    def work():
        global posted
        for number in range(count):
            view.show(np.add.outer(np.arange(32.0), (number + np.arange(32.0)) % 32), live=True)
            posted += 1
            time.sleep(0.002)
        view.settle()
    global streaming
    streaming = threading.Thread(target=work, name="stream of the soak")
    streaming.start()
"""
RUNNER = """
recon = Reconstruction(data, defocus=samples.ducky_defocus("{size}"))
recon.update_plan(iterations=100000, batch=48)
widget = ReconstructionRunner(recon)
shown = {name: one for name, one in widget.image_views.items()}
widget
"""
STREAMED = """
view = ImageView("Stream")
view.show(np.zeros((32, 32)))
view
"""
WORKBENCH = "bench = Workbench(recon)\nbench"


class Soak:
    """The notebook, what is done in it, and what was found."""

    def __init__(self, notebook: LabNotebook, folder: Path):
        self.notebook, self.kernel, self.folder = notebook, notebook.kernel, folder
        self.turns = self.runs = self.pauses = self.stops = self.saves = self.remade = 0
        self.frames = 0  # of the runs' pictures and the streams, as the kernel counts them
        self.painted = 0  # times that the last frame was looked for, and was there
        self.lost: list[str] = []
        self.memory: list[tuple[float, int]] = []  # s from the beginning, bytes
        self.threads: list[tuple[float, list[str]]] = []
        self.alive: list[int] = []  # reconstructions that the kernel still holds; IPython's Out holds some itself
        self.began = time.monotonic()

    def last_frame_is_painted(self, title: str, view: str, when: str) -> None:
        """Wait until the canvas shows the newest frame of a view."""
        newest = self.kernel.eval(f"newest({view})")
        try:
            self.notebook.canvas(title, timeout=PATIENCE).wait_seq(newest, PATIENCE)
            self.painted += 1
        except PlaywrightTimeout:
            self.lost.append(
                f"turn {self.turns}, {when}: {title!r} shows {self.notebook.canvas(title).seq} of {newest}"
            )

    def rest(self, wanted: str) -> None:
        """Wait for a status, and that no picture is on its way."""
        self.kernel.wait(f"recon.status in {wanted!r}.split() and not shown['probe'].live", timeout=60)

    def turn(self) -> None:
        """One turn of everything."""
        notebook, kernel = self.notebook, self.kernel
        notebook.run_all()  # all but the first cell, which does nothing the second time
        self.remade += 1
        notebook.canvas("Object phase (rad)", timeout=PATIENCE)
        kernel.run("recon.start()")
        self.runs += 1
        kernel.wait("len(recon.losses) > 5", timeout=120)
        kernel.run(f"stream({STREAM})")
        kernel.wait("len(recon.losses) > 15", timeout=120)
        kernel.run("recon.pause()")
        self.rest("paused")
        self.pauses += 1
        self.last_frame_is_painted("Object phase (rad)", "shown['phase']", "paused")
        file = str(self.folder / "soak.h5")
        kernel.run(f"recon.save({file!r}); again = Reconstruction.load({file!r}, data); again = None", timeout=120)
        self.saves += 1
        kernel.run("recon.start()")
        kernel.wait("len(recon.losses) > 25", timeout=120)
        kernel.wait("not streaming.is_alive()", timeout=120)
        self.last_frame_is_painted("Stream", "view", "the stream has ended")
        kernel.run("recon.stop()")
        self.rest("stopped finished")
        self.stops += 1
        for name, title in (("phase", "Object phase (rad)"), ("probe", None)):
            title = title or kernel.eval(f"shown[{name!r}].title")
            self.last_frame_is_painted(title, f"shown[{name!r}]", "stopped")
        self.frames += kernel.eval("sum(newest(one) for one in shown.values()) + newest(view)")
        self.turns += 1
        now = time.monotonic() - self.began
        self.memory.append((now, kernel.eval("resident()")))
        self.threads.append((now, kernel.eval("threads()")))
        self.alive.append(kernel.eval("sum(isinstance(one, Reconstruction) for one in gc.get_objects())"))

    def found(self) -> dict[str, Any]:
        """The figures, and what is wrong with them."""
        elapsed = time.monotonic() - self.began
        steady = [(at, size) for at, size in self.memory if at > 0.1 * elapsed] or self.memory
        third = max(1, len(steady) // 3)
        first = statistics.median(size for _, size in steady[:third])
        last = statistics.median(size for _, size in steady[-third:])
        growth = last / first - 1
        known = set(self.threads[0][1]) if self.threads else set()
        left = [name for name in (self.threads[-1][1] if self.threads else []) if name not in known]
        counts = [len(names) for _, names in self.threads]
        errors = self.notebook.errors_of_kernel()
        wrong = list(self.lost)
        if growth > GROWTH:
            wrong.append(f"the kernel's memory grew by {growth:.1%}, from {first / 1e6:.0f} to {last / 1e6:.0f} MB")
        if counts and counts[-1] > counts[0]:
            wrong.append(f"{counts[-1]} threads at the end, {counts[0]} after the first turn; new: {left}")
        wrong += [f"error in the kernel: {error[:500]}" for error in errors[:5]]
        return {
            "minutes": round(elapsed / 60, 2), "turns": self.turns, "runs": self.runs, "pauses": self.pauses,
            "stops": self.stops, "saves": self.saves, "widgets_made_anew": self.remade, "frames": self.frames,
            "last_frames_looked_for": self.painted + len(self.lost), "last_frames_lost": len(self.lost),
            "memory_after_warm_up_MB": round(first / 1e6, 1), "memory_at_the_end_MB": round(last / 1e6, 1),
            "memory_growth": round(growth, 4), "threads_after_first_turn": counts[0] if counts else 0,
            "reconstructions_alive": self.alive[-1] if self.alive else 0,
            "threads_at_the_end": counts[-1] if counts else 0, "wrong": wrong,
            "memory_MB": [round(size / 1e6, 1) for _, size in self.memory],
        }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--size", default="tiny", help="of the ducky")
    parser.add_argument("--workbench", action="store_true", help="a whole workbench beside the runner, each turn anew")
    parser.add_argument("--report", type=Path, default=Path("test-artifacts/soak.json"))
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a time limit leaves no server and no kernel behind
    if not CHROMIUM:
        print("no Chromium: install chromium, or set PTYWIDGETS_CHROMIUM", file=sys.stderr)
        return 2
    options.report.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        server = JupyterServer(folder)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = open_lab(browser.new_context(viewport=WINDOW).new_page(), server)
            cells = [RUNNER.replace("{size}", options.size), STREAMED, *([WORKBENCH] if options.workbench else [])]
            server.write("soak.ipynb", tuple(cells))
            notebook = LabNotebook.open_in_lab(page, server, "soak.ipynb", folder)
            notebook.kernel.run(FIRST.replace("{size}", options.size), timeout=120)
            soak = Soak(notebook, folder)
            end = time.monotonic() + 60 * options.minutes
            failure = ""
            try:
                while time.monotonic() < end:
                    soak.turn()
                    options.report.write_text(json.dumps(soak.found(), indent=1))
                    if soak.turns % 10 == 1:
                        size = soak.memory[-1][1] / 1e6
                        print(
                            f"turn {soak.turns}: {soak.frames} frames, {size:.0f} MB, {len(soak.lost)} lost", flush=True
                        )
            except Exception as error:  # what stands still is a finding, and what was found before is still told
                failure = f"turn {soak.turns}: {type(error).__name__}: {str(error)[:1000]}"
            found = soak.found()
            found["wrong"] += [failure] if failure else []
            notebook.close()
        finally:
            browser.close()
            server.close()
    options.report.write_text(json.dumps(found, indent=1))
    for name, value in found.items():
        if name not in ("wrong", "memory_MB"):
            print(f"{name.replace('_', ' ')}: {value}")
    print("\n".join(f"WRONG: {words}" for words in found["wrong"]) or "nothing is wrong")
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())

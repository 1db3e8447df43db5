"""How soon widgets answer in JupyterLab while a reconstruction runs in the same kernel, and how soon Stop is obeyed.

    python benchmarks/alive.py [size of our ducky, by default full] [--times 30] [--stops 10]

Needs what the browser tests need: JupyterLab, playwright and Chromium. Times are taken in the page, from the event of
the mouse to the animation frame in which the canvas (or the words of the status) are other ones; every one after a rest
of a random length. "contrast" is a slider that changes the limits of the runner's own live picture, "rotation" the
angle of a RotationExplorer in the cell below. Both are measured at rest as well, turn about.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "browser"), str(TESTS / "kernels")]

from conftest import ARGUMENTS, CHROMIUM, WINDOW  # noqa: E402
from jupyter_pages import LabNotebook  # noqa: E402
from lab_server import JupyterServer  # noqa: E402

CELLS = (
    """
import ipywidgets
from ptywidgets import Reconstruction, ReconstructionRunner, RotationExplorer, samples
data = samples.ducky("{size}")
recon = Reconstruction(data, defocus=samples.ducky_defocus("{size}"))
recon.schedule = "automatic"
recon.prepare()
recon.run(1)  # compiles
runner = ReconstructionRunner(recon)
contrast = ipywidgets.IntSlider(0, 0, 100, description="contrast")
def limits(change):  # all of the picture black or all of it white, whatever frame there is
    runner.image_views["phase"].limits = (1e3, 2e3) if change["new"] < 50 else (-2e3, -1e3)
contrast.observe(limits, "value")
ipywidgets.VBox([contrast, runner])
""",
    "explorer = RotationExplorer(Reconstruction(data))\nexplorer",
)

WATCH = """([element, what, event]) => {
    const look = () => {
        if (what === "words") return /stopped, iteration/.test(element.textContent);
        const context = element.getContext("2d"), {width, height} = element;
        if (what === "middle") return context.getImageData(width >> 1, height >> 1, 1, 1).data[0] > 127;
        return context.getImageData(0, 0, width, height).data.reduce((sum, value) => (31 * sum + value) | 0, 7);
    };
    const before = look();
    let start = null;
    window.answer = undefined;
    window.addEventListener(event, () => { start ??= performance.now(); }, {capture: true, once: true});
    const wait = () => {
        const now = performance.now();
        if (start !== null && look() !== before) window.answer = now - start;
        else if (start !== null && now - start > 20000) window.answer = -1;
        else requestAnimationFrame(wait);
    };
    requestAnimationFrame(wait);
}"""


class Bench:
    """The notebook, and what is moved in it."""

    def __init__(self, notebook: LabNotebook):
        self.notebook, self.page, self.kernel = notebook, notebook.page, notebook.kernel
        self.generator = np.random.default_rng(0)
        self.phase = notebook.canvas("Object phase (rad)")

    def running(self, wanted: bool) -> None:
        """Have it run, or rest."""
        if wanted and self.kernel.eval("recon.status") != "running":
            self.kernel.run("recon.reset(); recon.start()")
            self.kernel.wait("recon.status == 'running' and recon.iteration > 0", timeout=120)
        if not wanted and self.kernel.eval("recon.status") == "running":
            self.kernel.run("recon.stop()")

    def rest(self) -> None:
        self.page.wait_for_timeout(float(self.generator.uniform(150, 600)))

    def after(self, element: Any, what: str, event: str, act: Any) -> float:
        """Milliseconds from the event that an act makes to the change of an element."""
        self.page.evaluate(WATCH, [element.element_handle(), what, event])
        act()
        self.page.wait_for_function("() => window.answer !== undefined", timeout=30_000)
        return float(self.page.evaluate("window.answer"))

    def contrast(self, number: int) -> float:
        """Move the slider of the contrast of the runner's picture to its other end."""
        handle = self.notebook.locator(".widget-hslider", has_text="contrast").locator(".noUi-handle").first
        x, y = self.notebook.grip(handle)
        self.page.mouse.down()
        self.rest()
        far = 600 if self.kernel.eval("contrast.value") < 50 else -600
        value = self.after(self.phase.locator, "middle", "pointermove", lambda: self.page.mouse.move(x + far, y))
        self.page.mouse.up()
        return value

    def rotation(self, number: int) -> float:
        """Move the angle of the explorer a little."""
        explorer = self.notebook.locator(".pty-widget").nth(1)
        canvas = explorer.locator("canvas[data-testid=pty-canvas][data-ready='1']").first
        x, y = self.notebook.grip(explorer.locator(".noUi-handle").first)
        self.page.mouse.down()
        self.rest()
        aside = 12 if number % 2 else -12
        value = self.after(canvas, "all", "pointermove", lambda: self.page.mouse.move(x + aside, y))
        self.page.mouse.up()
        return value

    def stop(self, number: int) -> float:
        """Click Stop, and read the status."""
        self.running(False)  # a run that has been going for a while might end by itself
        self.running(True)
        button = self.notebook.button("Stop")
        self.notebook.grip(button)
        self.rest()
        widget = self.notebook.locator(".pty-widget").first
        return self.after(widget, "words", "click", lambda: button.click(no_wait_after=True))


def report(name: str, times: list[float]) -> None:
    good = np.array([t for t in times if t >= 0])
    lost = f", {len(times) - len(good)} never" if len(good) < len(times) else ""
    print(f"| {name} | {np.median(good):.0f} | {good.max():.0f} | {len(good)}{lost} |", flush=True)


def main() -> None:
    """Print a table: what, median and worst milliseconds, how many."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("size", nargs="?", default="full")
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--stops", type=int, default=10)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a time limit leaves no server and no kernel behind
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = JupyterServer(Path(folder))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = open_lab(browser.new_context(viewport=WINDOW).new_page(), server)
            server.write("alive.ipynb", tuple(cell.replace("{size}", options.size) for cell in CELLS))
            notebook = LabNotebook.open_in_lab(page, server, "alive.ipynb", Path(folder)).run_all()
            bench = Bench(notebook)
            bench.notebook.settle()
            print("| what | median ms | worst ms | times |\n|---|---|---|---|", flush=True)
            for name in ("contrast", "rotation") if options.times else ():
                move = getattr(bench, name)
                move(0), move(1)
                found: dict[bool, list[float]] = {False: [], True: []}
                for start in range(0, options.times, 10):  # turn about, to share the machine's moods
                    for runs in found:
                        for number in range(start, min(start + 10, options.times)):
                            bench.running(runs)
                            found[runs].append(move(number))
                for runs, times in found.items():
                    report(f"{name}, {'while it runs' if runs else 'at rest'}", times)
            if options.stops:
                report("Stop", [bench.stop(number) for number in range(options.stops)])
            notebook.close()
        finally:
            browser.close()
            server.close()


def open_lab(page: Page, server: JupyterServer) -> Page:
    """JupyterLab, loaded."""
    page.goto(server.page("lab", reset=""))
    page.wait_for_function(
        "() => window.jupyterapp?.shell && !document.querySelector('#jupyterlab-splash')", timeout=90_000
    )
    page.evaluate("async () => { await jupyterapp.restored; jupyterapp.shell.collapseLeft(); }")
    return page


if __name__ == "__main__":
    main()

"""What a browser test holds in its hands: a notebook in a page, its kernel, and the image views in it.

Nothing here sleeps: a canvas says by `data-seq` which frame it has painted, and the kernel can be asked.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
from kernel_client import KernelClient
from playwright.sync_api import Locator, Page

THEMES = {
    "light": "JupyterLab Light",
    "dark": "JupyterLab Dark",
    "contrast": "JupyterLab Dark High Contrast",
}

# The box of an element without the empty space under its last cell
EXTENT = """element => {
    const box = element.getBoundingClientRect();
    const parts = [...element.querySelectorAll(".jp-Cell, .jp-OutputArea-child")];
    const last = Math.max(...parts.map(part => part.getBoundingClientRect().bottom)) + 12;
    const bottom = Math.min(parts.length ? last : box.bottom, box.bottom, innerHeight);
    const [x, y] = [Math.max(box.x, 0), Math.max(box.y, 0)];
    return {x, y, width: box.width, height: Math.max(bottom - y, 1)};
}"""


class Errors(list[str]):
    """Errors on the console of a page, and those that end its scripts."""

    def attach(self, page: Page) -> None:
        page.on("console", lambda line: self.append(f"console: {line.text}") if line.type == "error" else None)
        page.on("pageerror", lambda error: self.append(f"page: {error}\n{error.stack or ''}"))
        page.on("crash", lambda _: self.append("page: crashed"))


class Canvas:
    """An ImageView as seen in the browser. Places are `(y, x)` in data pixels, as everywhere in ptywidgets."""

    def __init__(self, view: Locator):
        self.view = view
        self.locator = view.locator("canvas[data-testid=pty-canvas]")
        self.page = view.page

    def wait_ready(self, timeout: float = 20) -> Canvas:
        """Wait until it is drawn."""
        self.view.locator("canvas[data-testid=pty-canvas][data-ready='1']").wait_for(timeout=timeout * 1000)
        return self

    @property
    def seq(self) -> int:
        """Number of the frame that is painted; -1 before the first."""
        return int(self.locator.get_attribute("data-seq") or -1)

    def wait_seq(self, seq: int, timeout: float = 20) -> Canvas:
        """Wait until the frame with that number, or a later one, is painted."""
        self.page.wait_for_function(
            "([canvas, seq]) => Number(canvas.dataset.seq ?? -1) >= seq",
            arg=[self.locator.element_handle(), seq],
            timeout=timeout * 1000,
        )
        return self

    def wait_new(self, frames: int = 1, timeout: float = 20) -> Canvas:
        """Wait until that many more frames are painted."""
        return self.wait_seq(self.seq + frames, timeout)

    def pixels(self) -> np.ndarray:
        """What is painted: (H, W, 4) uint8, red, green, blue, alpha."""
        width, height, data = self.locator.evaluate(
            """canvas => {
                const {width, height} = canvas;
                const bytes = canvas.getContext("2d").getImageData(0, 0, width, height).data;
                let text = "";
                for (let i = 0; i < bytes.length; i += 32768)
                    text += String.fromCharCode(...bytes.subarray(i, i + 32768));
                return [width, height, btoa(text)];
            }"""
        )
        return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)

    def wait_pixels(self, change_from: np.ndarray, timeout: float = 20) -> np.ndarray:
        """Wait until something else is painted than `change_from`; the new pixels."""
        end = self.page.evaluate("performance.now()") + timeout * 1000
        while np.array_equal(pixels := self.pixels(), change_from):
            if self.page.evaluate("performance.now()") > end:
                raise TimeoutError(f"the image did not change within {timeout} s")
            self.page.evaluate("() => new Promise(requestAnimationFrame)")
        return pixels

    def at(self, y: float, x: float) -> tuple[float, float]:
        """Where data pixel (y, x) lies in the window, as (horizontal, vertical) for `page.mouse`."""
        self.locator.scroll_into_view_if_needed()
        left, top, across, down = self.locator.evaluate(
            """canvas => { const box = canvas.getBoundingClientRect();
                           return [box.left, box.top, box.width / canvas.width, box.height / canvas.height]; }"""
        )
        return left + (x + 0.5) * across, top + (y + 0.5) * down

    def click(self, y: float, x: float) -> Canvas:
        self.page.mouse.click(*self.at(y, x))
        return self

    def hover(self, y: float, x: float) -> Canvas:
        self.page.mouse.move(*self.at(y, x))
        return self

    def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 12) -> Canvas:
        """Press at `start`, move to `end` in so many steps, release."""
        self.page.mouse.move(*self.at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.at(*end), steps=steps)
        self.page.mouse.up()
        return self

    def press(self, *keys: str) -> Canvas:
        """Give it the focus and press keys, such as ``ArrowRight``."""
        self.view.focus()
        for key in keys:
            self.page.keyboard.press(key)
        return self


class WidgetPage:
    """Widgets in a page, of whichever host; `kernel` is a second client of the kernel behind them."""

    def __init__(self, page: Page, area: Locator, kernel: KernelClient, artifacts: Path):
        self.page, self.area, self.kernel, self.artifacts = page, area, kernel, artifacts

    def locator(self, selector: str, **options: Any) -> Locator:
        """Elements of this notebook."""
        return self.area.locator(selector, **options)

    def canvas(self, title: str | None = None, index: int = 0, timeout: float = 20) -> Canvas:
        """The image view with that title (or the one with that index), once it is drawn, for which it waits s."""
        which = "" if title is None else f'[data-title="{title}"]'
        return Canvas(self.locator(f"[data-testid=pty-image-view]{which}").nth(index)).wait_ready(timeout)

    def button(self, name: str, index: int = 0) -> Locator:
        """The ipywidgets button with that word on it."""
        return self.locator("button.widget-button", has_text=re.compile(rf"^\s*{re.escape(name)}\s*$")).nth(index)

    def text(self, text: str) -> Locator:
        """The first element that shows this text; wait for it by `.wait_for()`."""
        return self.area.get_by_text(text).first

    def grip(self, element: Locator) -> tuple[float, float]:
        """Bring the mouse over the middle of an element; where that is, for `page.mouse`."""
        element.scroll_into_view_if_needed()
        box = element.bounding_box()
        assert box is not None, "it is not shown"
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x, y)
        return x, y

    def drag(self, element: Locator, dx: float, steps: int = 8) -> None:
        """Drag an element sideways, as a hand does: in a few steps."""
        x, y = self.grip(element)
        self.page.mouse.down()
        self.page.mouse.move(x + dx, y, steps=steps)
        self.page.mouse.up()

    def dial(self, name: str) -> Locator:
        """The line of the aberration with that label: the innermost grid with the text in it."""
        return self.locator(".widget-gridbox", has_text=name).last

    def settle(self) -> None:
        """Wait until fonts are loaded and what was changed is drawn."""
        self.page.evaluate(
            """async () => {
                await document.fonts.ready;
                for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
            }"""
        )

    def screenshot(self, name: str, width: int = 1280, selector: str = "") -> Path:
        """Image of the whole area, or of the first element that fits the selector, in a window of that width."""
        file = self.artifacts / f"{name}-{width}.png"
        before = self.page.viewport_size
        target = self.locator(selector).first if selector else self.area
        try:
            self.page.set_viewport_size({"width": width, "height": 1000})
            self.settle()
            height = target.evaluate("element => element.scrollHeight")
            self.page.set_viewport_size({"width": width, "height": min(int(height) + 300, 8000)})
            self.settle()
            target.scroll_into_view_if_needed()
            self.page.screenshot(path=file, clip=target.evaluate(EXTENT))
        finally:
            if before:
                self.page.set_viewport_size(before)
        return file

    def errors_of_kernel(self) -> list[str]:
        return list(self.kernel.errors)

    def close(self) -> None:
        self.kernel.close()


class LabNotebook(WidgetPage):
    """A notebook in a page of JupyterLab or Notebook 7, whose application is at hand there."""

    @classmethod
    def open_in_lab(cls, page: Page, server: Any, name: str, artifacts: Path) -> LabNotebook:
        """Open the notebook beside what is open, with a kernel of its own."""
        panel = page.evaluate(
            """async path => {
                const widget = await jupyterapp.commands.execute("docmanager:open", {path, factory: "Notebook"});
                await widget.context.ready;
                await widget.sessionContext.ready;
                await widget.sessionContext.session.kernel.info;
                window.notebookOfTest = widget;
                return widget.id;
            }""",
            name,
        )
        kernel_id = page.evaluate("notebookOfTest.sessionContext.session.kernel.id")
        kernel = KernelClient(server.connection_file(kernel_id))
        return cls(page, page.locator(f'[id="{panel}"]'), kernel, artifacts)

    @classmethod
    def adopt(cls, page: Page, server: Any, artifacts: Path) -> LabNotebook:
        """The one notebook of a Notebook 7 page."""
        page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.sessionContext", timeout=60_000)
        page.evaluate(
            """async () => {
                await jupyterapp.restored;
                const widget = window.notebookOfTest = jupyterapp.shell.currentWidget;
                await widget.context.ready;
                await widget.sessionContext.ready;
                await widget.sessionContext.session.kernel.info;
            }"""
        )
        kernel_id = page.evaluate("notebookOfTest.sessionContext.session.kernel.id")
        kernel = KernelClient(server.connection_file(kernel_id))
        return cls(page, page.locator(".jp-NotebookPanel"), kernel, artifacts)

    def run_all(self) -> LabNotebook:
        """Run all cells to the end; a cell that fails fails the test."""
        self.page.evaluate("() => jupyterapp.commands.execute('notebook:run-all-cells')")
        failed = self.page.evaluate(
            """() => [...notebookOfTest.content.model.cells].filter(cell => cell.type === "code")
                .flatMap(cell => cell.outputs.toJSON()).filter(output => output.output_type === "error")
                .map(output => output.ename + ": " + output.evalue)"""
        )
        if failed:
            raise AssertionError(f"cells failed: {failed}")
        return self

    def theme(self, name: str) -> None:
        """Change the theme: light, dark or contrast."""
        self.page.evaluate(
            """async theme => {
                if (document.body.dataset.jpThemeName !== theme)
                    await jupyterapp.commands.execute("apputils:change-theme", {theme});
            }""",
            THEMES[name],
        )
        self.page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=THEMES[name])
        # The splash screen of a change fades; a second change before it is gone makes Lab remove it twice.
        self.page.wait_for_function("() => !document.querySelector('#jupyterlab-splash')")
        self.settle()

    def screenshot(self, name: str, width: int = 1280, selector: str = "", theme: str = "light") -> Path:
        """Image of all cells, or of the first element that fits the selector, in that theme and width."""
        self.theme(theme)
        try:
            return super().screenshot(f"{name}-{theme}", width, selector or ".jp-WindowedPanel-inner, .jp-Notebook")
        finally:
            self.theme("light")

    def resize(self, width: int) -> None:
        """Make the page so wide, and high enough for all, until nothing sticks out of the first widget or a figure.

        A figure follows some time after its box, and only once it is in sight: the widget is brought there.
        """
        self.page.set_viewport_size({"width": width, "height": 4000})
        self.settle()  # else what held before the page has followed would do
        widget = self.locator(".pty-widget").first.element_handle()
        self.page.wait_for_function(
            """e => {
                e.scrollIntoView({block: "start"});
                return e.scrollWidth <= e.clientWidth + 1 && [...e.querySelectorAll(".bqplot.figure")].every(figure => {
                    const end = figure.getBoundingClientRect().right + 1;
                    const axes = [...figure.querySelectorAll(".axis .domain")];
                    return axes.every(line => line.getBoundingClientRect().right < end);
                });
            }""",
            arg=widget,
            timeout=10_000,
        )

    def screenshots(self, name: str, theme: str) -> None:
        """Screenshots of the first widget, wide and narrow, each once nothing sticks out of it."""
        before = self.page.viewport_size
        try:
            for width in (1280, 400):
                self.resize(width)
                file = self.screenshot(name, width, ".pty-widget", theme)
                assert file.stat().st_size > 20_000, "hardly anything is drawn"
        finally:
            if before:
                self.page.set_viewport_size(before)

    def save(self) -> Path:
        """Save the notebook with its outputs; the path within the server's folder."""
        return Path(
            self.page.evaluate(
                "async () => { await notebookOfTest.context.save(); return notebookOfTest.context.path; }"
            )
        )

    def close(self) -> None:
        """End the kernel and close the notebook."""
        super().close()
        self.page.evaluate(
            """async () => {
                const widget = window.notebookOfTest;
                if (!widget || widget.isDisposed) return;
                await widget.sessionContext.shutdown();
                widget.context.model.dirty = false;
                widget.close();
            }"""
        )

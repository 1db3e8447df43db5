"""Fixtures of the browser tests: one server and one JupyterLab page for all, one notebook and kernel for each test.

Any error on the console, in the page or in the kernel fails the test, unless the test expects it:
``@pytest.mark.allow_errors("regular expression")``.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_pages import Errors, LabNotebook, WidgetPage
from kernel_client import KernelClient
from lab_server import JupyterServer
from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("PTYWIDGETS_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
# Root needs --no-sandbox, a container's /dev/shm is small, and nothing is to be asked from the network.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
]
WINDOW = {"width": 1280, "height": 900}
# bqplot follows the size of the window also where a figure has no room for its margins for a moment.
BQPLOTS_OWN = r"<rect> attribute (width|height): A negative value"
HOSTS_OWN = {
    "lab": (r"favicon\.ico",),
    "notebook7": (r"favicon\.ico", r"reading 'schema'"),
    "voila": (r"favicon\.ico", r"cdn\.jsdelivr\.net|font-?awesome", r"shared\.import|shared module", r"net::ERR_"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser test that ran out of time is tried once more; any other failure is one."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun=["TimeoutError"]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    if report.when == "call":
        item.failed_in_call = report.failed  # type: ignore[attr-defined]
    return report


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Debian's Chromium, in place of a download. (On CI a skip is a failure: see tests/conftest.py.)"""
    if not CHROMIUM:
        pytest.skip("no Chromium: install chromium, or set PTYWIDGETS_CHROMIUM")
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": ARGUMENTS}


@pytest.fixture(scope="session")
def jupyter_server(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[JupyterServer]:
    """One server for the session; `browser` comes first, so that none is started where there is no Chromium."""
    server = JupyterServer(tmp_path_factory.mktemp("jupyter"))
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def screenshots(artifacts: Path) -> Path:
    """Folder of the images that the tests take."""
    folder = artifacts / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def lab_page(browser: Browser, jupyter_server: JupyterServer) -> Iterator[tuple[Page, Errors]]:
    """JupyterLab, loaded once."""
    context = browser.new_context(viewport=WINDOW)
    page, errors = context.new_page(), Errors()
    errors.attach(page)
    page.goto(jupyter_server.page("lab", reset=""))
    page.wait_for_function(
        "() => window.jupyterapp?.shell && !document.querySelector('#jupyterlab-splash')", timeout=90_000
    )
    page.evaluate("async () => { await jupyterapp.restored; jupyterapp.shell.collapseLeft(); }")
    yield page, errors
    context.close()


class Watch:
    """What was opened during one test, and what went wrong in it."""

    def __init__(self, request: pytest.FixtureRequest, host: str, errors: Errors, artifacts: Path):
        self.request, self.host, self.errors, self.artifacts = request, host, errors, artifacts
        self.opened: list[WidgetPage] = []
        self.name = re.sub(r"\W+", "_", request.node.name)
        errors.clear()

    def finish(self) -> None:
        """Keep an image of a failure, close everything, and fail for errors that were not expected."""
        heard = [*self.errors, *(error for page in self.opened for error in page.errors_of_kernel())]
        failed = getattr(self.request.node, "failed_in_call", False)
        for number, page in enumerate(self.opened):
            if failed:
                page.page.screenshot(path=self.artifacts / f"failed-{self.name}-{number}.png")
            page.close()
        if failed and heard:
            (self.artifacts / f"failed-{self.name}.log").write_text("\n".join(heard))
        marked = [pattern for mark in self.request.node.iter_markers("allow_errors") for pattern in mark.args]
        expected = [BQPLOTS_OWN, *HOSTS_OWN[self.host], *marked]
        unexpected = [error for error in heard if not any(re.search(pattern, error) for pattern in expected)]
        self.errors.clear()
        assert not unexpected, "errors during the test:\n  " + "\n  ".join(unexpected)


@pytest.fixture
def lab(
    request: pytest.FixtureRequest,
    lab_page: tuple[Page, Errors],
    jupyter_server: JupyterServer,
    artifacts: Path,
    screenshots: Path,
) -> Iterator[Callable[..., LabNotebook]]:
    """``lab(cell, cell, ...)`` opens a notebook of these cells in JupyterLab, runs it and returns it.

    ``lab(notebook=path)`` opens a copy of a notebook instead; with ``run=False`` nothing is run yet.
    """
    page, errors = lab_page
    watch = Watch(request, "lab", errors, artifacts)

    def open_notebook(*cells: str, notebook: Path | None = None, run: bool = True) -> LabNotebook:
        name = f"{watch.name}_{len(watch.opened)}.ipynb"
        if notebook is None:
            jupyter_server.write(name, cells)
        else:
            shutil.copy(notebook, jupyter_server.root / name)
        opened = LabNotebook.open_in_lab(page, jupyter_server, name, screenshots)
        watch.opened.append(opened)
        return opened.run_all() if run else opened

    yield open_notebook
    watch.finish()


@pytest.fixture
def notebook7(
    request: pytest.FixtureRequest,
    browser: Browser,
    jupyter_server: JupyterServer,
    artifacts: Path,
    screenshots: Path,
) -> Iterator[Callable[..., LabNotebook]]:
    """``notebook7(cell, cell, ...)``: the same in Notebook 7, with a page of its own."""
    context = browser.new_context(viewport=WINDOW)
    errors = Errors()
    watch = Watch(request, "notebook7", errors, artifacts)

    def open_notebook(*cells: str, run: bool = True) -> LabNotebook:
        name = jupyter_server.write(f"{watch.name}_{len(watch.opened)}.ipynb", cells)
        page = context.new_page()
        errors.attach(page)
        page.goto(jupyter_server.page(f"notebooks/{name}"))
        opened = LabNotebook.adopt(page, jupyter_server, screenshots)
        watch.opened.append(opened)
        return opened.run_all() if run else opened

    yield open_notebook
    watch.finish()
    context.close()


@pytest.fixture
def voila(
    request: pytest.FixtureRequest,
    browser: Browser,
    jupyter_server: JupyterServer,
    artifacts: Path,
    screenshots: Path,
) -> Iterator[Callable[..., WidgetPage]]:
    """``voila(cell, cell, ...)``: the outputs of these cells as a page of Voila."""
    context = browser.new_context(viewport=WINDOW)
    errors = Errors()
    watch = Watch(request, "voila", errors, artifacts)

    def open_page(*cells: str) -> WidgetPage:
        name = jupyter_server.write(f"{watch.name}_{len(watch.opened)}.ipynb", cells)
        before = {kernel["id"] for kernel in jupyter_server.api("kernels")}
        page = context.new_page()
        page.route(re.compile(r"^https?://(?!127\.0\.0\.1)"), lambda route: route.abort())
        errors.attach(page)
        page.goto(jupyter_server.page(f"voila/render/{name}"), wait_until="load", timeout=60_000)
        (started,) = {kernel["id"] for kernel in jupyter_server.api("kernels")} - before
        kernel = KernelClient(jupyter_server.connection_file(started))
        opened = WidgetPage(page, page.locator("body"), kernel, screenshots)
        watch.opened.append(opened)
        return opened

    yield open_page
    watch.finish()
    context.close()

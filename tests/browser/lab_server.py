"""A Jupyter server for the tests: on the loopback only, with a token, and with nothing of the user's own configuration.

One server serves JupyterLab, Notebook 7 (`/notebooks/...`) and Voila (`/voila/render/...`).
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import nbformat

SETTINGS: dict[str, dict[str, Any]] = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
    "notebook-extension/tracker": {"windowingMode": "none"},  # cells out of sight are there to be looked at
}


class JupyterServer:
    """A running server.

    Attributes
    ----------
    root : Path
        Folder of the notebooks that it serves.
    """

    def __init__(self, home: Path, start_timeout: float = 90):
        self.root, self.home, self.token = home / "notebooks", home, secrets.token_hex(16)
        self.root.mkdir()
        for name, values in SETTINGS.items():
            file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1"]
        command += [f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.root}"]
        command += ["--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"]
        command += ["--LabApp.extension_manager=readonly", "--VoilaConfiguration.show_tracebacks=True"]
        self._log = (home / "server.log").open("w")
        self._process = subprocess.Popen(
            command,
            env=self._environment(),
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wait_until_it_answers(start_timeout)

    def _environment(self) -> dict[str, str]:
        own = {
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        environment = dict(os.environ, PYDEVD_DISABLE_FILE_VALIDATION="1")
        return environment | {name: str(self.home / folder) for name, folder in own.items()}

    def _wait_until_it_answers(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        while self._process.poll() is None and time.monotonic() < end:
            try:
                self.api("status")
                return
            except OSError:
                time.sleep(0.1)
        self.close()
        raise RuntimeError(f"the Jupyter server did not start within {timeout} s:\n{self.log()[-3000:]}")

    def api(self, path: str) -> Any:
        """What the server's interface answers."""
        request = urllib.request.Request(f"{self.url}/api/{path}", headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def page(self, path: str, **query: str) -> str:
        """Address of a page, with the token."""
        extra = "".join(f"&{name}={value}" for name, value in query.items())
        return f"{self.url}/{path}?token={self.token}{extra}"

    def connection_file(self, kernel_id: str) -> Path:
        """The file by which a second client finds a kernel."""
        return self.home / "runtime" / f"kernel-{kernel_id}.json"

    def write(self, name: str, cells: tuple[str, ...]) -> str:
        """Write a notebook of code cells into the served folder; its name."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        nbformat.write(notebook, self.root / name)
        return name

    def log(self) -> str:
        """What the server and its kernels printed."""
        return (self.home / "server.log").read_text(errors="replace")

    def close(self) -> None:
        """End the server; the signal lets it end its kernels first."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

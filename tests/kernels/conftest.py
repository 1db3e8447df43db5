"""Real kernels of the three ipykernel lines that treat comm messages differently.

6.31 has one shell; 7.3 runs comm messages that carry a subshell id in a second thread; 7.4 sends them to the shell that
last published on that comm. `make kernel-envs` makes the environments.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager
from kernel_client import KernelClient

ENVIRONMENTS = Path(__file__).resolve().parents[2] / ".venvs"
VERSIONS = ("6.31", "7.3", "7.4")


class Kernel(KernelClient):
    """A kernel started for one test.

    Attributes
    ----------
    version : str
        Version of ipykernel, as ``7.3``.
    subshell : str or None
        Subshell that comm messages are sent to, as from JupyterLab >= 4.4; None for ipykernel 6.
    """

    def __init__(self, manager: KernelManager, version: str):
        super().__init__(manager.connection_file)
        self.manager, self.version = manager, version
        self.subshell = self.create_subshell()

    def comm_msg(self, comm_id: str, data: Any, *, subshell: str | None = None) -> str:
        return super().comm_msg(comm_id, data, subshell=subshell or self.subshell)

    def click(self, button: str) -> str:
        """Click an ipywidgets button, given the expression that names it in the kernel. Needs an idle kernel."""
        return self.click_comm(self.eval(f"{button}.comm.comm_id"))

    def click_comm(self, comm_id: str) -> str:
        """Click the button with that comm, also while a cell runs."""
        return self.comm_msg(comm_id, {"method": "custom", "content": {"event": "click"}})

    def set_trait(self, comm_id: str, **state: Any) -> str:
        """Change traits of a widget as its view would."""
        return self.comm_msg(comm_id, {"method": "update", "state": state, "buffer_paths": []})

    def rejoin(self) -> None:
        """Join the kernel again after a restart."""
        self.close()
        super().__init__(self.manager.connection_file)
        self.subshell = self.create_subshell()

    def interrupt(self) -> None:
        """What the stop button of the notebook does."""
        self.manager.interrupt_kernel()


def start_kernel(version: str, folder: Path) -> KernelManager:
    """A kernel of that ipykernel version, with nothing of the user's own configuration."""
    python = ENVIRONMENTS / f"ipykernel-{version}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no environment with ipykernel {version}: run `make kernel-envs`")
    env = dict(os.environ, PYDEVD_DISABLE_FILE_VALIDATION="1", OMP_NUM_THREADS="1", PTYWIDGETS_TESTING="1")
    env |= {name: str(folder / name) for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    manager = KernelManager(connection_file=str(folder / "kernel.json"))
    manager.kernel_spec.argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager.start_kernel(cwd=str(folder), env=env)
    return manager


@pytest.fixture(params=VERSIONS, ids=lambda version: f"ipykernel-{version}")
def kernel(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kernel]:
    """A started kernel. An error in it that the test does not expect (`allow_errors`) fails the test."""
    manager = start_kernel(request.param, tmp_path)
    try:
        client = Kernel(manager, request.param)
        try:
            yield client
        finally:
            client.close()
    finally:
        manager.shutdown_kernel(now=True)
    expected = tuple(part for mark in request.node.iter_markers("allow_errors") for part in mark.args)
    unexpected = [error for error in client.errors if not any(part in error for part in expected)]
    assert not unexpected, "errors in the kernel:\n" + "\n".join(unexpected)

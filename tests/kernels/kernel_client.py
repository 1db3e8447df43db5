"""A client of a running Jupyter kernel: executes, evaluates, sends comm messages as JupyterLab does, hears errors.

Used by the kernel tests, which start kernels of their own, and by the browser tests, which listen in on the kernel of
the notebook that is open in the browser.
"""

from __future__ import annotations

import ast
import functools
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient

PRINTED = "kernel, on stderr: "


class KernelClient:
    """Client of the kernel behind `connection_file`.

    Attributes
    ----------
    errors : list of str
        Every error that the kernel published, also of widget callbacks and threads, which appear in no cell.
    """

    def __init__(self, connection_file: Path | str):
        self._client = BlockingKernelClient(connection_file=str(connection_file))
        self._client.load_connection_file()
        self._client.start_channels(iopub=False, stdin=False, hb=False)
        self.errors: list[str] = []
        self._idle: set[str] = set()
        self._closing = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="iopub", daemon=True)
        self._listener.start()
        self._wait_until_heard()

    # -- what the kernel publishes

    def _listen(self) -> None:
        """Read the headers of all published messages, and the content of errors only: image frames are never parsed."""
        info = self._client.get_connection_info()
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            socket.linger = 0
            socket.connect(f"{info['transport']}://{info['ip']}:{info['iopub_port']}")
            socket.subscribe(b"")
            while not self._closing.is_set():
                if not socket.poll(50):
                    continue
                frames = socket.recv_multipart()
                if b"<IDS|MSG>" not in frames:
                    continue
                header, parent, _, content = frames[frames.index(b"<IDS|MSG>") + 2 :][:4]
                self._hear(json.loads(header)["msg_type"], json.loads(parent).get("msg_id", ""), content)

    def _hear(self, kind: str, parent: str, content: bytes) -> None:
        if kind == "error":
            error = json.loads(content)
            self.errors.append(f"kernel: {error['ename']}: {error['evalue']}")
        elif kind == "stream":
            self._hear_stream(**json.loads(content))
        elif kind == "status" and b"idle" in content:
            self._idle.add(parent)

    def _hear_stream(self, name: str, text: str) -> None:
        """An exception that ends a thread is only printed, perhaps in several pieces."""
        if self.errors and self.errors[-1].startswith(PRINTED):
            self.errors[-1] += text
        elif name == "stderr" and ("Traceback (most recent" in text or "Exception in thread" in text):
            self.errors.append(PRINTED + text)

    def _wait_until_heard(self, timeout: float = 30) -> None:
        """A subscription takes a moment to reach the kernel: ask until an answer is heard."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            asked = self._client.kernel_info()
            if self.until(functools.partial(self._idle.__contains__, asked), 1):
                self._reply(asked, timeout)
                return
        raise TimeoutError(f"the kernel was not heard within {timeout} s")

    @staticmethod
    def until(condition: Callable[[], object], timeout: float) -> bool:
        """Whether the condition came true within `timeout` seconds."""
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    # -- what the kernel is asked

    def _reply(self, message_id: str, timeout: float) -> dict[str, Any]:
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            if self._client.shell_channel.socket.poll(int(left * 1000)):
                reply = self._client.get_shell_msg(timeout=5)
                if reply["parent_header"].get("msg_id") == message_id:
                    return reply["content"]
        raise TimeoutError(f"no reply from the kernel within {timeout} s; is a cell still running?")

    def send_code(self, code: str) -> str:
        """Send a cell without waiting for it; `wait_for_cell` does."""
        # a cell that fails must not take what is asked next with it
        return self._client.execute(code, allow_stdin=False, stop_on_error=False)

    def wait_for_cell(self, message_id: str, timeout: float = 60) -> None:
        """Wait for a cell that `send_code` sent, and raise what it raised."""
        reply = self._reply(message_id, timeout)
        if reply["status"] != "ok":
            raise RuntimeError("\n".join(reply.get("traceback", [str(reply)])))

    def execute(self, code: str, timeout: float = 60) -> None:
        """Run a cell to its end, and raise what it raised."""
        self.wait_for_cell(self.send_code(code), timeout)

    run = execute

    def eval(self, expression: str, timeout: float = 30) -> Any:
        """Value of an expression in the kernel; it must be of what JSON knows."""
        asked = self._client.execute(
            "",
            user_expressions={"value": f"__import__('json').dumps({expression})"},
            silent=True,
            store_history=False,
            allow_stdin=False,
            stop_on_error=False,
        )
        value = self._reply(asked, timeout)["user_expressions"]["value"]
        if value["status"] != "ok":
            raise RuntimeError(f"{expression}: {value['ename']}: {value['evalue']}")
        return json.loads(ast.literal_eval(value["data"]["text/plain"]))

    def wait(self, expression: str, timeout: float = 20) -> Any:
        """Ask until the expression is true; its value."""
        end = time.monotonic() + timeout
        while not (value := self.eval(expression)):
            if time.monotonic() > end:
                raise TimeoutError(f"not true within {timeout} s in the kernel: {expression}")
            time.sleep(0.02)
        return value

    # -- comm messages

    def features(self) -> list[str]:
        """What the kernel says it supports, such as ``kernel subshells`` (ipykernel >= 7)."""
        return self._reply(self._client.kernel_info(), 30).get("supported_features", [])

    def create_subshell(self) -> str | None:
        """Identifier of a new subshell, as JupyterLab makes one for the comms; None where the kernel has none."""
        if "kernel subshells" not in self.features():
            return None
        message = self._client.session.msg("create_subshell_request", {})
        self._client.control_channel.send(message)
        while True:
            reply = self._client.get_control_msg(timeout=10)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return reply["content"]["subshell_id"]

    def comm_msg(self, comm_id: str, data: Mapping[str, Any], *, subshell: str | None = None) -> str:
        """Send `data` to a comm without waiting; to the subshell, if one is named. Identifier of the message."""
        message = self._client.session.msg("comm_msg", {"comm_id": comm_id, "data": dict(data)})
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self._client.shell_channel.send(message)
        return message["header"]["msg_id"]

    def close(self) -> None:
        """Stop listening; the kernel runs on."""
        self._closing.set()
        self._listener.join(5)
        self._client.stop_channels()

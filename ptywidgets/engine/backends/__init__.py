"""One seam between the physics and the machine: a dozen operations, done by the CPU or by a GPU.

Models, losses, algorithms and constraints are written once, against :class:`ptywidgets.engine.protocols.Backend`. The
backend decides in what portions positions are worked through, on how many threads, and where arrays live. Copies
between host and device are announced in the name: ``to_device``, ``to_numpy``.
"""

from __future__ import annotations

from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.errors import ParameterError, unknown_name
from ptywidgets.engine.protocols import Backend

__all__ = ["CpuBackend", "available_devices", "get_backend"]


def get_backend(device: str = "cpu") -> Backend:
    """The backend of a device.

    Parameters
    ----------
    device : {"cpu", "gpu"}
        Where the arrays live and the work is done.

    Raises
    ------
    ParameterError
        When the device is unknown, or "gpu" is asked for where cupy finds none.

    Examples
    --------
    >>> get_backend("cpu").name
    'cpu'
    """
    if device == "cpu":
        return CpuBackend()
    if device == "gpu":
        from ptywidgets.engine.backends import gpu

        backend = gpu.find()
        if backend is None:
            raise ParameterError(
                "device is 'gpu' but cupy finds no GPU here; "
                "install ptywidgets[gpu] on a machine with one, or use device='cpu'."
            )
        return backend
    raise unknown_name("device", device, ["cpu", "gpu"])


def available_devices() -> tuple[str, ...]:
    """Names of the devices that :func:`get_backend` can give on this machine.

    Examples
    --------
    >>> "cpu" in available_devices()
    True
    """
    from ptywidgets.engine.backends import gpu

    return ("cpu", "gpu") if gpu.find() is not None else ("cpu",)

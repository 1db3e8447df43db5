"""One seam between the physics and the machine: a dozen operations, done by the CPU or by a GPU.

Models, losses, algorithms and constraints are written once, against
:class:`ptywidgets.engine.core.protocols.Backend`. The backend decides in what chunks positions are worked through,
on how many threads, and where arrays live. Copies between host and device are announced in the name: ``to_device``,
``to_numpy``.
"""

from __future__ import annotations

from ptywidgets.engine.backends import gpu
from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.core.errors import ParameterError, look_up
from ptywidgets.engine.core.protocols import Backend

DEVICES = ("cpu", "gpu")

__all__ = ["DEVICES", "CpuBackend", "available_devices", "checked_device", "get_backend"]


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
    if look_up("device", device, DEVICES) == "cpu":
        return CpuBackend()
    backend = gpu.find()
    if backend is None:
        raise ParameterError(
            "device is 'gpu' but cupy finds no GPU here; "
            "install ptywidgets[gpu] on a machine with one, or use device='cpu'."
        )
    return backend


def checked_device(device: str) -> str:
    """The device's name as :func:`get_backend` knows it; the same errors as there.

    Examples
    --------
    >>> checked_device("CPU")
    'cpu'
    """
    return get_backend(device).name


def available_devices() -> tuple[str, ...]:
    """Names of the devices that :func:`get_backend` can give on this machine.

    Examples
    --------
    >>> "cpu" in available_devices()
    True
    """
    return ("cpu", "gpu") if gpu.find() is not None else ("cpu",)

"""Arrays behind a wall, as those of a GPU are: numpy's own, but nothing gets in or out unasked.

What holds for cupy holds here: a numpy array neither mixes with one nor takes one in, except as an index, and only
``get`` brings one back. So array code that forgets on which side it is fails without a GPU, too.
"""

from typing import Any

import numpy as np

FROM_HOST = {"asarray", "array", "ascontiguousarray"}  # take a numpy array to the device


class WalledArray(np.lib.mixins.NDArrayOperatorsMixin):
    """One array on the device."""

    def __init__(self, host: np.ndarray) -> None:
        object.__setattr__(self, "host", host)

    def get(self) -> np.ndarray:
        return self.host.copy()

    def __array__(self, *_args: Any, **_kwargs: Any) -> np.ndarray:
        raise TypeError("implicit conversion to a numpy array")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return wrapped(getattr(ufunc, method)(*bare(inputs), **bare(kwargs)), kwargs.get("out"))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(function(*bare(args), **bare(kwargs)), kwargs.get("out"))

    def __getitem__(self, index: Any) -> Any:
        return wrapped(self.host[opened(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self.host[opened(index)] = bare(value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # such as __array_interface__, a door in the wall
            raise AttributeError(name)
        value = getattr(self.host, name)
        if not callable(value):
            return wrapped(value)
        return lambda *args, **kwargs: wrapped(value(*bare(args), **bare(kwargs)), kwargs.get("out"))

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.host, name, bare(value))

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self.host)))

    def __bool__(self) -> bool:
        return bool(self.host)

    def __int__(self) -> int:
        return int(self.host)

    def __index__(self) -> int:
        return self.host.__index__()

    def __float__(self) -> float:
        return float(self.host)

    def __complex__(self) -> complex:
        return complex(self.host)

    def item(self, *args: Any) -> Any:
        return self.host.item(*args)

    def tolist(self) -> Any:
        return self.host.tolist()

    def __deepcopy__(self, memo: Any) -> "WalledArray":
        return WalledArray(self.host.copy())


class WalledModule:
    """numpy, with walled arrays for its own."""

    def __init__(self, module: Any = np) -> None:
        self.module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.module, name)
        if isinstance(value, type(np)):
            return WalledModule(value)
        if isinstance(value, type) or not callable(value):
            return value
        enter = opened if name in FROM_HOST else bare

        def function(*args: Any, **kwargs: Any) -> Any:
            return wrapped(value(*enter(args), **enter(kwargs)), kwargs.get("out"))

        return function


def opened(values: Any) -> Any:
    """Walled arrays as numpy's; numpy's own pass."""
    if isinstance(values, WalledArray):
        return values.host
    if isinstance(values, (tuple, list)):
        return type(values)(opened(value) for value in values)
    if isinstance(values, dict):
        return {name: opened(value) for name, value in values.items()}
    return values


def bare(values: Any) -> Any:
    """Walled arrays as numpy's; one of numpy's own is an error."""
    if isinstance(values, np.ndarray):
        raise TypeError(f"a numpy array {values.shape} of {values.dtype} among arrays of the device")
    if isinstance(values, (tuple, list)):
        return type(values)(bare(value) for value in values)
    if isinstance(values, dict):
        return {name: bare(value) for name, value in values.items()}
    return opened(values)


def wrapped(value: Any, out: Any = None) -> Any:
    """numpy's arrays and single numbers as walled arrays."""
    if out is not None:
        return out[0] if isinstance(out, tuple) and len(out) == 1 else out
    if isinstance(value, (tuple, list)):
        return type(value)(wrapped(v) for v in value)
    if isinstance(value, np.ndarray):
        return WalledArray(value)
    if isinstance(value, np.generic):  # a single number stays there, too
        return WalledArray(np.asarray(value))
    return value


def add_at(array: Any, index: Any, values: Any) -> None:
    """As ``cupyx.scatter_add``."""
    np.add.at(array.host, opened(index), bare(values))

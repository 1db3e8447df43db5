"""Frames for the browser: arrays as small integers, and the channel that never lets a queue of them grow.

A *frame* is a header (plain numbers, JSON) and one buffer. Values are quantised to uint8 (live) or uint16 (still)
between ``lo`` and ``hi``; integers that fit are sent exactly. A complex frame is an amplitude plane, then a phase plane
of 256 steps from -pi. Colours are made in the browser (``js/lib/paint.ts``), by the same rules in ``png.py``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError


@dataclass(frozen=True)
class Frame:
    """One image as it is sent: an owned copy, whatever happens to the array it was made of."""

    shape: tuple[int, int]  # rows, columns of the codes
    full: tuple[int, int]  # rows, columns of the image they stand for
    dtype: str  # uint8 | uint16
    kind: str  # scalar | complex
    lo: float  # value of the lowest code
    hi: float  # value of the highest code
    missing: bool  # code 0 means "no value": NaN or infinite
    fixed: bool  # lo and hi are wanted as limits of contrast
    data: bytes

    def header(self, seq: int) -> dict[str, Any]:
        """The frame without its bytes, as JSON."""
        return {
            "type": "frame", "seq": seq, "shape": list(self.shape), "full": list(self.full), "dtype": self.dtype,
            "kind": self.kind, "lo": self.lo, "hi": self.hi, "missing": self.missing, "fixed": self.fixed,
        }  # fmt: skip

    @property
    def codes(self) -> np.ndarray:
        """The codes ``(H, W)`` of a scalar image or of the amplitude."""
        return np.frombuffer(self.data, self.dtype, self.shape[0] * self.shape[1]).reshape(self.shape)

    @property
    def values(self) -> np.ndarray:
        """What the codes stand for ``(H, W)`` float64; NaN where there is no value."""
        first = int(self.missing)
        steps = np.iinfo(self.dtype).max - first
        values = self.lo + (self.codes.astype(float) - first) / steps * (self.hi - self.lo)
        return np.where(self.codes < first, np.nan, values) if self.missing else values

    @property
    def phase_codes(self) -> np.ndarray:
        """The phase of a complex image ``(H, W)`` uint8, 256 steps from -pi."""
        return np.frombuffer(self.data, np.uint8)[-self.shape[0] * self.shape[1] :].reshape(self.shape)


def quantise(
    array: Any, *, fine: bool = True, lo: float | None = None, hi: float | None = None, side: int = 2048
) -> Frame:
    """Make the frame of an image.

    Parameters
    ----------
    array : (H, W) array
        Real, integer, bool or complex; a copy is made.
    fine : bool
        65536 steps rather than 256. A complex image has 256 in any case.
    lo, hi : float, optional
        Values of the lowest and highest code, and then the limits of contrast; default: the extremes of the array.
    side : int
        A longer side is reduced by averaging whole blocks of pixels.

    Examples
    --------
    >>> frame = quantise(np.array([[0.0, 1.0], [2.0, np.nan]]), fine=False)
    >>> frame.lo, frame.hi, frame.codes.tolist()
    (0.0, 2.0, [[1, 128], [255, 0]])
    """
    image = np.asarray(array)
    if image.ndim != 2 or image.size == 0 or image.dtype.kind not in "biufc":
        raise DataError(
            f"an image is a 2-D array of numbers, got shape {image.shape} of {image.dtype}; "
            "pass one image of it, such as array[i], or a sum over axes."
        )
    full = (int(image.shape[0]), int(image.shape[1]))
    image = reduced(image, side)
    shape = (int(image.shape[0]), int(image.shape[1]))
    fixed = lo is not None and hi is not None
    if image.dtype.kind == "c":
        amplitude, steps = np.abs(image), np.round((np.angle(image) + np.pi) / (2 * np.pi) * 256)
        codes, low, high, missing = _codes(amplitude, False, 0.0 if lo is None else lo, hi)
        phase = (np.nan_to_num(steps).astype(np.int64) & 255).astype(np.uint8)
        return Frame(shape, full, "uint8", "complex", low, high, missing, fixed, codes.tobytes() + phase.tobytes())
    codes, low, high, missing = _codes(image, fine, lo, hi)
    return Frame(shape, full, codes.dtype.name, "scalar", low, high, missing, fixed, codes.tobytes())


def _codes(image: np.ndarray, fine: bool, lo: float | None, hi: float | None) -> tuple[np.ndarray, float, float, bool]:
    """Codes, the values of the lowest and highest of them, and whether code 0 means that there is no value."""
    if image.dtype.kind in "biu" and lo is None and hi is None:
        least, most = int(image.min()), int(image.max())
        for dtype in (np.uint8, np.uint16):
            top = int(np.iinfo(dtype).max)
            if most - least <= top and (fine or dtype is np.uint8):  # whole numbers are sent as they are
                return (image.astype(np.int64) - least).astype(dtype), float(least), float(least + top), False
    values = image.astype(np.float64, copy=False)
    good = np.isfinite(values)
    missing = not good.all()
    some = values[good] if missing else values
    low = float(lo) if lo is not None else float(some.min()) if some.size else 0.0
    high = float(hi) if hi is not None else float(some.max()) if some.size else 0.0
    dtype = np.uint16 if fine else np.uint8
    first = int(missing)
    steps = int(np.iinfo(dtype).max) - first
    scale = steps / (high - low) if high > low else 0.0
    codes = np.clip((np.where(good, values, low) - low) * scale, 0, steps)
    return np.where(good, np.rint(codes) + first, 0).astype(dtype), low, high, missing


def reduced(image: np.ndarray, side: int) -> np.ndarray:
    """The image with its longer side at most ``side`` px, averaged over whole blocks (the last ones may be smaller)."""
    step = -(-max(image.shape) // side)
    if step <= 1:
        return image
    wide = image.astype(np.complex128 if image.dtype.kind == "c" else np.float64)
    for axis in (0, 1):
        starts = np.arange(0, wide.shape[axis], step)
        sizes = np.diff(np.append(starts, wide.shape[axis]))
        wide = np.add.reduceat(wide, starts, axis) / (sizes[:, None] if axis == 0 else sizes)
    return wide


class FrameChannel:
    """The newest frame, sent when the browser is ready for it.

    At most one frame is unacknowledged; of the frames that come meanwhile only the newest is kept and goes out upon the
    acknowledgement. A page that does not answer for ``patience`` seconds is sent the next frame anyway, so a closed tab
    cannot stop a stream. Safe to call from any thread; ``send(header, data)`` is called with no lock held.

    Examples
    --------
    >>> sent = []
    >>> box = FrameChannel(lambda header, data: sent.append(header["seq"]))
    >>> for _ in range(3):
    ...     seq = box.post(quantise(np.eye(2)))
    >>> sent                      # the first is out, unacknowledged; of the others the newest waits
    [1]
    >>> box.acknowledge(1)
    >>> sent
    [1, 3]
    """

    def __init__(
        self,
        send: Callable[[dict[str, Any], bytes], None],
        patience: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._latest: tuple[int, Frame] | None = None
        self._seq = 0
        self._sent = 0  # newest number that went out
        self._waiting = False  # for the acknowledgement of `_sent`
        self._sent_at = 0.0
        self._closed = False

    @property
    def latest(self) -> tuple[int, Frame] | None:
        """The newest frame and its number."""
        return self._latest

    def number(self, frame: Frame) -> int:
        """Make ``frame`` the newest without sending it (it travels by another way)."""
        with self._lock:
            self._seq += 1
            self._latest = (self._seq, frame)
            self._sent, self._waiting = self._seq, False
            return self._seq

    def post(self, frame: Frame) -> int:
        """Send ``frame`` now or upon the acknowledgement of the one before; returns its number."""
        with self._lock:
            self._seq += 1
            seq = self._seq
            self._latest = (seq, frame)
            out = None if self._patient() else self._take()
        self._deliver(out)
        return seq

    def acknowledge(self, seq: int) -> None:
        """The browser has painted frame ``seq`` (or a newer one); several views may say so."""
        with self._lock:
            if seq >= self._sent:
                self._waiting = False
            out = self._take() if not self._waiting and self._latest and self._latest[0] > self._sent else None
        self._deliver(out)

    def pull(self, have: int) -> None:
        """The browser has frame ``have`` and asks for a newer one."""
        with self._lock:
            newer = self._latest is not None and self._latest[0] > have
            underway = self._latest is not None and self._latest[0] == self._sent and self._patient()
            out = self._take() if newer and not underway else None
        self._deliver(out)

    def settle(self) -> None:
        """No further frame comes: the newest goes out now if it has not yet."""
        with self._lock:
            out = self._take() if self._latest and self._latest[0] > self._sent else None
        self._deliver(out)

    def close(self) -> None:
        """Send nothing any more."""
        with self._lock:
            self._closed = True

    def _patient(self) -> bool:
        return self._waiting and self._clock() - self._sent_at < self._patience

    def _take(self) -> tuple[int, Frame] | None:
        if self._latest is None or self._closed:
            return None
        self._sent, self._waiting, self._sent_at = self._latest[0], True, self._clock()
        return self._latest

    def _deliver(self, out: tuple[int, Frame] | None) -> None:
        if out is not None:
            seq, frame = out
            self._send(frame.header(seq), frame.data)

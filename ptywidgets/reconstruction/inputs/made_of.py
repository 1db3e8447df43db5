"""What a result was made of: it stays so when something else is set afterwards, in copies and in files, too.

And whether what is set is something else: a value that says the same as the one that stands changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from traitlets import Instance

from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import Measurement, Preparation, wrapped_angle
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.solve.given import Given
from ptywidgets.reconstruction.inputs.tilt_series_data import TiltSeriesData

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction


@dataclass(frozen=True, eq=False)
class MadeOf:
    """All that a problem, and with it a state, is made of.

    Parameters
    ----------
    dataset : Dataset
        Of a series the one that was looked at.
    views : TiltSeriesData or None
    measurements : tuple of Measurement
        One for each view.
    preparation : Preparation
        As it was asked for.
    optics : Optics
    given : Given or None
        A known probe or object that it began with.
    model : ModelConfig
    object_type : str
    """

    dataset: Dataset
    views: TiltSeriesData | None
    measurements: tuple[Measurement, ...]
    preparation: Preparation
    optics: Optics
    given: Given | None
    model: ModelConfig
    object_type: str

    @classmethod
    def now(cls, recon: Reconstruction) -> MadeOf:
        """What is set now; data that are not prepared yet are prepared."""
        measurements = recon._inputs.measurements
        return cls(
            recon._inputs.data(),
            recon.views,
            measurements,
            recon.preparation,
            recon.optics,
            recon.given,
            recon.model,
            recon.object_type,
        )

    @property
    def measurement(self) -> Measurement:
        """That of the one view, or of the tilt that was looked at."""
        number = None if self.views is None else self.views.number(self.dataset)
        return self.measurements[number or 0]

    def is_set_in(self, recon: Reconstruction) -> bool:
        """Whether data, optics and what is given are still these; model and object type go on with the same state."""
        if self.given is not recon.given or self.views is not recon.views:
            return False
        if self.views is not None:  # data and optics of one's own are those of the tilt that is looked at
            return bool(self.views.optics) or self.optics is recon.optics
        here = (self.dataset, self.measurement, self.optics)
        return all(a is b for a, b in zip(here, (recon.dataset, recon.measurement, recon.optics), strict=True))

    def differs(self, recon: Reconstruction) -> str:
        """What it is made of that is not set now, in words, such as "other data (ducky tiny)"."""
        here, there = _datasets(recon), _datasets(self)
        if len(here) != len(there) or not all(map(_is_data, here, there)):
            if self.views is not None:
                return f"other data ({self.views})"
            name = there[0].name or "without a name"
            alike_named = any(one.name == there[0].name for one in here)
            return f"other data ({name}{' of {} x {} patterns'.format(*there[0].scan_shape) if alike_named else ''})"
        parts = []
        if any(one.calibration != other.calibration for one, other in zip(here, there, strict=True)):
            parts.append("another calibration")
        masks = [[(one.mask, one.scan_mask) for one in several] for several in (here, there)]
        if not alike(masks[0], masks[1]):
            parts.append("other masks")
        now, number = recon.measurement, 0 if recon.views is None else recon.views.number(recon.dataset) or 0
        before = self.measurements[number]
        turned = self.preparation != recon.preparation if now is None else not _same_reading(before, now)
        if turned and not parts:  # with another calibration or mask it is another measurement anyway
            parts.append("another preparation")
        if not alike(_lenses(self), _lenses(recon)):
            parts.append("other optics")
        if not alike(self.given, recon.given):
            parts.append("another beginning")
        return " and ".join(parts) or "other settings"

    def with_model(self, model: ModelConfig, object_type: str) -> MadeOf:
        """The same data, of another model."""
        return replace(self, model=model, object_type=object_type)


def alike(one: Any, other: Any, leaving_out: Collection[str] = ()) -> bool:
    """Whether two values say the same: fields of dataclasses and arrays one by one.

    Patterns are the same only where they lie in the same memory, since to compare them is as much work as to read them.

    Parameters
    ----------
    one, other : object
    leaving_out : collection of str
        Fields of these two that do not count.

    Examples
    --------
    >>> lens = Optics(semiangle=20, vacuum=np.ones((4, 4)))
    >>> alike(lens, lens.replace(vacuum=np.ones((4, 4)))), alike(lens, lens.replace(semiangle=21))
    (True, False)
    """
    if one is other:
        return True
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.shape == other.shape and np.array_equal(
            one, other, equal_nan=one.dtype.kind == other.dtype.kind == "f"
        )
    if type(one) is not type(other):
        return False
    if is_dataclass(one):
        names = [field.name for field in fields(one) if field.name not in leaving_out]
        return all(
            (_same_memory if name in MEMORY else alike)(getattr(one, name), getattr(other, name)) for name in names
        )
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other)


class Stands(Instance):  # type: ignore[type-arg]  # traitlets 5.9 cannot subscript it at run time
    """A trait that keeps the value that stands, where another object that says the same is set.

    Data are taken all the same, as whoever sets them with a calibration has given it; those of a series stay in it.
    """

    def validate(self, obj: Any, value: Any) -> Any:
        value, stands = super().validate(obj, value), obj._trait_values.get(self.name)
        taken = self.name == "dataset" and obj.views is None
        return stands if not taken and alike(stands, value) else value


def makes_no_difference(name: str, old: Any, new: Any, measurement: Measurement | None) -> bool:
    """Whether a result of what stood is a result of what was set, too; `measurement` is that in use."""
    if old is None or new is None:
        return old is new
    if name == "preparation":
        return _asks_for_the_same(old, new, measurement)
    return alike(old, new, OF_NO_RESULT.get(name, ()))


MEMORY = ("data", "counts")  # fields with all patterns
OF_NO_RESULT = {  # fields on which no result depends
    "dataset": ("name", "path", "metadata", "source", "files"),
    "measurement": ("preparation", "rotation_fit", "notes"),
}


def _asks_for_the_same(old: Preparation, new: Preparation, measurement: Measurement | None) -> bool:
    """Whether another preparation asks for what is in use: it may say what has been found."""
    if old == new or measurement is None:
        return old == new
    free: dict[str, Any] = {"rotation": None, "transpose": None, "flip": False}
    if old.replace(**free) != new.replace(**free) or (old.flip != new.flip and new.rotation is None):
        return False
    turned = new.rotation is not None and abs(wrapped_angle(new.rotation - measurement.rotation)) < 1e-9
    read = new.transpose is not None and new.transpose == measurement.transpose
    return (turned or new.rotation == old.rotation) and (read or new.transpose == old.transpose)


def _same_memory(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if not (isinstance(one, np.ndarray) and isinstance(other, np.ndarray)):
        return False
    where = [(a.ctypes.data, a.shape, a.strides, a.dtype) for a in (one, other)]
    return where[0] == where[1]


def _is_data(one: Dataset, other: Dataset) -> bool:
    """Whether two data sets have the same patterns, which may have been read from their file twice."""
    here, there = ((d.source.path, d.source.dataset, d.source.operations, d.shape) for d in (one, other))
    return _same_memory(one.data, other.data) or (bool(one.source.path) and here == there)


def _datasets(of: Any) -> tuple[Dataset, ...]:
    """The data of all tilts, or those of the one view."""
    if of.views is not None:
        return tuple(of.views.datasets)
    return () if of.dataset is None else (of.dataset,)


def _lenses(of: Any) -> tuple[Optics, ...]:
    """The optics of all tilts, where each has its own, or those that are of all."""
    return tuple(of.views.optics) if of.views is not None and of.views.optics else (of.optics,)


def _same_reading(one: Measurement, other: Measurement) -> bool:
    return (one.rotation, one.transpose, one.sampling) == (other.rotation, other.transpose, other.sampling) and alike(
        one.origin, other.origin
    )


__all__ = ["MadeOf", "Stands", "alike", "makes_no_difference"]

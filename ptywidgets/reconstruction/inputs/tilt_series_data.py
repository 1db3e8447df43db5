"""The data sets of one tilt series, each with its tilt."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io.growing.stack import growing_scan
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.tomography.tilt import Tilt


@dataclass(frozen=True, eq=False)
class TiltSeriesData:
    """What is seen of one volume: data sets, tilts, and where they differ the optics.

    Parameters
    ----------
    datasets : sequence of Dataset
        One for each tilt.
    tilts : sequence of Tilt, float or ndarray (3, 3)
        Numbers are degrees about the columns' axis; see :class:`ptywidgets.engine.tomography.Tilt`.
    optics : sequence of Optics
        One for each tilt; empty where one does for all.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> views = TiltSeriesData([samples.ducky("tiny")] * 3, [-30, 0, 30])
    >>> views
    3 tilts from -30° to 30°
    >>> TiltSeriesData([samples.ducky("tiny")], [])
    Traceback (most recent call last):
    ...
    ptywidgets.engine.core.errors.ParameterError: 1 data sets but 0 tilts; give one tilt for each: tilts=[-60, ..., 60].
    """

    datasets: tuple[Dataset, ...]
    tilts: tuple[Tilt, ...]
    optics: tuple[Optics, ...] = ()

    def __post_init__(self) -> None:
        for name, example in (("datasets", "[first, second]"), ("optics", "[optics, optics]"), ("tilts", "[-60, 60]")):
            object.__setattr__(self, name, _several(name, getattr(self, name), example))
        object.__setattr__(self, "tilts", tuple(Tilt.of(tilt) for tilt in self.tilts))
        count = len(self.datasets)
        for one in self.datasets:
            if not isinstance(one, Dataset):
                raise DataError(f"a view is a {type(one).__name__}; expected a Dataset: ptywidgets.read(path).")
            scan = growing_scan(one.data)
            if scan is not None and not (scan.complete and one.scan_mask is None):
                raise DataError(
                    f"{one.name or 'a view'} is still being written ({scan.words} are there), and a tilt series is not "
                    "followed: wait until it is complete, Follower(dataset).wait(), or open it without follow."
                )
        if not count or len(self.tilts) != count:
            raise ParameterError(
                f"{count} data sets but {len(self.tilts)} tilts; give one tilt for each: tilts=[-60, ..., 60]."
            )
        if len(self.optics) not in (0, count):
            raise ParameterError(f"{len(self.optics)} optics but {count} tilts; give one for all, or one for each.")

    def __len__(self) -> int:
        return len(self.datasets)

    def number(self, dataset: Dataset | None) -> int | None:
        """Which view a data set is; None for another one."""
        return next((n for n, one in enumerate(self.datasets) if one is dataset), None)

    def with_calibration(self, **changes: Any) -> TiltSeriesData:
        """The same with other numbers in the calibration of every view."""
        return replace(self, datasets=tuple(one.with_calibration(**changes) for one in self.datasets))

    def __repr__(self) -> str:
        return f"{len(self)} tilts {_range_words(self.tilts)}"


def views_and_optics(
    dataset: Any, views: TiltSeriesData | None, tilts: Sequence[Any] | None, optics: Any, defocus: float | None
) -> tuple[TiltSeriesData | None, Dataset | None, Optics | None]:
    """What a reconstruction is made from: the series, if it is one, the data to look at first, and their optics."""
    _check_data(dataset)
    if not (views is None or isinstance(views, TiltSeriesData)):
        raise ParameterError(
            f"views is {views!r:.80}; expected a TiltSeriesData(datasets, tilts), or give data and tilts: "
            "Reconstruction([first, second], tilts=[-60, 60])."
        )
    each = tuple(optics) if isinstance(optics, Sequence) else ()
    if tilts is not None or isinstance(dataset, Sequence):
        several: Any = tuple(dataset) if isinstance(dataset, Sequence) else (dataset,)
        views = TiltSeriesData(several, () if tilts is None else _several("tilts", tilts, "[-60, 60]"), each)
    if views is not None and views.optics:
        if defocus is not None:
            raise ParameterError("defocus is for all tilts, but each has optics of its own; leave one of them out.")
        return views, views.datasets[0], views.optics[0]
    if each:
        raise ParameterError(f"{len(each)} optics are given but one data set; expected one Optics.")
    return views, dataset if views is None else views.datasets[0], optics


def _several(name: str, values: Any, example: str) -> tuple[Any, ...]:
    if (
        isinstance(values, (str, bytes, Mapping, Set))
        or not isinstance(values, Iterable)
        or getattr(values, "ndim", 1) == 0
    ):
        raise ParameterError(f"{name} is {values!r:.80}; expected one for each tilt, such as {name}={example}.")
    return tuple(values)


def _check_data(dataset: Any) -> None:
    """Refuse what is no data set, with the way to make one of it."""
    if isinstance(dataset, (str, bytes, os.PathLike)):
        raise ParameterError(f"a path is opened: Reconstruction.open({os.fspath(dataset)!r}).")
    if dataset is None or isinstance(dataset, (Dataset, Sequence)):
        return
    kind = type(dataset).__name__
    raise ParameterError(
        f"the data are {'an' if kind[0] in 'aeiou' else 'a'} {kind}; expected a Dataset: "
        "Dataset(array, Calibration(energy=..., scan_step=..., q_pixel=...)), or Reconstruction.open(path)."
    )


def tilt_text(tilt: Tilt) -> str:
    """A tilt in degrees; the axes are named where it is not about the columns' axis alone.

    Examples
    --------
    >>> tilt_text(Tilt(x=-24)), tilt_text(Tilt(x=3.5, y=10)), tilt_text(Tilt())
    ('−24°', 'x 3.5°, y 10°', '0°')
    """
    if not (tilt.y or tilt.z):
        return _degrees(tilt.x)
    return ", ".join(f"{axis} {_degrees(getattr(tilt, axis))}" for axis in "xyz" if getattr(tilt, axis))


def _range_words(tilts: Sequence[Tilt]) -> str:
    """From where to where, for tilts about one axis.

    Examples
    --------
    >>> _range_words([Tilt(y=-60), Tilt(y=0), Tilt(y=60)]), _range_words([Tilt(x=3), Tilt(y=3)])
    ('from -60° to 60° about y', 'about several axes')
    """
    used = {axis for tilt in tilts for axis in "xyz" if getattr(tilt, axis)} or {"x"}
    if len(used) > 1:
        return "about several axes"
    axis = used.pop()
    angles = [getattr(tilt, axis) for tilt in tilts]
    return f"from {min(angles):g}° to {max(angles):g}°" + ("" if axis == "x" else f" about {axis}")


def _degrees(angle: float) -> str:
    return f"{round(angle, 2):g}°".replace("-", "−")


__all__ = ["TiltSeriesData", "tilt_text", "views_and_optics"]

"""Tilt series from a ModelConfig: what describes the model of one view describes that of a volume's views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.problem.problem import make_problem
from ptywidgets.engine.tomography.make import series_of
from ptywidgets.engine.tomography.series import TiltSeries


def check_series(config: ModelConfig, object_type: str = "potential") -> None:
    """Raise ParameterError for what lacks before a model can describe the views of a volume.

    Examples
    --------
    >>> check_series(ModelConfig(thickness=40))
    >>> check_series(ModelConfig())
    Traceback (most recent call last):
    ...
    ptywidgets.engine.core.errors.ParameterError: thickness is 0 A; give how deep the volume of the tilt series is.
    """
    if object_type != "potential":
        raise ParameterError(
            f'object_type is "{object_type}"; a tilt series has a "potential": phases add up along a beam in any '
            "direction, transmissions do not."
        )
    if config.thickness <= 0:
        raise ParameterError(f"thickness is {config.thickness:g} A; give how deep the volume of the tilt series is.")
    if config.object_modes > 1:
        raise ParameterError(
            f"object_modes is {config.object_modes}; they are states of the slices of one view, which a tilt "
            "series makes of its volume: expected 1. Thermal motion is fitted there as diffuse scattering."
        )
    config.check()


def compose_series(
    measurements: Sequence[Measurement],
    tilts: Sequence[Any],
    optics: Optics | Sequence[Optics],
    config: ModelConfig,
    *,
    object_type: str = "potential",
    device: str = "cpu",
    **options: Any,
) -> TiltSeries:
    """The series whose views have the model and the initial probe that a configuration describes.

    Parameters
    ----------
    measurements, tilts
        As of :func:`make_series`.
    optics : Optics or sequence of Optics
        One for all or one for each.
    config : ModelConfig
        Its `thickness` is the volume's depth, its `slices` are the super-slices of each view.
    object_type, device : str
    **options
        Of :func:`series_of`.

    Examples
    --------
    >>> from ptywidgets.testing.series import SERIES_OPTICS, dark_measurement
    >>> thick = ModelConfig(slices=2, thickness=8, modes=2)
    >>> series = compose_series([dark_measurement()] * 3, [-30, 0, 30], SERIES_OPTICS, thick)
    >>> series.object_shape, series.projections[0].slices, series.modes
    ((16, 29, 32), 2, 2)
    """
    check_series(config, object_type)
    each = list(optics) if isinstance(optics, Sequence) else [optics] * len(measurements)
    if len(each) != len(measurements):
        raise ParameterError(f"{len(each)} optics but {len(measurements)} tilts; give one for all, or one for each.")
    views = [
        make_problem(
            measurement,
            one,
            model=config.build(object_type, measurement),
            probe=config.initial_probe(one, measurement),
            device=device,
        )
        for measurement, one in zip(measurements, each, strict=True)
    ]
    return series_of(views, tilts, depth=config.thickness, **options)


__all__ = ["check_series", "compose_series"]

"""What a result was made of: it stays so when something else is set afterwards, in copies and in files, too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import Measurement, Preparation
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

    def with_model(self, model: ModelConfig, object_type: str) -> MadeOf:
        """The same data, of another model."""
        return replace(self, model=model, object_type=object_type)


__all__ = ["MadeOf"]

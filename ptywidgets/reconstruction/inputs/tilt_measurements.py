"""The measurements of a tilt series: each tilt is prepared when it is needed, as the one that was prepared last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptywidgets.engine.core.errors import PtyError
from ptywidgets.engine.preprocess import Measurement, Preparation, prepare, reorient

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction


class TiltMeasurements:
    """Prepared data of the tilts of a series, of which one says how the detector lies to the scan."""

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self.lead: Measurement | None = None  # prepared last: its rotation is that of all tilts
        self.prepared: dict[int, Measurement] = {}  # by the number of the tilt

    def forget(self) -> None:
        """Of another series, or of one that is prepared anew, nothing is known."""
        self.prepared, self.lead = {}, None

    def take(self, number: int, measurement: Measurement) -> None:
        """A tilt was prepared, and leads the others."""
        self.prepared[number] = self.lead = measurement

    def all(self) -> tuple[Measurement, ...]:
        """Those of all tilts; raises Halted where the run that needs them is to stop."""
        recon = self.recon
        assert recon.views is not None
        said = recon.message
        for number in range(len(recon.views)):
            recon._session.halt()
            if number not in self.prepared:
                recon.message = f"Preparing tilt {number + 1} of {len(recon.views)}."
            self.one(number)
        recon.message = said
        return tuple(self.prepared[number] for number in range(len(recon.views)))

    def one(self, number: int) -> Measurement:
        """One tilt, prepared as the leading one is, where it is not already."""
        views = self.recon.views
        assert views is not None and self.lead is not None
        dataset, lead, there = views.datasets[number], self.lead, self.prepared.get(number)
        if there is lead:
            return there
        wanted = lead.preparation.replace(rotation=lead.rotation, transpose=lead.transpose, flip=False)
        if there is None or there.calibration != dataset.calibration or not same_origin(there, wanted):
            try:
                there = prepare(dataset, wanted)
            except PtyError as error:
                raise error.about(f"tilt {number + 1}, {dataset.name or 'without a name'}") from error
        elif (there.rotation, there.transpose) != (lead.rotation, lead.transpose):
            there = reorient(there, wanted)
        self.prepared[number] = there
        return there


def same_origin(measurement: Measurement, preparation: Preparation) -> bool:
    """Whether a measurement's origin was fitted as a preparation asks for."""
    done = measurement.preparation
    return (done.origin, done.robust) == (preparation.origin, preparation.robust)


__all__ = ["TiltMeasurements", "same_origin"]

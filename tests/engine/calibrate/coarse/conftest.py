"""A thick crystal."""

import pytest

from ptywidgets.engine import Aberrations, Calibration, Optics, Preparation, prepare
from ptywidgets.engine.simulate import silicon_110, simulate_dataset

THICKNESS, DEFOCUS = 100.0, 180.0  # A


@pytest.fixture(scope="session")
def crystal():
    """Silicon, simulated in slices of 1.92 A, with the defocus counted from the entrance."""
    calibration = Calibration(energy=200e3, scan_step=0.9, q_pixel=1 / 15)
    optics = Optics(semiangle=24, rolloff=1.0, aberrations=Aberrations(defocus=DEFOCUS))
    atoms = silicon_110((28.0, 28.0), THICKNESS)
    made = simulate_dataset(atoms, calibration, optics, scan=(9, 9), detector=(72, 72), thickness=1.92)
    measurement = prepare(made.dataset, Preparation(rotation=0.0, transpose=False))
    return measurement, Optics.from_dataset(made.dataset)

"""Ground floor: the reconstruction engine. numpy, scipy and h5py; cupy in one place; never Jupyter.

The pieces in the order in which data pass through them: ``read`` a Dataset, ``prepare`` a Measurement, ``make_problem``
from it and the Optics, ``iterate`` it by a Plan.
"""

from __future__ import annotations

from ptywidgets.engine.aberrations import Aberrations
from ptywidgets.engine.algorithms import LSQML, PIE, Adam, ConjugateGradient, GradientDescent, Momentum, Projections
from ptywidgets.engine.backends import available_devices, get_backend
from ptywidgets.engine.composition import Composition
from ptywidgets.engine.dataset import Calibration, Dataset
from ptywidgets.engine.errors import (
    CalibrationError,
    DataError,
    DataWarning,
    FileFormatError,
    InsufficientData,
    ParameterError,
    PtyError,
)
from ptywidgets.engine.io import read, write
from ptywidgets.engine.iterate import iterate, steps
from ptywidgets.engine.models import Model, single_slice
from ptywidgets.engine.plan import Plan
from ptywidgets.engine.prepare import Measurement, Preparation, prepare
from ptywidgets.engine.probe import Optics, make_probe
from ptywidgets.engine.probe_report import probe_report
from ptywidgets.engine.problem import Problem, make_problem
from ptywidgets.engine.registry import register
from ptywidgets.engine.schedule import auto, auto_steps, for_auto, staged
from ptywidgets.engine.state import State

__all__ = [
    "LSQML",
    "PIE",
    "Aberrations",
    "Adam",
    "Calibration",
    "CalibrationError",
    "Composition",
    "ConjugateGradient",
    "DataError",
    "DataWarning",
    "Dataset",
    "FileFormatError",
    "GradientDescent",
    "InsufficientData",
    "Measurement",
    "Model",
    "Momentum",
    "Optics",
    "ParameterError",
    "Plan",
    "Preparation",
    "Problem",
    "Projections",
    "PtyError",
    "State",
    "auto",
    "auto_steps",
    "available_devices",
    "for_auto",
    "get_backend",
    "iterate",
    "make_probe",
    "make_problem",
    "prepare",
    "probe_report",
    "read",
    "register",
    "single_slice",
    "staged",
    "steps",
    "write",
]

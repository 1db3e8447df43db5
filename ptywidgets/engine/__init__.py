"""Ground floor: the reconstruction engine. numpy, scipy and h5py; cupy in one place; never Jupyter.

The pieces in the order in which data pass through them: ``read`` a Dataset, ``prepare`` a Measurement, ``make_problem``
from it and the Optics, ``iterate`` it by a Plan or ``reconstruct`` it by the automatic schedule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptywidgets._renamed import module_getattr
from ptywidgets.engine.algorithms import LSQML, PIE, Adam, ConjugateGradient, GradientDescent, Momentum, Projections
from ptywidgets.engine.backends import available_devices, get_backend
from ptywidgets.engine.core.errors import (
    CalibrationError,
    DataError,
    DataWarning,
    FileFormatError,
    InsufficientData,
    ParameterError,
    PtyError,
)
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.io import read, write
from ptywidgets.engine.models import Model, single_slice
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics, make_probe
from ptywidgets.engine.optics.probe_report import probe_report
from ptywidgets.engine.preprocess import Measurement, Preparation, prepare
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.problem.problem import Problem, make_problem
from ptywidgets.engine.solve.iterate import iterate, steps
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.engine.solve.registry import register
from ptywidgets.engine.solve.schedule import reconstruct

__all__ = [
    "LSQML",
    "PIE",
    "Aberrations",
    "Adam",
    "Calibration",
    "CalibrationError",
    "ConjugateGradient",
    "DataError",
    "DataWarning",
    "Dataset",
    "FileFormatError",
    "GradientDescent",
    "InsufficientData",
    "Measurement",
    "Model",
    "ModelConfig",
    "Momentum",
    "Optics",
    "ParameterError",
    "Plan",
    "Preparation",
    "Problem",
    "Projections",
    "PtyError",
    "State",
    "available_devices",
    "get_backend",
    "iterate",
    "make_probe",
    "make_problem",
    "prepare",
    "probe_report",
    "read",
    "reconstruct",
    "register",
    "single_slice",
    "steps",
    "write",
]

if not TYPE_CHECKING:  # where every name would be there
    __getattr__ = module_getattr(__name__)

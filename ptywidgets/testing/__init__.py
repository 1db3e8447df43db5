"""Contracts: test classes for whoever extends a seam of the engine.

A new model, constraint, algorithm, loss or backend inherits its whole suite. Subclass the contract in a test module and
give the fixture that it asks for; pytest does the rest::

    import pytest
    from ptywidgets.testing import ConstraintContract

    class TestMine(ConstraintContract):
        @pytest.fixture(params=[Mine(), Mine(strength=0.5)], ids=repr)
        def constraint(self, request):
            return request.param

Beside them there is data with truth: :func:`variant` simulates specimens of five classes by any microscope, and
:mod:`ptywidgets.testing.judging` says whether a start that was found from it is right.

Nothing here imports pytest, and nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ptywidgets.testing.cases import ModelCase, example_problem, model_case
    from ptywidgets.testing.contracts.algorithms import AlgorithmContract
    from ptywidgets.testing.contracts.backends import BackendContract
    from ptywidgets.testing.contracts.constraints import ConstraintContract
    from ptywidgets.testing.contracts.losses import LossContract
    from ptywidgets.testing.contracts.models import ModelContract
    from ptywidgets.testing.contracts.problems import ProblemContract
    from ptywidgets.testing.contracts.refinements import RefinementContract
    from ptywidgets.testing.exact import exact_problem
    from ptywidgets.testing.series import example_series
    from ptywidgets.testing.variants import Variant, variant

_HOMES = {
    "AlgorithmContract": "contracts.algorithms",
    "BackendContract": "contracts.backends",
    "ConstraintContract": "contracts.constraints",
    "LossContract": "contracts.losses",
    "ModelCase": "cases",
    "ModelContract": "contracts.models",
    "ProblemContract": "contracts.problems",
    "RefinementContract": "contracts.refinements",
    "Variant": "variants",
    "exact_problem": "exact",
    "example_problem": "cases",
    "example_series": "series",
    "model_case": "cases",
    "variant": "variants",
}
__all__ = [
    "AlgorithmContract",
    "BackendContract",
    "ConstraintContract",
    "LossContract",
    "ModelCase",
    "ModelContract",
    "ProblemContract",
    "RefinementContract",
    "Variant",
    "exact_problem",
    "example_problem",
    "example_series",
    "model_case",
    "variant",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ptywidgets.testing' has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(f"ptywidgets.testing.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

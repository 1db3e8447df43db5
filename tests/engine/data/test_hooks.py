"""What data sets ask for is there once the engine is, in whatever order its modules were imported."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest

from ptywidgets.engine.data.hooks import Question


@pytest.mark.parametrize("first", ["data.dataset", "data.source", "io", "preprocess", "data.hooks"])
def test_every_question_is_answered(first):
    code = f"import ptywidgets.engine.{first}\nfrom ptywidgets.engine.data.hooks import ask\n"
    code += "\n".join(f"assert callable(ask({question!r}))" for question in get_args(Question))
    subprocess.run([sys.executable, "-c", code], check=True)

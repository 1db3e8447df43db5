"""How many threads work: what the process may use, or what the environment says; the result is the same."""

import os
import subprocess
import sys

import pytest

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.workers import VARIABLE, usable_cores, worker_count

RUN = """
import hashlib, numpy as np
from ptywidgets import samples
from ptywidgets.engine.backends import get_backend
from ptywidgets.engine import Optics, Aberrations, direct, prepare
from ptywidgets.engine.core.workers import worker_count
data = samples.ducky("tiny")
measurement = prepare(data, rotation=-15)
optics = Optics(semiangle=20, aberrations=Aberrations(defocus=250))
image = direct.ssb(direct.bright_field(data, measurement), optics)
print(worker_count(), get_backend("cpu").threads, float(np.std(image.phase)))
"""


@pytest.mark.parametrize("text", ["0", "-2", "two", "1.5", "99999"])
def test_a_number_that_is_none_is_refused_by_name(text, monkeypatch):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ParameterError, match=f"{VARIABLE} is '{text}'; expected a whole number of threads"):
        worker_count()


def test_without_a_word_it_is_every_core_that_may_be_used(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert worker_count() == usable_cores() <= os.cpu_count()
    monkeypatch.setenv(VARIABLE, " 3 ")
    assert worker_count() == 3


def test_the_whole_engine_works_with_as_many_as_it_is_told():
    said = {}
    for count in ("1", "3"):
        run = subprocess.run(
            [sys.executable, "-c", RUN], env=os.environ | {VARIABLE: count}, capture_output=True, text=True, check=True
        )
        workers, threads, spread = run.stdout.split()
        assert (workers, threads) == (count, count)
        said[count] = float(spread)
    assert said["1"] == pytest.approx(said["3"], rel=1e-4)

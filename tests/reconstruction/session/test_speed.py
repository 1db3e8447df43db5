"""A run without the fast kernels says so, once, with the line that installs them."""

from __future__ import annotations

import sys

import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import Aberrations
from ptywidgets.engine.backends.kernels.kernels import compiled
from ptywidgets.engine.backends.speed import PACKAGES, slower
from ptywidgets.reconstruction.inputs import problem_maker


@pytest.fixture
def plain(monkeypatch):
    """A process without the packages that make it fast, which has said nothing of it yet."""
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)  # which is not found, and cannot be imported
    monkeypatch.setattr(problem_maker, "_SAID", set())


def run(device="cpu"):
    """What a reconstruction with a known start says in two runs of two iterations."""
    recon = Reconstruction(samples.ducky("tiny"), device=device)
    recon.prepare(rotation=-15.0, transpose=False)
    recon.optics = recon.optics.replace(aberrations=Aberrations(defocus=samples.ducky_defocus("tiny")))
    said = []
    recon.observe(lambda change: said.append(change["new"]), "message")
    recon.run(2).run(2)
    assert recon.iteration == 4
    return said


def test_it_is_said_once(plain, capfd):
    assert not compiled("auto")
    told = [words for words in (*run(), *run()) if "pip install" in words]
    assert len(told) == 1
    assert told[0].endswith(
        "Without numba and ducc0 this takes two to three times as long; "
        "to install them: pip install numba ducc0, then start Python anew."
    )
    assert capfd.readouterr() == ("", "")  # in the message of the run, and nowhere else


def test_only_what_is_missing_is_named(plain, monkeypatch):
    monkeypatch.delitem(sys.modules, "ducc0")
    pytest.importorskip("ducc0")
    assert "pip install numba," in slower() and "ducc0" not in slower()
    assert any(slower() in words for words in run())


def test_nothing_is_said_where_nothing_is_missing(monkeypatch):
    for name in PACKAGES:
        pytest.importorskip(name)
    monkeypatch.setattr(problem_maker, "_SAID", set())
    assert slower() == ""
    assert not any("pip install" in words for words in run())

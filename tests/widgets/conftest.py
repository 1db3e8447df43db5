"""A runner on the tiny duck, for the tests of what it shows."""

import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.widgets.run.reconstruction_runner import ReconstructionRunner


@pytest.fixture(scope="module")
def data():
    return samples.ducky("tiny")


@pytest.fixture
def recon(data):
    recon = Reconstruction(data, defocus=samples.ducky_defocus("tiny"))
    recon.prepare(rotation=-15.0, transpose=False)
    yield recon
    recon.stop()


@pytest.fixture
def runner(recon):
    runner = ReconstructionRunner(recon)
    yield runner
    runner.close()

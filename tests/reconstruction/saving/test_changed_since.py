"""What is saved after model, object type or data have been changed since the run: a file that loads and goes on."""

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import PtyError


@pytest.fixture(scope="module")
def data():
    return samples.ducky("tiny")


@pytest.mark.parametrize("first, then", [("potential", "complex"), ("complex", "potential")])
def test_a_change_of_the_object_type_is_saved_with_the_state_that_goes_with_it(data, tmp_path, first, then):
    """The file said complex, its state was float32, and going on wrote beyond the state's memory."""
    recon = Reconstruction(data, defocus=250, object_type=first).run(3)
    recon.object_type = then
    loaded = Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=data)
    assert loaded.object_type == then and (loaded.state.object.dtype.kind == "c") is (then == "complex")
    assert loaded.run(2).iteration == 5 and np.isfinite(loaded.object_phase).all()
    other = recon.copy().run(2)
    np.testing.assert_allclose(loaded.object_phase, other.object_phase, atol=1e-5)


@pytest.mark.parametrize("change", [{"slices": 3, "thickness": 20.0}, {"modes": 3}])
def test_so_is_a_change_of_the_model(data, tmp_path, change):
    recon = Reconstruction(data, defocus=250).run(3)
    recon.model = recon.model.replace(**change)
    loaded = Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=data).run(2)
    assert loaded.iteration == 5 and loaded.model == recon.model
    assert len(loaded.slices) == change.get("slices", 1) and len(loaded.modes) == change.get("modes", 1)


def test_a_result_of_other_positions_than_are_set_is_not_saved_as_theirs(data, tmp_path):
    recon = Reconstruction(data, defocus=250).run(2)
    recon.dataset = data.crop(scan=(0, 10, 0, 10))
    recon.prepare()
    with pytest.raises(PtyError, match="144 scan positions, and 100 are set now"):
        recon.save(tmp_path / "r.h5")
    recon.dataset = data
    recon.prepare()
    assert Reconstruction.load(recon.save(tmp_path / "r.h5"), dataset=data).iteration == 2

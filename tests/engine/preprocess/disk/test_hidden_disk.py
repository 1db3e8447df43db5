"""How much of the disk a mask hides, and what is said where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import ParameterError
from ptywidgets.engine.preprocess.disk.hidden_disk import HiddenDisk, hidden_disk, require_disk


@pytest.fixture(scope="module")
def half():
    duck = samples.ducky("tiny")
    return duck.with_mask(np.mgrid[:64, :64][1] >= 32)


def test_half_of_a_disk_is_half_of_it(half):
    assert hidden_disk(half).share == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("value", [0, 7])
def test_where_nothing_is_brighter_than_the_rest_none_of_a_disk_is_hidden(half, value):
    empty = replace(half, data=np.full(half.shape, value, np.uint16))
    assert hidden_disk(empty) == HiddenDisk(0.0, 0.0)
    require_disk(hidden_disk(empty))


@pytest.mark.parametrize("other", [None, "data.h5", np.zeros((6, 6))])
def test_it_is_looked_for_in_a_dataset(other):
    with pytest.raises(ParameterError, match=r"expected a Dataset, from read\(path\)"):
        hidden_disk(other)


def test_a_disk_that_is_stated_wider_than_the_detector_takes_no_memory(half):
    hidden = hidden_disk(half.with_calibration(q_pixel=1e-9))
    assert 0 <= hidden.share <= 1

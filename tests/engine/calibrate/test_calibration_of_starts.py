"""Starts of specimens of all classes: right within three stated sigmas, or they have said that they cannot tell.

`benchmarks/calibration.py` does the same with hundreds of variants, and measures the shares.
"""

from __future__ import annotations

from functools import lru_cache

import pytest

from ptywidgets.engine.calibrate import calibrate
from ptywidgets.testing.judging import Judgement, judged
from ptywidgets.testing.variants import variant

# Lattices that the scan undersamples, particles, a film and things alone in vacuum, from 1e3 to 9e5 electrons per A^2
# and without noise: these the data tell.
TOLD = (2, 3, 6, 8, 21, 22, 31, 45, 95)
# Few electrons, near focus, or thick: here it may ask. Of 11397 the coma, which one method alone tells, is 1900 A off.
TOLD_OR_ASKED = (0, 4, 10, 18, 55, 60, 10004, 11397)


@lru_cache(maxsize=1)
def judgement_of(seed: int) -> Judgement:
    made = variant(seed)
    told = made.thickness if made.recipe.tell_thickness else None
    return judged(made.recipe, calibrate(made.dataset, thickness=told))


@pytest.mark.parametrize("seed", TOLD + TOLD_OR_ASKED)
def test_no_start_is_wrong_and_sure(seed):
    judgement = judgement_of(seed)
    assert not judgement.wrong_and_sure, {name: (judgement.errors[name], judgement.sigmas[name])
                                          for name in judgement.errors}  # fmt: skip
    if seed in TOLD:
        assert judgement.told, judgement.asks

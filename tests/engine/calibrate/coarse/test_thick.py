"""The defocus of a thick crystal: found from either side, counted from the entrance and from the middle."""

import numpy as np
import pytest

from ptywidgets.engine import Aberrations, Optics, ParameterError
from ptywidgets.engine.calibrate.coarse.thick import depth_of_field, thick_defocus, with_defocus

THICKNESS, DEFOCUS = 100.0, 180.0  # A


@pytest.mark.parametrize("off", [-15.0, 12.0])
def test_the_defocus_is_found_from_either_side(crystal, off):
    measurement, optics = crystal
    middle = DEFOCUS - THICKNESS / 2
    fit = thick_defocus(measurement, with_defocus(optics, middle + off), THICKNESS)
    assert fit.entrance == pytest.approx(DEFOCUS, rel=0.02)
    assert fit.defocus == pytest.approx(fit.entrance - THICKNESS / 2)
    assert fit.slices == 5 and len(fit.course) == 28 and 0 < fit.uncertainty < 5
    assert fit.defocus == pytest.approx(middle, abs=2)


def test_what_is_thick_depends_on_the_aperture():
    assert depth_of_field(20, 80e3) == pytest.approx(104.4, abs=0.2)
    assert depth_of_field(10, 80e3) == pytest.approx(4 * depth_of_field(20, 80e3))


def test_another_defocus_leaves_the_rest():
    optics = with_defocus(Optics(semiangle=20, aberrations=Aberrations(defocus=100, C12=5, phi12=0.3)), -30.0)
    assert optics.aberrations["defocus"] == -30 and optics.aberrations["C12"] == pytest.approx(5)


@pytest.mark.parametrize("thickness", [0.0, -3.0, np.nan])
def test_a_thickness_must_be_one(crystal, thickness):
    with pytest.raises(ParameterError, match="positive"):
        thick_defocus(*crystal, thickness)

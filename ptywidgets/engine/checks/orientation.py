"""Checks of what the geometry leaves open: rotation, transpose, the 180-degree ambiguity, and the signs of defocus and
phase."""

from __future__ import annotations

import numpy as np

from ptywidgets.engine.checks.facts import Facts, Finding, NotKnown
from ptywidgets.engine.checks.joint_fit import JointFit
from ptywidgets.engine.models import single_slice
from ptywidgets.engine.preprocess.rotation import find_rotation, wrapped_angle
from ptywidgets.engine.problem.problem import make_problem

SIDE, ROUNDS = 9, 2  # positions on a side of the block that is reconstructed, and steps
SHARP = 1.0  # degrees: a rotation that is told so well needs no direction of the centre of mass
FINE = 0.4  # share of the outer half of a scan's spectrum, where three quarters of all frequencies are


def check_rotation(facts: Facts) -> Finding:
    """Whether rotation and transpose of the detector are certain."""
    measurement = facts.measurement
    fit, rotation = measurement.rotation_fit, measurement.rotation
    turned = ", transposed" if measurement.transpose else ""
    words = f"The detector is turned by {rotation:.2f} +- {fit.uncertainty:.2g} degrees{turned}"
    by_hand = measurement.preparation.rotation is not None
    look = "Compare the candidates by eye, or set rotation and transpose by what is known of the microscope."
    if fit.solenoidal_share > 0.4 and fit.uncertainty > SHARP and not by_hand:  # of the curl: others may have told it
        return Finding(
            "rotation", "bad", rotation, "degrees", f"{words}, but the data show hardly any direction.", look
        )
    if (
        fit.uncertainty > SHARP
        and measurement.preparation.transpose is None
        and abs(fit.other_share - fit.solenoidal_share) < 0.02
    ):
        return Finding("rotation", "warn", rotation, "degrees", f"{words}; transposed or not is a toss-up.", look)
    off = (wrapped_angle(2 * (rotation - fit.rotation)) / 2) if fit.transpose == measurement.transpose else 0.0
    if abs(off) > max(1.0, 3 * fit.uncertainty) and fit.solenoidal_share < 0.4:
        data = f"{rotation - off:.2f} +- {fit.uncertainty:.2g}"
        words = f"The rotation is set to {rotation:.2f} degrees; the data say {data}."
        remedy = "One degree off costs more than many iterations bring: take the rotation from the data, or check it."
        return Finding("rotation", "warn", rotation, "degrees", words, remedy)
    if fit.uncertainty > 1 and not by_hand:
        remedy = (
            "Find it from the bright field (Auto) or by parallax: one degree costs more than many iterations bring."
        )
        return Finding("rotation", "warn", rotation, "degrees", f"{words}, which is not sharp.", remedy)
    return Finding("rotation", "good", rotation, "degrees", f"{words}.")


def check_flip(facts: Facts) -> Finding:
    """Whether the angle has been told from the one turned by 180 degrees."""
    measurement = facts.measurement
    rotation, other = measurement.rotation, wrapped_angle(measurement.rotation + 180)
    if measurement.preparation.rotation is not None:
        words = f"{rotation:.1f} degrees was given, so that {other:.1f} is out of the question."
        return Finding("180-degree ambiguity", "good", rotation, "degrees", words)
    if measurement.rotation_fit.flip_resolved:
        words = f"{rotation:.1f} and not {other:.1f} degrees: the atoms, or the sign of the defocus, tell."
        return Finding("180-degree ambiguity", "good", rotation, "degrees", words)
    words = f"The data fit {other:.1f} degrees, with the opposite defocus, as well as {rotation:.1f}."
    remedy = (
        "Flip by 180 degrees if atoms come out dark, or give the sign of the defocus and test it with resolve_flip."
    )
    return Finding("180-degree ambiguity", "warn", rotation, "degrees", words, remedy)


def check_defocus(facts: Facts) -> Finding:
    """Whether there is a defocus, and whether its sign can be trusted."""
    if not facts.has_optics:
        raise NotKnown("nobody has said what the defocus is")
    defocus = facts.optics.aberrations["defocus"]
    if defocus == 0:
        words = "The defocus is 0, that of a probe in focus."
        remedy = "If the probe was defocused, give it to 10 % or so (parallax measures it): a run seldom finds it."
        return Finding("defocus", "warn", defocus, "A", words, remedy)
    measurement = facts.measurement if facts.has_measurement else None
    open_flip = measurement and not measurement.rotation_fit.flip_resolved and measurement.preparation.rotation is None
    if open_flip:
        words = f"The defocus is {defocus:.4g} A, but its sign hangs on the rotation, which may be off by 180 degrees."
        remedy = "Note the sign at the microscope (overfocus or underfocus), or flip both if atoms come out dark."
        return Finding("defocus", "warn", defocus, "A", words, remedy)
    return Finding("defocus", "good", defocus, "A", f"The defocus is {defocus:.4g} A.")


def check_phase(facts: Facts) -> Finding:
    """Whether atoms come out bright: by a small reconstruction of a block of the scan, where lens and rotation are
    known, else by the integrated centre of mass, where the scan is fine enough for it."""
    if facts.has_optics:
        if not facts.thorough:
            raise NotKnown("a quick look makes no reconstruction")
        peaks, clear = _peaks(facts)
        shown = f"A small reconstruction with this rotation and defocus is peaked %s (skewness {peaks:+.1f})"
        if not clear:
            raise NotKnown("a small reconstruction with this lens and rotation is not peaked to either side")
        if peaks < 0:
            words = f"{shown % 'downwards'}: atoms would come out dark, with a negative phase."
            remedy = (
                "Flip the rotation by 180 degrees, and the sign of the defocus with it; leave both if the specimen is "
                "holes in a film."
            )
            return Finding("sign of the phase", "warn", -1, "", words, remedy)
        words = f"{shown % 'upwards'}, as of atoms, which attract electrons."
        return Finding("sign of the phase", "good", 1, "", words)
    com = facts.measurement.com_corrected
    upright = find_rotation(com, False)
    if not upright.flip_resolved:
        if facts.measurement.rotation_fit.flip_resolved:
            words = "The integrated centre of mass is not peaked to either side; the sign was told by other means."
            return Finding("sign of the phase", "good", 0, "", words)
        raise NotKnown("the integrated phase is not peaked to either side")
    if _outer_share(com) > FINE:
        raise NotKnown("the scan is too coarse, or the counts too few, for the integrated phase to have a sign")
    if abs(upright.rotation) > 90:
        words = "The integrated centre of mass is peaked downwards: atoms would come out dark, with a negative phase."
        remedy = "Flip the rotation by 180 degrees; leave it if the specimen is holes in a film."
        return Finding("sign of the phase", "warn", -1, "", words, remedy)
    words = "The integrated centre of mass is peaked upwards, as of atoms, which attract electrons."
    return Finding("sign of the phase", "good", 1, "", words)


def _peaks(facts: Facts) -> tuple[float, bool]:
    """Skewness of the phase that a few steps find on a block, and whether it is beyond chance.

    The integrated centre of mass is the phase seen through the probe's intensity. Where that is wider than the atoms
    are apart, and the scan coarser than they are, what is left of a lattice may be of either sign.
    """
    problem = make_problem(facts.measurement, facts.optics, model=single_slice("potential"))
    with np.errstate(all="ignore"):
        fit = JointFit(problem, (), (), SIDE)
        for _ in range(ROUNDS):
            fit.update(False)
        return fit.peaks()


def _outer_share(field: np.ndarray) -> float:
    """Share of a field (2, Ry, Rx) in the outer half of its spectrum, which grows as a scan gets too coarse."""
    power = (np.abs(np.fft.fft2(field - field.mean((1, 2), keepdims=True))) ** 2).sum(0)
    size = np.maximum(*np.meshgrid(*(np.abs(np.fft.fftfreq(n)) for n in power.shape), indexing="ij"))
    return float(power[size > 0.25].sum() / max(float(power.sum()), np.finfo(float).tiny))

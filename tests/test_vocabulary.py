"""The engine speaks the field's words: names that its first versions had for them are gone, and stay gone.

Only names that mean one thing are listed: "bring" or "twin" may be said of something else.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Before: what to say now.
IDENTIFIERS = {
    "Passage": "ExitWaveModel",
    "transmit": "forward",
    "transmit_adjoint": "adjoint",
    "far_field": "propagate_to_detector",
    "by_given_off": "by_diffuse_counts",
    "given_off": "diffuse_counts",
    "knots_of": "knots",
    "slope_at": "derivative_at",
    "bend_at": "second_derivative_at",
    "bend_of": "hessian_of_waves",
    "secant_at": "secant_curvature_at",
    "stretch_at": "majorizer_curvature_at",
    "model_slopes": "model_derivatives",
    "position_slopes": "position_derivatives",
    "paste_same": "add_same_patch",
    "sum_cuts": "sum_patches",
    "multiply_cut": "multiply_patches",
    "multiply_cut_adjoint": "multiply_patches_adjoint",
    "portions": "chunks",
    "in_turn": "map_ordered",
    "Knob": "FitParameter",
    "adopt_series": "convert_series_state",
    "share_out": "split_slices",
    "Polished": "OpticsRefinement",
    "TwinTest": "FlipTest",
    "resolve_twin": "resolve_flip",
    "twin_resolved": "flip_resolved",
    "twin_told": "flip_told",
    "twin_margin": "flip_margin",
    "StrongBands": "ScanSpectra",
    "MendedArray": "RepairedArray",
    "mend_pixels": "repair_pixels",
    "mended": "repaired",
    "cut_out": "crop_to_block",
    "Claim": "CalibrationEntry",
    "axis_claims": "axis_entries",
    "calibration_claims": "calibration_entries",
    "sibling_claims": "sibling_entries",
    "_goal": "_target_iteration",
    "find_start": "calibrate",
    "start_decisions": "estimates",
    "chosen_decisions": "chosen_estimates",
    "Decision": "Estimate",
    "Composition": "ModelConfig",
    "start_from": "initialize_from",
    "start_image": "initial_image",
    "started_from": "initialized_from",
    "first_object": "initial_object",
    "first_probe": "initial_probe",
    "first_positions": "initial_positions",
    "tilt_words": "tilt_text",
    "auto_steps": "reconstruct",
    "for_auto": "prepared_for_schedule",
    "staged": "run_stages",
    "Mailbox": "SnapshotChannel, FrameChannel",
}
# Methods and fields whose names are words as well: not behind a dot.
ATTRIBUTES = {
    "bend": "second_derivative or hessian_block",
    "slope": "derivative",
    "stretch": "majorizer_curvature",
    "stiffness": "curvature_bound",
    "least": "intensity_floor",
    "lowest": "lower_bound",
    "brightest": "max_counts",
    "paste": "add_patches",
    "lean": "apply_shift_ramp",
    "hats": "hat_functions",
    "passage": "exit_wave",
    "goal": "target_iteration",
    "shares": "occupations",
    "strength": "tds_strength",
    "drift": "position_corrections",
    "twin": "flipped",
    "mend": "repair",
    "polished": "refinement",
    "claims": "entries",
    "composition": "model",
    "auto": "schedule",
    "decision": "estimate",
    "decisions": "estimates",
    "mailbox": "snapshots",
    "watched": "has_subscribers",
}
# Classes whose names are words as well: not imported.
CLASSES = {
    "Start": "CalibrationResult",
    "Look": "DisplaySettings",
    "Views": "TiltSeriesData",
    "Clock": "RunTimer",
}
MODULES = {
    "engine.calibrate.start": "calibration",
    "engine.calibrate.start_arguments": "calibration_arguments",
    "engine.calibrate.decisions": "estimates",
    "engine.data.above": "hooks",
    "engine.problem.composition": "model_config",
    "reconstruction.inputs.views": "tilt_series_data",
    "reconstruction.result.look": "display_settings",
    "reconstruction.session.clock": "run_timer",
    "reconstruction.session.mailbox": "snapshot_channel",
}
ELSEWHERE = {  # where it is another thing
    "stiffness": {
        "ptywidgets/engine/direct/parallax/parallax.py",
        "tests/engine/direct/parallax/test_parallax.py",
    },  # of a scan's positions
    "shares": {"ptywidgets/engine/calibrate/spectra/scan_spectra.py"},
    "twin": {"ptywidgets/widgets/rotation/phase_pair.py"},
    "auto": {  # buttons and boxes
        "ptywidgets/widgets/controls/slider.py",
        "ptywidgets/widgets/plots/histogram.py",
        "ptywidgets/widgets/workbench/workbench.py",
        "tests/widgets/browse/test_dataset_browser.py",
        "tests/widgets/controls/test_controls.py",
        "tests/widgets/start/test_start_alternatives.py",
        "tests/widgets/start/test_stop_search.py",
        "tests/widgets/workbench/test_workbench.py",
    },
}
TESTS_OWN = {"Clock": {"tests/widgets/image/test_image_view.py"}}  # one that a test moves
PHRASES = ("Gauss and Newton", "Anscombe's", "Poisson's loss", "Poisson's law", "Born's")
OLD_FILES = {
    "tests/test_vocabulary.py",
    "tests/engine/io/test_old_names.py",
    "tests/reconstruction/test_strict.py",
    "ptywidgets/_renamed.py",
    "ptywidgets/engine/checkpoint/checkpoint.py",
    "ptywidgets/engine/checkpoint/plain.py",
}


def texts() -> dict[str, str]:
    """Code, lessons and documentation by their paths; not what is told of older versions."""
    paths = [p for folder in ("ptywidgets", "tests", "benchmarks") for p in sorted((ROOT / folder).rglob("*.py"))]
    paths += [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "notebooks").glob("*.ipynb")), ROOT / "README.md"]
    return {str(p.relative_to(ROOT)): p.read_text() for p in paths if p.exists()}


TEXTS = {path: text for path, text in texts().items() if path not in OLD_FILES}


def found(pattern: str, texts: dict[str, str], but: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    """Places where a pattern is found, as "path:line"."""
    return [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
        for path, text in texts.items()
        if path not in but
        for match in re.finditer(pattern, text)
    ]


def test_there_is_something_to_look_at():
    assert sum(path.startswith("ptywidgets/engine") for path in TEXTS) > 150
    assert {Path(path).suffix for path in TEXTS} == {".py", ".md", ".ipynb"}


@pytest.mark.parametrize("old", IDENTIFIERS)
def test_an_old_name_is_gone(old):
    assert not found(rf"\b{old}\b", TEXTS), f"{old} is called {IDENTIFIERS[old]}"


@pytest.mark.parametrize("old", ATTRIBUTES)
def test_an_old_attribute_is_gone(old):
    code = {path: text for path, text in TEXTS.items() if path.endswith(".py")}
    left = found(rf"(?<=[\w)\]])\.{old}\b", code, ELSEWHERE.get(old, set()))
    assert not left, f".{old} is called .{ATTRIBUTES[old]}"


@pytest.mark.parametrize("old", CLASSES)
def test_an_old_class_is_gone(old):
    left = found(
        rf"\bclass {old}\b|from ptywidgets\S* import (?:\([^)]*|[^(\n]*)\b{old}\b", TEXTS, TESTS_OWN.get(old, set())
    )
    assert not left, f"{old} is called {CLASSES[old]}"


@pytest.mark.parametrize("old", MODULES)
def test_an_old_module_is_gone(old):
    path = "ptywidgets/" + old.replace(".", "/") + ".py"
    assert path not in TEXTS and not found(rf"\b{re.escape(old)}\b|\b{re.escape(path)}", TEXTS), f"see {MODULES[old]}"


@pytest.mark.parametrize("phrase", PHRASES)
def test_methods_have_their_standard_names(phrase):
    code = {path: text for path, text in TEXTS.items() if path.startswith("ptywidgets/engine")}
    assert not found(re.escape(phrase), code)

"""The widgets say what other toolkits say: names that were replaced are nowhere left.

One word for one thing, and the standard one: whoever has written an ipywidgets program knows what `on_change` does. The
old names are kept here, so that none of them comes back with a change that was begun before.
"""

from __future__ import annotations

import io
import json
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WIDGETS = ROOT / "ptywidgets" / "widgets"
# old name: what is said now
NAMES = {
    "guarded": "safe_callback",
    "hear": "on_change",
    "complain": "set_error",
    "words": "text, status_text",
    "set_words": "set_text",
    "until_closed": "on_close",
    "give_room": "set_flex",
    "Turns": "CallbackQueue",
    "Words": "TextField",
    "OneBox": "Field",
    "BrickEditor": "ConstraintEditor",
    "LookBar": "DisplayBar",
    "status_words": "progress_text",
    "plan_words": "plan_text",
    "model_words": "model_text",
    "stage_words": "stage_text",
    "slice_words": "slice_text",
    "mode_words": "mode_text",
    "diffuse_words": "diffuse_text",
    "section_words": "section_text",
    "drift_words": "drift_text",
    "view_words": "view_text",
    "fit_in_words": "fit_text",
    "twin_view": "flipped_view",
}
# methods that every panel has: self.<old name>(
METHODS = {
    "watch": "observe_reconstruction",
    "click": "on_click",
    "drag": "on_region_drag",
    "say": "set_status",
    "put": "set_silently",
    "soon": "run_soon",
    "with_data": "run_with_data",
}
MODULES = {
    "boxes": "fields, formatting",
    "one_box": "fields",
    "number_box": "fields, formatting",
    "text_box": "fields",
    "run_words": "status_text, formatting",
    "in_words": "dataset_text",
    "verdict_list": "tables, formatting",
    "report_table": "tables",
    "turns": "callback_queue",
    "latest": "latest_task",
    "brick_editor": "constraint_editor",
    "look_bar": "display_bar",
}
# texts that a user saw; in code, docs and notebooks
TEXTS = {
    '"half turn"': '"180-degree ambiguity"',
    "Its twin, ": "Phase at ..., flipped",
    "find what is not given": "estimate what is not given",
    "Reconstruction.open(path) goes on from there": "Reconstruction.open(path) continues from there",
}


def names(source: str) -> set[str]:
    """All names of a Python source, also those within the braces of f-strings; not those in comments and texts."""
    found = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            found.add(token.string)
        elif token.type == tokenize.STRING and re.match("[rR]?[fF]", token.string):
            for braces in re.findall(r"{([^{}]*)}", token.string):
                found |= set(re.findall(r"[^\W\d]\w*", re.sub(r"'[^']*'|\"[^\"]*\"|\.words\b", "", braces)))
    return found


def code_of(path: Path) -> str:
    """The Python of a file; of a notebook that of its code cells, without magics."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return re.sub(r"\bgiven\.words\b", "given.text", text)  # of the engine's own
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return "\n".join(line for cell in cells for line in "".join(cell["source"]).splitlines() if line[:1] not in "%!")


def listed(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern))


SOURCES = listed("ptywidgets/widgets/**/*.py", "tests/widgets/**/*.py", "tests/browser/*.py", "notebooks/*.ipynb")
PROSE = listed("ptywidgets/**/*.py", "tests/**/*.py", "docs/*.md", "notebooks/*.ipynb")


def test_there_is_something_to_look_at():
    assert len(SOURCES) > 60 and len(PROSE) > 300


def test_names_are_found_in_code_and_f_strings_but_not_in_comments_and_texts():
    assert {"words", "guarded"} <= names('x = f"{words} and {guarded(1)}"\n')
    assert not {"words", "hear"} & names('x = "words"  # hear\n')


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_old_name_is_left(path):
    old = names(code_of(path)) & set(NAMES)
    assert not old, ", ".join(f"{name}: say {NAMES[name]}" for name in sorted(old))


@pytest.mark.parametrize("path", listed("ptywidgets/widgets/**/*.py"), ids=lambda path: path.name)
def test_no_old_method_of_a_panel_is_called(path):
    old = set(re.findall(r"\bself\.(\w+)\(", path.read_text(encoding="utf-8"))) & set(METHODS)
    assert not old, ", ".join(f"{name}: say {METHODS[name]}" for name in sorted(old))


def test_no_old_module_is_left():
    there = {path.stem for path in WIDGETS.rglob("*.py")} & set(MODULES)
    assert not there, ", ".join(f"{name}: see {MODULES[name]}" for name in sorted(there))
    imports = re.compile(r"ptywidgets\.widgets(?:\.\w+)*\.(" + "|".join(MODULES) + r")\b")
    used = {path.name: imports.findall(path.read_text(encoding="utf-8")) for path in PROSE if path != Path(__file__)}
    assert not any(used.values()), {name: found for name, found in used.items() if found}


@pytest.mark.parametrize("text", TEXTS)
def test_no_old_text_is_left(text):
    left = [path.name for path in PROSE if path != Path(__file__) and text in path.read_text(encoding="utf-8")]
    assert not left, f"say {TEXTS[text]} in {', '.join(left)}"

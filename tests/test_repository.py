"""What the repository says about itself: versions, dependencies, paths and settings that stand in several places."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from ptywidgets import __version__

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]
WORKFLOW = REPOSITORY / ".github" / "workflows" / "test.yml"
EARLIER = {"CHANGELOG.md"}  # tells of files as they were


def text(*parts: str) -> str:
    return REPOSITORY.joinpath(*parts).read_text(encoding="utf-8")


def listed(name: str, within: str = "project") -> list[str]:
    """A list of strings of pyproject.toml (there is no tomllib before Python 3.11)."""
    table = text("pyproject.toml").split(f"\n[{within}]\n")[1].split("\n[")[0]
    return ast.literal_eval("[" + re.split(rf"^{name} = \[", table, flags=re.MULTILINE)[1].split("\n]\n")[0] + "\n]")


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load(text("CITATION.cff"))
    assert citation["version"] == __version__
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == "BSD-3-Clause"
    assert citation["authors"] == [{"name": "The ptywidgets developers"}]
    assert {"message", "title"} <= set(citation)


def test_the_conda_recipe_needs_what_the_package_needs():
    recipe = yaml.safe_load(text("recipe", "recipe.yaml"))
    assert recipe["context"]["version"] == __version__
    wanted = {}
    for one in map(Requirement, listed("dependencies")):
        lower = [str(part) for part in one.specifier if part.operator == ">="]
        wanted.setdefault(one.name, set()).update(lower)
    python = re.search(r'^requires-python = "(.+)"', text("pyproject.toml"), re.MULTILINE)[1]
    run = {name: {bound} for name, bound in (line.split() for line in recipe["requirements"]["run"])}
    assert run == {**wanted, "python": {python}}
    assert set(recipe["requirements"]["host"]) == {f"python {python}", "pip", *(
        f"{one.name} {one.specifier}" for one in map(Requirement, ["hatchling>=1.21"])
    )}  # fmt: skip
    assert 'requires = ["hatchling>=1.21"]' in text("pyproject.toml")


def test_the_workflow_runs_what_everybody_runs():
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == ["3.10", "3.11", "3.12", "3.13"]
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    targets = {target for step in steps for target in step.get("run", "").removeprefix("make ").split()}
    assert targets == {"test", "dist", "docs"}
    made = re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE)
    assert targets <= set(made)
    used = [step["uses"] for step in steps if "uses" in step]
    assert [name for name in used if not re.fullmatch(r"actions/[a-z-]+@v\d+", name)] == []
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_pre_commit_calls_the_tools_of_make():
    hooks = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    called = {" ".join(hook["entry"].split()[:2]) for hook in hooks}
    assert called == {"ruff check", "ruff format", "mypy"}
    assert {hook["language"] for hook in hooks} == {"system"}  # of the environment, so that there is one version


def test_issue_forms_have_what_a_form_needs():
    forms = [file for file in (REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if file.stem != "config"]
    assert {form.stem for form in forms} == {"bug", "feature"}
    for form in forms:
        content = yaml.safe_load(form.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= set(content)
        names = [item["id"] for item in content["body"]]
        assert len(names) == len(set(names))
        assert all(item["attributes"]["label"] for item in content["body"])


def test_the_versions_that_a_bug_report_asks_for_can_be_printed():
    form = yaml.safe_load(text(".github", "ISSUE_TEMPLATE", "bug.yml"))
    (asked,) = (item["attributes"]["description"] for item in form["body"] if item["id"] == "versions")
    code = re.search(r"```python\n(.*?)```", asked, re.DOTALL)[1]
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert re.search(r"^numpy \d", told, re.MULTILINE)
    assert re.search(r"^ptywidgets ", told, re.MULTILINE)
    assert sys.version.split()[0] in told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_paths_that_a_page_names_are_there(page):
    folders = "ptywidgets|tests|js|docs|notebooks|benchmarks|recipe"
    named = re.findall(rf"`((?:{folders})/[\w./-]+)", page.read_text(encoding="utf-8"))
    if page.name not in EARLIER:
        assert [path for path in named if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_a_type_that_is_ignored_has_its_reason():
    reasonless = [
        f"{file.relative_to(REPOSITORY)}:{number}"
        for file in sorted((REPOSITORY / "ptywidgets").rglob("*.py"))
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if "type: ignore" in line and not re.search(r"type: ignore\[[\w-]+\]  # .{6}", line)
    ]
    assert reasonless == []

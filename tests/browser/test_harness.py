"""The harness itself, with widgets of ipywidgets only: what it is to see it sees, and errors turn a test red."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.browser

COUNTER = """
import ipywidgets
button, label = ipywidgets.Button(description="Go"), ipywidgets.Label("idle")
button.on_click(lambda _: setattr(label, "value", "done"))
"""
BOX = COUNTER + "display(ipywidgets.HBox([button, label]))"
CANVAS = """
import anywidget
class Square(anywidget.AnyWidget):
    _esm = '''export default { render({ el }) {
        el.innerHTML = `<div data-testid="pty-image-view" data-title="square" tabindex="0"><canvas
            data-testid="pty-canvas" width="4" height="2" style="width:200px;height:100px"></canvas></div>`;
        const root = el.firstElementChild, canvas = root.firstElementChild, g = canvas.getContext("2d");
        const paint = (colour, seq) => { g.fillStyle = colour; g.fillRect(0, 0, 4, 2); canvas.dataset.seq = seq; };
        paint("rgb(1,2,3)", 1);
        canvas.onpointerdown = (event) => {
            canvas.dataset.down = [event.offsetY, event.offsetX];
            paint("rgb(9,8,7)", 2);
        };
        canvas.onpointerup = (event) => { canvas.dataset.up = [event.offsetY, event.offsetX]; };
        root.onkeydown = (event) => { root.dataset.key = event.key; };
        canvas.dataset.ready = "1";
    } };'''
Square()
"""


def test_a_click_reaches_python_and_its_answer_the_page(lab):
    notebook = lab(BOX)
    notebook.button("Go").click()
    notebook.locator(".widget-label", has_text=re.compile("^done$")).wait_for()
    assert notebook.kernel.eval("label.value") == "done"


def test_python_changes_the_page(lab):
    notebook = lab(BOX)
    notebook.kernel.run("label.value = 'from Python'")
    notebook.text("from Python").wait_for()


def test_a_canvas_can_be_read_dragged_and_given_keys(lab):
    square = lab(CANVAS).canvas("square")
    assert square.seq == 1
    before = square.pixels()
    assert before.shape == (2, 4, 4)
    assert before[1, 3].tolist() == [1, 2, 3, 255]
    square.drag((0, 0), (1, 3)).wait_seq(2)
    assert square.wait_pixels(before)[0, 0].tolist() == [9, 8, 7, 255]
    assert [float(v) for v in square.locator.get_attribute("data-down").split(",")] == pytest.approx([25, 25], abs=1)
    assert [float(v) for v in square.locator.get_attribute("data-up").split(",")] == pytest.approx([75, 175], abs=1)
    assert square.press("ArrowRight").view.get_attribute("data-key") == "ArrowRight"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_screenshot_is_taken_in_the_theme_and_width_asked_for(lab, theme):
    notebook = lab(BOX)
    file = notebook.screenshot("harness", theme=theme, width=900)
    assert file.name == f"harness-{theme}-900.png"
    assert file.read_bytes().startswith(b"\x89PNG")
    assert notebook.page.viewport_size["width"] == 1280


@pytest.mark.allow_errors("ZeroDivisionError")
def test_a_failing_cell_fails_the_test(lab):
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        lab("1 / 0")


@pytest.mark.allow_errors("ZeroDivisionError")
def test_an_error_in_a_callback_is_heard(lab):
    notebook = lab(BOX + "\nbutton.on_click(lambda _: 1 / 0)")
    notebook.button("Go").click()
    assert notebook.kernel.until(lambda: any("ZeroDivisionError" in error for error in notebook.kernel.errors), 10)


def test_an_error_on_the_console_is_heard(lab, lab_page):
    _, errors = lab_page
    notebook = lab(BOX)
    notebook.page.evaluate("console.error('as planned')")
    notebook.kernel.eval("1")
    assert errors == ["console: as planned"]
    errors.clear()


def test_notebook_7_shows_widgets(notebook7):
    notebook = notebook7(BOX)
    notebook.button("Go").click()
    notebook.kernel.wait("label.value == 'done'")


def test_voila_shows_widgets(voila):
    page = voila(BOX)
    page.button("Go").click()
    page.locator(".widget-label", has_text=re.compile("^done$")).wait_for()
    assert page.kernel.eval("label.value") == "done"

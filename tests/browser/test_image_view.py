"""ImageView in a real browser: what is painted, what a drag does in Python, that streams end with their last frame."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.browser

VIEW = """
import threading, time
import numpy as np
import ptywidgets
ramp = np.linspace(0, 1, 48 * 64).reshape(48, 64)
view = ptywidgets.ImageView(title="ramp", cmap="gray")
view.show(ramp, sampling=0.2, unit="A")
"""


def frame(notebook) -> int:
    """Number of the newest frame, as Python counts."""
    return notebook.kernel.eval("view._frames.latest[0]")


def test_the_painted_pixels_are_the_numbers(lab):
    notebook = lab(VIEW + "view")
    pixels = notebook.canvas("ramp").wait_seq(frame(notebook)).pixels()
    assert pixels.shape == (48, 64, 4)
    expected = np.round(np.linspace(0, 1, 48 * 64).reshape(48, 64) * 255)
    assert np.abs(pixels[..., 0] - expected).max() <= 1
    assert (pixels[..., 0] == pixels[..., 2]).all()
    assert (pixels[..., 3] == 255).all()


def test_python_shows_another_image(lab):
    notebook = lab(VIEW + "view")
    view = notebook.canvas("ramp").wait_seq(frame(notebook))
    before = view.pixels()
    notebook.kernel.run("view.show(1 - ramp)")
    after = view.wait_seq(frame(notebook)).pixels()
    assert np.abs(after[..., 0].astype(int) + before[..., 0] - 255).max() <= 2


def test_the_image_keeps_its_proportions_and_fits_its_cell(lab):
    box = lab(VIEW + "view").canvas("ramp").locator.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(64 / 48, rel=0.02)
    assert box["width"] >= 200


def test_a_dragged_region_arrives_in_python_and_ends_where_it_was_left(lab):
    notebook = lab(
        VIEW + "heard = []\nview.regions = [dict(id='bf', shape='disk', y=24, x=32, r=8)]\n"
        "view.on_region(lambda region, final: heard.append([region['y'], region['x'], final]))\nview"
    )
    notebook.canvas("ramp").drag((24, 32), (30, 20))
    notebook.kernel.wait("any(final for _, _, final in heard)")
    y, x, _ = notebook.kernel.eval("heard[-1]")
    assert (y, x) == pytest.approx((30, 20), abs=1)
    assert notebook.kernel.eval("view.region('bf')['y']") == y
    assert notebook.kernel.eval("len(heard)") > 1, "nothing was told during the drag"


def test_the_arrow_keys_move_the_region_and_not_the_notebook(lab):
    notebook = lab(VIEW + "view.regions = [dict(id='p', shape='point', y=24, x=32)]\nview", "# below")
    notebook.canvas("ramp").press("ArrowRight", "ArrowDown", "b")
    notebook.kernel.wait("view.region('p')['x'] == 33 and view.region('p')['y'] == 25")
    assert notebook.page.evaluate("notebookOfTest.content.widgets.length") == 2, "the key b has added a cell"


def test_a_stream_from_a_thread_ends_with_its_last_frame(lab):
    notebook = lab(
        VIEW
        + "def stream():\n    for turn in range(60):\n        view.show(ramp * (turn + 1), live=True, lo=0, hi=60)\n"
        "        time.sleep(0.01)\n    view.settle()\n"
        "thread = threading.Thread(target=stream)\ndisplay(view)\nthread.start()"
    )
    notebook.kernel.wait("not thread.is_alive()")
    pixels = notebook.canvas("ramp").wait_seq(frame(notebook)).pixels()
    assert pixels[-1, -1, 0] >= 254
    assert int(notebook.canvas("ramp").locator.get_attribute("data-painted")) >= 3


def test_two_views_of_one_image_show_the_same(lab):
    notebook = lab(VIEW + "view", "view")
    first, second = notebook.canvas("ramp", 0), notebook.canvas("ramp", 1)
    notebook.kernel.run("view.show(1 - ramp)")
    number = frame(notebook)
    assert (first.wait_seq(number).pixels() == second.wait_seq(number).pixels()).all()


def test_an_image_without_a_finite_value_is_told_from_none(lab):
    notebook = lab(VIEW + "view.placeholder = 'nothing yet'\nview.show(np.full((4, 6), np.nan))\nview")
    notebook.text("This image has no finite value.").wait_for()
    notebook.kernel.run("view.clear()")
    notebook.text("nothing yet").wait_for()


def test_a_title_with_markup_is_text(lab):
    notebook = lab(
        "import ptywidgets\nview = ptywidgets.ImageView(title='<img src=x onerror=alert(1)>')\nview.clear()\nview"
    )
    notebook.text("<img src=x onerror=alert(1)>").wait_for()
    assert notebook.locator("[data-testid=pty-image-view] img").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 700])
def test_images_of_it_in_both_themes(lab, theme, width):
    notebook = lab(
        VIEW + "view.regions = [dict(id='bf', shape='annulus', y=24, x=32, r=16, r_inner=8, label='ADF'),\n"
        "                dict(id='box', shape='rectangle', y=10, x=12, h=10, w=14)]\nview"
    )
    notebook.canvas("ramp").wait_seq(frame(notebook))
    file = notebook.screenshot("image-view", width=width, theme=theme)
    assert file.stat().st_size > 5000


def test_in_notebook_7(notebook7):
    notebook = notebook7(VIEW + "view")
    pixels = notebook.canvas("ramp").wait_seq(frame(notebook)).pixels()
    assert pixels[-1, -1].tolist() == [255, 255, 255, 255]


def test_in_voila(voila):
    page = voila(VIEW + "display(view)")
    assert page.canvas("ramp").wait_seq(frame(page)).pixels()[0, 0].tolist() == [0, 0, 0, 255]
    page.kernel.run("view.show(1 - ramp)")
    assert page.canvas("ramp").wait_seq(frame(page)).pixels()[0, 0].tolist() == [255, 255, 255, 255]

"""FileChooser in a real browser: from a camera's file in a folder to a finished run, by mouse and by keys."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

FILES = """
import os, pathlib
import numpy as np
from ptywidgets import FileChooser, Reconstruction, Workbench, samples, write
from ptywidgets.testing.record_files import blo_file, tvips_files

folder = pathlib.Path("session of monday").absolute()
(folder / "calibration").mkdir(parents=True, exist_ok=True)
counts = np.asarray(samples.ducky("tiny").data).astype(int)
counts = np.random.default_rng(0).binomial(counts, 0.19).astype(np.uint8)
blo_file(folder / "duck_9.blo", counts, volts=80000)
tvips_files(folder, counts.reshape(-1, 64, 64), [144], kilovolts=80, name="duck_10")
np.savez(folder / "both.npz", first=counts, second=counts.astype(np.uint16))
write(folder / "duck.h5", samples.ducky("tiny"), overwrite=True)
(folder / "notes.txt").write_text("no data")
(folder / "damaged <b>.mib").write_bytes(b"MQ1,000001,00384,")
"""
BENCH = f"{FILES}os.chdir(folder)\nbench = Workbench()\nbench"
CHOOSER = f"""{FILES}
chooser = FileChooser(Reconstruction(), folder=folder, recent=folder.parent / "recent.json")
chooser
"""


def row(notebook, name):
    return notebook.locator("[data-testid=pty-files] [role=option]", has_text=name).first


def about(notebook, text):
    notebook.locator("[data-testid=pty-about]", has_text=text).wait_for()


def fill(notebook, label, text):
    """A field of the calibration, found by the words before it."""
    field = notebook.locator(".pty-missing .widget-hbox:visible", has_text=label).locator("input").first
    field.fill(text)
    field.press("Enter")


def test_a_camera_s_file_is_chosen_calibrated_and_reconstructed(lab):
    notebook = lab(BENCH)
    notebook.locator("button.widget-toggle-button", has_text="Browse").click()
    row(notebook, "duck_9.blo").click()
    about(notebook, "NanoMegas .blo")
    about(notebook, "To reconstruct, give: scan step")
    for theme in ("light", "dark"):
        notebook.screenshot("file-chooser-bench", 1280, ".pty-widget", theme)
    notebook.screenshot("file-chooser-bench", 430, ".pty-widget")
    notebook.locator(".pty-panels").locator("button", has_text="Open").first.click()
    notebook.kernel.wait("'Data' in bench.stages", timeout=60)
    notebook.locator(".pty-missing:visible", has_text="To reconstruct, give: scan step").wait_for()
    for theme in ("light", "dark"):
        notebook.screenshot("file-chooser-missing", 1280, ".pty-widget", theme)
    notebook.screenshot("file-chooser-missing", 430, ".pty-widget")
    fill(notebook, "scan step", "1.5")
    fill(notebook, "semi-angle", "20")
    notebook.locator(".pty-missing:visible", has_text="The calibration is complete").wait_for()
    notebook.button("Auto").click()
    notebook.kernel.wait("len(bench.recon.estimates) > 5", timeout=90)
    notebook.locator(".lm-TabBar-tabLabel", has_text="Run").first.click()
    notebook.kernel.wait("'Reconstruction' in bench.stages", timeout=60)
    notebook.kernel.run("bench.recon.update_plan(iterations=5)")
    notebook.button("Run").click()
    notebook.kernel.wait("bench.recon.status == 'finished'", timeout=90)
    assert notebook.kernel.eval("abs(bench.recon.rotation + 15)") < 1
    notebook.screenshot("file-chooser-finished", 1280, ".pty-widget")


def test_folders_files_and_what_they_are_by_keys_alone(lab):
    notebook = lab(CHOOSER)
    row(notebook, "duck_9.blo").wait_for()
    names = notebook.locator("[data-testid=pty-files] [role=option] > :nth-child(2)").all_inner_texts()
    assert names == ["calibration", "both.npz", "damaged <b>.mib", "duck.h5", "duck_9.blo", "duck_10_000.tvips"]
    keys = notebook.page.keyboard
    notebook.locator("[data-testid=pty-files]").focus()
    keys.press("End")
    about(notebook, "144 patterns")
    about(notebook, "enter the rows and columns of the scan")
    for theme in ("light", "dark"):
        notebook.screenshot("file-chooser-stack", 1280, ".pty-widget", theme)
    notebook.screenshot("file-chooser-stack", 430, ".pty-widget")
    scan = notebook.locator("input[placeholder='such as 12 x 12']")
    scan.fill("12 x 12")
    scan.press("Enter")
    about(notebook, "12 x 12 positions")
    notebook.locator("[data-testid=pty-files]").focus()
    keys.press("Enter")
    notebook.kernel.wait("chooser.recon.dataset is not None and chooser.recon.dataset.scan_shape == (12, 12)")
    notebook.locator(".pty-missing:visible").wait_for()
    notebook.screenshot("file-chooser-opened", 1280, ".pty-widget")
    notebook.screenshot("file-chooser-opened", 430, ".pty-widget", "dark")
    notebook.locator("[data-testid=pty-files]").focus()
    keys.press("b")
    about(notebook, "holds 2 arrays")
    shown = notebook.locator("select:visible").last.evaluate("menu => menu.selectedOptions[0].text")
    assert shown.split() == ["choose", "..."]
    notebook.screenshot("file-chooser-several", 1280, ".pty-widget")
    keys.press("ArrowDown")
    about(notebook, "damaged <b>.mib")
    assert "is cut off or" in notebook.locator("[data-testid=pty-about] .pty-bad").inner_text()
    keys.press("Home")
    keys.press("Enter")
    notebook.text("nothing here").wait_for()
    keys.press("Backspace")
    row(notebook, "duck.h5").wait_for()
    assert notebook.kernel.eval("len(chooser.entries)") == 6
    notebook.locator("select", has_text="Recent files").select_option(index=1)
    about(notebook, "duck_10_000.tvips")
    assert notebook.page.evaluate("notebookOfTest.content.widgets.length") == 1, "keys went to the notebook"


def test_files_are_uploaded_piece_by_piece_and_dropped(lab):
    notebook = lab(CHOOSER)
    path = notebook.kernel.eval("str(folder)")
    notebook.kernel.run("np.save(folder / 'large.npy', np.zeros((8, 8, 160, 160), np.float64))")  # 13 MB
    notebook.locator(".pty-drop input").set_input_files(f"{path}/large.npy")
    notebook.kernel.wait("chooser.summary is not None and chooser.summary.shape == (8, 8, 160, 160)", timeout=60)
    assert "ptywidgets-upload-" in notebook.kernel.eval("chooser.selected")
    notebook.screenshot("file-chooser-uploaded", 1280, ".pty-widget")
    notebook.locator(".pty-drop").evaluate(
        """drop => {
            const carried = new DataTransfer();
            carried.items.add(new File(["some words"], "note <i>.txt"));
            for (const type of ["dragenter", "dragover", "drop"])
                drop.dispatchEvent(new DragEvent(type, {dataTransfer: carried, bubbles: true, cancelable: true}));
        }"""
    )
    about(notebook, "is text")
    assert notebook.kernel.eval("pathlib.Path(chooser.selected).read_text()") == "some words"

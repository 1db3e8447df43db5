"""A tilt series in a real browser: run, scrolled through tilts and layers, held, stopped; wide, narrow, light, dark."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

SIMULATE = """
import numpy as np
from ptywidgets import Calibration, ModelConfig, Reconstruction, ReconstructionRunner, Workbench
from ptywidgets.engine import Aberrations, Optics
from ptywidgets.engine.simulate import gold_particle, simulate_dataset
atoms = gold_particle(diameter=10, cell=20)
optics = Optics(semiangle=25, aberrations=Aberrations(defocus=60))
calibration = Calibration(energy=80e3, scan_step=1.9, q_pixel=1 / 14.4, semiangle=25)
tilts = [-60, -30, 0, 30, 60]
data = [
    simulate_dataset(atoms.rotated(tilt, "x"), calibration, optics, scan=(8, 8), detector=(36, 36), dose=4000,
                     generator=np.random.default_rng(tilt + 90), name=f"gold {tilt}").dataset
    for tilt in tilts
]
recon = Reconstruction(data, tilts=tilts, optics=optics, model=ModelConfig(slices=2, thickness=20, modes=2))
recon.preparation = recon.preparation.replace(rotation=0.0, transpose=False, origin="constant")
"""
RUNNER = SIMULATE + "runner = ReconstructionRunner(recon)\nrunner"


def test_tilts_and_layers_of_a_volume(lab):
    notebook = lab(RUNNER + "\nrecon.update_plan(iterations=100000, batch=16)\nrunner")
    kernel = notebook.kernel
    phase = notebook.canvas("Object phase (rad)")
    empty = phase.pixels()
    assert not notebook.text("1 of 5").is_visible(), "offered before there is anything to look at"
    notebook.button("Run").click()
    phase.wait_pixels(empty, timeout=60)
    notebook.text("1 of 5, −60°").wait_for()
    notebook.text("layers together").wait_for()
    handle = notebook.locator(".pty-toolbar", has_text="Tilt").locator(".noUi-handle").first
    notebook.drag(handle, 2000)  # while it runs
    kernel.wait("recon.look.view == 4 and recon.status == 'running'")
    notebook.text("5 of 5, 60°").wait_for()

    notebook.button("Pause").click()
    kernel.wait("recon.status == 'paused' and not runner.image_views['phase'].live")
    phase.wait_seq(kernel.eval("runner.image_views['phase']._frames.latest[0]"))
    probe = notebook.canvas("Probe")
    probe.wait_seq(kernel.eval("runner.image_views['probe']._frames.latest[0]"))
    together, last = phase.pixels(), probe.pixels()
    notebook.drag(handle, -2000)
    kernel.wait("recon.look.view == 0")
    probe.wait_pixels(last)
    notebook.drag(notebook.locator(".pty-toolbar", has_text="Layer").locator(".noUi-handle").first, 60)
    kernel.wait("recon.look.slice is not None")
    phase.wait_pixels(together)

    done = kernel.eval("len(recon.losses)")
    notebook.button("Resume").click()
    kernel.wait(f"len(recon.losses) > {done}", timeout=60)
    notebook.button("Stop").click()
    kernel.wait("recon.status == 'stopped'", timeout=10)
    assert kernel.eval("recon.volume.ndim") == 3


def test_another_tilt_is_looked_at_on_the_bench(lab):
    notebook = lab(SIMULATE + "bench = Workbench(recon)\nbench")
    notebook.text("1 of 5, −60°").wait_for()
    handle = notebook.locator(".pty-toolbar", has_text="Tilt").locator(".noUi-handle").first
    notebook.drag(handle, 2000)
    notebook.kernel.wait("recon.dataset is data[4]")
    notebook.text("Dataset 'gold 60'").wait_for()
    notebook.screenshots("tilt-series-workbench", "light")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_images_of_it_wide_and_narrow(lab, theme):
    notebook = lab(
        RUNNER + "\nrecon.run(8)\nrunner.toggles['section'].value = True\nrunner.bar.tilts.slider.value = 3\nrunner"
    )
    notebook.kernel.wait("not runner.image_views['section'].live and not runner.image_views['phase'].live")
    notebook.text("4 of 5, 30°").wait_for()
    notebook.text("Settings").click()
    notebook.text("volume depth").wait_for()
    notebook.screenshots("tilt-series", theme)

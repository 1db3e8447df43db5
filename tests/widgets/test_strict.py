"""Accepted means understood: attributes and arguments of every widget."""

import ipywidgets
import pytest

import ptywidgets
from ptywidgets import ImageView, Reconstruction, samples
from ptywidgets.engine.core.errors import ParameterError, UnknownAttributeError
from ptywidgets.widgets.run.status_text import plan_text

PANELS = [
    name
    for name in ptywidgets.__all__
    if name.endswith(("Browser", "Explorer", "Picker", "Designer", "Runner", "Alternatives", "Chooser"))
]
PANELS.append("Workbench")


@pytest.fixture(scope="module")
def ducky():
    return samples.ducky("tiny")


@pytest.fixture(params=PANELS)
def panel(request, ducky):
    widget = getattr(ptywidgets, request.param)(ducky)
    yield widget
    widget.wait()
    widget.close()


def test_every_public_widget_is_looked_at():
    kinds = {name for name in ptywidgets.__all__ if isinstance(getattr(ptywidgets, name), type)}
    widgets = {name for name in kinds if issubclass(getattr(ptywidgets, name), ipywidgets.Widget)}
    assert widgets == {*PANELS, "ImageView"}


def test_what_would_mean_nothing_is_refused_with_the_right_way(panel):
    kind = type(panel).__name__
    for name, value, way in [
        ("nonsense", 1, f"{kind} has no 'nonsense'"),
        ("chldren", [], "did you mean 'children'"),
        ("iterations", 3, "widget.recon.update_plan(iterations=3)"),
        ("defocus", 3, "widget.recon.update_optics(defocus=3)"),
        ("dataset", None, "widget.recon.dataset = None"),
        ("plan", None, "widget.recon.plan = None"),
        ("energy", 80e3, f"{kind}(Reconstruction.open(path, energy=80000.0))"),
        ("recon", panel.recon, "use(...)" if kind == "Workbench" else f"{kind}(reconstruction)"),
        ("status_text", "good", "worked out"),
        ("close", True, "call it: close(...)"),
    ]:
        with pytest.raises(UnknownAttributeError) as told:
            setattr(panel, name, value)
        assert way in str(told.value)


def test_the_machinery_of_widgets_works_as_ever(panel):
    panel.layout.width = "90%"
    panel.layout = {"grid_gap": "2px"}
    panel.box_style = "info"
    panel.children = [*panel.children, ipywidgets.HTML("more")]
    panel.views = list(panel.views)
    panel._mine = 1
    with pytest.raises(ParameterError):
        panel.children = 3


@pytest.mark.parametrize("kind", PANELS)
def test_unknown_arguments_are_refused(kind, ducky):
    with pytest.raises(ParameterError, match=r"unknown argument of \w+ 'cmap'; it takes source"):
        getattr(ptywidgets, kind)(ducky, cmap="magma")
    with pytest.raises(ParameterError, match=r"Reconstruction\.open\(path, energy=80000\.0\)"):
        getattr(ptywidgets, kind)(ducky, energy=80e3)


def test_an_image_view_refuses_what_it_does_not_know():
    view = ImageView("image")
    for name, value, text in [
        ("cmpa", "gray", "did you mean 'cmap'"),
        ("nonsense", 1, "it has aspect, cmap"),
        ("cmap", "grey", "did you mean 'gray'"),
        ("scale", "lgo", "did you mean 'log'"),
        ("gamma", "high", "expected a float"),
    ]:
        with pytest.raises(ParameterError, match=text):
            setattr(view, name, value)
    view.scale = "Log"
    assert view.scale == "log"
    with pytest.raises(ParameterError, match="did you mean 'cmap'"):
        ImageView("image", cmpa="gray")


def test_a_workbench_puts_others_on_the_bench(ducky):
    bench = ptywidgets.Workbench(ducky)
    other = Reconstruction(ducky)
    bench.use(other)
    assert bench.recon is other
    bench.close()


def test_the_settings_tell_what_a_run_begins_with(ducky):
    recon = Reconstruction(ducky)
    probe = recon.probe
    recon.begin_with(probe=probe, hold_probe=True)
    assert plan_text(recon).endswith("; starts with the probe of an array 64 x 64 (held)")
    recon.begin_with()
    assert "starts with" not in plan_text(recon)

"""What is left of widgets that are closed, or whose cell is run again: nothing."""

import gc
import threading
import tracemalloc
import weakref
from types import SimpleNamespace

import comm
import ipywidgets
import numpy as np
import pytest
from waiting import until

import ptywidgets
from ptywidgets import Dataset, ImageView, Reconstruction, samples
from ptywidgets.reconstruction.session import hosts

PANELS = [
    "DatasetBrowser",
    "RotationExplorer",
    "OrientationPicker",
    "ParallaxExplorer",
    "ProbeDesigner",
    "DirectExplorer",
    "FileChooser",
    "ReconstructionRunner",
    "StartAlternatives",
    "Workbench",
]
DEFOCUS = samples.ducky_defocus("tiny")


@pytest.mark.parametrize("name", PANELS)
def test_a_widget_that_cannot_be_made_says_only_why(name, monkeypatch):
    """Not also, when it is collected, that it cannot be closed."""
    said = []
    monkeypatch.setattr("sys.unraisablehook", said.append)
    with pytest.raises(ptywidgets.engine.PtyError, match="no such file"):
        getattr(ptywidgets, name)("nowhere.h5")
    gc.collect()
    assert not said


def open_widgets():
    """What ipywidgets keeps: everything that is not closed."""
    registry = ipywidgets.widgets.widget
    return set(registry._instances) if hasattr(registry, "_instances") else set(ipywidgets.Widget.widgets)


def open_comms():
    return set(comm.get_comm_manager().comms)


def fresh(data):
    """The same data in memory of its own."""
    return Dataset(np.asarray(data.data).copy(), data.calibration, vacuum=data.vacuum, name=data.name)


@pytest.fixture(scope="module")
def data():
    return samples.ducky("tiny")


def make(name, data):
    """A widget, and weak references to it and to what it holds."""
    own = fresh(data)
    recon = Reconstruction(own, defocus=DEFOCUS)
    widget = getattr(ptywidgets, name)(recon)
    held = {"widget": widget, "reconstruction": recon, "data": own, "counts": own.data}
    held |= {f"view {n}": view for n, view in enumerate(widget.views)}
    return widget, {what: weakref.ref(one) for what, one in held.items()}


def assert_gone(references):
    def alive():
        gc.collect()  # traits and callbacks refer to their owners
        return [what for what, reference in references.items() if reference() is not None]

    until(lambda: not alive())  # a thread that has just finished may still hold its result


def closed(name, data, use):
    widget, references = make(name, data)
    use(widget)
    widget.close()
    return references


def nothing(widget):
    widget.wait(60)


def displayed(widget):
    assert widget._repr_mimebundle_()
    widget.wait(60)


def after_a_run(widget):
    displayed(widget)
    widget.recon.run(2)
    widget.wait(60)


def while_it_runs(widget):
    widget.recon.update_plan(iterations=100000, batch=8)
    widget.recon.start()
    until(lambda: widget.recon.losses)


@pytest.mark.parametrize("use", [nothing, displayed, after_a_run, while_it_runs])
@pytest.mark.parametrize("name", PANELS)
def test_nothing_of_a_closed_widget_is_left(name, use, data):
    widgets, comms = open_widgets(), open_comms()
    assert_gone(closed(name, data, use))
    assert open_widgets() == widgets
    assert open_comms() == comms
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "ptywidgets-run"])


def test_a_bench_with_all_its_stages_is_closed_as_a_whole(data):
    from ptywidgets.widgets.workbench.stage_tabs import STAGES

    widgets = open_widgets()

    def all_of_them(bench):
        for stage in STAGES:
            bench.select(stage).wait(60)
        bench.accordion.selected_index = 1
        bench.calibrate()
        bench.start.wait(60)
        bench.wait(60)

    assert_gone(closed("Workbench", data, all_of_them))
    assert open_widgets() == widgets


def test_alternatives_are_closed_with_the_panel_that_shows_them(data, monkeypatch):
    from ptywidgets.reconstruction.inputs import calibrator
    from ptywidgets.testing.starts import with_alternatives

    search = calibrator.calibrate
    monkeypatch.setattr(calibrator, "calibrate", lambda data, **known: with_alternatives(search(data, **known)))
    widgets = open_widgets()

    def unfolded(bench):
        bench.calibrate()
        bench.start.wait(60)
        bench.start.accordion.selected_index = 0
        bench.start.alternatives.choose(1)
        bench.wait(60)

    assert_gone(closed("Workbench", data, unfolded))
    assert open_widgets() == widgets


def test_nothing_of_a_view_is_left():
    widgets = open_widgets()
    view = ImageView("A view")
    view.show(np.eye(4))
    reference = weakref.ref(view)
    view.close()
    view.layout.close()
    del view
    assert_gone({"view": reference})
    assert open_widgets() == widgets


def test_a_closed_widget_that_somebody_keeps_holds_no_data(data):
    """As a notebook does, of every cell's result."""
    widget, references = make("Workbench", data)
    displayed(widget)
    widget.close()
    del references["widget"]
    assert_gone(references)
    assert "no data" in repr(widget) or "0 of 6" in repr(widget) or repr(widget)
    widget.close()


# ---------------------------------------------------------------- a cell that is run again


class Events:
    def __init__(self):
        self.callbacks = []

    def register(self, _name, callback):
        self.callbacks.append(callback)


class Notebook:
    """Cells, variables and results as a kernel has them."""

    def __init__(self):
        self.user_ns = {"_oh": {}}
        self.events, self.displayhook, self.executions = Events(), SimpleNamespace(), 0
        self.parent = None

    def get_parent(self):
        return self.parent

    def run(self, cell, code):
        """Run `code` as the cell of that name; what it returns is displayed, and kept as its result."""
        self.executions += 1
        header = {"msg_type": "execute_request", "msg_id": str(self.executions)}
        self.parent = {"header": header, "metadata": {"cellId": cell}, "content": {"code": ""}}
        result = code(self.user_ns)
        if result is not None:
            if hasattr(result, "_repr_mimebundle_"):
                result._repr_mimebundle_()
            self.user_ns["_oh"][self.executions] = self.user_ns[f"_{self.executions}"] = result
        for callback in self.events.callbacks:
            callback(None)
        self.parent = None


@pytest.fixture
def notebook(monkeypatch):
    notebook = Notebook()
    monkeypatch.setattr(hosts, "_shell", lambda: notebook)
    return notebook


@pytest.mark.parametrize("name", PANELS)
def test_a_cell_that_is_run_again_lets_its_widget_go(name, data, notebook):
    made = []

    def cell(variables):
        variables["widget"], references = make(name, data)
        made.append(references)
        return variables["widget"]

    notebook.run("a", cell)
    notebook.user_ns["widget"].wait(60)
    notebook.run("a", cell)
    notebook.user_ns["widget"].wait(60)
    first = {what: reference for what, reference in made[0].items() if what != "widget"}
    assert_gone(first)  # of the widget itself the notebook's results keep the empty shell
    second = notebook.user_ns["widget"]
    assert not second._closed and second.recon.dataset is not None
    second.close()


def test_what_a_variable_holds_or_another_cell_shows_stays(data, notebook):
    widgets = []

    def kept_in_a_list(variables):
        variables.setdefault("several", []).append(make("DatasetBrowser", data)[0])
        widgets.append(variables["several"][-1])
        return widgets[-1]

    notebook.run("a", kept_in_a_list)
    notebook.run("a", kept_in_a_list)
    assert not widgets[0]._closed
    notebook.run("b", lambda variables: variables["several"][0])
    del notebook.user_ns["several"]
    notebook.run("b", lambda variables: None)  # that output is gone, too, and nothing has the widget any more
    assert widgets[0]._closed and not widgets[1]._closed
    widgets[1].close()


def test_a_result_of_a_cell_that_is_run_again_is_let_go(data, notebook):
    """``recon.start()`` as the last line of a cell: the notebook would keep what it returns for good."""
    references = []

    def cell(variables):
        own = fresh(data)
        variables["recon"] = Reconstruction(own, defocus=DEFOCUS)
        references.append({"recon": weakref.ref(variables["recon"]), "counts": weakref.ref(own.data)})
        return variables["recon"]

    notebook.run("a", cell)
    notebook.run("a", cell)
    assert_gone(references[0])
    assert references[1]["recon"]() is notebook.user_ns["recon"]


def test_memory_does_not_grow_with_runs_of_a_cell(notebook):
    counts = np.zeros((24, 24, 64, 64), np.uint8)  # 2 MB
    calibration = ptywidgets.Calibration(energy=80e3, scan_step=1.0, q_pixel=0.05, semiangle=20.0)
    made = []

    def cell(variables):
        own = counts + np.uint8(1)
        made.append(weakref.ref(own))
        variables["browser"] = ptywidgets.DatasetBrowser(Dataset(own, calibration))
        return variables["browser"]

    def used():
        gc.collect()
        return tracemalloc.get_traced_memory()[0]  # not what the process keeps of freed memory, which is chance

    tracemalloc.start(1)
    try:
        for _ in range(3):
            notebook.run("a", cell)
        notebook.user_ns["browser"].wait(60)
        before = used()
        for _ in range(6):
            notebook.run("a", cell)
        notebook.user_ns["browser"].wait(60)
        # a thread that has just finished may still hold the data of the turn before
        until(lambda: used() - before < counts.nbytes)
        assert sum(reference() is not None for reference in made) <= 2
    finally:
        tracemalloc.stop()
    notebook.user_ns["browser"].close()

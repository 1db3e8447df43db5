"""ImageView without a browser: the frame channel, the messages, the regions, what a notebook keeps."""

from __future__ import annotations

import re
import threading

import numpy as np
import pytest
import traitlets

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.widgets.image import image_view
from ptywidgets.widgets.image.frames import FrameChannel, quantise
from ptywidgets.widgets.image.image_view import ImageView

DISK = {"id": "bf", "shape": "disk", "y": 3, "x": 4, "r": 2}


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Host:
    """A page that receives what a view sends and answers when told to."""

    def __init__(self, view: ImageView):
        self.view = view
        self.frames: list[tuple[int, bytes]] = []
        view.send = self.receive  # type: ignore[method-assign]

    def receive(self, content, buffers=None):
        self.frames.append((content["seq"], bytes(buffers[0])))

    def say(self, **content):
        self.view._handle_custom_msg(content, [])

    @property
    def numbers(self) -> list[int]:
        return [seq for seq, _ in self.frames]


@pytest.fixture
def view() -> ImageView:
    return ImageView("A view")


@pytest.fixture
def host(view) -> Host:
    return Host(view)


def frame(value: float = 0.0):
    return quantise(np.full((2, 2), value), fine=False, lo=0, hi=255)


# ------------------------------------------------------------------ the frame channel


def test_at_most_one_frame_is_unacknowledged_and_the_newest_wins(view, host):
    for i in range(10):
        view.show(np.full((2, 2), i / 9), live=True, lo=0, hi=1)
    assert host.numbers == [1]
    host.say(type="ack", seq=1)
    assert host.numbers == [1, 10]
    assert host.frames[-1][1] == b"\xff" * 4
    host.say(type="ack", seq=10)
    host.say(type="ack", seq=10)  # a second view
    assert host.numbers == [1, 10]


def test_an_old_acknowledgement_does_not_open_the_way(view, host):
    view.show(np.eye(2), live=True)
    host.say(type="ack", seq=1)
    view.show(np.eye(2), live=True)
    view.show(np.eye(2), live=True)
    host.say(type="ack", seq=1)
    assert host.numbers == [1, 2]


def test_a_page_that_does_not_answer_for_a_second_is_sent_the_next_frame():
    clock, sent = Clock(), []
    box = FrameChannel(lambda header, data: sent.append(header["seq"]), clock=clock)
    box.post(frame())
    clock.now = 0.9
    box.post(frame())
    assert sent == [1]
    clock.now = 1.1
    box.post(frame())
    assert sent == [1, 3]


def test_a_pull_gets_what_is_newer_and_nothing_else():
    clock, sent = Clock(), []
    box = FrameChannel(lambda header, data: sent.append(header["seq"]), clock=clock)
    box.pull(-1)
    box.post(frame())
    box.pull(-1)
    assert sent == [1]  # under way
    clock.now = 1.5
    box.pull(-1)
    assert sent == [1, 1]  # was lost
    box.pull(1)
    assert sent == [1, 1]


def test_settle_sends_the_last_frame_and_keeps_it(view, host):
    for i in range(5):
        view.show(np.full((2, 2), i / 4), live=True, lo=0, hi=1)
    assert view.live and host.numbers == [1]
    view.settle()
    assert host.numbers == [1, 5]
    assert not view.live
    assert (view.still, view.still_meta["seq"]) == (b"\xff" * 4, 5)
    view.settle()
    assert host.numbers == [1, 5]


def test_a_stream_from_threads_ends_with_its_last_frame(view, host):
    def answer(content, buffers=None):
        host.frames.append((content["seq"], bytes(buffers[0])))
        threading.Thread(target=host.say, kwargs={"type": "ack", "seq": content["seq"]}).start()

    view.send = answer
    worker = threading.Thread(target=lambda: [view.show(np.full((8, 8), i), live=True) for i in range(200)])
    worker.start()
    worker.join()
    view.settle()
    assert max(host.numbers) == 200
    assert view.still_meta["seq"] == 200


def test_what_is_sent_is_a_copy(view, host):
    array = np.arange(4, dtype=np.uint8).reshape(2, 2)
    view.show(array, live=True)
    array[:] = 9
    assert host.frames[0][1] == bytes([0, 1, 2, 3])


def test_nothing_is_sent_after_close(view, host):
    view.show(np.eye(2), live=True)
    view.close()
    view.show(np.eye(2), live=True)
    view.settle()
    host.say(type="ack", seq=1)
    view.close()
    assert host.numbers == [1]


def test_a_still_travels_in_the_state_and_a_large_one_also_in_full(view, host):
    view.show(np.arange(6.0).reshape(2, 3))
    assert view.still_meta["dtype"] == "uint16" and len(view.still) == 12
    assert host.frames == [] and not view.live
    view.show(np.zeros((1100, 600)))
    assert view.still_meta["shape"] == [367, 200] and view.still_meta["full"] == [1100, 600]
    assert host.numbers == [3] and len(host.frames[0][1]) == 2 * 1100 * 600


# ------------------------------------------------------------------ numbers to codes


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int64])
def test_whole_numbers_that_fit_are_sent_exactly(dtype):
    image = np.array([[0, 1], [1, 0]]).astype(dtype) if dtype is bool else np.array([[3, 7], [100, 20]], dtype)
    made = quantise(image)
    assert np.array_equal(made.values, image) and made.dtype == "uint8"


def test_counts_beyond_16_bits_are_scaled():
    made = quantise(np.array([[0, 10**6]]))
    assert made.dtype == "uint16" and np.allclose(made.values, [[0, 10**6]])


def test_values_without_a_number_have_a_code_of_their_own():
    made = quantise(np.array([[np.nan, 1.0], [np.inf, 3.0]]))
    assert np.array_equal(made.values, [[np.nan, 1], [np.nan, 3]], equal_nan=True)
    assert np.isnan(quantise(np.full((2, 2), np.nan)).values).all()


def test_quantising_is_within_half_a_step():
    image = np.random.default_rng(0).normal(size=(50, 40))
    for fine, steps in ((True, 65535), (False, 255)):
        made = quantise(image, fine=fine)
        assert np.abs(made.values - image).max() <= 0.5001 * np.ptp(image) / steps


def test_a_complex_image_is_amplitude_and_phase():
    made = quantise(np.array([[1j, -1], [2, 0]]))
    assert made.kind == "complex" and (made.lo, made.hi) == (0, 2)
    assert made.codes.tolist() == [[128, 128], [255, 0]]
    assert made.phase_codes.tolist() == [[192, 0], [128, 128]]


def test_limits_clip_and_are_told(view):
    view.show(np.array([[-5.0, 0.0, 1.0, 9.0]]), lo=0, hi=1)
    assert view.still_meta["fixed"] is True
    assert view.rgb()[0, :, 0].tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 2, 3)), np.zeros((0, 4)), np.array([["a"]])])
def test_what_is_no_image_is_refused(view, bad):
    with pytest.raises(DataError, match="2-D array"):
        view.show(bad)


# ------------------------------------------------------------------ regions, keys, traits


def test_a_region_moved_in_the_browser_is_told_and_echoed_at_the_end_only(view, host):
    view.regions = [DISK, {"id": "p", "shape": "point", "y": 0, "x": 0}]
    told = []
    view.on_region(lambda region, final: told.append((region["y"], final, view.region("bf")["y"])))
    before = view._regions
    host.say(type="region", region={**DISK, "y": 5.5}, final=False, change=["v", 1])
    assert view._regions is before
    host.say(type="region", region={**DISK, "y": 6.5}, final=True, change=["v", 2])
    assert told == [(5.5, False, 5.5), (6.5, True, 6.5)]
    assert view._regions["change"] == ["v", 2] and view._regions["regions"][0]["y"] == 6.5


def test_a_region_that_python_moves_calls_nobody(view):
    view.regions = [DISK]
    view.on_region(lambda region, final: pytest.fail("called"))
    view.set_region("bf", r=9)
    assert view.region("bf")["r"] == 9 and view._regions["regions"][0]["r"] == 9


def test_a_region_taken_away_meanwhile_is_forgotten(view, host):
    host.say(type="region", region=DISK, final=True, change=["v", 1])
    assert view.regions == []


def test_regions_are_checked(view):
    with pytest.raises(ParameterError, match="did you mean 'disk'"):
        view.regions = [{"id": "a", "shape": "disc", "y": 0, "x": 0}]
    with pytest.raises(ParameterError, match="r missing"):
        view.regions = [{"id": "a", "shape": "disk", "y": 0, "x": 0}]
    with pytest.raises(ParameterError, match="id of its own"):
        view.regions = [DISK, DISK]
    with pytest.raises(ParameterError, match="finite"):
        view.regions = [{**DISK, "r": float("nan")}]
    view.regions = [{**DISK, "y": np.float32(2.5)}]
    assert type(view.regions[0]["y"]) is float
    with pytest.raises(ParameterError, match="did you mean 'bf'"):
        view.region("bff")


def test_keys_and_the_cursor_are_told(view, host):
    keys, places = [], []
    view.on_key(keys.append)
    view.on_cursor(lambda *place: places.append(place))
    host.say(type="key", key=" ")
    host.say(type="cursor", y=1.5, x=2, value=None)
    host.say(type="unheard of")
    assert keys == [" "] and places == [(1.5, 2, None)]


def test_traits_are_checked_and_take_what_people_write(view):
    view.show(np.eye(3), sampling=0.2, unit="A")
    assert view.sampling == [0.2, 0.2] and view.unit == "A"
    view.sampling = np.array([1, 2])
    view.percentiles = (1, 99)
    assert view.percentiles == [1.0, 99.0]
    with pytest.raises(ParameterError, match="colour map"):
        view.cmap = "jet"
    with pytest.raises(ParameterError, match="lower and a higher"):
        view.limits = (2, 1)
    with pytest.raises(traitlets.TraitError):
        view.scale = "cubic"


def test_the_browser_knows_every_setting_by_the_same_name():
    source = (image_view.STATIC.parents[1] / "js" / "lib" / "image-view.ts").read_text(encoding="utf-8")
    body = re.search(r"DEFAULTS: Settings = \{(.*?)\n\};", source, re.S)
    assert body is not None
    names = set(re.findall(r"(\w+):", body[1]))
    assert names and names <= set(ImageView().trait_names(sync=True))


# ------------------------------------------------------------------ what a notebook shows


def test_the_bundle_has_words_a_image_and_the_view(view):
    bundle = view._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "image/png" not in data and data["text/plain"] == "ImageView('A view', no image yet)"
    view.show(np.eye(4))
    bundle = view._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert sorted(data) == ["application/vnd.jupyter.widget-view+json", "image/png", "text/plain"]
    assert repr(view) == "ImageView('A view', 4 x 4 px)"


def test_an_empty_view_and_a_cleared_one_are_no_trouble(view):
    assert view.png() == b""
    view.clear()
    assert view.png()[:4] == b"\x89PNG"


def test_the_bundle_is_small_and_names_no_address():
    script = image_view.STATIC / "image-view.js"
    style = image_view.STATIC / "ptywidgets.css"
    assert script.stat().st_size < 60_000
    assert not re.search(r"https?://", script.read_text(encoding="utf-8") + style.read_text(encoding="utf-8"))

"""Images without a browser: the file format, the colours, the same tables on both sides."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import ipywidgets
import numpy as np
import pytest

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.io.images.png import png
from ptywidgets.widgets.image.colormaps import STOPS, table
from ptywidgets.widgets.image.frames import quantise, reduced
from ptywidgets.widgets.image.png import PngFallback, colours, contrast_limits, resized, side_by_side, with_png

JS = Path(__file__).resolve().parents[3] / "js" / "lib"


def read_png(data: bytes) -> np.ndarray:
    """The pixels of a PNG with unfiltered rows, every checksum checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, body, size = 8, b"", (0, 0, 0)
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + content)
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", content[:10])
            assert depth == 8
            size = (height, width, {2: 3, 6: 4}[colour])
        body += content if kind == b"IDAT" else b""
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(size[0], -1)
    assert (rows[:, 0] == 0).all()
    return rows[:, 1:].reshape(size)


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 3), (4, 3, 4)])
def test_a_png_holds_the_pixels(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert np.array_equal(read_png(png(pixels)), pixels)


@pytest.mark.parametrize("shape", [(3, 3), (3, 3, 2), (0, 3, 3)])
def test_what_is_no_image_is_refused(shape):
    with pytest.raises(ValueError, match="an image has shape"):
        png(np.zeros(shape, np.uint8))


def test_browser_and_python_have_the_same_colour_maps():
    source = (JS / "colormaps.ts").read_text(encoding="utf-8")
    theirs = dict(re.findall(r'^  (\w+): "([0-9a-f]+)",$', source, re.M))
    assert theirs == STOPS


def test_the_stops_are_whole_colours_and_the_wheel_is_closed():
    for name, stops in STOPS.items():
        assert len(stops) % 6 == 0 and 2 <= len(stops) // 6 <= 32
        assert table(name).shape == (256, 3)
    assert STOPS["phase"][:6] == STOPS["phase"][-6:]
    assert np.abs(np.diff(table("phase").astype(int), axis=0)).max() <= 6


@pytest.mark.parametrize("name", ["gray", "magma", "inferno", "viridis", "cividis"])
def test_sequential_maps_grow_lighter(name):
    linear = ((table(name) / 255 + 0.055) / 1.055) ** 2.4
    assert (np.diff((linear @ [0.2126, 0.7152, 0.0722])[::5]) > 0).all()


def test_an_unknown_map_names_the_nearest():
    with pytest.raises(ParameterError, match="viridis"):
        table("virdis")


def test_colours_follow_scale_and_limits():
    frame = quantise(np.array([[0.0, 25.0, 100.0]]))
    grey = lambda **how: colours(frame, "gray", **how)[0, :, 0].tolist()  # noqa: E731
    assert grey() == [0, 64, 255]
    assert grey(scale="sqrt") == [0, 128, 255]
    assert grey(scale="power", gamma=0.5) == [0, 128, 255]
    assert grey(scale="log")[1] > 200
    assert grey(limits=(0, 25)) == [0, 255, 255]
    assert grey(percentiles=(0, 60)) == [0, 255, 255]


def test_a_diverging_map_is_centred_and_a_constant_image_is_drawn():
    assert contrast_limits(quantise(np.array([[-1.0, 3.0]])), "RdBu", (0, 100), None) == (-3, 3)
    assert colours(quantise(np.full((2, 2), 7.0))).tolist() == np.zeros((2, 2, 3)).tolist()


def test_missing_values_are_grey_in_a_image():
    assert colours(quantise(np.array([[np.nan, 1.0, 2.0]])))[0, 0].tolist() == [128] * 3


def test_phase_is_colour_and_amplitude_brightness():
    image = colours(quantise(np.array([[0, 1, -1, 1j]])))
    wheel = table("phase")
    assert image[0].tolist() == [[0, 0, 0], wheel[128].tolist(), wheel[0].tolist(), wheel[192].tolist()]


def test_images_have_a_useful_size():
    assert resized(np.zeros((4, 8, 3), np.uint8)).shape == (128, 256, 3)
    assert resized(np.full((1500, 1000, 3), 9, np.uint8)).shape == (500, 334, 3)
    assert side_by_side([np.zeros((4, 5, 3), np.uint8), np.zeros((6, 2, 3), np.uint8)], gap=1).shape == (6, 8, 3)


def test_reducing_keeps_the_mean_of_whole_blocks():
    image = np.arange(64.0).reshape(8, 8)
    assert reduced(image, 4).mean() == image.mean() and reduced(image, 8) is image
    assert reduced(np.ones((5, 7)), 3).tolist() == np.ones((2, 3)).tolist()


def test_a_composite_widget_gets_its_image():
    class Box(PngFallback, ipywidgets.VBox):
        def png(self) -> bytes:
            return png(np.zeros((2, 2, 3), np.uint8))

        def __repr__(self) -> str:
            return "Box()"

    data = Box()._repr_mimebundle_()
    assert data["text/plain"] == "Box()" and data["image/png"].startswith("iVBOR")
    assert with_png(Box(), None, b"")["application/vnd.jupyter.widget-view+json"]["version_major"] == 2

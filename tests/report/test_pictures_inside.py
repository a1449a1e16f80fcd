"""The pictures of what is inside a model: that each square has the colour of its number, in its place."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid.records import Figure
from pellucid.report import pictures
from pellucid.report.pictures import DPI, canvas, colours, feature_maps, filters

RED, BLUE, WHITE = colours.colours(np.array([[1.0, -1.0, 0.0]]), 1.0)[0]


def drawn(figure: Figure) -> np.ndarray:
    with Image.open(io.BytesIO(pictures.png(figure))) as image:
        return np.asarray(image.convert("RGB"))


def at(image: np.ndarray, left: float, top: float) -> np.ndarray:
    """The pixel at a place in inches."""
    return image[round(top * DPI), round(left * DPI)]


def kernels(weights: np.ndarray, style: str, **more: Any) -> Figure:
    shape = list(more.pop("shape", weights.shape))
    listed = [
        {"number": i + 1, "label": more.get("label", ""), "weights": one.tolist(), "largest": float(np.abs(one).max())}
        for i, one in enumerate(weights)
    ]
    data = {
        "network": "n", "layer": "c", "kind": "convolution", "number": 1, "shape": shape, "style": style,
        "dense": more.get("dense", False), "groups": 1, "scale": more.get("scale", "filter"),
        "largest": float(np.abs(weights).max()), "kernels": listed,
    }  # fmt: skip
    return Figure("filters", "filters", data, title="c of n", note=more.get("note", ""))


def test_the_scale_is_white_at_zero_and_alike_on_both_sides():
    assert WHITE.tolist() == [255, 255, 255]
    assert RED[0] > RED[2]
    assert BLUE[2] > BLUE[0]
    shades = colours.colours(np.linspace(0, 1, 9)[np.newaxis], 1.0)[0].astype(int).sum(axis=1)
    assert (np.diff(shades) < 0).all(), "the larger the darker"
    assert (colours.colours(np.zeros((2, 2)), 0.0) == 255).all(), "where all is 0 there is no scale, and no error"


def test_colours_have_middle_grey_at_zero():
    values = np.array([[[0.0]], [[1.0]], [[-1.0]]])
    assert colours.mixed(values, 1.0).tolist() == [[[128, 255, 0]]]


@pytest.mark.parametrize("scale", ["filter", "layer"])
def test_each_weight_is_a_square_of_its_colour(scale):
    weights = np.array([[[[1.0, -1.0]]], [[[0.5, 0.0]]]])
    image = drawn(kernels(weights, "signed", scale=scale))
    edge, left, middle = 0.82, filters._MARGIN, filters._HEAD + 0.41
    second = left + edge + filters._GAP
    assert at(image, left + edge / 4, middle).tolist() == RED.tolist()
    assert at(image, left + 3 * edge / 4, middle).tolist() == BLUE.tolist()
    half = colours.colours(np.array([[0.5]]), 1.0)[0, 0].tolist()
    assert at(image, second + edge / 4, middle).tolist() == (RED.tolist() if scale == "filter" else half)
    assert at(image, second + 3 * edge / 4, middle).tolist() == WHITE.tolist()


def test_kernels_of_three_colours_are_drawn_in_colour_and_as_their_mean():
    weights = np.zeros((1, 3, 1, 2))
    weights[0, :, 0, 0] = 1.0
    weights[0, 0, 0, 1], weights[0, 1, 0, 1] = 1.0, -1.0
    image = drawn(kernels(weights, "colour"))
    edge, left, top = 0.82, filters._MARGIN, filters._HEAD
    assert at(image, left + edge / 4, top + edge / 2).tolist() == [255, 255, 255]
    assert at(image, left + 3 * edge / 4, top + edge / 2).tolist() == [255, 0, 128]
    below = top + edge + filters._BETWEEN + edge / 2
    assert at(image, left + edge / 4, below).tolist() == RED.tolist()
    assert at(image, left + 3 * edge / 4, below).tolist() == WHITE.tolist()


def test_deeper_kernels_are_rows_of_their_channels():
    weights = np.zeros((3, 4, 3, 3))
    weights[1, 2] = -0.7
    weights[1, 3] = 0.7
    image = drawn(kernels(weights, "channels", note="First 3 of 9 kernels shown."))
    edge = 0.58
    step = edge + filters._BETWEEN
    row = filters._HEAD + 0.24 + step + edge / 2
    place = filters._MARGIN + filters._BESIDE + edge / 4
    assert at(image, place + 2 * step, row).tolist() == BLUE.tolist()
    assert at(image, place + 3 * step, row).tolist() == RED.tolist()
    assert at(image, place, row).tolist() == WHITE.tolist()


def test_what_has_no_connection_is_crossed_out():
    weights = np.ones((2, 2, 3, 3))
    weights[0, 0] = 0
    image = drawn(kernels(weights, "channels"))
    edge = 0.58
    left, top = filters._MARGIN + filters._BESIDE, filters._HEAD + 0.24
    square = image[round(top * DPI) + 5 : round((top + edge) * DPI) - 5, round(left * DPI) + 5 :][
        :, : round(edge * DPI) - 10
    ]
    assert (square != 255).any(axis=2).any(axis=1).mean() > 0.9, "a line runs from top to bottom"


@pytest.mark.parametrize(
    ("shape", "style", "wide"),
    [
        ((1, 1, 1, 1), "signed", 8),
        ((64, 3, 11, 11), "colour", 9),
        ((10, 1, 28, 28), "signed", 8),
        ((40, 1, 28, 28), "signed", 10),
        ((16, 16, 1, 1), "channels", 10),
    ],
)
def test_pictures_of_any_size_fit_a_page(shape, style, wide):
    random = np.random.default_rng(0).normal(size=shape)
    image = drawn(kernels(random, style, dense=shape[2] == 28, label="a long name of a class"))
    assert 6 * DPI < image.shape[1] <= wide * DPI
    assert image[-3:].min() == 255, "nothing is cut off at the bottom"
    assert image[:, -3:].min() == 255, "nor at the right"


def maps(values: np.ndarray, **more: Any) -> Figure:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(stream, "PNG")
    data = {
        "network": "n", "layer": "c", "kind": "convolution", "number": 1, "shape": list(values.shape),
        "scale": more.get("scale", "layer"), "largest": float(np.abs(values).max()), "lowest": float(values.min()),
        "picture": {
            "png": base64.b64encode(stream.getvalue()).decode(), "id": "digits test/3", "label": more.get("label"),
            "predicted": "seven", "probability": 0.98,
        },
        "maps": [{"number": 9 - i, "values": one.tolist(), "highest": one.max()} for i, one in enumerate(values)],
    }  # fmt: skip
    return Figure("feature_maps", "feature-maps", data, title="c of n")


@pytest.mark.parametrize("scale", ["layer", "map"])
def test_the_picture_stands_at_the_left_of_its_maps(scale):
    values = np.array([[[2.0, -2.0]], [[1.0, 0.0]]])
    image = drawn(maps(values, scale=scale, label="seven"))
    top, edge = feature_maps._HEAD, 1.3
    assert at(image, feature_maps._MARGIN + 0.5, top + 0.5).tolist() == pytest.approx([90, 90, 90], abs=1)
    start = feature_maps._MARGIN + feature_maps._PICTURE + feature_maps._APART
    assert at(image, start + edge / 4, top + edge / 2).tolist() == RED.tolist()
    assert at(image, start + 3 * edge / 4, top + edge / 2).tolist() == BLUE.tolist()
    half = colours.colours(np.array([[0.5]]), 1.0)[0, 0].tolist()
    second = start + edge + feature_maps._GAP + edge / 4
    assert at(image, second, top + edge / 2).tolist() == (half if scale == "layer" else RED.tolist())


def test_the_bar_has_no_blue_where_nothing_is_below_zero():
    both, above = (drawn(maps(np.full((1, 2, 2), value))) for value in (-1.0, 1.0))

    def blue(image: np.ndarray) -> int:
        bar = image[: round(feature_maps._HEAD * DPI)].astype(int)
        return int((bar[..., 2] - bar[..., 0] > 60).sum())

    assert blue(both) > 1000
    assert blue(above) == 0


@pytest.mark.parametrize("count", [1, 6, 64, 130])
def test_any_number_of_maps_fits_a_page(count):
    image = drawn(maps(np.random.default_rng(0).random((count, 5, 7))))
    assert 7 * DPI < image.shape[1] < 12 * DPI
    assert image[-3:].min() == 255
    assert image[:, -3:].min() == 255


def test_a_long_title_is_written_smaller_before_it_is_cut():
    title = "patch_embed.proj of timm:vit_tiny_patch16_224, convolution 1: 192 kernels of 3×16×16"
    assert canvas.titled("short", 7.0) == ("short", 13.0)
    said, size = canvas.titled(title, 7.1)
    assert said == title
    assert 9 <= size < 10
    said, size = canvas.titled(title * 3, 7.1)
    assert size == 9
    assert "…" in said


def test_names_give_way_before_the_middle_of_a_title():
    network, picture = "timm:swin_tiny_patch4_window7_224", "hymenoptera val/ants/1119630822_cd325ea21a.jpg"
    title = f"layers.2.blocks.0.drop_path1 of {network}, DropPath: 384 maps of 14×14 for {picture}"
    said = canvas.shortened(title, [picture, network], 10.2)
    assert canvas.titled(said, 10.2)[0] == said
    assert said.startswith(f"layers.2.blocks.0.drop_path1 of {network}, DropPath: 384 maps of 14×14 for hyme")
    assert canvas.shortened("a of n for p", ["p", "n"], 10.2) == "a of n for p"

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pellucid.insight.kernels import answers_to

SOBEL = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        (SOBEL, "vertical"),
        (-SOBEL, "vertical"),
        (SOBEL.T, "horizontal"),
        (np.array([[0.0, 1, 2], [-1, 0, 1], [-2, -1, 0]]), "falling"),
        (np.array([[2.0, 1, 0], [1, 0, -1], [0, -1, -2]]), "rising"),
    ],
)
def test_the_kernels_of_textbooks_are_named_by_their_edges(kernel, name):
    found = answers_to(kernel[np.newaxis])
    assert (found["shape"], found["name"], found["clear"]) == ("edge", name, True)
    assert found["strength"] > 0.8


@pytest.mark.parametrize("turn", [0, 22.5, 67.5, 112.5, 157.5])
def test_the_angle_is_that_of_the_edge(turn):
    x, y = np.meshgrid(np.arange(9) - 4.0, 4.0 - np.arange(9))
    angle = np.deg2rad(turn)
    found = answers_to(np.sign(x * np.sin(angle) - y * np.cos(angle))[np.newaxis])
    assert abs(found["angle"] - turn) <= 7.5
    assert found["strength"] > 0.85


@pytest.mark.parametrize(("turn", "name"), [(67.5, "vertical"), (112.5, "vertical"), (22.5, "horizontal")])
def test_between_two_directions_both_sides_are_called_alike(turn, name):
    x, y = np.meshgrid(np.arange(9) - 4.0, 4.0 - np.arange(9))
    angle = np.deg2rad(turn)
    found = answers_to(np.sign(x * np.sin(angle) - y * np.cos(angle))[np.newaxis])
    assert (found["angle"], found["name"]) == (turn, name)


def test_colours_that_cancel_each_other_work_for_no_edge():
    red_against_green = np.stack([SOBEL, -0.97 * SOBEL, 0 * SOBEL])
    assert answers_to(red_against_green)["strength"] < 0.05
    assert answers_to(np.stack([SOBEL] * 3))["strength"] > 0.8


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        (np.array([[-1.0, 2, -1]] * 3), "vertical"),
        (np.clip(1.5 - abs(np.arange(5) - np.arange(5)[:, np.newaxis]), -1, 1), "falling"),
    ],
)
def test_a_line_is_no_edge(kernel, name):
    found = answers_to(kernel[np.newaxis])
    assert (found["shape"], found["name"], found["clear"]) == ("line", name, True)


def test_a_blob_and_noise_are_neither():
    blob = ndimage.gaussian_filter(np.pad([[1.0]], 3), 1.0)
    assert not answers_to(blob[np.newaxis])["clear"]
    noise = [answers_to(np.random.default_rng(i).normal(size=(1, 7, 7)))["clear"] for i in range(20)]
    assert sum(noise) <= 1


def test_what_is_too_small_or_empty_has_none():
    assert answers_to(np.ones((1, 1, 1))) is None
    assert answers_to(np.zeros((1, 5, 5))) is None

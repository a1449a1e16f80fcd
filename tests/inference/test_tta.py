"""Looking again, mirrored and moved, where the first look is unsure."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid
from pellucid.inference.probabilities import probabilities
from pellucid.inference.tta import average_views, weighted_views


def pictures(n: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 3, 5, 6), dtype=np.uint8)


def softmax(outputs: np.ndarray) -> np.ndarray:
    return probabilities("softmax", outputs)


@pytest.mark.parametrize(("views", "n"), [((), 1), (("flip",), 2), (("shift",), 3), (("flip", "shift"), 6)])
def test_the_weights_of_the_views_add_up_to_one(views, n):
    found = weighted_views(views)
    assert len(found) == n
    assert sum(weight for weight, _ in found) == pytest.approx(1)
    seen = [look(pictures()) for _, look in found]
    assert np.array_equal(seen[0], pictures())
    assert all(view.shape == (4, 3, 5, 6) and view.dtype == np.uint8 for view in seen)
    assert len({view.tobytes() for view in seen}) == n, "two views are the same"


def test_moved_pictures_are_those_of_a_reflected_padding():
    x = pictures()
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    moved = [view(x) for _, view in weighted_views(("shift",))]
    assert np.array_equal(moved[1], padded[:, :, :-2, :-2])
    assert np.array_equal(moved[2], padded[:, :, 2:, 2:])


def test_only_unsure_pictures_are_seen_again():
    x = pictures()
    first = np.array([[5.0, 0.0], [0.1, 0.0], [0.0, 0.2], [0.0, 9.0]])
    asked = []

    def forward(seen: np.ndarray) -> np.ndarray:
        asked.append(seen)
        return np.full((len(seen), 2), 7.0)

    again = average_views(first, x, forward, softmax, ("flip",), 0.9)
    assert len(asked) == 1
    assert np.array_equal(asked[0], x[1:3, ..., ::-1])
    assert np.array_equal(again[[0, 3]], first[[0, 3]])
    np.testing.assert_allclose(again[[1, 2]], (first[[1, 2]] + 7) / 2)
    assert np.array_equal(average_views(first, x, forward, softmax, ("flip",), 0.0), first)


def test_a_model_looks_again_by_itself_and_the_file_remembers(tmp_path):
    data = pellucid.load("digits")
    settings = {"epochs": 1, "progress": False, "seed": 1}
    once = pellucid.train(data, "logistic-regression", **settings)
    twice = pellucid.train(data, "logistic-regression", tta=("flip",), **settings)
    assert all(np.array_equal(once.weights[name], twice.weights[name]) for name in once.weights)
    split = data.test.take(range(20))
    mirrored = pellucid.predict(once, np.ascontiguousarray(split.pictures[..., ::-1])).probabilities
    straight = pellucid.predict(once, split).probabilities
    wanted = np.sqrt(mirrored * straight)  # the mean of logits is the geometric mean of probabilities
    found = pellucid.predict(pellucid.Model.load(twice.save(tmp_path / "m.safetensors")), split).probabilities
    np.testing.assert_allclose(found, wanted / wanted.sum(axis=1, keepdims=True), atol=1e-5)

"""model + data = predictions, from every kind of picture that people hold."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import pellucid
from pellucid.data.preprocessing import normalise
from pellucid.errors import DataError, ModelFileError, NetworkError, UnknownNameError, UsageError
from pellucid.inference import build, torch_runner
from pellucid.inference import runner as runner_module
from pellucid.inference.building import load_weights, try_out, weights_of
from pellucid.inference.forward import forward
from pellucid.inference.probabilities import PROBABILITIES, probabilities
from pellucid.inference.runner import predict, runner
from pellucid.inference.torch_runner import TorchRunner, last_dense
from pellucid.networks.catalogue import create
from pellucid.records import (
    Dataset,
    Model,
    NetworkSpecification,
    PictureFiles,
    Preprocessing,
    Specification,
    Split,
)

CLASSES = ("cat", "dog", "owl")


def make(shape: tuple[int, int, int], network: str = "lenet5", **more: Any) -> Model:
    """A model of random weights, so that every pixel matters."""
    torch.manual_seed(0)
    preprocessing = Preprocessing(channels=shape[0], height=shape[1], width=shape[2], mean=(0.3,), std=(0.4,))
    specification = Specification(
        network=NetworkSpecification(name=network), classes=CLASSES, preprocessing=preprocessing, **more
    )
    return Model(specification, weights_of(create(network, shape, len(CLASSES))))


@pytest.fixture(scope="module")
def grey() -> Model:
    return make((1, 9, 7))


@pytest.fixture(scope="module")
def colour() -> Model:
    return make((3, 9, 7))


def random_pictures(n: int, channels: int, height: int = 9, width: int = 7) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, channels, height, width), dtype=np.uint8)


def split(pictures: Any, **more: Any) -> Split:
    return Split("test", pictures, **({"labels": None, "classes": CLASSES} | more))


def test_predictions_are_the_softmax_of_what_the_network_says(grey):
    pictures = random_pictures(5, 1)
    found = predict(grey, split(pictures, labels=np.array([0, 1, 2, 1, 0]), dataset="zoo"))
    inputs = torch.from_numpy((pictures / 255 - 0.3) / 0.4).float()
    with torch.no_grad():
        wanted = torch.softmax(build(grey)(inputs), dim=1)
    np.testing.assert_allclose(found.probabilities, wanted.numpy(), atol=1e-5)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)
    assert found.probabilities.dtype == np.float32
    assert found.classes == CLASSES
    assert found.ids.tolist() == [f"test/{i}" for i in range(5)]
    assert found.labels.tolist() == [0, 1, 2, 1, 0]
    assert (found.dataset, found.split, found.model) == ("zoo", "test", grey.sha256)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 1000])
def test_they_do_not_depend_on_the_batch(grey, batch_size):
    pictures = split(random_pictures(23, 1))
    np.testing.assert_allclose(
        predict(grey, pictures, batch_size=batch_size).probabilities, predict(grey, pictures).probabilities, atol=1e-5
    )


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_of_nothing(grey, batch_size):
    with pytest.raises(UsageError) as caught:
        predict(grey, split(random_pictures(2, 1)), batch_size=batch_size)
    assert str(caught.value) == f"A batch size is a whole number of pictures, at least 1; given: {batch_size!r}."


FORMS = {
    "uint8 (N, C, H, W)": lambda p: p,
    "list of (C, H, W)": list,
    "tuple of (C, H, W)": tuple,
    "(N, H, W, C)": lambda p: p.transpose(0, 2, 3, 1),
    "list of (H, W, C)": lambda p: list(p.transpose(0, 2, 3, 1)),
    "int64": lambda p: p.astype(np.int64),
    "float32 to 1": lambda p: (p / 255).astype(np.float32),
    "tensor": torch.from_numpy,
    "tensor, float": lambda p: torch.from_numpy(p).float() / 255,
    "tensor that learns": lambda p: (torch.from_numpy(p).double() / 255).requires_grad_(requires_grad=True),
    "list of tensors": lambda p: list(torch.from_numpy(p)),
    "list of PIL": lambda p: [Image.fromarray(one.squeeze() if len(one) == 1 else one.transpose(1, 2, 0)) for one in p],
    "mixed": lambda p: [p[0], torch.from_numpy(p[1]), *p[2:]],
    "not contiguous": lambda p: np.asfortranarray(p),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_form_of_the_same_pictures_gives_the_same(grey, colour, form, channels):
    model = grey if channels == 1 else colour
    pictures = random_pictures(4, channels)
    found = predict(model, FORMS[form](pictures))
    np.testing.assert_allclose(found.probabilities, predict(model, split(pictures)).probabilities, atol=1e-5)
    assert found.labels is None
    assert found.ids.tolist() == [f"picture {i}" for i in (1, 2, 3, 4)]


def test_grey_pictures_without_channels(grey):
    pictures = random_pictures(5, 1)
    wanted = predict(grey, split(pictures)).probabilities
    np.testing.assert_array_equal(predict(grey, pictures[:, 0]).probabilities, wanted)
    np.testing.assert_allclose(predict(grey, pictures[2, 0]).probabilities, wanted[2:3], atol=1e-6)
    np.testing.assert_array_equal(predict(grey, list(pictures[:, 0])).probabilities, wanted)


@pytest.mark.parametrize("channels", [1, 3])
def test_one_picture_alone(grey, colour, channels):
    model = grey if channels == 1 else colour
    pictures = random_pictures(1, channels)
    wanted = predict(model, split(pictures)).probabilities
    array = pictures[0]
    alone = [array.transpose(1, 2, 0), torch.from_numpy(array), Image.fromarray(array.transpose(1, 2, 0).squeeze())]
    for one in [*alone, *([array] if channels == 1 else [pictures])]:
        np.testing.assert_allclose(predict(model, one).probabilities, wanted, atol=1e-6)


def test_what_may_be_one_picture_or_three_is_refused(grey, colour):
    pictures = random_pictures(1, 3)[0]
    with pytest.raises(DataError) as caught:
        predict(grey, pictures)
    assert "may be one colour picture or three grey ones" in str(caught.value)
    assert "(1, 3, 9, 7)" in str(caught.value)
    assert "(3, 1, 9, 7)" in str(caught.value)
    assert len(predict(grey, pictures[None])) == 1
    assert len(predict(grey, pictures[:, None])) == 3
    assert len(predict(colour, pictures)) == 1


def test_pictures_as_narrow_as_a_channel_axis():
    model = make((1, 4, 4), "mlp")
    pictures = random_pictures(3, 1, 4, 4)
    np.testing.assert_array_equal(predict(model, pictures).probabilities, predict(model, split(pictures)).probabilities)


def test_alpha_is_laid_over_white(colour):
    rgb = random_pictures(1, 3)[0].transpose(1, 2, 0)
    clear = np.concatenate([rgb, np.zeros((9, 7, 1), np.uint8)], axis=2)
    white = np.full((9, 7, 3), 255, np.uint8)
    np.testing.assert_array_equal(predict(colour, clear).probabilities, predict(colour, white).probabilities)


def test_truth_values_are_black_and_white(grey):
    mask = random_pictures(2, 1)[:, 0] > 100
    wanted = predict(grey, (mask * 255).astype(np.uint8)).probabilities
    np.testing.assert_array_equal(predict(grey, mask).probabilities, wanted)


@pytest.mark.parametrize(
    ("pictures", "part"),
    [
        (
            np.zeros((2, 9, 7)) + 7.5,
            "fractions from 0 to 1; given: float64 from 7.5 to 7.5. Divide by 255, or convert to uint8.",
        ),
        (np.zeros((2, 9, 7)) - 1, "float64 from -1 to -1"),
        (np.full((2, 9, 7), np.nan), "float64 from nan to nan"),
        (np.full((2, 9, 7), 256), "int64 from 256 to 256"),
        (np.zeros((2, 9, 7), complex), "numbers from 0 to 255, or from 0 to 1; given: complex128"),
        (np.full((9, 7), "x"), "numbers from 0 to 255, or from 0 to 1; given: <U1"),
        (np.float32(3), "all must be of the same kind; given: float32"),
        (np.zeros(5, np.uint8), "two to four dimensions; given shape: (5,)"),
        (np.zeros((2, 2, 2, 9, 7), np.uint8), "given shape: (2, 2, 2, 9, 7)"),
        (np.zeros((2, 5, 9, 7), np.uint8), "(H, W), (H, W, C) or (C, H, W); given: (5, 9, 7)"),
        ([3], "all must be of the same kind; given: int"),
        (object(), "all must be of the same kind; given: object"),
        (["a.png", np.zeros((9, 7), np.uint8)], "all must be of the same kind; given: str"),
        ([], "There is no picture to predict"),
        ((), "There is no picture to predict"),
        (np.zeros((0, 9, 7), np.uint8), "There is no picture to predict"),
        (split(np.zeros((0, 1, 9, 7), np.uint8)), "There is no picture to predict"),
        (Dataset("zoo", {"train": split(random_pictures(1, 1))}), "'zoo' has the splits train; give one of them"),
    ],
)
def test_what_is_no_picture(grey, pictures, part):
    with pytest.raises(DataError) as caught:
        predict(grey, pictures)
    assert part in str(caught.value)


def test_grey_for_a_colour_model_and_colour_for_a_grey_one(grey, colour):
    thin = random_pictures(4, 1)
    repeated = np.repeat(thin, 3, axis=1)
    wanted = predict(colour, split(repeated)).probabilities
    np.testing.assert_array_equal(predict(colour, split(thin)).probabilities, wanted)
    np.testing.assert_array_equal(predict(colour, thin).probabilities, wanted)
    np.testing.assert_array_equal(predict(grey, repeated).probabilities, predict(grey, thin).probabilities)
    rich = random_pictures(4, 3)
    luma = [np.asarray(Image.fromarray(one.transpose(1, 2, 0)).convert("L")) for one in rich]
    np.testing.assert_array_equal(predict(grey, rich).probabilities, predict(grey, np.stack(luma)).probabilities)


def test_pictures_of_other_sizes_are_brought_to_the_models(grey):
    large = random_pictures(4, 1, 20, 31)
    small = [np.asarray(Image.fromarray(one[0]).resize((7, 9), Image.Resampling.BILINEAR)) for one in large]
    wanted = predict(grey, np.stack(small)).probabilities
    np.testing.assert_array_equal(predict(grey, split(large)).probabilities, wanted)
    np.testing.assert_array_equal(predict(grey, list(large)).probabilities, wanted)
    mixed = [large[0], random_pictures(1, 1)[0], Image.fromarray(large[2, 0])]
    np.testing.assert_array_equal(predict(grey, mixed).probabilities[[0, 2]], wanted[[0, 2]])


def test_what_is_no_model(grey):
    with pytest.raises(UsageError, match=r"pellucid\.Model\.load\(path\); given: 'model.safetensors'"):
        predict("model.safetensors", random_pictures(1, 1))


# Files
@pytest.fixture
def folder(tmp_path) -> Path:
    for i, picture in enumerate(random_pictures(4, 1)):
        Image.fromarray(picture[0]).save(tmp_path / f"{i}.png")
    return tmp_path


@pytest.mark.parametrize("kind", [str, Path])
def test_paths(grey, folder, kind):
    paths = [kind(folder / f"{i}.png") for i in range(4)]
    found = predict(grey, paths)
    np.testing.assert_array_equal(found.probabilities, predict(grey, split(random_pictures(4, 1))).probabilities)
    assert found.ids.tolist() == [str(path) for path in paths]
    one = predict(grey, paths[1])
    np.testing.assert_array_equal(one.probabilities, found.probabilities[1:2])
    assert predict(grey, tuple(paths)).ids.tolist() == found.ids.tolist()


def test_what_cannot_be_read_is_named_and_the_others_go_on(grey, folder):
    (folder / "1.png").write_bytes((folder / "1.png").read_bytes()[:40])
    (folder / "text.jpg").write_text("no picture", encoding="utf-8")
    names = ["0.png", "1.png", "none.png", "text.jpg", "3.png"]
    found = predict(grey, [folder / name for name in names])
    assert found.ids.tolist() == [str(folder / "0.png"), str(folder / "3.png")]
    wanted = predict(grey, split(random_pictures(4, 1))).probabilities[[0, 3]]
    # Other neighbours in the batch, another order of summation: the last bit may differ.
    np.testing.assert_allclose(found.probabilities, wanted, rtol=0, atol=1e-6)
    assert list(found.unreadable) == [str(folder / name) for name in ("1.png", "none.png", "text.jpg")]
    assert all(reason.endswith(".") for reason in found.unreadable.values())


def test_when_none_can_be_read_there_is_no_prediction_but_every_reason(grey, folder, tmp_path):
    found = predict(grey, [folder / "none.png"])
    assert len(found) == 0
    assert found.probabilities.shape == (0, 3)
    assert len(found.unreadable) == 1
    found.save(tmp_path / "p.parquet")
    assert pellucid.Predictions.load(tmp_path / "p.parquet").unreadable == found.unreadable


def test_names_that_are_no_text_can_be_printed_and_kept(grey, folder, tmp_path):
    found = predict(grey, ["\udcff.png", str(folder / "0.png")])
    assert list(found.unreadable) == ["\\udcff.png"]
    if sys.platform == "linux":
        odd = Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png"))
        (folder / "0.png").rename(odd)
        found = predict(grey, [odd])
        assert found.ids.tolist() == [f"{folder}/\\udcff.png"]
    found.save(tmp_path / "p.parquet")
    assert pellucid.Predictions.load(tmp_path / "p.parquet").ids.tolist() == found.ids.tolist()


def test_a_split_of_files_keeps_its_labels_with_its_pictures(grey, folder):
    (folder / "1.png").write_bytes(b"damaged")
    files = PictureFiles(tuple(folder / f"{i}.png" for i in range(4)), folder)
    data = split(
        files, labels=np.array([0, 1, 2, 1]), columns={"age": np.arange(4)}, explicit_ids=np.array(list("abcd"))
    )
    found = predict(grey, data)
    assert found.ids.tolist() == ["a", "c", "d"]
    assert found.labels.tolist() == [0, 2, 1]
    assert found.columns["age"].tolist() == [0, 2, 3]
    assert list(found.unreadable) == ["b"]


def test_progress_is_told(grey):
    told = []
    predict(grey, split(random_pictures(10, 1)), batch_size=4, progress=lambda done, total: told.append((done, total)))
    assert told == [(4, 10), (8, 10), (10, 10)]


# Classes
def test_classes_are_matched_by_name(grey):
    data = split(random_pictures(3, 1), labels=np.array([0, 1, 0]), classes=("owl", "cat", "emu"))
    found = predict(grey, data)
    assert found.labels.tolist() == [2, 0, 2]
    assert found.classes == CLASSES


def test_classes_that_the_model_does_not_know(grey):
    data = split(random_pictures(3, 1), labels=np.array([0, 2, 0]), classes=("owl", "cat", "emu"))
    with pytest.raises(DataError) as caught:
        predict(grey, data)
    assert "does not know: emu" in str(caught.value)
    assert "cat, dog, owl" in str(caught.value)


# Probabilities
@pytest.mark.parametrize("name", PROBABILITIES)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4, 1e30])
def test_they_sum_to_one(name, scale):
    outputs = (np.random.default_rng(0).normal(size=(20, 4)) * scale).astype(np.float32)
    shares = probabilities(name, outputs)
    assert shares.dtype == np.float32
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(probabilities(name, outputs.astype(np.float64)), shares)


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0])
def test_softmax_is_that_of_torch(scale):
    outputs = torch.randn(50, 7, generator=torch.Generator().manual_seed(1)) * scale
    np.testing.assert_allclose(probabilities("softmax", outputs.numpy()), torch.softmax(outputs, dim=1), atol=1e-7)


def test_a_temperature_softens_and_changes_no_decision():
    outputs = np.array([[2.0, 1.0, 0.0]])
    powers = np.exp(outputs / 2)
    np.testing.assert_allclose(probabilities("softmax", outputs, 2.0), powers / powers.sum(), rtol=1e-6)
    np.testing.assert_array_equal(probabilities("normalised", outputs, 2.0), probabilities("normalised", outputs))
    warm = make((1, 9, 7), temperature=3.0)
    plain, soft = (predict(model, random_pictures(6, 1)) for model in (make((1, 9, 7)), warm))
    assert (plain.predicted == soft.predicted).all()
    assert (plain.confidence > soft.confidence).all()


def test_an_unknown_mapping():
    with pytest.raises(UnknownNameError, match="Did you mean 'softmax'"):
        probabilities("softmaxx", np.zeros((1, 2)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_that_says_no_numbers(grey, value):
    weights = {name: array.copy() for name, array in grey.weights.items()}
    weights["output.bias"][0] = value
    with pytest.raises(NetworkError, match="infinite or NaN: training diverged"):
        predict(replace(grey, weights=weights), random_pictures(2, 1))


# Building
def test_what_is_built_is_ready_to_predict(grey):
    module = build(grey)
    assert isinstance(module, nn.Module)
    assert not module.training
    pictures = random_pictures(3, 1)
    inputs = normalise(torch.from_numpy(pictures), grey.specification.preprocessing)
    wanted = predict(grey, pictures).probabilities
    np.testing.assert_allclose(torch.softmax(module(inputs), dim=1).detach().numpy(), wanted, atol=1e-6)
    # What is done to it, is not done to the model.
    with torch.no_grad():
        module.output.weight.zero_()
    np.testing.assert_array_equal(predict(grey, pictures).probabilities, wanted)


def test_building_draws_nothing_from_the_callers_generator(grey):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    build(grey)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_forward_leaves_the_network_as_it_was(grey):
    module = build(grey).train()
    found = forward(module, random_pictures(3, 1), grey.specification.preprocessing)
    assert module.training
    assert not found.requires_grad
    try_out(module, (1, 9, 7), 3)
    assert module.training


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda w: w.pop("c1.bias"), "'c1.bias' is missing from the file"),
        (lambda w: w.update(extra=np.zeros(1, np.float32)), "the network has no 'extra'"),
        (lambda w: w.update({"c1.bias": np.zeros(7, np.float32)}), "'c1.bias' is (7,) in the file, but (6,)"),
    ],
)
def test_weights_that_do_not_fit(grey, change, part):
    weights = dict(grey.weights)
    change(weights)
    with pytest.raises(ModelFileError) as caught:
        build(replace(grey, weights=weights))
    assert part in str(caught.value)


def test_weights_go_there_and_back():
    module = create("convnet", (1, 8, 8), 3)
    other = create("convnet", (1, 8, 8), 3)
    load_weights(other, weights_of(module))
    for name, tensor in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)
        assert weights_of(module)[name].shape == tuple(tensor.shape)


def test_a_network_that_this_version_does_not_have(grey):
    named = grey.specification.network.model_copy(update={"name": "lenet6"})
    model = replace(grey, specification=grey.specification.model_copy(update={"network": named}))
    with pytest.raises(UnknownNameError, match="Did you mean 'lenet5'"):
        build(model)


def test_importing_it_imports_no_torch():
    code = "import sys, pellucid.inference as i; assert 'torch' not in sys.modules; i.predict; i.build; print(dir(i))"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ, capture_output=True)
    with pytest.raises(AttributeError):
        _ = pellucid.inference.nothing


@pytest.fixture
def builds(monkeypatch) -> list[str]:
    """The hashes of the models whose networks are built."""
    built: list[str] = []
    monkeypatch.setattr(runner_module, "_runners", type(runner_module._runners)())
    original = torch_runner.build
    monkeypatch.setattr(
        torch_runner, "build", lambda model, network=None: built.append(model.sha256) or original(model, network)
    )
    return built


def test_a_second_call_on_the_same_model_builds_nothing(grey, builds):
    pictures = random_pictures(3, 1)
    first = predict(grey, pictures)
    again = predict(replace(grey), pictures)
    np.testing.assert_array_equal(first.probabilities, again.probabilities)
    assert builds == [grey.sha256]


def test_a_model_whose_weights_changed_is_built_again(grey, builds):
    pictures = random_pictures(3, 1)
    before = predict(grey, pictures)
    weights = {name: array * 2 if array.dtype.kind == "f" else array for name, array in grey.weights.items()}
    after = predict(replace(grey, weights=weights), pictures)
    assert len(builds) == 2
    assert not np.array_equal(before.probabilities, after.probabilities)


def test_a_few_runners_are_kept_and_no_more(grey, builds):
    for temperature in (1.0, 1.5, 2.0, 1.0):
        runner(replace(grey, specification=grey.specification.model_copy(update={"temperature": temperature})))
    assert len(builds) == 4
    assert len(runner_module._runners) == 2


def test_a_runner_gives_the_features_that_its_outputs_follow_from(grey):
    ready = TorchRunner(grey)
    pixels = random_pictures(5, 1)
    features, outputs = ready.features(pixels)
    last = last_dense(ready.layers).module
    expected = torch.nn.functional.linear(torch.from_numpy(features), last.weight, last.bias).detach().numpy()
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    np.testing.assert_allclose(outputs, ready.outputs(pixels), atol=1e-5)

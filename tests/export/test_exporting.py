"""Exports of every network agree with the original, and one that disagrees is refused."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import pellucid
from pellucid.errors import NetworkError, UsageError
from pellucid.export import exporting
from pellucid.export.exporting import export
from pellucid.inference.building import weights_of
from pellucid.inference.runner import runner
from pellucid.networks.catalogue import NETWORKS, create
from pellucid.networks.network import declaration
from pellucid.records import ExportedModel, Model, NetworkSpecification, Preprocessing, Specification, Split

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

LARGE = 10_000_000
NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if entry.parameters > LARGE else name for name, entry in NETWORKS.items()
]
TIMM = ["timm:resnet18", "timm:vit_tiny_patch16_224"]


def model_of(name: str, shape: tuple[int, int, int], classes: int) -> Model:
    """A model with random weights and running statistics."""
    torch.manual_seed(0)
    network = create(name, shape, classes)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.01 * torch.rand_like(tensor))
    declared = declaration(network)
    specification = Specification(
        network=NetworkSpecification(name=name),
        classes=tuple(f"class {index}" for index in range(classes)),
        preprocessing=Preprocessing(channels=shape[0], height=shape[1], width=shape[2], mean=(0.4,), std=(0.3,)),
        probabilities=declared.probabilities,
        temperature=1.7 if declared.probabilities == "softmax" else 1.0,
    )
    return Model(specification, weights_of(network))


def pictures_for(model: Model, n: int = 9) -> Split:
    shape = (n, *model.specification.preprocessing.shape)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return Split("validation", pixels, None, model.classes)


def agrees(model: Model, path: Path) -> None:
    """The file gives the model's probabilities, for any number of pictures."""
    pictures = pictures_for(model)
    export(model, path, pictures)
    loaded = ExportedModel.load(path)
    assert loaded.specification == model.specification
    assert loaded.source == model.sha256
    for n in (1, 2, 9):
        some = pictures.take(range(n))
        np.testing.assert_allclose(
            pellucid.predict(loaded, some).probabilities, pellucid.predict(model, some).probabilities, rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("name", NAMES)
def test_every_registered_network(name, tmp_path):
    entry = NETWORKS[name]
    agrees(model_of(name, entry.shape, min(entry.classes, 10)), tmp_path / "m.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_networks_of_timm(name, tmp_path):
    pytest.importorskip("timm")
    agrees(model_of(name, (3, 224, 224), 5), tmp_path / "m.onnx")


def test_photo_models_with_their_calibration(photo_model, photos, tmp_path):
    agrees(photo_model, tmp_path / "m.onnx")
    loaded = ExportedModel.load(tmp_path / "m.onnx")
    assert loaded.specification.temperature == photo_model.specification.temperature
    files = sorted(photos.rglob("*.jpg"))
    np.testing.assert_allclose(
        pellucid.predict(loaded, files).probabilities, pellucid.predict(photo_model, files).probabilities, atol=1e-5
    )


class Wandering(nn.Module):
    """Chooses its layer by its input: tracing keeps the choice of the black example."""

    def __init__(self) -> None:
        super().__init__()
        self.dark, self.bright = nn.Linear(16, 2), nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        layer = self.bright if x.mean() > 0.2 else self.dark
        return layer(x.flatten(1))


def wandering() -> tuple[Model, nn.Module]:
    torch.manual_seed(0)
    network = Wandering()
    specification = Specification(
        network=NetworkSpecification(name="custom", source="net.py:Wandering"),
        classes=("a", "b"),
        preprocessing=Preprocessing(channels=1, height=4, width=4),
    )
    return Model(specification, weights_of(network)), network


def test_a_graph_that_disagrees_is_refused(tmp_path):
    model, network = wandering()
    with pytest.raises(NetworkError) as caught:
        export(model, tmp_path / "m.onnx", pictures_for(model), network=network)
    assert re.match(
        r"The exported model disagrees with the original, so it was not written: \d of 9 pictures", str(caught.value)
    )
    assert list(tmp_path.iterdir()) == []


def test_a_planted_disagreement_of_probabilities_alone_is_refused(tmp_path, monkeypatch):
    model = model_of("mlp", (1, 8, 8), 3)
    outputs = runner(model).outputs(pictures_for(model).pictures)
    with pytest.raises(NetworkError, match="0 of 9 pictures have another class"):
        exporting.require_agreement(model, lambda _: outputs, lambda _: outputs * 1.01, pictures_for(model).pictures)


def test_int8_is_measured_against_the_gate(tmp_path, monkeypatch):
    data = pellucid.load("digits")
    model = pellucid.train(data, "convnet", epochs=3, progress=False)
    findings = export(model, tmp_path / "m.onnx", data.train, int8=True)
    small = ExportedModel.load(tmp_path / "m.onnx")
    assert small.precision == "int8"
    assert "n = " in str([*findings][-1].text)
    before, after = pellucid.predict(model, data.test), pellucid.predict(small, data.test)
    assert (before.predicted == after.predicted).mean() > 0.97
    monkeypatch.setattr(exporting, "GATE", -0.5)
    with pytest.raises(NetworkError, match=r"In 8 bits the accuracy changes by .* points .*n = 512"):
        export(model, tmp_path / "n.onnx", data.train, int8=True)
    assert not (tmp_path / "n.onnx").exists()
    with pytest.raises(UsageError, match="--int8 needs at least 40 labelled pictures"):
        export(model, tmp_path / "n.onnx", data.train.take(range(20)), int8=True)


@pytest.mark.slow
def test_int8_of_lite0_on_ants_and_bees_is_within_a_point(data_root, tmp_path):
    data = pellucid.load(data_root / "hymenoptera")
    model = pellucid.train(data, progress=False)
    export(model, tmp_path / "m.onnx", data.train, int8=True)
    small = pellucid.predict(ExportedModel.load(tmp_path / "m.onnx"), data.split("validation"))
    before = pellucid.predict(model, data.split("validation"))
    assert (small.predicted == small.labels).mean() >= (before.predicted == before.labels).mean() - 0.01


def test_a_program_of_torch_export(tmp_path):
    model = model_of("convnet", (1, 28, 28), 4)
    pictures = pictures_for(model)
    export(model, tmp_path / "m.pt2", pictures, to="torch-export")
    extra = {"pellucid.json": ""}
    program = torch.export.load(tmp_path / "m.pt2", extra_files=extra)
    assert '"class 3"' in extra["pellucid.json"]
    for n in (1, 9):
        with torch.no_grad():
            outputs = program.module()(torch.from_numpy(pictures.pictures[:n]))
        np.testing.assert_allclose(outputs.numpy(), runner(model).outputs(pictures.pictures[:n]), atol=1e-4)


def test_without_its_packages_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    model = model_of("mlp", (1, 8, 8), 3)
    with pytest.raises(UsageError, match=r'pip install "pellucid\[export\]"'):
        export(model, tmp_path / "m.onnx", pictures_for(model))


def test_an_exported_model_takes_no_network_and_has_no_features(tmp_path):
    model = model_of("mlp", (1, 8, 8), 3)
    export(model, tmp_path / "m.onnx", pictures_for(model))
    loaded = ExportedModel.load(tmp_path / "m.onnx")
    with pytest.raises(UsageError, match="holds its network"):
        pellucid.predict(loaded, pictures_for(model), network="net.py:Net")
    with pytest.raises(UsageError, match="has no features"):
        runner(loaded).features(pictures_for(model).pictures)

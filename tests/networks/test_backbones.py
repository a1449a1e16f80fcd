"""Backbones: their weights, their classes, and what is said where they are not at hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pellucid.errors import DownloadError, ModelFileError, UnknownNameError, UsageError
from pellucid.networks.backbones import embedding, imagenet_classes, load, read_weights
from pellucid.networks.catalogue import check_backbone, create

SMALL = "timm:mobilenetv3_small_050"


@pytest.fixture(scope="module")
def lite0():
    return load("lite0")


def test_lite0_is_the_same_network_as_timms(lite0):
    timm = pytest.importorskip("timm", reason="timm is an extra, and not installed")
    reference = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    names = list(reference.state_dict())
    assert len(names) == len(lite0.weights) == 296
    values = [torch.from_numpy(np.array(array)) for array in lite0.weights.values()]
    reference.load_state_dict(dict(zip(names, values, strict=True)))
    module = lite0.module()
    for side in ((64, 64), (33, 50)):
        inputs = torch.randn(2, 3, *side, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(module(inputs), reference(inputs), rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(
                module.features(inputs), reference.forward_head(reference.forward_features(inputs), pre_logits=True)
            )


def test_it_has_a_name_for_each_of_a_thousand_classes(lite0):
    assert len(lite0.classes) == len(set(lite0.classes)) == 1000
    assert lite0.classes == imagenet_classes()
    # Folders of these names must not fall together either, where a file system does not tell capitals apart.
    assert len({name.casefold() for name in lite0.classes}) == 1000
    assert (lite0.classes[0], lite0.classes[309], lite0.classes[310], lite0.classes[999]) == (
        "tench",
        "bee",
        "ant",
        "toilet tissue",
    )
    assert lite0.feature_count == 1280


def test_the_hash_is_of_what_the_features_depend_on(lite0):
    from dataclasses import replace

    last = {**lite0.weights, "classifier.bias": lite0.weights["classifier.bias"] + 1}
    assert replace(lite0, weights=last).sha256 == lite0.sha256
    first = {**lite0.weights, "head.convolution.weight": lite0.weights["head.convolution.weight"] + 1}
    assert replace(lite0, weights=first).sha256 != lite0.sha256


def test_a_new_last_layer_takes_the_place_of_its_own(lite0):
    state = lite0.module(classes=3).state_dict()
    assert state["classifier.weight"].shape == (3, 1280)
    np.testing.assert_array_equal(state["stem.convolution.weight"].numpy(), lite0.weights["stem.convolution.weight"])


def test_an_unknown_backbone_is_named():
    for refuse in (check_backbone, load):
        with pytest.raises(UnknownNameError) as caught:
            refuse("lite1")
        assert str(caught.value).startswith("There is no backbone named 'lite1'. Did you mean 'lite0'?")
    with pytest.raises(UsageError, match="has its own weights"):
        load("lite0", weights="some.safetensors")


def test_what_says_nothing_of_features_is_no_backbone():
    with pytest.raises(UsageError, match="LeNet5 has no function for its features"):
        embedding(create("lenet5", (1, 28, 28), 10))


@pytest.fixture(scope="module")
def weights_of_timm(tmp_path_factory):
    timm = pytest.importorskip("timm", reason="timm is an extra, and not installed")
    torch.manual_seed(0)
    module = timm.create_model(SMALL.removeprefix("timm:"), pretrained=False).eval()
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file(module.state_dict(), path)
    torch.save({"state_dict": module.state_dict()}, path.with_suffix(".pth"))
    return module, path


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_network_of_timm_takes_its_weights_from_a_file(weights_of_timm, suffix):
    reference, path = weights_of_timm
    backbone = load(SMALL, weights=path.with_suffix(suffix))
    assert (backbone.name, backbone.feature_count, backbone.classes[310]) == (SMALL, 1024, "ant")
    assert backbone.preprocessing.shape == (3, 224, 224)
    module = backbone.module()
    inputs = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(module.get_classifier()(embedding(module)(inputs)), reference(inputs))


def test_weights_that_do_not_fit_are_refused(weights_of_timm, tmp_path):
    _, path = weights_of_timm
    with pytest.raises(ModelFileError, match=r"small\.safetensors does not fit 'timm:resnet18': the network has no '"):
        load("timm:resnet18", weights=path)
    state = {name: torch.from_numpy(np.array(array)) for name, array in read_weights(path).items()}
    save_file(state | {"conv_stem.weight": torch.zeros(16, 3, 5, 5)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelFileError, match=r"'conv_stem.weight' is \(16, 3, 5, 5\), not"):
        load(SMALL, weights=tmp_path / "other.safetensors")


def test_a_file_that_is_no_weights_is_refused(tmp_path):
    for name in ("a.pth", "a.safetensors"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(ModelFileError, match=rf"{name} cannot be read as weights"):
            read_weights(tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ModelFileError, match="is not a file of named weights"):
        read_weights(tmp_path / "list.pth")


def test_weights_that_are_not_at_hand_are_not_downloaded_unasked(monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub", reason="it comes with timm, an extra")
    asked = []
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(hub, "hf_hub_download", lambda *_: asked.append("download") or str(tmp_path / "w"))
    with pytest.raises(UsageError, match=r"not on this machine\. Add --download to fetch them from timm/"):
        load(SMALL)
    assert asked == []


def test_a_download_is_said_and_may_fail(monkeypatch, capsys, weights_of_timm):
    hub = pytest.importorskip("huggingface_hub", reason="it comes with timm, an extra")
    _, path = weights_of_timm
    size = type("Meta", (), {"size": 6_400_000})
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(hub, "get_hf_file_metadata", lambda _: size)
    monkeypatch.setattr(hub, "hf_hub_download", lambda *_: str(path))
    assert load(SMALL, download=True).feature_count == 1024
    assert "Downloading 6 MB from timm/" in capsys.readouterr().err

    def fail(*_: object):
        raise OSError("no route to host")

    monkeypatch.setattr(hub, "hf_hub_download", fail)
    with pytest.raises(DownloadError, match=r"could not be downloaded from timm/.*: no route to host"):
        load(SMALL, download=True)
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: str(path))
    assert load(SMALL).feature_count == 1024


def test_timms_own_names_of_weights_are_known():
    pytest.importorskip("timm", reason="timm is an extra, and not installed")
    with pytest.raises(UnknownNameError, match=r"There is no set of weights named 'resnet18\.a9_in1k'"):
        load("timm:resnet18.a9_in1k")


def test_without_timm_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r'pip install "pellucid\[timm\]"'):
        load("timm:resnet18")

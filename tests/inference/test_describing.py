"""What a model says of pictures beside what it says it from: the same as a prediction, from features that are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import pellucid
from pellucid.data.preprocessing import normalise, prepare
from pellucid.inference.features import backbone_of, describe
from pellucid.inference.torch_runner import FeatureExtractor
from pellucid.networks.backbones import embedding
from pellucid.records import Model

SMALL = "timm:mobilenetv3_small_050"


@pytest.fixture
def of_timm(photos, tmp_path, monkeypatch):
    """The photos, and a model on a backbone of timm whose weights lie where an earlier download left them."""
    timm = pytest.importorskip("timm", reason="timm is an extra, and not installed")
    hub = pytest.importorskip("huggingface_hub", reason="it comes with timm, an extra")
    torch.manual_seed(0)
    save_file(timm.create_model(SMALL.removeprefix("timm:"), pretrained=False).state_dict(), tmp_path / "w.safetensors")
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: str(tmp_path / "w.safetensors"))
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    data = pellucid.load(photos)
    return data, pellucid.train(data, backbone=SMALL, size=64, progress=False)


def test_features_of_timms_backbones_are_kept_for_scoring_too(of_timm, tmp_path, monkeypatch):
    data, model = of_timm
    model = Model.load(model.save(tmp_path / "model.safetensors"))
    assert backbone_of(model).sha256 == model.specification.training["backbone"]["sha256"]
    first = describe(model, data.test)
    expected = pellucid.predict(model, data.test)
    np.testing.assert_allclose(first.predictions.probabilities, expected.probabilities, atol=1e-5)
    own = backbone_of(model)
    inputs = normalise(torch.from_numpy(np.asarray(prepare(data.test.pictures, own.preprocessing))), own.preprocessing)
    with torch.inference_mode():
        said = embedding(own.module())(inputs).numpy()
    assert said.shape == first.features.shape == (len(data.test), 1024)
    assert np.abs(first.features - said).max() <= 1e-4 * np.abs(said).max()
    monkeypatch.setattr(FeatureExtractor, "__call__", lambda *_: pytest.fail("it was computed again"))
    again = describe(model, data.test)
    np.testing.assert_array_equal(again.predictions.probabilities, first.predictions.probabilities)
    assert len(describe(model, data.train).features) == len(data.train), "the training computed these"


@pytest.mark.parametrize(
    "said", [None, "lite0", {}, {"classifier": "nowhere"}, {"classifier": "conv_stem"}, {"classifier": []}]
)
def test_a_model_that_does_not_say_where_its_last_layer_is_is_predicted(of_timm, said):
    data, model = of_timm
    specification = model.specification
    changed = specification.model_copy(update={"training": specification.training | {"backbone": said}})
    model = replace(model, specification=changed)
    assert backbone_of(model) is None
    found = describe(model, data.test)
    np.testing.assert_array_equal(found.features, found.predictions.probabilities)

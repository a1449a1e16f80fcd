"""Networks of timm, through the bridge: they train a step, are saved, loaded, and predict."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import pellucid
from pellucid.errors import NetworkError, UnknownNameError, UsageError
from pellucid.networks.catalogue import create
from pellucid.networks.network import count_parameters
from pellucid.records import Dataset, Model

timm = pytest.importorskip("timm", reason="timm is an extra, and not installed")


def tiny(side: int) -> Dataset:
    pictures = np.random.default_rng(0).integers(0, 256, (6, 3, side, side), dtype=np.uint8)
    labels = np.arange(6) % 2
    return pellucid.from_arrays(pictures, labels, ["a", "b"], validation=(pictures, labels))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "side"), [("resnet18", 32), ("vit_tiny_patch16_224", 32), ("mobilenetv3_small_100", 32)]
)
def test_it_trains_a_step_and_comes_back(name, side, tmp_path):
    data = tiny(side)
    model = pellucid.train(data, f"timm:{name}", epochs=1, batch_size=6, progress=False)
    loaded = Model.load(model.save(tmp_path / "model.safetensors"))
    assert loaded == model
    found = pellucid.predict(loaded, data.train)
    np.testing.assert_array_equal(found.probabilities, pellucid.predict(model, data.train).probabilities)
    assert found.probabilities.shape == (6, 2)


def test_it_counts_as_timm_counts():
    ours = create("timm:resnet18", (3, 32, 32), 1000)
    assert count_parameters(ours) == count_parameters(timm.create_model("resnet18", pretrained=False)) == 11_689_512


def test_settings_go_to_timm():
    assert create("timm:resnet18", (1, 32, 32), 4, {"drop_rate": 0.25}).drop_rate == 0.25
    with pytest.raises(NetworkError, match="timm cannot build 'resnet18' with"):
        create("timm:resnet18", (3, 32, 32), 4, {"no_such_setting": 1})


def test_what_timm_does_not_have():
    with pytest.raises(UnknownNameError, match="Did you mean 'resnet18'"):
        create("timm:resnet_18", (3, 32, 32), 4)


def test_without_timm_the_command_that_installs_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r'pip install "pellucid\[timm\]"'):
        create("timm:resnet18", (3, 32, 32), 4)

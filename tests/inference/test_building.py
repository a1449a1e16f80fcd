"""Model files that lie about their networks."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import pellucid
from pellucid.errors import NetworkError, PellucidError
from pellucid.inference import build, predict
from pellucid.inference.forward import as_tensor
from pellucid.records import Model, NetworkSpecification, Preprocessing, Specification


def lying(network, settings=None, shape=(1, 8, 8), temperature=1.0):
    """A model file's content that names a network which its weights are not of."""
    channels, height, width = shape
    return Model(
        Specification(
            network=NetworkSpecification(name=network, settings=settings or {}),
            classes=("a", "b"),
            preprocessing=Preprocessing(channels=channels, height=height, width=width),
            temperature=temperature,
        ),
        {"w": np.zeros(3, np.float32)},
    )


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lying("evil.py:Net"), "which is not in the catalogue"),
        (lying("mlp", {"widths": [10**9]}), "do not fit this network"),
        (lying("mlp", {"widths": [10**30]}), "have a number above 10,000"),
        (lying("logistic-regression", shape=(1, 4096, 4096)), "do not fit this network"),
        (
            lying("timm:resnet18", {"checkpoint_path": "evil.pth"}),
            "'checkpoint_path' of 'timm:resnet18' is not allowed",
        ),
        (lying("timm:resnet18", {"pretrained": True}), "weights come only from a model file"),
    ],
)
def test_a_file_that_lies_is_refused_without_asking_for_memory(model, said):
    with pytest.raises(PellucidError, match=said):
        build(model)


def test_a_spoilt_temperature_is_said_and_not_predicted_with():
    model = lying("logistic-regression", temperature=1e-320)
    rows = {"linear.weight": np.ones((2, 64), np.float32), "linear.bias": np.zeros(2, np.float32)}
    with pytest.raises(NetworkError, match=r"temperature of 9\.99989e-321"):
        predict(Model(model.specification, rows), np.full((8, 8), 200, np.uint8))


class WithView(nn.Module):
    """As courses write it: `view` after a convolution, which needs the usual order of memory."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.dense = nn.Linear(90, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(functional.max_pool2d(self.conv(x), 2))
        return self.dense(x.view(-1, 90))


def test_a_network_with_view_learns_and_predicts():
    data = pellucid.load("digits")
    model = pellucid.train(data, WithView(), epochs=1, progress=False)
    assert len(predict(model, data.test)) == 360
    assert len(predict(model, data.test.pictures[:3])) == 3


def test_tensors_have_the_usual_strides_whatever_numpy_left():
    odd = np.zeros((5, 8, 8, 1), np.uint8).transpose(0, 3, 1, 2)
    assert odd.flags["C_CONTIGUOUS"] and odd.strides[1] != 64
    assert as_tensor(odd).stride() == (64, 64, 8, 1)


def test_what_a_network_fails_on_is_said():
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 100:
                raise RuntimeError("too many at once")
            return self.dense(x.flatten(1))

    data = pellucid.load("digits")
    model = pellucid.train(data, Picky(), epochs=1, progress=False, batch_size=64, validation_fraction=0.05)
    with pytest.raises(NetworkError, match=r"Picky failed on pictures of shape .*: too many at once\."):
        predict(model, data.test, batch_size=200)

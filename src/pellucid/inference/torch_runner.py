"""A model on torch: `TorchRunner`, and the features that its network computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pellucid.data.preprocessing import normalise
from pellucid.data.progress import Progress
from pellucid.errors import UsageError
from pellucid.inference import fused
from pellucid.inference.building import build, quick_order
from pellucid.inference.device import exact, keep_freed_memory
from pellucid.inference.forward import as_tensor, forward
from pellucid.inference.hooks import hooked
from pellucid.inference.probabilities import require_finite
from pellucid.inference.tracing import Layer, Trace, trace
from pellucid.records import MappedPictures, Model, Specification

NetworkLike = nn.Module | type[nn.Module] | str

_PIXELS_AT_ONCE = 1_500_000
"""Pixel values in one batch while features are computed by hooks: large pictures go in small batches."""


class TorchRunner:
    """A model on torch.

    Attributes:
        model: the model.
        module: its network with its weights, in evaluation mode.

    Args:
        model: the model.
        network: for a model of the user's own network; see `pellucid.inference.building.build`.
        device: `cpu`, or the card that computes the outputs.

    Raises:
        ModelFileError: the model needs a class that was not given, or its weights do not fit the network.
        NetworkError: the given network does not run on pictures of the model's shape.
    """

    def __init__(self, model: Model, network: NetworkLike | None = None, device: str = "cpu") -> None:
        keep_freed_memory()
        self.model = model
        self.device = torch.device(device)
        self.module = quick_order(build(model, network).to(self.device), model.specification.network.name)
        self._fast = fused.FusedLite0(self.module) if fused.can_be_fused(self.module) else None
        self._trace: Trace | None = None

    @property
    def specification(self) -> Specification:
        return self.model.specification

    @property
    def sha256(self) -> str:
        return self.model.sha256

    @property
    def layers(self) -> Trace:
        """The layers of the network in the order in which they run."""
        if self._trace is None:
            self._trace = trace(self.module, self.model.specification.preprocessing.shape)
        return self._trace

    def outputs(
        self,
        pictures: np.ndarray | torch.Tensor | MappedPictures,
        *,
        batch_size: int = 256,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Outputs, float32 (N, K), for uint8 pictures (N, C, H, W)."""
        with exact(self.device):
            outputs = forward(
                self.module,
                pictures,
                self.specification.preprocessing,
                batch_size=batch_size,
                progress=progress,
                fast=self._fast,
            )
        return outputs.numpy()

    def features(self, pixels: np.ndarray, *, progress: Progress | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Penultimate outputs: the inputs of the last layer, float32 (N, D), and the outputs (N, K).

        Feature maps are averaged over their positions.

        Args:
            pixels: uint8 (N, C, H, W), already at the network's size.
            progress: called with (pictures done, pictures in total).

        Raises:
            NetworkError: an output is infinite or NaN.
            UsageError: the network has no layer with parameters.
        """
        extract = FeatureExtractor(self.module, self.model.specification.preprocessing, self.layers)
        features, outputs = [], []
        for start, values, logits in extract(pixels):
            features.append(values)
            outputs.append(logits)
            if progress is not None:
                progress(start + len(values), len(pixels))
        together = np.concatenate(outputs)
        require_finite(together)
        return np.concatenate(features), together


class FeatureExtractor:
    """Computes the penultimate outputs of a network: the one implementation, for photos, insight and search.

    A backbone says itself what its features are, and Lite0 computes them in its fused form. For any other network they
    are the inputs of its last dense layer, which a hook reads.

    Args:
        module: the network, in evaluation mode.
        preprocessing: turns pixels into inputs.
        layers: the trace of the module; without it the module must be a backbone, and the outputs are left out.
    """

    def __init__(self, module: nn.Module, preprocessing: Any, layers: Trace | None = None) -> None:
        self.module = module
        self.device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
        self.preprocessing = preprocessing
        self.run = fused.quick_features(module) if layers is None or fused.can_be_fused(module) else None
        self.last = None if layers is None else last_dense(layers)
        values = fused.AT_ONCE if self.run is not None else _PIXELS_AT_ONCE
        self.step = max(1, min(256, values // int(np.prod(preprocessing.shape))))

    def __call__(self, pictures: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yields (index of the first, features float32 (B, D), outputs float32 (B, K)) for uint8 (N, C, H, W)."""
        for start in range(0, len(pictures), self.step):
            inputs = normalise(as_tensor(pictures[start : start + self.step]), self.preprocessing).to(self.device)
            with torch.inference_mode():
                features, outputs = self._of_batch(inputs)
            yield start, features.float().cpu().numpy(), outputs.float().cpu().numpy()

    def _of_batch(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.run is not None:
            features = self.run(inputs)
            return features, self._classify(features)
        assert self.last is not None, "a network that is no backbone needs its trace"
        captured: list[torch.Tensor] = []

        def keep(_: str, __: nn.Module, inputs_of_layer: tuple[Any, ...]) -> None:
            values = inputs_of_layer[0].detach().float()
            captured.append((values.mean(dim=(2, 3)) if values.ndim == 4 else values.flatten(1)).clone())

        with hooked({self.last.name: self.last.module}, before=keep):
            outputs = self.module(inputs)
        return captured[-1], outputs

    def _classify(self, features: torch.Tensor) -> torch.Tensor:
        """The outputs that follow from a backbone's features."""
        if self.last is None:
            return torch.zeros(len(features), 0)
        layer = self.last.module
        assert isinstance(layer, nn.Linear)
        return functional.linear(features, layer.weight, layer.bias)


def last_dense(layers: Trace) -> Layer:
    """The layer that gives the answer: the last dense one, else the last with parameters. Its inputs are the features.

    Raises:
        UsageError: no layer has parameters.
    """
    weighted = [layer for layer in layers.layers if layer.parameters and isinstance(layer.module, nn.Linear)]
    weighted = weighted or [layer for layer in layers.layers if layer.parameters]
    if not weighted:
        raise UsageError("This network has no layer with parameters, so it has no features to compare pictures by.")
    return weighted[-1]

"""Signed attribution maps, pixel by pixel: Grad-CAM, integrated gradients and occlusion.

Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) weights the last feature maps by the gradients of the output; we
keep its negative part, which the paper cuts off. Integrated gradients (Sundararajan, Taly and Yan 2017,
arXiv:1703.01365) sum the gradients along the path from a blank picture. Occlusion (Zeiler and Fergus 2014,
arXiv:1311.2901) covers part of the picture and measures how much the output falls. Captum computes all three, except
Grad-CAM over the patches of a transformer and over channels-last maps, which this module computes itself.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from pellucid.errors import UsageError
from pellucid.inference import fused, layer_kinds
from pellucid.inference.tracing import Layer, Trace
from pellucid.insight.flow import Node, flow

LARGE = 100
"""A picture with more pixels per side gets fewer, larger steps."""


@dataclass(frozen=True)
class Answer:
    """The quantity to explain: the output of a class, or its margin over the output of a rival class."""

    target: int
    rival: int | None = None

    def of(self, outputs: torch.Tensor) -> torch.Tensor:
        """(N, K) → (N,)."""
        score = outputs[:, self.target]
        return score if self.rival is None else score - outputs[:, self.rival]


Explain = Callable[[nn.Module, torch.Tensor, torch.Tensor, Answer], np.ndarray]
"""A method: (network, input (1, C, H, W), blank input of the same shape, answer) → float32 (H, W)."""


class _Scored(nn.Module):
    """A network with one output per picture: the quantity to explain, (N,)."""

    def __init__(self, network: nn.Module, answer: Answer) -> None:
        super().__init__()
        self.network = network
        self.answer = answer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.answer.of(self.network(x))


def require_captum() -> None:
    """Checks that captum is installed.

    Raises:
        UsageError: it is not; the message says how to install it.
    """
    if importlib.util.find_spec("captum") is None:
        raise UsageError(
            'Explanations need captum, which is not installed. Install it with: pip install "pellucid[explain]".'
        )


def methods(module: nn.Module, layers: Trace, blank: torch.Tensor) -> tuple[dict[str, Explain], str]:
    """The methods that work for this network, by name, and a note on Grad-CAM if it differs or is missing."""
    last = last_maps(layers)
    if last is not None:
        return {"Grad-CAM": partial(_grad_cam, last.name), **_EITHER}, ""
    rows = last_rows(layers)
    if rows is not None:
        return {"Grad-CAM": partial(_grad_cam_of_patches, rows.name), **_EITHER}, ""
    tokens = _last_tokens(module, blank)
    if tokens is not None:
        return {"Grad-CAM": partial(_grad_cam_of_patches, tokens.name), **_EITHER}, (
            f"A transformer has no late feature maps, so Grad-CAM uses the patches in the output of '{tokens.name}'."
        )
    return dict(_EITHER), "Grad-CAM is missing: no late layer of this network has feature maps."


def last_maps(layers: Trace) -> Layer | None:
    """The last layer with feature maps, after the last convolution and before pooling; None for a transformer.

    Layers that run more than once are skipped, since their gradients would be ambiguous.
    """
    again = {layer.name.rpartition(":")[0] for layer in layers.layers if ":" in layer.name}
    sized = [
        layer
        for layer in layers.layers
        if layer.spatial
        and min((layer.output_shape or (0, 0, 0))[1:]) > 1
        and not isinstance(layer.module, layer_kinds.POOLING)
        and layer.name.partition(":")[0] not in again
    ]
    tokens = any(layer.output_shape is not None and len(layer.output_shape) == 2 for layer in layers.layers)
    if any(layer.channels_last for layer in layers.layers):
        # If some layers are channels-last, only convolutions are certain to be channels-first. Early convolutions see
        # too little of the picture.
        late = layers.layers[len(layers.layers) // 2 :]
        sized = [layer for layer in sized if layer_kinds.is_convolution(layer.module) and layer in late]
    return None if not layers.convolutions or not sized or tokens else sized[-1]


def last_rows(layers: Trace) -> Layer | None:
    """The last layer in the second half of the network with channels-last maps, as Swin transformers have; or None."""
    again = {layer.name.rpartition(":")[0] for layer in layers.layers if ":" in layer.name}
    late = layers.layers[len(layers.layers) // 2 :]
    rows = [
        layer
        for layer in late
        if layer.channels_last
        and min((layer.output_shape or (0, 0))[:2]) > 1
        and layer.name.partition(":")[0] not in again
    ]
    return rows[-1] if rows else None


def grid_of(tokens: int) -> tuple[int, int] | None:
    """(tokens before the patches, patches per side); None if the patches form no square."""
    for before in (0, 1, 2, 5):
        side = math.isqrt(max(tokens - before, 0))
        if side > 1 and side * side == tokens - before:
            return before, side
    return None


def _last_tokens(module: nn.Module, blank: torch.Tensor) -> Node | None:
    """The normalisation before the last attention, the last node where every patch still counts; None if not found."""
    nodes = flow(module, blank).nodes
    attending = [node for node in nodes if "attention" in node.kind.lower() or node.kind == "softmax"]
    waiting = list(attending[-1].sources) if attending else []
    while waiting:
        node = nodes[waiting.pop()]
        if node.layer is not None and len(node.shape) == 2 and "norm" in node.kind and grid_of(node.shape[0]):
            return node
        waiting += node.sources
    return None


def _grad_cam(layer: str, module: nn.Module, inputs: torch.Tensor, blank: torch.Tensor, answer: Answer) -> np.ndarray:  # noqa: ARG001 (all methods take the same)
    from captum.attr import LayerAttribution, LayerGradCam

    grad_cam = LayerGradCam(_Scored(module, answer), _part(module, layer))
    attributions = grad_cam.attribute(inputs, relu_attributions=False)
    assert isinstance(attributions, torch.Tensor)
    whole = LayerAttribution.interpolate(attributions, tuple(inputs.shape[2:]), "bilinear")
    return whole[0, 0].detach().numpy()


def _grad_cam_of_patches(
    layer: str,
    module: nn.Module,
    inputs: torch.Tensor,
    blank: torch.Tensor,  # noqa: ARG001 (all methods take the same)
    answer: Answer,
) -> np.ndarray:
    outputs: list[torch.Tensor] = []
    hook = _part(module, layer).register_forward_hook(lambda _, __, output: outputs.append(output))
    try:
        score = answer.of(module(inputs.clone().requires_grad_()))[0]
        (gradient,) = torch.autograd.grad(score, [outputs[-1]])
    finally:
        hook.remove()
    if outputs[-1].ndim == 4:  # (1, H, W, D)
        before, (height, width) = 0, outputs[-1].shape[1:3]
    else:
        grid = grid_of(outputs[-1].shape[1])
        assert grid is not None
        before, height, width = grid[0], grid[1], grid[1]
    weights = gradient[0].flatten(0, -2)[before:].mean(dim=0)
    patches = (outputs[-1][0].flatten(0, -2)[before:] @ weights).view(1, 1, height, width)
    whole = nn.functional.interpolate(patches, tuple(inputs.shape[2:]), mode="bilinear", align_corners=False)
    return whole[0, 0].detach().numpy()


def _integrated_gradients(module: nn.Module, inputs: torch.Tensor, blank: torch.Tensor, answer: Answer) -> np.ndarray:
    from captum.attr import IntegratedGradients

    steps, batch = (20, 5) if inputs.shape[-1] > LARGE else (64, 64)
    attributions = IntegratedGradients(_Scored(module, answer)).attribute(
        inputs, baselines=blank, n_steps=steps, internal_batch_size=batch
    )
    return attributions[0].sum(dim=0).detach().float().numpy()


def _occlusion(module: nn.Module, inputs: torch.Tensor, blank: torch.Tensor, answer: Answer) -> np.ndarray:
    from captum.attr import Occlusion

    channels, height, width = inputs.shape[1:]
    side, step = window(height, width)
    network = fused.quick(module)
    with torch.no_grad():
        attributions = Occlusion(lambda x: answer.of(network(x))).attribute(
            inputs,
            sliding_window_shapes=(channels, side, side),
            strides=(channels, step, step),
            baselines=blank,
            perturbations_per_eval=at_once(inputs),
        )
    return attributions[0].mean(dim=0).float().numpy()


def at_once(inputs: torch.Tensor) -> int:
    """Pictures of this size, (N, C, H, W), in one pass without gradients."""
    return 8 if inputs.shape[-1] > LARGE else 64


def window(height: int, width: int) -> tuple[int, int]:
    """The side of the occluding square and its step, in pixels."""
    side = max(2, round(min(height, width) / 7))
    return side, side if min(height, width) > LARGE else max(1, side // 2)


_EITHER: dict[str, Explain] = {"Integrated gradients": _integrated_gradients, "Occlusion": _occlusion}


def _part(module: nn.Module, layer: str) -> nn.Module:
    name = layer.partition(":")[0]
    parts = dict(module.named_modules())
    return parts.get(name, module)


def shuffled(module: nn.Module, seed: int) -> nn.Module:
    """A copy with each parameter's values permuted at random, which destroys everything that was learned."""
    import copy

    generator = torch.Generator().manual_seed(seed)
    other = copy.deepcopy(module)
    with torch.no_grad():
        for weight in other.parameters():
            weight.copy_(weight.flatten()[torch.randperm(weight.numel(), generator=generator)].view_as(weight))
    return other.eval()

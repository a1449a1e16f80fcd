"""Signed attribution maps, pixel by pixel: Grad-CAM, integrated gradients and occlusion.

Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) weights the last feature maps by the gradients of the output; we
keep its negative part, which the paper cuts off. Integrated gradients (Sundararajan, Taly and Yan 2017,
arXiv:1703.01365) sum the gradients along the path from a blank picture. Occlusion (Zeiler and Fergus 2014,
arXiv:1311.2901) covers part of the picture and measures how much the output falls. Captum computes occlusion; this
module computes the others itself, since Captum can neither read a layer that runs twice nor choose its steps.
"""

from __future__ import annotations

import importlib.util
import itertools
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
GAP = 0.05
"""Integrated gradients stop when their sum is this close to the change of the answer, as a share of it."""
MOST_STEPS = 256
"""Most steps of integrated gradients for a small picture; half as many for a large one."""


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
    """The last run of a layer with feature maps, after the last convolution and before pooling; None for a transformer.

    An activation that follows the last convolution is preferred to it: a negative value before ReLU counts for nothing.
    """
    sized = [
        layer
        for layer in layers.layers
        if layer.spatial
        and min((layer.output_shape or (0, 0, 0))[1:]) > 1
        and not isinstance(layer.module, layer_kinds.POOLING)
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
    late = layers.layers[len(layers.layers) // 2 :]
    rows = [layer for layer in late if layer.channels_last and min((layer.output_shape or (0, 0))[:2]) > 1]
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
    maps, gradient = _maps_and_gradient(layer, module, inputs, answer)
    weighted = (gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1, keepdim=True)
    return _at_full_size(weighted, inputs)


def _grad_cam_of_patches(
    layer: str,
    module: nn.Module,
    inputs: torch.Tensor,
    blank: torch.Tensor,  # noqa: ARG001 (all methods take the same)
    answer: Answer,
) -> np.ndarray:
    outputs, gradient = _maps_and_gradient(layer, module, inputs, answer)
    if outputs.ndim == 4:  # (1, H, W, D)
        before, (height, width) = 0, outputs.shape[1:3]
    else:
        grid = grid_of(outputs.shape[1])
        assert grid is not None
        before, height, width = grid[0], grid[1], grid[1]
    weights = gradient[0].flatten(0, -2)[before:].mean(dim=0)
    patches = (outputs[0].flatten(0, -2)[before:] @ weights).view(1, 1, height, width)
    return _at_full_size(patches, inputs)


def _maps_and_gradient(
    layer: str, module: nn.Module, inputs: torch.Tensor, answer: Answer
) -> tuple[torch.Tensor, torch.Tensor]:
    """The output of one run of a layer (`activation:2` is the second), and the gradient of the answer for it."""
    outputs: list[torch.Tensor] = []
    name, _, run = layer.partition(":")
    hook = _part(module, name).register_forward_hook(lambda _, __, output: outputs.append(output))
    try:
        score = answer.of(module(inputs.clone().requires_grad_()))[0]
    finally:
        hook.remove()
    maps = outputs[int(run or 1) - 1]
    (gradient,) = torch.autograd.grad(score, [maps])
    return maps.detach(), gradient


def _at_full_size(maps: torch.Tensor, inputs: torch.Tensor) -> np.ndarray:
    """A map (1, 1, h, w), interpolated to the size of the picture, (H, W)."""
    whole = nn.functional.interpolate(maps, tuple(inputs.shape[2:]), mode="bilinear", align_corners=False)
    return whole[0, 0].detach().numpy()


def _integrated_gradients(module: nn.Module, inputs: torch.Tensor, blank: torch.Tensor, answer: Answer) -> np.ndarray:
    return integrated_gradients(module, inputs, blank, answer)[0]


def integrated_gradients(
    module: nn.Module, inputs: torch.Tensor, blank: torch.Tensor, answer: Answer
) -> tuple[np.ndarray, float]:
    """Integrated gradients, and the share of the answer's change that they miss.

    The sum of the map should be the change of the answer from the blank picture to this one. The path is divided by the
    trapezoidal rule, and those parts are divided again whose sums are furthest from their own changes, until the whole
    is within `GAP` of its change or `MOST_STEPS` are used.

    Returns:
        (the map, float32 (H, W); |sum − change| / |change|).
    """
    batch, start, most = (4, 9, MOST_STEPS // 2) if inputs.shape[-1] > LARGE else (64, 33, MOST_STEPS)
    known: dict[float, tuple[float, torch.Tensor]] = {}
    direction = inputs - blank

    def measure(positions: list[float]) -> None:
        for part in (positions[i : i + batch] for i in range(0, len(positions), batch)):
            along = torch.tensor(part, dtype=inputs.dtype).view(-1, 1, 1, 1)
            points = (blank + along * direction).requires_grad_()
            scores = answer.of(module(points))
            (gradients,) = torch.autograd.grad(scores.sum(), [points])
            products = (gradients * direction).detach().sum(dim=1)
            known.update(zip(part, zip(scores.tolist(), products, strict=True), strict=True))

    measure([index / (start - 1) for index in range(start)])
    while True:
        places = sorted(known)
        pairs = list(itertools.pairwise(places))
        sums = [(b - a) / 2 * float(known[a][1].sum() + known[b][1].sum()) for a, b in pairs]
        changes = [known[b][0] - known[a][0] for a, b in pairs]
        change = sum(changes)
        gap = abs(sum(sums) - change) / max(abs(change), 1e-12)
        if gap <= GAP or len(places) >= most:
            break
        worst = np.argsort([-abs(found - wanted) for found, wanted in zip(sums, changes, strict=True)], kind="stable")
        chosen = [pairs[index] for index in worst[: min(max(batch, len(pairs) // 2), most - len(places))]]
        measure([(a + b) / 2 for a, b in chosen])
    total = sum(((b - a) / 2 * (known[a][1] + known[b][1]) for a, b in pairs), torch.zeros_like(direction[0, 0]))
    return total.numpy().astype(np.float32), gap


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

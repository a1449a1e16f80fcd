"""Training epoch by epoch, from snapshots: kernels, feature maps and probabilities for one picture."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.data import preprocessing as preparing
from pellucid.data.thumbnails import png_base64, rounded
from pellucid.errors import MissingDataError
from pellucid.inference import layer_kinds
from pellucid.inference.building import build
from pellucid.inference.hooks import first_tensor, hooked
from pellucid.inference.probabilities import probabilities
from pellucid.inference.tracing import Layer, trace
from pellucid.insight import selection
from pellucid.insight.layer_summary import name_of
from pellucid.insight.selection import pick
from pellucid.records import Figure, Model

Progress = Callable[[int, int], None]
KERNELS, CLASSES = 8, 10
"""Numbers of kernels (with their maps) and of classes to show."""


def snapshots(run: str | Path) -> list[tuple[int, Path]]:
    """The snapshots of a run as (epoch, model file), earliest first.

    Raises:
        MissingDataError: the run has no snapshots.
    """
    folder = Path(run) / "snapshots"
    paths = sorted(folder.glob("epoch-*.safetensors")) if folder.is_dir() else []
    epochs = [(int(match[1]), path) for path in paths if (match := re.fullmatch(r"epoch-(\d+)", path.stem))]
    if not epochs:
        raise MissingDataError(
            f"{run} has no snapshots. Train with `pellucid train ... --snapshots`, then give the run folder."
        )
    return epochs


def film(
    run: str | Path,
    picture: Any,
    *,
    layer: str | int = 1,
    limit: int | None = None,
    network: Any = None,
    progress: Progress | None = None,
) -> Figure:
    """The film of a training run: a figure of kind `film`, one frame per epoch.

    Args:
        run: a run folder of `pellucid train ... --snapshots`.
        picture: the picture to run through each snapshot; see `pellucid.insight.selection.pick`.
        layer: a convolution, by name or number; in a network without any, the dense layer that reads the picture.
        limit: number of kernels; 8 by default.
        network: for a model of the user's own network; see `pellucid.build`.
        progress: called with (epochs done, epochs in total).

    Raises:
        MissingDataError: the run has no snapshots.
        UnknownNameError: there is no such convolution.
    """
    epochs_and_paths = snapshots(run)
    frames: list[dict[str, Any]] = []
    first = Model.load(epochs_and_paths[0][1])
    specification = first.specification
    split, name = pick(picture, specification)
    pixels = np.asarray(preparing.prepare(split, specification.preprocessing))
    layer_shown: Layer | None = None
    channels = 1
    for done, (epoch, path) in enumerate(epochs_and_paths, start=1):
        model = Model.load(path)
        module = build(model, network)
        specification = model.specification
        layers = trace(module, specification.preprocessing.shape)
        reads = selection.reading(module, layers, specification.preprocessing.shape)
        layer_shown = selection.with_kernels(layers, str(layer), name_of(model), reads)
        weight = _kernels(layer_shown.module, specification.preprocessing.shape)
        channels = weight.shape[1]
        kernels = weight.detach().float().numpy()[: limit or KERNELS]
        maps, outputs = _run(
            module, layer_shown, preparing.normalise(torch.from_numpy(pixels), specification.preprocessing)
        )
        share = probabilities(specification.probabilities, outputs.numpy(), specification.temperature)[0]
        measured = specification.metrics.get("validation_accuracy", {})
        frames.append(
            {
                "epoch": epoch,
                # A deeper kernel is shown as the mean over its channels.
                "kernels": rounded(kernels if kernels.shape[1] in (1, 3) else kernels.mean(axis=1, keepdims=True)),
                "maps": rounded(maps[: len(kernels)]) if maps is not None else None,
                "probabilities": rounded(share),
                "accuracy": measured.get("value"),
            }
        )
        if progress is not None:
            progress(done, len(epochs_and_paths))
    assert layer_shown is not None
    label = split.classes[int(split.labels[0])] if split.labels is not None else None
    data = {
        "network": name_of(first),
        "layer": layer_shown.name,
        "classes": list(first.classes),
        "shown": sorted(np.argsort(-np.array(frames[-1]["probabilities"]), kind="stable")[:CLASSES].tolist()),
        "mean_kernels": channels not in (1, 3),
        "picture": {"png": png_base64(pixels[0], 256), "id": name, "label": label},
        "largest_weight": rounded(max(np.abs(frame["kernels"]).max() for frame in frames)),
        "largest_map": rounded(max((np.abs(frame["maps"]).max() for frame in frames if frame["maps"]), default=0.0)),
        "frames": frames,
    }
    epochs = len(frames) - (epochs_and_paths[0][0] == 0)
    title = f"Training of {name_of(first)}: {layer_shown.name} over {epochs} epochs"
    return Figure("film", "film", data, title=title)


def _kernels(module: nn.Module, shape: tuple[int, int, int]) -> torch.Tensor:
    """The weights of a convolution, or those of a dense layer as kernels of the picture's shape (C, H, W)."""
    weight: Any = module.weight
    return layer_kinds.weight_of(module) if layer_kinds.is_convolution(module) else weight.unflatten(1, shape)


def _run(module: nn.Module, layer: Layer, batch: torch.Tensor) -> tuple[np.ndarray | None, torch.Tensor]:
    """The feature maps of a layer for one picture, (C, H, W), or None; and the network's outputs, (1, K)."""
    maps: list[np.ndarray] = []

    def keep(_: str, __: nn.Module, ___: Any, output: Any) -> None:
        maps.append(first_tensor(output)[0].float().numpy().copy())

    with hooked({layer.name: layer.module}, after=keep), torch.no_grad():
        outputs = module(batch)
    return (maps[0] if maps[0].ndim == 3 else None), outputs

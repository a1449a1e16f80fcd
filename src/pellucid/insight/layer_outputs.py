"""Outputs of selected layers for many pictures, batch by batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.data import load
from pellucid.data import preprocessing as preparing
from pellucid.errors import UsageError
from pellucid.inference.forward import as_tensor
from pellucid.inference.hooks import first_tensor, hooked
from pellucid.inference.probabilities import require_finite
from pellucid.inference.tracing import Layer
from pellucid.records import Dataset, Preprocessing, Split
from pellucid.records.names import counted

Progress = Callable[[int, int], None]
"""Called after each batch with (pictures done, pictures in total)."""

_PIXELS = 1_500_000
"""Most pixel values in one batch, so large pictures get small batches."""


def default_split(dataset: Dataset) -> str:
    """The name of the default split: test, else validation (the model was trained on neither), else the first."""
    return next((name for name in ("test", "validation") if name in dataset.splits), next(iter(dataset.splits)))


def sample(data: Any, split: str | None, most: int, *, seed: int = 0) -> tuple[Split, str]:
    """A sample of the pictures of a dataset, and a sentence that describes it.

    Args:
        data: a `Dataset`, a `Split`, or anything that `pellucid.load` accepts.
        split: the split of a dataset; None uses `default_split`.
        most: largest number of pictures. A larger split is sampled; the order is kept.
        seed: seed of the sample.

    Raises:
        UsageError: `most` is below 1.
    """
    if most < 1:
        raise UsageError(f"--limit must be at least 1; given: {most}.")
    whole = data if isinstance(data, (Dataset, Split)) else load(data)
    pictures = whole if isinstance(whole, Split) else whole.split(split or default_split(whole))
    of = f"{pictures.dataset}, {pictures.name} split" if pictures.dataset else f"{pictures.name} split"
    if len(pictures) <= most:
        return pictures, f"{counted(len(pictures), 'picture')}: {of}."
    indices = np.sort(np.random.default_rng((seed, len(pictures))).permutation(len(pictures))[:most])
    return pictures.take(indices), f"{most:,} of {counted(len(pictures), 'picture')}, drawn at random: {of}."


def prepared(split: Split, preprocessing: Preprocessing) -> tuple[Split, np.ndarray]:
    """The readable pictures, and their pixels at the network's input size, uint8 (N, C, H, W).

    Raises:
        UsageError: no picture can be read.
    """
    pixels, readable, _ = preparing.prepare_readable(split, preprocessing)
    if not len(readable):
        raise UsageError(f"None of the {counted(len(split), 'picture')} of the {split.name} split can be read.")
    return (split if len(readable) == len(split) else split.take(readable)), np.asarray(pixels)


def record(
    module: nn.Module,
    pixels: np.ndarray,
    preprocessing: Preprocessing,
    layers: Sequence[Layer],
    take: Callable[[Layer, torch.Tensor, int], None],
    *,
    progress: Progress | None = None,
) -> torch.Tensor:
    """Runs pictures through a network, passes each layer's output to `take`, and returns the network outputs, (N, K).

    Args:
        module: the network, in evaluation mode.
        pixels: uint8 (N, C, H, W).
        preprocessing: normalises the pixels.
        layers: layers from `trace`; `activation:2` is the second run of `activation`.
        take: called with a layer, its output for a batch, (B, ...) float32, and the index of the batch's first
            picture. The output may be overwritten later, so copy what you keep.
        progress: called with (pictures done, pictures in total).

    Raises:
        NetworkError: a network output is infinite or NaN.
    """
    batch = max(1, min(256, _PIXELS // max(pixels[0].size, 1)))
    layers_by_run: dict[int, dict[int, Layer]] = {}
    for layer in layers:
        time = int(layer.name.rpartition(":")[2]) if ":" in layer.name else 1
        layers_by_run.setdefault(id(layer.module), {})[time] = layer
    runs: Counter[int] = Counter()
    first = 0

    def after(_: str, part: nn.Module, __: Any, output: Any) -> None:
        runs[id(part)] += 1
        layer = layers_by_run[id(part)].get(runs[id(part)])
        tensor = first_tensor(output)
        if layer is not None and isinstance(tensor, torch.Tensor):
            take(layer, tensor.float(), first)

    modules = {str(key): part for key, part in {id(layer.module): layer.module for layer in layers}.items()}
    outputs = []
    with hooked(modules, after=after), torch.no_grad():
        for first in range(0, len(pixels), batch):
            runs.clear()
            inputs = preparing.normalise(as_tensor(pixels[first : first + batch]), preprocessing)
            outputs.append(module(inputs).float())
            if progress is not None:
                progress(min(first + batch, len(pixels)), len(pixels))
    all_outputs = torch.cat(outputs)
    require_finite(all_outputs.numpy())
    return all_outputs

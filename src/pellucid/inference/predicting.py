"""model + data = predictions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.data import preprocessing as preparing
from pellucid.errors import DataError, NetworkError, UsageError
from pellucid.inference.building import build
from pellucid.inference.pictures import as_split
from pellucid.inference.probabilities import probabilities
from pellucid.records import Model, Predictions, Preprocessing, Split

Progress = Callable[[int, int], None]
"""Called with (how many are done, how many there are)."""


def predict(
    model: Model,
    pictures: Any,
    *,
    batch_size: int = 256,
    network: nn.Module | type[nn.Module] | str | None = None,
    progress: Progress | None = None,
) -> Predictions:
    """What `model` says of `pictures`.

    A picture's prediction does not depend on its neighbours in the batch (within 1e-5 in probability: the order of
    summation may differ).

    Args:
        model: the model.
        pictures: a `Split` (`data.test`), a path or a list of paths, a PIL picture or a list of them, or an array or
            tensor: (H, W), (H, W, C), (C, H, W), (N, H, W), (N, H, W, C) or (N, C, H, W), whole numbers from 0 to
            255, fractions from 0 to 1, or truth values.
        batch_size: how many pictures go through the network at once.
        network: for a model of the user's own network; see `build`.
        progress: told how many pictures are done, of how many.

    Returns:
        The predictions of all pictures that could be read, in order; `unreadable` names the others with the reason.

    Raises:
        DataError: the pictures' classes are not the model's, or there is nothing to predict.
        NetworkError: the network's outputs are not numbers.
        UsageError: a batch size below 1.
    """
    if batch_size < 1:
        raise UsageError(f"A batch has at least one picture; given: --batch-size {batch_size}.")
    if not isinstance(model, Model):
        raise UsageError(f"A model is what pellucid.train gives, or pellucid.Model.load(path); given: {model!r}.")
    specification = model.specification
    split = pictures if isinstance(pictures, Split) else as_split(pictures, specification)
    if not len(split):
        raise DataError("There is no picture to predict. Give a file, a folder with pictures, or a dataset.")
    arrays, kept, unreadable = preparing.prepare_readable(split, specification.preprocessing)
    split = split if len(kept) == len(split) else split.take(kept)
    outputs = forward(
        build(model, network), arrays, specification.preprocessing, batch_size=batch_size, progress=progress
    )
    if not torch.isfinite(outputs).all():
        raise NetworkError(
            "The network's outputs are infinite or not numbers, so they say nothing: its weights were spoilt while it "
            "learned. Train again with a lower learning rate."
        )
    found = probabilities(specification.probabilities, outputs, specification.temperature)
    if not torch.isfinite(found).all():
        raise NetworkError(
            f"The outputs cannot be made probabilities with a temperature of {specification.temperature:g}: the model "
            f"file is spoilt. Train again."
        )
    return Predictions(
        ids=split.ids,
        probabilities=found.numpy(),
        classes=specification.classes,
        labels=_labels_for(model, split),
        columns=split.columns,
        dataset=split.dataset,
        split=split.name,
        model=model.sha256,
        unreadable=unreadable,
    )


def forward(
    module: nn.Module,
    pictures: np.ndarray | torch.Tensor,
    preprocessing: Preprocessing,
    *,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> torch.Tensor:
    """The outputs (N, K) of a module for uint8 pictures (N, C, H, W), in evaluation mode, without gradients."""
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    tensor = as_tensor(pictures) if isinstance(pictures, np.ndarray) else pictures
    mode = module.training
    module.eval()
    outputs = []
    try:
        with torch.inference_mode():
            for batch in tensor.split(batch_size):
                outputs.append(module(preparing.normalise(batch.to(device), preprocessing)))
                if progress is not None:
                    progress(sum(map(len, outputs)), len(tensor))
    except (RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise NetworkError(
            f"The network {type(module).__name__} failed on pictures of shape (C, H, W) = {preprocessing.shape}: "
            f"{reason}."
        ) from error
    finally:
        module.train(mode)
    return torch.cat(outputs).cpu() if outputs else torch.zeros(0, 0)


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """The same memory as a tensor, which nobody here writes to.

    Of an array that may not be written (a mapped file), torch warns that a tensor does not know this.
    """
    # An axis of one element may have any stride, and NumPy leaves odd ones, which torch takes for channels last.
    array = np.ascontiguousarray(array).reshape(-1).reshape(array.shape)
    if array.flags.writeable:
        return torch.from_numpy(array)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)


def _labels_for(model: Model, split: Split) -> np.ndarray | None:
    """The labels as indices into the model's classes, matched by name."""
    if split.labels is None or split.classes == model.classes:
        return split.labels
    index = {name: i for i, name in enumerate(model.classes)}
    used = [split.classes[i] for i in np.unique(split.labels)]
    foreign = [name for name in used if name not in index]
    if foreign:
        raise DataError(
            f"The data have classes that the model does not know: {', '.join(foreign[:5])}. "
            f"The model knows: {', '.join(model.classes[:20])}."
        )
    lookup = np.array([index.get(name, -1) for name in split.classes], dtype=np.int64)
    return lookup[split.labels]

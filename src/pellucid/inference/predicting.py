"""model + data = predictions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, SupportsIndex

import numpy as np
import torch
from torch import nn

from pellucid.data import preprocessing as preparing
from pellucid.data.progress import watched
from pellucid.errors import DataError, NetworkError, UsageError
from pellucid.inference import fused
from pellucid.inference.building import build, quick_order
from pellucid.inference.device import computing, keep_freed_memory
from pellucid.inference.pictures import as_split
from pellucid.inference.probabilities import probabilities
from pellucid.inference.streaming import chunks
from pellucid.inference.tta import look_again
from pellucid.records import MappedPictures, Model, Predictions, Preprocessing, Specification, Split

Progress = Callable[[int, int], None]
"""Called with (how many are done, how many there are)."""

_MOST_VALUES = 4_000_000
"""How many values of pictures go through a network at once on a processor: 256 photos of 224×224 would take gigabytes,
and be no faster."""


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
    if isinstance(batch_size, bool) or not isinstance(batch_size, SupportsIndex) or batch_size.__index__() < 1:
        raise UsageError(f"A batch size is a whole number of pictures, at least 1; given: {batch_size!r}.")
    if not isinstance(model, Model):
        raise UsageError(f"A model is what pellucid.train gives, or pellucid.Model.load(path); given: {model!r}.")
    keep_freed_memory()
    specification = model.specification
    split = pictures if isinstance(pictures, Split) else as_split(pictures, specification)
    if not len(split):
        raise DataError("There is no picture to predict. Give a file, a folder with pictures, or a dataset.")
    module = quick_order(build(model, network), specification.network.name)
    outputs, unreadable = _outputs(module, split, specification, batch_size, progress)
    return predictions_of(model, split, outputs, unreadable)


def predictions_of(model: Model, split: Split, outputs: torch.Tensor, unreadable: dict[int, str]) -> Predictions:
    """What the outputs (M, K) of a model's network for the M readable pictures of a split say of them.

    Args:
        model: the model.
        split: all pictures, readable or not.
        outputs: float32, in the order of the readable ones.
        unreadable: why the others could not be read, by their places.

    Raises:
        DataError: the pictures' classes are not the model's.
        NetworkError: the outputs are not numbers.
    """
    specification, names = model.specification, split.ids
    if unreadable:
        split = split.take([place for place in range(len(split)) if place not in unreadable])
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
        unreadable={str(names[place]): reason for place, reason in sorted(unreadable.items())},
    )


def _outputs(
    module: nn.Module, split: Split, specification: Specification, batch_size: int, progress: Progress | None
) -> tuple[torch.Tensor, dict[int, str]]:
    """The outputs (M, K) of all pictures that can be read, in order; and why others cannot: {place: sentence}."""
    found: list[torch.Tensor] = []
    reasons: dict[int, str] = {}
    preprocessing = specification.preprocessing

    def run(pictures: np.ndarray | torch.Tensor | MappedPictures, told: Progress | None = None) -> torch.Tensor:
        return forward(module, pictures, preprocessing, batch_size=batch_size, progress=told)

    def work() -> Iterator[None]:
        for chunk in chunks(split.pictures, preprocessing):
            reasons.update(chunk.reasons)
            before = sum(map(len, found)) + len(reasons)
            if len(chunk.pictures):
                told = None if progress is None else _after(before, len(split), progress)
                outputs = run(chunk.pictures, told)
                if specification.tta:
                    held = gather(_held(chunk.pictures), slice(None))
                    mapping = partial(probabilities, specification.probabilities, temperature=specification.temperature)
                    outputs = look_again(outputs, held, run, mapping, specification.tta, specification.tta_below)
                found.append(outputs)
            yield from [None] * (len(chunk.pictures) + len(chunk.reasons))

    for _ in work() if progress is not None else watched(work(), len(split), "Looking at the pictures"):
        pass
    return (torch.cat(found) if found else torch.zeros(0, len(split.classes))), reasons


def _after(before: int, total: int, progress: Progress) -> Progress:
    """Told of a part, it tells of the whole."""
    return lambda done, _: progress(before + done, total)


def forward(
    module: nn.Module,
    pictures: np.ndarray | torch.Tensor | MappedPictures,
    preprocessing: Preprocessing,
    *,
    batch_size: int = 256,
    progress: Progress | None = None,
    precision: str = "full",
) -> torch.Tensor:
    """The outputs (N, K) of a module for uint8 pictures (N, C, H, W), in evaluation mode, without gradients.

    They are float32, whatever `precision` the module computes in (see `pellucid.inference.device`).
    """
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    held = _held(pictures)
    mode = module.training
    module.eval()
    outputs = []
    run, most = module, _MOST_VALUES
    if precision == "full" and fused.can_be_fused(module):
        run, most = fused.FusedLite0(module), fused.AT_ONCE
    if device.type == "cpu" and len(held):
        batch_size = min(batch_size, max(1, most // int(np.prod(held.shape[1:]))))
    try:
        with torch.inference_mode(), computing(precision, device):
            for start in range(0, len(held), batch_size):
                batch = gather(held, slice(start, start + batch_size))
                outputs.append(run(preparing.normalise(batch.to(device), preprocessing)).float())
                if progress is not None:
                    progress(sum(map(len, outputs)), len(held))
    except (RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise NetworkError(
            f"The network {type(module).__name__} failed on pictures of shape (C, H, W) = {preprocessing.shape}: "
            f"{reason}."
        ) from error
    finally:
        module.train(mode)
    return torch.cat(outputs).cpu() if outputs else torch.zeros(0, 0)


def _held(pictures: np.ndarray | torch.Tensor | MappedPictures) -> torch.Tensor | MappedPictures:
    return as_tensor(pictures) if isinstance(pictures, np.ndarray) else pictures


def gather(pictures: torch.Tensor | MappedPictures, which: torch.Tensor | slice) -> torch.Tensor:
    """Some of the pictures, in that order, uint8 (B, C, H, W); of mapped ones these alone come into memory."""
    if isinstance(pictures, torch.Tensor):
        # `pictures[which]` finds each byte's place anew: five to nine times the time.
        return pictures[which] if isinstance(which, slice) else pictures.index_select(0, which)
    return torch.from_numpy(pictures[which if isinstance(which, slice) else which.cpu().numpy()])


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

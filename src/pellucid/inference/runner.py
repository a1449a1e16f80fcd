"""model + data = predictions: a runner is built once from a model and then asked many times.

    predictions = pellucid.predict(model, data.test)          # builds a runner, or takes the one that it built before
    outputs = runner(model).outputs(pixels)                   # the same runner, asked for its outputs

Everything that asks a model goes through a runner: prediction, features, insight and search. This module does not
import torch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, overload

import numpy as np

from pellucid.data.progress import Progress, watched
from pellucid.errors import DataError, NetworkError, UsageError
from pellucid.inference.pictures import as_split
from pellucid.inference.probabilities import probabilities, require_finite
from pellucid.inference.streaming import chunks
from pellucid.inference.tta import average_views
from pellucid.records import Model, Predictions, Specification, Split
from pellucid.records.exported import ExportedModel

if TYPE_CHECKING:
    from pellucid.inference.onnx_runner import OnnxRunner
    from pellucid.inference.torch_runner import NetworkLike, TorchRunner

_MOST_RUNNERS = 2
"""Runners that are kept for the next call. Each holds a copy of its model's weights."""


class Runner(Protocol):
    """A model that is ready to answer."""

    @property
    def specification(self) -> Specification: ...

    @property
    def sha256(self) -> str:
        """The hash of the model."""
        ...

    def outputs(self, pictures: Any, *, batch_size: int = 256, progress: Progress | None = None) -> np.ndarray:
        """Outputs, float32 (N, K), for uint8 pictures (N, C, H, W)."""
        ...

    def features(self, pixels: np.ndarray, *, progress: Progress | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Features (N, D) and outputs (N, K), both float32, for uint8 pictures (N, C, H, W)."""
        ...


_runners: OrderedDict[tuple[str, str], TorchRunner | OnnxRunner] = OrderedDict()


@overload
def runner(model: Model, network: NetworkLike | None = None, device: str = "cpu") -> TorchRunner: ...
@overload
def runner(model: ExportedModel, network: None = None, device: str = "cpu") -> OnnxRunner: ...
def runner(model: Model | ExportedModel, network: NetworkLike | None = None, device: str = "cpu") -> Any:
    """The runner of a model on a device. The last two are kept, by the model's hash, so a second call builds nothing.

    A network that is handed over is built each time, since it may have changed.

    Raises:
        UsageError: a network is handed over for an exported model, which holds its own; or it has another device.
    """
    if isinstance(model, ExportedModel):
        if network is not None:
            raise UsageError("An exported model holds its network; omit --network.")
        if device != "cpu":
            raise UsageError(f"An exported model runs on cpu, not on {device}.")
    elif network is not None:
        return _built(model, network, device)
    key = (model.sha256, device)
    if key not in _runners:
        _runners[key] = _built(model, device=device)
        if len(_runners) > _MOST_RUNNERS:
            _runners.popitem(last=False)
    _runners.move_to_end(key)
    return _runners[key]


def predict(
    model: Model | ExportedModel,
    pictures: Any,
    *,
    batch_size: int = 256,
    network: NetworkLike | None = None,
    progress: Progress | None = None,
    device: str = "cpu",
) -> Predictions:
    """Predictions of a model for pictures.

    The prediction for a picture does not depend on its neighbours in the batch (within 1e-5 in probability: the order
    of summation may differ). A second call with the same model does not build it again.

    Args:
        model: the model, or an exported one.
        pictures: a `Split` (`data.test`), a path or a list of paths, a PIL picture or a list of them, or an array or
            tensor: (H, W), (H, W, C), (C, H, W), (N, H, W), (N, H, W, C) or (N, C, H, W), whole numbers from 0 to
            255, fractions from 0 to 1, or truth values.
        batch_size: pictures in one batch.
        network: for a model of the user's own network; see `pellucid.build`.
        progress: called with (pictures done, pictures in total).
        device: `cpu`, or the card that computes: `cuda`.

    Returns:
        The predictions for all pictures that could be read, in order; `unreadable` names the others with the reason.

    Raises:
        DataError: the pictures have classes that the model does not know, or there are no pictures.
        NetworkError: the network's outputs are not finite numbers.
        UsageError: a batch size below 1.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, SupportsIndex) or batch_size.__index__() < 1:
        raise UsageError(f"A batch size is a whole number of pictures, at least 1; given: {batch_size!r}.")
    if not isinstance(model, Model | ExportedModel):
        raise UsageError(f"A model is what pellucid.train gives, or pellucid.Model.load(path); given: {model!r}.")
    split = pictures if isinstance(pictures, Split) else as_split(pictures, model.specification)
    if not len(split):
        raise DataError("There is no picture to predict. Give a file, a folder with pictures, or a dataset.")
    return predict_split(_runner_of(model, network, device), split, batch_size=int(batch_size), progress=progress)


def _built(
    model: Model | ExportedModel, network: NetworkLike | None = None, device: str = "cpu"
) -> TorchRunner | OnnxRunner:
    if isinstance(model, ExportedModel):
        from pellucid.inference.onnx_runner import OnnxRunner

        return OnnxRunner(model)
    from pellucid.inference.torch_runner import TorchRunner

    return TorchRunner(model, network, device)


def _runner_of(model: Model | ExportedModel, network: NetworkLike | None, device: str) -> Runner:
    if isinstance(model, ExportedModel) and network is None:
        return runner(model, device=device)
    return runner(model, network, device)  # type: ignore[arg-type]


def predict_split(
    runner: Runner, pictures: Split, *, batch_size: int = 256, progress: Progress | None = None
) -> Predictions:
    """Predictions for all pictures of a split that can be read; `unreadable` names the others with the reason.

    Raises:
        DataError: the split has classes that the model does not know.
        NetworkError: the network's outputs are not finite numbers.
    """
    outputs: list[np.ndarray] = []
    reasons: dict[int, str] = {}

    def work() -> Iterator[None]:
        for chunk in chunks(pictures.pictures, runner.specification.preprocessing):
            reasons.update(chunk.reasons)
            done = sum(map(len, outputs)) + len(reasons)
            if len(chunk.pictures):
                part = None if progress is None else _offset(progress, done, len(pictures))
                outputs.append(_with_tta(runner, chunk.pictures, batch_size, part))
            yield from [None] * (len(chunk.pictures) + len(chunk.reasons))

    for _ in work() if progress is not None else watched(work(), len(pictures), "Predicting"):
        pass
    together = np.concatenate(outputs) if outputs else np.zeros((0, len(runner.specification.classes)), np.float32)
    return predictions_of(runner.specification, runner.sha256, pictures, together, reasons)


def _with_tta(runner: Runner, pictures: Any, batch_size: int, progress: Progress | None) -> np.ndarray:
    """Outputs, with test-time augmentation if the model asks for it."""
    specification = runner.specification
    outputs = runner.outputs(pictures, batch_size=batch_size, progress=progress)
    if not specification.tta:
        return outputs
    mapping = partial(probabilities, specification.probabilities, temperature=specification.temperature)
    forward: Callable[[np.ndarray], np.ndarray] = partial(runner.outputs, batch_size=batch_size)
    return average_views(outputs, np.asarray(pictures), forward, mapping, specification.tta, specification.tta_below)


def predictions_of(
    specification: Specification, sha256: str, split: Split, outputs: np.ndarray, unreadable: dict[int, str]
) -> Predictions:
    """Predictions from the outputs of a model's network.

    Args:
        specification: the specification of the model.
        sha256: the hash of the model.
        split: all pictures, readable or not.
        outputs: float32 (M, K), of the M readable pictures in order.
        unreadable: why the others could not be read, by index.

    Raises:
        DataError: the split has classes that the model does not know.
        NetworkError: an output is infinite or NaN.
    """
    ids = split.ids
    if unreadable:
        split = split.take([index for index in range(len(split)) if index not in unreadable])
    require_finite(outputs)
    shares = probabilities(specification.probabilities, outputs, specification.temperature)
    if not np.isfinite(shares).all():
        raise NetworkError(
            f"A temperature of {specification.temperature:g} gives no valid probabilities: the model file is damaged. "
            f"Train again."
        )
    return Predictions(
        ids=split.ids,
        probabilities=shares,
        classes=specification.classes,
        labels=_labels_for(specification.classes, split),
        columns=split.columns,
        dataset=split.dataset,
        split=split.name,
        model=sha256,
        unreadable={str(ids[index]): reason for index, reason in sorted(unreadable.items())},
        abstain_below=specification.abstain_below,
    )


def _offset(progress: Progress, done: int, total: int) -> Progress:
    """Reports the progress of one part as the progress of the whole."""
    return lambda part, _: progress(done + part, total)


def _labels_for(classes: tuple[str, ...], split: Split) -> np.ndarray | None:
    """The labels as indices into the model's classes, matched by name."""
    if split.labels is None or split.classes == classes:
        return split.labels
    index = {name: i for i, name in enumerate(classes)}
    used = [split.classes[i] for i in np.unique(split.labels)]
    unknown = [name for name in used if name not in index]
    if unknown:
        raise DataError(
            f"The data have classes that the model does not know: {', '.join(unknown[:5])}. "
            f"The model knows: {', '.join(classes[:20])}."
        )
    lookup = np.array([index.get(name, -1) for name in split.classes], dtype=np.int64)
    return lookup[split.labels]

"""model + data = predictions: a runner is built once from a model and then asked many times.

    predictions = pellucid.predict(model, data.test)          # builds a runner, or takes the one that it built before
    runner = TorchRunner(model)                               # the same, kept by yourself
    features, outputs = runner.features(pixels)

Everything that asks a model goes through one: prediction, features, insight and search.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol, SupportsIndex

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pellucid.data.preprocessing import normalise
from pellucid.data.progress import watched
from pellucid.errors import DataError, NetworkError, UsageError
from pellucid.inference import fused
from pellucid.inference.building import build, quick_order
from pellucid.inference.device import keep_freed_memory
from pellucid.inference.forward import Progress, as_tensor, forward, gather
from pellucid.inference.hooks import hooked
from pellucid.inference.pictures import as_split
from pellucid.inference.probabilities import probabilities
from pellucid.inference.streaming import chunks
from pellucid.inference.tracing import Layer, Trace, trace
from pellucid.inference.tta import average_views
from pellucid.records import MappedPictures, Model, Predictions, Split

NetworkLike = nn.Module | type[nn.Module] | str

_PIXELS_AT_ONCE = 1_500_000
"""Pixel values in one batch while features are computed by hooks: large pictures go in small batches."""
_MOST_RUNNERS = 2
"""Runners that are kept for the next call. Each holds a copy of its model's weights."""


class Runner(Protocol):
    """A model that is ready to answer."""

    model: Model

    def predict(self, pictures: Split, *, batch_size: int = 256, progress: Progress | None = None) -> Predictions:
        """Predictions for the pictures of a split."""
        ...

    def features(self, pixels: np.ndarray, *, progress: Progress | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Features (N, D) and outputs (N, K), both float32, for uint8 pictures (N, C, H, W)."""
        ...


class TorchRunner:
    """A model on torch.

    Attributes:
        model: the model.
        module: its network with its weights, in evaluation mode.

    Args:
        model: the model.
        network: for a model of the user's own network; see `pellucid.inference.building.build`.

    Raises:
        ModelFileError: the model needs a class that was not given, or its weights do not fit the network.
        NetworkError: the given network does not run on pictures of the model's shape.
    """

    def __init__(self, model: Model, network: NetworkLike | None = None) -> None:
        self.model = model
        self.module = quick_order(build(model, network), model.specification.network.name)
        self._fast = fused.FusedLite0(self.module) if fused.can_be_fused(self.module) else None
        self._trace: Trace | None = None

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
    ) -> torch.Tensor:
        """Outputs, float32 (N, K), for uint8 pictures (N, C, H, W)."""
        preprocessing = self.model.specification.preprocessing
        return forward(self.module, pictures, preprocessing, batch_size=batch_size, progress=progress, fast=self._fast)

    def predict(self, pictures: Split, *, batch_size: int = 256, progress: Progress | None = None) -> Predictions:
        """Predictions for all pictures of a split that can be read; `unreadable` names the others with the reason.

        Raises:
            DataError: the split has classes that the model does not know.
            NetworkError: the network's outputs are not finite numbers.
        """
        outputs: list[torch.Tensor] = []
        reasons: dict[int, str] = {}

        def work() -> Iterator[None]:
            for chunk in chunks(pictures.pictures, self.model.specification.preprocessing):
                reasons.update(chunk.reasons)
                done = sum(map(len, outputs)) + len(reasons)
                if len(chunk.pictures):
                    part = None if progress is None else _offset(progress, done, len(pictures))
                    outputs.append(self._with_tta(chunk.pictures, batch_size, part))
                yield from [None] * (len(chunk.pictures) + len(chunk.reasons))

        for _ in work() if progress is not None else watched(work(), len(pictures), "Predicting"):
            pass
        together = torch.cat(outputs) if outputs else torch.zeros(0, len(pictures.classes))
        return predictions_of(self.model, pictures, together, reasons)

    def _with_tta(
        self, pictures: np.ndarray | MappedPictures, batch_size: int, progress: Progress | None
    ) -> torch.Tensor:
        """Outputs, with test-time augmentation if the model asks for it."""
        specification = self.model.specification
        outputs = self.outputs(pictures, batch_size=batch_size, progress=progress)
        if not specification.tta:
            return outputs
        tensor = as_tensor(pictures) if isinstance(pictures, np.ndarray) else gather(pictures, slice(None))
        mapping = partial(probabilities, specification.probabilities, temperature=specification.temperature)
        run = partial(self.outputs, batch_size=batch_size)
        return average_views(outputs, tensor, run, mapping, specification.tta, specification.tta_below)

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
        self.preprocessing = preprocessing
        self.run = fused.quick_features(module) if layers is None or fused.can_be_fused(module) else None
        self.last = None if layers is None else last_dense(layers)
        values = fused.AT_ONCE if self.run is not None else _PIXELS_AT_ONCE
        self.step = max(1, min(256, values // int(np.prod(preprocessing.shape))))

    def __call__(self, pictures: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yields (index of the first, features float32 (B, D), outputs float32 (B, K)) for uint8 (N, C, H, W)."""
        for start in range(0, len(pictures), self.step):
            inputs = normalise(as_tensor(pictures[start : start + self.step]), self.preprocessing)
            with torch.inference_mode():
                features, outputs = self._of_batch(inputs)
            yield start, features.float().numpy(), outputs.float().numpy()

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


_runners: OrderedDict[str, TorchRunner] = OrderedDict()


def runner(model: Model, network: NetworkLike | None = None) -> TorchRunner:
    """The runner of a model. The last two are kept, by the hash of the model, so a second call builds nothing.

    A network that is handed over is built each time, since it may have changed.
    """
    if network is not None:
        return TorchRunner(model, network)
    key = model.sha256
    if key not in _runners:
        _runners[key] = TorchRunner(model)
        if len(_runners) > _MOST_RUNNERS:
            _runners.popitem(last=False)
    _runners.move_to_end(key)
    return _runners[key]


def predict(
    model: Model,
    pictures: Any,
    *,
    batch_size: int = 256,
    network: NetworkLike | None = None,
    progress: Progress | None = None,
) -> Predictions:
    """Predictions of a model for pictures.

    The prediction for a picture does not depend on its neighbours in the batch (within 1e-5 in probability: the order
    of summation may differ). A second call with the same model does not build it again.

    Args:
        model: the model.
        pictures: a `Split` (`data.test`), a path or a list of paths, a PIL picture or a list of them, or an array or
            tensor: (H, W), (H, W, C), (C, H, W), (N, H, W), (N, H, W, C) or (N, C, H, W), whole numbers from 0 to
            255, fractions from 0 to 1, or truth values.
        batch_size: pictures in one batch.
        network: for a model of the user's own network; see `pellucid.build`.
        progress: called with (pictures done, pictures in total).

    Returns:
        The predictions for all pictures that could be read, in order; `unreadable` names the others with the reason.

    Raises:
        DataError: the pictures have classes that the model does not know, or there are no pictures.
        NetworkError: the network's outputs are not finite numbers.
        UsageError: a batch size below 1.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, SupportsIndex) or batch_size.__index__() < 1:
        raise UsageError(f"A batch size is a whole number of pictures, at least 1; given: {batch_size!r}.")
    if not isinstance(model, Model):
        raise UsageError(f"A model is what pellucid.train gives, or pellucid.Model.load(path); given: {model!r}.")
    keep_freed_memory()
    split = pictures if isinstance(pictures, Split) else as_split(pictures, model.specification)
    if not len(split):
        raise DataError("There is no picture to predict. Give a file, a folder with pictures, or a dataset.")
    return runner(model, network).predict(split, batch_size=int(batch_size), progress=progress)


def predictions_of(model: Model, split: Split, outputs: torch.Tensor, unreadable: dict[int, str]) -> Predictions:
    """Predictions from the outputs of a model's network.

    Args:
        model: the model.
        split: all pictures, readable or not.
        outputs: float32 (M, K), of the M readable pictures in order.
        unreadable: why the others could not be read, by index.

    Raises:
        DataError: the split has classes that the model does not know.
        NetworkError: an output is infinite or NaN.
    """
    specification, ids = model.specification, split.ids
    if unreadable:
        split = split.take([index for index in range(len(split)) if index not in unreadable])
    if not torch.isfinite(outputs).all():
        raise NetworkError(
            "The network's outputs are infinite or NaN: training diverged. Train again with a lower learning rate."
        )
    shares = probabilities(specification.probabilities, outputs, specification.temperature)
    if not torch.isfinite(shares).all():
        raise NetworkError(
            f"A temperature of {specification.temperature:g} gives no valid probabilities: the model file is damaged. "
            f"Train again."
        )
    return Predictions(
        ids=split.ids,
        probabilities=shares.numpy(),
        classes=specification.classes,
        labels=_labels_for(model, split),
        columns=split.columns,
        dataset=split.dataset,
        split=split.name,
        model=model.sha256,
        unreadable={str(ids[index]): reason for index, reason in sorted(unreadable.items())},
    )


def require_finite(outputs: np.ndarray | torch.Tensor) -> None:
    """Raises NetworkError if an output of a network is infinite or NaN."""
    if not np.isfinite(np.asarray(outputs)).all():
        raise NetworkError(
            "The network's outputs are infinite or NaN: training diverged. Train again with a lower learning rate."
        )


def _offset(progress: Progress, done: int, total: int) -> Progress:
    """Reports the progress of one part as the progress of the whole."""
    return lambda part, _: progress(done + part, total)


def _labels_for(model: Model, split: Split) -> np.ndarray | None:
    """The labels as indices into the model's classes, matched by name."""
    if split.labels is None or split.classes == model.classes:
        return split.labels
    index = {name: i for i, name in enumerate(model.classes)}
    used = [split.classes[i] for i in np.unique(split.labels)]
    unknown = [name for name in used if name not in index]
    if unknown:
        raise DataError(
            f"The data have classes that the model does not know: {', '.join(unknown[:5])}. "
            f"The model knows: {', '.join(model.classes[:20])}."
        )
    lookup = np.array([index.get(name, -1) for name in split.classes], dtype=np.int64)
    return lookup[split.labels]

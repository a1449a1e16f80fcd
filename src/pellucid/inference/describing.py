"""What a model says of pictures together with how it sees them: predictions, and the features before its last layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from pellucid.errors import UsageError
from pellucid.inference.features import features
from pellucid.inference.predicting import predict, predictions_of
from pellucid.networks.backbones import Backbone
from pellucid.records import Model, Predictions, Split

# Where the last, dense layer of these networks is; what comes before it gives the features. A model on a backbone of
# timm says it itself.
_LAST = {"lite0": "classifier"}


@dataclass(frozen=True)
class Described:
    """N pictures.

    Attributes:
        predictions: what the model says of them.
        features: what it says that from, float32 (N, D); the probabilities, where its network has no features.
    """

    predictions: Predictions
    features: np.ndarray


def backbone_of(model: Model) -> Backbone | None:
    """The backbone within a model; None where it has none that is known.

    Where the training left it as it was, its hash is the same as before, and so are the features in the cache.
    """
    named, told = model.specification.network, model.specification.training.get("backbone")
    last = _LAST.get(named.name) or (str(told.get("classifier")) if isinstance(told, dict) else "")
    weight = model.weights.get(f"{last}.weight")
    if weight is None or weight.ndim != 2 or f"{last}.bias" not in model.weights:
        return None
    return Backbone(named.name, model.weights, last, model.classes, model.specification.preprocessing, named.settings)


def describe(model: Model, pictures: Split, **settings: Any) -> Described:
    """Predicts pictures, and keeps what it was predicted from.

    Of a model on a backbone the features come from the cache, where they were computed before: for an earlier training
    on the same backbone, or an earlier look at the same pictures.

    Raises:
        DataError: there is nothing to predict.
    """
    backbone = backbone_of(model)
    if backbone is None or not len(pictures):
        found = predict(model, pictures, **settings)
        return Described(found, found.probabilities)
    if settings.get("network") is not None:
        raise UsageError(f"The network '{backbone.name}' is known; leave --network out.")
    values, reasons = features(pictures.pictures, backbone)
    kept = [place for place in range(len(values)) if place not in reasons]
    weight, bias = (torch.from_numpy(model.weights[f"{backbone.classifier}.{name}"]) for name in ("weight", "bias"))
    outputs = functional.linear(torch.from_numpy(values[kept]), weight, bias)
    return Described(predictions_of(model, pictures, outputs, reasons), values[kept])

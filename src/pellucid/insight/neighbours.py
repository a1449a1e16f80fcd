"""The training pictures that look like one to the network: the nearest by what its last layer is given."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from torch import nn

from pellucid.insight.numbers import as_png, rounded
from pellucid.insight.recording import features, prepared, sample
from pellucid.insight.tracing import Trace
from pellucid.records import Model

PICTURES, SHOWN = 10_000, 8


def nearest(
    model: Model,
    module: nn.Module,
    layers: Trace,
    pixels: np.ndarray,
    data: Any,
    *,
    split: str,
    most: int | None,
    seed: int,
) -> dict[str, Any]:
    """The pictures of `data` whose features have the largest cosine with those of a picture, as plain values.

    Args:
        model: the model.
        module: its network.
        layers: its layers.
        pixels: the picture as the network takes it, uint8 (1, C, H, W).
        data: a `Dataset`, a `Split`, or what `pellucid.load` takes.
        split: which split of it.
        most: how many of them are compared; 10,000 where it is None.
        seed: which.
    """
    said = model.specification.preprocessing
    chosen, which = sample(data, split, most or PICTURES, seed=seed)
    chosen, many = prepared(chosen, said)
    own, _ = features(module, layers, pixels, said)
    theirs, outputs = features(module, layers, many, said)
    cosines = _unit(theirs) @ _unit(own)[0]
    # The very picture would be its own nearest neighbour, and says nothing.
    same = (many == pixels).all(axis=(1, 2, 3))
    order = [int(i) for i in np.argsort(-cosines, kind="stable") if not same[i]][:SHOWN]
    labels = chosen.labels
    given = [None if labels is None else chosen.classes[int(labels[i])] for i in order]
    return {
        "among": which,
        "counts": [list(one) for one in Counter(one for one in given if one is not None).most_common()],
        "cells": [
            {
                "png": as_png(many[i]),
                "id": str(chosen.ids[i]),
                "given": label,
                "predicted": model.classes[int(outputs[i].argmax())],
                "cosine": rounded(cosines[i]),
            }
            for i, label in zip(order, given, strict=True)
        ],
    }


def _unit(values: np.ndarray) -> np.ndarray:
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)

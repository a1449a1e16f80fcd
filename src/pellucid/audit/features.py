"""Features of pictures: the inputs of the last layer of the audited model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.data.progress import watched
from pellucid.inference import runner
from pellucid.inference.features import backbone_features, backbone_of
from pellucid.inference.streaming import chunks
from pellucid.records import Model, Split

__all__ = ["features_of"]


def features_of(model: Model, pictures: Split) -> np.ndarray:
    """The features of pictures: float32 (N, D); NaN for unreadable ones. Those of a backbone come from the cache."""
    backbone = backbone_of(model)
    if backbone is not None:
        return backbone_features(pictures.pictures, backbone)[0]
    ready = runner.runner(model)
    parts: list[np.ndarray] = []
    indices: list[np.ndarray] = []

    def work() -> Iterator[None]:
        for chunk in chunks(pictures.pictures, model.specification.preprocessing):
            if len(chunk.pictures):
                for start in range(0, len(chunk.pictures), 1024):
                    parts.append(ready.features(chunk.pictures[start : start + 1024])[0])
                    yield from [None] * len(parts[-1])
                indices.append(chunk.indices)
            yield from [None] * len(chunk.reasons)

    for _ in watched(work(), len(pictures), "Computing features"):
        pass
    features = np.full((len(pictures), parts[0].shape[1] if parts else 0), np.nan, dtype=np.float32)
    if parts:
        features[np.concatenate(indices)] = np.concatenate(parts)
    return features

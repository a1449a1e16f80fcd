"""Features of a backbone for pictures, (N, D), computed once and cached by content.

`features/KEY/` holds the features of one backbone with one preprocessing, in parts. A part is a safetensors file,
written atomically and never changed: `keys` uint8 (n, 32), the SHA-256 of each picture's content, and `values` float32
(n, D). A killed process loses only its current part, and several processes may add parts at once. KEY is a hash of
everything that the values depend on. `pellucid.inference.fused` computes the values, which differ from those of the
backbone's own module by at most 1e-4 of the largest.
"""

from __future__ import annotations

import contextlib
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from pellucid.data import cache
from pellucid.data.hashing import content_hashes
from pellucid.data.progress import Progress, watched
from pellucid.errors import PellucidError, UsageError
from pellucid.inference.runner import predict, predictions_of
from pellucid.inference.streaming import Pictures, chunks
from pellucid.inference.torch_runner import FeatureExtractor
from pellucid.networks.backbones import Backbone
from pellucid.records import ExportedModel, Model, PictureFiles, Predictions, Split, atomic

_VERSION = 2
_PART_ROWS = 1024
"""Pictures per part. A killed process loses at most so many."""
_MOST_PARTS = 16
_Features = dict[bytes, np.ndarray]
"""Features by the SHA-256 of the picture's content."""


def backbone_features(
    pictures: Pictures, backbone: Backbone, *, progress: Progress | None = None
) -> tuple[np.ndarray, dict[int, str]]:
    """The features of pictures, from the cache if they are there.

    Args:
        pictures: files, or decoded pictures.
        backbone: the backbone.
        progress: called with (pictures done, pictures to compute).

    Returns:
        float32 (N, D), in the order of the pictures, NaN for unreadable ones; and the reasons as {index: sentence}.
    """
    digests = [bytes(digest).ljust(32, b"\0") for digest in content_hashes(pictures)]
    store = Store(backbone)
    known = store.read(set(digests))
    first: dict[bytes, int] = {}
    for index, digest in enumerate(digests):
        if digest not in known:
            first.setdefault(digest, index)
    reasons = _compute(pictures, backbone, store, known, digests, sorted(first.values()), progress)
    store.tidy()
    nothing = np.full(backbone.feature_count, np.nan, dtype=np.float32)
    features = np.array([known.get(digest, nothing) for digest in digests]).reshape(-1, backbone.feature_count)
    for index, digest in enumerate(digests):  # copies of an unreadable file are unreadable too
        if digest not in known and index not in reasons:
            reasons[index] = reasons[first[digest]].replace(_name(pictures, first[digest]), _name(pictures, index))
    return features, reasons


def _name(pictures: Pictures, index: int) -> str:
    return str(pictures.paths[index]) if isinstance(pictures, PictureFiles) else f"picture {index + 1}"


def _compute(
    pictures: Pictures,
    backbone: Backbone,
    store: Store,
    known: _Features,
    digests: list[bytes],
    missing: list[int],
    progress: Progress | None,
) -> dict[int, str]:
    """Computes missing features, adds them to `known` and to the store, and returns {index: reason} of failures."""
    reasons: dict[int, str] = {}
    if not missing:
        return reasons
    new: _Features = {}

    def work() -> Iterator[None]:
        extract = FeatureExtractor(backbone.module(), backbone.preprocessing)
        for chunk in chunks(pictures, backbone.preprocessing, missing):
            reasons.update(chunk.reasons)
            yield from [None] * len(chunk.reasons)
            for start, values, _ in extract(chunk.pictures):
                for index, value in zip(chunk.indices[start:].tolist(), values, strict=False):
                    known[digests[index]] = new[digests[index]] = value
                    yield None
            if len(new) >= _PART_ROWS:
                store.add(new)
                new.clear()

    try:
        for _ in watched(work(), len(missing), f"Computing features with {backbone.name}", progress):
            pass
    finally:
        store.add(new)  # also on Ctrl-C
    return reasons


class Store:
    """The cached features of one backbone with one preprocessing. If the cache cannot be written, nothing fails."""

    def __init__(self, backbone: Backbone) -> None:
        description = f"{_VERSION} {backbone.sha256} {backbone.preprocessing.model_dump_json()} float32 {_decoder()}"
        self.width = backbone.feature_count
        self.folder = cache.cache_root() / "features" / hashlib.sha256(description.encode()).hexdigest()[:32]

    def parts(self) -> list[Path]:
        return sorted(self.folder.glob("*.safetensors"))

    def read(self, digests: set[bytes]) -> _Features:
        """The stored features for these SHA-256 digests."""
        features: _Features = {}
        for path in self.parts():
            part = self._part(path)
            if part is None:
                continue
            keys, values = part
            stored = [bytes(key) for key in keys]
            rows = [row for row, key in enumerate(stored) if key in digests]
            features.update((stored[row], values[row]) for row in rows)
            if rows:
                cache.used(path)
        return features

    def _part(self, path: Path) -> tuple[np.ndarray, np.ndarray] | None:
        """The keys and values of a part; None if it has just been removed, or is damaged, which removes it."""
        try:
            content = path.read_bytes()
        except OSError:
            return None
        part = self._unpacked(content)
        if part is None:
            cache.discard(path)
        return part

    def _unpacked(self, content: bytes) -> tuple[np.ndarray, np.ndarray] | None:
        from safetensors.numpy import load

        try:
            arrays = load(content)
            keys, values, checksum = arrays["keys"], arrays["values"], arrays["sha256"]
        except Exception:  # noqa: BLE001 (damage raises many kinds of errors; damaged features are computed again)
            return None
        valid = keys.shape == (len(values), 32) and values.shape[1:] == (self.width,)
        return (keys, values) if valid and checksum.tobytes() == _checksum(keys, values) else None

    def add(self, new: _Features) -> None:
        """Writes a new part."""
        from safetensors.numpy import save

        if not new:
            return
        keys = np.frombuffer(b"".join(new), dtype=np.uint8).reshape(-1, 32)
        values = np.stack(list(new.values())).astype(np.float32)
        checksum = np.frombuffer(_checksum(keys, values), dtype=np.uint8)
        content = save({"keys": keys, "values": values, "sha256": checksum})
        with contextlib.suppress(PellucidError, OSError):
            cache.make_room(len(content), "features")
            atomic.make_folder(self.folder)
            atomic.write_bytes(self.folder / f"{uuid.uuid4().hex}.safetensors", content)

    def tidy(self) -> None:
        """Merges many parts into one, unless another process is doing so."""
        if len(self.parts()) <= _MOST_PARTS:
            return
        with contextlib.suppress(PellucidError, OSError, TimeoutError), cache.locked(self.folder, wait=False):
            before = self.parts()
            merged: _Features = {}
            for path in before:
                part = self._part(path)
                if part is not None:
                    merged.update((bytes(key), value) for key, value in zip(*part, strict=True))
            self.add(merged)
            if len(self.parts()) > len(before):  # remove the old parts only if the merged one was written
                for path in before:
                    path.unlink(missing_ok=True)


def _checksum(keys: np.ndarray, values: np.ndarray) -> bytes:
    return hashlib.sha256(keys.tobytes() + values.tobytes()).digest()


def _decoder() -> str:
    from pellucid.data.decoding import VERSION

    return VERSION


# The name of the last dense layer, whose inputs are the features. Models on timm backbones store it themselves.
_LAST = {"lite0": "classifier"}


@dataclass(frozen=True)
class Described:
    """Predictions and features of N pictures.

    Attributes:
        predictions: the predictions of the model.
        features: float32 (N, D); the probabilities if the model has no known backbone.
    """

    predictions: Predictions
    features: np.ndarray


def backbone_of(model: Model) -> Backbone | None:
    """The backbone of a model; None if it is unknown.

    If training did not change the backbone, its hash is the same as before, so cached features are reused.
    """
    named, backbone = model.specification.network, model.specification.training.get("backbone")
    last = _LAST.get(named.name) or (str(backbone.get("classifier")) if isinstance(backbone, dict) else "")
    weight = model.weights.get(f"{last}.weight")
    if weight is None or weight.ndim != 2 or f"{last}.bias" not in model.weights:
        return None
    return Backbone(named.name, model.weights, last, model.classes, model.specification.preprocessing, named.settings)


def describe(model: Model | ExportedModel, pictures: Split, **settings: Any) -> Described:
    """The predictions and features of pictures.

    For a model on a backbone, features that an earlier training run or prediction computed come from the cache.

    Args:
        model: the model.
        pictures: the pictures.
        settings: keyword arguments of `predict`.

    Raises:
        DataError: there are no pictures.
        UsageError: `network` is given, but the model is on a known backbone.
    """
    backbone = backbone_of(model) if isinstance(model, Model) else None
    if isinstance(model, ExportedModel) or backbone is None or not len(pictures):
        predictions = predict(model, pictures, **settings)
        return Described(predictions, predictions.probabilities)
    if settings.get("network") is not None:
        raise UsageError(f"The network '{backbone.name}' is in the catalogue; omit --network.")
    values, reasons = backbone_features(pictures.pictures, backbone)
    readable = [index for index in range(len(values)) if index not in reasons]
    weight, bias = (torch.from_numpy(model.weights[f"{backbone.classifier}.{name}"]) for name in ("weight", "bias"))
    outputs = functional.linear(torch.from_numpy(values[readable]), weight, bias).numpy()
    return Described(predictions_of(model.specification, model.sha256, pictures, outputs, reasons), values[readable])

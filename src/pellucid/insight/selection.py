"""Finding the layer or picture that a user names: a layer by name or number, a picture by file, id or number."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pellucid.data import load
from pellucid.data.catalogue import DATASETS, lookup
from pellucid.errors import MissingDataError, UnknownNameError, UsageError
from pellucid.inference import layer_kinds
from pellucid.inference.pictures import as_split
from pellucid.inference.tracing import Layer, Trace
from pellucid.insight.layer_outputs import standing
from pellucid.records import Dataset, PictureFiles, Specification, Split
from pellucid.records.names import listed

_MOST = 24
"""Names that a sentence lists at most: a network of fifty layers would fill a page."""


def with_kernels(layers: Trace, name: str, network: str, reading: Layer | None) -> Layer:
    """The layer whose weights are pictures: a convolution, or in a network without any its first dense layer.

    Args:
        layers: the layers.
        name: a name, or a number among the convolutions from 1. A name that is there wins.
        network: name of the network.
        reading: the dense layer that reads the picture itself, where there is one.

    Raises:
        UnknownNameError: there is no such convolution.
        UsageError: the layer is of another kind, or the network has no weights that could be drawn.
    """
    drawable = layers.convolutions or ((reading,) if reading is not None else ())
    if not drawable:
        raise UsageError(
            f"The network '{network}' has no convolution, and no dense layer that reads the picture itself, so it has "
            f"no weights that could be drawn as pictures. `pellucid inspect MODEL` lists its layers."
        )
    layer = _named(layers, name, drawable)
    if layer is not None and layer in drawable:
        return layer
    if layer is not None and reading is not None and layer.module is reading.module:
        return reading
    if layers.convolutions:
        if layer is None:
            raise _unknown("convolution", name, [one.name for one in drawable], len(drawable))
        raise UsageError(
            f"'{layer.name}' ({layer.kind}) is not a convolution, so it has no kernels. "
            f"The convolutions of '{network}': {listed([layer.name for layer in drawable], _MOST, quoted=False)}."
        )
    raise UsageError(
        f"The network '{network}' has no convolution{f', and {_not_reading(layer)}' if layer is not None else ''}. "
        f"What can be shown are the weights of '{drawable[0].name}', the dense layer that reads the picture, one "
        f"picture a unit: --filters {drawable[0].name}."
    )


def with_maps(layers: Trace, name: str, network: str) -> Layer:
    """The layer whose output is maps.

    Raises:
        UnknownNameError: there is no such layer.
        UsageError: its output has no place in the picture, as that of a dense layer.
    """
    spatial = [layer for layer in layers.layers if layer.spatial or layer.channels_last]
    layer = _named(layers, name, layers.convolutions)
    if layer is not None and (layer.spatial or layer.channels_last):
        return layer
    if not spatial:
        raise UsageError(
            f"No layer of the network '{network}' has feature maps: their outputs have no position in the picture. "
            f"`pellucid inspect MODEL` lists them."
        )
    tokens = any(one.output_shape is not None and len(one.output_shape) == 2 for one in layers.layers)
    hint = " Of a transformer's later layers --attention shows where they look." if tokens else ""
    if layer is None:
        raise _unknown("layer with maps", name, [one.name for one in spatial], len(layers.convolutions), hint)
    what = layer_kinds.times(layer.output_shape) if layer.output_shape is not None else "no"
    raise UsageError(
        f"'{layer.name}' ({layer.kind}) gives {what} numbers that have no place in the picture, so it has no maps. "
        f"Layers that have: {listed([layer.name for layer in spatial], _MOST, quoted=False)}.{hint}"
    )


def any_layer(layers: Trace, name: str) -> Layer:
    """The layer of that name, or of that number among the convolutions, whatever its kind.

    Raises:
        UnknownNameError: there is none.
    """
    layer = _named(layers, name, layers.convolutions)
    if layer is None or not layer.output_shape:
        raise _unknown("layer", name, [one.name for one in layers.layers if one.output_shape], len(layers.convolutions))
    return layer


def reading(module: nn.Module, layers: Trace, shape: tuple[int, int, int]) -> Layer | None:
    """The dense layer that reads the picture itself, pixel by pixel in the order (C, H, W); None if there is none."""
    picture = torch.linspace(-1, 1, shape[0] * shape[1] * shape[2]).view(1, *shape)
    for layer in layers.layers:
        if not isinstance(layer.module, nn.Linear) or layer.module.in_features != picture.numel():
            continue
        inputs_of_layer: list[torch.Tensor] = []
        hook = layer.module.register_forward_pre_hook(
            lambda _, inputs, inputs_of_layer=inputs_of_layer: inputs_of_layer.append(inputs[0])
        )
        try:
            with torch.no_grad():
                module(picture)
        finally:
            hook.remove()
        if inputs_of_layer and torch.equal(inputs_of_layer[0].flatten(), picture.flatten()):
            return layer
    return None


def _named(layers: Trace, name: str, numbered: Sequence[Layer]) -> Layer | None:
    for layer in (*layers.layers, *layers.others):
        if layer.name == name:
            return layer
    if name.isdecimal() and 1 <= int(name) <= len(numbered):
        return numbered[int(name) - 1]
    return None


def _unknown(what: str, name: str, names: Iterable[str], convolutions: int, further: str = "") -> UnknownNameError:
    names = list(names)
    hint = (
        f"Or give the number of a convolution, 1{f' to {convolutions}' if convolutions > 1 else ''}."
        if convolutions
        else ""
    )
    if len(names) > _MOST:
        # The nearest, wherever they are, and then the first ones.
        names = [*dict.fromkeys([*difflib.get_close_matches(name.lower(), names, _MOST // 2, 0.4), *names])][:_MOST]
        hint = f"There are more: `pellucid inspect MODEL` lists all. {hint}"
    return UnknownNameError(what, name, names, f"{hint.strip()}{further}".strip())


def _not_reading(layer: Layer) -> str:
    return f"'{layer.name}' ({layer.kind}) does not read the picture"


_FOLDERS = {"val": "validation", "valid": "validation", "training": "train", "testing": "test"}
"""Short names of splits."""


def pick(picture: Any, specification: Specification) -> tuple[Split, str]:
    """One picture as a split of length 1, and its name.

    Args:
        picture: the path of a file; `mnist:17`, the picture of that number of a data set's test split, from 0
            (of its validation split where it has no test split); `mnist:train/17` or any other id of the set; for a
            folder of pictures `photos:17`; or one picture as `pellucid.predict` takes it.
        specification: of the model that will see it.

    Raises:
        UsageError: it is no such thing, or more than one picture.
        MissingDataError: there is no such file, split or picture.
    """
    if isinstance(picture, Split):
        split, name = picture, str(picture.ids[0]) if len(picture) else ""
    elif isinstance(picture, (str, Path)) and not Path(picture).is_file():
        return _of_a_dataset(str(picture))
    else:
        split, name = as_split(picture, specification), Path(picture).name if isinstance(picture, (str, Path)) else ""
    if len(split) != 1:
        raise UsageError(f"Feature maps are those of one picture; {len(split):,} were given.")
    return split, name or "the picture"


def _of_a_dataset(reference: str) -> tuple[Split, str]:
    source, separator, which = reference.rpartition(":")
    if not separator or not (source in DATASETS or Path(source).is_dir()):
        if separator and source.replace("-", "").isalnum() and len(source) > 1:
            lookup(source)  # says which data set was probably meant
        raise MissingDataError(
            f"There is no picture at {reference}. Give a picture file, or a test picture of a data set by its number, "
            f"as in mnist:17."
        )
    dataset = load(source)
    split, index = _place(dataset, which)
    # A file goes by its name, a picture of an array by its index.
    name = split.ids[index] if isinstance(split.pictures, PictureFiles) else f"{split.name}/{index}"
    return split.take([index]), f"{dataset.name} {name}"


def _place(dataset: Dataset, which: str) -> tuple[Split, int]:
    """The split and the index of a number, or of an id."""
    name, _, number = which.rpartition("/")
    usual = standing(dataset)
    name = _FOLDERS.get(name, name) if name not in dataset.splits else name
    if number.isdecimal() and name in ("", *dataset.splits):
        split = dataset.split(name or usual)
        if int(number) >= len(split):
            raise UsageError(
                f"The {split.name} split of '{dataset.name}' has {len(split):,} pictures, numbered from 0 to "
                f"{len(split) - 1}; given: {number}."
            )
        return split, int(number)
    for split in dataset.splits.values():
        for index, one in enumerate(split.ids.tolist()):
            if one == which:
                return split, index
    raise UsageError(
        f"'{dataset.name}' has no picture '{which}'. Give the number of a {usual} picture, as in {dataset.name}:17, "
        f"one of another split, as in {dataset.name}:train/17, or an id, as in "
        f"{dataset.name}:{next(iter(dataset.splits.values())).ids[0]}."
    )

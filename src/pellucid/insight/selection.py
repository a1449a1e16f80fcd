"""Look-up of the layer or picture that a user names: a layer by name or number, a picture by file, id or number."""

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
from pellucid.insight.layer_outputs import default_split
from pellucid.records import Dataset, PictureFiles, Specification, Split
from pellucid.records.names import counted, listed

_MOST = 24
"""Most names that an error message lists."""


def with_kernels(layers: Trace, name: str, network: str, reading: Layer | None) -> Layer:
    """A layer whose weights can be drawn: a convolution, or the dense layer that reads the picture if there is none.

    Args:
        layers: the layers.
        name: the name of a layer, or the number of a convolution, from 1. A matching name wins.
        network: name of the network.
        reading: the dense layer that reads the picture itself; None if there is none.

    Raises:
        UnknownNameError: there is no such convolution.
        UsageError: the layer is of another kind, or the network has no weights to draw.
    """
    drawable = layers.convolutions or ((reading,) if reading is not None else ())
    if not drawable:
        raise UsageError(
            f"The network '{network}' has no convolution and no dense layer that reads the picture itself, so there "
            f"are no weights to draw. `pellucid inspect MODEL` lists its layers."
        )
    layer = _named(layers, name, drawable)
    if layer is not None and layer in drawable:
        return layer
    if layer is not None and reading is not None and layer.module is reading.module:
        return reading
    if layers.convolutions:
        if layer is None:
            raise _unknown("convolution", name, [option.name for option in drawable], len(drawable))
        raise UsageError(
            f"'{layer.name}' ({layer.kind}) is not a convolution, so it has no kernels. "
            f"The convolutions of '{network}': {listed([option.name for option in drawable], _MOST, quoted=False)}."
        )
    raise UsageError(
        f"The network '{network}' has no convolution{f', and {_not_reading(layer)}' if layer is not None else ''}. "
        f"The dense layer '{drawable[0].name}' reads the picture, so its weights can be drawn, one picture per unit: "
        f"--filters {drawable[0].name}."
    )


def with_maps(layers: Trace, name: str, network: str) -> Layer:
    """A layer with feature maps, by name, or by number among the convolutions.

    Raises:
        UnknownNameError: there is no such layer.
        UsageError: its outputs have no position in the picture, as in a dense layer.
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
    tokens = any(part.output_shape is not None and len(part.output_shape) == 2 for part in layers.layers)
    hint = " For the later layers of a transformer, use --attention." if tokens else ""
    if layer is None:
        raise _unknown("layer with maps", name, [option.name for option in spatial], len(layers.convolutions), hint)
    what = layer_kinds.times(layer.output_shape) if layer.output_shape is not None else "no"
    raise UsageError(
        f"'{layer.name}' ({layer.kind}) has no feature maps: its {what} outputs have no position in the picture. "
        f"Layers with feature maps: {listed([option.name for option in spatial], _MOST, quoted=False)}.{hint}"
    )


def any_layer(layers: Trace, name: str) -> Layer:
    """A layer of any kind, by name, or by number among the convolutions.

    Raises:
        UnknownNameError: there is no such layer.
    """
    layer = _named(layers, name, layers.convolutions)
    if layer is None or not layer.output_shape:
        names = [option.name for option in layers.layers if option.output_shape]
        raise _unknown("layer", name, names, len(layers.convolutions))
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
        # The closest matches, then the first names.
        names = [*dict.fromkeys([*difflib.get_close_matches(name.lower(), names, _MOST // 2, 0.4), *names])][:_MOST]
        hint = f"`pellucid inspect MODEL` lists all of them. {hint}"
    return UnknownNameError(what, name, names, f"{hint.strip()}{further}".strip())


def _not_reading(layer: Layer) -> str:
    return f"'{layer.name}' ({layer.kind}) does not read the picture"


_FOLDERS = {"val": "validation", "valid": "validation", "training": "train", "testing": "test"}
"""Other common names of splits."""


def pick(picture: Any, specification: Specification) -> tuple[Split, str]:
    """One picture as a split of length 1, and its name.

    Args:
        picture: one of: the path of a file; `mnist:17` for a picture of a dataset's test split, counted from 0 (of its
            validation split if there is no test split); `mnist:train/17` or `mnist:ID`; `photos:17` for a folder of
            pictures; or any single picture that `pellucid.predict` accepts.
        specification: the specification of the model.

    Raises:
        UsageError: the picture does not exist in its dataset, or there is more than one.
        MissingDataError: there is no such file or split.
    """
    if isinstance(picture, Split):
        split, name = picture, str(picture.ids[0]) if len(picture) else ""
    elif isinstance(picture, (str, Path)) and not Path(picture).is_file():
        return _of_a_dataset(str(picture))
    else:
        split, name = as_split(picture, specification), Path(picture).name if isinstance(picture, (str, Path)) else ""
    if len(split) != 1:
        raise UsageError(f"One picture is needed; given: {len(split):,}.")
    return split, name or "the picture"


def _of_a_dataset(reference: str) -> tuple[Split, str]:
    source, separator, which = reference.rpartition(":")
    if not separator or not (source in DATASETS or Path(source).is_dir()):
        if separator and source.replace("-", "").isalnum() and len(source) > 1:
            lookup(source)  # its error suggests the dataset that was probably meant
        raise MissingDataError(
            f"There is no picture at {reference}. Give a picture file, or a test picture of a dataset by its number, "
            f"as in mnist:17."
        )
    dataset = load(source)
    split, index = _find(dataset, which)
    # A file is named by its file name, a picture in an array by its index.
    name = split.ids[index] if isinstance(split.pictures, PictureFiles) else f"{split.name}/{index}"
    return split.take([index]), f"{dataset.name} {name}"


def _find(dataset: Dataset, which: str) -> tuple[Split, int]:
    """The split and index of a picture, given by number or by id.

    Raises:
        UsageError: there is no such picture.
    """
    name, _, number = which.rpartition("/")
    default = default_split(dataset)
    name = _FOLDERS.get(name, name) if name not in dataset.splits else name
    if number.isdecimal() and name in ("", *dataset.splits):
        split = dataset.split(name or default)
        if int(number) >= len(split):
            raise UsageError(
                f"The {split.name} split of '{dataset.name}' has {counted(len(split), 'picture')}, numbered from 0 to "
                f"{len(split) - 1}; given: {number}."
            )
        return split, int(number)
    for split in dataset.splits.values():
        for index, picture_id in enumerate(split.ids.tolist()):
            if picture_id == which:
                return split, index
    raise UsageError(
        f"'{dataset.name}' has no picture '{which}'. Give the number of a {default} picture, as in {dataset.name}:17, "
        f"a number in another split, as in {dataset.name}:train/17, or an id, as in "
        f"{dataset.name}:{next(iter(dataset.splits.values())).ids[0]}."
    )

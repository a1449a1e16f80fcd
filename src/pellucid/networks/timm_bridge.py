"""Every network of timm, through one bridge: `timm:resnet18`. The only module that imports timm.

timm (https://github.com/huggingface/pytorch-image-models) is an extra: `pip install "pellucid[timm]"`.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from pellucid.errors import DownloadError, ModelFileError, NetworkError, UnknownNameError, UsageError
from pellucid.networks import backbones
from pellucid.networks.backbones import Backbone
from pellucid.networks.catalogue import TIMM
from pellucid.records import Preprocessing

# What would read other files, open connections, or contradict the data: settings come from model files too.
_REFUSED = (
    "pretrained",
    "checkpoint",
    "cache_dir",
    "num_classes",
    "in_chans",
    "features_only",
    "scriptable",
    "exportable",
)


def create(
    name: str, shape: tuple[int, int, int], classes: int, settings: Mapping[str, Any] | None = None
) -> nn.Module:
    """A network of timm, untrained (no weights are loaded or downloaded).

    Args:
        name: with the prefix: `timm:resnet18`.
        shape: (C, H, W) of the pictures. Networks that are made for one size, as vision transformers are, are made for
            this one where they can be.
        classes: K.
        settings: further arguments of timm's own constructor, for example {"drop_rate": 0.1}.

    Raises:
        UsageError: timm is not installed.
        UnknownNameError: timm has no network of that name.
        NetworkError: timm cannot make it so.
    """
    try:
        import timm
    except ImportError as error:
        raise UsageError(
            f"'{name}' needs timm, which is not installed. Install it with: pip install \"pellucid[timm]\"."
        ) from error
    plain = name.removeprefix(TIMM)
    if not timm.is_model(plain):
        near = difflib.get_close_matches(plain, timm.list_models(), n=8, cutoff=0.5) or ["resnet18", "resnet50"]
        raise UnknownNameError("network of timm", plain, near, "There are more: timm.list_models() lists all.")
    refused = [key for key in settings or {} if key.startswith(_REFUSED)]
    if refused:
        raise UsageError(
            f"The setting '{refused[0]}' of '{name}' is not allowed: weights come from a model file alone, nothing is "
            f"downloaded, and channels and classes are those of the data."
        )
    channels, height, width = shape
    arguments: dict[str, Any] = {"pretrained": False, "num_classes": classes, "in_chans": channels, **(settings or {})}
    # Transformers have positions for one size of picture, and are told which; others take any size.
    sized = "vision_transformer" in timm.model_entrypoint(plain).__module__
    if sized and "img_size" not in arguments:
        arguments["img_size"] = (height, width)
    try:
        return timm.create_model(plain, **arguments)
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        given = ", ".join(f"{key}={value}" for key, value in arguments.items())
        raise NetworkError(f"timm cannot make '{plain}' with {given}: {_first_line(error)}.") from error


def backbone(name: str, *, weights: str | Path | None = None, download: bool = False) -> Backbone:
    """A network of timm with what it has learned.

    Args:
        name: with the prefix: `timm:resnet18`, or with timm's own tag: `timm:resnet18.a1_in1k`.
        weights: a file with its weights; None looks where an earlier download lies.
        download: whether they may be downloaded from where timm says; how large they are is said first.

    Raises:
        UsageError: timm is not installed, the weights are not at hand, or its last layer is not a dense one.
        UnknownNameError: timm has no network of that name.
        ModelFileError: the file does not hold them.
        DownloadError: they did not arrive.
    """
    module, settings = _untrained(name)
    path = Path(weights) if weights is not None else _weights_file(name, settings, download=download)
    given = backbones.read_weights(path)
    classes = int(settings.get("num_classes") or 1000)
    last = getattr(module, "get_classifier", lambda: None)()
    if not isinstance(last, nn.Linear):
        raise UsageError(f"The last layer of '{name}' is not a dense one, so it cannot be a backbone. Try lite0.")
    classifier = next(key for key, part in module.named_modules() if part is last)
    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    for key in sorted(expected.keys() ^ given.keys()):
        lack = "lacks" if key in expected else "has, but the network does not know,"
        raise ModelFileError(f"{path} does not fit '{name}': it {lack} '{key}'.")
    for key, array in given.items():
        if not key.startswith(f"{classifier}.") and array.shape != expected[key]:
            raise ModelFileError(f"{path} does not fit '{name}': '{key}' is {array.shape}, not {expected[key]}.")
    side = int((settings.get("input_size") or (3, 224, 224))[-1])
    preprocessing = Preprocessing(
        channels=3,
        height=side,
        width=side,
        fit="crop",
        scaling="given",
        mean=tuple(settings.get("mean") or (0.5,) * 3),
        std=tuple(settings.get("std") or (0.5,) * 3),
    )
    known = backbones.imagenet_classes() if classes == 1000 == len(given[f"{classifier}.weight"]) else ()
    return Backbone(f"{TIMM}{_plain(name)}", given, classifier, known, preprocessing)


def weights_of(name: str) -> Path:
    """The file of a network's weights that lies on this machine.

    Raises:
        PellucidError: as in `backbone`, but that the file is not opened.
    """
    return _weights_file(name, _untrained(name)[1], download=False)


def _untrained(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """The network, and what timm knows of its weights."""
    module = create(f"{TIMM}{_plain(name)}", (3, 224, 224), 1000)
    return module, _settings_of(name.removeprefix(TIMM), module)


def _plain(name: str) -> str:
    """Its name without the prefix and timm's tag."""
    return name.removeprefix(TIMM).partition(".")[0]


def _settings_of(plain: str, module: nn.Module) -> dict[str, Any]:
    """What timm knows of a network's weights: where they are, and how their pictures were prepared.

    Raises:
        UnknownNameError: it has no such weights.
    """
    import timm

    bare, _, tag = plain.partition(".")
    known = timm.list_models(f"{bare}.*", pretrained=True)
    if tag and plain not in known:
        raise UnknownNameError("set of weights", plain, known or [bare])
    told = timm.get_pretrained_cfg(plain)
    return {**vars(module).get("pretrained_cfg", {}), **(told.to_dict() if told is not None else {})}


def _weights_file(name: str, settings: Mapping[str, Any], *, download: bool) -> Path:
    """Where the weights lie, in the cache of the hub that timm takes them from.

    Raises:
        UsageError: they are not at hand, and may not be downloaded.
        DownloadError: they did not arrive.
    """
    huggingface_hub: Any = importlib.import_module("huggingface_hub")  # it comes with timm
    repository, file = settings.get("hf_hub_id"), settings.get("hf_hub_filename") or "model.safetensors"
    if not repository:
        raise UsageError(f"timm does not say where the weights of '{name}' are; give them as a file, in Python.")
    found = huggingface_hub.try_to_load_from_cache(repository, file)
    if isinstance(found, str):
        return Path(found)
    if not download:
        raise UsageError(
            f"The weights of '{name}' are not on this machine. With --download they are fetched from {repository} on "
            f"the Hugging Face hub; lite0 comes along."
        )
    try:
        size = huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(repository, file)).size
        sys.stderr.write(f"Downloading {(size or 0) / 1e6:.0f} MB from {repository} ...\n")
        return Path(huggingface_hub.hf_hub_download(repository, file))
    except Exception as error:
        raise DownloadError(
            f"The weights of '{name}' could not be downloaded from {repository}: {_first_line(error)}."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

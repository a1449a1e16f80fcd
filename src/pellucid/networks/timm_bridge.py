"""All networks of timm, as in `timm:resnet18`. The only module that imports timm.

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

from pellucid.errors import DownloadError, NetworkError, PellucidError, UnknownNameError, UsageError
from pellucid.records.names import on_one_line, settings_in_words

PREFIX = "timm:"

# Settings that would read other files, open connections or contradict the data. Model files contain settings too.
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
    """An untrained timm network. Neither loads nor downloads weights.

    Args:
        name: the name with its prefix, as in `timm:resnet18`.
        shape: (C, H, W) of the pictures. Vision transformers, which have a fixed input size, are built for this one.
        classes: K.
        settings: further arguments of timm's constructor, for example {"drop_rate": 0.1}.

    Raises:
        UsageError: timm is not installed, or a setting is not allowed.
        UnknownNameError: timm has no such network.
        NetworkError: timm cannot build it with these arguments.
    """
    try:
        import timm
    except ImportError as error:
        raise UsageError(
            f"'{name}' needs timm, which is not installed. Install it with: pip install \"pellucid[timm]\"."
        ) from error
    plain = name.removeprefix(PREFIX)
    if not timm.is_model(plain):
        near = difflib.get_close_matches(plain, timm.list_models(), n=8, cutoff=0.5) or ["resnet18", "resnet50"]
        raise UnknownNameError("network of timm", plain, near, "timm.list_models() lists all of them.")
    refused = [key for key in settings or {} if key.startswith(_REFUSED)]
    if refused:
        raise UsageError(
            f"The setting '{refused[0]}' of '{name}' is not allowed: weights come only from a model file, and the data "
            f"determine channels and classes."
        )
    channels, height, width = shape
    arguments: dict[str, Any] = {"pretrained": False, "num_classes": classes, "in_chans": channels, **(settings or {})}
    # Vision transformers need the size of the pictures; other networks take any size.
    sized = "vision_transformer" in timm.model_entrypoint(plain).__module__
    if sized and "img_size" not in arguments:
        arguments["img_size"] = (height, width)
    try:
        return timm.create_model(plain, **arguments)
    except PellucidError:
        raise
    except Exception as error:  # timm's constructors raise anything if a setting makes no sense
        raise NetworkError(
            f"timm cannot build '{plain}' with {settings_in_words(arguments)}: {_first_line(error).rstrip('.')}."
        ) from error


def pretrained(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """A timm network for 1,000 classes, without weights, and timm's settings of its weights.

    The settings have `input_size`, `mean`, `std`, `num_classes` and `hf_hub_id`, as far as timm knows them.

    Args:
        name: `timm:resnet18`, or with a tag for its weights, `timm:resnet18.a1_in1k`.

    Raises:
        UsageError: timm is not installed.
        UnknownNameError: timm has no such network, or no such weights.
    """
    module = create(plain_name(name), (3, 224, 224), 1000)
    return module, _settings_of(name.removeprefix(PREFIX), module)


def plain_name(name: str) -> str:
    """The name without the tag of its weights: `timm:resnet18.a1_in1k` → `timm:resnet18`."""
    return name.partition(".")[0]


def _settings_of(plain: str, module: nn.Module) -> dict[str, Any]:
    """The settings of timm for a network's weights: their location and their preprocessing.

    Raises:
        UnknownNameError: timm has no such weights.
    """
    import timm

    bare, _, tag = plain.partition(".")
    known = timm.list_models(f"{bare}.*", pretrained=True)
    if tag and plain not in known:
        raise UnknownNameError("set of weights", plain, known or [bare])
    pretrained_cfg = timm.get_pretrained_cfg(plain)
    return {
        **vars(module).get("pretrained_cfg", {}),
        **(pretrained_cfg.to_dict() if pretrained_cfg is not None else {}),
    }


def weights_file(name: str, settings: Mapping[str, Any], *, download: bool) -> Path:
    """The file of a network's weights in the Hugging Face cache.

    Args:
        name: the name, as in `pretrained`.
        settings: timm's settings of the weights, from `pretrained`.
        download: whether to download missing weights; their size is printed first.

    Raises:
        UsageError: the weights are not on this machine, and `download` is false.
        DownloadError: the download failed.
    """
    huggingface_hub: Any = importlib.import_module("huggingface_hub")  # a dependency of timm
    repository, file = settings.get("hf_hub_id"), settings.get("hf_hub_filename") or "model.safetensors"
    if not repository:
        raise UsageError(f"timm does not know where the weights of '{name}' are; give them as a file, in Python.")
    cached = huggingface_hub.try_to_load_from_cache(repository, file)
    if isinstance(cached, str):
        return Path(cached)
    if not download:
        raise UsageError(
            f"The weights of '{name}' are not on this machine. Add --download to fetch them from {repository} on the "
            f"Hugging Face hub, or use lite0, which is installed with Pellucid."
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
    text = repr(error) if isinstance(error, KeyError) else str(error).strip()  # the text of a KeyError is the key alone
    first = (text.splitlines() or [type(error).__name__])[0]
    return on_one_line(first if len(first) <= 200 else f"{first[:199]}…")

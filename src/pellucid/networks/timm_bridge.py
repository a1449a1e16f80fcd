"""Every network of timm, through one bridge: `timm:resnet18`. The only module that imports timm.

timm (https://github.com/huggingface/pytorch-image-models) is an extra: `pip install "pellucid[timm]"`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from torch import nn

from pellucid.errors import NetworkError, UnknownNameError, UsageError
from pellucid.networks.catalogue import TIMM

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


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

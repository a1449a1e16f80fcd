"""The catalogue of networks: an explicit table from a name to the path of its class. Does not import torch.

To add a network, write its file in this folder (a subclass of `Network`) and add a line to `NETWORKS`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pellucid.errors import MissingDataError, NetworkError, UnknownNameError, UsageError
from pellucid.records.names import settings_in_words
from pellucid.records.paths import expand_user

if TYPE_CHECKING:
    from torch import nn

    from pellucid.networks.network import Network


@dataclass(frozen=True)
class Entry:
    """An entry of the catalogue.

    Attributes:
        path: `module:Class`.
        year: year of publication.
        source: authors, year and variant.
        good_for: its purpose, in a few words.
        parameters: number of trainable parameters for pictures of `shape` and `classes` classes.
        shape: its typical input, (C, H, W); MNIST's by default.
        classes: its typical number of classes.
    """

    path: str
    year: int
    source: str
    good_for: str
    parameters: int
    shape: tuple[int, int, int] = (1, 28, 28)
    classes: int = 10


# fmt: off
NETWORKS: dict[str, Entry] = {
    "alexnet": Entry("pellucid.networks.alexnet:AlexNet", 2012, "Krizhevsky, Sutskever, Hinton 2012, in the single-column form of 2014", "history; large pictures", 61_100_840, (3, 224, 224), 1000),
    "cifar-convnet": Entry("pellucid.networks.cifar_convnet:CifarConvNet", 2026, "our own design", "small colour pictures, when training must be quick", 115_498, (3, 32, 32)),
    "convnet": Entry("pellucid.networks.convnet:ConvNet", 2015, "two convolutions with batch normalisation (Ioffe and Szegedy 2015)", "small grey pictures; the safe first choice", 29_034),
    "convnet-dropout": Entry("pellucid.networks.convnet_dropout:ConvNetDropout", 2014, "two convolutions with dropout (Srivastava et al. 2014)", "digits, with few parameters", 21_840),
    "deep-convnet": Entry("pellucid.networks.deep_convnet:DeepConvNet", 2020, "a course's network of four convolutions and three dense layers", "a deeper network to follow, operation by operation", 965_632),
    "lenet5": Entry("pellucid.networks.lenet5:LeNet5", 1998, "LeCun, Bottou, Bengio, Haffner 1998, with ReLU and max pooling", "handwritten digits; the classic to learn from", 61_706),
    "lenet5-1998": Entry("pellucid.networks.lenet5_1998:LeNet5Of1998", 1998, "LeCun, Bottou, Bengio, Haffner 1998, as in the paper", "handwritten digits as in 1998", 60_000),
    "lite0": Entry("pellucid.networks.lite0:Lite0", 2019, "Tan and Le 2019, in Google's Lite form of 2020", "photos; comes with weights pretrained on ImageNet", 4_652_008, (3, 224, 224), 1000),
    "logistic-regression": Entry("pellucid.networks.logistic_regression:LogisticRegression", 1958, "Cox 1958; multinomial form", "a baseline without hidden units", 7_850),
    "mlp": Entry("pellucid.networks.mlp:MLP", 1986, "Rumelhart, Hinton, Williams 1986, with ReLU", "small pictures, when training must be quick", 397_510),
    "perceptron": Entry("pellucid.networks.perceptron:Perceptron", 1958, "Rosenblatt 1958; averaged after Freund and Schapire 1999", "history; linearly separable classes", 7_850),
    "resnet20": Entry("pellucid.networks.resnet20:ResNet20", 2015, "He, Zhang, Ren, Sun 2015, for CIFAR", "learning about shortcuts; small colour pictures", 269_722, (3, 32, 32)),
    "sigmoid-neuron": Entry("pellucid.networks.sigmoid_neuron:SigmoidNeuron", 1986, "Rumelhart, Hinton, Williams 1986; one layer", "seeing why smooth units can learn", 7_850),
    "whitened-convnet": Entry("pellucid.networks.whitened_convnet:WhitenedConvNet", 2024, "Jordan 2024, after Page 2018", "small pictures, the best accuracy in the shortest time", 1_971_362, (3, 32, 32)),
}
# fmt: on


TIMM = "timm:"
"""Prefix of the names of timm's networks."""


def check_name(name: str) -> None:
    """Checks that a name can be that of a network. Fast, since it imports neither torch nor timm.

    Raises:
        UnknownNameError: it is neither in the catalogue, nor `timm:NAME`, nor `file.py:Class`.
    """
    if name not in NETWORKS and not name.startswith(TIMM) and not is_file_reference(name):
        if (family := _of_timm(name)) is not None:
            raise UnknownNameError("network", name, NETWORKS, f"timm has such networks: try {TIMM}{family}.")
        hint = f"Others: {TIMM}NAME for any timm network, file.py:Class for your own."
        raise UnknownNameError("network", name, NETWORKS, hint)


_TIMM_FAMILIES = (
    *("resnet", "resnext", "wide_resnet", "vit", "deit", "swin", "convnext", "efficientnet", "mobilenet", "densenet"),
    *("vgg", "regnet", "inception", "xception", "mixer", "beit", "eva", "maxvit", "dpn", "res2net", "hrnet"),
)


def _of_timm(name: str) -> str | None:
    """The probable timm name, if the name starts like a timm family; else None. Does not import timm."""
    plain = name.lower().replace("-", "_")
    return plain if plain.startswith(_TIMM_FAMILIES) and not plain.startswith("resnet20") else None


BACKBONES: dict[str, str] = {"lite0": "EfficientNet-Lite0, trained on ImageNet; installed with Pellucid"}
"""Networks with pretrained weights. Others: `timm:NAME`."""


def check_backbone(name: str) -> None:
    """Checks that a name can be that of a backbone.

    Raises:
        UnknownNameError: it is neither in `BACKBONES` nor `timm:NAME`.
    """
    if name not in BACKBONES and not name.startswith(TIMM):
        hint = f"Others: {TIMM}NAME for any timm network with weights on this machine."
        raise UnknownNameError("backbone", name, BACKBONES, hint)


def is_file_reference(name: str) -> bool:
    """Whether `name` has the form `file.py:Class`."""
    file, separator, attribute = name.rpartition(":")
    return bool(separator) and file.endswith(".py") and attribute.isidentifier()


def file_of(reference: str) -> tuple[Path, str]:
    """The file and the name of the class of `file.py:Class`.

    Raises:
        MissingDataError: there is no such file.
    """
    file, _, attribute = reference.rpartition(":")
    path = expand_user(file)
    if not path.is_file():
        raise MissingDataError(f"There is no file {path}, so the network '{attribute}' cannot be loaded.")
    return path, attribute


def resolve(name: str) -> type[Network]:
    """The class of a network in the catalogue.

    Raises:
        UnknownNameError: there is no such network.
    """
    check_name(name)
    module, _, attribute = NETWORKS[name].path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def own_recipe(name: str) -> dict[str, Any]:
    """The settings in which a network's default recipe differs from the general one."""
    return {} if name.startswith(TIMM) else dict(resolve(name).recipe)


def create(
    name: str, shape: tuple[int, int, int], classes: int, settings: Mapping[str, Any] | None = None
) -> nn.Module:
    """An untrained network from the catalogue or timm, for pictures of `shape` (C, H, W) and `classes` classes.

    Raises:
        UnknownNameError: there is no such network, or it has no such setting.
        UsageError: a setting is invalid.
        NetworkError: the network does not fit pictures of that shape.
    """
    if name.startswith(TIMM):
        from pellucid.networks import timm_bridge

        return timm_bridge.create(name, shape, classes, settings)
    kind = resolve(name)
    settings = dict(settings or {})
    known = [key for key in inspect.signature(kind).parameters if key not in ("shape", "classes")]
    for key in settings:
        if key not in known:
            if not known:
                raise UsageError(f"The network '{name}' has no settings; omit '{key}'.")
            raise UnknownNameError(f"setting of '{name}'", key, known)
    if min(shape) < 1 or classes < 2:
        raise NetworkError(
            f"A network needs pictures and at least two classes; given: shape {shape}, {classes} classes."
        )
    # Every network takes these two arguments; only the base class, which is abstract, does not.
    try:
        return cast("Any", kind)(shape=shape, classes=classes, **settings)
    except (TypeError, ValueError, AttributeError) as error:
        if not settings:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"The network '{name}' does not accept the settings {settings_in_words(settings)}: {reason}."
        ) from error

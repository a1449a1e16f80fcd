"""The catalogue of networks: an explicit table from a name to where its class lives. No torch is imported here.

To add a network: write its file beside this one (a subclass of `Network`), and add its line to `NETWORKS`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import NetworkError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from torch import nn

    from pellucid.networks.network import Network


@dataclass(frozen=True)
class Entry:
    """A line of the catalogue.

    Attributes:
        path: `module:Class`.
        year: when it was published.
        source: who described it, where.
        good_for: what it is good for, in a few words.
        parameters: how many numbers it learns for pictures of `shape` and `classes` classes.
        shape: (C, H, W); MNIST's, unless the network is made for others.
        classes: how many classes.
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
    "convnet": Entry("pellucid.networks.convnet:ConvNet", 2015, "two convolutions with batch normalisation (Ioffe and Szegedy 2015)", "small grey pictures; the safe first choice", 29_034),
    "lenet5": Entry("pellucid.networks.lenet5:LeNet5", 1998, "LeCun, Bottou, Bengio, Haffner 1998, with ReLU and max pooling", "handwritten digits; the classic to learn from", 61_706),
    "logistic-regression": Entry("pellucid.networks.logistic_regression:LogisticRegression", 1958, "Cox 1958; multinomial form", "a base line: what can be had without hidden units", 7_850),
    "mlp": Entry("pellucid.networks.mlp:MLP", 1986, "Rumelhart, Hinton, Williams 1986, with ReLU", "small pictures, when training must be quick", 397_510),
}
# fmt: on


def resolve(name: str) -> Callable[..., Network]:
    """The class of a network of the catalogue.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in NETWORKS:
        raise UnknownNameError("network", name, NETWORKS, "Your own is given as file.py:Class.")
    module, _, attribute = NETWORKS[name].path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def create(
    name: str, shape: tuple[int, int, int], classes: int, settings: Mapping[str, Any] | None = None
) -> nn.Module:
    """A network of the catalogue, untrained, for pictures of `shape` (C, H, W) and `classes` classes.

    Raises:
        UnknownNameError: there is no network of that name.
        UsageError: it has no such setting.
        NetworkError: it does not fit pictures of that shape.
    """
    kind = resolve(name)
    settings = dict(settings or {})
    known = [key for key in inspect.signature(kind).parameters if key not in ("shape", "classes")]
    for key in settings:
        if key not in known:
            if not known:
                raise UsageError(f"The network '{name}' has no settings, but '{key}' was given. Leave it out.")
            raise UnknownNameError(f"setting of '{name}'", key, known)
    if min(shape) < 1 or classes < 2:
        raise NetworkError(
            f"A network needs pictures and at least two classes; given: shape {shape}, {classes} classes."
        )
    return kind(shape=shape, classes=classes, **settings)

"""Models to look into: untrained ones of any network, and the networks of users."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from pellucid.inference.building import weights_of
from pellucid.networks.catalogue import create
from pellucid.records import Model
from pellucid.records.model import NetworkSpecification, Preprocessing, Specification

Make = Callable[..., Model]


def record(network: nn.Module, named: NetworkSpecification, shape: tuple[int, int, int], classes: int) -> Model:
    channels, height, width = shape
    assert channels in (1, 3)
    specification = Specification(
        network=named,
        classes=tuple(f"class {i}" for i in range(classes)),
        preprocessing=Preprocessing(channels=channels, height=height, width=width),
    )
    return Model(specification, weights_of(network))


@pytest.fixture(scope="session")
def untrained() -> Make:
    """A model of a network of the catalogue, as it begins."""

    def make(name: str, shape: tuple[int, int, int] = (1, 28, 28), classes: int = 10) -> Model:
        torch.manual_seed(0)
        return record(create(name, shape, classes), NetworkSpecification(name=name), shape, classes)

    return make


@pytest.fixture(scope="session")
def own() -> Make:
    """A model of a network of the user's own; `network=` has to be given to look into it."""

    def make(network: nn.Module, shape: tuple[int, int, int] = (1, 8, 8), classes: int = 10) -> Model:
        named = NetworkSpecification(name="custom", source=f"mynet.py:{type(network).__name__}")
        return record(network, named, shape, classes)

    return make

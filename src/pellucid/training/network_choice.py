"""Which network is trained: by name, as a class or module, or that of the model to start from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pellucid.errors import NetworkError, UsageError
from pellucid.inference.building import build
from pellucid.networks import custom
from pellucid.networks.catalogue import TIMM, check_name, create, is_file_reference, own_recipe, resolve
from pellucid.networks.network import Declaration, declaration
from pellucid.records import Model, NetworkSpecification
from pellucid.training.rules import find_rule

NetworkLike = str | nn.Module | type[nn.Module]


@dataclass(frozen=True)
class NetworkChoice:
    """The network to train, not yet built.

    Attributes:
        network: a name of the catalogue, a class, or a module of the user.
        settings: arguments of its constructor, beside shape and classes.
        name: name for file names and displays.
        specification: how a model file names it, if that is known already: for the network of a start model.
    """

    network: NetworkLike
    settings: Mapping[str, Any]
    name: str
    specification: NetworkSpecification | None = None

    def own_recipe(self) -> dict[str, Any]:
        """How its default recipe differs from the general one."""
        if isinstance(self.network, str):
            return own_recipe(self.network)
        declared = getattr(self.network, "recipe", {})
        return dict(declared) if isinstance(declared, Mapping) else {}

    def unused_settings(self) -> Mapping[str, Any]:
        """Settings of a recipe that its learning rule does not use: {setting: the value that changes nothing}."""
        network = self.network
        if isinstance(network, str) and not network.startswith(TIMM):
            network = resolve(network)
        declared = Declaration() if isinstance(network, str) else declaration(network)
        return find_rule(declared.learning_rule).unused_settings

    def make(self, shape: tuple[int, int, int], classes: int) -> tuple[nn.Module, NetworkSpecification]:
        """Builds the untrained network, and says how a model file names it. A user's module is copied.

        Args:
            shape: of a picture, (C, H, W).
            classes: number of classes.

        Raises:
            NetworkError: it does not fit the pictures.
            UsageError: a setting does not fit the network.
        """
        settings = dict(self.settings)
        if isinstance(self.network, str):
            specification = NetworkSpecification(name=self.network, settings=settings)
            try:
                return create(self.network, shape, classes, settings), specification
            except RuntimeError as error:  # torch raises it for a layer that memory cannot hold
                reason = str(error).splitlines()[0].rstrip(".")
                raise NetworkError(
                    f"The network '{self.network}' cannot be made for pictures of {shape}: {reason}."
                ) from error
        if isinstance(self.network, nn.Module):
            module = custom.copy_of(self.network)
        else:
            module = custom.instantiate(self.network, shape, classes, settings)
        source = custom.source_of(module)
        return module, self.specification or NetworkSpecification(name="custom", settings=settings, source=source)


def network_name(network: NetworkLike | None, start: Model | None = None) -> str:
    """The name of a network in file names: its name in the catalogue, or that of its class."""
    if isinstance(network, str):
        return network.rpartition(":")[2] if is_file_reference(network) else network
    if network is not None:
        return network.__name__ if isinstance(network, type) else type(network).__name__
    if start is None:
        return "network"
    specification = start.specification.network
    return specification.source.rpartition(":")[2] if specification.name == "custom" else specification.name


def choose_network(
    network: NetworkLike | None, settings: Mapping[str, Any] | None = None, start: Model | None = None
) -> NetworkChoice:
    """The network that the user gave; if there is none, that of the start model, with its settings.

    Raises:
        UsageError: there is no such network, or it takes no settings.
    """
    if network is None:
        if start is None:
            raise UsageError("A training needs a network: give the name of one, for example 'convnet'.")
        return _network_of(start, settings)
    name = network_name(network, start)
    if start is not None and settings is None and _is_network_of(start, network):
        settings = start.specification.network.settings
    settings = settings or {}
    if isinstance(network, str) and is_file_reference(network):
        network = custom.load_class(network)
    elif isinstance(network, str):
        check_name(network)
    elif not isinstance(network, nn.Module) and not (isinstance(network, type) and issubclass(network, nn.Module)):
        raise UsageError(
            f"A network is a name, file.py:Class, a torch.nn.Module or a class of them; given: {network!r}."
        )
    if settings and isinstance(network, nn.Module):
        raise UsageError("A network object takes no settings; give them to its constructor.")
    _require_json(settings)
    return NetworkChoice(network, settings, name)


def _network_of(start: Model, settings: Mapping[str, Any] | None) -> NetworkChoice:
    """The network of the start model. Raises UsageError if it is a user's module and settings are given."""
    specification, name = start.specification.network, network_name(None, start)
    if specification.name == "custom":
        if settings:
            raise UsageError("The model to start from brings its own network, which takes no settings; leave them out.")
        return NetworkChoice(build(start), {}, name, specification)
    check_name(specification.name)
    settings = specification.settings if settings is None else settings
    _require_json(settings)
    return NetworkChoice(specification.name, settings, name)


def _is_network_of(start: Model, network: NetworkLike) -> bool:
    """Whether a name or class means the network of the start model."""
    specification = start.specification.network
    if isinstance(network, nn.Module):
        return False
    if specification.name == "custom":
        return network_name(network) == specification.source.rpartition(":")[2]
    return network == specification.name


def _require_json(settings: Mapping[str, Any]) -> None:
    """Raises UsageError if a model file could not hold the settings, which it does as JSON."""
    try:
        json.dumps(dict(settings), allow_nan=False)
        plain = all(isinstance(name, str) for name in settings)
    except (TypeError, ValueError):
        plain = False
    if not plain:
        raise UsageError(
            f"The settings of a network have names, and are numbers, texts, truth values and lists of them; given: "
            f"{settings!r}."
        )

"""Which network is trained, and by which plan: everything that can be known, and refused, before a picture is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pellucid.errors import NetworkError, UsageError
from pellucid.inference.building import build
from pellucid.networks import custom
from pellucid.networks.catalogue import TIMM, check_name, create, is_file_reference, own_recipe, resolve
from pellucid.networks.network import Declaration, declaration
from pellucid.records import Model, NetworkSpecification
from pellucid.training import augmentation, initialisation, losses, optimizers, recipes, schedules
from pellucid.training.recipes import Recipe
from pellucid.training.rules import find_rule

NetworkLike = str | nn.Module | type[nn.Module]


@dataclass(frozen=True)
class Choice:
    """The network that is to be trained, not made yet.

    Attributes:
        given: a name of the catalogue, a class, or a module of the user's own.
        settings: what its constructor takes beside shape and classes.
        name: what it is called in file names and when it shows itself.
        specified: how a model file names it, where that is known already: for the network of a model to start from.
    """

    given: NetworkLike
    settings: Mapping[str, Any]
    name: str
    specified: NetworkSpecification | None = None

    def own_recipe(self) -> dict[str, Any]:
        """How its default plan differs from the general one."""
        if isinstance(self.given, str):
            return own_recipe(self.given)
        declared = getattr(self.given, "recipe", {})
        return dict(declared) if isinstance(declared, Mapping) else {}

    def unused_settings(self) -> Mapping[str, Any]:
        """The settings of a recipe that its learning rule has no use for, as `pellucid.training.rules` has them."""
        given = resolve(self.given) if isinstance(self.given, str) and not self.given.startswith(TIMM) else self.given
        declared = Declaration() if isinstance(given, str) else declaration(given)
        return find_rule(declared.learning_rule).unused_settings

    def make(self, shape: tuple[int, int, int], classes: int) -> tuple[nn.Module, NetworkSpecification]:
        """The untrained network, and how a model file names it. A module of the user's own is copied.

        Raises:
            NetworkError: it does not fit.
            UsageError: a setting does not.
        """
        settings = dict(self.settings)
        if isinstance(self.given, str):
            specified = NetworkSpecification(name=self.given, settings=settings)
            try:
                return create(self.given, shape, classes, settings), specified
            except RuntimeError as error:  # torch's word for a layer that memory cannot hold
                reason = str(error).splitlines()[0].rstrip(".")
                raise NetworkError(
                    f"The network '{self.given}' cannot be made for pictures of {shape}: {reason}."
                ) from error
        if isinstance(self.given, nn.Module):
            module = custom.copy_of(self.given)
        else:
            module = custom.instantiate(self.given, shape, classes, settings)
        source = custom.source_of(module)
        return module, self.specified or NetworkSpecification(name="custom", settings=settings, source=source)


def network_name(network: NetworkLike | None, start: Model | None = None) -> str:
    """What a network is called in file names: its name in the catalogue, or that of its class."""
    if isinstance(network, str):
        return network.rpartition(":")[2] if is_file_reference(network) else network
    if network is None:
        named = start.specification.network if start else None
        if named is None:
            return "network"
        return named.source.rpartition(":")[2] if named.name == "custom" else named.name
    return network.__name__ if isinstance(network, type) else type(network).__name__


def choose_network(
    network: NetworkLike | None,
    settings: Mapping[str, Any] | None = None,
    start: Model | None = None,
    recipe: str | Recipe = "default",
) -> Choice:
    """The network that is asked for; where none is, that of the model to start from, with its settings.

    A recipe that is made for this network gives settings of it, too.

    Raises:
        UsageError: there is no such network, or it takes no settings.
    """
    made_for, fitting = recipes.RECIPE_NETWORKS.get(recipe, (None, {})) if isinstance(recipe, str) else (None, {})
    if fitting and start is None and network == made_for:
        settings = {**fitting, **(settings or {})}
    name = network_name(network, start)
    before = start.specification.network if start else None
    if network is None and before is None:
        raise UsageError("A training needs a network: give the name of one, for example 'convnet'.")
    if network is None and start is not None and before is not None and before.name == "custom":
        if settings:
            raise UsageError("The network of the model to start from is made already; leave its settings out.")
        return Choice(build(start), {}, name, before)
    if before is not None and settings is None and _is_the_same(network, before):
        settings = before.settings
    given: Any = before.name if network is None and before is not None else network
    if isinstance(given, str) and is_file_reference(given):
        given = custom.load_class(given)
    elif isinstance(given, str):
        check_name(given)
    elif not isinstance(given, nn.Module) and not (isinstance(given, type) and issubclass(given, nn.Module)):
        raise UsageError(f"A network is a name, file.py:Class, a torch.nn.Module or a class of them; given: {given!r}.")
    if settings and isinstance(given, nn.Module):
        raise UsageError("A network that is handed over built takes no settings; give them to its constructor.")
    _require_plain(settings or {})
    return Choice(given, settings or {}, name)


def _is_the_same(network: NetworkLike | None, before: NetworkSpecification) -> bool:
    """Whether a network that is named, or none, is that of the model to start from, whose settings it then has."""
    if network is None or isinstance(network, nn.Module):
        return network is None
    if before.name == "custom":
        return network_name(network) == before.source.rpartition(":")[2]
    return network == before.name


def plan_for(choice: Choice, recipe: str | Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe itself, or the named one for the chosen network, with its changes; every name in it is known.

    Raises:
        UsageError: a setting that does not exist, a value that it cannot have, a name that is not known, or a change
            that the network's learning rule has no use for.
    """
    base = recipe if isinstance(recipe, Recipe) else recipes.named_recipe(recipe, choice.own_recipe())
    plan = base.but(**changes)
    optimizers.find_optimizer(plan.optimizer)
    schedules.find_schedule(plan.schedule)
    if plan.loss is not None:
        losses.loss_function(plan.loss, smoothing=plan.label_smoothing)
    if plan.initialisation is not None:
        initialisation.find_initialisation(plan.initialisation)
    for text in plan.augmentation:
        augmentation.parse(text)
    idle = choice.unused_settings() if changes else {}
    require_use(choice, [name for name in changes if name in idle and getattr(plan, name) != idle[name]])
    return plan


def require_use(choice: Choice, settings: Iterable[str]) -> None:
    """Refuses settings that were given and would change nothing.

    Raises:
        UsageError: the network's learning rule has no use for one.
    """
    for name in settings:
        if name in choice.unused_settings():
            raise UsageError(
                f"The setting {name.replace('_', ' ')} means nothing for {choice.name}, which learns by a rule of its "
                f"own, without gradients. Leave it out, or choose a network that learns by gradient descent."
            )


def _require_plain(settings: Mapping[str, Any]) -> None:
    """A model file keeps the settings as JSON, so they must be what JSON can say."""
    try:
        json.dumps(dict(settings), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"The settings of a network have names, and are numbers, texts, truth values and lists of them; given: "
            f"{settings!r}."
        ) from error

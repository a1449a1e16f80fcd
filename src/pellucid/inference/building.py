"""Conversion between a model record and a runnable `nn.Module`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.errors import ModelFileError, NetworkError, UsageError
from pellucid.networks import backbones, custom
from pellucid.networks.catalogue import create, is_file_reference
from pellucid.networks.size_limit import require_plausible_settings, within_size_of
from pellucid.records import Model, NetworkSpecification, Specification
from pellucid.records.names import settings_in_words


def build(model: Model, network: nn.Module | type[nn.Module] | str | None = None) -> nn.Module:
    """The network with the weights of `model`: an `nn.Module` in evaluation mode, on the CPU.

    It maps float32 (N, C, H, W), normalised by `pellucid.data.preprocessing.normalise`, to outputs (N, K).

    Args:
        model: the model.
        network: for a model of the user's own network: an instance of it, its class, or `file.py:Class`.

    Raises:
        ModelFileError: the model needs a network class, or its weights do not fit the network.
        NetworkError: the network does not run on pictures of the model's shape.
    """
    specification = model.specification
    shape, classes = specification.preprocessing.shape, len(specification.classes)
    named = specification.network
    with torch.random.fork_rng(devices=[]):  # the constructor's random weights are replaced
        if network is not None:
            module = _users_network(network, shape, classes, named.settings)
        elif named.name == "custom":
            module = _recalled_network(model)
        else:
            module = _catalogue_network(model)
    load_weights(module, model.weights)
    return module.eval()


def _catalogue_network(model: Model) -> nn.Module:
    """The catalogue network that a model file names.

    It is first built on the meta device, and no larger than the weights in the file, so that a hostile file cannot take
    much time or memory.
    """
    named, shape, classes = model.specification.network, model.specification.preprocessing.shape, len(model.classes)
    if is_file_reference(named.name):
        raise ModelFileError(f"The model file names the network '{named.name}', which is not in the catalogue.")
    require_plausible_settings(named.settings, model.weights, named.name)
    with within_size_of(model.weights, named.name):
        try:
            with torch.device("meta"):
                planned = create(named.name, shape, classes, named.settings)
        except (RuntimeError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise ModelFileError(
                f"The network '{named.name}' cannot be built with the settings in the model file, "
                f"{settings_in_words(named.settings) or 'none'}, for pictures of shape {shape}."
            ) from error
        _require_same(planned, model.weights)
        return create(named.name, shape, classes, named.settings)


def _users_network(
    network: nn.Module | type[nn.Module] | str,
    shape: tuple[int, int, int],
    classes: int,
    settings: Mapping[str, Any],
) -> nn.Module:
    """The user's own network for a model, after a trial run.

    Raises:
        UsageError: it is neither a module, nor a class, nor `file.py:Class`.
    """
    if isinstance(network, str):
        network = custom.load_class(network)
    if isinstance(network, nn.Module):
        module = custom.copy_of(network)
    elif isinstance(network, type) and issubclass(network, nn.Module):
        module = custom.instantiate(network, shape, classes, dict(settings))
    else:
        raise UsageError(f"A network must be a torch.nn.Module, its class, or file.py:Class; given: {network!r}.")
    try_out(module, shape, classes)
    return module


def _recalled_network(model: Model) -> nn.Module:
    """The user's own network, if it was trained in this process.

    Raises:
        ModelFileError: it was not.
    """
    module = custom.recall(model.weights)
    if module is not None:
        return module
    source = model.specification.network.source
    file, _, name = source.rpartition(":")
    from_shell = f"with --network PATH/{file}:{name}, or " if file.endswith(".py") else "with "
    raise ModelFileError(
        f"This model needs the network class '{name}' from {file or 'its author'}, which is not in the model file. "
        f"Give it {from_shell}pellucid.build(model, network={name}())."
    )


def quick_order(module: nn.Module, name: str) -> nn.Module:
    """The module with its kernels in channels-last memory order, the fastest for convolutions on CPUs.

    A user's own network, `custom`, is unchanged, since it may rely on the default order (`view`).
    """
    return module if name == "custom" else module.to(memory_format=torch.channels_last)


def load_weights(module: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    """Copies arrays into a module, whose state dict must have exactly these names and shapes.

    Raises:
        ModelFileError: a name or a shape differs.
    """
    _require_same(module, weights)
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})


def _require_same(module: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    expected = module.state_dict()
    for name in sorted(expected.keys() ^ weights.keys()):
        problem = f"'{name}' is missing from the file" if name in expected else f"the network has no '{name}'"
        raise ModelFileError(f"The weights do not fit this network: {problem}.")
    for name, array in weights.items():
        if tuple(expected[name].shape) != array.shape:
            raise ModelFileError(
                f"The weights do not fit this network: '{name}' is {array.shape} in the file, but "
                f"{tuple(expected[name].shape)} in the network."
            )


def weights_of(module: nn.Module) -> dict[str, np.ndarray]:
    """A copy of all parameters and buffers of a module, as arrays by name.

    Raises:
        NetworkError: a model file cannot hold one of them.
    """
    try:
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}
    except (AttributeError, TypeError, RuntimeError) as error:
        raise NetworkError(
            f"The weights of {type(module).__name__} cannot be saved in a model file ({error}). Use plain arrays, for "
            f"example of float32."
        ) from error


def try_out(module: nn.Module, shape: tuple[int, int, int], classes: int) -> None:
    """Runs two black pictures through a network, to find errors before training.

    Raises:
        NetworkError: it fails on pictures of that shape, or its outputs are not (N, K).
    """
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    mode = module.training
    name = type(module).__name__
    try:
        with torch.no_grad():  # not inference_mode, since lazy layers create their trainable parameters here
            output = module.eval()(torch.zeros(2, *shape, device=device))
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NetworkError(
            f"The network {name} does not run on pictures of shape (C, H, W) = {shape}: {reason.rstrip('.')}. "
            f"It may be too deep for this size; try larger pictures (--size)."
        ) from error
    finally:
        module.train(mode)
    if not isinstance(output, torch.Tensor) or tuple(output.shape) != (2, classes):
        actual = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise NetworkError(
            f"The outputs of the network {name} for two pictures have shape {actual}; expected (2, {classes}), for "
            f"{classes} classes."
        )


def pretrained(name: str = "lite0", *, weights: str | Path | None = None, download: bool = False) -> Model:
    """A backbone as a model, with its pretraining classes (1,000 for ImageNet).

    Args:
        name: `lite0`, which is installed with Pellucid, or `timm:NAME`.
        weights: a file with the weights of `timm:NAME`.
        download: whether to download these weights if they are missing.

    Raises:
        UsageError: its weights are not on this machine, or its class names are unknown.
    """
    backbone = backbones.load(name, weights=weights, download=download)
    if not backbone.classes:
        raise UsageError(
            f"The classes of '{name}' are unknown. Train a model on it first: pellucid train DATA --backbone {name}."
        )
    return Model(
        Specification(
            network=NetworkSpecification(name=name, settings=dict(backbone.settings)),
            classes=backbone.classes,
            preprocessing=backbone.preprocessing,
            temperature=backbone.temperature,
            training={"backbone": backbone.provenance},
        ),
        backbone.weights,
    )

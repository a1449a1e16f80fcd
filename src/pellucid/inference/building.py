"""From a model record to a module that runs, and back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.errors import ModelFileError, NetworkError, UsageError
from pellucid.networks import backbones, custom
from pellucid.networks.catalogue import TIMM, create, is_file_reference
from pellucid.records import Model, NetworkSpecification, Specification


def build(model: Model, network: nn.Module | type[nn.Module] | str | None = None) -> nn.Module:
    """The network with the weights of `model`: an `nn.Module` in evaluation mode, on the CPU.

    It takes float32 (N, C, H, W), preprocessed by `pellucid.data.preprocessing.normalise`, and gives outputs (N, K).

    Args:
        model: the model.
        network: for a model of the user's own network: an instance of it, its class, or `file.py:Class`.

    Raises:
        ModelFileError: the model needs a class that was not given, or its weights do not fit the network.
        NetworkError: the given network does not run on pictures of the model's shape.
    """
    specification = model.specification
    shape, classes = specification.preprocessing.shape, len(specification.classes)
    named = specification.network
    with torch.random.fork_rng(devices=[]):  # the weights that a constructor draws are thrown away
        if network is not None:
            module = _given(network, shape, classes, named.settings)
        elif named.name == "custom":
            module = _remembered(model)
        else:
            module = _of_the_catalogue(model)
    load_weights(module, model.weights)
    return module.eval()


def _of_the_catalogue(model: Model) -> nn.Module:
    """The network that a model file names. It is first built without memory, so a hostile file cannot claim much."""
    named, shape, classes = model.specification.network, model.specification.preprocessing.shape, len(model.classes)
    if is_file_reference(named.name):
        raise ModelFileError(f"The model file names the network '{named.name}', which is no network of the catalogue.")
    try:
        with torch.device("meta"):
            planned: nn.Module | None = create(named.name, shape, classes, named.settings)
    except (NetworkError, RuntimeError, ValueError, TypeError, OverflowError) as error:
        if isinstance(error, NetworkError) and not named.name.startswith(TIMM):
            raise
        if not named.name.startswith(TIMM):
            raise ModelFileError(
                f"The network '{named.name}' cannot be made as the model file says, with {dict(named.settings)} for "
                f"pictures of shape {shape}."
            ) from error
        planned = None  # some of timm's networks compute with numbers while they are made, which takes memory
    if planned is not None:
        _require_same(planned, model.weights)
    return create(named.name, shape, classes, named.settings)


def _given(
    network: nn.Module | type[nn.Module] | str,
    shape: tuple[int, int, int],
    classes: int,
    settings: Mapping[str, Any],
) -> nn.Module:
    """The network that the user gave for a model, after a trial run."""
    if isinstance(network, str):
        network = custom.load_class(network)
    if isinstance(network, nn.Module):
        module = custom.copy_of(network)
    elif isinstance(network, type) and issubclass(network, nn.Module):
        module = custom.instantiate(network, shape, classes, dict(settings))
    else:
        raise UsageError(f"A network is a torch.nn.Module, its class, or file.py:Class; given: {network!r}.")
    try_out(module, shape, classes)
    return module


def _remembered(model: Model) -> nn.Module:
    """The network of the user's own that was trained in this process."""
    module = custom.recall(model.weights)
    if module is not None:
        return module
    source = model.specification.network.source
    file, _, name = source.rpartition(":")
    from_shell = f"with --network PATH/{file}:{name}, or " if file.endswith(".py") else "with "
    raise ModelFileError(
        f"This model needs the network class '{name}' from {file or 'its author'}, which the model file does not hold. "
        f"Give it {from_shell}pellucid.build(model, network={name}())."
    )


def quick_order(module: nn.Module, name: str) -> nn.Module:
    """The module with its kernels in the memory order (channels last) in which processors convolve fastest.

    A user's own network, `custom`, stays as it is: it may rely on the usual order (`view`).
    """
    return module if name == "custom" else module.to(memory_format=torch.channels_last)


def load_weights(module: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    """Copies arrays into a module, which must have exactly these.

    Raises:
        ModelFileError: a name or a shape differs.
    """
    _require_same(module, weights)
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})


def _require_same(module: nn.Module, weights: Mapping[str, np.ndarray]) -> None:
    expected = module.state_dict()
    for name in sorted(expected.keys() ^ weights.keys()):
        where = "lacks" if name in expected else "has, but the network does not know,"
        raise ModelFileError(f"The weights do not fit this network: the file {where} '{name}'.")
    for name, array in weights.items():
        if tuple(expected[name].shape) != array.shape:
            raise ModelFileError(
                f"The weights do not fit this network: '{name}' is {array.shape} in the file, but "
                f"{tuple(expected[name].shape)} in the network."
            )


def weights_of(module: nn.Module) -> dict[str, np.ndarray]:
    """A copy of all parameters and buffers of a module, as arrays by name.

    Raises:
        NetworkError: some are no arrays that a model file can hold.
    """
    try:
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in module.state_dict().items()}
    except (AttributeError, TypeError, RuntimeError) as error:
        raise NetworkError(
            f"The weights of {type(module).__name__} cannot be kept in a model file ({error}); it holds plain arrays, "
            f"for example of float32."
        ) from error


def try_out(module: nn.Module, shape: tuple[int, int, int], classes: int) -> None:
    """Runs two black pictures through a network, so that one that does not fit is refused before training.

    Raises:
        NetworkError: it fails on pictures of that shape, or its outputs are not (N, K).
    """
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    mode = module.training
    name = type(module).__name__
    try:
        with torch.no_grad():  # not inference_mode: lazy layers make their parameters here, to be learned later
            output = module.eval()(torch.zeros(2, *shape, device=device))
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NetworkError(
            f"The network {name} does not run on pictures of shape (C, H, W) = {shape}: {reason.rstrip('.')}. "
            f"It may be too deep for their size; give larger pictures (--size)."
        ) from error
    finally:
        module.train(mode)
    if not isinstance(output, torch.Tensor) or tuple(output.shape) != (2, classes):
        actual = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise NetworkError(
            f"The network {name} gives outputs of shape {actual} for two pictures; with {classes} classes "
            f"(2, {classes}) is expected."
        )


def pretrained(name: str = "lite0", *, weights: str | Path | None = None, download: bool = False) -> Model:
    """The model that a backbone is, with the classes that it learned (for ImageNet's, 1,000).

    Args:
        name: `lite0`, which is installed with Pellucid, or `timm:NAME`.
        weights: a file with the weights of `timm:NAME`.
        download: whether these may be downloaded.

    Raises:
        UsageError: its weights are not on this machine, or the meaning of its outputs is unknown.
    """
    backbone = backbones.load(name, weights=weights, download=download)
    if not backbone.classes:
        raise UsageError(
            f"The meaning of the outputs of '{name}' is unknown. Train with it: pellucid train DATA --backbone {name}."
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

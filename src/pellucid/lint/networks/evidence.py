"""Evidence about a network for the rules: its calls, outputs, gradients and initial state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pellucid.errors import NetworkError
from pellucid.lint.networks.recording import Call, Recording, record
from pellucid.networks import custom
from pellucid.networks.network import declaration

STEPS = ("its calls", "its outputs", "its gradients", "its initial weights")
"""What is examined, in this order; each step takes about as long as a training step."""

_PICTURES = 4


@dataclass(frozen=True)
class Subject:
    """A network and its task.

    Attributes:
        name: name of the network.
        network: the network; it is not changed.
        shape: (C, H, W) of its pictures.
        classes: number of classes; None if unknown.
        trained: whether the network is trained, so that its initial weights are unknown.
        object_size: size of the objects in pixels.
    """

    name: str
    network: nn.Module
    shape: tuple[int, int, int]
    classes: int | None
    trained: bool
    object_size: int


@dataclass(frozen=True)
class Evidence:
    """The input of rules for networks.

    Attributes:
        subject: the network and its task.
        loss: the loss that the network declares; `cross-entropy` by default.
        recording: its calls in evaluation mode.
        outputs: float (N, ...) of a batch in evaluation mode; None if the network returns no tensor.
        idle: parameters without a gradient in training and in evaluation mode → True if the gradient is 0, False if
            it is missing.
        used: the parameters that any call uses.
        mixed: whether the outputs of a picture change with the other pictures of its batch; None if they are random.
        beginning: its measured calls in training mode; None if the network is trained.
    """

    subject: Subject
    loss: str
    recording: Recording
    outputs: torch.Tensor | None
    idle: dict[str, bool]
    used: frozenset[str]
    mixed: bool | None
    beginning: Recording | None

    @property
    def last(self) -> Call | None:
        """The call that gives the network's output."""
        return self.recording.last[0] if self.recording.last else None


def examine(subject: Subject, step: Callable[[int], None] = lambda _: None) -> Evidence:
    """Runs a network on random pictures in evaluation mode and in training mode.

    Args:
        subject: the network and its task.
        step: called with the index in `STEPS` when a step begins.

    Raises:
        NetworkError: the network does not run on pictures of this shape.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pictures = blotches(_PICTURES, subject.shape, seed=0)
        step(0)
        network = custom.copy_of(subject.network).eval()
        try:
            recording = record(network, pictures)
        except Exception as error:
            raise _not_running(subject, error) from error
        outputs = _detached(recording.outputs)
        step(1)
        mixed = _mixed(subject, outputs, pictures)
        step(2)
        states = [_gradients(network, recording.outputs)]
        try:
            learner = custom.copy_of(subject.network).train()
            beginning = record(learner, pictures, measure=True)
        except Exception as error:
            raise _not_running(subject, error, "in training mode") from error
        states.append(_gradients(learner, beginning.outputs))
        idle = {
            name: all(state[name] is not None for state in states)
            for name in states[0]
            if all(state[name] is None or not state[name] for state in states)
        }
        step(3)
        idle = _confirmed(subject, idle, pictures)
        used = frozenset(name for run in (recording, beginning) for call in run.calls for name in call.parameters)
        return Evidence(
            subject=subject,
            loss=declaration(subject.network).loss,
            recording=recording,
            outputs=outputs,
            idle=idle,
            used=used,
            mixed=mixed,
            beginning=None if subject.trained else beginning,
        )


def blotches(count: int, shape: tuple[int, int, int], seed: int) -> torch.Tensor:
    """Random pictures (N, C, H, W) with mean 0 and variance 1, smooth with some noise like photos."""
    source = torch.Generator().manual_seed(seed)
    channels, height, width = shape
    coarse = torch.randn(count, channels, 4, 4, generator=source)
    smooth = nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    rough = smooth + 0.5 * torch.randn(count, *shape, generator=source)
    return (rough - rough.mean()) / rough.std()


def _mixed(subject: Subject, outputs: torch.Tensor | None, pictures: torch.Tensor) -> bool | None:
    """Whether the outputs of the first picture change with the others of its batch; None if they are random."""
    if outputs is None or outputs.dim() == 0 or len(outputs) != len(pictures):
        return None
    others = torch.cat([pictures[:1], blotches(len(pictures) - 1, subject.shape, seed=1)])
    network = custom.copy_of(subject.network).eval()
    with torch.no_grad():
        again, changed = _first(network(pictures.clone())), _first(network(others))
    assert again is not None and changed is not None
    if not torch.allclose(again, outputs, rtol=1e-3, atol=1e-5):
        return None  # the network is random in evaluation mode
    scale = float(outputs.abs().max())
    return not torch.allclose(changed[0], again[0], rtol=1e-3, atol=1e-4 * scale)


def _gradients(network: nn.Module, outputs: Any) -> dict[str, bool | None]:
    """Trainable parameter → whether its gradient has a value other than 0; None if it has no gradient."""
    total = torch.zeros(())
    for tensor in _all(outputs):
        if tensor.is_floating_point() and tensor.requires_grad:
            total = total + (tensor * torch.randn_like(tensor)).sum()
    if total.requires_grad:
        total.backward()
    return {
        name: None if parameter.grad is None else bool(parameter.grad.count_nonzero())
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }


def _confirmed(subject: Subject, idle: dict[str, bool], pictures: torch.Tensor) -> dict[str, bool]:
    """Removes parameters whose gradient is 0 only because other weights start at 0 or units are inactive."""
    if not any(idle.values()):
        return idle
    still_idle = set(idle)
    for draw in range(2):
        network = custom.copy_of(subject.network).eval()
        torch.manual_seed(100 + draw)
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.is_floating_point():
                    fan_in = max(parameter[0].numel() if parameter.dim() > 1 else 4, 1)
                    parameter.copy_(torch.randn_like(parameter) / fan_in**0.5)
        state = _gradients(network, network(pictures.clone()))
        still_idle = {name for name in still_idle if not idle[name] or not state[name]}
    return {name: zeros for name, zeros in idle.items() if name in still_idle}


def _not_running(subject: Subject, error: Exception, when: str = "") -> NetworkError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return NetworkError(
        f"'{subject.name}' does not run{f' {when}' if when else ''} on pictures of {_times(subject.shape)} (channels × "
        f"height × width): {reason.rstrip('.')}. Give the shape of its pictures, for example --shape 3,224,224."
    )


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _first(outputs: Any) -> torch.Tensor | None:
    return next(iter(_all(outputs)), None)


def _detached(outputs: Any) -> torch.Tensor | None:
    first = _first(outputs)
    return None if first is None else first.detach()


def _all(outputs: Any) -> list[torch.Tensor]:
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    if isinstance(outputs, (list, tuple)):
        return [tensor for part in outputs for tensor in _all(part)]
    return []

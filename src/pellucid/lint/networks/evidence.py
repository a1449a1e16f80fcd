"""What is found out about a network before rules read it: its calls, its outputs, who learns, how it begins."""

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

STEPS = ("its calls", "its outputs", "its gradients", "its beginning")
"""What is found out, in this order; each takes about as long as a step of training."""

_PICTURES = 4


@dataclass(frozen=True)
class Subject:
    """A network and what it is for.

    Attributes:
        name: what it is called.
        network: the network; it is not changed.
        shape: (C, H, W) of its pictures.
        classes: how many there are; None where nobody said.
        trained: whether its weights are learned ones, so that nothing can be said of how it begins.
        object_size: how many pixels what is to be recognised measures.
    """

    name: str
    network: nn.Module
    shape: tuple[int, int, int]
    classes: int | None
    trained: bool
    object_size: int


@dataclass(frozen=True)
class Evidence:
    """What rules for networks read.

    Attributes:
        subject: the network and what it is for.
        loss: the loss that it declares; `cross-entropy` where it declares none.
        recording: its calls in evaluation mode.
        outputs: float (N, ...) of a batch in evaluation mode; None where it gives no tensor.
        idle: the parameters that no gradient reaches, neither in training nor in evaluation mode, and whether the
            gradient is nothing but zeros (rather than missing).
        used: the parameters that take part in any call.
        mixed: whether the outputs for a picture change when the others of its batch do; None where they change by
            themselves.
        beginning: its calls in training mode, measured; None where the weights are learned ones.
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
        """The call whose result is the network's output."""
        return self.recording.last[0] if self.recording.last else None


def examine(subject: Subject, step: Callable[[int], None] = lambda _: None) -> Evidence:
    """Runs a network on random pictures, in evaluation and in training mode.

    Args:
        subject: what is looked at.
        step: is told which of `STEPS` begins.

    Raises:
        NetworkError: it does not run on pictures of that shape.
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
            raise _not_running(subject, error, "while it learns") from error
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
    """Random pictures with mean 0 and variance 1 that are, as photos are, smooth and a little rough: (N, C, H, W)."""
    source = torch.Generator().manual_seed(seed)
    channels, height, width = shape
    coarse = torch.randn(count, channels, 4, 4, generator=source)
    smooth = nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    rough = smooth + 0.5 * torch.randn(count, *shape, generator=source)
    return (rough - rough.mean()) / rough.std()


def _mixed(subject: Subject, outputs: torch.Tensor | None, pictures: torch.Tensor) -> bool | None:
    """Whether the first picture's outputs change with the others of its batch."""
    if outputs is None or outputs.dim() == 0 or len(outputs) != len(pictures):
        return None
    others = torch.cat([pictures[:1], blotches(len(pictures) - 1, subject.shape, seed=1)])
    network = custom.copy_of(subject.network).eval()
    with torch.no_grad():
        again, changed = _first(network(pictures.clone())), _first(network(others))
    assert again is not None and changed is not None
    if not torch.allclose(again, outputs, rtol=1e-3, atol=1e-5):
        return None  # something is drawn by lot in each run
    scale = float(outputs.abs().max())
    return not torch.allclose(changed[0], again[0], rtol=1e-3, atol=1e-4 * scale)


def _gradients(network: nn.Module, outputs: Any) -> dict[str, bool | None]:
    """For each parameter that is to learn: whether some of its gradient is not 0; None where it has none."""
    total = torch.zeros(())
    for one in _all(outputs):
        if one.is_floating_point() and one.requires_grad:
            total = total + (one * torch.randn_like(one)).sum()
    if total.requires_grad:
        total.backward()
    return {
        name: None if one.grad is None else bool(one.grad.count_nonzero())
        for name, one in network.named_parameters()
        if one.requires_grad
    }


def _confirmed(subject: Subject, idle: dict[str, bool], pictures: torch.Tensor) -> dict[str, bool]:
    """Without those whose gradient is 0 only because other weights begin at 0, or units happen to be silent."""
    if not any(idle.values()):
        return idle
    still_idle = set(idle)
    for draw in range(2):
        network = custom.copy_of(subject.network).eval()
        torch.manual_seed(100 + draw)
        with torch.no_grad():
            for one in network.parameters():
                if one.is_floating_point():
                    fan_in = max(one[0].numel() if one.dim() > 1 else 4, 1)
                    one.copy_(torch.randn_like(one) / fan_in**0.5)
        state = _gradients(network, network(pictures.clone()))
        still_idle = {name for name in still_idle if not idle[name] or not state[name]}
    return {name: zeros for name, zeros in idle.items() if name in still_idle}


def _not_running(subject: Subject, error: Exception, when: str = "") -> NetworkError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return NetworkError(
        f"'{subject.name}' does not run{f' {when}' if when else ''} on pictures of {_times(subject.shape)} (channels × "
        f"height × width): {reason.rstrip('.')}. Say which pictures it is made for, for example --shape 3,224,224."
    )


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(one) for one in shape)


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
        return [one for part in outputs for one in _all(part)]
    return []

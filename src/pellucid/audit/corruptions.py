"""Corruptions of pictures at five strengths, on batches of tensors.

The strengths are those of Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and
perturbations" (2019), where their benchmark has the corruption: the ones for CIFAR-10 for pictures with sides below 100
pixels, else those for ImageNet. Shifts and rotations are ours. A corruption turns float32 (N, C, H, W) from 0 to 1 into
the same, not yet clipped.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

__all__ = ["KINDS", "USUAL", "corrupt"]

Strength = float
Corruption = Callable[[torch.Tensor, Strength, torch.Generator], torch.Tensor]


def _gaussian_noise(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:
    return x + strength * torch.randn(x.shape, generator=random)


def _shot_noise(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:
    return torch.poisson(x * strength, generator=random) / strength


def _impulse_noise(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:
    chance = torch.rand(x.shape, generator=random)
    x = torch.where(chance < strength / 2, torch.zeros_like(x), x)
    return torch.where(chance > 1 - strength / 2, torch.ones_like(x), x)


def _speckle_noise(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:
    return x + x * strength * torch.randn(x.shape, generator=random)


def _gaussian_blur(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    radius = min(max(1, round(4 * strength)), min(x.shape[-2:]) - 1)
    positions = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-(positions**2) / (2 * strength**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    flat = x.reshape(-1, 1, *x.shape[-2:])
    flat = functional.conv2d(functional.pad(flat, (radius, radius, 0, 0), mode="replicate"), kernel)
    flat = functional.conv2d(functional.pad(flat, (0, 0, radius, radius), mode="replicate"), kernel.transpose(2, 3))
    return flat.reshape(x.shape)


def _brightness(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    # As in HSV: the largest channel rises by the strength, and the others in proportion.
    largest = x.amax(dim=1, keepdim=True)
    raised = (largest + strength).clamp(0, 1)
    return torch.where(largest > 0, x * raised / largest.clamp(min=1e-6), raised)


def _contrast(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    mean = x.mean(dim=(2, 3), keepdim=True)
    return (x - mean) * strength + mean


def _pixelate(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    size = max(1, int(x.shape[-2] * strength)), max(1, int(x.shape[-1] * strength))
    return functional.interpolate(functional.adaptive_avg_pool2d(x, size), size=x.shape[-2:], mode="nearest")


def _jpeg(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    pictures = (x.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    parts = []
    for picture in pictures:
        stream = io.BytesIO()
        Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(
            stream, "JPEG", quality=int(strength)
        )
        with Image.open(stream) as image:
            parts.append(np.asarray(image).reshape(picture.shape))
    return torch.from_numpy(np.stack(parts)).permute(0, 3, 1, 2).float() / 255


def _moved(x: torch.Tensor, angle: torch.Tensor, across: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """Turned by an angle (radians), and moved by fractions of the side, each (N,); the edges are continued."""
    height, width = x.shape[-2:]
    ratio = height / width
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = [torch.stack([cos, -sin * ratio, -2 * across], 1), torch.stack([sin / ratio, cos, -2 * down], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _shift(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:
    direction = 2 * torch.pi * torch.rand(len(x), generator=random)
    nothing = torch.zeros(len(x))
    return _moved(x, nothing, strength * torch.cos(direction), strength * torch.sin(direction))


def _rotation(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:
    sign = torch.randint(0, 2, (len(x),), generator=random) * 2.0 - 1
    nothing = torch.zeros(len(x))
    return _moved(x, sign * strength * torch.pi / 180, nothing, nothing)


_ALIAS = {0.3: 0.4, 0.4: 0.5, 0.5: 0.6, 1.0: 0.2, 1.5: 0.1, 3.0: 0.1}
"""Radius of a defocus blur → standard deviation of the blur of its edge; 0.5 for the others."""


def _defocus_blur(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    radius = max(8, int(strength))
    line = torch.arange(-radius, radius + 1, dtype=torch.float32)
    disk = ((line[:, None] ** 2 + line[None, :] ** 2) <= strength**2).float()
    width = 1 if strength <= 8 else 2
    edge = torch.exp(-(torch.arange(-width, width + 1.0) ** 2) / (2 * _ALIAS.get(strength, 0.5) ** 2))
    edge = torch.outer(edge, edge) / edge.sum() ** 2
    kernel = functional.conv2d((disk / disk.sum())[None, None], edge[None, None], padding=width)
    flat = x.reshape(-1, 1, *x.shape[-2:])
    padded = functional.pad(flat, (radius,) * 4, mode="reflect" if min(x.shape[-2:]) > radius else "replicate")
    return functional.conv2d(padded, kernel).reshape(x.shape)


_ZOOM_STEP = {1.11: 0.01, 1.16: 0.01, 1.21: 0.02, 1.26: 0.02, 1.31: 0.03}
"""Largest zoom of a large picture → step; small pictures are zoomed in steps of 0.01."""


def _zoom_blur(x: torch.Tensor, strength: Strength, random: torch.Generator) -> torch.Tensor:  # noqa: ARG001
    step = 0.01 if min(x.shape[-2:]) < _SMALL else _ZOOM_STEP[strength]
    total, zooms = x.clone(), np.arange(1, strength, step)
    for zoom in zooms.tolist():
        scale = torch.tensor([[1 / zoom, 0, 0], [0, 1 / zoom, 0]], dtype=torch.float32).expand(len(x), 2, 3)
        grid = functional.affine_grid(scale, list(x.shape), align_corners=False)
        total += functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    return total / (len(zooms) + 1)


_SMALL = 100
Strengths = tuple[float, float, float, float, float]
KINDS: dict[str, tuple[Corruption, Strengths, Strengths]] = {
    "gaussian_noise": (_gaussian_noise, (0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)),
    "shot_noise": (_shot_noise, (500, 250, 100, 75, 50), (60, 25, 12, 5, 3)),
    "impulse_noise": (_impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07), (0.03, 0.06, 0.09, 0.17, 0.27)),
    "speckle_noise": (_speckle_noise, (0.06, 0.10, 0.12, 0.16, 0.20), (0.15, 0.2, 0.35, 0.45, 0.6)),
    "gaussian_blur": (_gaussian_blur, (0.4, 0.6, 0.7, 0.8, 1.0), (1, 2, 3, 4, 6)),
    "defocus_blur": (_defocus_blur, (0.3, 0.4, 0.5, 1.0, 1.5), (3, 4, 6, 8, 10)),
    "zoom_blur": (_zoom_blur, (1.06, 1.11, 1.16, 1.21, 1.26), (1.11, 1.16, 1.21, 1.26, 1.31)),
    "brightness": (_brightness, (0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5)),
    "contrast": (_contrast, (0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05)),
    "pixelate": (_pixelate, (0.95, 0.9, 0.85, 0.75, 0.65), (0.6, 0.5, 0.4, 0.3, 0.25)),
    "jpeg": (_jpeg, (80, 65, 58, 50, 40), (25, 18, 15, 10, 7)),
    "shift": (_shift, (0.02, 0.04, 0.06, 0.08, 0.12), (0.02, 0.04, 0.06, 0.08, 0.12)),
    "rotation": (_rotation, (3, 6, 10, 15, 20), (3, 6, 10, 15, 20)),
}
"""Kind → (function, five strengths for small pictures, five for large ones)."""

USUAL = ("gaussian_noise", "gaussian_blur", "contrast", "jpeg", "rotation")
"""The kinds that are tried by default."""


def corrupt(pictures: np.ndarray, kind: str, level: int, seed: int = 0) -> np.ndarray:
    """Corrupted pictures, uint8 (N, C, H, W).

    Args:
        pictures: uint8 (N, C, H, W).
        kind: a key of `KINDS`.
        level: 1 to 5.
        seed: of what is drawn.
    """
    function, small, large = KINDS[kind]
    strength = (small if min(pictures.shape[2:]) < _SMALL else large)[level - 1]
    random = torch.Generator().manual_seed(seed)
    x = torch.from_numpy(np.ascontiguousarray(pictures)).float() / 255
    return (function(x, strength, random).clamp(0, 1) * 255).round().byte().numpy()

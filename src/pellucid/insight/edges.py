"""What a kernel answers to: an edge or a line, found by showing it both at every angle."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.insight.numbers import rounded

LEAST = 0.5
"""From this part of its weights on a kernel is said to answer to an edge or a line."""

_ANGLES = np.arange(0, 180, 7.5)
_NAMES = {0: "horizontal", 90: "vertical", 45: "rising", 135: "falling"}


def answers_to(kernel: np.ndarray) -> dict[str, Any] | None:
    """The edge or the line for which a kernel gives its largest value, of either sign.

    An edge e is −1 on one side of a line through the middle, and +1 on the other; a line is high along it and low at
    both sides, 0 in the sum. The strength, |Σ w·e| / (max |e| · Σ |w|), is how much of the kernel works for it, 0 to 1;
    from that of a line, what the line across gives alike is taken away: a blob is none.

    Args:
        kernel: weights (C, H, W), which are shown the edge in grey, alike in all channels: weights that cancel each
            other there, as those of a kernel for a colour do, work for no edge.

    Returns:
        `shape`: `edge` or `line`; `angle` in degrees, 0 lying, 90 upright, rising to the right below 90; `name` of the
        nearest of four directions, of two that are as near the
        upright or lying one; `strength`; and whether that is `clear`. None for a kernel of less than 3×3.
    """
    weights = kernel.mean(axis=0)
    if min(weights.shape) < 3 or not weights.any():
        return None
    rows, columns = (np.arange(size) - (size - 1) / 2 for size in weights.shape)
    x, y = np.meshgrid(columns, -rows)
    total = float(np.abs(kernel).mean(axis=0).sum())
    found = []
    for angle in _ANGLES:
        edge, line = (_response(weights, one, total) for one in _shown(x, y, angle))
        # A blob answers alike to lines at every angle, and so to none.
        across = _response(weights, _shown(x, y, angle + 90)[1], total)
        alike = min(abs(across), abs(line)) if across * line > 0 else 0.0
        found += [(abs(edge), float(angle), "edge"), (abs(line) - alike, float(angle), "line")]
    strength, angle, shape = max(found)
    nearest = min(_NAMES, key=lambda one: min(abs(angle - one), 180 - abs(angle - one)))
    return {
        "shape": shape,
        "angle": angle,
        "name": _NAMES[nearest],
        "strength": rounded(strength),
        "clear": strength >= LEAST,
    }


def _shown(x: np.ndarray, y: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """An edge and a line at an angle, through the middle of a kernel."""
    turned = np.deg2rad(angle)
    away = x * np.sin(turned) - y * np.cos(turned)
    line = np.clip(1.5 - np.abs(away), -1, 1)
    # The slope decides between angles that part a small kernel in the same way.
    return np.clip(2 * away, -1, 1) + 1e-3 * away, line - line.mean()


def _response(weights: np.ndarray, shown: np.ndarray, total: float) -> float:
    """−1 to 1."""
    return float((weights * shown).sum()) / float(np.abs(shown).max() * total)

"""Robustness: how much worse the model is on noisy, blurred, faint, recompressed or turned pictures.

An alarm means that a weak change (the first of five strengths), which a person hardly minds, costs ten points or more,
shown by the exact sign test on pictures that change between right and wrong, with Holm's correction over the kinds.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.audit.corruptions import KINDS, USUAL, corrupt
from pellucid.audit.subject import Subject
from pellucid.data.progress import watched
from pellucid.inference import runner
from pellucid.inference.streaming import chunks
from pellucid.records import Finding, Remark, Table
from pellucid.statistics.groups import holm, is_above
from pellucid.statistics.intervals import wilson

__all__ = ["check"]

LEVEL = 0.05
_DROP = 0.1
_LEVELS, _ALL_LEVELS = (1, 3, 5), (1, 2, 3, 4, 5)
_VALUES, _LEAST, _MOST, _FULL = 20_000_000, 64, 500, 2000
"""Pixel values in the sample, and bounds on the number of its pictures."""


def check(subject: Subject) -> list[Finding]:
    """Scores a sample at several strengths of each kind."""
    assert subject.model is not None and subject.pictures is not None
    preprocessing = subject.model.specification.preprocessing
    most = min(max(_VALUES // int(np.prod(preprocessing.shape)), _LEAST), _MOST)
    rows = np.random.default_rng(subject.seed).permutation(len(subject))[: _FULL if subject.full else most]
    parts = list(chunks(subject.pictures.pictures, preprocessing, np.sort(rows).tolist()))
    pictures = np.concatenate([part.pictures for part in parts])
    labels = subject.labels[np.concatenate([part.indices for part in parts])]
    kinds, levels = (tuple(KINDS), _ALL_LEVELS) if subject.full else (USUAL, _LEVELS)
    ready = runner.runner(subject.model)
    clean = ready.outputs(pictures).argmax(axis=1) == labels
    right: dict[tuple[str, int], np.ndarray] = {}

    def work() -> Iterator[None]:
        for kind in kinds:
            for level in levels:
                changed = corrupt(pictures, kind, level, subject.seed)
                right[kind, level] = ready.outputs(changed).argmax(axis=1) == labels
                yield None

    for _ in watched(work(), len(kinds) * len(levels), "Corrupting pictures"):
        pass
    return _findings(clean, right, kinds, levels)


def _findings(
    clean: np.ndarray, right: dict[tuple[str, int], np.ndarray], kinds: tuple[str, ...], levels: tuple[int, ...]
) -> list[Finding]:
    n, base = len(clean), float(clean.mean())
    rows = [("clean", 0, base, *wilson(int(clean.sum()), n), n, 1.0)]
    for (kind, level), hits in right.items():
        relative = float(hits.mean()) / base if base else 0.0
        rows.append((kind.replace("_", " "), level, float(hits.mean()), *wilson(int(hits.sum()), n), n, relative))
    columns = ("change", "strength", "accuracy %", "low %", "high %", "n", "of clean %")
    note = "Strengths 1 (weak) to 5, as of Hendrycks and Dietterich (2019) where they have the kind."
    table = Table("robustness_curve", columns, tuple(rows), note)
    p_values = holm([_lost(clean, right[kind, levels[0]]) for kind in kinds])
    drops = {kind: base - float(right[kind, levels[0]].mean()) for kind in kinds}
    fragile = [kind for kind, p in zip(kinds, p_values, strict=True) if p <= LEVEL and drops[kind] >= _DROP]
    last = levels[-1]
    worst = min(kinds, key=lambda kind: right[kind, last].mean())
    strongest = (
        f"At the greatest strength, {worst.replace('_', ' ')} costs most: {100 * right[worst, last].mean():.0f} % "
        f"right, against {100 * base:.0f} % on clean pictures (n = {n:,})."
    )
    if not fragile:
        text = (
            f"Weak changes of {len(kinds)} kinds cost less than {100 * _DROP:.0f} points, as far as shown. {strongest}"
        )
        return [Remark("robustness", "info", text), table]
    kind = max(fragile, key=lambda name: drops[name])
    name = kind.replace("_", " ")
    text = f"A weak {name} costs {100 * drops[kind]:.0f} points. {strongest}"
    advice = "Train with such changes (--augment), or make sure that pictures in use are as clean as these."
    return [Remark("robustness", "warning", text, advice, n), table]


def _lost(clean: np.ndarray, changed: np.ndarray) -> float:
    """The p-value of "as many pictures become right as become wrong": the exact sign test."""
    lost, gained = int((clean & ~changed).sum()), int((~clean & changed).sum())
    return is_above(lost, lost + gained, 0.5) if lost + gained else 1.0

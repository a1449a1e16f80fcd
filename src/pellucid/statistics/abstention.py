"""Abstention: the confidence from which on a classifier errs at most as often as its owner allows.

`choose_threshold` finds it on held-out pictures, with a guarantee that assumes nothing about the classifier: if future
pictures come from where the held-out ones came from, then with probability 95 % (over the held-out pictures) the
accepted answers err at most that often. The setting is selective classification (Geifman and El-Yaniv, "Selective
classification for deep neural networks", NeurIPS 2017); the thresholds are tested in a fixed sequence (Angelopoulos et
al., "Learn then test", 2021), which needs no correction for the number of thresholds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pellucid.records.names import counted

RISK = 0.05
"""Probability that the guarantee fails: delta."""
_SMALLEST = -600.0
"""Logarithm of the smallest probability that is computed without logarithms: below exp(−708) doubles lose digits."""
_STARTS = 4
"""Sequences of thresholds, at most. Each has an equal share of the probability that the guarantee fails."""


@dataclass(frozen=True)
class Threshold:
    """A threshold of the confidence, and what it does to the held-out pictures.

    Attributes:
        below: the model abstains if its confidence is below this; 0 accepts all, None if no threshold can be shown to
            keep the error.
        max_error: the error that was asked for, a fraction.
        n: number of held-out pictures.
        accepted, wrong: number of accepted ones, and of wrong ones among them.
    """

    below: float | None
    max_error: float
    n: int
    accepted: int
    wrong: int

    def sentence(self, one: str, many: str = "") -> str:
        """What was chosen and on how many pictures (named `one` and `many`), or how many would be needed."""
        asked = f"{100 * self.max_error:g} %"
        pictures = counted(self.n, one, many or f"{one}s")
        if self.below is None:
            return (
                f"no threshold can be shown to keep the error at {asked} on {pictures}, so the model never abstains. "
                f"At least {fewest_pictures(self.max_error):,} right answers without a wrong one are needed: give more "
                f"pictures, or allow a larger error"
            )
        percent = 100 * self.accepted / self.n
        share = f"{self.accepted:,} of {pictures} are accepted ({percent:.1f} %), {self.wrong:,} wrongly"
        below = "no answer" if self.below == 0 else f"an answer with a probability below {100 * self.below:.2f} %"
        return (
            f"{below} is 'not sure': {share}. The error of accepted answers stays below {asked}, with "
            f"{100 * (1 - RISK):.0f} % confidence, for pictures like these"
        )


def fewest_pictures(max_error: float, risk: float = RISK) -> int:
    """Number of right answers, without a wrong one, that show an error of at most `max_error`: 299 for 1 %."""
    return math.ceil(math.log(risk) / math.log1p(-max_error))


def choose_threshold(confidence: np.ndarray, right: np.ndarray, max_error: float, risk: float = RISK) -> Threshold:
    """The lowest threshold that can be shown to keep the error of the accepted answers.

    Consider the k surest pictures. Given the confidence of the next one, their errors are independent draws from all
    pictures above that confidence, so the number of errors is binomial. The test of k rejects "the error is above
    `max_error`" if so few errors have a probability of at most `risk`. Sequences of k start at fixed places (see
    `_starts`), grow, and end at the first k that is not rejected; each has its share of `risk`.

    Args:
        confidence: probability of the predicted class, (N,), of pictures that were not used for training.
        right: whether the prediction is right, bool (N,).
        max_error: largest error of accepted answers, a fraction above 0 and below 1.
        risk: probability that the guarantee fails.
    """
    assert 0 < max_error < 1
    confidence, right = np.asarray(confidence, dtype=np.float32), np.asarray(right, dtype=bool)
    n = len(confidence)
    starts = _starts(n, max_error, risk)
    if not starts:
        return Threshold(None, max_error, n, 0, 0)
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence, errors = confidence[order], np.cumsum(~right[order])
    # A threshold lies between two different confidences: equal ones are accepted together, or not at all.
    ends = np.append(np.nonzero(np.diff(sorted_confidence))[0] + 1, n)
    best = 0
    for start in starts:
        for k in ends[ends >= start].tolist():
            if _cumulative(int(errors[k - 1]), k, max_error) > risk / len(starts):
                break
            best = max(best, k)
    if not best:
        return Threshold(None, max_error, n, 0, 0)
    below = 0.0 if best == n else float(np.nextafter(sorted_confidence[best], np.float32(2.0)))
    return Threshold(below, max_error, n, best, int(errors[best - 1]))


def _starts(n: int, max_error: float, risk: float) -> list[int]:
    """The numbers of pictures at which sequences start: the fewest that can show the error, doubled up to n / 2."""
    for count in range(_STARTS, 0, -1):
        fewest = fewest_pictures(max_error, risk / count)
        if fewest << (count - 1) <= (n // 2 if count > 1 else n):
            return [fewest << doublings for doublings in range(count)]
    return []


def _cumulative(errors: int, n: int, probability: float) -> float:
    """P(X ≤ errors) for a binomial X with n trials. Our own, because importing scipy takes a second."""
    none = n * math.log1p(-probability)
    if none < _SMALLEST:
        logs = [
            math.lgamma(n + 1)
            - math.lgamma(k + 1)
            - math.lgamma(n - k + 1)
            + k * math.log(probability)
            + (n - k) * math.log1p(-probability)
            for k in range(errors + 1)
        ]
        return math.fsum(math.exp(log) for log in logs)
    total = term = math.exp(none)
    for k in range(1, errors + 1):
        term *= (n - k + 1) / k * probability / (1 - probability)
        total += term
    return min(total, 1.0)

"""Dropout: numbers that are switched off at random while a network learns."""

from __future__ import annotations

import numpy as np

from pellucid.errors import UsageError


def dropout(x: np.ndarray, rate: float, generator: np.random.Generator) -> np.ndarray:
    """Inverted dropout, for training: switches each number off with probability p, and enlarges the others.

    Formula:
        y = x · d / (1 − p),   d = 0 with probability p, otherwise 1, drawn for each number

        The mean of y over all draws is x · (1 − p) / (1 − p) = x: what comes next sees sums as large as it will see
        without dropout. So at test time nothing is dropped, and *nothing is scaled*.

        In its first form (`plain_dropout`) y = x · d, whose mean is (1 − p) x; there the weights have to be multiplied
        by 1 − p once training is done. To do that after inverted dropout would scale twice.

    Args:
        x: numbers of any shape.
        rate: p, from 0 (none) to below 1.
        generator: where the draws come from.

    Raises:
        UsageError: the rate is not in [0, 1).

    Source: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15, 2014.
    """
    return plain_dropout(x, rate, generator) / (1 - rate)


def plain_dropout(x: np.ndarray, rate: float, generator: np.random.Generator) -> np.ndarray:
    """Dropout without the enlarging, as it was first described.

    Formula:
        y = x · d,   d = 0 with probability p, otherwise 1
    """
    if not 0 <= rate < 1:
        raise UsageError(f"A dropout rate lies between 0 and 1, and below 1; given: {rate}. Try 0.5.")
    return x * (generator.random(x.shape) >= rate)

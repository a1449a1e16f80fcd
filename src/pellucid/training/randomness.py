"""Randomness as a function of names and numbers, never of history.

The order of an epoch comes from (seed, "order", epoch), dropout from (seed, "dropout", step), and so on. No draw
depends on earlier draws, so a run that is resumed, or shared among processes, draws the same numbers.
"""

from __future__ import annotations

import hashlib

import numpy as np


def named_seed(seed: int, *names: int | str) -> int:
    """A number from 0 to 2⁶³ − 1 that depends only on the seed and the names, on every platform."""
    text = "/".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *names: int | str) -> np.random.Generator:
    """A NumPy generator for the seed and the names. PCG64 gives the same stream on every platform."""
    return np.random.default_rng(named_seed(seed, *names))


def epoch_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order of the n pictures in an epoch: a permutation, int64 (n,)."""
    return generator(seed, "order", epoch).permutation(n)

"""Randomness as a function of named numbers, never of history.

An epoch's order comes from (seed, "order", epoch), dropout from (seed, "dropout", step), and so on: what is drawn does
not depend on what was drawn before, so a run that is resumed, or shared among processes, draws the same.
"""

from __future__ import annotations

import hashlib

import numpy as np


def named_seed(seed: int, *names: int | str) -> int:
    """A number from 0 to 2⁶³ − 1 that depends on all the names, and on nothing else, on every platform."""
    text = "/".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *names: int | str) -> np.random.Generator:
    """A NumPy generator for what is named. PCG64's stream is the same on every platform."""
    return np.random.default_rng(named_seed(seed, *names))


def epoch_order(seed: int, epoch: int, n: int) -> np.ndarray:
    """The order in which an epoch sees its n pictures: a permutation, int64 (n,)."""
    return generator(seed, "order", epoch).permutation(n)

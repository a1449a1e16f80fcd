"""Splitting: stratified, by seed, and the same on every platform and with every version of NumPy.

A class of n pictures gives floor or ceiling of n × fraction, so that the total is ceil(N × fraction) if possible. A
class of two or more has at least one picture on each side; a class of one stays in the rest.

Each picture has a random key, and the smallest keys of each class are split off. The key of a file is a hash of its
content, so a file stays on its side when it is moved or renamed. It also stays there when others are added or removed
(`data/sides.py`): only new files are assigned. For pictures in memory, the key depends on their index.

Exact copies and near-duplicates (`data/checking/near_duplicates.py`), and the pictures of a declared group, always stay
on the same side.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pellucid.data import sides
from pellucid.data.catalogue import is_published
from pellucid.data.location import cache_root
from pellucid.errors import DataError, UsageError
from pellucid.records import Dataset, PictureFiles, Split
from pellucid.records.names import counted, listed

__all__ = ["GROUPS", "carve", "carve_test", "check_fraction", "lacking", "with_validation"]

GROUPS = "groups"
"""The column whose pictures stay together: those of one patient, one film, one object."""


def check_fraction(fraction: float, name: str = "fraction") -> None:
    """Check a fraction.

    Raises:
        UsageError: it is not between 0 and 1, both excluded.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"{name} is {fraction}; it must be between 0 and 1, for example 0.2 for a fifth.")


def carve(split: Split, fraction: float, seed: int, *, name: str, copies: bool = True) -> tuple[Split, Split]:
    """Split off a part, class by class.

    Copies of a picture stay together, and so do the pictures of a group if the split has a column `groups`. The counts
    are then as near to the stratified counts as this allows. Files stay on the side of an earlier split of the same
    name, seed and fraction, with two exceptions: if all remaining files of a class are on one side, they are assigned
    again; if a new picture shows that files on both sides belong together, they go to the rest.

    Args:
        split: the split to divide; its labels must be known.
        fraction: fraction of the pictures to split off, between 0 and 1.
        seed: seed of the split; the same seed, name and labels give the same pictures (for files: the same ids).
        name: name of the new split, for example `validation`.
        copies: whether to search for copies; if not, only declared groups stay together.

    Returns:
        (rest, new split), both in the order of `split`.

    Raises:
        DataError: there are too few pictures for two parts.
    """
    carved, _, _ = _carved(split, fraction, seed, name=name, copies=copies)
    return split.take(np.flatnonzero(~carved)), split.take(np.flatnonzero(carved), name=name)


def carve_test(split: Split, fraction: float, seed: int) -> tuple[Split, Split, str]:
    """Split off a test split with `carve`: (train, test, note for the user)."""
    carved, stay, warning = _carved(split, fraction, seed, name="test", copies=True)
    train, test = split.take(np.flatnonzero(~carved)), split.take(np.flatnonzero(carved), name="test")
    share = f"{counted(len(test), 'picture')} ({100 * fraction:g} % of each class)"
    note = f"the data have no test split: {share} were split off with seed {seed}"
    if stay.kept:
        note += f"; {stay.kept:,} of all {len(split):,} stay in the split that they were in before"
    if stay.entered:
        note += f"; test pictures that were training pictures before: {stay.entered:,}"
    if not stay.recorded:
        note += f"; {cache_root()} cannot be written to, so pictures may change splits when others are added or removed"
    return train, test, f"{note}; {warning}" if warning else note


def _carved(split: Split, fraction: float, seed: int, *, name: str, copies: bool) -> tuple[np.ndarray, sides.Stay, str]:
    """(which pictures are split off, bool (N,); comparison with an earlier split; a warning or "").

    Near-duplicates stay together if this leaves pictures for both parts; if not, exact copies do; if not, only the
    pictures of a declared group.
    """
    check_fraction(fraction)
    labels = split.known_labels()
    contents, settings = _contents(split), f"{name} {float(fraction)!r} {seed}"
    keys = _keys(split, contents, seed, name)
    for judged in _COPIES if copies else ("none",):
        groups = _together(split, copies=judged)
        known_as = _known_as(split, contents, groups)
        with sides.alone(contents):
            before, stay = sides.recalled(contents, settings, known_as)
            sides_before = before if groups is None else _united(before, groups)
            if stay is None:
                sides_before = _released(sides_before, labels)
            if groups is not None:
                mask = _choose_groups(labels, groups, len(split.classes), fraction, keys, sides_before)
            else:
                mask = _choose(labels, len(split.classes), fraction, keys, sides_before)
            if mask.any() and not mask.all():
                stay = stay or sides.remember(contents, settings, known_as, mask, before)
                return mask, stay, _COPIES[judged] if copies else ""
    raise DataError(
        f"The {split.name} split has {counted(len(split), 'picture')}, too few to split off a {name} split: a "
        f"class needs at "
        f"least two{' of different groups' if GROUPS in split.columns else ''}."
    )


_COPIES = {
    "near": "",
    "exact": "nearly all pictures are alike, so near-duplicates are in both splits, and the accuracy may be too high",
    "none": "nearly all pictures are the same, so copies are in both splits, and the accuracy is too high",
}
"""The copies that stay together, strictest first, and the warning for each weaker choice."""


def with_validation(dataset: Dataset, fraction: float, seed: int) -> Dataset:
    """Add a validation split, split off from the training split; a dataset that has one is returned unchanged.

    Published sets are not searched for copies: this would take longer than many trainings.
    """
    if "validation" in dataset.splits:
        return dataset
    train, copies = dataset.train, not is_published(dataset)
    mask, _, warning = _carved(train, fraction, seed, name="validation", copies=copies)
    order = {
        "train": train.take(np.flatnonzero(~mask)),
        "validation": train.take(np.flatnonzero(mask), name="validation"),
    }
    notes = (*dataset.notes, *([f"train and validation: {warning}"] if warning else []))
    return replace(dataset, notes=notes, splits=order | {k: v for k, v in dataset.splits.items() if k not in order})


def lacking(splits: Mapping[str, Split]) -> list[str]:
    """A note for each split in which a class has no pictures."""
    notes = []
    for name, split in splits.items():
        absent = [label for label, n in split.counts().items() if n == 0]
        if absent:
            notes.append(f"{name} lacks the class{'es' if len(absent) > 1 else ''} {listed(absent, 10)}")
    return notes


def _together(split: Split, *, copies: str) -> np.ndarray | None:
    """A number for each picture, equal for pictures that stay together, int64 (N,); None if no pictures do.

    Args:
        split: the pictures.
        copies: the copies that stay together: `near`, `exact` or `none`.
    """
    from pellucid.data.checking.near_duplicates import components, copy_groups

    everyone = np.arange(len(split))
    kin = everyone if copies == "none" else copy_groups(split, exact=copies == "exact")
    if GROUPS in split.columns:
        _, first, group = np.unique(split.columns[GROUPS], return_index=True, return_inverse=True)
        kin = components(len(split), np.concatenate([everyone, everyone]), np.concatenate([kin, first[group]]))
    return None if np.array_equal(kin, everyone) else kin


def _contents(split: Split) -> np.ndarray:
    """SHA-256 of the content of each file, S32 (N,); empty for unreadable files and for pictures in memory."""
    if isinstance(split.pictures, PictureFiles):
        from pellucid.data.hashing import content_hashes

        return content_hashes(split.pictures)
    return np.zeros(len(split), dtype="S32")


def _known_as(split: Split, contents: np.ndarray, groups: np.ndarray | None) -> str:
    """A hash of all pictures with their classes and groups, independent of their order; "" for pictures in memory."""
    if not contents.any():
        return ""
    keys_of_pictures, together = contents.tolist(), (np.arange(len(split)) if groups is None else groups).tolist()
    least = dict(sorted(zip(together, keys_of_pictures, strict=True), reverse=True))
    names = [split.classes[label].encode("utf-8", "surrogatepass") for label in split.known_labels()]
    rows = sorted(
        repr((key, name, least[group])) for key, name, group in zip(keys_of_pictures, names, together, strict=True)
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def _keys(split: Split, contents: np.ndarray, seed: int, name: str) -> np.ndarray:
    """A random key for each picture, the same on every platform and for ever: uint64 (N,).

    For files, a hash of the content, or of the id if the content is unreadable. For arrays, the raw output of the bit
    generator, which NumPy guarantees not to change.
    """
    if seed < 0:
        raise UsageError(f"The seed is {seed}; it must be 0 or more.")
    if isinstance(split.pictures, PictureFiles):
        hashes = (
            hashlib.sha256(
                f"{seed}/{name}/".encode() + (content or str(identity).encode("utf-8", "backslashreplace"))
            ).digest()[:8]
            for identity, content in zip(split.ids, contents.tolist(), strict=True)
        )
        return np.array([int.from_bytes(key, "little") for key in hashes], dtype=np.uint64)
    return np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())])).random_raw(len(split))


def _united(before: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The earlier sides, made equal within each group: the rest if one picture was there, else split off if one was."""
    carved, rest = (np.bincount(groups, before == side)[groups] > 0 for side in (sides.CARVED, sides.REST))
    return np.where(rest, sides.REST, np.where(carved, sides.CARVED, before))


def _released(before: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The earlier sides, set to unknown for classes whose remaining pictures were all on one side."""
    n = np.bincount(labels)
    one_sided = [np.bincount(labels, before == side) == n for side in (sides.CARVED, sides.REST)]
    return np.where(np.any(one_sided, axis=0)[labels], sides.UNKNOWN, before)


def _counts(sizes: np.ndarray, fraction: float) -> np.ndarray:
    """Number of pictures to split off from each class, by largest remainder: int64 (K,)."""
    quotas = sizes * fraction
    # Round away floating-point errors: 0.1 × 30 is 3.0000000000000004.
    whole = np.isclose(quotas, np.round(quotas), rtol=0, atol=1e-9)
    quotas = np.where(whole, np.round(quotas), quotas)
    most = np.maximum(sizes - 1, 0)
    least = np.minimum(1, most)
    low = np.clip(np.floor(quotas), least, most).astype(np.int64)
    high = np.clip(np.ceil(quotas), least, most).astype(np.int64)
    missing = math.ceil(sizes.sum() * fraction - 1e-9) - int(low.sum())
    by_remainder = np.argsort(-(quotas - np.floor(quotas)), kind="stable")
    for label in [label for label in by_remainder if high[label] > low[label]][: max(missing, 0)]:
        low[label] += 1
    return low


def _choose(
    labels: np.ndarray, classes: int, fraction: float, keys: np.ndarray, sides_before: np.ndarray
) -> np.ndarray:
    """Which pictures are split off: bool (N,). Those split off before, then unknown ones up to the number per class."""
    carved = sides_before == sides.CARVED
    quota = _counts(np.bincount(labels, minlength=classes), fraction)
    quota -= np.bincount(labels[carved], minlength=classes)
    for label in np.flatnonzero(quota > 0):
        members = np.flatnonzero((labels == label) & (sides_before == sides.UNKNOWN))
        carved[members[np.argsort(keys[members], kind="stable")[: quota[label]]]] = True
    return carved


def _choose_groups(
    labels: np.ndarray, groups: np.ndarray, classes: int, fraction: float, keys: np.ndarray, sides_before: np.ndarray
) -> np.ndarray:
    """Which pictures are split off if groups stay together: bool (N,).

    A group with a known side keeps it. Two passes go through the other groups in random order, and take a group if this
    brings the class counts nearer to the stratified ones; the second pass measures the distance by squares.
    """
    names, members = np.unique(groups, return_inverse=True)
    owned: list[Counter[int]] = [Counter() for _ in names]
    for group, label in zip(members.tolist(), labels.tolist(), strict=True):
        owned[group][label] += 1
    first_key = np.full(len(names), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(first_key, members, keys)
    taken = np.bincount(members, sides_before == sides.CARVED) > 0
    settled = np.bincount(members, sides_before != sides.UNKNOWN) > 0
    # How many of each class are still missing. Only the classes of a group are checked, because there may be many.
    quota = _counts(np.bincount(labels, minlength=classes), fraction)
    quota = (quota - np.bincount(labels[taken[members]], minlength=classes)).tolist()
    order = np.argsort(first_key, kind="stable").tolist()
    # Squares help a class that lacks many pictures, even if another class then has one too many.
    for power, group in [(power, group) for power in (1, 2) for group in order if not settled[group]]:
        gain = sum(abs(quota[label]) ** power - abs(quota[label] - n) ** power for label, n in owned[group].items())
        if gain > 0 and not taken[group]:
            taken[group] = True
            for label, n in owned[group].items():
                quota[label] -= n
    return taken[members]

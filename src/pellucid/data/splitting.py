"""Carving one split off another: stratified, by seed, the same on every platform and version of NumPy.

A class of n pictures gives floor or ceiling of n × fraction of them, so that the whole is ceil(N × fraction) where that
is possible; a class of two or more keeps at least one picture on each side; a class of one stays in the rest.

Each picture has a random key, and the smallest keys of a class are carved. The key of a file is a hash of its content,
so a file keeps its side when it is moved or renamed; and it is held there when others are added or removed
(`data/sides.py`): only what is new is shared out. Pictures in memory go by their places.

Copies stay together: exact and near-duplicates (`data/checking/near_duplicates.py`), and the pictures of
one declared group stay on one side.
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
from pellucid.records.names import listed

__all__ = ["GROUPS", "carve", "carve_test", "check_fraction", "lacking", "with_validation"]

GROUPS = "groups"
"""The column whose pictures stay together: those of one patient, one film, one object."""


def check_fraction(fraction: float, name: str = "fraction") -> None:
    """Refuses what is not a part of a whole.

    Raises:
        UsageError: it is not between 0 and 1, both excluded.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"{name} is {fraction}; it must lie between 0 and 1, for example 0.2 for a fifth.")


def carve(split: Split, fraction: float, seed: int, *, name: str, copies: bool = True) -> tuple[Split, Split]:
    """Carves a part off a split, class by class.

    Copies of one picture stay together, and so do the pictures of one group where the split has a column `groups`; the
    counts are then as near to the stratified ones as that allows. Files stay where an earlier carving of the same name,
    seed and fraction had them, unless all that is left of their class is on one side, or a new picture shows that two
    of them belong together: these then go to the rest.

    Args:
        split: what to carve from; its labels must be known.
        fraction: which part is carved off, between 0 and 1.
        seed: which pictures; the same seed, name and labels give the same pictures (of files: the same ids).
        name: what the carved part is called, for example `validation`.
        copies: whether copies are looked for; without, only declared groups stay together.

    Returns:
        (rest, carved), both in the order of `split`.

    Raises:
        DataError: there are too few pictures for two parts.
    """
    carved, _, _ = _carved(split, fraction, seed, name=name, copies=copies)
    return split.take(np.flatnonzero(~carved)), split.take(np.flatnonzero(carved), name=name)


def carve_test(split: Split, fraction: float, seed: int) -> tuple[Split, Split, str]:
    """Carves a test split off all there is, as above: (train, test, what a person should know of it)."""
    carved, stay, warning = _carved(split, fraction, seed, name="test", copies=True)
    train, test = split.take(np.flatnonzero(~carved)), split.take(np.flatnonzero(carved), name="test")
    share = f"{len(test):,} pictures ({100 * fraction:g} % of each class)"
    note = f"no test split was given: {share} were set apart by seed {seed}"
    if stay.kept:
        note += f"; {stay.kept:,} of all {len(split):,} are on the side that they had before"
    if stay.entered:
        note += f"; of those set apart, {stay.entered:,} had been for training"
    if not stay.recorded:
        note += f"; {cache_root()} cannot be written to, so some may change sides when others are added or removed"
    return train, test, f"{note}; {warning}" if warning else note


def _carved(split: Split, fraction: float, seed: int, *, name: str, copies: bool) -> tuple[np.ndarray, sides.Stay, str]:
    """Which pictures are carved, bool (N,); how that compares to an earlier carving; and a warning, or nothing.

    Near-duplicates stay together if that leaves enough pictures for both parts, else exact copies, else only the
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
        f"The {split.name} split has {len(split):,} pictures, too few to carve a {name} split from it: some class "
        f"needs at least two{' of different groups' if GROUPS in split.columns else ''}."
    )


_COPIES = {
    "near": "",
    "exact": "nearly all pictures are alike, so near-duplicates are on both sides, and the accuracy may be too good",
    "none": "nearly all pictures are the same, so copies are on both sides, and the accuracy is too good",
}
"""Which copies stay together, the strictest judgement first, and the warning if a weaker one was needed."""


def with_validation(dataset: Dataset, fraction: float, seed: int) -> Dataset:
    """The dataset with a validation split, carved from its training split; unchanged where it has one already.

    In a published set no copies are looked for: that would take longer than many a training of it.
    """
    if "validation" in dataset.splits:
        return dataset
    train, copies = dataset.train, not is_published(dataset)
    mask, _, warning = _carved(train, fraction, seed, name="validation", copies=copies)
    order = {
        "train": train.take(np.flatnonzero(~mask)),
        "validation": train.take(np.flatnonzero(mask), name="validation"),
    }
    notes = (*dataset.notes, *([f"of train and validation, {warning}"] if warning else []))
    return replace(dataset, notes=notes, splits=order | {k: v for k, v in dataset.splits.items() if k not in order})


def lacking(splits: Mapping[str, Split]) -> list[str]:
    """A sentence for each split in which classes have no picture."""
    notes = []
    for name, split in splits.items():
        absent = [label for label, n in split.counts().items() if n == 0]
        if absent:
            notes.append(f"{name} lacks the class{'es' if len(absent) > 1 else ''} {listed(absent, 10)}")
    return notes


def _together(split: Split, *, copies: str) -> np.ndarray | None:
    """A number for each picture, the same for pictures that stay together, int64 (N,); None if all are alone.

    Args:
        split: the pictures.
        copies: the copies that stay together: `near`, `exact` or `none`.
    """
    from pellucid.data.checking.near_duplicates import components, families

    everyone = np.arange(len(split))
    kin = everyone if copies == "none" else families(split, exact=copies == "exact")
    if GROUPS in split.columns:
        _, first, group = np.unique(split.columns[GROUPS], return_index=True, return_inverse=True)
        kin = components(len(split), np.concatenate([everyone, everyone]), np.concatenate([kin, first[group]]))
    return None if np.array_equal(kin, everyone) else kin


def _contents(split: Split) -> np.ndarray:
    """SHA-256 of the content of each file, S32 (N,); empty where there is nothing to read, and for all in memory."""
    if isinstance(split.pictures, PictureFiles):
        from pellucid.data.hashing import content_hashes

        return content_hashes(split.pictures)
    return np.zeros(len(split), dtype="S32")


def _known_as(split: Split, contents: np.ndarray, groups: np.ndarray | None) -> str:
    """A hash of all pictures with their classes and groups, in whatever order; empty for pictures in memory."""
    if not contents.any():
        return ""
    keys_of_pictures, together = contents.tolist(), (np.arange(len(split)) if groups is None else groups).tolist()
    least = dict(sorted(zip(together, keys_of_pictures, strict=True), reverse=True))
    names = [split.classes[label].encode("utf-8", "surrogatepass") for label in split.known_labels()]
    rows = sorted(
        repr((one, name, least[group])) for one, name, group in zip(keys_of_pictures, names, together, strict=True)
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def _keys(split: Split, contents: np.ndarray, seed: int, name: str) -> np.ndarray:
    """One random key a picture, the same on every platform for ever: uint64 (N,).

    For files a hash of the content, or of the id where there is nothing to read. For arrays the raw output of the bit
    generator, which NumPy promises not to change.
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
        return np.array([int.from_bytes(one, "little") for one in hashes], dtype=np.uint64)
    return np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())])).random_raw(len(split))


def _united(before: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The sides of before, one for each group: the rest where one of it was there, else carved where one was."""
    carved, rest = (np.bincount(groups, before == side)[groups] > 0 for side in (sides.CARVED, sides.REST))
    return np.where(rest, sides.REST, np.where(carved, sides.CARVED, before))


def _released(before: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The sides of before, without the classes of which all that is left was on one side."""
    n = np.bincount(labels)
    one_sided = [np.bincount(labels, before == side) == n for side in (sides.CARVED, sides.REST)]
    return np.where(np.any(one_sided, axis=0)[labels], sides.UNKNOWN, before)


def _counts(sizes: np.ndarray, fraction: float) -> np.ndarray:
    """How many of each class are carved, by largest remainder: int64 (K,)."""
    quotas = sizes * fraction
    # n × fraction is a hair off where it should be whole: 0.1 × 30 is 3.0000000000000004.
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
    """Which pictures are carved: bool (N,). Those held are; what a class then lacks is filled up with unknown ones."""
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
    """Which pictures are carved when groups stay together: bool (N,).

    A group of which one is held is held. The others are met in random order, twice; one is taken when that brings the
    counts of the classes nearer to the stratified ones, the second time by squares.
    """
    names, members = np.unique(groups, return_inverse=True)
    owned: list[Counter[int]] = [Counter() for _ in names]
    for group, label in zip(members.tolist(), labels.tolist(), strict=True):
        owned[group][label] += 1
    first_key = np.full(len(names), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(first_key, members, keys)
    taken = np.bincount(members, sides_before == sides.CARVED) > 0
    settled = np.bincount(members, sides_before != sides.UNKNOWN) > 0
    # How many of each class are still wanted. Only the classes that a group has are looked at: there may be many.
    quota = _counts(np.bincount(labels, minlength=classes), fraction)
    quota = (quota - np.bincount(labels[taken[members]], minlength=classes)).tolist()
    order = np.argsort(first_key, kind="stable").tolist()
    # By squares a class that lacks many is helped, though another one then has one too many.
    for power, group in [(power, group) for power in (1, 2) for group in order if not settled[group]]:
        gain = sum(abs(quota[label]) ** power - abs(quota[label] - n) ** power for label, n in owned[group].items())
        if gain > 0 and not taken[group]:
            taken[group] = True
            for label, n in owned[group].items():
                quota[label] -= n
    return taken[members]

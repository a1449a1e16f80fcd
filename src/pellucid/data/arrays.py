"""Datasets from arrays: converts pictures of common shapes and value ranges to uint8 (N, C, H, W)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.data.labels import clean_name, ordered_classes
from pellucid.data.splitting import GROUPS, carve_test, check_fraction, lacking
from pellucid.errors import DataError, UsageError
from pellucid.records import Dataset, Split

__all__ = ["as_labels", "as_pictures", "from_arrays"]


def from_arrays(
    images: Any,
    labels: Any,
    classes: Sequence[str] | None = None,
    *,
    name: str = "arrays",
    validation: tuple[Any, Any] | None = None,
    test: tuple[Any, Any] | float | None = None,
    columns: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Dataset:
    """Make a dataset from arrays.

    Args:
        images: N pictures, as an array or tensor that `as_pictures` accepts.
        labels: N class numbers from 0, or N class names; none may be missing.
        classes: class names, in the order of the numbers. By default the names in `labels`, sorted; or `0`, `1`, ...
        name: name of the dataset.
        validation: (images, labels) of a validation split.
        test: (images, labels) of a test split; or the fraction of the pictures to split off as one, for example 0.2.
        columns: further values of each picture. `ids` names the pictures (`train/0` and so on by default). Pictures
            with the same value in `groups` (one patient, one film) stay in one split.
        seed: seed of the split.

    Raises:
        DataError: shapes, values or counts do not fit.
        UsageError: the fraction is not between 0 and 1, or a column is unknown.
    """
    fraction = test if isinstance(test, (int, float)) else None
    pairs: dict[str, Any] = {"train": (images, labels), "validation": validation}
    pairs["test"] = None if fraction is not None else test
    arrays = {key: pair for key, pair in pairs.items() if pair is not None}
    for key, pair in arrays.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise DataError(f"{key} must be (images, labels), for example `{key}=(pictures, labels)`.")
    if fraction is not None:
        check_fraction(fraction, "test")
    notes: list[str] = []
    names = _class_names([values for _, values in arrays.values()], classes)
    splits: dict[str, Split] = {}
    for key, (pictures, values) in arrays.items():
        array, array_notes = as_pictures(pictures)
        notes += [f"{key}: {note}" for note in array_notes]
        if not len(array):
            raise DataError(f"The {key} split has no pictures.")
        splits[key] = Split(key, array, as_labels(values, names), names, dataset=name)
    if len({split.shape for split in splits.values()}) > 1:
        shapes = ", ".join(f"{key} {split.shape}" for key, split in splits.items())
        notes.append(f"pictures differ in shape between splits: {shapes}")
    splits["train"] = _with_columns(splits["train"], columns or {})
    if fraction is not None:
        splits["train"], splits["test"], note = carve_test(splits["train"], fraction, seed)
        notes.append(note)
    if classes is None and min(int(split.known_labels().min()) for split in splits.values()) > 0:
        notes.append("no label is 0, although class numbers start at 0: do these labels start at 1?")
    notes += lacking(splits)
    return Dataset(name, splits, "Pictures given as arrays.", tuple(notes))


def _with_columns(split: Split, columns: Mapping[str, Any]) -> Split:
    """Add ids and groups to a split.

    Raises:
        UsageError: a column is unknown.
        DataError: two pictures have the same id.
    """
    unknown = sorted(set(columns) - {"ids", GROUPS})
    if unknown:
        raise UsageError(f"Unknown column '{unknown[0]}': the columns of arrays are 'ids' and '{GROUPS}'.")
    ids = None if "ids" not in columns else np.asarray(columns["ids"]).astype(str)
    if ids is not None and len(np.unique(ids)) < len(ids):
        raise DataError("Several pictures have the same id; each picture needs its own id.")
    groups = {GROUPS: np.asarray(columns[GROUPS])} if columns.get(GROUPS) is not None else {}
    return replace(split, explicit_ids=ids, columns=groups)


def as_pictures(images: Any) -> tuple[np.ndarray, list[str]]:
    """Convert N pictures to uint8 (N, C, H, W).

    Args:
        images: an array or tensor of shape (N, H, W), (N, C, H, W) or (N, H, W, C) with C = 1 or 3. Its values are
            integers from 0 to 255, fractions from 0 to 1, or booleans.

    Returns:
        The pictures, and notes on how the shape was read and the values were changed.

    Raises:
        DataError: the shape or the values are none of these.
    """
    array = _as_array(images, "pictures")
    notes: list[str] = []
    if array.ndim == 3:
        array = array[:, np.newaxis]
    elif array.ndim == 4 and array.shape[1] in (1, 3):
        if array.shape[3] in (1, 3):
            notes.append(f"shape {array.shape} was read as (N, C, H, W), channels first")
    elif array.ndim == 4 and array.shape[3] in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    else:
        raise DataError(
            f"Pictures must have shape (N, H, W), (N, C, H, W) or (N, H, W, C) with C = 1 (grey) or 3 (RGB); this "
            f"array has shape {array.shape}."
        )
    if array.size == 0 and len(array):
        raise DataError(f"These pictures have no pixels: their shape is {array.shape}.")
    return np.ascontiguousarray(_as_bytes(array, notes)), notes


def _as_bytes(array: np.ndarray, notes: list[str]) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "iuf":
        raise DataError(f"Pictures must be numbers from 0 to 255; this array is {array.dtype}.")
    if array.size == 0:
        return array.astype(np.uint8)
    low, high = array.min(), array.max()
    if array.dtype.kind in "iu" and low >= 0 and high <= 255:
        return array.astype(np.uint8)
    if array.dtype.kind == "f" and low >= 0 and high <= 1:
        notes.append("values from 0 to 1 were multiplied by 255 and rounded")
        return np.rint(array * 255).astype(np.uint8)
    expected = "whole numbers from 0 to 255" if array.dtype.kind in "iu" else "fractions from 0 to 1"
    advice = (
        " Divide them by 255, or convert them to uint8." if array.dtype.kind == "f" and 0 <= low < high <= 255 else ""
    )
    raise DataError(f"Pictures of type {array.dtype} must be {expected}; these range from {low} to {high}.{advice}")


def _as_array(values: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        # The pictures differ in size, or the tensor is on another device or requires gradients.
        raise DataError(f"These {what} cannot be converted to one array: {error}.".replace("..", ".")) from error


def as_labels(values: Any, classes: Sequence[str]) -> np.ndarray:
    """Convert labels, numbers or names, to indices into `classes`: int64 (N,).

    Raises:
        DataError: the shape or type is wrong, a label is missing (None, NaN), or a name is not in `classes`.
    """
    array = _known(values)
    if array.ndim != 1:
        raise DataError(f"Labels must be one value per picture; these have shape {array.shape}.")
    if array.dtype.kind in "iu":
        return array.astype(np.int64)
    if array.dtype.kind not in "UO":
        raise DataError(f"Labels must be whole numbers from 0, or class names; these are {array.dtype}.")
    index = {name: i for i, name in enumerate(classes)}
    names = [clean_name(str(name)) for name in array]
    unknown = sorted(set(names) - set(index))
    if unknown:
        raise DataError(f"The label '{unknown[0]}' is not one of the classes {', '.join(classes)}.")
    return np.array([index[name] for name in names], dtype=np.int64)


def _known(values: Any) -> np.ndarray:
    """The labels as an array, after checking that none is missing: NumPy would turn None and NaN into names."""
    # NumPy converts a list of names and NaN to text, so the check must look at the list itself.
    array = _as_array(values, "labels")
    each = values if isinstance(values, (list, tuple)) else array.ravel() if array.dtype.kind == "O" else ()
    missing = [i for i, value in enumerate(each) if _is_missing(value)]
    if missing:
        raise DataError(
            f"{len(missing):,} of {len(each):,} labels {'is' if len(missing) == 1 else 'are'} missing (None or NaN), "
            f"the first at index {missing[0]}. Leave those pictures out, or give them their own class."
        )
    return array


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(value != value)  # only NaN and NaT differ from themselves
    except TypeError:
        return True  # pandas' NA has no truth value
    except ValueError:
        return False  # an array; the check of the shape refuses it later


def _class_names(labels: Sequence[Any], classes: Sequence[str] | None) -> tuple[str, ...]:
    if classes is not None:
        names = tuple(clean_name(str(name)) for name in classes)
        if len(set(names)) < len(names):
            raise DataError(f"The class names contain a duplicate: {', '.join(names)}.")
        return names
    arrays = [_known(values) for values in labels]
    if all(array.dtype.kind in "iu" for array in arrays):
        highest = max((int(array.max()) for array in arrays if array.size), default=-1)
        most = max(1000, *(array.size for array in arrays))
        if highest >= most:
            raise DataError(
                f"The highest label is {highest}, which would mean {highest + 1:,} classes. Number the classes from 0, "
                f"or pass their names as `classes`."
            )
        return tuple(str(i) for i in range(highest + 1))
    return ordered_classes(clean_name(str(name)) for array in arrays for name in array.ravel())

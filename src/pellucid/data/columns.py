"""Finds the path, label, split and group columns of a table: as the user says, or by common names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pellucid.errors import FormatError, UsageError
from pellucid.records.names import on_one_line

__all__ = ["ROLES", "choose"]

ROLES: dict[str, tuple[str, ...]] = {
    "path": (
        *("path", "file", "filename", "file_name", "filepath", "file_path"),
        *("image", "image_path", "image_file", "img", "picture", "photo"),
    ),
    "image": ("image", "img", "picture", "photo", "jpg", "png", "bytes"),
    "label": (
        "label",
        "labels",
        "class",
        "class_name",
        "category",
        "species",
        "target",
        "diagnosis",
        "fine_label",
        "y",
    ),
    "split": ("split", "subset", "set", "partition"),
    "groups": (
        *("groups", "group", "group_id", "patient", "patient_id", "subject", "subject_id"),
        *("camera", "camera_id", "site", "day", "date"),
    ),
}
"""Role -> common column names, in order of preference; case does not matter."""
_NEEDED = ("path", "image", "label")


def choose(
    names: Sequence[str], required: Sequence[str], assigned: Mapping[str, str] | None, where: object
) -> dict[str, str]:
    """Find the column of each role: {role: column}, without the optional roles that have no column.

    Args:
        names: the columns of the table.
        required: the roles that this kind of table can have.
        assigned: the columns that the user assigned, {role: column}.
        where: the table, for error messages.

    Raises:
        UsageError: the user assigned a role or a column that does not exist.
        FormatError: no column has a common name of a necessary role.
    """
    assigned = assigned or {}
    shown = ", ".join(f"'{on_one_line(name)}'" for name in names[:30])
    for role, name in assigned.items():
        if role not in required:
            raise UsageError(f"'{role}' is not a role of a column here; the roles are {', '.join(required)}.")
        if name not in names:
            raise UsageError(f"{where} has no column '{name}'; it has {shown}.")
    columns = dict(assigned)
    lower = {name.strip().lower(): name for name in reversed(names)}
    for role in required:
        free = [lower[known] for known in ROLES[role] if known in lower and lower[known] not in columns.values()]
        if role not in columns and free:
            columns[role] = free[0]
        elif role not in columns and role in _NEEDED:
            raise FormatError(
                f"{where} has no column for the {role} of each picture; it has {shown}. Name the column: "
                f"columns={{'{role}': NAME}} in Python, or ?{role}=NAME after the path."
            )
    return columns

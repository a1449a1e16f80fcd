"""Which columns of a table are the path, the label, the split and the group: as the user says, or by their names."""

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
"""From what a column may be to the names by which it is known, those that say it best first; case does not matter."""
_NEEDED = ("path", "image", "label")


def choose(
    names: Sequence[str], required: Sequence[str], assigned: Mapping[str, str] | None, where: object
) -> dict[str, str]:
    """The column of each role, of those that are there.

    Args:
        names: the table's columns.
        required: the roles that this table may have.
        assigned: the columns that the user named, {role: column}.
        where: the table, for errors.

    Raises:
        UsageError: a role or a column that the user named is not there.
        FormatError: a column that is needed cannot be found by its name.
    """
    assigned = assigned or {}
    shown = ", ".join(f"'{on_one_line(name)}'" for name in names[:30])
    for role, name in assigned.items():
        if role not in required:
            raise UsageError(f"'{role}' is no column of such a table; known are {', '.join(required)}.")
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
                f"{where} has no column that is named as the {role} of each picture; it has {shown}. Say which one it "
                f"is: columns={{'{role}': NAME}} in Python, or ?{role}=NAME behind the path."
            )
    return columns

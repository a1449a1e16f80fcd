"""What the numbers of a run do not show, as sentences made from its facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid.records import Findings, Table
from pellucid.records.names import listed
from pellucid.report import result
from pellucid.report.audit import not_checked
from pellucid.report.wording import percent, visible

FEW = 30
"""With fewer pictures of a class, its 95 % interval is wider than about 30 points in the middle of the scale."""
MISSING = "not given"


def purpose(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the model is for and not for, as (name, text); `MISSING` where nobody has said it."""
    return [
        ("For", str(about.get("purpose") or MISSING)),
        ("Not for", str(about.get("not_for") or MISSING)),
    ]


def limits(findings: Findings, audit: Findings, about: Mapping[str, Any]) -> list[str]:
    """What the numbers do not show, one sentence or two for each limit."""
    lines = [*_of_accuracy(findings), *_of_classes(findings), *_of_groups(audit)]
    name = about.get("data", {}).get("name")
    if name:
        lines.append(
            f"All pictures come from one source, {visible(str(name))}. Pictures from another camera, place or time may "
            f"give other numbers; only a test on them shows it."
        )
    if about:
        lines.append("A picture of none of the classes gets one of them all the same.")
        lines.append("The run is one training. Another seed gives a somewhat different model and different numbers.")
    missing = [noun for noun in not_checked(audit) if noun != "groups"]
    if about and missing:
        lines.append(f"Not checked: {', '.join(missing)}.")
    return lines


def _of_accuracy(findings: Findings) -> list[str]:
    if "accuracy" not in findings:
        return ["The accuracy on new pictures is unknown: nothing was scored."]
    accuracy, split = findings["accuracy"], result.split(findings)
    kind = result.PICTURES.get(split, "pictures")
    lines = []
    if accuracy.low is not None and accuracy.high is not None:
        width = percent(accuracy.high - accuracy.low).removesuffix(" %")
        lines.append(
            f"The accuracy was measured on {accuracy.n:,} {kind}, so chance alone leaves it uncertain by {width} "
            f"points from end to end of its 95 % interval."
        )
    if split in ("validation", "train"):
        lines.append(f"There was no test split. The {kind} took part in the training, so the numbers may be too good.")
    return lines


def _of_classes(findings: Findings) -> list[str]:
    if "per_class" not in findings:
        return []
    table: Table = findings["per_class"]
    if "n" not in table.columns:
        return []
    column = table.columns.index("n")
    few = [f"{row[0]} ({row[column]:,})" for row in table.rows if row[column] < FEW]
    if not few:
        return []
    verb = "class has" if len(few) == 1 else "classes have"
    names = visible(listed(few, 8, quoted=False))
    return [f"{len(few):,} {verb} fewer than {FEW} scored pictures, too few to say much about each: {names}."]


def _of_groups(audit: Findings) -> list[str]:
    if "groups_accuracy" in audit:
        return ["Groups that no column names, such as people, places or cameras, were not compared."]
    return [
        "Groups are unknown. The model may be much worse for some people, places or cameras than these numbers say."
    ]

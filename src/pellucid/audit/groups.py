"""Groups: is the model right less often on some pictures, such as those of one camera, than on the others?

Groups are the values of each column, and of each pair of columns. A group is compared with all other pictures by
Fisher's exact test; Holm's correction accounts for the number of groups. A group of which nothing can be said is named.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.audit.group_metrics import GroupValue, measure, require_metric
from pellucid.audit.subject import Subject
from pellucid.errors import UsageError
from pellucid.records import Finding, Remark, Table
from pellucid.records.names import listed
from pellucid.statistics.groups import difference, holm
from pellucid.statistics.sample_size import more_pictures, to_meet

LEVEL = 0.05
"""Probability of a false alarm, over all groups together."""
_MOST_VALUES = 50
"""A column with more values names pictures rather than groups."""
_GAP = 0.1
"""Of a group too small to exclude that it is this much worse than the others, nothing is said."""
_MOST_ROWS = 200


@dataclass(frozen=True)
class Group:
    """The pictures with one value in each of some columns.

    Attributes:
        name: for example `sex=female, skin=dark`.
        rows: indices of its pictures, int64.
    """

    name: str
    rows: np.ndarray


def check(subject: Subject) -> list[Finding]:
    """Compares groups with the other pictures."""
    groups = list(_searched(subject))
    if not groups:
        return [Remark("groups", "info", f"No column has 2 to {_MOST_VALUES} values, so there are no groups.")]
    right = subject.right
    measured = [measure(require_metric("accuracy"), subject.predictions, group.rows) for group in groups]
    p_values = [
        difference(value.right or 0, value.n, int(right.sum()) - (value.right or 0), len(subject) - value.n)
        for value in measured
    ]
    adjusted = holm(p_values)
    overall = float(right.mean())
    worse = [i for i in range(len(groups)) if adjusted[i] <= LEVEL]
    unsaid = [i for i in range(len(groups)) if adjusted[i] > LEVEL and measured[i].low < overall - _GAP]
    order = sorted(range(len(groups)), key=lambda i: (measured[i].value, -measured[i].n))
    rows = tuple(
        (groups[i].name, *_numbers(measured[i]), float(adjusted[i]),
         "worse" if i in worse else "too few to say" if i in unsaid else "no difference shown")
        for i in order[:_MOST_ROWS]
    )  # fmt: skip
    note = f"{len(groups):,} groups; p-values of Fisher's exact test against the other pictures, adjusted by Holm."
    table = Table("groups_accuracy", ("group", "accuracy %", "low %", "high %", "n", "p", "result"), rows, note)
    return [_remark(subject, groups, measured, worse, unsaid), table]


def _remark(
    subject: Subject, groups: Sequence[Group], measured: Sequence[GroupValue], worse: list[int], unsaid: list[int]
) -> Remark:
    few = ""
    if unsaid:
        few = f" Too few pictures to say: {listed([_with_count(groups[i], measured[i]) for i in unsaid], 3)}."
    if not worse:
        text = f"No group of {len(groups):,} is shown to be worse than the others.{few}"
        return Remark("groups", "info", text, "Collect more pictures of these groups." if few else "")
    worst = min(worse, key=lambda i: measured[i].value)
    value, group = measured[worst], groups[worst]
    others = (int(subject.right.sum()) - (value.right or 0)) / (len(subject) - value.n)
    ratio = value.value / others if others else 1.0
    more = f" {len(worse) - 1:,} more groups that overlap with it or differ too." if len(worse) > 1 else ""
    text = (
        f"Worst group: {group.name}. The model is right on {value.right:,} of {value.n:,} pictures, "
        f"{100 * value.value:.1f} % ({100 * value.low:.1f} to {100 * value.high:.1f}), and on {100 * others:.1f} % of "
        f"the others: a gap of {100 * (others - value.value):.1f} points, a ratio of {ratio:.2f}.{more}{few}"
    )
    advice = f"Do not use the model for this group. Collect more training pictures of it ({group.name})."
    ids = tuple(str(name) for name in subject.predictions.ids[group.rows[~subject.right[group.rows]]][:24])
    return Remark("groups", "error", text, advice, value.n, ids)


def _with_count(group: Group, value: GroupValue) -> str:
    return f"{group.name} ({value.right:,} of {value.n:,} right)"


def _numbers(value: GroupValue) -> tuple[float | None, float | None, float | None, int]:
    middle, low, high = (None if np.isnan(number) else float(number) for number in (value.value, value.low, value.high))
    return middle, low, high, value.n


def _searched(subject: Subject) -> Iterator[Group]:
    """The groups of each usable column, and of each pair of them."""
    usable = [name for name, values in sorted(subject.columns.items()) if 2 <= len(np.unique(values)) <= _MOST_VALUES]
    for number in (1, 2):
        for columns in itertools.combinations(usable, number):
            yield from groups_of(subject, columns)


def groups_of(subject: Subject, columns: Sequence[str]) -> list[Group]:
    """The groups with equal values in these columns; pictures without a value in one of them have `(none)` there.

    Raises:
        UsageError: there is no such column.
    """
    unknown = [name for name in columns if name not in subject.columns]
    if unknown:
        known = f"the columns are {', '.join(sorted(subject.columns))}" if subject.columns else "there are no columns"
        raise UsageError(f"There is no column '{unknown[0]}'; {known}. Give a table of them with --columns table.csv.")
    if not columns:
        return [Group("all pictures", np.arange(len(subject)))]
    members: dict[tuple[str, ...], list[int]] = {}
    for row, values in enumerate(zip(*(subject.columns[name].tolist() for name in columns), strict=True)):
        members.setdefault(values, []).append(row)
    return [
        Group(", ".join(f"{name}={value or '(none)'}" for name, value in zip(columns, values, strict=True)),
              np.array(rows, dtype=np.int64))
        for values, rows in sorted(members.items())
    ]  # fmt: skip


def require(subject: Subject) -> list[Finding]:
    """Tests the requirement in every group: `passed`, `below`, or `too few to say`, which fails too.

    A group passes if the exact test at 5 % shows that its metric meets the bound. All groups have to pass, so passing
    needs no correction; calling a group below is corrected by Holm.

    Raises:
        UsageError: a column or a class does not exist.
    """
    requirement = subject.requirement
    assert requirement is not None
    metric = require_metric(requirement.metric)
    groups = groups_of(subject, requirement.columns)
    measured = [measure(metric, subject.predictions, group.rows) for group in groups]
    proofs = [value.proves(requirement.bound) for value in measured]
    met, failed = (0, 1) if requirement.at_least else (1, 0)
    below = holm([proof[failed] for proof in proofs]) <= LEVEL
    wrong = "below" if requirement.at_least else "above"
    results = [
        "passed" if proof[met] <= LEVEL else wrong if is_wrong else "too few to say"
        for proof, is_wrong in zip(proofs, below, strict=True)
    ]
    rows = tuple(
        (group.name, *_numbers(value), result) for group, value, result in zip(groups, measured, results, strict=True)
    )
    unit = " %" if metric.is_share else ""
    columns = ("group", f"{metric.name}{unit}", f"low{unit}", f"high{unit}", "n", "result")
    return [_verdict(subject, groups, measured, results), Table("requirement_groups", columns, rows)]


def _verdict(subject: Subject, groups: list[Group], measured: list[GroupValue], results: list[str]) -> Remark:
    requirement = subject.requirement
    assert requirement is not None
    failing = [i for i, result in enumerate(results) if result != "passed"]
    if not failing:
        return Remark("requirement", "info", f"{requirement}: shown for {_count(len(groups), 'group')}.")
    sentences = [_sentence(groups[i], measured[i], results[i], subject) for i in failing[:3]]
    more = f" {len(failing) - 3:,} more groups fail." if len(failing) > 3 else ""
    text = (
        f"{requirement} is not met in {len(failing):,} of {_count(len(groups), 'group')}. {' '.join(sentences)}{more}"
    )
    advice = "Train on more pictures of these groups, and test on more where there are too few to say."
    return Remark("requirement", "error", text, advice, sum(measured[i].n for i in failing))


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _sentence(group: Group, value: GroupValue, result: str, subject: Subject) -> str:
    requirement = subject.requirement
    assert requirement is not None
    if np.isnan(value.value):
        return f"{group.name}: not defined, because no picture counts."
    if value.right is None:
        numbers = f"{value.value:.3g} ({value.low:.3g} to {value.high:.3g}, n = {value.n:,})"
    else:
        numbers = (
            f"{value.right:,} of {value.n:,}, {100 * value.value:.1f} % ({100 * value.low:.1f} to "
            f"{100 * value.high:.1f})"
        )
    if result != "too few to say":
        return f"{group.name} is {result}: {numbers}."
    needed = None
    if value.right is not None and 0 < requirement.bound < 1:
        needed = to_meet(value.value, requirement.bound)
    more = more_pictures(needed, value.n)
    enough = f"; {more} of this group would probably settle it" if more else ""
    return f"{group.name}: too few to say, {numbers}{enough}."

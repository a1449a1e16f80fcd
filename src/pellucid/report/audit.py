"""The sections of an audit: what each check found, or why it was not made, and which command makes it.

The report reads findings by name. It does not import the audit, so either can be deleted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pellucid.records import Figure, Findings, Remark, Table
from pellucid.report.wording import visible

Part = dict[str, Any]
COMMAND = "pellucid audit RUN DATA"
_NOT_MADE = "Not checked: "


@dataclass(frozen=True)
class Check:
    """How the report shows a check.

    Attributes:
        title: the heading.
        noun: the check within a sentence.
        shown: names of its tables and figures, in order.
    """

    title: str
    noun: str
    shown: tuple[str, ...] = ()


CHECKS = {
    "requirement": Check("Requirement", "", ("requirement_groups",)),
    "groups": Check("Groups", "groups", ("groups_accuracy",)),
    "shortcuts": Check("Shortcuts", "shortcuts", ("shortcut_probes",)),
    "robustness": Check("Robustness", "robustness", ("robustness_chart", "robustness_curve")),
    "label_errors": Check("Label suspects", "wrong labels", ("label_error_pictures",)),
    "leaks": Check("Leaks", "leaks from the training pictures", ("leaked_pictures",)),
    "stratification": Check("Hidden kinds", "hidden kinds", ("clusters", "worst_cluster")),
    "wear": Check("Test wear", "wear of the test split"),
}
"""Name of the remark of a check → how it is shown."""


def with_curve(audit: Findings) -> Findings:
    """The audit with the table of robustness also as a figure."""
    if "robustness_curve" not in audit or not isinstance(audit["robustness_curve"], Table):
        return audit
    rows = [list(row[:5]) for row in audit["robustness_curve"].rows]
    title = "Accuracy on changed pictures, by strength; dashed: clean pictures"
    return Findings((*audit, Figure("robustness_chart", "robustness", {"rows": rows}, title)), audit.title)


def sections(audit: Findings, show: Callable[[str], list[Part]]) -> list[Part]:
    """A section for each check that was made, then one on those that were not.

    Args:
        audit: the findings of the audit; empty if there was none.
        show: gives the parts of a table or figure of the audit by name.
    """
    made, reasons = [], []
    for name, check in CHECKS.items():
        remark = audit[name] if name in audit else None  # noqa: SIM401 (findings are no mapping)
        if isinstance(remark, Remark) and not remark.text.startswith(_NOT_MADE):
            made.append(_section(name, check, remark, show))
        elif isinstance(remark, Remark):
            reasons.append(visible(f"{check.title}: {remark.text.removeprefix(_NOT_MADE)}"))
    return [*made, *_not_checked(audit, reasons)]


def _section(name: str, check: Check, remark: Remark, show: Callable[[str], list[Part]]) -> Part:
    verdict = "No alarm." if remark.level == "info" else "Alarm."
    parts = [part for item in check.shown for part in show(item)]
    if remark.advice:
        parts.insert(0, {"kind": "text", "text": f"What to do: {visible(remark.advice)}"})
    return {
        "id": name.replace("_", "-"),
        "title": check.title,
        "verdict": verdict,
        "lead": visible(remark.text),
        "parts": parts,
    }


def _not_checked(audit: Findings, reasons: list[str]) -> list[Part]:
    missing = not_checked(audit)
    if not missing:
        return []
    parts: list[Part] = [{"kind": "list", "title": "", "lines": reasons}] if reasons else []
    lead = f"Nobody has looked for these in this run: {', '.join(missing)}. This command does: {COMMAND}"
    return [{"id": "not-checked", "title": "Not checked", "verdict": "", "lead": lead, "parts": parts}]


def not_checked(audit: Findings) -> list[str]:
    """What was not checked, as nouns."""
    return [
        check.noun
        for name, check in CHECKS.items()
        if check.noun and (name not in audit or audit[name].text.startswith(_NOT_MADE))
    ]


def alarms(audit: Findings) -> list[str]:
    """The checks that raised an alarm, as "title: text"."""
    return [
        f"{check.title}: {audit[name].text}"
        for name, check in CHECKS.items()
        if name in audit and audit[name].level != "info"
    ]

"""The main result in plain words: accuracy, its interval, and the accuracy of guessing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid.records import Findings, Metric
from pellucid.report import wording
from pellucid.report.wording import percent

PICTURES = {"test": "test pictures", "validation": "validation pictures", "train": "training pictures"}


def split(findings: Findings) -> str:
    """The split that was scored; empty if it is unknown."""
    if "confusion_matrix" not in findings:
        return ""
    return str(findings["confusion_matrix"].data.get("split", ""))


def sentence(findings: Findings) -> str:
    """The accuracy in words, "right on 355 of 360 test pictures"; empty if there is no accuracy."""
    if "accuracy" not in findings:
        return ""
    accuracy: Metric = findings["accuracy"]
    kind = PICTURES.get(split(findings), "pictures")
    return f"right on {round(accuracy.value * accuracy.n):,} of {accuracy.n:,} {kind}"


def headline(findings: Findings) -> dict[str, Any] | None:
    """The accuracy for the top of the page, with its interval and base rate; None if there is no accuracy."""
    if "accuracy" not in findings:
        return None
    accuracy: Metric = findings["accuracy"]
    base = next((item for item in findings if isinstance(item, Metric) and item.name == "base_rate"), None)
    text = sentence(findings)
    return {
        "value": percent(accuracy.value),
        "sentence": text[0].upper() + text[1:],
        "interval": _unbroken(_certainty(accuracy)),
        "base": _unbroken(_guessing(accuracy, base)) if base else "",
        "note": wording.visible(accuracy.note[:1].upper() + accuracy.note[1:] + ".") if accuracy.note else "",
        "scale": _scale(accuracy, base),
    }


def metrics(findings: Findings) -> list[dict[str, Any]]:
    """The other metrics, for the cards below the accuracy."""
    return [
        {
            "title": wording.title(item.name),
            "value": wording.value(item),
            "interval": wording.interval(item),
            "method": item.method,
            "n": f"{item.n:,}",
            "meaning": wording.MEANINGS.get(item.name, ""),
            "note": wording.visible(item.note[:1].upper() + item.note[1:]),
        }
        for item in findings
        if isinstance(item, Metric) and item.name not in ("accuracy", "base_rate")
    ]


def warnings(findings: Findings, about: Mapping[str, Any]) -> list[str]:
    """Warnings shown above the numbers."""
    messages = []
    if about.get("interrupted"):
        messages.append("This training was interrupted. The page shows the best model up to then.")
    measured = split(findings)
    if "accuracy" in findings and measured in ("validation", "train"):
        why = {
            "validation": "which also chose the best epoch, so they are somewhat too good",
            "train": "which the model learned from, so they are too good",
        }[measured]
        if measured == "validation" and about.get("recipe", {}).get("freeze_backbone"):
            why = "which were not used for training or for any choice"
        messages.append(f"There are no test pictures. The numbers are from the {PICTURES[measured]}, {why}.")
    if "sample_size" in findings:
        remark = findings["sample_size"]
        messages.append(
            wording.visible(f"Few {PICTURES.get(measured, 'test pictures')}: {remark.text} {remark.advice}".strip())
        )
    return messages


def without(findings: Findings, about: Mapping[str, Any]) -> str:
    """The text in place of a missing accuracy, with the validation accuracy of the chosen epoch."""
    message = "This run has no test findings, so the accuracy on new pictures is unknown."
    rows = findings["history"].data["rows"] if "history" in findings else []
    chosen = about.get("chosen_epoch")
    row = next((row for row in rows if row.get("epoch") == chosen), rows[-1] if rows else {})
    if row.get("validation_accuracy") is None:
        return message
    n = about.get("data", {}).get("sizes", {}).get("validation")
    of = f" of {n:,}" if isinstance(n, int) else " of the"
    return (
        f"{message} After epoch {row['epoch']}, {percent(row['validation_accuracy'])}{of} validation pictures were "
        f"right. They also chose the epoch, so this number is somewhat too good."
    )


def _unbroken(text: str) -> str:
    """The text with non-breaking spaces between numbers and units."""
    return text.replace(" %", "\u00a0%").replace("n = ", "n\u00a0=\u00a0")


def _certainty(accuracy: Metric) -> str:
    if accuracy.low is None or accuracy.high is None:
        return ""
    return (
        f"On many more pictures of the same kind, the accuracy would probably lie between "
        f"{wording.interval(accuracy).replace(' to ', ' and ')} (95 % Wilson interval, n = {accuracy.n:,})."
    )


def _guessing(accuracy: Metric, base: Metric) -> str:
    how = wording.visible(base.note) or "always predicting the most frequent class"
    text = f"Without looking at the pictures, {how} would be right {percent(base.value)} of the time."
    if accuracy.low is not None and accuracy.low <= base.value:
        text += " The model is not clearly better than that."
    return text


def _scale(accuracy: Metric, base: Metric | None) -> dict[str, Any] | None:
    if accuracy.low is None or accuracy.high is None:
        return None
    alt = f"Accuracy {percent(accuracy.value)}, 95 % interval {wording.interval(accuracy)}"
    return {
        "value": round(100 * accuracy.value, 2),
        "low": round(100 * accuracy.low, 2),
        "width": round(100 * (accuracy.high - accuracy.low), 2),
        "base": None if base is None else round(100 * base.value, 2),
        "alt": alt + ("" if base is None else f", base rate {percent(base.value)}") + ", on a scale from 0 to 100 %.",
    }

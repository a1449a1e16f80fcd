"""The sections of the report, as plain values for its template.

Findings with a known name go into their own section; all others go into the last one.
"""

from __future__ import annotations

import base64
import shlex
import struct
from collections.abc import Mapping
from typing import Any

from pellucid.records import Figure, Findings, Table
from pellucid.records.paths import command_line
from pellucid.report import audit as audits
from pellucid.report import limits, pictures, wording
from pellucid.report.wording import count, percent, visible
from pellucid.training.recipes import Recipe

Part = dict[str, Any]
_SMALL = 64
"""Longest side in pixels of a picture whose pixels are drawn as squares."""


def sections(
    findings: Findings, about: Mapping[str, Any], drawn: Mapping[str, bytes], audit: Findings | None = None
) -> list[Part]:
    """The sections of the page in order, each with `id`, `title`, `verdict`, `lead` and `parts`."""
    show = _Shower(findings, drawn)
    audit = audits.with_curve(audit or Findings())
    checked = audits.sections(audit, _Shower(audit, drawn)) if about or len(audit) else []
    parts = [
        _section("purpose", "What the model is for", "", _purpose(about)),
        _section("mistakes", "Mistakes", _lead_of_mistakes(findings), show("mistakes")),
        _section("confusion", "Confusion matrix", "", [*show("confusion_matrix"), *show("confusions")]),
        _section("reliability", "Are the probabilities honest?", _note(findings, "reliability"), show("reliability")),
        _section("classes", "Scores of each class", _CLASSES if "per_class" in findings else "", show("per_class")),
        *checked,
        _section("predictions", "Some predictions", "", show("predictions")),
        _section("history", "Training curves", _lead_of_history(findings, about), show("history")),
        _section("data", "The data", "", [*_data(about), *show("class_grid"), *_notes(about)]),
        _section("training", "How it was trained", "", _training(about)),
        _section("limits", "Limits", _LIMITS, _limits(findings, audit, about)),
        _section("next", "Use the model", "", _next(about)),
        _section("further", "Further findings", "", show.rest()),
    ]
    return [section for section in parts if section["parts"] or section in checked]


_LIMITS = "What the numbers on this page do not show."


def _purpose(about: Mapping[str, Any]) -> list[Part]:
    if not about:
        return []
    facts = limits.purpose(about)
    parts: list[Part] = [{"kind": "facts", "title": "", "facts": facts, "folded": ""}]
    if any(said == limits.MISSING for _, said in facts):
        text = 'To say it: pellucid report RUN --purpose "..." --not-for "..."'
        parts.append({"kind": "text", "text": text})
    return parts


def _limits(findings: Findings, audit: Findings, about: Mapping[str, Any]) -> list[Part]:
    return [{"kind": "list", "title": "", "lines": limits.limits(findings, audit, about)}] if about else []


_CLASSES = (
    "Precision: the share of the pictures predicted as this class that belong to it. Recall: the share of this class's "
    "pictures that are predicted as it. F1: the harmonic mean of the two. All in per cent; n is the number of pictures."
)


def _note(findings: Findings, name: str) -> str:
    return visible(findings[name].note) if name in findings else ""


def _section(name: str, title: str, lead: str, parts: list[Part]) -> Part:
    return {"id": name, "title": title, "verdict": "", "lead": lead, "parts": parts}


class _Shower:
    """Shows findings by name, and remembers which ones are left."""

    def __init__(self, findings: Findings, drawn: Mapping[str, bytes]) -> None:
        self.findings, self.drawn, self.shown = findings, drawn, set[str]()

    def __call__(self, name: str) -> list[Part]:
        self.shown.add(name)
        if name not in self.findings:
            return []
        item = self.findings[name]
        return [self._figure(item) if isinstance(item, Figure) else _table(item)]

    def rest(self) -> list[Part]:
        names = [item.name for item in self.findings if isinstance(item, Table | Figure)]
        return [part for name in names if name not in self.shown for part in self(name)]

    def _figure(self, item: Figure) -> Part:
        if item.figure == "pictures":
            return _cells(item)
        if item.figure not in pictures.PICTURES:
            return {"kind": "text", "text": f"{visible(str(item))}: this version cannot draw a '{item.figure}'."}
        image = self.drawn.get(item.name) or pictures.png(item)
        width, height = struct.unpack(">II", image[16:24])  # where the PNG format has them
        return {
            "kind": "image",
            "png": base64.b64encode(image).decode("ascii"),
            "width": round(width * 96 / pictures.DPI),
            "height": round(height * 96 / pictures.DPI),
            "alt": _alternative(item),
            "fit": item.figure
            in ("confusion-matrix", "reliability", "robustness"),  # it stays legible when it is small
        }


def _alternative(item: Figure) -> str:
    """The alternative text of a figure."""
    title = visible(item.title) or wording.title(item.name)
    if item.figure == "confusion-matrix":
        counts = item.data["counts"]
        right, n = sum(row[i] for i, row in enumerate(counts)), sum(map(sum, counts))
        return f"{title}: a table of {len(counts)} by {len(counts)} classes with {right:,} of {n:,} on its diagonal."
    if item.figure == "history":
        rows = item.data["rows"]
        last = rows[-1].get("validation_accuracy") if rows else None
        end = f", ending at {percent(last)} of the validation pictures right" if last is not None else ""
        return f"{title}: loss and accuracy after each of {count(len(rows), 'epoch')}{end}."
    if item.figure == "class-grid":
        return f"{title}: some pictures of each of {count(len(item.data['rows']), 'class', 'classes')}."
    return f"{title}."


def _cells(item: Figure) -> Part:
    cells = []
    for cell in item.data["cells"]:
        label, predicted = cell.get("label"), visible(str(cell.get("predicted", "")))
        suspect = item.name == "label_error_pictures"  # the judges suggest a label, and the model answers nothing
        wrong = label is not None and label != cell.get("predicted") and not suspect
        label = None if label is None else visible(str(label))
        name = visible(str(cell.get("id", "")))
        judged = "" if label is None else f", {'wrong, label' if wrong else 'right, label'} {label}"
        spoken = f"given {label}, suggested {predicted}" if suspect else f"predicted {predicted}{judged}"
        cells.append(
            {
                "png": cell.get("png"),
                "jpeg": cell.get("jpeg"),
                "id": name,
                "name": name.rsplit("/", 1)[-1],
                "alt": f"Picture {name}: {spoken}" if predicted else f"Picture {name}",
                "wrong": wrong,
                "mark": "" if label is None or suspect else "✗" if wrong else "✓",
                "small": "png" in cell and _longer_side(cell["png"]) <= _SMALL,
                "predicted": f"suggested: {predicted}" if suspect else predicted,
                "label": label,
                "label_word": "given" if suspect else "label",
                "probability": percent(cell["probability"]) if "probability" in cell else "",
            }
        )
    return {"kind": "cells", "cells": cells, "note": visible(item.note)}


def _longer_side(png: str) -> int:
    return max(struct.unpack(">II", base64.b64decode(png[:64])[16:24]))


def _table(item: Table) -> Part:
    columns = wording.shown_columns(item.columns)
    numbers = [
        column.endswith("%") or all(isinstance(row[index], int | float | None) for row in item.rows)
        for column, index, _ in columns
    ]
    rows = [
        [
            {
                "text": wording.cell_with_limits(column, row, index, limits),
                "sort": "" if row[index] is None else row[index],
            }
            for column, index, limits in columns
        ]
        for row in item.rows
    ]
    title = wording.title(item.name)
    return {
        "kind": "table",
        "title": "" if item.name == "per_class" else title,
        "label": title,
        "columns": [{"title": name, "number": n} for (name, *_), n in zip(columns, numbers, strict=True)],
        "rows": rows,
        "sortable": len(rows) > 1,
        "note": visible(item.note),
    }


def _lead_of_mistakes(findings: Findings) -> str:
    if "mistakes" not in findings or not findings["mistakes"].data["cells"]:
        return ""
    return (
        "The wrong predictions with the highest probabilities. Look at these first: some show what the model has not "
        "learned, and some show wrong labels."
    )


def _lead_of_history(findings: Findings, about: Mapping[str, Any]) -> str:
    if "history" not in findings:
        return ""
    text = "An epoch is one pass over the training pictures. The model does not learn from the validation pictures"
    chosen = about.get("chosen_epoch")
    if chosen is None:
        return text + "."
    if chosen == 0:  # fine-tuning that did not help
        return (
            f"{text}; they choose the epoch that is kept. None was better than the model at the start, which is kept."
        )
    return (
        f"{text}; they choose the epoch that is kept, here epoch {chosen} of {len(findings['history'].data['rows'])}."
    )


def _data(about: Mapping[str, Any]) -> list[Part]:
    data = about.get("data", {})
    facts = []
    for split, n in data.get("sizes", {}).items():
        facts.append((f"{wording.title(split)} pictures", f"{n:,}" if isinstance(n, int) else str(n)))
    classes = data.get("classes", [])
    if classes:
        listed = ", ".join(classes[:40]) + (f" and {len(classes) - 40:,} more" if len(classes) > 40 else "")
        facts.append(("Classes", f"{len(classes):,}: {listed}"))
    if data.get("fingerprint"):
        facts.append(("Fingerprint (SHA-256)", data["fingerprint"]))
    return [{"kind": "facts", "title": "", "facts": facts, "folded": ""}] if facts else []


def _notes(about: Mapping[str, Any]) -> list[Part]:
    lines = about.get("data", {}).get("notes", [])
    return [{"kind": "list", "title": "Notes on the data", "lines": lines}] if lines else []


_ALWAYS_FIRST = {"epochs", "batch_size", "optimizer", "learning_rate", "loss"}
"""Settings shown among the changed ones even if they have their defaults."""
_LINEAR_HEAD_SETTINGS = {"backbone", "freeze_backbone", "loss", "class_weights", "balance_above_ratio", "split_seed"}


def _training(about: Mapping[str, Any]) -> list[Part]:
    network = about.get("network", {})
    facts = [
        (name, value)
        for name, value in (("Network", network.get("name")), ("Network file", network.get("source")))
        if value
    ]
    if isinstance(network.get("parameters"), int):
        facts.append(("Parameters", f"{network['parameters']:,}"))
    facts += _flat(network.get("settings", {}), "Network: ")
    recipe = dict(about.get("recipe", {}))
    if recipe.get("loss") is None and about.get("loss"):
        recipe["loss"] = about["loss"]  # the network chose it
    if recipe.get("freeze_backbone"):  # the last layer is solved for, without epochs or learning rates
        recipe = {key: value for key, value in recipe.items() if key in _LINEAR_HEAD_SETTINGS}
    usual = Recipe().model_dump(mode="json")
    first = {key for key, value in recipe.items() if key in _ALWAYS_FIRST or value != usual.get(key)}
    facts += _flat({key: value for key, value in recipe.items() if key in first})
    facts += _flat({key: about[key] for key in ("seed",) if key in about})
    rest = _flat({key: value for key, value in recipe.items() if key not in first})
    rest += _flat(about.get("preprocessing", {}), "Pictures: ")
    rest += _flat({key: about[key] for key in ("threads", "platform") if key in about})
    versions = about.get("versions", {})
    if versions:
        rest.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    parts: list[Part] = [{"kind": "facts", "title": "", "facts": facts, "folded": ""}] if facts else []
    if rest:
        folded = "Settings at their defaults, preprocessing and versions"
        parts.append({"kind": "facts", "title": "", "facts": rest, "folded": folded})
    if network.get("notes"):
        parts.append({"kind": "list", "title": "Notes on the network", "lines": network["notes"]})
    if about.get("command"):
        note = (
            "In the same folder, on the same machine and with the same number of threads, this command gives the same "
            "model. It writes to a new run folder; --out chooses another."
        )
        text = _repeat_command(about["command"], about.get("threads"))
        parts.append({"kind": "code", "title": "To repeat it", "text": text, "note": note})
    return parts


def _repeat_command(command: str, threads: object) -> str:
    """The command without its run folder, which exists now, and with its number of threads."""
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    if words[:2] != ["pellucid", "train"]:
        return command
    remaining, skip = [], False
    for word in words:
        if not skip and word != "--out" and not word.startswith("--out="):
            remaining.append(word)
        skip = word == "--out" and not skip
    has_threads = any(word == "--threads" or word.startswith("--threads=") for word in remaining)
    return command_line(
        *remaining, *([] if has_threads or not isinstance(threads, int) else ["--threads", str(threads)])
    )


_ABBREVIATIONS = {"ema": "EMA", "lr": "learning rate", "sgd": "SGD", "std": "standard deviation", "tta": "TTA"}


def _flat(settings: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested settings as one list: ("Optimizer: weight decay", "0.01")."""
    facts = []
    for key, value in settings.items():
        name = " ".join(_ABBREVIATIONS.get(word, word) for word in key.split("_"))
        name = before + name if before else name[:1].upper() + name[1:]
        if isinstance(value, Mapping):
            facts += _flat(value, f"{name}: ")
        else:
            facts.append((name, _setting(value)))
    return facts


def _setting(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_setting, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _next(about: Mapping[str, Any]) -> list[Part]:
    if not about:
        return []
    python = (
        "import pellucid\n\n"
        'model = pellucid.Model.load("model.safetensors")\n'
        'predictions = pellucid.predict(model, ["picture.png"])\n'
        "print(predictions.classes[predictions.predicted[0]], predictions.confidence[0])"
    )
    note = "In a terminal, in the folder of this page. PICTURES/ is a folder of new pictures, or one file:"
    return [
        {"kind": "code", "title": "", "text": "pellucid predict model.safetensors PICTURES/", "note": note},
        {"kind": "code", "title": "", "text": python, "note": "In Python:"},
    ]

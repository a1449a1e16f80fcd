"""The parts of the page, as plain values for its template.

Findings that are known by name stand in their place, all others at the end, so that whatever was found is shown.
"""

from __future__ import annotations

import base64
import shlex
import struct
from collections.abc import Mapping
from typing import Any

from pellucid.records import Figure, Findings, Table
from pellucid.records.paths import command_line
from pellucid.report import pictures, wording
from pellucid.report.wording import count, percent, visible

Part = dict[str, Any]
_SMALL = 64
"""Pictures up to so many pixels are shown as the squares that they are."""


def sections(findings: Findings, about: Mapping[str, Any], drawn: Mapping[str, bytes]) -> list[Part]:
    """The sections of the page, in their order: each with `id`, `title`, `lead` and `parts`."""
    show = _Shower(findings, drawn)
    parts = [
        _section("mistakes", "Mistakes", _lead_of_mistakes(findings), show("mistakes")),
        _section("confusion", "Which class was taken for which", "", [*show("confusion_matrix"), *show("confusions")]),
        _section("classes", "Class by class", _CLASSES if "per_class" in findings else "", show("per_class")),
        _section("predictions", "Some predictions", "", show("predictions")),
        _section("history", "How training went", _lead_of_history(findings, about), show("history")),
        _section("data", "The data", "", [*_data(about), *show("class_grid"), *_notes(about)]),
        _section("training", "What was trained, and how", "", _training(about)),
        _section("next", "Use the model", "", _next(about)),
        _section("further", "Further findings", "", show.rest()),
    ]
    return [section for section in parts if section["parts"]]


_CLASSES = (
    "Precision: of the pictures that the model called so, the share that are. Recall: of the pictures that are so, the "
    "share that the model found. F1 joins the two (their harmonic mean). All in per cent; n counts the pictures."
)


def _section(name: str, title: str, lead: str, parts: list[Part]) -> Part:
    return {"id": name, "title": title, "lead": lead, "parts": parts}


class _Shower:
    """Shows findings by name, and knows which were not asked for."""

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
        }


def _alternative(item: Figure) -> str:
    """The picture in words, for who cannot see it."""
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
        label, predicted = cell.get("label"), visible(str(cell["predicted"]))
        wrong = label is not None and label != cell["predicted"]
        label = None if label is None else visible(str(label))
        name = visible(str(cell.get("id", "")))
        judged = "" if label is None else f", {'wrong, label' if wrong else 'right, label'} {label}"
        cells.append(
            {
                "png": cell.get("png"),
                "id": name,
                "alt": f"Picture {name}: predicted {predicted}{judged}",
                "wrong": wrong,
                "mark": "" if label is None else "✗" if wrong else "✓",
                "small": "png" in cell and _longer_side(cell["png"]) <= _SMALL,
                "predicted": predicted,
                "label": label,
                "probability": percent(cell.get("probability")),
            }
        )
    return {"kind": "cells", "cells": cells, "note": visible(item.note)}


def _longer_side(png: str) -> int:
    return max(struct.unpack(">II", base64.b64decode(png[:64])[16:24]))


def _table(item: Table) -> Part:
    numbers = [
        column.endswith("%") or all(isinstance(row[index], int | float | None) for row in item.rows)
        for index, column in enumerate(item.columns)
    ]
    rows = [
        [
            {"text": wording.cell(column, value), "sort": "" if value is None else value}
            for column, value in zip(item.columns, row, strict=True)
        ]
        for row in item.rows
    ]
    title = wording.title(item.name)
    return {
        "kind": "table",
        "title": "" if item.name == "per_class" else title,
        "label": title,
        "columns": [{"title": name, "number": n} for name, n in zip(item.columns, numbers, strict=True)],
        "rows": rows,
        "sortable": len(rows) > 1,
        "note": visible(item.note),
    }


def _lead_of_mistakes(findings: Findings) -> str:
    if "mistakes" not in findings or not findings["mistakes"].data["cells"]:
        return ""
    return (
        "Where the model was wrong and most sure of itself. Look at these first: some show what it has not learned, "
        "and some that the given class is itself mistaken."
    )


def _lead_of_history(findings: Findings, about: Mapping[str, Any]) -> str:
    if "history" not in findings:
        return ""
    text = "An epoch is one pass over all training pictures. The model does not learn from the validation pictures"
    chosen = about.get("chosen_epoch")
    if chosen is None:
        return text + "."
    if chosen == 0:  # fine-tuning that did no good
        return f"{text}; they decide which epoch is kept. None was better than what training began with, which is kept."
    return f"{text}; they decide which epoch is kept, here epoch {chosen} of {len(findings['history'].data['rows'])}."


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
    return [{"kind": "facts", "title": "", "facts": facts}] if facts else []


def _notes(about: Mapping[str, Any]) -> list[Part]:
    lines = about.get("data", {}).get("notes", [])
    return [{"kind": "list", "title": "Notes on the data", "lines": lines}] if lines else []


_OF_A_LAST_LAYER = {"backbone", "freeze_backbone", "loss", "class_weights", "balance_above_ratio", "split_seed"}


def _training(about: Mapping[str, Any]) -> list[Part]:
    network = about.get("network", {})
    facts = [
        (name, value)
        for name, value in (("Network", network.get("name")), ("Its file", network.get("source")))
        if value
    ]
    if isinstance(network.get("parameters"), int):
        facts.append(("Parameters", f"{network['parameters']:,}"))
    facts += _flat(network.get("settings", {}), "Network: ")
    recipe = dict(about.get("recipe", {}))
    if recipe.get("loss") is None and about.get("loss"):
        recipe["loss"] = about["loss"]  # the recipe leaves it to the network
    if recipe.get("freeze_backbone"):  # the last layer is solved for: there are no epochs, steps and rates to tell of
        recipe = {key: value for key, value in recipe.items() if key in _OF_A_LAST_LAYER}
    facts += _flat(recipe)
    facts += _flat(about.get("preprocessing", {}), "Pictures: ")
    facts += _flat({key: about[key] for key in ("seed", "threads", "platform") if key in about})
    versions = about.get("versions", {})
    if versions:
        facts.append(("Versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    parts: list[Part] = [{"kind": "facts", "title": "", "facts": facts}] if facts else []
    if network.get("notes"):
        parts.append({"kind": "list", "title": "Notes on the network", "lines": network["notes"]})
    if about.get("command"):
        note = (
            "The same command, in the same folder, on the same machine and with the same number of threads, gives the "
            "same model. It takes the next run folder; --out names another."
        )
        text = _again(about["command"], about.get("threads"))
        parts.append({"kind": "code", "title": "To repeat it", "text": text, "note": note})
    return parts


def _again(command: str, threads: object) -> str:
    """The command without its run folder, which is there by now, and with the number of threads that it ran with."""
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


def _flat(settings: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Settings within settings as one list: ("Optimizer: weight decay", "0.01")."""
    facts = []
    for key, value in settings.items():
        name = key.replace("_", " ")
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
        'found = pellucid.predict(model, ["picture.png"])\n'
        "print(found.classes[found.predicted[0]], found.confidence[0])"
    )
    note = "In a terminal, in the folder where this page lies; PICTURES/ is a folder of new pictures, or a file:"
    return [
        {"kind": "code", "title": "", "text": "pellucid predict model.safetensors PICTURES/", "note": note},
        {"kind": "code", "title": "", "text": python, "note": "In Python:"},
    ]

"""The model card: the findings of a run in the Markdown form of the Hugging Face hub, with its YAML header.

The form: https://huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from pellucid.records import Findings, Metric, Table
from pellucid.report import result, wording
from pellucid.report.audit import COMMAND, alarms, not_checked
from pellucid.report.limits import limits, purpose
from pellucid.report.wording import visible


def model_card(findings: Findings, audit: Findings, about: Mapping[str, Any]) -> str:
    """The card as Markdown. All text from the run is escaped.

    Args:
        findings: scores; may be empty.
        audit: findings of the audit; may be empty.
        about: the content of run.json.
    """
    data, network = about.get("data", {}), about.get("network", {})
    name = " on ".join(str(part) for part in (network.get("name"), data.get("name")) if part) or "Model"
    checks = [*alarms(audit)]
    if missing := not_checked(audit):
        checks.append(f"Not checked: {', '.join(missing)}. This command does: {COMMAND}")
    parts = [
        _header(findings, about),
        f"# {_text(name)}",
        _text(str(data.get("description", ""))),
        "## What it is for",
        _bullets(f"{what}: {said}" for what, said in purpose(about)),
        "## Data",
        _bullets(_data(data)),
        "## Training",
        _bullets(_training(about)),
        "## Numbers",
        _numbers(findings),
        "## Calibration",
        _text(findings["reliability"].note if "reliability" in findings else "Not measured."),
        "## Scores of each class",
        _table(findings["per_class"]) if "per_class" in findings else "Not measured.",
        "## Audit",
        _bullets(checks) or "No alarm.",
        "## Limits",
        _bullets(limits(findings, audit, about)),
        "## How to use it",
        "```sh\npellucid predict model.safetensors PICTURES/\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _header(findings: Findings, about: Mapping[str, Any]) -> str:
    """The YAML header. JSON strings are YAML strings too, whatever they contain."""
    name = str(about.get("network", {}).get("name") or "model")
    data = str(about.get("data", {}).get("name") or "unknown")
    lines = ["library_name: pellucid", "pipeline_tag: image-classification", "tags:", "- image-classification"]
    if "accuracy" in findings:
        split = result.split(findings) or "test"
        lines += [
            "model-index:",
            f"- name: {json.dumps(visible(name))}",
            "  results:",
            "  - task:",
            "      type: image-classification",
            "    dataset:",
            f"      name: {json.dumps(visible(data))}",
            f"      type: {json.dumps(visible(data))}",
            f"      split: {json.dumps(split)}",
            "    metrics:",
            "    - type: accuracy",
            f"      value: {findings['accuracy'].value:.6g}",
        ]
    return "\n".join(["---", *lines, "---"])


def _data(data: Mapping[str, Any]) -> list[str]:
    lines = [f"{name.capitalize()}: {n:,} pictures" for name, n in data.get("sizes", {}).items() if isinstance(n, int)]
    classes = [str(one) for one in data.get("classes", [])]
    if classes:
        more = f" and {len(classes) - 40:,} more" if len(classes) > 40 else ""
        lines.append(f"{len(classes):,} classes: {', '.join(classes[:40])}{more}")
    return [*lines, *map(str, data.get("notes", []))] or ["Unknown."]


def _training(about: Mapping[str, Any]) -> list[str]:
    network, lines = about.get("network", {}), []
    if network.get("name"):
        parameters = network.get("parameters")
        lines.append(f"Network: {network['name']}" + (f", {parameters:,} parameters" if parameters else ""))
    lines += [f"{key.capitalize()}: {about[key]}" for key in ("seed", "command") if about.get(key) not in (None, "")]
    return lines or ["Unknown."]


def _numbers(findings: Findings) -> str:
    metrics = [item for item in findings if isinstance(item, Metric)]
    if not metrics:
        return "Nothing was scored."
    rows = tuple((wording.title(m.name), wording.value(m), wording.interval(m) or "–", m.n) for m in metrics)
    return _table(Table("numbers", ("what", "value", "95 % interval", "n"), rows))


def _table(table: Table) -> str:
    rows = [[wording.cell(column, value) for column, value in zip(table.columns, row, strict=True)]
            for row in table.rows]  # fmt: skip
    lines = [list(table.columns), ["---"] * len(table.columns), *rows]
    return "\n".join(f"| {' | '.join(cell if cell == '---' else _text(cell) for cell in line)} |" for line in lines)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_text(line)}" for line in lines)


def _text(text: str) -> str:
    """The text on one line, without any Markdown or HTML of its own."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", visible(text))

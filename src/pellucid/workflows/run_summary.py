"""The description of a finished run: the content of `run.json`, and the metrics in the model file."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from typing import Any

import torch

from pellucid.records import Findings, Metric, Model
from pellucid.records.run import RunPlan
from pellucid.training import processes
from pellucid.training.result import Training

_METRIC_FIELDS = ("value", "low", "high", "n")


def with_metrics(model: Model, findings: Findings, split: str) -> Model:
    """The model with the metrics of the scored split in its specification."""
    metrics = {
        f"{split}_{item.name}": {key: value for key, value in item.to_json().items() if key in _METRIC_FIELDS}
        for item in findings
        if isinstance(item, Metric)
    }
    specification = model.specification
    return replace(model, specification=specification.model_copy(update={"metrics": specification.metrics | metrics}))


def run_description(training: Training, plan: RunPlan, scored: str) -> dict[str, Any]:
    """The content of `run.json`: everything needed to repeat a run."""
    specification = training.model.specification
    data = training.data
    return {
        "version": 1,
        "command": plan.command,
        "purpose": plan.purpose,
        "not_for": plan.not_for,
        "data": {
            "name": data.name,
            "description": data.description,
            "fingerprint": data.fingerprint,
            "classes": list(data.classes),
            "sizes": {split.name: len(split) for split in data},
            "notes": list(data.notes),
        },
        "network": {
            "name": specification.network.name,
            "settings": specification.network.settings,
            "source": specification.network.source,
            "parameters": training.parameters,
            "notes": [note for note in training.notes if note not in data.notes],
        },
        "recipe": training.recipe.model_dump(mode="json"),
        "planned": plan.planned,
        "preprocessing": specification.preprocessing.model_dump(mode="json"),
        "loss": specification.loss,
        "seed": plan.seed,
        "processes": processes.current_group().size,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "versions": specification.training["versions"],
        "platform": platform.platform(),
        "chosen_epoch": training.chosen_epoch,
        "interrupted": training.interrupted,
        "stopped": training.stop_reason,
        "scored": scored,
    }

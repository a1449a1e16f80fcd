"""Scoring a model's predictions against the given labels: predictions in, findings out."""

from pellucid.evaluation.comparing import compare
from pellucid.evaluation.scoring import evaluate

__all__ = ["compare", "evaluate"]

"""Evaluation of a model's predictions against the labels: predictions in, findings out."""

from pellucid.evaluation.comparing import compare
from pellucid.evaluation.scoring import evaluate

__all__ = ["compare", "evaluate"]

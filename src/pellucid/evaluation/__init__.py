"""Scoring a model's predictions against the given labels: predictions in, findings out."""

from pellucid.evaluation.scoring import evaluate

__all__ = ["evaluate"]

"""The result of a training."""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.records import Dataset, Model
from pellucid.training.history import History
from pellucid.training.recipes import Recipe


@dataclass(frozen=True)
class Training:
    """The result of a training: the model, and how it came about.

    Attributes:
        model: the model of the chosen epoch.
        history: one row per epoch.
        seconds: duration of each epoch.
        chosen_epoch: the epoch of the model, counted from 1; 0 if it is from before the end of the first.
        interrupted: whether the user stopped it.
        stop_requested: whether the user asked it to stop, be it after its last step.
        data: the dataset, with the validation split that was used.
        recipe: all settings.
        notes: sentences for the user.
        parameters: number of parameters that were trained.
        stop_reason: why it ended before its last epoch, if its loss became infinite or NaN; else empty.
    """

    model: Model
    history: History
    seconds: list[float]
    chosen_epoch: int
    interrupted: bool
    data: Dataset
    recipe: Recipe
    notes: tuple[str, ...]
    parameters: int
    stop_reason: str = ""
    stop_requested: bool = False

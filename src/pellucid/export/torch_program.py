"""A model as a program of `torch.export`, for C++ (AOTInductor), ExecuTorch and other users of torch."""

from __future__ import annotations

import io
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pellucid.errors import NetworkError
from pellucid.inference.forward import as_tensor
from pellucid.inference.onnx_graph import Normalised
from pellucid.records import Model, atomic
from pellucid.records.paths import expand_user


@dataclass(frozen=True)
class Program:
    """An exported program, uint8 (N, C, H, W) → outputs float32 (N, K), and the model that it was made from."""

    program: Any
    model: Model

    @classmethod
    def of(cls, network: nn.Module, model: Model) -> Program:
        """Exports a network with its preprocessing, for any number of pictures.

        Raises:
            NetworkError: torch cannot export it.
        """
        preprocessing = model.specification.preprocessing
        example = torch.zeros(2, *preprocessing.shape, dtype=torch.uint8)
        batch = {"pictures": {0: torch.export.Dim("N", min=1)}}
        try:
            with torch.no_grad():
                program = torch.export.export(
                    Normalised(network, preprocessing).eval(), (example,), dynamic_shapes=batch, strict=False
                )
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise NetworkError(f"torch.export cannot export {type(network).__name__}: {reason}.") from error
        return cls(program, model)

    def outputs(self, pictures: np.ndarray) -> np.ndarray:
        """Outputs, float32 (N, K), for uint8 pictures (N, C, H, W)."""
        run = self.program.module()
        with torch.no_grad():
            parts = [run(as_tensor(pictures[start : start + 16])) for start in range(0, len(pictures), 16)]
        return torch.cat(parts).numpy()

    def save(self, path: str | Path) -> None:
        """Writes the program, with the specification as the extra file `pellucid.json`."""
        document = {
            "specification": json.loads(self.model.specification.canonical()),
            "parameters": self.model.parameters,
            "source": self.model.sha256,
        }
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "No complete tensor found", UserWarning)  # of torch, about constants
            torch.export.save(self.program, file, extra_files={"pellucid.json": json.dumps(document, sort_keys=True)})
        atomic.write_bytes(expand_user(path), file.getvalue())

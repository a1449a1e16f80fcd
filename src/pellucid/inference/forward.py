"""One pass of pictures through a module, in batches that the processor or card takes well."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from pellucid.data import preprocessing as preparing
from pellucid.errors import NetworkError
from pellucid.inference import fused
from pellucid.inference.device import computing
from pellucid.records import MappedPictures, Preprocessing

Progress = Callable[[int, int], None]
"""Called with (pictures done, pictures in total)."""

_MOST_VALUES = 4_000_000
"""Most pixel values in one batch on a processor: 256 photos of 224×224 would take gigabytes and be no faster.

On a card, which is busy only with many, so many values are one batch.
"""


def forward(
    module: nn.Module,
    pictures: np.ndarray | torch.Tensor | MappedPictures,
    preprocessing: Preprocessing,
    *,
    batch_size: int = 256,
    progress: Progress | None = None,
    precision: str = "full",
    fast: fused.FusedLite0 | None = None,
) -> torch.Tensor:
    """Outputs of a module, float32 (N, K), for uint8 pictures (N, C, H, W), in evaluation mode, without gradients.

    Args:
        module: its training mode is restored afterwards.
        pictures: uint8 (N, C, H, W).
        preprocessing: turns them into inputs.
        batch_size: pictures in one batch; fewer if they are large.
        progress: called after each batch.
        precision: of the computation, see `pellucid.inference.device`. The outputs are always float32.
        fast: the fused form of the module, if you keep one; None makes one if the module has such a form.

    Raises:
        NetworkError: the module fails on pictures of this shape.
    """
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    source = as_tensor(pictures) if isinstance(pictures, np.ndarray) else pictures
    mode = module.training
    module.eval()
    outputs: list[torch.Tensor] = []
    run: Callable[[torch.Tensor], torch.Tensor] = module
    most = _MOST_VALUES
    if precision == "full" and (fast is not None or fused.can_be_fused(module)):
        run, most = fast if fast is not None else fused.FusedLite0(module), fused.AT_ONCE  # type: ignore[arg-type]
    if device.type == "cuda" and len(source):
        batch_size = max(batch_size, most // int(np.prod(source.shape[1:])))
    elif device.type == "cpu" and len(source):
        batch_size = min(batch_size, max(1, most // int(np.prod(source.shape[1:]))))
    try:
        with torch.inference_mode(), computing(precision, device):
            for start in range(0, len(source), batch_size):
                batch = gather(source, slice(start, start + batch_size))
                outputs.append(run(preparing.normalise(batch.to(device), preprocessing)).float())
                if progress is not None:
                    progress(sum(map(len, outputs)), len(source))
    except (RuntimeError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise NetworkError(
            f"The network {type(module).__name__} failed on pictures of shape (C, H, W) = {preprocessing.shape}: "
            f"{reason}."
        ) from error
    finally:
        module.train(mode)
    return torch.cat(outputs).cpu() if outputs else torch.zeros(0, 0)


def gather(pictures: torch.Tensor | MappedPictures, which: torch.Tensor | slice) -> torch.Tensor:
    """Chosen pictures in the given order, uint8 (B, C, H, W). Of mapped pictures only these are read into memory."""
    if isinstance(pictures, torch.Tensor):
        # `index_select` copies whole pictures; `pictures[which]` computes the address of each byte and takes five to
        # nine times as long.
        return pictures[which] if isinstance(which, slice) else pictures.index_select(0, which)
    return torch.from_numpy(pictures[which if isinstance(which, slice) else which.cpu().numpy()])


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """The same memory as a tensor. Do not write to it: the array may be a read-only mapped file."""
    # An axis of length one may have any stride. NumPy leaves odd ones, which torch takes for channels last.
    array = np.ascontiguousarray(array).reshape(-1).reshape(array.shape)
    if array.flags.writeable:
        return torch.from_numpy(array)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return torch.from_numpy(array)

"""Static quantisation of an ONNX graph to 8 bits, with ONNX Runtime's own tool."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.errors import NetworkError, UsageError


def quantised(graph: bytes, pictures: np.ndarray) -> bytes:
    """The graph with int8 weights (per channel) and uint8 activations, whose ranges are measured on the pictures.

    Source: Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
    inference", 2018 (arXiv:1712.05877).

    Args:
        graph: an ONNX file with the input `pictures`.
        pictures: uint8 (N, C, H, W), not those that measure the accuracy.

    Raises:
        UsageError: a package is missing.
        NetworkError: the graph cannot be quantised.
    """
    try:
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise UsageError('--int8 needs the packages onnx and onnxruntime: pip install "pellucid[export]".') from error

    class Reader(quantization.CalibrationDataReader):
        """Hands the pictures out, eight at a time."""

        def __init__(self) -> None:
            self.batches = iter([pictures[start : start + 8] for start in range(0, len(pictures), 8)])

        def get_next(self) -> Any:
            batch = next(self.batches, None)
            return None if batch is None else {"pictures": np.ascontiguousarray(batch)}

    # `logging.disable`: the tool writes warnings with the root logger.
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            plain, ready, small = (Path(folder, name) for name in ("plain.onnx", "ready.onnx", "small.onnx"))
            plain.write_bytes(graph)
            quant_pre_process(str(plain), str(ready), skip_symbolic_shape=True)
            quantization.quantize_static(str(ready), str(small), Reader(), per_channel=True)
            return small.read_bytes()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise NetworkError(f"The network cannot be stored in 8 bits: {reason}. Omit --int8.") from error
    finally:
        logging.disable(before)

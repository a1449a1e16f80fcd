"""A model on ONNX Runtime: `OnnxRunner`, the runner of exported models. Imports no torch."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from pellucid.data.progress import Progress
from pellucid.errors import ModelFileError, NetworkError, UsageError
from pellucid.records import Specification
from pellucid.records.exported import ExportedModel

_VALUES_AT_ONCE = 300_000
"""Pixel values in one batch: one photo of 3×288×288. Larger batches leave the CPU's cache and are slower."""


def require_onnxruntime() -> None:
    """Raises UsageError if ONNX Runtime is not installed."""
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "Exported models need ONNX Runtime, which is not installed. "
            'Install it with: pip install "pellucid[export]".'
        ) from error


class OnnxRunner:
    """An exported model on ONNX Runtime, on the CPU.

    Many pictures are shared among threads, one batch each, which is faster than a batch that all threads share.

    Args:
        exported: the exported model.

    Raises:
        UsageError: ONNX Runtime is not installed.
        ModelFileError: ONNX Runtime does not accept the graph.
    """

    def __init__(self, exported: ExportedModel) -> None:
        require_onnxruntime()
        self.exported = exported
        self._sessions: dict[bool, Any] = {}
        inputs = self._session(many=False).get_inputs()
        if [(one.name, one.type) for one in inputs] != [("pictures", "tensor(uint8)")]:
            raise ModelFileError("The graph of this model does not take uint8 pictures: export it again.")

    @property
    def specification(self) -> Specification:
        return self.exported.specification

    @property
    def sha256(self) -> str:
        return self.exported.sha256

    def outputs(self, pictures: Any, *, batch_size: int = 256, progress: Progress | None = None) -> np.ndarray:
        """Outputs, float32 (N, K), for uint8 pictures (N, C, H, W).

        Raises:
            NetworkError: the graph fails on these pictures.
        """
        count, shape = len(pictures), self.specification.preprocessing.shape
        if not count:
            return np.zeros((0, len(self.specification.classes)), np.float32)
        step = min(batch_size, max(1, _VALUES_AT_ONCE // int(np.prod(shape))))
        starts = range(0, count, step)
        session = self._session(many=len(starts) > 1)

        def run(start: int) -> np.ndarray:
            batch = np.ascontiguousarray(pictures[start : start + step])
            return session.run(["outputs"], {"pictures": batch})[0]

        outputs: list[np.ndarray] = []
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            try:
                for start, part in zip(starts, pool.map(run, starts), strict=True):
                    outputs.append(part)
                    if progress is not None:
                        progress(start + len(part), count)
            except Exception as error:
                pool.shutdown(cancel_futures=True)
                raise NetworkError(
                    f"The exported graph failed on pictures of shape {shape}: {_first(error)}."
                ) from error
        return np.concatenate(outputs)

    def features(
        self,
        pixels: np.ndarray,  # noqa: ARG002 (the protocol's name)
        *,
        progress: Progress | None = None,  # noqa: ARG002 (the same)
    ) -> tuple[np.ndarray, np.ndarray]:
        """An exported model has outputs alone.

        Raises:
            UsageError: always.
        """
        raise UsageError("An exported model has no features. Give the model that it was exported from.")

    def _session(self, *, many: bool) -> Any:
        """The session for many batches at once, each on one thread, or for one batch on all threads."""
        if many not in self._sessions:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            options.intra_op_num_threads = 1 if many else os.cpu_count() or 1
            options.inter_op_num_threads = 1
            try:
                self._sessions[many] = onnxruntime.InferenceSession(
                    self.exported.graph, options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:
                raise ModelFileError(
                    f"ONNX Runtime does not accept the graph of this model: {_first(error)}."
                ) from error
        return self._sessions[many]


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")

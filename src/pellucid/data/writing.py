"""Writer of sharded Parquet with pictures inside, as on the Hugging Face hub, for data larger than memory."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data.progress import watched
from pellucid.data.splitting import GROUPS
from pellucid.errors import UsageError
from pellucid.records import Dataset, PictureFiles, Split, atomic

__all__ = ["write_parquet"]

_ROW_GROUP_BYTES = 16 * 1024**2


def write_parquet(dataset: Dataset, folder: str | Path, *, per_shard: int = 10_000) -> list[Path]:
    """Write `train-00000-of-00004.parquet` and so on; `pellucid.load(folder)` reads them.

    Files keep their bytes; decoded pictures are written as PNG. Columns: `image` (a struct of `bytes` and `path`,
    which is the id), `label` with the class names in the metadata, and `groups` if the dataset has them.

    Args:
        dataset: the dataset.
        folder: target folder, created if necessary. It must not have Parquet files.
        per_shard: maximum number of pictures in a file.

    Returns:
        The paths of the files.

    Raises:
        UsageError: `per_shard` is less than 1, or the folder has Parquet files.
        StorageError: a file cannot be written.
    """
    if per_shard < 1:
        raise UsageError(f"per_shard must be at least 1; given: per_shard={per_shard}.")
    top = atomic.make_folder(folder)
    if any(top.glob("*.parquet")):
        raise UsageError(f"{top} already has Parquet files. Choose another folder.")
    written = []
    for split in dataset:
        shards = -(-len(split) // per_shard)
        for number in range(shards):
            path = top / f"{split.name}-{number:05d}-of-{shards:05d}.parquet"
            rows = np.arange(number * per_shard, min((number + 1) * per_shard, len(split)))
            _write(path, split.take(rows))
            written.append(path)
    return written


def _write(path: Path, split: Split) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())]
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    features["label"] = {"names": list(split.classes), "_type": "ClassLabel"}
    if GROUPS in split.columns:
        kinds.append((GROUPS, pa.string()))
        features[GROUPS] = {"dtype": "string", "_type": "Value"}
    schema = pa.schema(kinds, metadata={"huggingface": json.dumps({"info": {"features": features}})})
    labels, ids = split.known_labels().tolist(), split.ids.tolist()
    groups = split.columns[GROUPS].tolist() if GROUPS in split.columns else []
    with atomic.replacing(path) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        rows: list[dict[str, Any]] = []
        size = 0
        for index, content in enumerate(watched(_encoded(split), len(split), f"Writing {path.name}")):
            row = {"image": {"bytes": content, "path": ids[index]}, "label": labels[index]}
            rows.append(row | {GROUPS: str(groups[index])} if groups else row)
            size += len(content)
            if size >= _ROW_GROUP_BYTES or index == len(split) - 1:
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
                rows, size = [], 0


def _encoded(split: Split) -> Iterator[bytes]:
    """The bytes of each picture: those of its file, or a PNG."""
    from PIL import Image

    if isinstance(split.pictures, PictureFiles):
        yield from (path.read_bytes() for path in split.pictures.paths)
        return
    for index in range(len(split)):
        picture = split.pictures[index]
        stream = io.BytesIO()
        image = Image.fromarray(np.ascontiguousarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)))
        image.save(stream, "PNG", compress_level=1)
        yield stream.getvalue()

"""Damaged and lying containers: each is read or refused in a sentence, in bounded time and memory.

Each format is tried in a process of its own, whose memory the system limits. The limits are far above
what the small files here need: only a runaway breaks them.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

pytestmark = pytest.mark.slow

MOST_MEMORY = 1_000_000_000
MOST_SECONDS = 20
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**40, 2**62, 2**64 - 1, -1, -512)


def png(number: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (8, 8), 20 * number).save(stream, "PNG")
    return stream.getvalue()


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as file:
        for number in range(6):
            name = f"{'x' * 120}{number}" if number == 0 else str(number)
            for suffix, content in (("png", png(number)), ("json", b'{"label": "%d"}' % (number % 2))):
                member = tarfile.TarInfo(f"{name}.{suffix}")
                member.size = len(content)
                file.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def cifar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = 2 * 3073
            file.addfile(member, io.BytesIO((b"\0" + bytes(3072)) * 2))
    return stream.getvalue()


def idx() -> bytes:
    return bytes([0, 0, 8, 3]) + struct.pack(">III", 6, 4, 4) + bytes(range(96))


def parquet(*, compression: str = "snappy") -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    features = {"label": {"_type": "ClassLabel", "names": ["a", "b"]}}
    table = pa.table(
        {
            "image": [{"bytes": png(number), "path": f"{number}.png"} for number in range(6)],
            "label": [number % 2 for number in range(6)],
        }
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=2, compression=compression)
    return stream.getvalue()


def csv() -> bytes:
    return b"path,label\n" + b"".join(b"%d.png,%s\n" % (number, b"ab"[number % 2 :][:1]) for number in range(6))


def predictions() -> bytes:
    from pellucid.records import Predictions

    made = Predictions(np.array(["a", "b"]), np.full((2, 2), 0.5, np.float32), ("x", "y"), np.array([0, 1]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        made.save(path)
        return path.read_bytes()


def model() -> bytes:
    from pellucid.records import Model, NetworkSpecification, Preprocessing, Specification

    specification = Specification(
        network=NetworkSpecification(name="logistic-regression"),
        classes=("a", "b"),
        preprocessing=Preprocessing(channels=1, height=2, width=2),
    )
    weights = {"linear.weight": np.zeros((2, 4), np.float32), "linear.bias": np.zeros(2, np.float32)}
    return Model(specification, weights).to_bytes()


def load_data(path: Path) -> None:
    from pellucid.data import load

    load(path, test_fraction=0)


def load_idx(path: Path) -> None:
    from pellucid.data.idx import read_idx

    read_idx(path)


def load_cifar(path: Path) -> None:
    from pellucid.data import cifar

    cifar.read(path)


def load_predictions(path: Path) -> None:
    from pellucid.records import Predictions

    Predictions.load(path)


def load_model(path: Path) -> None:
    from pellucid.inference import build
    from pellucid.records import Model

    build(Model.load(path))


FORMATS = {
    "tar": ("shard-000000.tar", tar, load_data),
    "cifar": ("cifar-10-binary.tar.gz", cifar, load_cifar),
    "cifar unpacked": ("cifar-10.tar", cifar, load_cifar),
    "idx": ("train-images-idx3-ubyte", idx, load_idx),
    "idx gzipped": ("train-images-idx3-ubyte.gz", idx, load_idx),
    "parquet": ("data.parquet", parquet, load_data),
    "parquet uncompressed": ("plain.parquet", lambda: parquet(compression="none"), load_data),
    "csv": ("table.csv", csv, load_data),
    "predictions": ("predictions.parquet", predictions, load_predictions),
    "model": ("model.safetensors", model, load_model),
}
"""Name -> (file name, a whole file, its reader). Names in `.gz` are compressed after most changes."""


def with_checksum(content: bytearray) -> None:
    """Puts the right checksum into every header of a tar archive, so that lies in it are believed."""
    for offset in range(0, len(content) - 511, 512):
        if content[offset + 257 : offset + 262] == b"ustar":
            content[offset + 148 : offset + 156] = b" " * 8
            content[offset + 148 : offset + 156] = b"%06o\0 " % sum(content[offset : offset + 512])


def changed(content: bytes, changes: list[tuple[float, str, int, int]]) -> bytearray:
    """The content with bytes overwritten, lost, doubled, or with numbers that lie."""
    result = bytearray(content)
    for share, kind, number, width in changes:
        position = int(share * max(0, len(result) - 1))
        if kind == "byte":
            result[position : position + 1] = bytes([number % 256])
        elif kind in ("big", "little"):
            result[position : position + width] = (number % 256**width).to_bytes(width, kind)
        elif kind == "octal":
            result[position : position + 12] = b"%011o\0" % (number % 8**11)
        elif kind == "delete":
            del result[position : position + width]
        elif kind == "double":
            result[position:position] = result[position : position + 64 * width]
        elif kind == "cut":
            del result[position:]
    return result


CHANGES = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.sampled_from(["byte", "big", "little", "octal", "delete", "double", "cut"]),
        st.sampled_from(NUMBERS) | st.integers(0, 2**64 - 1),
        st.sampled_from([1, 2, 4, 8]),
    ),
    min_size=1,
    max_size=5,
)


def run(name: str, examples: int) -> dict[str, object]:
    """Reads changed files of one format, in this process. Returns the number of refused ones and what was wrong."""
    from pellucid.errors import PellucidError

    file, make, load = FORMATS[name]
    whole = make()
    outcomes = {"read": 0, "refused": 0}
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        for number in range(6):
            (Path(folder) / f"{number}.png").write_bytes(png(number))

        def write(content: bytes) -> None:
            path.write_bytes(content)

        write(gzip.compress(whole) if file.endswith(".gz") else whole)
        load(path)
        _limit_memory()

        @settings(
            max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(changes=CHANGES, checksums=st.booleans(), outside=st.booleans())
        def attempt(changes: list[tuple[float, str, int, int]], *, checksums: bool, outside: bool) -> None:
            packed = file.endswith(".gz")
            content = changed(gzip.compress(whole) if packed and outside else whole, changes)
            if checksums:
                with_checksum(content)
            write(gzip.compress(content) if packed and not outside else bytes(content))
            before = time.process_time()
            try:
                load(path)
                outcomes["read"] += 1
            except PellucidError as error:
                outcomes["refused"] += 1
                text = str(error)
                if not text.isprintable() or len(text) > 2000 or not text.endswith((".", "?")):
                    wrong.append(f"{changes}: {text[:300]!r}")
            except BaseException as error:  # noqa: BLE001 (whatever else comes is what this looks for)
                wrong.append(f"{changes} {checksums} {outside}: {error!r}")
            if time.process_time() - before > MOST_SECONDS:
                wrong.append(f"{changes}: {time.process_time() - before:.0f} s")

        attempt()
    return {**outcomes, "wrong": wrong[:5]}


def _limit_memory() -> None:
    """From here on, this process may take `MOST_MEMORY` more bytes; no limit where the system has none."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        held = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + MOST_MEMORY, held + MOST_MEMORY))


@pytest.mark.parametrize("name", FORMATS)
def test_changed_containers_are_read_or_refused(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), name, "150"], capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["wrong"] == []
    assert outcome["refused"] > 30


def sentence(path: Path, load: object = load_data) -> str:
    """The refusal of a file, which takes at most 200 MB of Python's memory."""
    from pellucid.errors import PellucidError

    assert callable(load)
    tracemalloc.start()
    try:
        with pytest.raises(PellucidError) as caught:
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 200_000_000
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 600
    return str(caught.value)


def test_a_gzipped_file_that_unpacks_to_far_more_is_refused(tmp_path, monkeypatch):
    from pellucid.data import idx as reader

    monkeypatch.setattr(reader, "FREE_BYTES", 1 << 20)
    content = bytes([0, 0, 8, 3]) + struct.pack(">III", 5000, 100, 100) + bytes(50_000_000)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(content))
    assert "declares 50,000,000 bytes, but a file of its size holds at most" in sentence(path, load_idx)


def with_metadata(path: Path, feature: str, labels: list[object] | None = None) -> Path:
    """A Parquet file with pictures and this text as its metadata for hubs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = [number % 2 for number in range(6)] if labels is None else labels
    images = [{"bytes": png(number), "path": f"{number}.png"} for number in range(len(labels))]
    table = pa.table({"image": images, "label": labels}).replace_schema_metadata({"huggingface": feature})
    pq.write_table(table, path)
    return path


def feature(names: object) -> str:
    return json.dumps({"info": {"features": {"label": {"_type": "ClassLabel", "names": names}}}})


@pytest.mark.parametrize(
    "text",
    [
        '{"info":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"info":1' + "0" * 5000 + "}",
        feature({"1" + "0" * 5000: "a", "1": "b"}),
        feature({"²": "a", "1": "b"}),
        "[1, 2]",
        "no JSON",
    ],
)
def test_metadata_without_sense_is_no_metadata(text, tmp_path):
    from pellucid.data import load

    assert load(with_metadata(tmp_path / "a.parquet", text), test_fraction=0).classes == ("0", "1")


@pytest.mark.parametrize("as_dictionary", [False, True])
def test_two_million_class_names_are_refused(as_dictionary, tmp_path):
    names = [str(number) for number in range(2_000_000)]
    text = feature(dict(zip(names, names, strict=True)) if as_dictionary else names)
    path = with_metadata(tmp_path / "a.parquet", text)
    from pellucid.errors import DataError

    with pytest.raises(DataError, match="has 2,000,000 class names; at most 65,536 are supported"):
        load_data(path)


def test_a_column_of_ids_is_no_column_of_labels(tmp_path, monkeypatch):
    from pellucid.data import labels

    monkeypatch.setattr(labels, "MOST_CLASSES", 5)
    path = with_metadata(tmp_path / "a.parquet", "{}", [f"id{number}" for number in range(6)])
    assert "has 6 class names; at most 5 are supported. Is it a column of ids" in sentence(path).replace("have", "has")


@pytest.mark.parametrize("label", ["9" * 5000, "a" * 10_000_000])
def test_huge_labels_are_refused(label, tmp_path):
    path = with_metadata(tmp_path / "a.parquet", feature(["a", "b"]), [label, "1"] * 3)
    assert "a label has at most 1,000 characters" in sentence(path)


def test_a_huge_class_name_is_refused(tmp_path):
    path = with_metadata(tmp_path / "a.parquet", feature(["a" * 1_000_000, "b"]))
    assert "has a class name of 1,000,000 characters" in sentence(path)


@pytest.mark.parametrize("rows", [2**40, 2**62])
def test_more_rows_than_bytes_are_refused(rows, tmp_path):
    from pellucid.data.files import require_plausible
    from pellucid.errors import FormatError

    with pytest.raises(FormatError, match=r"declares .* rows, but a file of its size holds at most 1,000,000"):
        require_plausible(tmp_path / "a.parquet", rows, "rows", at_most=1_000_000)


@pytest.mark.parametrize("nested", [False, True])
def test_one_picture_for_many_rows_stays_one_picture_in_memory(nested, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pellucid.data import load

    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "PNG", compress_level=0)
    pictures = pa.array([stream.getvalue()] * 300)
    images = pa.StructArray.from_arrays([pictures], ["bytes"]) if nested else pictures
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": images, "label": ["a", "b"] * 150}), path, dictionary_pagesize_limit=1 << 30)
    assert path.stat().st_size < 1_500_000
    usual, fresh = pa.default_memory_pool(), pa.system_memory_pool()
    before = fresh.bytes_allocated()
    pa.set_memory_pool(fresh)
    try:
        assert len(load(path, test_fraction=0).train) == 300
    finally:
        pa.set_memory_pool(usual)
    assert fresh.max_memory() - before < 50_000_000, "the pictures of all rows take 300 MB"


def test_predictions_with_one_long_name_for_many_rows_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 20_000
    table = pa.table({"id": ["x" * 100_000] * rows, "p:a": np.zeros(rows, np.float32)})
    metadata = {"version": 1, "classes": ["a"], "dataset": "", "split": "", "model": "", "unreadable": {}, "sha256": ""}
    pq.write_table(table.replace_schema_metadata({"pellucid": json.dumps(metadata)}), tmp_path / "p.parquet")
    assert (tmp_path / "p.parquet").stat().st_size < 1_000_000
    assert "it has names of up to 100,000 characters" in sentence(tmp_path / "p.parquet", load_predictions)


def test_a_table_with_a_huge_cell_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text(f"path,label\na.png,{'x' * 1_000_000}\n", encoding="utf-8")
    assert "field larger than field limit" in sentence(tmp_path / "table.csv")
    (tmp_path / "table.csv").write_text(f"path,label\na.png,{'x' * 100_000}\n", encoding="utf-8")
    assert "a label has at most 1,000 characters" in sentence(tmp_path / "table.csv")


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], int(sys.argv[2]))))  # noqa: T201 (read by the test)

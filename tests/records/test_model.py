"""The model file: equal models are equal bytes, and whatever happens to the bytes, no wrong model comes out."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.numpy import save as safetensors_bytes

from pellucid.errors import ModelFileError
from pellucid.records import Model, NetworkSpecification, Preprocessing, Specification

GREY = Preprocessing(channels=1, height=2, width=3)


def make(**changes: Any) -> Model:
    values: dict[str, Any] = {
        "network": NetworkSpecification(name="logistic-regression"),
        "classes": ("cat", "dög", "a=b, c"),
        "preprocessing": GREY,
        "training": {"seed": 3, "recipe": {"learning_rate": 1e-3}},
        "metrics": {"validation_accuracy": {"value": 0.1 + 0.2, "n": 10}},
    }
    generator = np.random.default_rng(0)
    weights = {
        "linear.weight": generator.normal(size=(3, 6)).astype(np.float32),
        "linear.bias": np.zeros(3, np.float32),
        "counter": np.array(7, np.int64),
    }
    return Model(Specification(**(values | changes)), weights)


@pytest.fixture
def file(tmp_path) -> Path:
    return make().save(tmp_path / "model.safetensors")


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        Model.load(path)
    text = str(caught.value)
    assert str(path) in text
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_a_model_survives_a_round_trip(file):
    model = make()
    loaded = Model.load(file)
    assert loaded == model
    assert hash(loaded) == hash(model)
    assert loaded.specification == model.specification
    assert loaded.weights.keys() == model.weights.keys()
    for name, array in model.weights.items():
        assert loaded.weights[name].dtype == array.dtype
        assert loaded.weights[name].shape == array.shape, name
        np.testing.assert_array_equal(loaded.weights[name], array)


def test_the_folder_of_a_run_stands_for_its_model(file):
    assert Model.load(file.parent) == make()


def test_equal_models_are_equal_bytes_however_they_were_put_together(tmp_path):
    model = make()
    turned = Model(
        model.specification.model_copy(
            update={"training": {"recipe": {"learning_rate": 1e-3}, "seed": 3}},
        ),
        {name: np.array(model.weights[name], order="F") for name in reversed(model.weights)},
    )
    assert turned == model
    assert turned.save(tmp_path / "b").read_bytes() == model.save(tmp_path / "a").read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        lambda model: make(metrics={"validation_accuracy": {"value": 0.5, "n": 10}}),
        lambda model: make(classes=("cat", "dog", "a=b, c")),
        lambda model: replace(model, weights=model.weights | {"linear.bias": np.ones(3, np.float32)}),
        lambda model: replace(model, weights=model.weights | {"linear.bias": np.zeros(3, np.float64)}),
        lambda model: replace(model, weights=model.weights | {"linear.bias": np.zeros((3, 1), np.float32)}),
    ],
)
def test_models_differ_if_any_part_differs(other):
    model = make()
    assert other(model) != model
    assert other(model).sha256 != model.sha256
    assert model != "a model"


def test_the_header_has_one_key_of_sorted_json(file):
    content = file.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    assert list(metadata) == ["pellucid"]
    document = json.loads(metadata["pellucid"])
    assert metadata["pellucid"] == json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert document["specification"]["version"] == 3


def test_any_length_of_header_can_be_read(tmp_path):
    # The header's length comes first; those ending in 0x80 look like the start of a pickle.
    starts = set()
    for n in range(0, 520, 8):
        path = make(training={"note": "x" * n}).save(tmp_path / "model.safetensors")
        starts.add(path.read_bytes()[0])
        Model.load(path)
    assert 0x80 in starts


def test_half_precision_is_kept(tmp_path):
    model = replace(make(), weights={"w": np.array([1.5, -2.0], np.float16)})
    assert Model.load(model.save(tmp_path / "m")).weights["w"].dtype == np.float16


def test_numbers_that_numpy_does_not_know_are_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "brain.safetensors"
    save_file({"w": torch.zeros(3, dtype=torch.bfloat16)}, str(path), metadata={"pellucid": "{}"})
    assert "bfloat16" in refusal(path)
    assert "float32" in refusal(path)


def test_missing(tmp_path):
    assert refusal(tmp_path / "none.safetensors").startswith("There is no model file at")


def test_a_folder_without_a_model(tmp_path):
    assert "is a folder without a model.safetensors" in refusal(tmp_path)


def test_a_file_that_may_not_be_read(file, monkeypatch):
    def refuse(*_arguments: Any, **_named: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "cannot be read: Permission denied" in refusal(file)


def test_cut_off_anywhere(file):
    content = file.read_bytes()
    for cut in [0, 1, 7, 8, 9, *range(10, len(content), max(1, len(content) // 50)), len(content) - 1]:
        file.write_bytes(content[:cut])
        text = refusal(file)
        assert "cut off" in text or "damaged" in text, (cut, text)


def test_flipped_bits_anywhere_never_give_another_model(file):
    content = file.read_bytes()
    model = make()
    header = struct.unpack("<Q", content[:8])[0]
    dice = random.Random(0)
    places = [*range(8), *(dice.randrange(8, 8 + header) for _ in range(300)), *range(8 + header, len(content))]
    refused = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << dice.randrange(8)
        file.write_bytes(damaged)
        try:
            loaded = Model.load(file)
        except ModelFileError:
            refused += 1
        else:
            assert loaded == model, place
    assert refused > 0.95 * len(places)


def test_bytes_too_many(file):
    file.write_bytes(file.read_bytes() + b"\0" * 16)
    refusal(file)


@pytest.mark.parametrize("length", [2**63 - 1, 2**64 - 1, 2**40, 100_000_000])
def test_a_lying_length_of_the_header_takes_no_memory(file, length):
    content = file.read_bytes()
    file.write_bytes(struct.pack("<Q", length) + content[8:])
    tracemalloc.start()
    try:
        assert "cut off" in refusal(file)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_under_another_name(tmp_path, protocol):
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps({"weights": [1.0] * 20}, protocol=protocol))
    text = refusal(path)
    assert "pickle" in text or (protocol < 2 and "not a model file" in text)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_of_torch_under_another_name(tmp_path, zipped):
    path = tmp_path / "model.safetensors"
    torch.save({"w": torch.zeros(3)}, path, _use_new_zipfile_serialization=zipped)
    assert "is a pickle, not a safetensors file" in refusal(path)


def test_a_text_file(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_text("this is only text, and long enough", encoding="utf-8")
    assert "is not a model file" in refusal(path)


def test_somebody_elses_safetensors(tmp_path):
    path = tmp_path / "theirs.safetensors"
    for metadata in (None, {"format": "pt"}):
        path.write_bytes(safetensors_bytes({"w": np.zeros(3, np.float32)}, metadata=metadata))
        assert "not a Pellucid model" in refusal(path)


def rewritten(path: Path, change: Any) -> Path:
    """The model file, with its JSON changed and all else as it is."""
    model = make()
    document = {"sha256": model.sha256, "specification": json.loads(model.specification.canonical())}
    document = change(document)
    text = document if isinstance(document, str) else json.dumps(document)
    path.write_bytes(safetensors_bytes(dict(model.weights), metadata={"pellucid": text}))
    return path


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda d: {**d, "specification": d["specification"] | {"version": 4}}, "Upgrade"),
        (
            lambda d: {**d, "specification": d["specification"] | {"version": 1}},
            "has format version 1; this Pellucid reads version 3. Train ",
        ),
        (lambda d: {**d, "specification": d["specification"] | {"version": "new"}}, "bad version"),
        (lambda d: {**d, "specification": d["specification"] | {"code": "import os"}}, "bad code"),
        (lambda d: {**d, "specification": d["specification"] | {"classes": ["one"]}}, "bad classes"),
        (lambda d: {**d, "specification": d["specification"] | {"classes": ["a", "a"]}}, "name of its own"),
        (lambda d: {**d, "specification": d["specification"] | {"temperature": 0}}, "bad temperature"),
        (lambda d: {**d, "specification": d["specification"] | {"temperature": 2.0}}, "checksum"),
        (lambda d: {"specification": d["specification"]}, "description cannot be read"),
        (lambda d: {"sha256": d["sha256"]}, "description cannot be read"),
        (lambda d: [d], "description cannot be read"),
        (lambda d: {**d, "specification": []}, "description cannot be read"),
        (lambda _: "{", "description cannot be read"),
        (lambda _: "[" * 200_000, "description cannot be read"),
    ],
)
def test_a_description_that_is_not_ours(tmp_path, change, part):
    assert part in refusal(rewritten(tmp_path / "model.safetensors", change))


def test_the_test_helper_rewrites_a_valid_description(tmp_path):
    assert Model.load(rewritten(tmp_path / "model.safetensors", lambda d: d)) == make()


def test_a_file_of_a_version_that_knew_fewer_settings_is_read(tmp_path):
    def older(document: dict[str, Any]) -> dict[str, Any]:
        content = {k: v for k, v in document["specification"].items() if k not in ("tta", "tta_below")}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())
        for name, array in sorted(make().weights.items()):
            digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
        return {"specification": content, "sha256": digest.hexdigest()}

    assert Model.load(rewritten(tmp_path / "model.safetensors", older)) == make()


def test_nan_in_a_description(tmp_path):
    def spoilt(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "specification": document["specification"] | {"training": {"seed": float("nan")}}}

    assert "description cannot be read" in refusal(rewritten(tmp_path / "model.safetensors", spoilt))


@pytest.mark.parametrize(
    "values",
    [
        {"std": (0.0,)},
        {"std": (float("nan"),)},
        {"mean": (float("inf"),)},
        {"mean": (0.1, 0.2)},
        {"channels": 2},
        {"height": 0},
        {"scaling": "none"},
    ],
)
def test_a_preprocessing_that_cannot_be(values):
    with pytest.raises(ValidationError):
        Preprocessing(**({"channels": 3, "height": 4, "width": 4} | values))


def test_loading_needs_no_torch_and_runs_no_code(file):
    code = (
        "import sys; from pellucid.records import Model; m = Model.load(sys.argv[1]); print(m.sha256); "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == make().sha256


def test_its_repr():
    assert repr(make()) == "Model(logistic-regression, 3 classes, 22 numbers)"

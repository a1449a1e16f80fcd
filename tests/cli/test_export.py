from __future__ import annotations

import shutil

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def copied(model_file, tmp_path):
    return shutil.copy(model_file, tmp_path / "model.safetensors")


def test_an_exported_model_is_taken_as_any_other(pellucid, copied, scans, tmp_path):
    done = pellucid("export", copied)
    assert done.code == 0
    assert done.out.lower().startswith("same class")
    onnx = tmp_path / "model.onnx"
    assert str(onnx) in done.out
    assert pellucid("predict", onnx, scans / "a.png").out == pellucid("predict", copied, scans / "a.png").out
    told, exported = (pellucid("evaluate", one, "digits", "--json").findings for one in (copied, onnx))
    assert exported["accuracy"]["value"] == told["accuracy"]["value"]
    lines = pellucid("info", onnx).out
    assert "Exported     ONNX, float32; runs without torch" in lines
    assert "Tells apart  10 classes" in lines
    rows = dict(pellucid("info", onnx, "--json").findings["model"]["rows"])
    assert rows["exported"] == "ONNX, float32"


def test_mistakes(pellucid, copied, tmp_path):
    assert (
        "There is no export format named 'onx'. Did you mean 'onnx'?"
        in pellucid("export", copied, "--to", "onx").sentence
    )
    assert pellucid("export", copied, "--out", "m.pt").sentence == "Files of this format end in .onnx; given: m.pt."
    assert pellucid("export", copied, "--to", "torch-export", "--int8").sentence == (
        "--int8 is for ONNX. Use --to onnx, or omit --int8."
    )
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    assert "not an ONNX file" in pellucid("predict", tmp_path / "bad.onnx", "x.png").sentence


def test_a_model_whose_pictures_are_unknown_needs_data(pellucid, copied, tmp_path, monkeypatch):
    from pellucid.cli import export

    monkeypatch.setattr(export, "_source", lambda *_: None)
    assert pellucid("export", copied).sentence.endswith("is unknown. Add --data FOLDER.")
    assert pellucid("export", copied, "--data", "digits", "--json").findings["same_class"]["n"] == 144

"""TensorBoard's event files, read back with TensorBoard's own reader."""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path

import pytest

import pellucid
from pellucid.cli import main
from pellucid.errors import TrainingError, UsageError
from pellucid.training.history import History
from pellucid.training.tensorboard import TAGS, TensorBoard
from pellucid.workflows import train as workflow


@pytest.fixture(scope="module")
def digits():
    return pellucid.load("digits")


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """From each curve's tag to its points: (epoch, value)."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: dict[str, dict[int, float]] = {}
    # One by one: of files of one process and second, a folder's reader passes over number 10 after number 9.
    for file in sorted(folder.glob("events*"), key=lambda path: path.stat().st_mtime_ns):
        events = EventAccumulator(str(file))
        events.Reload()
        for tag in events.Tags()["scalars"]:
            found.setdefault(tag, {}).update({point.step: point.value for point in events.Scalars(tag)})
    return {tag: sorted(points.items()) for tag, points in found.items()}


def test_the_curves_are_the_history(digits, tmp_path):
    done = workflow.run(
        digits, "logistic-regression", epochs=3, out=tmp_path / "run", report=False, callbacks=[TensorBoard()]
    )
    found = curves(tmp_path / "run" / "tensorboard")
    assert set(found) == set(TAGS.values())
    rows = History.load(done.folder.history).rows
    for column, tag in TAGS.items():
        assert [step for step, _ in found[tag]] == [1, 2, 3]
        assert [value for _, value in found[tag]] == pytest.approx([row[column] for row in rows], rel=1e-6)


def test_they_change_nothing_that_is_learned(digits, tmp_path):
    plain = pellucid.train(digits, "mlp", epochs=1, progress=False)
    logged = pellucid.train(digits, "mlp", epochs=1, progress=False, callbacks=[TensorBoard(tmp_path)])
    assert logged.sha256 == plain.sha256
    assert len(curves(tmp_path)["loss/train"]) == 1


def test_missing_values_are_not_drawn(tmp_path):
    board = TensorBoard(tmp_path)
    board.on_epoch({"epoch": 1, "train_loss": 0.5, "validation_loss": None})
    board.on_end({})
    assert curves(tmp_path) == {"loss/train": [(1, 0.5)]}


def test_each_epoch_is_flushed(tmp_path):
    board = TensorBoard(tmp_path)
    for epoch in (1, 2):
        board.on_epoch({"epoch": epoch, "train_loss": 1 / epoch})
        assert curves(tmp_path)["loss/train"][-1] == (epoch, 1 / epoch)
    board.on_end({})


def test_a_resumed_training_replaces_repeated_epochs(tmp_path):
    first = TensorBoard(tmp_path)
    for epoch in (1, 2, 3):
        first.on_epoch({"epoch": epoch, "train_loss": float(epoch)})
    first.on_end({})
    again = TensorBoard(tmp_path)
    again.on_epoch({"epoch": 3, "train_loss": 30.0})
    again.on_end({})
    assert curves(tmp_path)["loss/train"] == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_an_epoch_that_was_kept_before_its_points_were_written_is_not_missing(tmp_path):
    first = TensorBoard(tmp_path)
    first.on_epoch({"epoch": 1, "train_loss": 1.0})
    first.on_end({})
    again = TensorBoard(tmp_path)
    again.on_resumed(20, History([{"epoch": epoch, "train_loss": float(epoch)} for epoch in (1, 2)]))
    again.on_epoch({"epoch": 3, "train_loss": 3.0})
    again.on_end({})
    assert curves(tmp_path)["loss/train"] == [(1, 1.0), (2, 2.0), (3, 3.0)]


@pytest.mark.parametrize("event", ["on_epoch", "on_step"])
def test_a_run_that_goes_on_from_the_shell_goes_on_with_its_curves(digits, tmp_path, capsys, event):
    class Stop:
        """Presses Ctrl-C after the first epoch, or after the first step."""

    setattr(Stop, event, lambda *_: signal.raise_signal(signal.SIGINT))

    out = tmp_path / "run"
    workflow.run(
        digits, "logistic-regression", source="digits", epochs=3, out=out, report=False, progress=False,
        callbacks=[TensorBoard(), Stop()],
    )  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main(["train", "--resume", str(out), "--quiet"])
    assert ended.value.code == 0, capsys.readouterr().err
    assert [step for step, _ in curves(out / "tensorboard")["loss/train"]] == [1, 2, 3]


def test_a_training_that_fails_at_once_leaves_no_file(digits, tmp_path):
    out, wild = tmp_path / "run", {"optimizer": "sgd", "learning_rate": 1e30}
    with pytest.raises(TrainingError):
        workflow.run(digits, "mlp", **wild, out=out, callbacks=[TensorBoard()], progress=False)
    assert not (tmp_path / "run").exists()


def test_without_a_run_folder_it_needs_a_folder(digits):
    with pytest.raises(UsageError, match=r"Give TensorBoard\(folder\), or train into a run folder"):
        pellucid.train(digits, "logistic-regression", epochs=1, progress=False, callbacks=[TensorBoard()])


def test_without_tensorboard_the_error_names_the_extra(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "tensorboard" else real(name))
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UsageError) as caught:
        TensorBoard()
    assert str(caught.value) == ('TensorBoard is not installed. Install it with: pip install "pellucid[tensorboard]".')

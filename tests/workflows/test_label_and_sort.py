"""Which photos to label next; and photos into class folders, without ever losing one."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid
from pellucid.errors import DataError, FormatError, StorageError, UsageError
from pellucid.inference.features import Described, backbone_of, describe
from pellucid.records import Predictions
from pellucid.workflows import label, sort


@pytest.fixture
def new(photos, tmp_path) -> list[str]:
    """Six photos without labels, of both kinds, in a folder of their own."""
    folder = tmp_path / "new"
    folder.mkdir()
    for path in sorted(photos.glob("*/*-[012].jpg")):
        shutil.copy(path, folder / path.name)
    return [str(path) for path in sorted(folder.iterdir())]


def test_describing_predicts_the_same(photo_model, photos):
    split = pellucid.load(photos).test
    described = describe(photo_model, split)
    expected = pellucid.predict(photo_model, split)
    np.testing.assert_allclose(described.predictions.probabilities, expected.probabilities, atol=1e-4)
    assert described.predictions.ids.tolist() == expected.ids.tolist()
    np.testing.assert_array_equal(described.predictions.labels, expected.labels)
    assert described.features.shape == (len(split), 1280)
    from pellucid.networks import backbones

    own = backbone_of(photo_model)
    assert own is not None
    assert own.sha256 == backbones.load("lite0").sha256, "so that both share what the cache has"


def test_a_network_without_features_is_described_by_its_probabilities():
    data = pellucid.load("digits")
    model = pellucid.train(data, "logistic-regression", epochs=1, progress=False)
    assert backbone_of(model) is None
    described = describe(model, data.test)
    np.testing.assert_array_equal(described.features, described.predictions.probabilities)
    assert label.rank_by_usefulness(described, 360).shape == (360,)


def of(probabilities: list[float], features: list[list[float]]) -> Described:
    first = np.array(probabilities)
    said = np.stack([first, 1 - first], axis=1).astype(np.float32)
    ids = np.array([f"{i}.jpg" for i in range(len(first))])
    return Described(Predictions(ids, said, ("a", "b")), np.array(features))


def test_unsure_photos_come_first_and_copies_of_them_last():
    # 0 and 1 are copies, both very unsure; 2 is another kind, less unsure; 3 and 4 are sure.
    found = of([0.5, 0.5, 0.7, 0.99, 1.0], [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0.5, 1]])
    assert label.rank_by_usefulness(found, 5).tolist()[:2] == [0, 2]
    assert sorted(label.rank_by_usefulness(found, 5).tolist()) == [0, 1, 2, 3, 4]
    assert label.rank_by_usefulness(found, 2).tolist() == [0, 2]


def test_if_the_model_is_sure_of_all_the_least_sure_come_first(monkeypatch):
    assert label.rank_by_usefulness(of([1.0, 1.0], [[1, 0], [0, 1]]), 2).tolist() == [0, 1]
    monkeypatch.setattr(label, "MAX_DIVERSE", 1)
    found = of([0.9, 0.5, 0.6], [[1, 0], [0, 1], [1, 1]])
    assert label.rank_by_usefulness(found, 3).tolist() == [1, 2, 0]


def test_the_table_can_be_filled_in_and_trained_on(photo_model, new, tmp_path):
    found = label.suggest(photo_model, new)
    assert sorted(found.order.tolist()) == list(range(6))
    table = tmp_path / "to-label.csv"
    label.write_table(found, table)
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["path", "label", "suggestion", "probability"]
    assert rows[0]["path"].startswith("new/"), "relative to the table, so that both can be moved"
    assert all(Path(row["path"]).name.startswith(row["suggestion"]) for row in rows)
    for row in rows[:5]:
        row["label"] = row["suggestion"]
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    data = pellucid.load(table, test_fraction=0)
    assert len(data.train) == 5
    assert any("without a label left out" in note for note in data.notes)


def test_a_table_with_labels_is_never_overwritten(photo_model, new, tmp_path):
    found = label.suggest(photo_model, new, count=2)
    assert len(found.order) == 2
    label.write_table(found, tmp_path / "mine.csv")
    with pytest.raises(StorageError, match=r"mine\.csv exists already, and may contain labels"):
        label.write_table(found, tmp_path / "mine.csv")


def test_mistakes_of_labelling(photo_model, new, tmp_path):
    with pytest.raises(UsageError, match="at least 1; given: 0"):
        label.suggest(photo_model, new, count=0)
    (tmp_path / "bad.jpg").write_bytes(b"none")
    with pytest.raises(DataError, match="None of these pictures can be read"):
        label.suggest(photo_model, [tmp_path / "bad.jpg"])
    with pytest.raises(UsageError, match="The network 'lite0' is in the catalogue"):
        label.suggest(photo_model, new, network="x.py:Net")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpg")}


def test_photos_are_copied_into_class_folders(photo_model, new, tmp_path):
    into = tmp_path / "sorted"
    done = sort.sort(photo_model, new, into, threshold=0.5)
    assert done.counts == {"apple": 3, "cherry": 3}
    assert sorted(contents(into)) == [f"{name}/{name}-{i}.jpg" for name in ("apple", "cherry") for i in range(3)]
    assert all(Path(one).is_file() for one in new), "copied, and not moved"
    with (into / sort.LOG).open(encoding="utf-8", newline="") as stream:
        rows = {row["photo"]: row for row in csv.DictReader(stream)}
    assert rows[new[0]]["went_to"] == "apple/apple-0.jpg"
    assert rows[new[0]]["class"] == "apple"
    assert float(rows[new[0]]["probability"]) > 0.5


def test_a_second_call_sorts_only_the_rest(photo_model, new, tmp_path):
    into = tmp_path / "sorted"
    sort.sort(photo_model, new[:4], into, threshold=0)
    before = contents(into)
    again = sort.sort(photo_model, new, into, threshold=0)
    assert (again.already_sorted, sum(again.counts.values())) == (4, 2)
    assert before.items() <= contents(into).items()
    # A copy that somebody removed is made again; a photo that changed is another one, and the old copy stays.
    (into / "apple" / "apple-0.jpg").unlink()
    shutil.copy(new[2], new[1])
    third = sort.sort(photo_model, new, into, threshold=0)
    assert sum(third.counts.values()) == 2
    assert before["apple/apple-1.jpg"] == contents(into)["apple/apple-1.jpg"]
    assert "apple/apple-1 (2).jpg" in contents(into)


def test_an_interrupted_call_has_logged_its_photos(photo_model, new, tmp_path, monkeypatch):
    into = tmp_path / "sorted"
    place = sort._sort_photo
    calls = []

    def stop(*arguments: Any, **settings: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return place(*arguments, **settings)

    monkeypatch.setattr(sort, "_sort_photo", stop)
    with pytest.raises(KeyboardInterrupt):
        sort.sort(photo_model, new, into, threshold=0)
    monkeypatch.undo()
    again = sort.sort(photo_model, new, into, threshold=0)
    assert (again.already_sorted, sum(again.counts.values())) == (2, 4)
    assert len(contents(into)) == 6


def test_nothing_is_overwritten(photo_model, new, tmp_path):
    into = tmp_path / "sorted"
    (into / "apple").mkdir(parents=True)
    (into / "apple" / "apple-0.jpg").write_bytes(b"somebody's own")
    shutil.copy(new[1], into / "apple" / "apple-1.jpg")
    sort.sort(photo_model, new, into, threshold=0)
    found = contents(into)
    assert found["apple/apple-0.jpg"] == b"somebody's own"
    assert found["apple/apple-0 (2).jpg"] == Path(new[0]).read_bytes()
    assert "apple/apple-1 (2).jpg" not in found, "the same photo is not copied twice"


def test_the_unsure_ones_are_apart_and_moving_has_to_be_asked_for(photo_model, new, tmp_path):
    into = tmp_path / "sorted"
    done = sort.sort(photo_model, new, into, threshold=1.0, move=True)
    assert done.counts == {"unsure": 6}
    assert not any(Path(one).exists() for one in new)
    assert len(contents(into)) == 6
    assert sort.sort(photo_model, new, into, move=True).already_sorted == 6, "the originals are gone"


def test_the_threshold_is_the_models_own_or_the_usual_one(photo_model, new, tmp_path):
    assert sort.sort(photo_model, new[:1], tmp_path / "a").threshold == sort.THRESHOLD
    from dataclasses import replace

    careful = replace(photo_model, specification=photo_model.specification.model_copy(update={"abstain_below": 0.7}))
    assert sort.sort(careful, new[:1], tmp_path / "b").threshold == 0.7


def test_unreadable_photos_are_left_alone(photo_model, new, tmp_path):
    Path(new[2]).write_bytes(b"no picture")
    done = sort.sort(photo_model, new, tmp_path / "sorted", threshold=0, move=True)
    assert list(done.unreadable) == [new[2]]
    assert Path(new[2]).is_file()
    assert len(contents(tmp_path / "sorted")) == 5


def test_folders_are_named_as_every_system_can():
    assert sort.class_folders(["cat", "a/b", "a:b", "con", "Unsure", " .", "CAT"]) == [
        "cat",
        "a_b",
        "a_b (2)",
        "con_",
        "Unsure (2)",
        "_",
        "CAT (2)",
    ]


def test_mistakes_of_sorting(photo_model, new, tmp_path):
    with pytest.raises(UsageError, match="between 0 and 1; given: 2"):
        sort.sort(photo_model, new, tmp_path / "sorted", threshold=2)
    with pytest.raises(UsageError, match="is within"):
        sort.sort(photo_model, new, Path(new[0]).parent)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / sort.LOG).write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(FormatError, match="is not a table of sorted photos"):
        sort.sort(photo_model, new, tmp_path / "other")
    (tmp_path / "other" / sort.LOG).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="cannot be read"):
        sort.sort(photo_model, new, tmp_path / "other")


def test_two_processes_cannot_sort_into_one_folder(photo_model, new, tmp_path):
    from filelock import FileLock

    (tmp_path / "sorted").mkdir()
    with (
        FileLock(tmp_path / "sorted" / ".sorting.lock"),
        pytest.raises(StorageError, match="Another process is sorting into"),
    ):
        sort.sort(photo_model, new, tmp_path / "sorted")

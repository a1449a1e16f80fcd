"""`check` names every kind of problem in a folder of pictures, and never stops."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid
from pellucid.cli.arguments import parse
from pellucid.data.checking.checking import CHECKS, check, check_before_training, load_check, undivided, worst_level
from pellucid.data.checking.evidence import gather
from pellucid.data.checking.extremes import robust_scores
from pellucid.data.checking.scan import file_type, jpeg_size, scan_pictures
from pellucid.errors import DataError
from pellucid.records import Dataset, Figure, Findings, PictureFiles, Remark, Split
from pellucid.training.recipes import named_recipe


def remarks(findings: Findings) -> dict[str, Remark]:
    return {item.name: item for item in findings if isinstance(item, Remark)}


def test_good_data_have_no_remarks(photos):
    findings = check(photos({"train/ants": 25, "train/bees": 25, "test/ants": 30, "test/bees": 30}))
    assert remarks(findings) == {}
    assert worst_level(findings) == ""
    assert findings.title == "photos: 110 pictures, 2 classes (train 50, test 60)"
    assert findings["classes"].rows == (("ants", 25, 30), ("bees", 25, 30))


def test_check_is_public_and_changes_no_files(photos):
    folder = photos({"a": 3, "b": 3})
    before = sorted(folder.rglob("*"))
    assert pellucid.check(folder)["classes"].rows == (("a", 3), ("b", 3))
    assert sorted(folder.rglob("*")) == before


def test_unreadable_pictures_are_named_with_the_reason(photos):
    folder = photos({"ants": 22, "bees": 22})
    whole = (folder / "ants" / "00.jpg").read_bytes()
    (folder / "ants" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "ants" / "empty.jpg").write_bytes(b"")
    (folder / "bees" / "text.png").write_text("not a picture", encoding="utf-8")
    findings = check(folder)
    remark = remarks(findings)["unreadable"]
    assert remark.level == "error"
    assert remark.pictures == ("ants/cut.jpg", "ants/empty.jpg", "bees/text.png")
    reasons = dict(findings["unreadable_pictures"].rows)
    assert "ants/cut.jpg cannot be decoded: it is damaged or cut off" in reasons["ants/cut.jpg"]
    assert reasons["ants/empty.jpg"] == "ants/empty.jpg is empty: it has 0 bytes."
    assert "bees/text.png is not a supported picture" in reasons["bees/text.png"]
    (folder / "ants" / "another.jpg").write_bytes(b"")
    assert remarks(check(folder))["unreadable"].text.startswith("4 pictures cannot be read: ants/another.jpg")


def test_copies_of_test_pictures_in_train(photos, scene):
    folder = photos({"train/ants": 6, "train/bees": 6, "test/ants": 5, "test/bees": 5})
    shutil.copy(folder / "train/ants/00.jpg", folder / "test/ants/same.jpg")
    scene(1).resize((80, 60)).save(folder / "test/ants/small.png")
    scene(2).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "test/bees/mirror.jpg", quality=70)
    findings = check(folder)
    across = remarks(findings)["copies_of_test"]
    assert across.level == "error"
    assert across.pictures == ("test/ants/same.jpg", "test/ants/small.png", "test/bees/mirror.jpg")
    assert across.text.startswith("3 of 13 test pictures (23.1 %) are also in train (1 of them pixel by pixel): ")
    torn = remarks(findings)["copies_in_two_classes"]
    assert torn.level == "error"
    assert "train/ants/02.jpg (ants) and test/bees/mirror.jpg (bees)" in torn.text
    assert "copies_within" not in remarks(findings)
    rows = {row[3]: row for row in findings["copies_of_pictures"].rows}
    assert rows["test/ants/same.jpg"][:6] == (
        "train/ants/00.jpg",
        "train",
        "ants",
        "test/ants/same.jpg",
        "test",
        "ants",
    )
    assert [rows[f"test/{name}"][6] for name in ("ants/same.jpg", "ants/small.png", "bees/mirror.jpg")] == [
        "the same pixels",
        "nearly the same",
        "mirrored",
    ]
    assert len(findings["copies"].data["groups"]) == 3
    assert all("png" in cell for group in findings["copies"].data["groups"] for cell in group["cells"])


def test_copies_within_a_class_and_in_validation(arrays):
    data = arrays({"train": [0, 0, 1, 1], "validation": [0, 1]})
    again = data.train.pictures.copy()
    again[1] = again[0]
    validation = np.concatenate([data.validation.pictures[:1], data.train.pictures[3:4]])
    splits = {
        "train": Split("train", again, data.train.labels, data.classes),
        "validation": Split("validation", validation, data.validation.labels, data.classes),
    }
    by_name = remarks(check(Dataset("scenes", splits)))
    assert by_name["copies_within"].level == "warning"
    assert by_name["copies_within"].pictures == ("train/0", "train/1")
    assert by_name["copies_of_validation"].text == (
        "1 of 2 validation pictures (50.0 %) is also in train, pixel by pixel: validation/1."
    )


def test_many_copies_are_shown_in_part(arrays):
    data = arrays({"train": [0] * 15 + [1] * 15})
    pictures = np.concatenate([data.train.pictures] + [data.train.pictures[:1]] * 9)
    labels = np.concatenate([data.train.labels, np.zeros(9, np.int64)])
    pictures = np.concatenate([pictures, data.train.pictures[1:15]])
    labels = np.concatenate([labels, np.zeros(14, np.int64)])
    findings = check(Dataset("scenes", {"train": Split("train", pictures, labels, data.classes)}))
    figure: Figure = findings["copies"]
    assert figure.data["groups"][0]["caption"] == "10 copies, 6 of them shown"
    assert figure.note == "The first 12 of 15 groups; those in two classes or splits come first."


def test_classes_missing_in_a_split(photos):
    by_name = remarks(check(photos({"train/a": 20, "train/b": 20, "val/a": 3, "test/a": 40, "test/b": 40})))
    assert by_name["class_missing_in_validation"].level == "warning"
    assert by_name["class_missing_in_validation"].text == "The validation split lacks the class 'b'."
    by_name = remarks(check(photos({"train/a": 20, "test/a": 3, "test/b": 31}, "other")))
    assert by_name["class_missing_in_train"].level == "error"
    assert "A model cannot learn a class that it never sees." in by_name["class_missing_in_train"].advice
    by_name = remarks(check(photos({"train/a": 20, "train/b": 20, "train/c": 20, "test/c": 31}, "third")))
    assert by_name["class_missing_in_test"].text == "The test split lacks 2 classes: 'a', 'b'."


def test_small_classes_come_with_the_width_of_the_interval(photos):
    by_name = remarks(check(photos({"train/a": 20, "train/b": 5, "test/a": 10, "test/b": 30})))
    assert by_name["few_in_test"].text == "In test, 1 class has fewer than 30 pictures: a (10)."
    # Wilson's interval of 9 of 10, as scipy.stats.binomtest(9, 10).proportion_ci(method="wilson") has it.
    assert "If 9 of the 10 of 'a' were right" in by_name["few_in_test"].advice
    assert "between 60 and 98 % (95 % interval)" in by_name["few_in_test"].advice
    assert by_name["few_in_train"].text == "In train, 1 class has fewer than 20 pictures: b (5)."


def test_imbalance_of_twenty_to_one(photos):
    findings = check(photos({"ants": 40, "bees": 2}))
    remark = remarks(findings)["imbalance_of_classes"]
    assert remark.level == "warning"
    assert "the class 'ants' has 20.0 times the pictures of 'bees' (40 and 2)" in remark.text
    assert "Always predicting 'ants' would be right on 95 %" in remark.advice
    assert findings["imbalance"].value == 20
    (setting,) = re.findall(r"--recipe-set (\w+=\w+)", remark.advice)
    assert named_recipe("default").but(**parse([setting], "--recipe-set")).class_weights == "balanced", (
        "the advised setting works"
    )
    assert remarks(check(photos({"a": 6, "b": 2}, "less")))["imbalance_of_classes"].level == "info"


def test_one_class_only(photos, arrays):
    with pytest.raises(DataError, match="has pictures of one class only, 'ants'; a classifier needs two or more"):
        check(photos({"ants": 3}))
    data = arrays({"train": [0, 0]}, classes=1)
    assert remarks(check(data))["one_class"].level == "error"


def test_unknown_labels(arrays):
    train = arrays({"train": [0, 1]}).train
    data = Dataset("scenes", {"train": Split("train", train.pictures, None, train.classes)})
    assert set(remarks(check(data))) == {"no_labels"}


def test_outliers(photos, scene):
    folder = photos({"ants": 20, "bees": 20})
    scene(90, (1200, 900)).save(folder / "ants" / "large.jpg")
    scene(91, (600, 60)).save(folder / "ants" / "wide.jpg")
    scene(92).point(lambda value: value // 12).save(folder / "bees" / "dark.jpg")
    scene(93).resize((6, 5)).resize((120, 90)).save(folder / "bees" / "blurred.jpg")
    Image.new("RGB", (120, 90), "grey").save(folder / "bees" / "grey.jpg")
    findings = check(folder)
    named = remarks(findings)
    assert "ants/large.jpg" in named["extreme_size"].pictures
    assert named["extreme_shape"].pictures == ("ants/wide.jpg",)
    assert "bees/dark.jpg" in named["extreme_brightness"].pictures
    assert "bees/blurred.jpg" in named["extreme_sharpness"].pictures
    assert named["blank"].pictures == ("bees/grey.jpg",)
    assert "robust z beyond 5" in named["extreme_shape"].text
    assert findings["extremes"].figure == "picture-rows"
    assert ("ants/wide.jpg", "shape", "600×60 pixels") in [row[:3] for row in findings["extreme_pictures"].rows]


def test_a_second_shot_is_not_called_an_edited_copy(photos, scene):
    folder = photos({"ants": 10, "bees": 10})
    shot = scene(300, (200, 150))
    shot.save(folder / "ants" / "first.jpg")
    shot.crop((4, 3, 198, 148)).point(lambda value: min(255, int(value * 1.1))).save(folder / "ants" / "second.jpg")
    text = remarks(check(folder))["copies_within"].text
    assert "(edited copies, or further shots of the same object)" in text
    assert "ants/first.jpg and ants/second.jpg" in text


def test_a_set_that_varies_widely_is_described_and_its_pictures_are_not_all_named(photos, scene):
    folder = photos({"ants": 40, "bees": 40})
    for index in range(8):  # a tenth of the pictures
        scene(200 + index, (900 + 50 * index, 60)).save(folder / "ants" / f"wide{index}.jpg")
    remark = remarks(check(folder))["extreme_shape"]
    assert remark.text.startswith("The pictures vary widely in shape: the median is ")
    assert "times as wide as high, and nine in ten are between" in remark.text
    assert remark.pictures[0] == "ants/wide7.jpg", "the most extreme first"
    assert remark.n == len(remark.pictures) == 6
    rows = [row for row in check(folder)["extreme_pictures"].rows if row[1] == "shape"]
    assert [row[0] for row in rows] == list(remark.pictures)


def test_robust_scores_ignore_outliers():
    values = np.array([1.0, 2, 3, 4, 5, 1000])
    scores = robust_scores(values, 1e-9)
    # The median is 3.5, the distances from it 2.5, 1.5, 0.5, 0.5, 1.5 and 996.5, and their median 1.5.
    np.testing.assert_allclose(scores, (values - 3.5) / (1.4826 * 1.5))
    np.testing.assert_allclose(robust_scores(np.ones(4), 0.5), 0)


def test_file_types_that_predict_the_class(photos, scene):
    folder = photos({"ants": 20})
    (folder / "bees").mkdir()
    for index in range(20):
        scene(100 + index).save(folder / "bees" / f"{index}.png")
    findings = check(folder)
    remark = remarks(findings)["file_type_by_class"]
    assert remark.level == "warning"
    assert "a guess from the type alone is right for 100 % of the pictures, always" in remark.text
    assert remark.text.endswith("guessing the most frequent class for 50 %.")
    assert findings["file_types"].columns == ("class", "JPEG", "PNG")
    assert findings["file_types"].rows == (("ants", 20, 0), ("bees", 0, 20))


def test_a_suffix_that_does_not_match_the_content(photos):
    folder = photos({"ants": 20, "bees": 20})
    (folder / "ants" / "00.jpg").rename(folder / "ants" / "00.png")
    text = remarks(check(folder))["misnamed"].text
    assert text == "The suffix of 1 file does not match the content: ants/00.png is JPEG."


def test_several_rare_types_are_one_remark(photos, scene):
    folder = photos({"ants": 20, "bees": 20})
    scene(70).save(folder / "ants" / "a.png")
    scene(71).save(folder / "bees" / "b.bmp")
    (remark,) = [item for item in check(folder) if item.name == "stray_file_type"]
    assert remark.text == ("2 pictures are of rare types (BMP, PNG); most are JPEG: ants/a.png, bees/b.bmp.")
    assert remark.pictures == ("ants/a.png", "bees/b.bmp")


def test_the_placeholder_among_real_ants(data_root):
    by_name = remarks(check(Path(data_root) / "hymenoptera"))
    assert by_name["stray_file_type"].pictures == ("train/ants/imageNotFound.gif",)
    assert by_name["stray_file_type"].text.startswith("1 picture is of the type GIF; most are JPEG: train/ants/")
    assert "copies_of_validation" not in by_name
    assert "'.DS_Store'" in by_name["note"].text


def test_rotated_cmyk_and_16_bit_pictures(photos, scene):
    folder = photos({"ants": 20, "bees": 20})
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(60, (90, 120)).transpose(Image.Transpose.ROTATE_90).save(folder / "ants" / "turned.jpg", exif=exif)
    scene(61).convert("CMYK").save(folder / "ants" / "press.jpg")
    deep = np.asarray(scene(62).convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(folder / "bees" / "deep.tiff")
    evidence = gather(undivided(folder))
    assert not evidence.statistics.reasons
    at = {name: i for i, name in enumerate(evidence.ids.tolist())}
    statistics = evidence.statistics
    turned = at["ants/turned.jpg"]
    assert (statistics.width[turned], statistics.height[turned]) == (90, 120)
    np.testing.assert_allclose(
        statistics.brightness[turned], np.asarray(scene(60, (90, 120)).convert("L")).mean(), atol=2
    )
    assert statistics.file_types[at["ants/press.jpg"]] == "JPEG"
    np.testing.assert_allclose(statistics.brightness[at["ants/press.jpg"]], statistics.brightness.mean(), atol=80)
    assert statistics.file_types[at["bees/deep.tiff"]] == "TIFF"
    np.testing.assert_allclose(
        statistics.brightness[at["bees/deep.tiff"]], np.asarray(scene(62).convert("L")).mean(), atol=1
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows does not allow such names")
def test_strange_names_stay_on_one_line(photos):
    folder = photos({"ants": 20, "bees and 🐝": 20})
    for name in ("a b.jpg", "🐜.jpg", "two\nlines.jpg"):
        (folder / "ants" / name).write_bytes(b"")
    findings = check(folder)
    assert "\n" not in remarks(findings)["unreadable"].text
    assert r"ants/two\nlines.jpg" in remarks(findings)["unreadable"].text
    assert "ants/two\nlines.jpg" in remarks(findings)["unreadable"].pictures, "as it is, for programs"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read everything")
def test_a_folder_without_permission(photos):
    folder = photos({"ants": 2, "bees": 2})
    (folder / "bees").chmod(0)
    try:
        with pytest.raises(DataError, match="bees cannot be read: permission denied"):
            check(folder)
    finally:
        (folder / "bees").chmod(0o755)


def test_a_folder_that_cannot_be_listed(photos, monkeypatch):
    # The same for a user who may read everything.
    folder = photos({"ants": 2, "bees": 2})
    listed = Path.iterdir

    def refuse(self):
        if self.name == "bees":
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match="bees cannot be read: permission denied"):
        check(folder)


def test_missing_files_and_folders_are_unreadable(tmp_path, scene):
    scene(0).save(tmp_path / "there.jpg")
    paths = (tmp_path / "there.jpg", tmp_path / "gone.jpg", tmp_path)
    statistics = scan_pictures(PictureFiles(paths), ("there", "gone", "folder"))
    assert statistics.readable.tolist() == [True, False, False]
    assert statistics.reasons[1] == f"There is no file at {tmp_path / 'gone.jpg'}."
    assert statistics.reasons[2] == "folder is not a regular file."


def test_ctrl_c_ends_the_scan(tmp_path, scene):
    scene(0).save(tmp_path / "one.jpg")

    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_pictures(PictureFiles((tmp_path / "one.jpg",)), ("one",), stop)


def test_progress_counts_the_pictures_of_all_splits(arrays):
    calls = []
    check(arrays({"train": [0, 1], "test": [0, 1]}), progress=lambda done, of: calls.append((done, of)))
    assert calls[-1][1] == 4
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_files_and_arrays_have_the_same_statistics(tmp_path, scene):
    images = [scene(i, (40, 30)) for i in range(5)]
    for index, image in enumerate(images):
        image.save(tmp_path / f"{index}.png")
    paths = tuple(sorted(tmp_path.glob("*.png")))
    of_files = scan_pictures(PictureFiles(paths), [path.name for path in paths])
    of_arrays = scan_pictures(np.stack([np.asarray(image).transpose(2, 0, 1) for image in images]), ())
    for name, most in (("brightness", 1), ("contrast", 1), ("sharpness", 0.1), ("width", 0), ("height", 0)):
        np.testing.assert_allclose(getattr(of_files, name), getattr(of_arrays, name), atol=most)
    assert np.abs(of_files.thumbnails.astype(int) - of_arrays.thumbnails).max() <= 2


def test_large_pictures_are_reduced_first(scene):
    large = np.asarray(scene(0, (700, 520))).transpose(2, 0, 1)[None]
    statistics = scan_pictures(large, ())
    assert (statistics.width[0], statistics.height[0]) == (700, 520)
    assert statistics.readable.all()
    assert scan_pictures(np.zeros((1, 1, 2, 2), np.uint8), ()).sharpness[0] == 0


def test_file_type_by_the_first_bytes(tmp_path, scene):
    for kind, suffix in (
        ("JPEG", "jpg"),
        ("PNG", "png"),
        ("GIF", "gif"),
        ("BMP", "bmp"),
        ("TIFF", "tif"),
        ("WEBP", "webp"),
    ):
        scene(0).save(tmp_path / f"one.{suffix}")
        assert file_type((tmp_path / f"one.{suffix}").read_bytes()) == kind
    assert file_type(b"\0\0\0 ftypavif....") == "AVIF"
    assert file_type(b"\0\0\0 ftypmp42....") == "other"
    assert file_type(b"") == "other"


def test_jpeg_size_from_the_header(tmp_path, scene):
    for name, more in (("plain", {}), ("progressive", {"progressive": True})):
        scene(0, (77, 31)).save(tmp_path / f"{name}.jpg", **more)
        content = (tmp_path / f"{name}.jpg").read_bytes()
        assert jpeg_size(content) == (77, 31)
        assert jpeg_size(b"\xff\xd8\xff" + content[2:]) == (77, 31), "a fill byte"
        assert jpeg_size(content[:20]) is None
    assert jpeg_size(b"\xff\xd8nonsense that is long enough") is None
    assert jpeg_size(b"\xff\xd8\xff\xd0" + content[2:]) == (77, 31)


def test_undivided_loads_named_sets_and_does_not_split_folders(photos):
    assert list(undivided("digits").splits) == ["train", "test"]
    assert list(undivided(str(photos({"a": 4, "b": 4}))).splits) == ["train"]


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_has_no_remark_on_good_data(name, arrays):

    evidence = gather(arrays({"train": [0, 1] * 25, "test": [0, 1] * 30}))
    findings = load_check(name)(evidence)
    assert not [item for item in findings if isinstance(item, Remark)]
    assert Findings.from_json(Findings(tuple(findings)).to_json()).items == tuple(findings)


def test_the_check_before_a_training_is_cached(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    folder = photos({"train/a": 20, "train/b": 20, "test/a": 31, "test/b": 31})
    (folder / "train" / "a" / "cut.jpg").write_bytes((folder / "train/a/00.jpg").read_bytes()[:900])
    shutil.copy(folder / "train/a/01.jpg", folder / "test/a/copy.jpg")
    data = undivided(folder)
    first = check_before_training(data)
    assert list(first.unreadable) == ["train"]
    assert list(first.unreadable["train"]) == ["train/a/cut.jpg"]
    assert first.leaked == {"test": ["test/a/copy.jpg"]}
    assert all(isinstance(item, Remark) for item in first.findings)
    monkeypatch.setattr(
        "pellucid.data.checking.checking._check_for_training", lambda data: pytest.fail("checked again")
    )
    assert check_before_training(data) == first
    with pytest.raises(pytest.fail.Exception, match="checked again"):
        check_before_training(Dataset("another", data.splits))

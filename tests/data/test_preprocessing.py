from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from pellucid.data.decoding import decode
from pellucid.data.preprocessing import measure, normalise, prepare, prepare_one, prepare_readable
from pellucid.errors import DataError, FormatError
from pellucid.records import PictureFiles, Preprocessing, Split


def wanted(channels=3, height=16, width=24, fit="stretch") -> Preprocessing:
    return Preprocessing(channels=channels, height=height, width=width, fit=fit)


@pytest.fixture
def files(tmp_path, photo) -> PictureFiles:
    paths = []
    for i in range(12):
        paths.append(tmp_path / f"{i}.png")
        photo(24 + i, 16 + 2 * i, seed=i).save(paths[-1])
    return PictureFiles(tuple(paths), tmp_path)


def test_the_very_same_array_where_nothing_is_to_be_done(digits):
    pictures = digits.train.pictures
    assert prepare(pictures, measure(pictures)) is pictures
    assert prepare(digits.train, measure(pictures)) is pictures
    backwards = np.zeros((4, 5, 3, 2), dtype=np.uint8).T
    found = prepare(backwards[:, :3], wanted(3, 5, 4))
    assert found.flags.c_contiguous


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_files_and_arrays_give_the_same(photo, tmp_path, fit):
    pictures = np.stack([np.asarray(photo(30, 20, seed=i)).transpose(2, 0, 1) for i in range(3)])
    paths = []
    for i, picture in enumerate(pictures):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(picture.transpose(1, 2, 0)).save(paths[-1])
    for channels in (1, 3):
        how = wanted(channels, 12, 12, fit)
        from_files = prepare(PictureFiles(tuple(paths)), how)
        np.testing.assert_array_equal(from_files, prepare(pictures, how))
        assert from_files.shape == (3, channels, 12, 12)
        assert from_files.flags.c_contiguous


def test_order_is_kept_and_progress_told(files):
    told: list[tuple[int, int]] = []
    found = prepare(files, wanted(), progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 12) for i in range(1, 13)]
    for i, path in enumerate(files.paths):
        np.testing.assert_array_equal(found[i], prepare_one(path, wanted()))
    told.clear()
    prepare(found, wanted(1), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (12, 12)


def test_channels_alone(digits):
    colour = prepare(digits.test, wanted(3, 8, 8))
    np.testing.assert_array_equal(colour, np.repeat(digits.test.pictures, 3, axis=1))
    np.testing.assert_array_equal(prepare(colour, wanted(1, 8, 8)), digits.test.pictures)


def test_stretch_is_pillows_antialiased_bilinear(photo):
    found = prepare_one(photo(50, 40), wanted(3, 13, 17))
    reference = photo(50, 40).resize((17, 13), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found, np.asarray(reference).transpose(2, 0, 1))


def test_torchvision_agrees(photo):
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    ours = prepare_one(photo(50, 40), wanted(3, 13, 17)).astype(int)
    theirs = functional.resize(functional.pil_to_tensor(photo(50, 40)), [13, 17], antialias=True).numpy().astype(int)
    assert np.abs(ours - theirs).max() <= 1


def test_crop_takes_the_middle(photo):
    image = Image.new("RGB", (30, 10), "red")
    image.paste(Image.new("RGB", (10, 10), "lime"), (10, 0))
    found = prepare_one(image, wanted(3, 10, 10, "crop"))
    np.testing.assert_array_equal(found[0], np.zeros((10, 10)))
    np.testing.assert_array_equal(found[1], np.full((10, 10), 255))
    tall = prepare_one(image.transpose(Image.Transpose.ROTATE_90), wanted(3, 5, 5, "crop"))
    assert tall[1].min() >= 200, "antialiasing may reach one pixel past the edge"


def test_pad_keeps_the_whole_picture_in_the_middle_of_black():
    found = prepare_one(Image.new("RGB", (30, 10), "white"), wanted(1, 12, 12, "pad"))[0]
    assert found.sum(axis=1).tolist() == [0] * 4 + [255 * 12] * 4 + [0] * 4
    tall = prepare_one(Image.new("L", (1, 5000), 255), wanted(1, 8, 8, "pad"))[0]
    assert (tall.sum(axis=0) > 0).sum() == 1, "at least one pixel, however thin"


@settings(max_examples=80, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    target=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    fit=st.sampled_from(["stretch", "crop", "pad"]),
    channels=st.sampled_from([1, 3]),
)
def test_any_size_fits_any_other(size, target, fit, channels):
    white = np.full((2, channels, *size), 255, dtype=np.uint8)
    found = prepare(white, wanted(channels, *target, fit))
    assert found.shape == (2, channels, *target)
    assert found.max() == 255
    if fit != "pad":
        assert found.min() == 255, "nothing from outside the picture"


def test_jpegs_are_decoded_small_with_next_to_no_difference(photo, tmp_path):
    path = tmp_path / "a.jpg"
    photo(1200, 900).save(path, quality=95)
    for fit in ("stretch", "crop", "pad"):
        small = prepare_one(path, wanted(3, 64, 64, fit)).astype(int)
        whole = prepare_one(Image.fromarray(decode(path, 3).transpose(1, 2, 0)), wanted(3, 64, 64, fit)).astype(int)
        assert np.abs(small - whole).mean() < 2


def damaged(files: PictureFiles) -> None:
    files.paths[3].write_bytes(files.paths[3].read_bytes()[:-40])
    files.paths[7].write_text("hello")


def test_a_picture_that_cannot_be_read_stops_with_its_name(files):
    damaged(files)
    with pytest.raises(FormatError) as error:
        prepare(files, wanted())
    assert str(files.paths[3]) in str(error.value)


def test_pictures_that_cannot_be_read_are_named_and_left_out(files):
    whole = prepare(files, wanted())
    damaged(files)
    found, kept, reasons = prepare_readable(files, wanted())
    assert kept.tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10, 11]
    np.testing.assert_array_equal(found, whole[kept])
    assert list(reasons) == [str(files.paths[3]), str(files.paths[7])]
    assert "is not a supported picture" in reasons[str(files.paths[7])]
    ids = np.array([f"id {i}" for i in range(12)])
    split = Split("test", files, None, ("a", "b"), explicit_ids=ids)
    assert list(prepare_readable(split, wanted())[2]) == ["id 3", "id 7"]


def test_readable_arrays_and_nothing_at_all(digits):
    found, kept, reasons = prepare_readable(digits.test, measure(digits.test.pictures))
    assert found is digits.test.pictures
    assert kept.tolist() == list(range(360))
    assert reasons == {}
    nothing, kept, _ = prepare_readable(PictureFiles(()), wanted())
    assert nothing.shape == (0, 3, 16, 24)
    assert len(kept) == 0


def test_other_arrays_are_refused():
    for wrong in (np.zeros((2, 3, 4, 4)), np.zeros((2, 2, 4, 4), np.uint8), np.zeros((4, 4), np.uint8)):
        with pytest.raises(FormatError, match="Pictures must be uint8 of shape"):
            prepare(wrong, wanted())


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 5), st.sampled_from([1, 3]), st.integers(1, 5), st.integers(1, 5)))
)
def test_mean_and_deviation_are_those_of_numpy(pictures):
    found = measure(pictures)
    np.testing.assert_allclose(found.mean, pictures.mean(axis=(0, 2, 3)) / 255, atol=1e-12)
    deviation = pictures.std(axis=(0, 2, 3)) / 255
    np.testing.assert_allclose(found.std, np.where(deviation == 0, 1, deviation), atol=1e-12)
    assert found.shape == pictures.shape[1:]


def test_many_pictures_are_measured_in_parts(digits):
    many = np.concatenate([digits.train.pictures] * 2)
    np.testing.assert_allclose(measure(many).mean, measure(digits.train.pictures).mean, atol=1e-12)


def test_scalings():
    pictures = np.zeros((2, 3, 4, 4), dtype=np.uint8)
    assert measure(pictures, scaling="unit").mean == (0.0, 0.0, 0.0)
    assert measure(pictures, scaling="unit").std == (1.0, 1.0, 1.0)
    assert measure(pictures, scaling="symmetric", fit="crop").mean == (0.5, 0.5, 0.5)
    assert measure(pictures, scaling="symmetric", fit="crop").fit == "crop"
    assert measure(pictures).std == (1.0, 1.0, 1.0), "nothing varies here"
    with pytest.raises(DataError, match="Without pictures, mean and standard deviation cannot be measured"):
        measure(pictures[:0])


class TestNormalise:
    @pytest.fixture
    def torch(self):
        return pytest.importorskip("torch")

    @pytest.mark.parametrize("scaling", ["unit", "symmetric", "standard"])
    def test_the_formula(self, torch, digits, scaling):
        pictures = digits.train.pictures[:50]
        how = measure(pictures, scaling=scaling)
        found = normalise(torch.from_numpy(pictures), how)
        assert found.dtype == torch.float32
        reference = (pictures / 255 - how.mean[0]) / how.std[0]
        np.testing.assert_allclose(found.numpy(), reference, atol=2e-6)

    def test_ranges(self, torch):
        ends = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2)
        pictures = np.zeros((1, 1, 1, 2), dtype=np.uint8)
        assert normalise(ends, measure(pictures, scaling="unit")).flatten().tolist() == pytest.approx([0, 1])
        assert normalise(ends, measure(pictures, scaling="symmetric")).flatten().tolist() == pytest.approx([-1, 1])

    def test_channels_types_and_memory(self, torch):
        batch = torch.arange(24, dtype=torch.uint8).view(2, 3, 2, 2).to(memory_format=torch.channels_last)
        how = Preprocessing(channels=3, height=2, width=2, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2))
        found = normalise(batch, how)
        assert found.is_contiguous(memory_format=torch.channels_last)
        reference = (batch.double() / 255 - torch.tensor(how.mean).view(3, 1, 1)) / torch.tensor(how.std).view(3, 1, 1)
        torch.testing.assert_close(found, reference.float())
        for dtype in (torch.float64, torch.bfloat16, torch.float16):
            assert normalise(batch, how, dtype).dtype == dtype
        torch.testing.assert_close(normalise(batch, how, torch.bfloat16), found.bfloat16(), rtol=0, atol=0)
        assert batch.dtype == torch.uint8, "the batch itself is not changed"

    def test_one_value_for_all_channels_and_gradients(self, torch):
        batch = torch.full((1, 3, 2, 2), 255.0, requires_grad=True)
        normalise(batch, Preprocessing(channels=3, height=2, width=2)).sum().backward()
        torch.testing.assert_close(batch.grad, torch.full_like(batch, 1 / 255))


def test_more_pictures_than_memory():
    pictures = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (2**24, 1, 1, 1))
    with pytest.raises(DataError) as error:
        prepare(pictures, wanted(3, 2**12, 2**12), memory=math.inf)
    assert str(error.value) == (
        "16,777,216 pictures of 4096×4096 with 3 channels need 844,424,930,131,968 bytes of memory, more "
        "than is free. Choose a smaller size."
    )


def test_a_picture_does_not_depend_on_its_batch(digits):
    torch = pytest.importorskip("torch")
    pictures = torch.from_numpy(digits.train.pictures[:67])
    how = measure(digits.train.pictures)
    together = normalise(pictures, how)
    for i in range(67):
        assert torch.equal(normalise(pictures[i : i + 1], how)[0], together[i])
    same = pictures.float()
    normalise(same, how)
    assert torch.equal(same, pictures.float()), "a batch of floats is not changed either"

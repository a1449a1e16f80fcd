import gzip
import io
import tarfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.data import cifar
from pellucid.data.loading import load
from pellucid.errors import DataError, FormatError, MissingDataError


@pytest.fixture
def ten(tmp_path, cifar_files):
    folder = tmp_path / "root" / "cifar-10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name, content in cifar_files.items():
        if "batch" in name:
            (folder / name).write_bytes(content)
    return folder


def test_archive_and_folders_give_the_same(tmp_path, ten, cifar10_archive, cifar_files, digits):
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(cifar10_archive)
    plain = tmp_path / "any.tar"
    plain.write_bytes(gzip.decompress(cifar10_archive))
    sources = [archive, plain, ten, ten.parent, tmp_path]
    found = [load(source) for source in sources]
    assert len({data.fingerprint for data in found}) == 1
    data = found[0]
    assert (data.name, data.classes[:2], len(data.classes)) == ("cifar10", ("airplane", "automobile"), 10)
    assert [len(split) for split in data] == [100, 20]
    assert data.train.shape == (3, 32, 32)
    np.testing.assert_array_equal(data.train.pictures[:, 0, ::4, ::4], digits.train.pictures[:100, 0])
    np.testing.assert_array_equal(data.train.pictures[:, 1, ::4, ::4], 255 - digits.train.pictures[:100, 0])
    np.testing.assert_array_equal(data.train.labels, digits.train.labels[:100])


def test_cifar_100_takes_the_fine_label(tmp_path, cifar_files, digits):
    for name in ("train.bin", "test.bin"):
        (tmp_path / name).write_bytes(cifar_files[name])
    data = load(tmp_path)
    assert (data.name, len(data.classes), data.classes[1]) == ("cifar100", 100, "aquarium_fish")
    np.testing.assert_array_equal(data.train.labels, digits.train.labels[120:140])
    coarse = np.array(cifar._KINDS["cifar100"].labels["coarse"])
    np.testing.assert_array_equal(data.train.columns["coarse"], coarse[digits.train.labels[120:140]])
    assert data.notes[0].startswith("train lacks the classes ")


def test_class_lists_are_whole():
    labels = cifar._KINDS["cifar100"].labels
    assert [len(set(names)) for names in labels.values()] == [20, 100]
    assert all(list(names) == sorted(names) for names in labels.values())


def test_named_sets_are_found_in_the_data_root(monkeypatch, tmp_path, ten, cifar_files):
    monkeypatch.setenv("PELLUCID_DATA", str(tmp_path / "root"))
    data = load("cifar10")
    assert "train has 100 pictures; the published set has 50,000" in data.notes
    other = tmp_path / "root" / "cifar-100" / "cifar-100-binary"
    other.mkdir(parents=True)
    for name in ("train.bin", "test.bin"):
        (other / name).write_bytes(cifar_files[name])
    assert len(load("cifar100").test) == 20


def test_a_missing_file(ten):
    (ten / "data_batch_3.bin").unlink()
    with pytest.raises(MissingDataError, match=r"There is no file at .*data_batch_3\.bin"):
        load(ten)


def test_a_wrong_size(ten):
    with (ten / "data_batch_2.bin").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(FormatError) as error:
        load(ten)
    assert str(error.value) == (
        f"{ten / 'data_batch_2.bin'} has a wrong size: 61,461 bytes are too many, or not a whole number of records "
        f"of 3,073 bytes. Copy or download it again."
    )
    (ten / "data_batch_2.bin").write_bytes(b"")
    with pytest.raises(FormatError, match="has a wrong size: 0 bytes are"):
        load(ten)


def test_a_label_out_of_range(ten, tmp_path, cifar_files):
    content = bytearray(cifar_files["test_batch.bin"])
    content[3073 * 7] = 10
    (ten / "test_batch.bin").write_bytes(content)
    with pytest.raises(FormatError) as error:
        load(ten)
    assert str(error.value) == (
        f"{ten / 'test_batch.bin'} has a label out of range: record 7 has label 10, but the "
        f"10 classes are numbered 0 to 9."
    )
    content = bytearray(cifar_files["test.bin"])
    content[0] = 20
    (tmp_path / "train.bin").write_bytes(cifar_files["train.bin"])
    (tmp_path / "test.bin").write_bytes(content)
    with pytest.raises(FormatError, match="record 0 has label 20, but the 20 classes"):
        load(tmp_path)


def special(name: str, kind: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    return buffer.getvalue()


def test_refused_archives(tmp_path, make_tar, cifar_files, cifar10_archive, monkeypatch):
    batch = cifar_files["data_batch_1.bin"]
    ten = {name: content for name, content in cifar_files.items() if "batch" in name}
    twice = io.BytesIO()
    with tarfile.open(fileobj=twice, mode="w") as archive:
        for _ in range(2):
            member = tarfile.TarInfo("data_batch_1.bin")
            member.size = len(batch)
            archive.addfile(member, io.BytesIO(batch))
    lying = bytearray(make_tar({"test_batch.bin": batch}, packed=False))
    lying[124:136] = b"%011o\0" % (3073 * 1000)
    lying[148:156] = b"%06o\0 " % (sum(lying[:148]) + 8 * 32 + sum(lying[156:512]))
    cases = {
        "outside": (
            make_tar({"../evil": b"x"}),
            "has a path that leads outside it, '../evil'; no CIFAR archive",
        ),
        "absolute": (make_tar({"/etc/evil": b"x"}), "has a path that leads outside it, '/etc/evil'"),
        "inner": (make_tar({"a/../../b": b"x"}), "has a path that leads outside it"),
        "windows": (make_tar({"..\\evil": b"x"}), "has a path that leads outside it"),
        "drive": (make_tar({"C:\\evil": b"x"}), "has a path that leads outside it"),
        "link": (
            special("cifar/test_batch.bin", tarfile.SYMTYPE),
            "which is neither a file nor a folder; a CIFAR archive has",
        ),
        "hard link": (special("test_batch.bin", tarfile.LNKTYPE), "which is neither a file nor a folder"),
        "device": (special("null", tarfile.CHRTYPE), "which is neither a file nor a folder"),
        "size": (make_tar({**ten, "test_batch.bin": batch[:-1]}), "test_batch.bin has a wrong size: 61,459 bytes are"),
        "twice": (twice.getvalue(), "has data_batch_1.bin twice"),
        "lying": (bytes(lying), "is damaged or no tar archive (unexpected end of data)"),
        "foreign": (make_tar({"hello.txt": b"hello"}), "is not a binary CIFAR archive"),
        "no tar": (gzip.compress(b"hello" * 1000), "is damaged or no tar archive"),
        "empty": (b"", "is damaged or no tar archive"),
        "cut": (cifar10_archive[: len(cifar10_archive) // 2], "is cut off: its gzip data ends too early"),
        "end cut": (cifar10_archive[:-4], "is cut off: its gzip data ends too early"),
        "sum": (cifar10_archive[:-8] + b"\0" * 8, "is damaged: gzip cannot unpack it"),
        "one": (make_tar({"test_batch.bin": batch}), "cifar-10-batches-bin lacks the file data_batch_1.bin"),
    }
    for case, (content, sentence) in cases.items():
        path = tmp_path / f"{case}.tar.gz"
        path.write_bytes(content)
        with pytest.raises(DataError) as error:
            load(path)
        assert sentence in str(error.value), case
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".gz"] * len(cases), "nothing was unpacked"


def test_an_archive_may_not_unpack_to_too_much(tmp_path, make_tar, monkeypatch):
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(make_tar({name: bytes(1_500_000) for name in ("zeros", "more")}))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(cifar, "_MOST_UNPACKED", 2_000_000)
    with pytest.raises(FormatError, match=r"unpacks to more than 2,000,000 bytes; no CIFAR archive does"):
        load(path)


def test_other_folders_are_not_cifar(class_folders, tmp_path):
    assert not cifar.recognises(class_folders({"ants": 1}))
    with pytest.raises(MissingDataError, match="has no CIFAR files"):
        cifar.read(tmp_path)


@settings(max_examples=150, deadline=None)
@given(content=st.binary(max_size=2000), packed=st.booleans())
def test_any_bytes_are_refused(tmp_path_factory, content, packed):
    path = tmp_path_factory.getbasetemp() / "fuzz.tar.gz"
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    with pytest.raises(DataError):
        load(path)


def test_the_real_archive(data_root):
    archive = data_root / "cifar-10" / "cifar-10-binary.tar.gz"
    if not archive.exists():
        pytest.skip("there is no CIFAR-10 in PELLUCID_DATA: this test is not run")
    data = load(archive)
    assert [len(split) for split in data] == [50_000, 10_000]
    assert set(data.train.counts().values()) == {5000}
    means = data.train.pictures.mean(axis=(0, 2, 3)) / 255
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=5e-5)


def header(name: bytes, size: bytes, kind: bytes = b"0") -> bytearray:
    """One header of a tar archive, with its checksum right and everything else as it is told."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124 : 124 + len(size)] = size
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return block


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        # 2 to the power of 80 bytes: stepping over them would take for ever.
        (header(b"big", b"\x80\0\x01" + bytes(9)), "has more or larger files than a CIFAR archive"),
        (header(b"test_batch.bin", b"\x80\0\x01" + bytes(9)), "has more or larger files than a CIFAR archive"),
        (header(b"less", b"\xff" * 12), "is damaged: the header of 'less' declares a wrong size"),
        (header(b"empty", b"0" * 11) * 1100, "has more or larger files than a CIFAR archive"),
        # Each of these headers announces another one.
        (header(b"long", b"0" * 11, b"L") * 5000, "is damaged or no tar archive"),
        (header(b"pax", b"0" * 11, b"x") * 5000, "is damaged or no tar archive"),
        (header(b"pax", b"7" * 11, b"x") + bytes(4000), "is "),
    ],
    ids=["huge", "huge batch", "negative", "many", "long names", "pax", "lying pax"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_lying_tar_headers_end_at_once(tmp_path, content, sentence, packed):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError) as error:
        load(path)
    assert sentence in str(error.value)


@pytest.fixture
def sources(tmp_path, cifar_files, make_tar):
    """Real files, and what reads a mutation of each."""
    folder = tmp_path / "batches"
    folder.mkdir()
    small = {name: content[: 3073 * 2] for name, content in cifar_files.items() if "batch" in name}
    for name, content in small.items():
        (folder / name).write_bytes(content)

    def batch(content: bytes) -> object:
        (folder / "test_batch.bin").write_bytes(content)
        return load(folder)

    def archive(content: bytes) -> object:
        (tmp_path / "a.tar.gz").write_bytes(content)
        return load(tmp_path / "a.tar.gz")

    members = {f"cifar-10-batches-bin/{name}": content for name, content in small.items()}
    return {
        "batch": (small["test_batch.bin"], batch),
        "archive": (make_tar(members, packed=False), archive),
        "archive, packed": (make_tar(members), archive),
    }


def test_mutations_cost_little_memory(sources, mutate, bounded):
    bounded(lambda: mutate(sources, 300), 16 << 20)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_mutations(sources, mutate):
    outcomes = mutate(sources, 10_000)
    assert outcomes.total() == 10_000
    assert {name for name, read in outcomes if not read} == set(sources), "damaged headers are refused"
    assert outcomes["batch", True] > 100, "damaged pixels are pixels"

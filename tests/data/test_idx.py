import gzip
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pellucid.data.idx import read_idx, write_idx
from pellucid.errors import DataError, FormatError, MissingDataError

TYPES = ["u1", "i1", "i2", "i4", "f4", "f8"]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dtype", TYPES)
def test_every_element_type_comes_back(tmp_path, dtype, suffix):
    array = np.arange(-12, 12).astype(dtype).reshape(2, 3, 4)
    write_idx(tmp_path / f"a{suffix}", array)
    found = read_idx(tmp_path / f"a{suffix}")
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)


@settings(max_examples=60, deadline=None)
@given(
    array=st.sampled_from(TYPES).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=6, min_side=0, max_side=4))
    ),
    packed=st.booleans(),
)
def test_any_array_of_any_rank_comes_back(tmp_path_factory, array, packed):
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if packed else "a")
    write_idx(path, array)
    found = read_idx(path)
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)


def test_bytes_are_those_of_the_format(tmp_path):
    write_idx(tmp_path / "a", np.array([[1, -2]], dtype=np.int16))
    assert (tmp_path / "a").read_bytes() == b"\0\0\x0b\x02" + b"\0\0\0\1" + b"\0\0\0\2" + b"\0\1" + b"\xff\xfe"


def test_packed_files_repeat_and_are_known_by_content(tmp_path):
    array = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    write_idx(tmp_path / "a.gz", array)
    write_idx(tmp_path / "b.gz", array)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    # A browser may have unpacked it, or a name may lack its suffix.
    (tmp_path / "c").write_bytes((tmp_path / "a.gz").read_bytes())
    (tmp_path / "d.gz").write_bytes(gzip.decompress((tmp_path / "a.gz").read_bytes()))
    for name in ("c", "d.gz"):
        np.testing.assert_array_equal(read_idx(tmp_path / name), array)


def test_what_is_read_may_be_written_to(tmp_path):
    write_idx(tmp_path / "a", np.zeros((2, 2), dtype=np.uint8))
    read_idx(tmp_path / "a")[0, 0] = 7


def test_torchvision_reads_the_same(tmp_path):
    mnist = pytest.importorskip("torchvision.datasets.mnist")
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4) * 1000 - 5
    write_idx(tmp_path / "a", array)
    np.testing.assert_array_equal(
        mnist.read_sn3_pascalvincent_tensor(str(tmp_path / "a")).numpy(), read_idx(tmp_path / "a")
    )


def idx(code=0x08, dims=(2, 2), body=b"1234"):
    return struct.pack(f">BBBB{len(dims)}I", 0, 0, code, len(dims), *dims) + body


REFUSED = {
    "empty": (b"", "is cut off: it has only 0 bytes, fewer than an IDX header."),
    "magic": (
        b"\x89PNG\r\n",
        "is not an IDX file: it starts with the bytes 89 50 4e 47; expected are 00 00, an element type",
    ),
    "type": (idx(0x0A), "is not an IDX file: it starts with the bytes 00 00 0a 02;"),
    "dimensions": (b"\0\0\x08\x03\0\0\0\1", "is cut off: its header ends before all 3 dimensions are given."),
    "rank": (b"\0\0\x08\xff" + b"\0\0\0\1" * 255, "declares 255 dimensions; at most 32 are supported."),
    "truncated": (idx(body=b"123"), "is cut off: its header declares 2×2 values in 4 bytes, but 3 follow."),
    "trailing": (idx(body=b"12345"), "has trailing bytes: its header declares 2×2 values in 4 bytes, but "),
    "lying": (
        idx(dims=(2**32 - 1,), body=b""),
        "is cut off: its header declares 4294967295 values in 4,294,967,295 by",
    ),
    "overflow": (idx(dims=(2**32 - 1,) * 3, body=b""), "more than fit into any memory; it is damaged."),
    "empty but huge": (idx(dims=(0, *(2**32 - 1,) * 2), body=b""), "more than fit into any memory; it is damaged."),
}


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("case", REFUSED)
def test_each_refusal_has_its_own_sentence(tmp_path, case, packed):
    content, sentence = REFUSED[case]
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(FormatError) as error:
        read_idx(path)
    assert str(error.value).startswith(f"{path} ")
    assert sentence in str(error.value)


def test_damaged_gzip(tmp_path):
    whole = gzip.compress(idx(dims=(10_000,), body=bytes(range(250)) * 40), mtime=0)
    (tmp_path / "cut.gz").write_bytes(whole[:-20])
    with pytest.raises(FormatError, match=r"cut\.gz is cut off: its gzip data ends too early"):
        read_idx(tmp_path / "cut.gz")
    (tmp_path / "sum.gz").write_bytes(whole[:-8] + b"\0\0\0\0" + whole[-4:])
    with pytest.raises(FormatError, match=r"sum\.gz is damaged: gzip cannot unpack it \(CRC"):
        read_idx(tmp_path / "sum.gz")
    (tmp_path / "middle.gz").write_bytes(whole[:10] + b"\xff" * 20 + whole[30:])
    with pytest.raises(FormatError, match=r"middle\.gz is damaged: gzip cannot unpack it"):
        read_idx(tmp_path / "middle.gz")
    (tmp_path / "after.gz").write_bytes(whole + b"more")
    with pytest.raises(FormatError, match="damaged"):
        read_idx(tmp_path / "after.gz")


def test_missing_and_folder(tmp_path):
    with pytest.raises(MissingDataError, match="There is no file at"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(DataError):
        read_idx(tmp_path)


def test_types_that_idx_lacks(tmp_path):
    with pytest.raises(DataError) as error:
        write_idx(tmp_path / "a", np.zeros(3, dtype=np.int64))
    assert str(error.value) == (
        "IDX supports uint8, int8, int16, int32, float32, float64; this array is int64. Convert it with "
        "`array.astype(...)`."
    )


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=80).map(lambda rest: b"\0\0" + rest) | st.binary(max_size=80), packed=st.booleans())
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, packed):
    path = tmp_path_factory.getbasetemp() / "fuzz-idx"
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    try:
        found = read_idx(path)
    except DataError as error:
        assert str(path) in str(error)  # noqa: PT017 (to refuse is one of two right answers)
    else:
        assert found.nbytes < len(content)

import pytest

from pellucid.data.files import is_gzip, read_errors, unpacked
from pellucid.errors import DataError, FormatError, MissingDataError


@pytest.mark.parametrize(
    ("raised", "expected", "sentence"),
    [
        (FileNotFoundError(2, "No such file"), MissingDataError, "There is no file at a.idx."),
        (
            PermissionError(13, "no"),
            DataError,
            "a.idx cannot be read: permission denied. Change its permissions, or copy it.",
        ),
        (IsADirectoryError(21, "no"), FormatError, "a.idx is a folder; a file was expected."),
        (EOFError("end"), FormatError, "a.idx is cut off: its gzip data ends too early. Copy it again."),
        (OSError(5, "Input/output error"), DataError, "a.idx could not be read: Input/output error."),
        (OSError("odd"), DataError, "a.idx could not be read: odd."),
    ],
)
def test_sentences(tmp_path, raised, expected, sentence):
    with pytest.raises(DataError) as error, read_errors("a.idx"):
        raise raised
    assert type(error.value) is expected
    assert str(error.value) == sentence


def test_plain_and_packed(tmp_path):
    import gzip

    (tmp_path / "plain").write_bytes(b"hello")
    (tmp_path / "packed").write_bytes(gzip.compress(b"hello"))
    with unpacked(tmp_path / "plain") as (stream, size):
        assert (stream.read(), size) == (b"hello", 5)
    with unpacked(tmp_path / "packed") as (stream, size):
        assert (stream.read(), size) == (b"hello", None)
    assert [is_gzip(tmp_path / name) for name in ("plain", "packed")] == [False, True]

"""Times and sizes, as people type and read them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import UsageError
from pellucid.records.quantities import (
    format_size,
    format_time,
    format_time_left,
    parse_size,
    parse_time,
    time_argument,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("5 min", 300), ("1h", 3600), ("1h30m", 5400), ("1.5H", 5400), (20, 20), (0.5, 0.5)],
)
def test_times(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 minutes", "-5m", "5m!", "1h-30m", "0s", 0, -1, float("nan"), True, None]
)
def test_not_a_time(text):
    with pytest.raises(UsageError) as error:
        parse_time(text)
    assert str(error.value).startswith("A budget is a time ")
    assert f"for example 90s, 5m or 1h30m; given: '{text}'." in str(error.value)


@given(st.text(max_size=12))
def test_any_text_is_a_time_or_refused(text):
    with contextlib.suppress(UsageError):
        assert parse_time(text) > 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12 ms"), (0.25, "250 ms"), (4.2, "4.2 s"), (2, "2 s"), (35.4, "35 s"), (60, "1 min"), (119, "119 s"),
     (125, "2 min 5 s"), (300, "5 min"), (5400, "1 h 30 min"), (7200, "2 h"), (3599.9, "1 h")],
)  # fmt: skip
def test_times_for_people(seconds, text):
    assert format_time(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "under 5 s"), (4.9, "under 5 s"), (33, "35 s"), (57, "55 s"), (58, "1 min"), (200, "3 min"), (3599, "1 h"),
     (5050, "1 h 25 min"), (7300, "2 h")],
)  # fmt: skip
def test_an_estimate_is_rounded(seconds, text):
    assert format_time_left(seconds) == text


@given(st.integers(1, 10**6))
def test_a_time_as_an_argument_is_rounded_up(seconds):
    assert seconds <= round(parse_time(time_argument(seconds)), 6) <= 1.05 * seconds + 60


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("20GB", 20 * 10**9), ("1.5 MiB", 3 * 2**19), ("0B", 0), (" 3 kB", 3000), ("500 mb", 5 * 10**8),
     ("2g", 2 * 10**9), ("800000B", 800_000), (7, 7)],
)  # fmt: skip
def test_sizes(text, size):
    assert parse_size(text, "X") == size


@pytest.mark.parametrize(
    "text",
    ["", "GB", "-1GB", "nan", "2 apples", "2XB", "1GBGB", "1e3", "9999999999TB", "8kbit", 2**60, -1, True, None],
)
def test_not_a_size(text):
    with pytest.raises(UsageError) as error:
        parse_size(text, "X")
    assert str(error.value) == f"X is a size with its unit, for example 500MB or 20GB; given: '{text}'."


def test_a_unit_may_be_required():
    assert parse_size("2 GB", "X", unit_required=True) == 2 * 10**9
    assert parse_size(2, "X", unit_required=True) == 2, "numbers from Python are bytes"
    with pytest.raises(UsageError, match=r"X is a size with its unit"):
        parse_size("2", "X", unit_required=True)


def test_sizes_for_people():
    assert [format_size(n) for n in (0, 999, 1500, 2e6, 45.3e6, 123e9, 999.96e9, 4e12)] == [
        "0 bytes",
        "999 bytes",
        "1.5 kB",
        "2 MB",
        "45.3 MB",
        "123 GB",
        "1 TB",
        "4 TB",
    ]

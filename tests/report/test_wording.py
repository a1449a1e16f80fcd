import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.records import Metric
from pellucid.report import wording


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.986, "98.6 %"), (1, "100.0 %"), (0, "0.0 %"), (0.9996, "99.96 %"), (0.99999, "99.999 %"), (0.0001, "0.01 %")],
)
def test_a_fraction_is_never_rounded_to_certainty(fraction, text):
    assert wording.percent(fraction) == text


def test_what_is_hardly_probable_has_no_row_of_zeros():
    shares = (1.0, 0.123, 0.001, 0.0009, 4e-8, 0.0)
    said = ["100.0 %", "12.3 %", "0.1 %", "< 0.1 %", "< 0.1 %", "0.0 %"]
    assert [wording.probable(share) for share in shares] == said
    assert wording.probable(0.004, 0) == "0.4 %"


def test_what_is_not_defined_is_a_dash():
    assert wording.percent(None) == wording.cell("recall %", None) == "–"


def test_what_is_below_zero_has_a_true_minus():
    assert wording.minus("-0.25, 1e-05") == "−0.25, 1e−05"
    assert [wording.cell("mean", one) for one in (-0.003193, -12, "a-b", 0.5)] == ["−0.003193", "−12", "a-b", "0.5"]


@given(st.floats(0, 1))
def test_per_cent_can_be_read_back(fraction):
    assert float(wording.percent(fraction).removesuffix(" %")) == pytest.approx(100 * fraction, abs=0.0501)


def test_values_and_intervals_carry_their_unit():
    share = Metric("accuracy", 0.9, 10, 0.85, 0.97, unit="fraction")
    assert (wording.value(share), wording.interval(share)) == ("90.0 %", "85.0 to 97.0 %")
    seconds = Metric("time", 1.23456, 10, 1.1, 1.3, unit="seconds")
    assert (wording.value(seconds), wording.interval(seconds)) == ("1.235 seconds", "1.1 to 1.3 seconds")
    assert wording.value(Metric("pictures", 12345, 12345, unit="count")) == "12,345"
    assert wording.interval(Metric("loss", 0.1, 10, unit="nats")) == ""


def test_cells_of_tables():
    assert wording.cell("recall %", 0.5) == "50.0"
    assert wording.cell("n", 12345) == "12,345"
    assert wording.cell("x", 0.123456) == "0.1235"
    assert wording.cell("known", True) == "yes"
    assert wording.cell("known", False) == "no"
    assert wording.cell("class", "a\nb") == r"a\nb"


def test_titles_fall_back_to_the_name():
    assert wording.title("top_5_accuracy") == "Top-5 accuracy"
    assert wording.title("near_duplicates") == "Near duplicates"


def test_one_picture_is_not_one_pictures():
    assert wording.count(1, "class", "classes") == "1 class"
    assert wording.count(1437, "picture") == "1,437 pictures"


def test_hidden_characters_are_shown_and_joined_emoji_are_kept():
    assert wording.visible("a\nb\t\x1b[31m") == r"a\nb\t\x1b[31m"
    assert wording.visible("evil\u202etxt.exe") == r"evil\u202etxt.exe"
    assert wording.visible("bad\udcffname") == r"bad\udcffname"
    family = "\U0001f469\u200d\U0001f467"
    assert wording.visible(f"蜜蜂 {family} $x$") == f"蜜蜂 {family} $x$"


@given(st.text(), st.integers(1, 30))
def test_short_fits_and_stays_on_one_line(text, columns):
    short = wording.short(text, columns)
    assert wording.width(short) <= columns
    assert short.isprintable() or not short.splitlines()[1:]
    short.encode("utf-8")
    if wording.width(wording.visible(text)) <= columns:
        assert short == wording.visible(text)
    else:
        assert "…" in short


def test_east_asian_letters_are_wide():
    assert wording.width("蜜蜂") == 4
    assert wording.short("蜜蜂蜜蜂蜜蜂", 7) == "蜜蜂…蜂"
    assert wording.short("Apis mellifera", 9) == "Apis…fera"


def test_limits_are_shown_beside_their_column():
    columns = ("class", "recall %", "n", "recall low %", "recall high %")
    assert wording.shown_columns(columns) == [("class", 0, None), ("recall %", 1, (3, 4)), ("n", 2, None)]
    assert wording.cell_with_limits("recall %", ("a", 0.9, 20, 0.7, 0.972), 1, (3, 4)) == "90.0 (70 to 97)"
    assert wording.cell_with_limits("recall %", ("a", None, 0, None, None), 1, (3, 4)) == "–"

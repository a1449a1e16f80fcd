"""How many pictures settle a question: compared with the tests themselves, by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.statistics.comparison import mcnemar
from pellucid.statistics.groups import is_above, is_below
from pellucid.statistics.intervals import wilson
from pellucid.statistics.sample_size import more_pictures, to_compare, to_meet, to_narrow


@given(st.floats(0, 1), st.floats(0.005, 0.4))
def test_the_interval_is_as_narrow_as_asked_and_no_picture_too_many(share, half_width):
    n = to_narrow(share, half_width)
    # Wilson's interval of a whole number of successes near the share is as wide up to rounding.
    low, high = wilson(round(share * n), n)
    assert (high - low) / 2 <= half_width + 1 / n
    if n > 1:
        low, high = wilson(round(share * (n - 1)), n - 1)
        assert (high - low) / 2 >= half_width - 2 / n


@pytest.mark.parametrize("cells", [(0.02, 0.06), (0.10, 0.14), (0.0, 0.05), (0.2, 0.1)])
def test_mcnemar_tells_a_from_b_in_four_of_five_samples_of_that_size(cells):
    random = np.random.default_rng(0)
    n = to_compare(round(cells[0] * 10_000), round(cells[1] * 10_000), 10_000)
    only_a, only_b, _ = random.multinomial(n, [*cells, 1 - sum(cells)], size=1000).T
    shown = np.mean([mcnemar(int(a), int(b)) < 0.05 for a, b in zip(only_a, only_b, strict=True)])
    assert 0.75 <= shown <= 0.95  # steps of whole pictures


def test_equal_rates_are_never_told_apart():
    assert to_compare(7, 7, 100) is None
    assert to_compare(0, 0, 100) is None


@pytest.mark.parametrize(("share", "bound"), [(0.95, 0.9), (0.99, 0.9), (0.92, 0.9), (0.8, 0.9), (0.5, 0.2)])
def test_the_exact_test_shows_the_side_of_the_bound_in_four_of_five_samples(share, bound):
    n = to_meet(share, bound)
    right = np.random.default_rng(0).binomial(n, share, size=2000)
    test = is_above if share > bound else is_below
    shown = np.mean([test(int(count), n, bound) <= 0.05 for count in right])
    assert 0.76 <= shown <= 0.95  # steps of whole pictures


def test_all_right_needs_the_number_of_the_rule_of_three():
    assert to_meet(1.0, 0.9) == 29
    assert to_meet(1.0, 0.99) == 299
    assert to_meet(0.9, 0.9) is None
    assert to_meet(0.9000001, 0.9) is None, "no usual number of pictures shows it"


def test_numbers_are_rounded_as_estimates_are():
    assert more_pictures(1234, 10) == "about 1,300 more test pictures"
    assert more_pictures(11, 10) == "about 1 more test picture"
    assert more_pictures(10, 10) == more_pictures(None, 10) == ""

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.statistics.intervals import wilson


@settings(deadline=None)  # the first call imports a library
@given(st.integers(1, 20_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_is_wilsons_formula(case):
    successes, n = case
    z = 1.959963984540054
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = wilson(successes, n)
    assert low == pytest.approx(middle - half, abs=1e-12)
    assert high == pytest.approx(middle + half, abs=1e-12)
    assert -1e-15 <= low <= share <= high <= 1 + 1e-15


def test_all_right_is_not_certainty():
    low, high = wilson(10, 10)
    assert low == pytest.approx(0.722, abs=5e-4)  # Wilson 1927; the normal interval would be 1 to 1
    assert high == 1


def test_more_confidence_is_a_wider_interval():
    assert wilson(90, 100, 0.99)[0] < wilson(90, 100, 0.95)[0] < wilson(90, 100, 0.5)[0]


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 3), (4, 3)])
def test_impossible_counts_are_a_programmers_mistake(successes, n):
    with pytest.raises(AssertionError):
        wilson(successes, n)


def test_statistics_import_neither_torch_nor_scipy():
    code = (
        "import sys, pellucid.statistics.metrics, pellucid.statistics.intervals;"
        "bad = {'torch', 'scipy', 'sklearn'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""Arrays as plain values for a figure: four digits are more than a colour can show."""

from __future__ import annotations

from typing import Any

import numpy as np


def rounded(values: Any) -> Any:
    """Numbers to four significant digits, in nested lists of the array's shape; a single number as one."""
    if np.ndim(values) == 0:
        return float(f"{float(values):.4g}")
    return [rounded(one) for one in values]

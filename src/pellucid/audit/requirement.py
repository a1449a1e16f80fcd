"""Requirements: `accuracy>=0.9 by sex,skin`, a bound on a metric in every group."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pellucid.errors import UsageError

__all__ = ["Requirement", "parse"]

_FORM = re.compile(
    r"\s*(?P<metric>[^<>=]+?)\s*(?P<sign>>=|<=|≥|≤)\s*(?P<bound>[\d.]+)\s*(?P<percent>%?)\s*(by\s+(?P<columns>.+?))?\s*"
)


@dataclass(frozen=True)
class Requirement:
    """A bound on a metric, in every group of the columns; without columns, on all pictures together.

    Attributes:
        metric: name of a metric of `pellucid.audit.group_metrics`.
        at_least: whether the metric must be at least the bound; else at most.
        bound: the bound.
        columns: the columns whose combined values make the groups.
    """

    metric: str
    at_least: bool
    bound: float
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        by = f" by {','.join(self.columns)}" if self.columns else ""
        return f"{self.metric}{'>=' if self.at_least else '<='}{self.bound:g}{by}"


def parse(text: str) -> Requirement:
    """Reads a requirement, such as `accuracy>=0.9 by sex,skin`, `recall:ill>=95 %` or `log_loss<=0.3 by camera`.

    Raises:
        UsageError: it has another form, or an unknown metric.
    """
    from pellucid.audit.group_metrics import require_metric

    match = _FORM.fullmatch(text)
    bound = _number(match["bound"]) if match else None
    if match is None or bound is None:
        raise UsageError(
            f"A requirement names a metric, a bound and perhaps columns; given: '{text}'. "
            f'Try --require "accuracy>=0.9 by sex,skin".'
        )
    metric = require_metric(match["metric"])
    bound = bound / 100 if match["percent"] else bound
    if bound > 1 and metric.is_share:
        raise UsageError(f"{metric.name} lies between 0 and 1, but the bound is {bound:g}. Did you mean {bound:g}%?")
    columns = tuple(dict.fromkeys(name.strip() for name in (match["columns"] or "").split(",") if name.strip()))
    return Requirement(metric.name, match["sign"] in (">=", "≥"), bound, columns)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # such as 0.9.1
        return None

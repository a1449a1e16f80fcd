"""`Finding`: a result, as data. Terminal, `--json`, report and notebook all show the same findings.

The JSON form is versioned:

    {"version": 2, "findings": [{"name": "accuracy", "value": 0.989, "low": 0.987, "high": 0.991, "n": 10000}, ...]}

A finding is a metric (`value`, `n`, and if known `low` and `high`), a table (`columns`, `rows`), a figure (`figure`:
its kind, `data`: the data to draw), or a remark (`level`, `text`, `advice`). `note` is a further sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pellucid.errors import FormatError, on_one_line
from pellucid.records import display
from pellucid.records.names import counted

VERSION = 2


@dataclass(frozen=True)
class Metric:
    """A number with its interval.

    Attributes:
        name: as in JSON: `accuracy`, `top_5_accuracy`.
        value: the number; fractions are between 0 and 1.
        low, high: the 95 % confidence interval, if there is one.
        n: number of pictures on which it was measured.
        unit: `fraction` (shown as per cent), `seconds`, `nats`, `count`, or empty.
        note: a further sentence.
        method: how the interval was computed: `Wilson`, `bootstrap-t`.
    """

    name: str
    value: float
    n: int
    low: float | None = None
    high: float | None = None
    unit: str = ""
    note: str = ""
    method: str = ""

    def to_json(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if value is not None and value != ""}

    def __str__(self) -> str:
        """`accuracy 98.9 % (98.7 to 99.1, n = 10,000)`."""
        title = self.name.replace("_", " ")
        if self.unit == "fraction":
            digits = _percent_digits(self.value)
            text, interval = f"{100 * self.value:.{digits}f} %", ""
            if self.low is not None and self.high is not None:
                interval = f"{100 * self.low:.{digits}f} to {100 * self.high:.{digits}f}, "
        else:
            suffix = f" {self.unit}" if self.unit and self.unit != "count" else ""
            text = f"{self.value:,.0f}" if self.unit == "count" else f"{self.value:.4g}{suffix}"
            interval = ""
            if self.low is not None and self.high is not None:
                interval = f"{self.low:.4g} to {self.high:.4g}, "
        note = f": {self.note}" if self.note else ""
        return on_one_line(f"{title} {text} ({interval}n = {self.n:,}){note}")


def _percent_digits(fraction: float) -> int:
    """Number of decimals of a percentage, such that 99.996 % is not shown as 100 %."""
    digits = 1 if 0.005 <= fraction <= 0.995 else 2
    while 0 < fraction < 1 and digits < 12 and round(100 * fraction, digits) in (0, 100):
        digits += 1
    return digits


@dataclass(frozen=True)
class Table:
    """Rows of plain values under named columns. Columns whose name ends in `%` contain fractions."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        document = {"name": self.name, "columns": list(self.columns), "rows": [list(row) for row in self.rows]}
        return document | ({"note": self.note} if self.note else {})

    def __str__(self) -> str:
        return on_one_line(f"{self.name.replace('_', ' ')}: {counted(len(self.rows), 'row')}")


@dataclass(frozen=True)
class Figure:
    """A picture, as the data that it is drawn from.

    Attributes:
        name: its name, and its file name.
        figure: its kind: a key of the report's table of pictures, for example `confusion-matrix`.
        data: plain values (numbers, strings, lists, dictionaries; small pictures as nested lists of 0 to 255).
        title: its heading.
    """

    name: str
    figure: str
    data: Mapping[str, Any]
    title: str = ""
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        document = {"name": self.name, "figure": self.figure, "data": dict(self.data), "title": self.title}
        return document | ({"note": self.note} if self.note else {})

    def __str__(self) -> str:
        return on_one_line(self.title or self.name.replace("_", " "))


LEVELS = ("info", "warning", "error")
"""Levels of remarks, from the least to the most serious."""


@dataclass(frozen=True)
class Remark:
    """Something that the user should know, and what to do about it.

    Attributes:
        name: as in JSON: `duplicates`, `class_missing`.
        level: `error` (a result would be wrong), `warning` (it may mislead), or `info`.
        text: the fact, in one or two sentences.
        advice: what to do about it.
        n: number of pictures concerned; 0 if it concerns none in particular.
        pictures: ids of these pictures.
    """

    name: str
    level: str
    text: str
    advice: str = ""
    n: int = 0
    pictures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.level in LEVELS

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"name": self.name, "level": self.level, "text": self.text}
        document |= {"advice": self.advice} if self.advice else {}
        return document | ({"n": self.n, "pictures": list(self.pictures)} if self.n else {})

    def __str__(self) -> str:
        return on_one_line(f"{self.level}: {self.text}")


Finding = Metric | Table | Figure | Remark


@dataclass(frozen=True)
class Findings:
    """An ordered list of findings with a title. Index it by position or by name."""

    items: tuple[Finding, ...] = field(default_factory=tuple)
    title: str = ""

    def __getitem__(self, key: int | str) -> Any:
        if isinstance(key, str):
            for item in self.items:
                if item.name == key:
                    return item
            raise KeyError(key)
        return self.items[key]

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.items)

    def __contains__(self, name: object) -> bool:
        return any(item.name == name or item is name for item in self.items)

    def __add__(self, more: Iterable[Finding]) -> Findings:
        return Findings((*self.items, *more), self.title)

    def __str__(self) -> str:
        """The remarks and metrics, one per line."""
        return "\n".join(str(item) for item in self.items if isinstance(item, Metric | Remark))

    def _repr_html_(self) -> str | None:
        return display.html(self)

    def to_json(self) -> dict[str, Any]:
        document: dict[str, Any] = {"version": VERSION, "findings": [item.to_json() for item in self.items]}
        return document | ({"title": self.title} if self.title else {})

    def dumps(self) -> str:
        """The JSON text, on one line and with all digits. Control characters in names are escaped.

        Raises:
            ValueError: a number is infinite or NaN, which JSON does not have.
        """
        text = json.dumps(self.to_json(), ensure_ascii=False, allow_nan=False)
        # JSON itself escapes only the control characters below 0x20; a terminal obeys others too.
        return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Findings:
        """The findings in a document that `to_json` made.

        Raises:
            FormatError: it is something else, or of another version.
        """
        if not isinstance(content, Mapping) or content.get("version") != VERSION:
            version = content.get("version") if isinstance(content, Mapping) else None
            raise FormatError(f"These are not findings of version {VERSION}; their version is {version!r}.")
        try:
            return cls(tuple(_finding(item) for item in content["findings"]), content.get("title", ""))
        except (KeyError, TypeError) as error:
            raise FormatError(f"These findings are damaged: {error}.") from error


def _finding(item: Mapping[str, Any]) -> Finding:
    if "columns" in item:
        rows = tuple(tuple(row) for row in item["rows"])
        return Table(item["name"], tuple(item["columns"]), rows, item.get("note", ""))
    if "level" in item:
        pictures = tuple(item.get("pictures", ()))
        return Remark(item["name"], item["level"], item["text"], item.get("advice", ""), item.get("n", 0), pictures)
    return Figure(**item) if "figure" in item else Metric(**item)

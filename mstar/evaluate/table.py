"""What an evaluation found, as one type: tables whose columns are declared once.

The text on a terminal, JSON, CSV and an HTML page all come from the same rows. The rows keep their
numbers: `result["rankings"]["word"]["model"].value` is a float.
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, FileSystemLoader

from mstar import files
from mstar.errors import UserError
from mstar.evaluate.metrics import FEW, FEW_SAID, Estimate
from mstar.versions import versions

if TYPE_CHECKING:
    import pandas

#: How values are said; an estimate says its own interval.
PLAIN, COUNTED, PERCENT, RATE = "{}", "{0} of {0.count}", "{:.0f} %", "{:.1f}"
_MISSING = "–"
_PARTS = ("value", "low", "high", "count")  # of an estimate
_PAGE = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip


class Column(NamedTuple):
    """One column.

    Attributes:
        key: by which rows, JSON and CSV know it.
        heading: what people read above it; None = the key.
        form: how a value is said: one of the forms above, or another format string.
    """

    key: str
    heading: str | None = None
    form: str = PLAIN

    @property
    def said(self) -> str:
        return self.key if self.heading is None else self.heading


@dataclass(frozen=True)
class Section:
    """A table. Iterating gives each row as a dict; `section[name]` is the row of that name.

    Attributes:
        name: by which the result knows it.
        title: what people read above it.
        columns: see `Column`.
        rows: values in the order of the columns: texts, numbers, estimates, None = missing.
        keys: how many of the first columns name a row; of several the name is a tuple.

    Raises:
        UserError: a row has more or fewer values than there are columns.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    keys: int = 1

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise UserError(
                    f"{self.name} has {len(self.columns)} columns; got a row of {len(row)} values."
                )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = [column.key for column in self.columns]
        return (dict(zip(names, row, strict=True)) for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def by_name(self) -> dict[Any, dict[str, Any]]:
        """The rows by their names."""
        names = (row[0] if self.keys == 1 else tuple(row[: self.keys]) for row in self.rows)
        return dict(zip(names, self, strict=True))

    def __getitem__(self, name: Any) -> dict[str, Any]:
        return _named(self.by_name(), name, "row")

    def column(self, key: str) -> dict[Any, Any]:
        """The values of one column by the names of their rows."""
        return {name: row[key] for name, row in self.by_name().items()}

    def to_rows(self) -> list[dict[str, Any]]:
        """The rows as plain values, an estimate as four: `map`, `map_low`, `map_high`, `map_count`.

        Names of columns are the same in every row; None is missing.
        """
        estimates = {
            column.key
            for at, column in enumerate(self.columns)
            if any(isinstance(row[at], Estimate) for row in self.rows)
        }
        made = []
        for row in self:
            flat: dict[str, Any] = {}
            for key, value in row.items():
                flat[key] = plain(value)
                if key in estimates:
                    parts = plain(value) if isinstance(value, Estimate) else None
                    parts = parts or dict.fromkeys(_PARTS)
                    flat[key] = parts["value"]
                    flat |= {f"{key}_{part}": parts[part] for part in _PARTS[1:]}
            made.append(flat)
        return made

    def to_csv(self, path: str | Path) -> Path:
        """Write `to_rows`, a line a row below the names of the columns; returns the path."""
        return write_rows(path, self.to_rows())

    def to_frame(self) -> "pandas.DataFrame":
        """`to_rows` as a frame. UserError where pandas is not installed."""
        return as_frame(self.to_rows())

    def cells(self) -> list[list[str]]:
        """Every value in words."""
        forms = [column.form for column in self.columns]
        return [
            [_MISSING if missing(v) else form.format(v) for v, form in zip(row, forms, strict=True)]
            for row in self.rows
        ]

    def __str__(self) -> str:
        lines, before = [[column.said for column in self.columns]], None
        for row in self.cells():
            again = self.keys > 1 and row[0] == before  # said once for all rows that follow
            before = row[0]
            lines.append(["", *row[1:]] if again else row)
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            line[:] = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        said = [self.title, *("  ".join(["", *line]).rstrip() for line in lines)]
        return "\n".join(filter(None, said))


@dataclass(frozen=True)
class Result:
    """What an evaluation or an experiment found. `result[name]` is the section of that name.

    Attributes:
        title: what was measured.
        about: settings and other facts on which the numbers depend.
        sections: the tables.
        notes: lines below them; that intervals over few values are too narrow is said anyway.
        versions: see `versions`.
    """

    title: str
    about: Mapping[str, Any]
    sections: Sequence[Section]
    notes: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=versions)

    def __getitem__(self, name: str) -> Section:
        return _named({section.name: section for section in self.sections}, name, "section")

    def facts(self) -> dict[str, str]:
        """`about` in words; of a hash its beginning."""
        return {name: _said(v) for name, v in self.about.items() if not isinstance(v, Mapping)}

    def said(self) -> list[str]:
        """The notes, and where it holds that some intervals are over few values."""
        values = (v for section in self.sections for row in section.rows for v in row)
        few = any(isinstance(v, Estimate) and 0 < v.count < FEW for v in values)
        return [*self.notes, FEW_SAID] if few else [*self.notes]

    def __str__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.facts().items())
        parts = [f"{self.title}: {facts}", *map(str, self.sections), "\n".join(self.said())]
        return "\n\n".join(filter(None, parts))

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; NaN, infinity and an estimate of nothing are None."""
        return plain(
            {
                "title": self.title,
                "about": self.about,
                "versions": self.versions,
                "sections": {one.name: list(one) for one in self.sections},
                "notes": self.said(),
            }
        )

    def to_rows(self) -> list[dict[str, Any]]:
        """A row a value: section, row, column, value; of an estimate low, high and count too."""
        made: list[tuple[Any, ...]] = []
        facts = {"title": self.title, **self.about, **self.versions}
        for name, value in plain(facts).items():
            said = value if isinstance(value, str | int | float | None) else json.dumps(value)
            made.append(("about", "", name, said))
        for section in self.sections:
            for row, values in zip(section.rows, section, strict=True):
                name = ", ".join(map(str, row[: section.keys]))
                for key, value in plain(list(values.items()))[section.keys :]:
                    found = value.values() if isinstance(value, dict) else (value,)
                    made.append((section.name, name, key, *found))
        names = ("section", "row", "column", *_PARTS)
        return [dict(zip_longest(names, row)) for row in made]

    def to_csv(self, path: str | Path) -> Path:
        """Write `to_rows`, a line a row below the names of the columns; returns the path."""
        return write_rows(path, self.to_rows())

    def to_frame(self) -> "pandas.DataFrame":
        """`to_rows` as a frame. UserError where pandas is not installed."""
        return as_frame(self.to_rows())

    def to_html(self) -> str:
        """One page that needs nothing else; every text in it is escaped."""
        return _PAGE.get_template("result.html").render(result=self, whole=True)

    def _repr_html_(self) -> str:
        return _PAGE.get_template("result.html").render(result=self, whole=False)


#: What a result is written as, by the name of the format.
FORMATS = {
    "json": lambda result: json.dumps(result.to_json(), allow_nan=False) + "\n",
    "csv": lambda result: as_csv(result.to_rows()),
    "html": Result.to_html,
}


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the same names as CSV; what is missing is empty."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def write_rows(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """`as_csv` as a file; returns its path."""
    with files.replacing(path) as whole:
        whole.write_text(as_csv(rows), encoding="utf-8", newline="")
    return Path(path)


def as_frame(rows: Sequence[Mapping[str, Any]]) -> "pandas.DataFrame":
    """Rows as a frame of pandas, which the package itself does not need.

    Raises:
        UserError: it is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise UserError(
            "a frame needs pandas: pip install pandas, or take to_rows() or to_csv(path)."
        ) from None
    return pandas.DataFrame(list(rows))


def missing(value: Any) -> bool:
    """Whether there is no value: None, NaN or infinity, or an estimate of nothing."""
    if isinstance(value, Estimate):
        return not value.count
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def plain(value: Any) -> Any:
    """Dicts, lists, texts and numbers for JSON; what is missing is None."""
    if missing(value):
        return None
    if isinstance(value, Estimate):
        return asdict(value)
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, PurePath):
        return str(value)
    return value.item() if hasattr(value, "item") else value  # numpy's numbers


def _said(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    said = _MISSING if missing(value) else str(value)
    return said[:12] if len(said) == 64 and set(said) <= set("0123456789abcdef") else said


def _named(found: Mapping[Any, Any], name: Any, what: str) -> Any:
    if name not in found:
        raise KeyError(f"there is no {what} {name!r}: expected one of {', '.join(map(str, found))}")
    return found[name]

"""What an evaluation on the sandbox found: a table to print, or JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mstar.evaluate.metrics import Estimate, without_nan


@dataclass(frozen=True)
class Ranking:
    """MAP in % of a group of queries, and of a random ranking of the same images."""

    group: str
    model: Estimate
    random: Estimate


@dataclass(frozen=True)
class Comparison:
    """Two MAPs in % over the same queries; `difference` = first − second, paired by query."""

    first_name: str
    second_name: str
    first: Estimate
    second: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Measure:
    """A share in % with what it is to be held against, if anything."""

    name: str
    model: Estimate
    reference_name: str | None = None
    reference: Estimate | None = None


@dataclass(frozen=True)
class SandboxReport:
    """What `evaluate_sandbox` found.

    Attributes:
        about: difficulty, seed, images, steps (T), hash of the gallery, versions, and whatever
            the caller adds.
        rankings: by seen and unseen words, by size, by style.
        shortcuts: whole queries against the best that a part of them reaches.
        grounding: attention, choice of queries and masks against the words' places.
        controls: T = 0 against T = 1 and its controls, if asked for.
    """

    about: dict[str, Any]
    rankings: list[Ranking]
    shortcuts: list[Comparison]
    grounding: list[Measure]
    controls: list[Comparison]

    def to_json(self) -> dict[str, Any]:
        """Plain values; a group without any query is null."""
        return without_nan(asdict(self))

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def _lines(report: SandboxReport) -> list[str]:
    about = report.about
    lines = [
        f"{about['difficulty']} gallery, seed {about['seed']}: {about['images']} images, "
        f"T = {about['steps']}, gallery {about['gallery'][:12]}"
        + (f", checkpoint {about['checkpoint'][:12]}" if "checkpoint" in about else ""),
        "",
        f"{'MAP in % [95 % interval]':44} {'model':22} {'random ranking':22} queries",
    ]
    for row in report.rankings:
        lines.append(f"{row.group:44} {row.model!s:22} {row.random!s:22} {row.model.count:7}")
    for title, rows, names in (
        ("MAP against shortcuts", report.shortcuts, ("whole query", "shortcut")),
        ("MAP of a second look", report.controls, ("first", "second")),
    ):
        if rows:
            lines += ["", f"{title:44} {names[0]:22} {names[1]:22} difference"]
        for row in rows:
            name = f"{row.first_name} − {row.second_name}"
            lines.append(f"{name:44} {row.first!s:22} {row.second!s:22} {row.difference}")
    return [*lines, *measure_lines(report.grounding)]


def measure_lines(measures: Sequence[Measure]) -> list[str]:
    """Measures as a table."""
    lines = ["", f"{'places, in %':44} {'model':22} held against"]
    for row in measures:
        against = f"{row.reference}  {row.reference_name}" if row.reference else ""
        lines.append(f"{row.name:44} {row.model!s:22} {against}".rstrip())
    return lines

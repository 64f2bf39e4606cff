"""What `evaluate_localisation` found, and its tables."""

from dataclasses import asdict, dataclass
from typing import Any

from mstar.evaluate.metrics import FEW, FEW_SAID, Estimate, without_nan

#: The floor of the sanity check: a map of the same model for another query and scene.
ANOTHER = "another case"


@dataclass(frozen=True)
class Line:
    """A method in numbers: means in % (scores × 100) with their intervals.

    Attributes:
        style: of the queries; `all` = of all styles.
        method: one of `METHODS`, or `random`.
        measures: see `Localised`.
        against: each measure less that of raw attention, paired by query.
    """

    style: str
    method: str
    measures: dict[str, Estimate]
    against: dict[str, Estimate]


@dataclass(frozen=True)
class LocalisationReport:
    """What `evaluate_localisation` found.

    Attributes:
        about: where it comes from.
        lines: by style and method.
        touched: share in % of the tokens that the answer touches, by style: what an even map
            reaches in the pointing game.
        gap: share in % of what integrated gradients have to add up to that they lack or exceed
            (mean size of the one over that of the other); None without that method.
        sanity: method -> what was shuffled -> rank correlation (× 100) with the map of the model
            as it is; as low as `ANOTHER` = the map depends on these weights, or is even without
            them.
    """

    about: dict[str, Any]
    lines: list[Line]
    touched: dict[str, Estimate]
    gap: float | None
    sanity: dict[str, dict[str, Estimate]]

    def to_json(self) -> dict[str, Any]:
        """Plain values; a group without any query is null."""
        return without_nan(asdict(self))

    def __str__(self) -> str:
        about = self.about
        head = [
            f"localisation, {about['difficulty']}, seed {about['seed']}: {about['queries']} "
            f"queries, T = {about['steps']}"
            + (f", checkpoint {about['checkpoint'][:12]}" if "checkpoint" in about else "")
        ]
        for style in dict.fromkeys(line.style for line in self.lines):
            lines = [line for line in self.lines if line.style == style]
            count = lines[0].measures["iou"].count
            head += ["", f"{style}, queries: {count}; an even map points right in "
                         f"{self.touched[style]} %"]  # fmt: skip
            head.append(" " * 24 + "".join(f"{name:22}" for name in lines[0].measures).rstrip())
            for line in lines:
                values = "".join(f"{value!s:22}" for value in line.measures.values())
                head.append(f"  {line.method:22}{values}".rstrip())
        whole = [line for line in self.lines if line.style == "all" and line.method != "attention"]
        head += ["", "all queries, against raw attention, paired"]
        for line in whole:
            values = "".join(f"{value!s:22}" for value in line.against.values())
            head.append(f"  {line.method:22}{values}".rstrip())
        if self.gap is not None:
            head += [
                "",
                f"integrated gradients miss what they have to add up to by {self.gap:.0f} %",
            ]
        head += ["", "rank correlation × 100 with the map of the same model after its weights "
                     f"were shuffled, and with a map of {ANOTHER}"]  # fmt: skip
        parts = next(iter(self.sanity.values()))
        head.append(" " * 24 + "".join(f"{name:22}" for name in parts).rstrip())
        for method, parts in self.sanity.items():
            head.append(f"  {method:22}" + "".join(f"{v!s:22}" for v in parts.values()).rstrip())
        if any(line.measures["iou"].count < FEW for line in self.lines):
            head += ["", FEW_SAID]
        return "\n".join(head)

"""What `ablation.ipynb` shows: the arms against their controls, and the mechanism."""

from dataclasses import asdict, replace
from typing import Any

from mstar.evaluate.table import FORMATS
from mstar.experiments.ablation import CONTROL, DOUBLED, Arm, Difference, Experiment, Findings
from mstar.experiments.ablation.findings import result
from mstar.widgets import figures
from mstar.widgets.picture import Picture

from .parameters import AblationReport
from .provenance import provenance, write_metrics

_WHERE = {
    ("easy", "all"): "Images of one to five words, all texts",
    ("easy", "small"): "The same, small text alone",
    ("easy", "1-2 words"): "The same, images of one or two words",
    ("easy", "4-5 words"): "The same, images of four or five words",
    ("crowd", "all"): "Crowded images, six to eight small words, never trained on",
}

_TRUE, _EMPTY = Arm(1, "watershed"), Arm(1, "empty")
#: What the summary holds against each other.
_ASKED = {
    "watershed masks − one look": (_TRUE, CONTROL),
    "empty masks − one look": (_EMPTY, CONTROL),
    "watershed − empty": (_TRUE, _EMPTY),
    "one look with two of each query token − one look": (DOUBLED, CONTROL),
    "watershed − one look with two of each query token": (_TRUE, DOUBLED),
}


#: σ of an arm -> what it is held against after as many looks; random has the watershed's area.
_HELD_AGAINST = {
    "watershed": ("empty", "random"),
    "threshold": ("empty",),
    "released": ("empty",),
}


def pictures(findings: Findings) -> list[Picture]:
    """The figures of the report, those that have something to show."""
    shown = [summary(findings)]
    for place, title in _WHERE.items():
        shown += _figure(
            title,
            "Difference to the control that trained as long with one look.",
            _of_side(findings.against_controls(*place), 1),
        )
        shown += _figure(
            f"Is it the mask? {title}",
            "The same number of looks, masks on what was attended against empty and random ones.",
            _of_side(same_looks(findings, *place), 1),
        )
        shown += _figure(
            f"More looks, or more embeddings? {title}",
            "A second look doubles the embeddings that words are matched with. One look with two "
            "of each query token has as many: held against one look, and two looks against it.",
            as_many_embeddings(findings, *place),
        )
    shown += _figure(
        "Mosaics of four images, a grid of twice the side",
        "The released semantics beside the paper's, each against its own control of one look, and "
        "then against as many looks with empty masks.",
        _mosaics(findings),
    )
    return [*shown, _mechanism(findings)]


def same_looks(findings: Findings, gallery: str, group: str = "all") -> list[Difference]:
    """Masks on what was attended, against empty and random ones after as many looks."""
    pairs = [
        (arm, replace(arm, sigma=other))
        for arm in findings.arms
        if arm.looks
        for other in _HELD_AGAINST.get(arm.sigma, ())
    ]
    return _compared(findings, pairs, gallery, group)


def as_many_embeddings(findings: Findings, gallery: str, group: str = "all") -> list[Difference]:
    """What twice the embeddings are worth in one look, and a second look beyond that."""
    pairs = [(DOUBLED, CONTROL), (_TRUE, DOUBLED), (_EMPTY, DOUBLED)]
    return _compared(findings, pairs, gallery, group)


def _compared(
    findings: Findings, pairs: list[tuple[Arm, Arm]], gallery: str, group: str
) -> list[Difference]:
    """Of the pairs that both ran on that gallery and group."""
    found = (findings.difference(*pair, gallery, group) for pair in pairs)
    return [difference for difference in found if difference is not None]


def _of_side(rows: list[Difference], side: int) -> list[Difference]:
    return [row for row in rows if row.arm.side == side]


def _mosaics(findings: Findings) -> list[Difference]:
    return _of_side(findings.against_controls("easy") + same_looks(findings, "easy"), 2)


def summary(findings: Findings) -> Picture:
    """T = 1 in every group, and how often masks made a difference after any number of looks."""
    rows = {
        title: [findings.difference(*pair, *place) for pair in _ASKED.values()]
        for place, title in _WHERE.items()
    }
    over = "seeds and queries" if len(findings.seeds) > 1 else "queries alone, as there is one seed"
    masks = [row for place in _WHERE for row in _of_side(same_looks(findings, *place), 1)]
    better = sum(row.difference.low > 0 for row in masks)
    worse = sum(row.difference.high < 0 for row in masks)
    caption = (
        f"Differences in MAP for T = 1, seeds {', '.join(map(str, findings.seeds))}, with 95 % "
        f"intervals over {over}. Of all {len(masks)} comparisons of masks on what was attended "
        f"with empty and random ones below, at up to three looks after the first, {better} are "
        f"better and {worse} worse with their whole interval; without any effect about one in "
        "twenty would be either."
    )
    return figures.comparisons("In short", caption, list(_ASKED), rows)


def save(settings: AblationReport, experiment: Experiment, findings: Findings) -> dict[str, Any]:
    """Write `findings.json`, every difference shown, and `metrics.json`.

    Returns:
        where the page comes from.
    """
    shown = [
        row
        for place in _WHERE
        for row in (
            *findings.against_controls(*place),
            *same_looks(findings, *place),
            *as_many_embeddings(findings, *place),
        )
    ]
    made = provenance(settings, runs=f"{len(experiment.table())} in {settings.runs}")
    found = result(shown, {"seeds": findings.seeds, **asdict(experiment.settings)})
    (settings.place / "findings.json").write_text(FORMATS["json"](found), encoding="utf-8")
    write_metrics(settings, made, headline(findings))
    return made


def headline(findings: Findings) -> dict[str, str]:
    """The differences of the summary on the first gallery, in MAP with 95 % intervals."""
    found = {name: findings.difference(*pair, "easy", "all") for name, pair in _ASKED.items()}
    return {
        name: f"{row.difference.value:+.1f} [{row.difference.low:+.1f}, {row.difference.high:+.1f}]"
        for name, row in found.items()
        if row is not None
    }


def _figure(title: str, caption: str, rows: list[Difference]) -> list[Picture]:
    return [figures.differences(title, caption, rows)] if rows else []


def _mechanism(findings: Findings) -> Picture:
    """How far attention really moves."""
    lines = {}
    for arm in findings.arms:
        for t, look in enumerate(findings.looks(arm, "easy"), start=1):
            hidden = (
                f"{look['masked']:.0%} of the tokens hidden from it; attention on them "
                f"{look['before']:.0%} before and {look['after']:.0%} now; "
            )
            lines[f"{arm.name}, look {t}"] = (
                f"{hidden if look['masked'] else 'nothing hidden; '}"
                f"{look['moved']:.0%} of all attention moved"
            )
    title = "How far attention moves (up to 100 images of one to five words, mean over seeds)"
    return figures.facts(title, lines)

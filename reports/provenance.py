"""Where a report came from: the footer of its page, and a part of its `metrics.json`."""

import json
from collections.abc import Mapping
from typing import Any

from mstar.versions import checkpoint_hash, versions
from mstar.widgets import notes
from mstar.widgets.picture import Picture

from .parameters import Parameters, checkpoint_name, is_embedded

#: Beside every report: `provenance`, `headline` (label -> text, what a sweep puts side by side) and
#: whatever else the report has for other programs.
METRICS = "metrics.json"


def provenance(settings: Parameters, **more: Any) -> dict[str, Any]:
    """The command that makes a page again, all settings, checkpoints by hash, and versions.

    Args:
        more: what only this report knows, between the checkpoints and the versions.
    """
    hashes = {}
    for name, folder in settings.checkpoints.items():
        label = name if name == "checkpoint" else f"checkpoint {name}"
        hashes[label] = "embedded" if is_embedded(folder) else str(folder)
        hashes[f"{label} sha256"] = checkpoint_hash(folder)
    return {
        "command": settings.command(),
        "settings": {**vars(settings)},
        **hashes,
        **more,
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }


def summary(settings: Parameters, headline: Mapping[str, str]) -> Picture:
    """The first table of a page: whose numbers, and the few that matter most."""
    names = ", ".join(map(checkpoint_name, settings.checkpoints.values()))
    return notes.facts("In short", {"checkpoint": names, **headline})


def footer(made: Mapping[str, Any]) -> Picture:
    """The last table of a page."""
    return notes.facts("Where this page comes from", {k: _said(v) for k, v in made.items()})


def write_metrics(
    settings: Parameters, made: Mapping[str, Any], headline: Mapping[str, str], **more: Any
) -> None:
    """Write `metrics.json` into the report's folder.

    Args:
        made: `provenance()`.
        headline: the few numbers that tell two runs apart, as texts.
        more: anything that JSON can hold.
    """
    content = {"provenance": made, "headline": headline, **more}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (settings.place / METRICS).write_text(text, encoding="utf-8")


def _said(value: object) -> str:
    """Settings in one line: `words: exit, way out · pve_steps: 2`; what is empty is the default."""
    if isinstance(value, Mapping):
        return " · ".join(f"{name}: {_said(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "default"
    return "default" if value in ("", None) else str(value)

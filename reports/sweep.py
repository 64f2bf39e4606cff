"""One report for each value of one parameter, and a page that puts them side by side."""

import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tqdm import tqdm

from mstar import files
from mstar.errors import UserError
from mstar.widgets.markup import Markup, draw
from mstar.widgets.picture import Picture

from . import pages
from .options import Option, options, title, unknown
from .parameters import Parameters
from .provenance import METRICS, footer, provenance
from .runner import ReportFailed, make
from .table import REPORTS


@dataclass(frozen=True)
class _Run:
    """One report of a sweep: its value as text, its settings, where they come from, and what went
    wrong if it did."""

    value: str
    settings: Parameters
    made: Mapping[str, Any]
    failure: ReportFailed | None

    @property
    def folder(self) -> Path:
        return Path(self.settings.out)

    def headline(self) -> dict[str, str]:
        metrics = files.read_json(self.folder / METRICS)
        return metrics["headline"]


def sweep(name: str, values: Mapping[str, Any], asked: str, progress: bool = True) -> Path:
    """Make a report for each value of one parameter, in a folder each, and a page over them.

    All values are checked before the first report is made; one that fails does not stop the others.

    Args:
        name: of `table.REPORTS`.
        values: the other parameters by name; `out` is the folder of it all.
        asked: `NAME=V1,V2,…`, a parameter that is neither a list nor a folder of what is made, and
            its values.
        progress: show bars on stderr.

    Returns:
        the path of `index.html`, which links to `NAME=V1/report.html` and so on.

    Raises:
        UserError, FileNotFoundError: a parameter cannot work; nothing has run.
        ReportFailed: some report failed; the page is there and says which.
    """
    report = REPORTS[name]
    kind = report.parameters
    option, chosen = _parsed(asked, options(kind), kind.folders)
    if option.name in values:
        raise UserError(f"{option.name} is swept: it takes no other value beside that.")
    whole = {**vars(kind()), **values}
    checked = {}
    for value, given in chosen.items():
        # a value may hold anything, slashes above all
        below = quote(f"{option.name}={value}", safe="=")
        own = {folder: str(Path(whole[folder], below)) for folder in kind.folders}
        checked[value] = kind.checked({**values, option.name: given, **own})
    # before anything runs: a checkpoint may be gone when it has
    made = {value: provenance(settings) for value, settings in checked.items()}
    runs = []
    for value, settings in tqdm(checked.items(), "sweep", file=sys.stderr, disable=not progress):
        failure = None
        try:
            make(name, vars(settings), progress)
        except ReportFailed as error:
            failure = error
        except (ValueError, OSError) as error:  # what was right has changed meanwhile
            failure = ReportFailed(str(error).rstrip("."))
        runs.append(_Run(value, settings, made[value], failure))
    index = Path(whole["out"], "index.html")
    with files.replacing(index) as path:
        html = _page(title(report.notebook), option, runs, kind(**values), asked)
        path.write_text(html, encoding="utf-8")
    failures = sum(run.failure is not None for run in runs)
    if failures:
        raise ReportFailed(f"{failures} of {len(runs)} reports failed", index)
    return index


def _parsed(
    asked: str, known: Sequence[Option], folders: Collection[str]
) -> tuple[Option, dict[str, Any]]:
    """What is swept, and its values by what they are called."""
    name, equals, rest = asked.partition("=")
    name, texts = name.strip().replace("-", "_"), [entry.strip() for entry in rest.split(",")]
    if not equals or not all(texts):
        raise UserError(f"a sweep is NAME=V1,V2,… with no value empty; got {asked!r}.")
    option = next((option for option in known if option.name == name), None)
    if option is None:
        raise unknown(name, [option.name for option in known])
    if option.is_list or name in folders:
        why = "it takes a list" if option.is_list else "each report has a folder of its own in it"
        raise UserError(f"{name} cannot be swept: {why}.")
    values = [option.parse(entry) for entry in texts]
    if len(set(values)) < len(values):
        raise UserError(f"a sweep takes each value once; got {asked!r}.")
    return option, {str(value): value for value in values}


def _page(
    title: str, option: Option, runs: Sequence[_Run], others: Parameters, asked: str
) -> Markup:
    heads = {run.value: run.headline() for run in runs if not run.failure}
    labels = list(dict.fromkeys(label for head in heads.values() for label in head)) or [""]
    shown = [_line(option, run, heads.get(run.value, {})) for run in runs]
    table = Picture(draw("reports/sweep.html", name=option.name, labels=labels, runs=shown))
    origin = footer(_origin(option, runs, others, asked))
    body = Markup("<h1>{}</h1>{}{}").format(title, table.html, origin.html)
    return pages.shell(title, body)


def _line(option: Option, run: _Run, head: Mapping[str, str]) -> dict[str, Any]:
    page = run.failure.page if run.failure else run.folder / "report.html"
    return {
        "name": f"{option.name} = {run.value}",
        "link": quote(f"{run.folder.name}/{page.name}", safe="/=") if page else "",
        "failed": run.failure.why if run.failure else "",
        "head": head,
    }


def _origin(option: Option, runs: Sequence[_Run], others: Parameters, asked: str) -> dict[str, Any]:
    """What all reports share once; of what differs, that of each."""
    made = {run.value: run.made for run in runs}
    first = next(iter(made.values()))
    origin = {
        "command": f"{others.command()} --sweep {shlex.quote(asked)}",
        "settings": {name: v for name, v in vars(others).items() if name != option.name},
    }
    for name in [name for name in first if name not in (*origin, option.name)]:
        each = {value: one[name] for value, one in made.items()}
        origin[name] = first[name] if len(set(each.values())) == 1 else each
    return origin

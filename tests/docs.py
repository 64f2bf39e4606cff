"""Writes the tables of the pages that the code knows better: `python -m tests.docs`.

A page says which: `<!-- made by python -m tests.docs: hooks -->`, the table, `<!-- end -->`.
`test_readme.py` holds what is committed against what this would write.
"""

import argparse
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from mstar import training, widgets
from mstar.cli import __main__ as cli
from mstar.cli.evaluate import evaluate
from mstar.hooks import interventions
from mstar.hooks.points import POINTS
from mstar.model.configuration import SEMANTICS, MstarConfig
from mstar.reports.options import options as declared, said
from mstar.reports.table import REPORTS
from mstar.training.recipes import Recipe
from mstar.widgets import figures
from mstar.widgets.view import View

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("README.md", *(f"{room}/**/*.md" for room in ("mstar", "widgets", "reports", "notebooks",
          "tests")))  # fmt: skip
PART = re.compile(
    r"(<!-- made by python -m tests\.docs: ([a-z ]+) -->\n)(?:(?!<!--).)*(<!-- end -->)", re.DOTALL
)


def pages() -> dict[str, Path]:
    """Every page, by its path in the repository."""
    found = sorted(path for place in PLACES for path in ROOT.glob(place))
    return {path.relative_to(ROOT).as_posix(): path for path in found}


def rewritten(text: str) -> str:
    """A page with every marked part as the code has it now."""

    def made(part: re.Match[str]) -> str:
        name, *arguments = part[2].split()
        return f"{part[1]}{MAKERS[name](*arguments)}\n{part[3]}"

    return PART.sub(made, text)


def marks() -> dict[str, str]:
    """What is made (`options train`) -> the page that has it."""
    return {
        part[2]: page
        for page, path in pages().items()
        for part in PART.finditer(path.read_text(encoding="utf-8"))
    }


def parsers() -> dict[str, argparse.ArgumentParser]:
    """`index`, `evaluate masks`, … -> what reads its options."""
    found = {}
    for command in cli.commands():
        parser = argparse.ArgumentParser(description=command.__doc__)
        command(parser)
        below = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        names = below[0].choices if below else {"": parser}
        found |= {f"{command.__name__} {name}".strip(): one for name, one in names.items()}
    return found


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    cells = [heads, ["---"] * len(heads), *rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    return "\n".join(line.replace("| --- |", "|---|").replace("| --- ", "|---") for line in lines)


def _listed(names: Sequence[object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _first_line(thing: object) -> str:
    return inspect.getdoc(thing).splitlines()[0].removesuffix(".")


def commands() -> str:
    """The commands, and the page that has the options of each; evaluations in one row."""
    where = {of: page for mark, page in marks().items() for of in _commands_of(mark)}
    said = {name: parser.description for name, parser in parsers().items()}
    names = [name.removeprefix("evaluate ") for name in said if name.startswith("evaluate ")]
    rows = {}
    for name, what in said.items():
        if name.startswith("evaluate "):
            rows["evaluate NAME"] = f"{evaluate.__doc__}: {_listed(names)}", where[name]
        else:
            rows[name] = what, where[name]
    return table(
        ("command", "what it does", "more"),
        [(f"`mstar {name}`", what, f"[{page}]({page})") for name, (what, page) in rows.items()],
    )


def _commands_of(mark: str) -> list[str]:
    """The commands whose options a marked part has."""
    kind, _, of = mark.partition(" ")
    if kind == "parameters":
        return [f"report {of}"]
    return [one for one in parsers() if kind == "options" and (one + " ").startswith(f"{of} ")]


def options(*command: str) -> str:
    """The options of a command, from its parser; of several below one name in one table."""
    below = {
        name: parser
        for name, parser in parsers().items()
        if (name + " ").startswith(" ".join(command) + " ")
    }
    if len(below) > 1:
        return _shared(below)
    (parser,) = below.values()
    groups: dict[str, list[tuple[str, str, str]]] = {"": []}
    for group in parser._action_groups:
        title = "" if group.title in ("positional arguments", "options") else group.title
        rows = [_row(action) for action in group._group_actions if action.dest != "help"]
        groups.setdefault(title, []).extend(rows)
    return "\n\n".join(
        (f"Of {title}:\n\n" if title else "") + table(_HEADS, rows)
        for title, rows in groups.items()
    )


_HEADS = ("option", "meaning", "default")


def _shared(below: Mapping[str, argparse.ArgumentParser]) -> str:
    having: dict[tuple[str, str, str], list[str]] = {}
    for name, parser in below.items():
        for action in parser._actions:
            if action.dest != "help":
                having.setdefault(_row(action), []).append(name.split()[-1])
    all_names = [name.split()[-1] for name in below]

    def of(names: list[str]) -> str:
        others = [name for name in all_names if name not in names]
        if not others:
            return "all"
        return _listed(names) if len(others) > 2 else f"all but {_listed(others)}"

    return table((*_HEADS, "of"), [(*row, of(names)) for row, names in having.items()])


def _row(action: argparse.Action) -> tuple[str, str, str]:
    name = ", ".join(f"`{flag}`" for flag in action.option_strings)
    metavar = action.metavar or (action.dest.upper() if not action.choices else "")
    many = {"+": " …", "*": " …"}.get(action.nargs, "")
    if action.nargs == 0:
        argument = ""
    elif isinstance(metavar, tuple):
        argument = " ".join(metavar)
    else:
        argument = f"[{metavar}]" if action.nargs == "?" else metavar + many
    if not action.option_strings:
        name = f"`{argument or action.dest.upper()}`"
    elif argument:
        name = f"{name[:-1]} {argument}`"
    meaning, default = _split(action.help or "")
    if action.choices:
        meaning = f"{meaning}: {_listed(list(action.choices))}".removeprefix(": ")
    plain = action.default not in (None, False, [], argparse.SUPPRESS)
    if not default and plain:
        value = action.default if isinstance(action.default, list) else [action.default]
        default = f"`{' '.join(map(str, value))}`"
    return name, meaning, default


def _split(help: str) -> tuple[str, str]:
    """The meaning, and the default where it is said in words."""
    said = re.search(r"[;:]? *\(default:? ([^()]*)\)|[; ]*\bdefault: (.*)$", help)
    if not said:
        return help, ""
    return (help[: said.start()] + help[said.end() :]).strip(), said[1] or said[2]


def parameters(report: str) -> str:
    """The parameters of a report, from its dataclass; each is an option of its command."""
    rows = []
    for one in declared(REPORTS[report].parameters):
        flag = f"`--{one.name.replace('_', '-')}`"
        if one.kind is bool:
            flag += f", `--no-{one.name.replace('_', '-')}`"
        meaning, _, none = one.help.partition("; none: ")
        values = one.default if one.is_list else [one.default]
        plain = " ".join(map(str, values)) if values not in ([""], [None]) else ""
        kind = said(one.kind if one.is_list else one.scalar)
        default = none or (f"`{plain.lower() if one.kind is bool else plain}`" if plain else "none")
        rows.append((flag, meaning, kind, default))
    return table(("parameter", "meaning", "kind", "default"), rows)


def hooks() -> str:
    """The table of hook points."""
    return table(
        ("name", "axes", "kept by default", "what"),
        [
            (f"`{p.name}`", " ".join(p.axes), "yes" if p.default else "no", p.what)
            for p in POINTS.values()
        ],
    )


def changes() -> str:
    """The ready-made interventions."""
    named = inspect.getmembers(interventions, inspect.isfunction)
    own = [(n, f) for n, f in named if f.__module__ == interventions.__name__ and n[0] != "_"]
    own.sort(key=lambda one: one[1].__code__.co_firstlineno)
    rows = []
    for name, function in own:
        taken = ", ".join(inspect.signature(function).parameters)
        hook = name == "empty_mask"  # it is a hook itself
        rows.append((f"`{name}`" if hook else f"`{name}({taken})`", _first_line(function)))
    return table(("function", "what it does"), rows)


def semantics() -> str:
    """Where the paper and the released code part ways, with what the docstring says of each."""
    doc = inspect.getdoc(MstarConfig).split("Semantics (", 1)[1]
    about = {}
    for names, text in re.findall(r"^    ([a-z][\w, ]*): ((?:.|\n {8})*)", doc, re.MULTILINE):
        about |= dict.fromkeys(names.split(", "), " ".join(text.split()))

    def value(one: object) -> str:
        if isinstance(one, bool):
            return "yes" if one else "no"
        return f"`{one}`" if isinstance(one, str) else f"{one:.3g}"

    paper, released = SEMANTICS["paper"], SEMANTICS["released"]
    rows = [(f"`{f}`", value(paper[f]), value(released[f]), about[f]) for f in paper]
    return table(("field", "`paper`", "`released`", "what it decides"), rows)


def stages(recipe: str) -> str:
    """The stages of a recipe."""
    lists = (("LIST", "ROOT"),)
    made: dict[str, Callable[[], Recipe]] = {
        "sandbox": training.sandbox,
        "continued": training.continued,
        "photographs": lambda: training.photographs(lists, crops=lists),
        "paper": lambda: training.paper_word(lists, lists),
    }
    rows = []
    for stage in made[recipe]().stages:
        how_long = f"{stage.steps:,} steps" if stage.steps else f"{stage.epochs} epochs"
        rows.append(
            (f"`{stage.name}`", how_long, str(stage.batch_size), f"{stage.lr:g}",
             "–" if stage.objective == "reading" else str(stage.pve_steps),
             "φ alone, on transcriptions" if stage.objective == "reading" else
             "all but φ" if stage.frozen else "everything",
             " ".join(map(str, stage.tiles)),
             f"{stage.image_size or 'the model’s'}")
        )  # fmt: skip
    heads = ("stage", "length", "images a step", "peak rate", "T", "trains", "tiles", "pixels")
    return table(heads, rows)


def views() -> str:
    """The widgets, and their own traits."""
    rows = []
    for name in widgets.__all__:
        kind, traits = getattr(widgets, name), "none: its page has filters of its own"
        if name == "SearchExplorer":
            traits = "`search`, a `Search`, and the views below it"
        if not isinstance(kind, type):  # a module
            continue
        if issubclass(kind, View):
            own = set(kind.class_traits(sync=True)) - set(View.class_traits(sync=True))
            order = [n for k in reversed(kind.mro()) for n in vars(k) if n in own]
            traits = ", ".join(map(_trait, (kind.class_traits()[n] for n in order)))
        rows.append((f"`{name}`", _first_line(kind), traits))
    return table(("widget", "shows", "traits"), rows)


def _trait(trait: object) -> str:
    values = getattr(trait, "values", None)
    return f"`{trait.name}`" + (f" ({', '.join(values)})" if values else "")


def drawn() -> str:
    """The figures."""
    named = [(name, getattr(figures, name)) for name in figures.__all__]
    rows = [(f"`{name}`", _first_line(one)) for name, one in named if inspect.isfunction(one)]
    return table(("figure", "what it draws"), rows)


def rooms() -> str:
    """The rooms of `mstar/`, by the first lines of what they say of themselves."""
    return table(("room", "what is in it"), list(_rooms()))


def _rooms() -> Iterator[tuple[str, str]]:
    for path in sorted(ROOT.glob("mstar/*/__init__.py")):
        said = inspect.cleandoc(re.search(r'"""(.*?)"""', path.read_text("utf-8"), re.DOTALL)[1])
        page = path.parent / "README.md"
        link = page if page.exists() else path
        room, target = (one.relative_to(ROOT).as_posix() for one in (path.parent, link))
        yield f"[`{room}/`]({target})", said.split("\n\n")[0].replace("\n", " ").removesuffix(".")


MAKERS: Mapping[str, Callable[..., str]] = {
    one.__name__: one
    for one in (changes, commands, drawn, hooks, options, parameters, rooms, semantics, stages,
                views)
}  # fmt: skip


if __name__ == "__main__":
    for page, path in pages().items():
        before = path.read_text(encoding="utf-8")
        after = rewritten(before)
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(page)

"""README.md and the pages beside what they describe: true, complete, short enough to be read."""

import ast
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from importlib.util import find_spec
from pkgutil import resolve_name

import pytest
import torch

from mstar.cli import __main__ as cli
from mstar.data.benchmarks import LOADERS, RENDERED
from mstar.hooks.points import POINTS
from mstar.io import embedded
from mstar.model.configuration import SEMANTICS
from mstar.reports.options import options as declared
from mstar.reports.table import REPORTS
from tests import docs

ROOT = docs.ROOT
PAGES = {name: path.read_text(encoding="utf-8") for name, path in docs.pages().items()}
README = PAGES["README.md"]
MARKS = docs.marks()
#: What the marks have to cover: whatever there is of it in the code.
MADE = {
    "changes", "commands", "drawn", "hooks", "options calibrate", "options convert",
    "options evaluate", "options gallery", "options index", "options labels",
    "options notebooks", "options report page", "options sandbox", "options search",
    "options trace", "options train", "rooms", "semantics", "stages continued", "stages paper",
    "stages photographs", "stages sandbox", "views",
    *(f"parameters {name}" for name in REPORTS),
}  # fmt: skip
PARSERS = docs.parsers()
#: Every module -> what is in it.
MODULES = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for room in ("mstar", "widgets", "reports")
    for path in sorted(ROOT.glob(f"{room}/**/*.py"))
}
#: Pages about a thing's making, not about what there is now.
CARDS = {name for name in PAGES if name.startswith("mstar/assets/")}


def section(page: str, title: str) -> str:
    """The text under a heading, up to the next heading of its level or above."""
    wanted = rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)"
    found = re.search(wanted, PAGES[page], re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no section {title!r}"
    return found[2]


def rows(text: str) -> list[str]:
    """The rows of a table, without its head."""
    return [line for line in text.splitlines() if re.match(r"\| [^-]", line)][1:]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE)


def prose(page: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_the_parts_that_are_made_are_as_the_code_makes_them_now(page):
    assert docs.rewritten(PAGES[page]) == PAGES[page], "run `python -m tests.docs`"


def test_everything_that_can_be_made_is():
    assert set(MARKS) == MADE
    assert PAGES["README.md"].count("<!-- made") == PAGES["README.md"].count("<!-- end -->") == 2


def test_the_front_page_is_short_and_lines_can_be_read():
    assert len(README.splitlines()) <= 150
    for name in set(PAGES) - CARDS - {"tests/gpu/README.md"}:
        wide = [
            line
            for line in prose(name).splitlines()
            if len(line) > 100 and line[0] not in "|<" and not line.startswith(("  <", "!["))
        ]
        assert wide == [], name  # fmt: skip


def test_the_table_of_hook_points_is_the_code_s():
    expected = [
        f"| `{point.name}` | {' '.join(point.axes)} | {'yes' if point.default else 'no'} "
        f"| {point.what} |"
        for point in POINTS.values()
    ]
    assert rows(section(MARKS["hooks"], "The points")) == expected


def test_the_table_of_semantics_says_something_of_every_field():
    found = rows(section(MARKS["semantics"], "`paper` and `released`"))
    assert len(found) == len(SEMANTICS["paper"])
    for row, field in zip(found, SEMANTICS["paper"], strict=True):
        name, paper, released, what = row.strip("| ").split(" | ")
        assert name == f"`{field}`" and paper and released and len(what) > 20


@pytest.mark.parametrize("command", PARSERS)
def test_every_command_and_option_is_named_on_its_page(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([*command.split(), "--help"])
    named = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    all_rows = rows(section("README.md", "Commands"))
    family, _, name = command.partition(" ")
    first = "evaluate NAME" if family == "evaluate" else command
    (row,) = [row for row in all_rows if row.startswith(f"| `mstar {first}` |")]
    assert family != "evaluate" or f"`{name}`" in row
    (page,) = re.findall(r"\]\((.*?)\)", row)
    assert f"mstar {command}" in PAGES[page]
    assert [o for o in sorted(named) if f"`{o}" not in PAGES[page]] == []


def test_the_commands_above_are_all():
    assert {command.__name__ for command in cli.commands()} == {n.split()[0] for n in PARSERS}
    evaluations = sum(name.startswith("evaluate ") for name in PARSERS)  # in one row
    assert len(rows(section("README.md", "Commands"))) == len(PARSERS) - evaluations + 1


def test_options_and_sweeps_that_are_said_are_there():
    flags = {flag for one in PARSERS.values() for flag in one._option_string_actions}
    flags |= {"--help", "--traceback", "--cpu", "--multi_gpu", "--num_processes"}  # accelerate's
    parameters = {one.name for report in REPORTS.values() for one in declared(report.parameters)}
    for name in set(PAGES) - CARDS - {"tests/gpu/README.md"}:
        for said in re.findall(r"`([^`]+)`", prose(name)):
            if said.startswith(("--", "mstar ")):
                assert set(re.findall(r"(?<!\S)--[a-z0-9-]+", said)) <= flags, said
        assert set(re.findall(r"--sweep ([a-z_]+)=", PAGES[name])) <= parameters, name


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_examples_are_taken(page):
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["mstar"]:
                name = " ".join(words[1:3]) if " ".join(words[1:3]) in PARSERS else words[1]
                PARSERS[name].parse_args(words[1 + len(name.split()) :])
    for said in re.findall(r"`mstar ([a-z][a-z ]*)", PAGES[page]):
        assert any((f"{said.strip()} ").startswith(f"{n} ") or n.startswith(said.strip())
                   for n in PARSERS), said  # fmt: skip


def test_every_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert {"report", "test", "lab", "train", "lint", "docs"} <= targets
    quick = section("README.md", "Quick start")
    assert set(re.findall(r"`make ([a-z]+)`", quick)) == targets - {"install"}
    for page in PAGES.values():
        assert set(re.findall(r"`make ([a-z]+)`", page)) <= targets
    (opened,) = re.findall(r"out/course/(\w+\.ipynb)", makefile)  # a copy of
    assert (ROOT / "notebooks" / opened).is_file() and opened in README
    for command in re.findall(r"\$\(BIN\)/mstar (\w+)", makefile):
        assert command in {one.__name__ for one in cli.commands()}


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_the_examples_run(page, tiny_checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(embedded, "checkpoint", lambda folder=None: folder or tiny_checkpoint)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks(page, "python")), names := {})
    printed = capsys.readouterr().out
    if page == "mstar/hooks/README.md":
        assert str(torch.Size([3, 1, 1, 16, 16])) in printed  # T = 2
    if page == "widgets/README.md":
        explorer = names["explorer"]
        assert (explorer.look, explorer.query_token) == (1, 3)
        assert {"look", "query_token"} <= set(explorer.KEYS)


def test_most_pages_have_an_example():
    having = {page for page in PAGES if blocks(page, "python")}
    rooms = {f"mstar/{name}/README.md" for name in ("evaluate", "hooks", "search", "training")}
    assert {"README.md", "widgets/README.md", *rooms} <= having


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = (ROOT / page).parent
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    links += re.findall(r'(?:src|srcset)="([^"]+)"', prose(page))
    for link in links:
        assert "://" not in link, link
        file, _, anchor = link.partition("#")
        target = (folder / file).resolve() if file else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(PAGES[target.relative_to(ROOT).as_posix()]), link


def anchors(text: str) -> set[str]:
    """What headings are called in links."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", sorted(set(PAGES) - CARDS))
def test_files_modules_and_names_that_are_said_are_there(page):
    for said in re.findall(r"`([^`\n]+)`", prose(page)):
        if re.fullmatch(r"(mstar|widgets|reports|notebooks|tests|findings)(/[\w.]+)+/?", said):
            assert (ROOT / said).exists() or (ROOT / page).parent.joinpath(said).exists(), said
        elif re.fullmatch(r"(mstar|tests)(\.\w+)+", said):
            assert find_spec(said) if said.startswith("tests") else resolve_name(said), said
        elif module := re.match(r"python -m ([\w.]+)", said):
            assert find_spec(module[1]), said


def test_every_benchmark_has_a_row():
    named = re.findall(r"`([a-z0-9-]+)`", "".join(
        row.split(" | ")[0] for row in rows(section("mstar/evaluate/README.md", "Benchmarks"))
    ))  # fmt: skip
    assert named == [*LOADERS, *RENDERED]


def test_every_file_that_skips_is_listed():
    skips = re.compile(r"pytest\.(skip|importorskip|mark\.skip(if)?)\(")
    listed = section("tests/README.md", "Skipped tests")
    for path in sorted((ROOT / "tests").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        uses = re.search(r"def \w+\([^)]*\b(golden_root|photos_root)\b", text)
        name = path.relative_to(ROOT).as_posix()
        if name != "tests/test_readme.py" and (skips.search(text) or uses):
            assert name in listed, f"{name} can skip: say when in tests/README.md, Skipped tests"


def names_in_use() -> dict[str, set[str]]:
    """Every parameter, field, function and class of the packages -> where it is."""
    found = defaultdict(set)
    for path, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                given = node.args
                names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
                names.append(node.name)
            elif isinstance(node, ast.ClassDef):
                fields = [one.target for one in node.body if isinstance(one, ast.AnnAssign)]
                names = [node.name, *(one.id for one in fields if isinstance(one, ast.Name))]
            else:
                continue
            for name in names:
                found[name].add(path)
    return found


def test_the_code_keeps_to_the_glossary():
    used, said = names_in_use(), set()
    for row in re.findall(r"^\|(?:.*\|){4}$", PAGES["mstar/GLOSSARY.md"], re.MULTILINE):
        if row.startswith(("| word |", "|--")):
            continue
        word, _, never, code = row.strip("| ").split(" | ")
        assert word not in said and re.search(r"`mstar\.", code), word
        said.add(word)
        for name in re.findall(r"`([\w.]+)`", code):
            assert resolve_name(name) is not None
        for name in re.findall(r"`(\w+)`", never):
            assert name not in used, f"{name} in {used[name]}: the glossary says {word}"
    assert {"text", "style", "`Query`", "query token", "look", "step", "tile", "view", "salient",
            "neglected", "bench", "trace", "gallery"} <= said  # fmt: skip


def test_a_step_is_one_of_the_optimiser():
    """T is `pve_steps` and one pass of ψ a look; an ablation trains, so its steps are steps."""
    used = names_in_use()
    trains = ("mstar/training/", "mstar/experiments/ablation/", "reports/parameters.py")
    places = used["step"] | used["steps"]
    assert [path for path in sorted(places) if not path.startswith(trains)] == []


def test_model_and_processor_go_together():
    """Whoever needs both takes a bench; the bench itself is made of them."""
    wrong = []
    for path, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                names = {one.arg for one in (*node.args.args, *node.args.kwonlyargs)}
                if {"model", "processor"} <= names and node.name != "__init__":
                    wrong.append(f"{path}: {node.name}")
    assert wrong == []


def test_the_reference_is_made_of_docstrings_without_a_network(tmp_path):
    """As `make docs` makes it, of a few modules."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"-m (pdoc .*)", makefile)
    options, _, named = line.partition(" out/docs ")
    assert named.split() == ["$(MODULES)", "mstar.widgets", "mstar.reports"]
    command = [sys.executable, "-m", *options.split(), tmp_path, "mstar.texts", "mstar.tiles"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    page = (tmp_path / "mstar" / "texts.html").read_text(encoding="utf-8")
    assert "parse_query" in page and "<h6 id=" in page  # sections of Google's style are headings
    assert set(re.findall(r'(?:src|href)="(https?:[^"]*)"', page)) <= {"https://pdoc.dev"}

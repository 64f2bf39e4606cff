"""The house: rooms, the arrows between them, and how large anything may be."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: Each room: what it is for, and the rooms it may know, from the ground up.
ROOMS = {
    "ground": ("what has no room of its own: files, texts, tiles, errors, processes", ""),
    "hooks": ("points of the forward pass: heard, recorded, changed", "ground"),
    "model": ("MSTAR itself, from pixels and texts to scores and losses", "ground hooks"),
    "io": ("what comes from disk: images, checkpoints; and the bench", "ground hooks model"),
    "data": ("rendered scenes, lists to train on, benchmarks", "ground io"),
    "explain": ("what one run says, and where evidence is", "ground hooks model io"),
    "search": ("galleries embedded, ranked, kept", "ground hooks model io explain"),
    "evaluate": ("how good it is, in tables", "ground hooks model io data explain search"),
    "experiments": ("change one thing and see",
                    "ground hooks model io data explain search evaluate training"),
    "training": ("recipes, and the loop that runs them", "ground hooks model io data evaluate"),
    "cli": ("the command line",
            "ground io data explain search evaluate experiments training"),
    "workbench": ("the face of the package", "ground hooks io explain search experiments"),
}  # fmt: skip

MOST_MODULES, MOST_LINES = 9, 350


def modules() -> dict[str, Path]:
    paths = {
        path.relative_to(ROOT).with_suffix("").parts: path for path in ROOT.glob("mstar/**/*.py")
    }
    return {".".join(parts).removesuffix(".__init__"): path for parts, path in paths.items()}


MODULES = modules()


def room_of(module: str) -> str:
    parts = module.split(".")
    if len(parts) == 1 or (len(parts) == 2 and parts[1] not in ROOMS):
        return "ground"
    return parts[1]


def imports(path: Path) -> set[str]:
    """The modules of mstar that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.partition(".")[0] == "mstar"}


ARROWS = {module: imports(path) for module, path in MODULES.items()}


def test_every_room_is_in_the_table_and_says_what_it_is():
    there = {path.parent.name for path in ROOT.glob("mstar/*/__init__.py")}
    assert there == set(ROOMS) - {"ground", "workbench"}
    for path in ROOT.glob("mstar/**/__init__.py"):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        assert len(said) > 60, f"{path.relative_to(ROOT)} says too little of its room"


def test_arrows_point_down():
    wrong = []
    for module, known in ARROWS.items():
        room = room_of(module)
        allowed = {room, *ROOMS[room][1].split()}
        wrong += [f"{module} knows {other}" for other in known if room_of(other) not in allowed]
    assert wrong == []


def test_nothing_below_knows_views_or_reports():
    above = {"mstar.widgets", "mstar.reports"}
    assert [
        m for m, known in ARROWS.items() if any(k.startswith(tuple(above)) for k in known)
    ] == []
    for path in ROOT.glob("widgets/**/*.py"):
        assert not re.search(r"mstar\.reports|from \.+reports", path.read_text(encoding="utf-8"))


def test_there_is_no_circle():
    done, path = set(), []

    def walk(module: str) -> None:
        if module in path:
            pytest.fail(" -> ".join([*path[path.index(module) :], module]))
        if module not in done:
            path.append(module)
            for other in sorted(ARROWS.get(module, ())):
                walk(other)
            done.add(path.pop())

    for module in ARROWS:
        walk(module)


def test_no_room_is_crowded_and_no_module_long():
    inside = defaultdict(list)
    for path in MODULES.values():
        if path.name not in ("__init__.py", "__main__.py"):
            inside[path.parent.relative_to(ROOT).as_posix()].append(path.name)
    assert {room: names for room, names in inside.items() if len(names) > MOST_MODULES} == {}
    paths = [*MODULES.values(), *ROOT.glob("widgets/**/*.py"), *ROOT.glob("reports/*.py")]
    lines = {p.relative_to(ROOT).as_posix(): len(p.read_text("utf-8").splitlines()) for p in paths}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}

"""The house: rooms, the arrows between them, how large anything may be, where markup is made."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

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
            "ground hooks io data explain search evaluate experiments training"),
    "workbench": ("the face of the package", "ground hooks io explain search experiments"),
}  # fmt: skip

MOST_MODULES, MOST_LINES = 9, 350

#: What is markup without having been escaped, as it is ours: module -> what it calls so.
MARKUP_ALREADY = {
    "reports/pages.py": ["get_plotlyjs()", "exporter.from_notebook_node(notebook)[0]"],
    "widgets/markup.py": ["_TEMPLATES.get_template(template).render(values)"],
    "widgets/still.py": ["style", "soup"],
    "widgets/picture.py": ["asset('view.css')", "asset('view.js')"],
}


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


def markup_by_hand(source: str) -> list[str]:
    """Markup that a module does not leave to templates, nor to `Markup("…").format(…)`."""
    tree = ast.parse(source)
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    calls = [n for n in calls if ast.unparse(n.func).rpartition(".")[2] == "Markup"]
    said = [n.args[0] for n in calls if isinstance(n.args[0], ast.Constant)]
    said += [n.value for n in ast.walk(tree) if isinstance(n, ast.Expr)]  # docstrings
    found = [ast.unparse(n.args[0]) for n in calls if n.args[0] not in said]
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and node not in said and re.search(r"<[A-Za-z/!]|&#?\w+;", node.value):
            found.append(node.value)
    return found


def unescaped(template: str) -> list[str]:
    """Ways of a template past the escaping, or into an attribute where it does not suffice."""
    tree = Environment().parse(template)
    off = (nodes.EvalContextModifier, nodes.MarkSafe, nodes.MarkSafeIfAutoescape)
    found = [f"{one.name}" for one in tree.find_all(nodes.Filter) if one.name == "safe"]
    found += [type(one).__name__ for one in tree.find_all(off)]
    return found + re.findall(r'=\s*\{\{.*?\}\}|="[^"]*\btojson\b|\son\w+="?\{\{', template)


def test_markup_is_made_by_templates():
    paths = [*ROOT.glob("widgets/**/*.py"), *ROOT.glob("reports/*.py")]
    found = {p.relative_to(ROOT).as_posix(): markup_by_hand(p.read_text("utf-8")) for p in paths}
    assert {name: made for name, made in found.items() if made} == MARKUP_ALREADY
    paths = [*ROOT.glob("widgets/templates/*"), *ROOT.glob("reports/*.html")]
    paths += ROOT.glob("mstar/**/*.html")
    found = {path.name: unescaped(path.read_text("utf-8")) for path in paths}
    assert len(found) > 20 and {name: ways for name, ways in found.items() if ways} == {}


@pytest.mark.parametrize(
    "source",
    [
        'f"<b>{name}</b>"',
        'f"{name}</b>"',
        '"<b>%s" % name',
        '"<b>{}".format(name)',
        '"<b>" + name',
        '"&quot;"',
        'Markup(f"<b>{name}")',
        'Markup("<b>" + name)',
        "markup.Markup(name)",
    ],
)
def test_markup_by_hand_is_seen(source):
    assert markup_by_hand(f"made = {source}")
    assert not markup_by_hand('"""Of <b>."""\nmade = Markup("<b>{}</b>").format(f"{a < b}")')


@pytest.mark.parametrize(
    "template",
    [
        "{{ name | safe }}",
        "{% autoescape false %}{{ name }}{% endautoescape %}",
        "<b class={{ name }}>",
        '<b data-names="{{ names | tojson }}">',
        '<b onclick="{{ name }}">',
    ],
)
def test_a_template_that_does_not_escape_is_seen(template):
    assert unescaped(template)
    assert not unescaped("""<b class="{{ name }}" data-names='{{ names | tojson }}'>{{ name }}""")

"""What holds for the repository as a whole."""

import ast
import json
import re
import subprocess
import sys
import time
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
JUPYTER = {"IPython", "ipywidgets", "anywidget", "nbformat", "nbclient", "nbconvert", "papermill"}
ABOVE = JUPYTER | {"widgets", "reports", "plotly"}  # what the package mstar must not know


def tracked(*patterns: str) -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so there is no list of tracked files")
    listed = subprocess.run(
        ["git", "ls-files", "-z", *patterns], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [p for name in listed.split("\0") if name and (p := ROOT / name).is_file()]


def run_python(code: str) -> str:
    command = [sys.executable, "-c", code]  # its stderr stays visible when it fails
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def heavy(modules: list[str], banned: set[str]) -> set[str]:
    roots = {name.split(".")[0] for name in modules}
    return {root for root in roots if root in banned or root.startswith("jupyter")}


def imported_roots(node: ast.AST, inside_functions: bool) -> set[str]:
    """Top-level names of the packages imported below `node`; relative imports stay inside one."""
    roots = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in child.names}
        elif isinstance(child, ast.ImportFrom) and child.level == 0:
            roots.add(child.module.split(".")[0])
        if inside_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            roots |= imported_roots(child, inside_functions)
    return roots


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = dict(re.findall(r"^([\w-]+)==([\w.]+)$", (ROOT / "constraints.txt").read_text(), re.M))


def test_one_file_pins_what_is_installed_and_ranges_admit_it():
    extras = PROJECT["optional-dependencies"]
    own, *others = map(Requirement, extras["dev"])
    assert own.name == PROJECT["name"], "the extras that tests need"
    asked = [*others, *map(Requirement, (*PROJECT["dependencies"], *extras["lab"]))]
    asked += [Requirement(one) for extra in sorted(own.extras) for one in extras[extra]]
    assert list(PINS) == sorted(one.name for one in asked)
    assert [str(one) for one in asked if not one.specifier.contains(PINS[one.name])] == []

    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = [entry["pip"] for entry in conda if isinstance(entry, dict)]
    assert pip == ["-c constraints.txt", "-e .[lab,dev]"]
    assert "-c constraints.txt -e '.[lab,dev]'" in (ROOT / "Makefile").read_text()
    assert "python=3.11" in conda
    assert PROJECT["requires-python"] == ">=3.11"


def test_an_environment_that_exists_keeps_what_it_has():
    """Only files that draw a scene, and no program, are asked for in one version."""
    exact = {one.split("==")[0] for one in PROJECT["dependencies"] if "==" in one}
    assert {one for one in exact if not one.startswith("font-")} == {"pymupdf-fonts", "wonderwords"}


def test_every_package_that_is_imported_is_asked_for():
    extras = (
        one for name, of in PROJECT["optional-dependencies"].items() if name != "dev" for one in of
    )
    asked = {Requirement(one).name.lower() for one in (*PROJECT["dependencies"], *extras)}
    provided = {
        root for root, names in packages_distributions().items()
        if asked & {name.lower().replace("_", "-") for name in names}
    }  # fmt: skip
    used = set()
    for path in (
        p for room in ("mstar", "widgets", "reports") for p in ROOT.glob(f"{room}/**/*.py")
    ):
        used |= imported_roots(ast.parse(path.read_text(encoding="utf-8")), inside_functions=True)
    # RapidOCR is an extra that no test installs; frames are made where pandas happens to be
    elsewhere = {"mstar", "rapidocr_onnxruntime", "pandas"}
    assert used - provided - sys.stdlib_module_names - elsewhere == set()


def test_all_that_pages_are_made_of_is_installed():
    """What lies beside the modules of widgets/ and reports/ is no package: it has to be listed."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    kinds = ("*.html", "*.svg", "*.css", "*.js", "*.ipynb")
    for package, folder in (("mstar.widgets", "widgets"), ("mstar.reports", "reports")):
        listed = {
            p for glob in setuptools["package-data"][package] for p in ROOT.glob(f"{folder}/{glob}")
        }
        there = {p for kind in kinds for p in ROOT.glob(f"{folder}/**/{kind}")}
        assert there and there - listed == set()


def test_import_is_light():
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        modules = run_python("import sys, mstar; print(*sys.modules)").split()
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 3, f"`import mstar` took {min(seconds):.1f} s at best"
    assert heavy(modules, JUPYTER | {"plotly", "captum"}) == set()


def test_no_module_of_mstar_loads_jupyter():
    walk = (
        "import pkgutil, sys, importlib, mstar\n"
        "for m in pkgutil.walk_packages(mstar.__path__, 'mstar.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "print(*sys.modules)"
    )
    assert heavy(run_python(walk).split(), ABOVE) == set()


def test_arrows_point_one_way():
    wrong = []
    for path in tracked("mstar/*.py"):
        name = path.relative_to(ROOT).as_posix()
        banned = ABOVE if name == "mstar/explain/attribution.py" else ABOVE | {"captum"}
        # The command line starts reports and views, but only once its subcommand is called.
        tree = ast.parse(path.read_text())
        used = imported_roots(tree, inside_functions=not name.startswith("mstar/cli/"))
        wrong += [f"{name} imports {root}" for root in sorted(heavy(list(used), banned))]
    for path in tracked("widgets/*.py"):
        if "reports" in imported_roots(ast.parse(path.read_text()), inside_functions=True):
            wrong.append(f"{path.relative_to(ROOT)} imports reports")
    assert wrong == []


def test_notebooks_are_committed_without_outputs():
    wrong = []
    for path in tracked("*.ipynb"):
        notebook = json.loads(path.read_text())
        cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
        if any(c["outputs"] or c["execution_count"] is not None for c in cells):
            wrong.append(f"{path.relative_to(ROOT)} has outputs")
        if "widgets" in notebook["metadata"]:
            wrong.append(f"{path.relative_to(ROOT)} has widget state")
    assert wrong == []


def test_no_tracked_file_names_a_path_of_one_machine():
    pattern = re.compile(r"(?<![\w.])/(?:work|root)/")
    wrong = []
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content and pattern.search(content.decode(errors="replace")):
            wrong.append(path.relative_to(ROOT).as_posix())
    assert wrong == []


def test_peers_bring_no_other_opencv():
    """σ of the released code is that of one version; RapidOCR asks for the package with windows."""
    peers = dict(one.split("==") for one in PROJECT["optional-dependencies"]["peers"])
    assert peers["opencv-python"] == PINS["opencv-python-headless"] == "4.11.0.86"

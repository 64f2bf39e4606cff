"""Every notebook, executed as a user does, with a tiny checkpoint; its exercises' solutions too.

One kernel a notebook runs it with all its parameters, one after the other and each in an empty
namespace: a kernel's start and its imports take longer than most notebooks.
"""

import ast
import re
import warnings
from copy import deepcopy
from pathlib import Path

import nbformat
import papermill
import pytest
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
#: Parameters beside the checkpoint, and a line that must have been printed.
NOTEBOOKS = {
    "00_tour": ({"pve_steps": 2, "sample": 1}, "'pve.0.maks'; near matches: pve.0.mask"),
    "01_steps_and_masks": ({"pve_steps": 2}, "hidden after look 1: 12 of 36 tokens"),
    "02_assignments": ({"pve_steps": 2}, "24 ways; the best is (1, 3, 0) with 1.95"),
    "03_mask_lab": ({}, "; got 1000000."),
    "04_train": (
        {"recipe_name": "short", "read_steps": 3, "find_steps": 3, "strips": 12},
        "goes on after step 2, the last that was saved",
    ),
    "05_train_paper": (
        {"dry_run": True},
        "hostile.json, line 1: the image '../../secret.png' lies",
    ),
    "06_search_and_rerank": ({"scenes": 40}, "again: 0 embedded, 28 kept"),
    "07_evaluate": (
        {"scenes": 60, "positions": 6},
        "one shape [queries, images]; got (1, 6), (1, 5)",
    ),
    "08_localisation": ({"per_style": 1}, "unknown method 'gradcam': expected some of"),
    "09_causal_experiments": (
        {"per_style": 1, "scenes": 20, "pairs": 2},
        "no look comes after it to use the mask",
    ),
    "10_paper_and_released": ({"scenes": 40}, "sigma must be one of none, threshold"),
}


def solutions(notebook) -> list[str]:
    cells = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [code for text in cells for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]


@pytest.fixture(scope="module", params=NOTEBOOKS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def source(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


class Kernel(AsyncKernelManager):
    """One that papermill leaves running; it keeps the clients, which papermill leaves open."""

    def __init__(self):
        super().__init__(kernel_name="python3")
        self.clients = []

    def client(self, **options):
        self.clients.append(super().client(**options))
        return self.clients[-1]

    def close(self) -> None:
        for client in self.clients:
            client.stop_channels()
        if self.has_kernel:
            run_sync(self.shutdown_kernel)(now=True)


#: What an earlier run left is no help to this one, nor its memory a burden.
EMPTY = "%reset -f"

#: Where there is training: an estimate of minutes, which nothing is asserted about, is made of
#: fewer steps than are usual; and what is imported here is left out of the garbage collections
#: before each stage, as in the tests' own processes.
QUICKER = """
import gc
from mstar.training.loop import trainer
trainer._REHEARSED = 2
gc.collect()
gc.freeze()
del gc, trainer
"""
TRAINING = {"04_train", "05_train_paper"}


@pytest.fixture(scope="module")
def run(name, tmp_path_factory):
    """`run(notebook, parameters)` -> the executed one; raises where a cell does."""
    kernel = Kernel()

    def run_with(notebook, parameters: dict):
        folder, whole = tmp_path_factory.mktemp(name), deepcopy(notebook)
        first = EMPTY + QUICKER if name in TRAINING else EMPTY
        whole.cells.insert(0, nbformat.v4.new_code_cell(first))
        nbformat.write(whole, folder / "in.ipynb")
        with warnings.catch_warnings():
            warnings.simplefilter("default")  # papermill warns about its own future
            papermill.execute_notebook(
                folder / "in.ipynb",
                folder / "out.ipynb",
                parameters=parameters,
                kernel_name="python3",
                km=kernel,
                progress_bar=False,
                cwd=FOLDER,
                extra_arguments=["--log-level=40"],  # no warnings of the kernel's own
            )
        return nbformat.read(folder / "out.ipynb", as_version=4)

    yield run_with
    kernel.close()


@pytest.fixture(scope="module")
def executed(name, source, run, tiny_checkpoint):
    """With the solutions as further cells; raises where a cell or a solution does."""
    whole = deepcopy(source)
    whole.cells += [nbformat.v4.new_code_cell(code) for code in solutions(source)]
    return run(whole, {"checkpoint": str(tiny_checkpoint)} | NOTEBOOKS[name][0])


def outputs(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            yield cell.get("id", ""), output


def test_every_notebook_is_tested():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == NOTEBOOKS.keys()


def of(*names: str):
    """Only these notebooks, each in its own kernel."""
    return pytest.mark.parametrize("name", names, indirect=True, scope="module")


@of("05_train_paper")
def test_the_papers_training_on_two_processes(source, run, tiny_checkpoint):
    """The first in its kernel: where Accelerate has been used, it starts no processes."""
    held = {"processes": 2, "accumulate": 2, "checkpoint_activations": True}
    made = run(source, {"checkpoint": str(tiny_checkpoint), "dry_run": True} | held)
    printed = "".join(o.text for _, o in outputs(made) if o.output_type == "stream")
    assert re.search(r"800 \+ PVE  2 steps at \d+ pixels, T = 1", printed)


def test_it_runs_without_an_error(name, executed):
    assert [output for _, output in outputs(executed) if output.output_type == "error"] == []
    printed = "".join(o.text for _, o in outputs(executed) if o.output_type == "stream")
    assert NOTEBOOKS[name][1] in printed


@of(*sorted(NOTEBOOKS.keys() - {"04_train"}))  # ten minutes
def test_it_runs_as_it_stands(name, source, run):
    """With the embedded checkpoint, whose numbers some asserts are about."""
    made = run(source, {})
    assert [output for _, output in outputs(made) if output.output_type == "error"] == []
    assert NOTEBOOKS[name][1] in "".join(o.text for _, o in outputs(made) if "text" in o)


@of(*sorted(NOTEBOOKS.keys() - {"06_search_and_rerank"}))  # that one takes a folder
def test_it_runs_on_a_photograph_of_ones_own(name, source, run, tiny_checkpoint, tmp_path):
    photo = tmp_path / "street.jpg"
    Image.effect_noise((90, 60), 90).convert("RGB").save(photo)
    own = {"images": str(photo), "texts": "exit,platform", "checkpoint": str(tiny_checkpoint)}
    made = run(source, own | NOTEBOOKS[name][0])
    assert [output for _, output in outputs(made) if output.output_type == "error"] == []


@of("06_search_and_rerank")
def test_a_folder_of_ones_own_is_searched(source, run, tiny_checkpoint, tmp_path):
    (tmp_path / "mine").mkdir()
    for number in range(6):
        Image.effect_noise((90, 60), 90).save(tmp_path / f"mine/{number}.png")
    own = {"images": str(tmp_path / "mine"), "texts": ["exit", "phrase:way out"], "scenes": 40}
    made = run(source, own | {"checkpoint": str(tiny_checkpoint)})
    printed = "".join(o.text for _, o in outputs(made) if o.output_type == "stream")
    assert "again: 0 embedded, 6 kept" in printed


def test_its_pictures_need_no_network_and_no_kernel(source, executed):
    pictures = {
        cell: output.data["text/html"]
        for cell, output in outputs(executed)
        if cell.endswith("-figure") and "text/html" in output.get("data", {})
    }
    assert pictures.keys() == {cell.id for cell in source.cells if cell.id.endswith("-figure")}
    assert pictures
    for cell, html in pictures.items():
        assert "mstar-view" in html and "data:image/" in html, cell
        assert re.findall(r"https?://(?!www\.w3\.org)|url\((?!data:)|@import", html) == [], cell
        assert len(html) < 3e6, cell


def test_its_photographs_have_a_text(executed):
    for _, output in outputs(executed):
        if "image/jpeg" in output.get("data", {}):
            assert output.metadata["image/jpeg"]["alt"]


def changed(code: str) -> set[str]:
    """The variables whose attributes a cell sets, or whose methods that show something it calls."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(ast.unparse(node.value).partition(".")[0])
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in ("run", "search", "clear", "show"):
            found.add(ast.unparse(called.value).partition(".")[0])
    return found


def test_a_view_shows_what_its_own_section_speaks_of(source):
    views, section = {}, ""
    for cell in source.cells:
        if cell.cell_type == "markdown":
            section = (re.findall(r"^##? .*", cell.source, re.MULTILINE) or [section])[0]
            continue
        of_others = {name for name, where in views.items() if where != section}
        assert not changed(cell.source) & of_others, f"{cell.id} changes a view further up"
        last = (ast.parse(cell.source).body or [None])[-1]
        if isinstance(last, ast.Expr) and isinstance(last.value, ast.Name):
            views[last.value.id] = section


def test_it_keeps_the_habits_of_a_teaching_notebook(name, source):
    parameters = next(c for c in source.cells if "parameters" in c.metadata.get("tags", []))
    typed = dict(re.findall(r"^(\w+): (\w+) =", parameters.source, re.MULTILINE))
    assert typed.keys() >= {"checkpoint", "images", "texts"} | NOTEBOOKS[name][0].keys()
    ids = [cell.id for cell in source.cells]
    before = source.cells[: next(n for n, one in enumerate(ids) if one.endswith("-figure"))]
    ours = [
        line for c in before for line in re.findall(r"^(?:from|import) mstar.*", c.source, re.M)
    ]
    assert len(ours) <= 3, ours
    for asked in (n for n, one in enumerate(ids) if one.endswith("-question")):
        answer = source.cells[asked + 1]
        assert answer.cell_type == "code" and answer.source == "", "an empty cell to answer in"
    text = "\n".join(cell.source for cell in source.cells if cell.cell_type == "markdown")
    code = "\n".join(cell.source for cell in source.cells if cell.cell_type == "code")
    assert "def check" not in code, "a check would show the solution"
    sections = re.findall(r"^## \d", text, re.MULTILINE)
    assert len(sections) == text.count("**Claim.**") >= 5
    assert "## Summary" in text and text.startswith("# ")
    checks, answers = (text.count(f"<summary>{part}</summary>") for part in ("Check", "Solution"))
    questions = sum(one.endswith("-question") for one in ids if one.startswith("exercise"))
    assert 3 <= len(solutions(source)) == checks == answers == questions

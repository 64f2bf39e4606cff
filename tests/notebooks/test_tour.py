"""The tour, executed as a user does, with a tiny checkpoint; its exercises' solutions too."""

import json
import re
import warnings
from pathlib import Path

import nbformat
import papermill
import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "00_tour.ipynb"
PICTURES = {"looks", "heads", "assignment", "search", "intervention"}


def solutions(notebook) -> list[str]:
    cells = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [code for text in cells for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]


@pytest.fixture(scope="module")
def source():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(source, tiny_checkpoint, tmp_path_factory):
    """With the solutions as further cells; raises where a cell or a solution does."""
    folder = tmp_path_factory.mktemp("tour")
    whole = nbformat.from_dict(json.loads(json.dumps(source)))
    whole.cells += [nbformat.v4.new_code_cell(code) for code in solutions(source)]
    nbformat.write(whole, folder / "in.ipynb")
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # papermill warns about its own future
        papermill.execute_notebook(
            folder / "in.ipynb",
            folder / "out.ipynb",
            parameters={"checkpoint": str(tiny_checkpoint), "steps": 2, "sample": 1},
            kernel_name="python3",
            progress_bar=False,
            cwd=NOTEBOOK.parent,
            extra_arguments=["--log-level=40"],  # no warnings of the kernel's own
        )
    return nbformat.read(folder / "out.ipynb", as_version=4)


def outputs(notebook):
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            yield cell.id, output


def test_it_runs_without_an_error(executed):
    assert [output for _, output in outputs(executed) if output.output_type == "error"] == []
    printed = "".join(o.text for _, o in outputs(executed) if o.output_type == "stream")
    assert "no hook point is called 'pve.0.maks'; near matches: pve.0.mask" in printed


def test_its_pictures_need_no_network(executed):
    pictures = {
        name.removesuffix("-figure"): output.data["text/html"]
        for name, output in outputs(executed)
        if "text/html" in output.get("data", {})
    }
    assert pictures.keys() == PICTURES
    for name, html in pictures.items():
        assert "mstar-view" in html and "data:image/" in html, name
        assert re.findall(r"https?://(?!www\.w3\.org)|url\((?!data:)|@import", html) == [], name


def test_its_photograph_has_a_text(executed):
    (photo,) = (o for _, o in outputs(executed) if "image/jpeg" in o.get("data", {}))
    assert photo.metadata["image/jpeg"]["alt"]


def test_it_keeps_the_habits_of_a_teaching_notebook(source):
    parameters = next(c for c in source.cells if "parameters" in c.metadata.get("tags", []))
    assert re.findall(r"^(\w+): (\w+) =", parameters.source, re.MULTILINE) == [
        ("checkpoint", "str"), ("steps", "int"), ("sample", "int"),
    ]  # fmt: skip
    text = "\n".join(cell.source for cell in source.cells if cell.cell_type == "markdown")
    sections = re.findall(r"^## \d", text, re.MULTILINE)
    assert len(sections) == text.count("**Claim.**") == 7
    assert "## Summary" in text and text.startswith("# ")
    checks, answers = (text.count(f"<summary>{name}</summary>") for name in ("Check", "Solution"))
    assert 3 <= len(solutions(source)) == checks == answers

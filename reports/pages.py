"""Pages that need nothing else: an executed notebook, or what is left of one that failed."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from nbconvert import HTMLExporter
from nbconvert.filters import strip_ansi
from nbconvert.preprocessors import TagRemovePreprocessor
from traitlets.config import Config

from mstar.widgets import figures
from mstar.widgets.picture import SCRIPT, STYLE, Picture

if TYPE_CHECKING:
    from nbformat import NotebookNode


def page(notebook: "NotebookNode") -> str:
    """An executed notebook as one HTML page: no code, no scripts but the pictures', no request."""
    return shell(_title(notebook), _body(notebook))


def failed(notebook: "NotebookNode", at: int, why: str, footer: Picture) -> str:
    """A page on a notebook that stopped: why, the cell and its traceback, then what it had made.

    Args:
        notebook: as far as it was executed.
        at: index of the cell that failed.
        why: `ReportFailed.why`.
        footer: where the page comes from.
    """
    cell = notebook.cells[at]
    lines = [line for o in cell.outputs for line in o.get("traceback", [])]
    traceback = strip_ansi("\n".join(lines))
    parts = ["<h1>This report failed</h1>", figures.note(f"{why[0].upper()}{why[1:]}.").html]
    parts.append(f"<h2>The cell</h2><pre>{escape(cell.source)}</pre>")
    if traceback:
        parts.append(f"<h2>What Python said</h2><pre>{escape(traceback)}</pre>")
    parts.append("<h2>What had been made</h2>")
    notebook.cells = notebook.cells[:at]
    parts += [_body(notebook), footer.html]
    return shell(f"Failed: {_title(notebook)}", "".join(parts))


def shell(title: str, body: str) -> str:
    """A page around HTML that may have pictures in it."""
    body = _once(_once(body, STYLE), SCRIPT, last=True)
    around = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return around.format(title=escape(title), body=body)


def _title(notebook: "NotebookNode") -> str:
    return notebook.cells[0].source.splitlines()[0].lstrip("# ")


def _body(notebook: "NotebookNode") -> str:
    notebook.metadata.pop("widgets", None)  # else a widget would hide its own HTML
    for cell in notebook.cells:
        if cell.cell_type == "code":  # what was printed on the way is for the notebook
            cell.outputs = [o for o in cell.outputs if "text/html" in o.get("data", {})]
    exporter = HTMLExporter(
        template_name="basic",
        config=Config({"TagRemovePreprocessor": {"remove_cell_tags": ["injected-parameters"]}}),
        preprocessors=[TagRemovePreprocessor],
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        mathjax_url="",
        require_js_url="",
        jquery_url="",
        mermaid_js_url="",
    )
    return exporter.from_notebook_node(notebook)[0]


def _once(body: str, part: str, last: bool = False) -> str:
    """What every picture brings along, in the page once: at its first place, or at its last."""
    before, found, after = body.rpartition(part) if last else body.partition(part)
    return before.replace(part, "") + found + after.replace(part, "")

"""Pages that need nothing else: an executed notebook, or what is left of one that failed."""

from typing import TYPE_CHECKING

from nbconvert import HTMLExporter
from nbconvert.filters import strip_ansi
from nbconvert.preprocessors import TagRemovePreprocessor
from traitlets.config import Config

from mstar.widgets import notes
from mstar.widgets.markup import Markup, draw
from mstar.widgets.picture import SCRIPT, STYLE, Picture

if TYPE_CHECKING:
    from nbformat import NotebookNode

_LIVE = "application/vnd.jupyter.widget-view+json"


def page(notebook: "NotebookNode", label: str, whole: bool = False) -> Markup:
    """An executed notebook as one HTML page: no scripts but the pictures', no request.

    Args:
        label: what tells the page apart from others of its title, in a browser's tabs.
        whole: with its code and all outputs; else pictures alone, as a report.
    """
    return shell(f"{label} – {title(notebook)}", _body(notebook, whole))


def failed(notebook: "NotebookNode", at: int, why: str, footer: Picture) -> Markup:
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
    why = notes.note(f"{why[0].upper()}{why[1:]}.")
    notebook.cells = notebook.cells[:at]
    body = draw(
        "reports/failed.html",
        why=why,
        source=cell.source,
        traceback=traceback,
        made=_body(notebook),
        footer=footer,
    )
    return shell(f"Failed: {title(notebook)}", body)


def shell(title: str, body: Markup) -> Markup:
    """A page around markup that may have pictures in it."""
    body = _once(_once(body, STYLE), SCRIPT, last=True)
    if 'class="mv-plotted"' in body:  # charts: plotly.js once, before the script that looks for it
        body = body.replace(SCRIPT, draw("reports/plotly.html", plotly=_plotly()) + SCRIPT)
    return draw("reports/page.html", title=title, body=body)


def _plotly() -> Markup:
    from plotly.offline import get_plotlyjs

    return Markup(get_plotlyjs())


def title(notebook: "NotebookNode") -> str:
    """The first line of its first text."""
    said = (cell.source for cell in notebook.cells if cell.cell_type == "markdown" and cell.source)
    return next(said, "A notebook").splitlines()[0].lstrip("# ")


def _body(notebook: "NotebookNode", whole: bool = False) -> Markup:
    """The notebook's outputs, which are markup already: they come from pictures."""
    notebook.metadata.pop("widgets", None)  # else a widget would hide its own HTML
    for cell in notebook.cells:
        if cell.cell_type == "code" and not whole:  # what was printed is for the notebook
            cell.outputs = [o for o in cell.outputs if "text/html" in o.get("data", {})]
        elif cell.cell_type == "code":  # a live view has a still picture before it
            cell.outputs = [o for o in cell.outputs if _LIVE not in o.get("data", {})]
    hidden = [] if whole else ["injected-parameters"]
    exporter = HTMLExporter(
        template_name="basic",
        config=Config({"TagRemovePreprocessor": {"remove_cell_tags": hidden}}),
        preprocessors=[TagRemovePreprocessor],
        exclude_input=not whole,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        mathjax_url="",
        require_js_url="",
        jquery_url="",
        mermaid_js_url="",
    )
    return Markup(exporter.from_notebook_node(notebook)[0])


def _once(body: Markup, part: Markup, last: bool = False) -> Markup:
    """What every picture brings along, in the page once: at its first place, or at its last."""
    before, found, after = body.rpartition(part) if last else body.partition(part)
    return before.replace(part, "") + found + after.replace(part, "")

"""Run a report's notebook and turn it into one HTML file that needs nothing else."""

import logging
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mstar import files

from .parameters import AblationReport, ImageReport, Parameters

if TYPE_CHECKING:
    from nbformat import NotebookNode

logger = logging.getLogger(__name__)
#: A cell that takes longer is taken for stuck. The experiment's runs are one cell.
CELL_SECONDS = {"image": 3600, "ablation": 7 * 24 * 3600}
MAX_BYTES = 8_000_000


class ReportFailed(RuntimeError):
    """The notebook stopped in one of its cells; the message says which, and where to look."""


def image_report(values: Mapping[str, Any], progress: bool = True) -> Path:
    """Make the report on images.

    Args:
        values: parameters by name, see `ImageReport`.
        progress: show bars on stderr: cells, and what a long cell is at.

    Returns:
        the path of `report.html`; beside it are `report.ipynb` as executed, `metrics.json` and
        `trace/`.

    Raises:
        ValueError, FileNotFoundError: a parameter cannot work; nothing has run.
        ReportFailed: the notebook failed; what it had executed is in `failed.ipynb`.
    """
    return _made("image", ImageReport.checked(values), progress)


def ablation_report(values: Mapping[str, Any], progress: bool = True) -> Path:
    """Make what is missing of the experiment on attention recycling, and the report on it.

    Args and errors as for `image_report`, see `AblationReport`; `findings.json` is beside it.
    """
    return _made("ablation", AblationReport.checked(values), progress)


def _made(name: str, settings: Parameters, progress: bool) -> Path:
    import nbformat  # slow to import: a wrong parameter is said before
    import papermill

    out = Path(settings.out)
    out.mkdir(parents=True, exist_ok=True)
    failed = out / "failed.ipynb"
    with files.replacing(out / "report.ipynb") as executed:
        try:
            papermill.execute_notebook(
                notebook(name),
                executed,
                parameters={**vars(settings)},
                kernel_name="python3",
                progress_bar={"desc": "report", "file": sys.stderr} if progress else False,
                log_output=False,
                # the notebook's own bars, in words: a long cell is seen to move
                stderr_file=sys.stderr if progress else None,
                execution_timeout=CELL_SECONDS[name],
                extra_arguments=["--log-level=40"],  # no warnings of the kernel's own
            )
        except Exception as error:
            if executed.stat().st_size:
                failed.write_bytes(executed.read_bytes())
            raise ReportFailed(_why(error, failed)) from error
        ran = nbformat.read(executed, as_version=4)
    failed.unlink(missing_ok=True)
    html = out / "report.html"
    with files.replacing(html) as path:
        path.write_text(page(ran), encoding="utf-8")
    if html.stat().st_size > MAX_BYTES:
        size = html.stat().st_size / 1e6
        logger.warning("%s has %.1f MB: fewer images or steps make it smaller.", html, size)
    return html


def notebook(name: str) -> Path:
    """The parameterised notebook of a report."""
    return Path(__file__).parent / f"{name}.ipynb"


def page(notebook: "NotebookNode") -> str:
    """An executed notebook as one HTML page: no code, no scripts but the pictures', no request."""
    import nbformat
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors import TagRemovePreprocessor
    from traitlets.config import Config

    from widgets.picture import SCRIPT, STYLE

    notebook = nbformat.from_dict(notebook)
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
    body, _ = exporter.from_notebook_node(notebook)
    body = _once(_once(body, STYLE), SCRIPT, last=True)
    first = notebook.cells[0].source.splitlines()[0]
    shell = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    return shell.format(title=escape(first.lstrip("# ")), body=body)


def _once(body: str, part: str, last: bool = False) -> str:
    """What every picture brings along, in the page once: at its first place, or at its last."""
    before, found, after = body.rpartition(part) if last else body.partition(part)
    return before.replace(part, "") + found + after.replace(part, "")


def _why(error: Exception, failed: Path) -> str:
    from papermill.exceptions import PapermillExecutionError

    what, said = type(error).__name__, str(error)
    where = ""
    if isinstance(error, PapermillExecutionError):
        what, said, where = error.ename, error.evalue, f" in cell {error.exec_count}"
    return f"the report failed{where} with {what}: {said.rstrip('.')}; see {failed}."

"""Run a report's notebook and turn it into one HTML file that needs nothing else."""

import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from nbconvert.filters import strip_ansi
from papermill.exceptions import PapermillExecutionError
from papermill.execute import remove_error_markers

from mstar import files
from mstar.errors import UserError

from . import pages
from .options import title
from .provenance import footer, provenance
from .table import REPORTS

logger = logging.getLogger(__name__)
MAX_BYTES = 10_000_000
PAGE = "report.html"


class ReportFailed(RuntimeError):
    """A report that was rightly asked for was not made.

    Attributes:
        why: a sentence without its full stop.
        page: where more is said; None = nothing had run.
    """

    def __init__(self, why: str, page: Path | None = None):
        super().__init__(f"{why}; {f'see {page}' if page else 'nothing had run'}.")
        self.why, self.page = why, page


class _Quiet(AsyncKernelManager):
    """A kernel whose last words, when it is stopped, are not the user's: cells have an output."""

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        await super()._async_launch_kernel(kernel_cmd, stderr=subprocess.DEVNULL, **options)


def make(name: str, values: Mapping[str, Any], progress: bool = True) -> Path:
    """Make a report.

    Args:
        name: of `table.REPORTS`.
        values: parameters by name; the others have the notebook's defaults.
        progress: show bars on stderr: cells, and what a long cell is at.

    Returns:
        the path of `report.html`; beside it are `report.ipynb` as executed, `metrics.json` and
        what else the report saves.

    Raises:
        UserError, FileNotFoundError: a parameter cannot work; nothing has run.
        ReportFailed: the notebook failed. What it had executed is in `failed.ipynb`, and in
            `failed.html` with the cell that failed on top; an older report stays as it was.
    """
    report = REPORTS[name]
    settings = report.parameters.checked(values)
    made = provenance(settings)  # now: a checkpoint may be gone when something has failed

    out = Path(settings.out)
    with files.replacing_files(out, PAGE) as place:
        executed = place / "report.ipynb"
        try:
            papermill.execute_notebook(
                _unformatted(report.notebook),
                _unformatted(executed),
                parameters={**vars(settings)},
                kernel_name="python3",
                progress_bar={"desc": "report", "file": sys.stderr} if progress else False,
                log_output=False,
                # the notebook's own bars, in words: a long cell is seen to move
                stderr_file=sys.stderr if progress else None,
                execution_timeout=report.cell_seconds,
                kernel_manager_class=_Quiet,
                extra_arguments=["--log-level=40"],  # no warnings of the kernel's own
            )
        except Exception as error:
            raise _kept(out, made, executed, _why(error)) from error
        page = pages.page(nbformat.read(executed, as_version=4), settings.label())
        (place / PAGE).write_text(page, encoding="utf-8")
    _forget_failure(out)
    html = out / PAGE
    if html.stat().st_size > MAX_BYTES:
        size = html.stat().st_size / 1e6
        logger.warning("%s has %.1f MB: ask it for less to make it smaller.", html, size)
    return html


def page_of(executed: Path, out: Path | None = None) -> Path:
    """The offline page of a notebook that was run: of a report as `make` has it, of any other with
    its code and all that it printed.

    Args:
        executed: the notebook, with outputs.
        out: the page's file; None = beside the notebook.

    Returns:
        the page's file.

    Raises:
        UserError: this is no notebook, or none that was run.
        FileNotFoundError: there is no such file.
    """
    try:
        notebook = nbformat.reads(executed.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(notebook)
    except (ValueError, nbformat.ValidationError):
        raise UserError(f"{executed} is no Jupyter notebook.") from None
    if not any(cell.get("outputs") for cell in notebook.cells):
        raise UserError(f"{executed} has no outputs: run it first, as papermill does.")
    titles = {title(report.notebook) for report in REPORTS.values()}
    out = executed.with_suffix(".html") if out is None else out
    whole = pages.title(notebook) not in titles
    with files.replacing(out) as path:
        path.write_text(pages.page(notebook, executed.stem, whole), encoding="utf-8")
    return out


def _unformatted(path: Path) -> str:
    """A path as papermill takes it, which fills in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _kept(out: Path, made: Mapping[str, Any], executed: Path, why: str) -> ReportFailed:
    """What is left of a report, for its reader, in the folder it was asked for."""
    _forget_failure(out)
    if not executed.is_file():
        return ReportFailed(why)
    notebook = remove_error_markers(nbformat.read(executed, as_version=4))
    # a cell that was cut short is marked as completed: it is the last that was started
    started = [i for i, c in enumerate(notebook.cells) if c.metadata.papermill.start_time]
    if not started:
        return ReportFailed(why)
    with files.replacing(out / "failed.ipynb") as path:
        path.write_bytes(executed.read_bytes())
    html = out / "failed.html"
    with files.replacing(html) as path:
        path.write_text(pages.failed(notebook, started[-1], why, footer(made)), encoding="utf-8")
    return ReportFailed(why, html)


def _forget_failure(out: Path) -> None:
    """Of an earlier run."""
    for name in ("failed.html", "failed.ipynb"):
        (out / name).unlink(missing_ok=True)


def _why(error: Exception) -> str:
    """In a sentence: the error's first line; the page has the others."""
    what, told, where = type(error).__name__, str(error), ""
    if isinstance(error, PapermillExecutionError):
        what, told, where = error.ename, error.evalue, f" in cell {error.exec_count}"
    lines = [line.strip() for line in strip_ansi(told).splitlines()]
    first = next(filter(None, lines), "")
    return f"the report failed{where} with {what}{f': {first}' if first else ''}".rstrip(".:")

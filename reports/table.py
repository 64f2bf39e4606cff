"""All reports. A new one is a notebook, a class of parameters and a line here."""

from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .parameters import Parameters

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Report:
    """What it takes to make one.

    Attributes:
        notebook: the parameterised notebook.
        checks: `module:class` of its parameters; a name, as the class brings torch along and the
            command line's help does without.
        cell_seconds: a cell that takes longer is taken for stuck.
    """

    notebook: Path
    checks: str
    cell_seconds: int

    @property
    def parameters(self) -> "type[Parameters]":
        return resolve_name(self.checks)


#: Ranking a benchmark is one cell, and so are the experiment's runs.
REPORTS = {
    "retrieval": Report(
        _HERE / "retrieval.ipynb", "reports.retrieval_parameters:RetrievalReport", 24 * 3600
    ),
    "compare": Report(
        _HERE / "compare.ipynb", "reports.retrieval_parameters:CompareReport", 24 * 3600
    ),
    "image": Report(_HERE / "image.ipynb", "reports.parameters:ImageReport", 3600),
    "ablation": Report(
        _HERE / "ablation.ipynb", "reports.parameters:AblationReport", 7 * 24 * 3600
    ),
}

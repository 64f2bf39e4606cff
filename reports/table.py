"""All reports. A new one is a notebook, a class of parameters and a line here."""

from dataclasses import dataclass
from pathlib import Path

from .folder_parameters import FolderReport
from .parameters import AblationReport, ImageReport, Parameters
from .retrieval_parameters import CompareReport, RetrievalReport

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Report:
    """What it takes to make one.

    Attributes:
        notebook: the parameterised notebook.
        parameters: their dataclass.
        cell_seconds: a cell that takes longer is taken for stuck.
    """

    notebook: Path
    parameters: type[Parameters]
    cell_seconds: int


#: Ranking a benchmark or a folder is one cell, and so are the experiment's runs.
REPORTS = {
    "retrieval": Report(_HERE / "retrieval.ipynb", RetrievalReport, 24 * 3600),
    "compare": Report(_HERE / "compare.ipynb", CompareReport, 24 * 3600),
    "image": Report(_HERE / "image.ipynb", ImageReport, 3600),
    "folder": Report(_HERE / "folder.ipynb", FolderReport, 24 * 3600),
    "ablation": Report(_HERE / "ablation.ipynb", AblationReport, 7 * 24 * 3600),
}

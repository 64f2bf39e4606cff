"""One report made with the tiny checkpoint, for all tests of this folder."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from mstar import cli

NASTY_NAME = "<img src=x onerror=alert(1)>&\"'.png"
NASTY_WORD = "</td><script>alert(2)</script>"
WORDS = ("exit", NASTY_WORD, "speed limit 25", "combined:stop+go")


@pytest.fixture(scope="session")
def photo(tmp_path_factory) -> Path:
    """A user's own picture, wide, with a hostile name."""
    path = tmp_path_factory.mktemp("photos") / NASTY_NAME
    Image.linear_gradient("L").resize((300, 160)).convert("RGB").save(path)
    return path


@dataclass
class Made:
    folder: Path
    printed: str

    @property
    def html(self) -> str:
        return (self.folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def report(tiny_checkpoint, photo, tmp_path_factory) -> Made:
    """`mstar report image` on one photograph, through the command line."""
    folder = tmp_path_factory.mktemp("out") / "report"
    arguments = ["--image", str(photo), "--words", ",".join(WORDS), "--out", str(folder)]
    printed = _run([*arguments, "--checkpoint", str(tiny_checkpoint)])
    return Made(folder, printed)


def _run(arguments: list[str]) -> str:
    import contextlib
    import io
    import warnings

    output = io.StringIO()
    with contextlib.redirect_stdout(output), warnings.catch_warnings():
        warnings.simplefilter("default")  # papermill and nbconvert warn about their own future
        assert cli.main(["report", "image", *arguments]) == 0
    return output.getvalue()

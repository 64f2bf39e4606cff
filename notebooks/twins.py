"""Twins of the notebooks without prose, to retype: `python notebooks/twins.py FOLDER`.

Headings and code stay, in their order; sentences, exercises' answers and outputs do not.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def twin(notebook: dict[str, Any]) -> dict[str, Any]:
    """The same notebook with headings and code alone."""
    cells = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            # what is folded away is an answer, and may hold code with comments
            open_text = re.sub(r"<details>.*?</details>", "", source, flags=re.DOTALL)
            headings = re.findall(r"^#+ .*$", open_text, re.MULTILINE)
            if not headings:
                continue
            source = "\n\n".join(headings)
        kept = {**cell, "source": source.splitlines(keepends=True)}
        if cell["cell_type"] == "code":
            kept |= {"outputs": [], "execution_count": None}
        cells.append(kept)
    return {**notebook, "cells": cells}


def write_twins(folder: Path) -> list[Path]:
    """Write a twin of every notebook here into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in sorted(HERE.glob("*.ipynb")):
        made = twin(json.loads(path.read_text(encoding="utf-8")))
        text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
        written.append(folder / path.name)
        written[-1].write_text(text, encoding="utf-8")
    return written


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the twins go; made if it is not there")
    folder = parser.parse_args().folder
    if folder.resolve() == HERE:
        parser.error("a folder of their own, please: here the twins would replace the notebooks")
    for path in write_twins(folder):
        print(path)

"""`mstar notebooks`: the command line finds it by the entry point that this package declares."""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mstar import files
from mstar.errors import UserError

HERE = Path(__file__).resolve().parent


def notebooks(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], None]:
    """copy the course into a folder, to be run and changed there"""
    parser.epilog = "A notebook that was changed there, by a run too, is never written over."
    parser.add_argument("folder", type=Path, help="where they go; made if it is not there")
    parser.add_argument(
        "--twins",
        action="store_true",
        help="without prose, to be retyped: headings and code stay, in their order",
    )

    def run(args: argparse.Namespace) -> None:
        if args.folder.resolve() == HERE:
            raise UserError(f"{args.folder} is where the notebooks are: name another folder.")
        kept = list(copied(args.folder, args.twins))
        print(f"{args.folder}: {len(list(HERE.glob('*.ipynb'))) - len(kept)} notebooks")
        if kept:
            names = ", ".join(path.name for path in kept)
            print(f"  changed there, so left as they are: {names}")

    return run


def copied(folder: Path, twins: bool = False) -> Iterator[Path]:
    """Copy the notebooks; yields the files that were there, another than ours, and stayed."""
    for path in sorted(HERE.glob("*.ipynb")):
        text, to = path.read_text(encoding="utf-8"), folder / path.name
        if twins:
            text = json.dumps(twin(json.loads(text)), indent=1, ensure_ascii=False) + "\n"
        if not to.exists():
            with files.replacing(to) as made:
                made.write_text(text, encoding="utf-8")
        elif to.read_bytes() != text.encode():
            yield to


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
        cells.append({**cell, "source": source.splitlines(keepends=True)})
    return {**notebook, "cells": cells}

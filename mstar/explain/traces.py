"""Traces of any number of photographs, one at a time, as files that can be read anywhere.

A photograph's trace is a folder that `Trace.load` reads: `trace.safetensors` holds the values by
the names of their hook points, `trace.json` the rest. What needs no tensors stands in tables.
"""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from mstar import files
from mstar.errors import UserError
from mstar.explain.assignment import Evidence, explain_words
from mstar.explain.looks import LookSummary, summarise_looks
from mstar.hooks.record import BUDGET, NEEDED
from mstar.hooks.trace import Trace
from mstar.io.bench import Bench
from mstar.io.decoding import UnreadableImage
from mstar.io.images import decode_image
from mstar.texts import Query

ABOUT, TRACES = "about.json", "traces"
#: What the tables are made from, recorded whatever else is: of looks, and of texts.
_OF_LOOKS = ("pve.*.attention_map", "pve.*.salient", "pve.*.mask")
_OF_TEXTS = ("mim.*", "scores")
_TABLES = {"scores": Evidence, "looks": LookSummary}
_LONGEST = 40  # letters of a photograph's name in that of its trace


@dataclass(frozen=True)
class Traced:
    """What `trace_photographs` did.

    Attributes:
        made, kept: traces made now, and there already.
        unreadable: photograph → why it was left out.
    """

    made: int
    kept: int
    unreadable: dict[str, str]


def trace_photographs(
    bench: Bench,
    photographs: Sequence[Path],
    texts: Sequence[Query],
    out: str | Path,
    names: Sequence[str] | None = None,
    pve_steps: int | None = None,
    tiles: Sequence[int] | None = None,
    checkpoint: str = "",
    budget: int = BUDGET,
) -> Traced:
    """Record a run on each photograph; a run that was stopped goes on where it was.

    One photograph at a time is in memory. In `out` lie then `traces/NAME-HASH/` for each
    (`Trace.load` reads it; the hash is of the photograph's file), `scores.csv` (a line a photograph
    and text, as `Evidence`), `looks.csv` (a line a photograph and look, as `LookSummary`) and
    `about.json`. The tables are of these photographs, in their order, also after an interruption.

    Args:
        texts: may be none: then there are no scores.
        names: hook points; None = what pictures need. What the tables need is recorded anyway.
        pve_steps, tiles: T and the levels of tiles; None = the checkpoint's.
        checkpoint: its hash: another one is not mixed with it.
        budget: bytes of a photograph's values.

    Raises:
        UserError: `out` holds something else, or traces made otherwise; no photograph can be read.
        HookError: no such hook point, or a trace over the budget.
    """
    out, asked = Path(out), names
    names = [n for n in (NEEDED if names is None else names) if texts or n not in _OF_TEXTS]
    names = sorted({*names, *_OF_LOOKS, *(_OF_TEXTS if texts else ())})
    about = {
        "checkpoint": checkpoint,
        "pve_steps": bench.config.pve_steps_from(pve_steps),
        "tiles": list(tiles or bench.processor.tiles),
        "texts": [list(query) for query in texts],
        "record": None if asked is None else list(asked),
    }
    _check(out, about)
    run = partial(bench.trace, texts=list(texts) or None, names=names, pve_steps=pve_steps,
                  tiles=tiles, budget=budget)  # fmt: skip
    found: dict[str, Path] = {}
    unreadable: dict[str, str] = {}
    made = 0
    with files.locked(out, "trace"):
        try:
            for path in tqdm(photographs, desc="photographs", unit="photo"):
                try:
                    content = path.read_bytes()
                    folder = out / TRACES / _name(path, content)
                    if not (folder / "trace.json").is_file():
                        # no name: it would hold the values of one while the next runs
                        _keep(run(decode_image(BytesIO(content), path)), folder, about)
                        made += 1
                    found[str(path)] = folder
                except UnreadableImage as error:
                    unreadable[str(path)] = str(error)
                except OSError as error:
                    if not path.is_file() or error.filename == str(path):
                        unreadable[str(path)] = files.said(error)
                    else:
                        raise
        finally:
            if found:
                _write_tables(out, found, bool(texts))
    if not found:
        name, why = next(iter(unreadable.items()), ("", "there is none."))
        raise UserError(f"none of the {len(photographs)} photographs can be read; {name}: {why}")
    return Traced(made, len(found) - made, unreadable)


def _check(out: Path, about: Mapping[str, Any]) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: traces lie in a folder.")
    if not (out / ABOUT).is_file():
        if out.exists() and any(one.name != files.LOCK for one in out.iterdir()):
            raise UserError(f"{out} is not empty and holds no traces: give a new folder.")
        return
    there = files.read_json(out / ABOUT)
    differ = [name for name in about if there.get(name) != about[name]]
    if differ:
        name = differ[0]
        raise UserError(
            f"the traces in {out} were made with {name} = {there.get(name)!r}, not "
            f"{about[name]!r}: give a new folder."
        )


def _name(path: Path, content: bytes) -> str:
    """Of a trace: a changed photograph has another one."""
    return f"{path.stem[:_LONGEST]}-{hashlib.sha256(content).hexdigest()[:12]}"


def _keep(trace: Trace, folder: Path, about: Mapping[str, Any]) -> None:
    """Write a trace, and before the first of them how all are made."""
    place = folder.parents[1] / ABOUT
    if not place.is_file():
        with files.replacing(place) as path:
            path.write_text(json.dumps(about, indent=1, ensure_ascii=False), encoding="utf-8")
    trace.meta["looks"] = [asdict(one) for one in summarise_looks(trace)]
    if trace.queries:
        trace.meta["scores"] = [asdict(one) for one in explain_words(trace)]
    trace.save(folder)


def _write_tables(out: Path, found: Mapping[str, Path], texts: bool) -> None:
    """The rows stand in the traces, so that memory does not grow with them."""
    for table, kind in _TABLES.items():
        if table == "scores" and not texts:
            continue
        with (
            files.replacing(out / f"{table}.csv") as path,
            path.open("w", encoding="utf-8", newline="") as file,
        ):
            columns = ["image", "trace", *(field.name for field in fields(kind))]
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(_rows(table, found))


def _rows(table: str, found: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
    for image, folder in found.items():
        for row in files.read_json(folder / "trace.json")["meta"].get(table, ()):
            yield {"image": image, "trace": folder.name} | row

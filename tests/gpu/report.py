"""What a run measured: one line of JSON a fact as it goes, and a table for people.

`start.py report OUT` writes the table anew; exit code 1 says that a check did not pass, or that
something could not be measured. Nothing here needs torch.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROWS, TABLE = "results.jsonl", "results.md"


class Results:
    """The facts of one part, each on disk once it is known.

    Args:
        out: the folder of the run.
        part: by which its rows are known.
    """

    def __init__(self, out: Path, part: str):
        self.out, self.part = out, part
        out.mkdir(parents=True, exist_ok=True)

    def add(
        self,
        name: str,
        value: float | str | None = None,
        unit: str = "",
        ok: bool | None = None,
        note: str = "",
        **more: Any,
    ) -> None:
        """Add one fact.

        Args:
            ok: whether a check passed; None = it is no check, or it was skipped.
            note: how it was measured, what is wrong, or why it was skipped.
            more: further numbers, for whoever computes with them.
        """
        row = {"part": self.part, "name": name, "value": value, "unit": unit, "ok": ok}
        row |= {"note": note} | more
        with (self.out / ROWS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        print(_said(row), flush=True)


def rows(out: Path) -> list[dict[str, Any]]:
    """All facts; a line that a kill cut short is passed over."""
    path, found = out / ROWS, []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def table(found: list[dict[str, Any]]) -> str:
    """Markdown, a table a part."""
    failed = [row for row in found if row["ok"] is False]
    checks = sum(row["ok"] is not None for row in found)
    lines = ["# What this machine showed", ""]
    lines += [f"{checks} checks, {len(failed)} not passed."]
    lines += [f"- {row['part']}: {row['name']}: {row['note']}" for row in failed]
    for part in dict.fromkeys(row["part"] for row in found):
        lines += ["", f"## {part}", ""]
        lines += ["| what | value | unit | | note |", "|---|---:|---|---|---|"]
        for row in found:
            if row["part"] == part:
                passed = {True: "ok", False: "**no**", None: ""}[row["ok"]]
                note = str(row["note"]).replace("|", "\\|").replace("\n", " ")
                cells = (row["name"], _number(row["value"]), row["unit"], passed, note)
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _number(value: float | str | None) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    return "" if value is None else str(value)


def _said(row: dict[str, Any]) -> str:
    passed = {True: "ok  ", False: "NO  ", None: "    "}[row["ok"]]
    return f"{passed}{row['name']}: {_number(row['value'])} {row['unit']}  {row['note']}".rstrip()


def main() -> int:
    parser = argparse.ArgumentParser(prog="start.py report", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--failed", nargs=2, metavar=("PART", "CODE"), help="say that a part ended with this code"
    )
    args = parser.parse_args()
    if args.failed:
        part, code = args.failed
        why = "its time was up" if code in ("124", "137") else f"it ended with exit code {code}"
        Results(args.out, part).add("the part as a whole", ok=False, note=why)
    found = rows(args.out)
    (args.out / TABLE).write_text(table(found), encoding="utf-8")
    return int(not found or any(row["ok"] is False for row in found))


if __name__ == "__main__":
    sys.exit(main())

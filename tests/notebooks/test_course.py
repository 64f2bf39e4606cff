"""The course around the notebooks: its page names them all, and their twins have no prose."""

import json
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def test_the_page_lists_every_notebook_with_goal_minutes_and_what_it_needs():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\d\d_\w+)` \| (.+) \| (\d+) \| (.+) \|$", page, re.MULTILINE)
    assert [name for name, *_ in rows] == NAMES
    numbers = {name[:2] for name in NAMES}
    for name, _, minutes, needs in rows:
        assert 5 <= int(minutes) <= 60
        if needs != "–":
            earlier = needs.split(", ")
            assert set(earlier) <= numbers and all(number < name[:2] for number in earlier)
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert "notebooks/README.md" in readme


def test_twins_have_the_code_and_the_headings_and_no_prose(tmp_path):
    done = subprocess.run(
        [sys.executable, str(FOLDER / "twins.py"), str(tmp_path / "twins")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert [Path(line).stem for line in done.stdout.splitlines()] == NAMES
    for name in NAMES:
        twin, whole = (
            json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8"))
            for folder in (tmp_path / "twins", FOLDER)
        )
        code = [["".join(c["source"]) for c in nb["cells"] if c["cell_type"] == "code"]
                for nb in (twin, whole)]  # fmt: skip
        assert code[0] == code[1] and code[0]
        prose = "".join(
            "".join(c["source"]) + "\n" for c in twin["cells"] if c["cell_type"] == "markdown"
        )
        lines = [line for line in prose.splitlines() if line]
        assert lines and all(line.startswith("#") for line in lines)
        assert "Exercises" in prose and "details" not in prose


def test_twins_do_not_replace_the_notebooks():
    done = subprocess.run(
        [sys.executable, str(FOLDER / "twins.py"), str(FOLDER)], capture_output=True, text=True
    )
    assert done.returncode == 2 and "a folder of their own, please" in done.stderr

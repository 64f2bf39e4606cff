"""The course around the notebooks: its page names them all, and their twins have no prose."""

import json
import re
from pathlib import Path

from mstar.cli.__main__ import main

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
    assert main(["notebooks", str(tmp_path / "twins"), "--twins"]) == 0
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


def test_the_course_is_copied_out_and_never_over_a_changed_file(tmp_path, capsys):
    assert main(["notebooks", str(tmp_path)]) == 0
    for name in NAMES:
        copied = (tmp_path / f"{name}.ipynb").read_bytes()
        assert copied == (FOLDER / f"{name}.ipynb").read_bytes()
    assert capsys.readouterr().out == f"{tmp_path}: {len(NAMES)} notebooks\n"
    (tmp_path / "00_tour.ipynb").write_text("mine")
    (tmp_path / "01_steps_and_masks.ipynb").unlink()
    assert main(["notebooks", str(tmp_path)]) == 0
    assert "changed there, so left as they are: 00_tour.ipynb" in capsys.readouterr().out
    assert (tmp_path / "00_tour.ipynb").read_text() == "mine"
    assert (tmp_path / "01_steps_and_masks.ipynb").is_file()


def test_the_notebooks_are_not_copied_over_themselves(capsys):
    assert main(["notebooks", str(FOLDER), "--twins"]) == 2
    assert "name another folder" in capsys.readouterr().err

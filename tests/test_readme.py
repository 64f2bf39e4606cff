"""The README says what is there: tables equal the code, its example runs, its files exist."""

import re
from pathlib import Path

import pytest
import torch

from mstar.cli import __main__ as cli
from mstar.hooks.points import POINTS
from mstar.io import embedded
from mstar.model.configuration import SEMANTICS
from mstar.reports.table import REPORTS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text under a heading, up to the next heading of its level or above."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", README, re.M | re.S)
    assert found, f"README.md has no section {title!r}"
    return found[2]


def rows(title: str) -> list[str]:
    """The rows of the tables of a section, without their heads."""
    lines = section(title).splitlines()
    return [line for line in lines if re.match(r"\| [^-]", line)][1:]


def said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value}`" if isinstance(value, str) else f"{value:.3g}"


def test_the_table_of_hook_points_is_the_code_s():
    expected = [
        f"| `{point.name}` | {' '.join(point.axes)} | {'yes' if point.default else 'no'} "
        f"| {point.what} |"
        for point in POINTS.values()
    ]
    assert rows("Hook points") == expected


def test_the_table_of_semantics_is_the_code_s():
    paper, released = SEMANTICS["paper"], SEMANTICS["released"]
    found = rows("`paper` and `released`")
    assert len(found) == len(paper)
    for row, field in zip(found, paper, strict=True):
        start = f"| `{field}` | {said(paper[field])} | {said(released[field])} | "
        assert row.startswith(start) and len(row) > len(start) + 20


@pytest.mark.parametrize(
    "command",
    [
        ["convert"],
        ["evaluate", "benchmark"],
        ["evaluate", "sandbox"],
        ["index"],
        *(["report", name] for name in REPORTS),
        ["sandbox"],
        ["search"],
        ["train"],
    ],
    ids=" ".join,
)
def test_every_command_and_option_is_named(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([*command, "--help"])
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert f"mstar {' '.join(command)}" in README
    assert sorted(option for option in options if f"`{option}" not in README
                  and f" {option} " not in README) == []  # fmt: skip


def test_the_commands_above_are_all(capsys):
    assert {command.__name__ for command in cli.commands()} <= set(
        re.findall(r"mstar ([a-z]+)", README)
    )


def test_every_make_target_that_is_named_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert {"report", "test", "lab", "train", "lint"} <= targets
    assert set(re.findall(r"`make ([a-z]+)`", README)) <= targets
    (opened,) = re.findall(r"notebooks/\w+\.ipynb", makefile)
    assert (ROOT / opened).is_file() and opened in README
    for command in re.findall(r"\$\(BIN\)/mstar (\w+)", makefile):
        assert command in {one.__name__ for one in cli.commands()}


def test_the_examples_run(tiny_checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(embedded, "checkpoint", lambda: tiny_checkpoint)
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(examples) == 4
    monkeypatch.chdir(tmp_path)
    exec("\n".join(examples), names := {})
    assert (names["explorer"].look, names["explorer"].query_token) == (1, 3)
    printed = capsys.readouterr().out
    assert str(torch.Size([3, 1, 1, 16, 16])) in printed  # T = 2


def test_every_file_that_skips_is_listed():
    skips = re.compile(r"pytest\.(skip|importorskip|mark\.skip(if)?)\(")
    _, _, listed = (ROOT / "tests/README.md").read_text("utf-8").partition("## Skipped tests")
    for path in sorted((ROOT / "tests").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        uses = re.search(r"def \w+\([^)]*\b(golden_root|photos_root)\b", text)
        if path != Path(__file__).resolve() and (skips.search(text) or uses):
            name = path.relative_to(ROOT).as_posix()
            assert name in listed, f"{name} can skip: say when in tests/README.md, Skipped tests"

"""The wheel alone: built from a copy of the sources, used from another folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEFT = shutil.ignore_patterns(".*", "tests", "out", "runs", "build", "*.egg-info", "__pycache__")

#: The main job, and every command that needs files of ours beside the modules.
DAY = """\
import mstar, sys
from mstar.cli.__main__ import main
print(mstar.__file__)
photo = str(mstar.samples()[0].path)
for line in sys.stdin.read().splitlines():
    assert main(line.replace("PHOTO", photo).split()) == 0, line
"""
LINES = """\
notebooks course
report image --images PHOTO --texts exit --out report
sandbox --out sheet.png --scenes 2
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT)
    build = "pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation ./source"
    subprocess.run([sys.executable, "-m", *build.split()], cwd=folder, check=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def elsewhere(wheel, tmp_path_factory):
    """`run(*words)` of a Python that finds the wheel's files before the checkout's."""
    site, empty = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("empty")
    zipfile.ZipFile(wheel).extractall(site)

    def run(*words: str, given: str = "") -> str:
        done = subprocess.run(
            [sys.executable, *words],
            input=given,
            cwd=empty,
            env=os.environ | {"PYTHONPATH": str(site)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    run.site, run.folder = site, empty
    return run


def test_nothing_but_tests_and_findings_is_left_out_of_the_wheel(wheel):
    """What the sources have beside their modules is package data, and has to be listed."""
    there = {name.removeprefix("mstar/") for name in zipfile.ZipFile(wheel).namelist()}
    kinds = ("py", "ipynb", "html", "css", "js", "json", "jpg", "safetensors")
    for room in ("mstar", "widgets", "reports", "notebooks"):
        for path in (p for kind in kinds for p in ROOT.glob(f"{room}/**/*.{kind}")):
            name = path.relative_to(ROOT).as_posix().removeprefix("mstar/")
            # the settings are those of `make lab`, which needs the sources
            assert name in there or "__pycache__" in name or "labconfig/" in name, name


def test_the_main_job_and_the_course_need_the_wheel_alone(elsewhere, tiny_checkpoint):
    said = elsewhere("-c", DAY, given=LINES)
    assert said.splitlines()[0] == str(elsewhere.site / "mstar" / "__init__.py")
    assert (elsewhere.folder / "report" / "report.html").stat().st_size > 100_000
    assert (elsewhere.folder / "sheet.png").is_file()
    tour = "papermill course/02_assignments.ipynb done.ipynb --no-progress-bar -p checkpoint"
    elsewhere("-m", *tour.split(), str(tiny_checkpoint))
    assert (elsewhere.folder / "done.ipynb").is_file()

"""The report on the ablation, end to end through the command line, on a run of seconds."""

import contextlib
import io
import json
import warnings

import pytest
from plotly.offline import get_plotlyjs

from mstar.cli import __main__ as cli
from mstar.evaluate.metrics import Estimate
from mstar.experiments.ablation import DOUBLED, Arm, Difference
from mstar.widgets import figures

SIZES = {"scenes": 24, "parent-steps": 1, "steps": 1, "gallery": 48}

#: In the report's kernel: what is imported here is left out of garbage collections, of which
#: training makes two for each of its twenty-one runs, a third of their time.
STARTUP = """
import gc
from mstar.training.loop import trainer
gc.collect()
gc.freeze()
"""


@pytest.fixture(scope="module")
def made(tiny_checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    arguments = ["report", "ablation", "--seeds", "1", "--no-mosaics"]
    arguments += ["--checkpoint", str(tiny_checkpoint)]
    for name, value in SIZES.items():
        arguments += [f"--{name}", str(value)]
    arguments += ["--runs", str(folder / "runs"), "--out", str(folder / "out")]
    startup = folder / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "imports.py").write_text(STARTUP)
    output = io.StringIO()
    with (
        contextlib.redirect_stdout(output),
        warnings.catch_warnings(),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        warnings.simplefilter("default")  # papermill and nbconvert warn about their own future
        assert cli.main(arguments) == 0
    assert output.getvalue().strip() == str(folder / "out" / "report.html")
    return folder / "out"


def test_it_says_what_was_found_and_how_to_make_it_again(made):
    html = (made / "report.html").read_text(encoding="utf-8")
    assert "T = 3, watershed masks" in html and "How far attention moves" in html
    # in each of five groups: three numbers of looks; watershed masks against empty and
    # against random ones, threshold masks against empty ones
    assert "Of all 45 comparisons of masks on what was attended" in html
    assert html.count("More looks, or more embeddings?") >= 5
    assert html.count('data-label="one look with two of each query token − one look"') == 5
    assert html.count("Is it the mask?") >= 5 and "Is it the mask? Crowded images" in html
    assert (
        "mstar report ablation --seeds 1 --scenes 24 --parent-steps 1 --steps 1 --gallery 48 "
        "--no-mosaics"
    ) in html
    footer = html.rpartition("Where this page comes from")[2]
    assert "query_tokens: 3" in footer and "seeds: 1" in footer and "parent_steps: 1" in footer
    metrics = json.loads((made / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["provenance"]["checkpoint sha256"] in footer and "torch 2." in footer
    assert "watershed − empty" in metrics["headline"]
    assert "https://" not in html.replace(get_plotlyjs(), "")
    found = json.loads((made / "findings.json").read_text(encoding="utf-8"))
    assert found["about"]["seeds"] == [1] and found["about"]["images"] == 24
    rows = found["sections"]["differences"]
    assert all(set(row["difference"]) == {"value", "low", "high", "count"} for row in rows)
    assert {row["arm"] for row in rows} >= {"paper-T1-random", "paper-T3-watershed"}
    assert all(len(row["by_seed"]) == 1 for row in rows)


def test_a_difference_is_said_in_words_and_numbers():
    found = Difference(
        Arm(2, "watershed"), Arm(0), "easy", "all", 52.0, 50.0, Estimate(2.0, 0.5, 3.5, 90),
        (1.0, 3.0), 21.4,
    )  # fmt: skip
    html = figures.differences("Title", "", [found]).html
    assert "T = 2, watershed masks" in html and "+2.0 [+0.5, +3.5]" in html
    assert "better; seeds +1.0, +3.0" in html and "21 %" in html
    assert html.count('role="img"') == 1
    other = found._replace(other=Arm(2, "random"))
    assert (
        "T = 2, watershed masks, against random ones" in figures.differences("", "", [other]).html
    )
    doubled = found._replace(arm=DOUBLED)
    assert "one look with 2 of each query token<" in figures.differences("", "", [doubled]).html
    beyond = found._replace(other=DOUBLED)
    assert (
        "T = 2, watershed masks, against one look with 2 of each query token<"
        in figures.differences("", "", [beyond]).html
    )
    released = found._replace(arm=Arm(1, "empty", "released", side=2))
    assert "T = 1, empty masks (released semantics)" in figures.differences("", "", [released]).html

"""The command line as a whole, and its thin subcommands `sandbox` and `train`."""

from functools import partial

import pytest
import torch
from PIL import Image

from mstar import MstarConfig, __version__, cli, training
from mstar.checkpoints import load_checkpoint


def stopped(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    return stop.value.code


def test_without_arguments_it_prints_its_help(capsys):
    assert cli.main([]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("usage: mstar") and printed.err == ""
    for command in cli.COMMANDS:
        assert f"\n    {command.__name__} " in printed.out
        assert command.__doc__.split()[0] in printed.out


def test_version(capsys):
    assert stopped(["--version"]) == 0
    assert capsys.readouterr().out == f"mstar {__version__}\n"


def test_an_unknown_command_is_exit_code_2(capsys):
    assert stopped(["fetch"]) == 2
    assert "invalid choice: 'fetch'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [command.__name__ for command in cli.COMMANDS])
def test_every_command_has_a_help(command, capsys):
    assert stopped([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: mstar {command}")


@pytest.mark.parametrize("difficulty", ["easy", "hard", "crowd"])
def test_sandbox_draws_a_sheet(difficulty, tmp_path, capsys):
    path = tmp_path / "new" / "sheet.png"
    arguments = ["sandbox", "--difficulty", difficulty, "--count", "7", "--out", str(path)]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == f"{path}\n"
    with Image.open(path) as sheet:
        assert sheet.format == "PNG" and sheet.width > 6 * 128 and sheet.height > 2 * 128


def test_sandbox_obeys_its_seed_and_outlines_words(tmp_path):
    def drawn(*options: str) -> bytes:
        path = tmp_path / "sheet.png"
        assert cli.main(["sandbox", "--count", "1", "--out", str(path), *options]) == 0
        return path.read_bytes()

    assert drawn() == drawn("--seed", "0")
    assert len({drawn(), drawn("--seed", "1"), drawn("--polygons")}) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sandbox", "--count", "0"], "count must be 1 or more; got 0"),
        (["sandbox", "--seed", "-1"], "seed must be a whole number from 0"),
        (["sandbox", "--out", "."], ". is a folder: --out names a file"),
        (["train", "--threads", "0"], "threads must be 1 or more; got 0"),
        (["train", "--seed", "-1"], "seed must be 0 or more; got -1"),
        (["train", "--out", "a-file"], "a-file is a file: --out names a folder"),
        (["train", "--out", "old"], "old holds a run of another recipe"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").touch()
    (tmp_path / "old").mkdir()
    torch.save({"recipe": {}}, tmp_path / "old" / training.STATE)
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("mstar: error") == 1
    assert printed.out == ""
    assert {path.name for path in tmp_path.iterdir()} == {"a-file", "old"}


def test_train_writes_a_checkpoint_that_loads(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "Recipe", partial(training.Recipe, stages=()))
    for _ in range(2):  # the second finds the first one's folder
        assert cli.main(["train", "--out", str(tmp_path), "--seed", "7"]) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'checkpoint'}\n"
    model, _ = load_checkpoint(tmp_path / "checkpoint")
    assert model.config.to_dict()["embed_dim"] == MstarConfig.sandbox().embed_dim
    torch.manual_seed(7)
    expected = training.MstarModel(MstarConfig.sandbox())
    expected = expected.vision_projection.weight.half().float()  # saved in half precision
    assert torch.equal(model.vision_projection.weight, expected)


def test_train_goes_on_from_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "Recipe", partial(training.Recipe, stages=()))
    first, second = tmp_path / "first", tmp_path / "second"
    assert cli.main(["train", "--out", str(first)]) == 0
    init = ["--init", str(first / "checkpoint")]
    assert cli.main(["train", "--out", str(second), *init]) == 0
    model, _ = load_checkpoint(second / "checkpoint")
    assert torch.equal(
        model.vision_projection.weight,
        load_checkpoint(first / "checkpoint")[0].vision_projection.weight,
    )
    runs = training.training_record(second / "checkpoint")
    assert [run["recipe"]["seed"] for run in runs] == [1, 2]  # the second sees other images


def test_a_continued_run_trains_on_scenes_only():
    stages = training.continued(training.Recipe()).stages
    assert stages and {stage.images for stage in stages} == {"scenes"}

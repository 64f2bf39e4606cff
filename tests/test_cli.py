"""The command line as a whole, and its thin subcommands `sandbox` and `train`."""

import argparse
import json
import os
import signal
import string
import subprocess
import sys
import time
from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch
from PIL import Image

from mstar import MstarConfig, MstarModel, __version__, training
from mstar.cli import __main__ as cli
from mstar.cli.galleries import index
from mstar.data.scenes import sandbox
from mstar.files import locked
from mstar.io.checkpoints import load_checkpoint
from mstar.io.embedded import ASSETS
from mstar.io.images import IMAGES_AT_ONCE
from mstar.training import paper


def stopped(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    return stop.value.code


def test_without_arguments_it_prints_its_help(capsys):
    assert cli.main([]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("usage: mstar") and printed.err == ""
    for command in cli.commands():
        assert f"\n    {command.__name__} " in printed.out
        assert command.__doc__.split()[0] in printed.out


def test_version(capsys):
    assert stopped(["--version"]) == 0
    assert capsys.readouterr().out == f"mstar {__version__}\n"


def test_the_collector_runs_less_often_in_the_command_alone():
    code = "import gc, sys; before = gc.get_threshold(); sys.argv[0] = {!r}\n"
    code += "import mstar.cli.__main__; print(before == gc.get_threshold())"
    for name, same in (("mstar", "False"), ("my_script.py", "True")):
        command = [sys.executable, "-c", code.format(name)]
        assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == same


def test_an_unknown_command_is_exit_code_2(capsys):
    assert stopped(["fetch"]) == 2
    assert "invalid choice: 'fetch'" in capsys.readouterr().err


def test_traceback_raises_what_is_else_a_sentence(tmp_path, capsys):
    arguments = ["search", str(tmp_path / "none"), "exit"]
    assert cli.main(arguments) == 2
    assert "holds no gallery" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match="holds no gallery"):
        cli.main(["--traceback", *arguments])


@pytest.mark.parametrize("command", [command.__name__ for command in cli.commands()])
def test_every_command_has_a_help(command, capsys):
    assert stopped([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: mstar {command}")


@pytest.mark.parametrize("difficulty", ["easy", "hard", "crowd", "street"])
def test_sandbox_draws_a_sheet(difficulty, tmp_path, capsys):
    path = tmp_path / "new" / "sheet.png"
    arguments = ["sandbox", "--difficulty", difficulty, "--scenes", "7", "--out", str(path)]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == f"{path}\n"
    with Image.open(path) as sheet:
        assert sheet.format == "PNG" and sheet.width > 6 * 128 and sheet.height > 2 * 128


def test_sandbox_obeys_its_seed_and_outlines_words(tmp_path):
    def drawn(*options: str) -> bytes:
        path = tmp_path / "sheet.png"
        assert cli.main(["sandbox", "--scenes", "1", "--out", str(path), *options]) == 0
        return path.read_bytes()

    assert drawn() == drawn("--seed", "0")
    assert len({drawn(), drawn("--seed", "1"), drawn("--polygons")}) == 3


LIST = ["a-file", "."]
PAPER = ["--recipe", "paper-word", "--real", *LIST, "--synthetic", *LIST]
PHOTOGRAPHS = ["--recipe", "photographs", "--init", "nowhere", "--real", *LIST]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sandbox", "--scenes", "0"], "scenes must be 1 or more; got 0"),
        (["sandbox", "--seed", "-1"], "seed must be a whole number from 0"),
        (["sandbox", "--out", "."], ". is a folder: --out names a file"),
        (["train", "--threads", "0"], "threads must be 1 or more; got 0"),
        (["train", "--seed", "-1"], "seed must be 0 or more; got -1"),
        (["train", "--save-every", "0"], "save-every must be 1 or more; got 0"),
        (["train", "--out", "a-file"], "a-file is a file: --out names a folder"),
        (["train", "--out", "old"], "old holds a run of another recipe"),
        (["train", "--keep", "0", "--out", "new"], "keep must be 1 or more; got 0"),
        (["train", "--recipe", "paper-word"], "paper-word needs images: give --real LIST ROOT"),
        (
            ["train", "--epochs", "4", "--checkpoint-activations"],
            "the recipe sandbox has no use for --checkpoint-activations, --epochs: take "
            "paper-multiquery or paper-word",
        ),
        (
            ["train", *PAPER, "--init", "x"],
            "the recipe paper-word has no use for --init: take photographs or sandbox or tune",
        ),
        (
            ["train", "--pve-only", "--crops", *LIST],
            "the recipe sandbox has no use for --crops, --pve-only: take photographs or tune",
        ),
        (
            ["train", *PHOTOGRAPHS, "--siglip", "x", "--epochs", "3"],
            "the recipe photographs has no use for --epochs, --siglip: take paper-multiquery or "
            "paper-word",
        ),
        (
            ["train", "--recipe", "photographs", "--real", *LIST],
            "photographs goes on from a checkpoint and needs images: give --init FOLDER and --real",
        ),
        (["train", "--recipe", "photographs", "--init", "x"], "needs images: give --init FOLDER"),
        (["train", *PHOTOGRAPHS, "--minutes", "0"], "minutes must be a number above 0; got 0.0"),
        (["train", "--minutes", "nan"], "minutes must be a number above 0; got nan"),
        (["train", "--real", *LIST, "--lr", "-1"], "lr must be a number above 0; got -1.0"),
        (["train", "--recipe", "tune"], "tune needs photographs: give --real LIST ROOT"),
        (["train", "--real", *LIST, "--init", "nowhere"], "there is no checkpoint folder nowhere"),
        (["train", "--real", *LIST, "--siglip", "x"], "the recipe tune has no use for --siglip"),
        (["train", "--real", *LIST], "a-file, line 1: expected a JSON list"),
        (["labels", "nowhere"], "there is no folder of images nowhere"),
        (["labels", "."], "there is no image in ."),
        (["train", *PHOTOGRAPHS], "there is no checkpoint folder nowhere"),
        (["train", "--init", "nowhere"], "there is no checkpoint folder nowhere"),
        (
            ["train", *PAPER],
            "give --tokenizer, a folder that holds the vocab.txt of bert-base-uncased",
        ),
        (["train", *PAPER, "--tokenizer", "name"], "a-file, line 1: expected a JSON list"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").touch()
    old = tmp_path / "old" / "checkpoints" / "step-00000001"
    old.mkdir(parents=True)
    (old / "progress.json").write_text('{"recipe": {}, "progress": {}}')
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert message in printed.err and printed.err.count("mstar: error") == 1
    assert printed.out == ""
    assert {path.name for path in tmp_path.iterdir()} == {"a-file", "old"}


@pytest.fixture
def no_stages(monkeypatch):
    """Recipes without a stage: what is around the loop runs in no time."""
    for name in ("sandbox", "continued", "photographs"):
        real = getattr(training, name)
        monkeypatch.setattr(
            training, name, lambda *a, r=real, **given: replace(r(*a, **given), stages=())
        )


def test_train_writes_a_checkpoint_that_loads(no_stages, tmp_path, capsys):
    for _ in range(2):  # the second finds the first one's folder
        assert cli.main(["train", "--out", str(tmp_path), "--seed", "7"]) == 0
        assert capsys.readouterr().out == f"{tmp_path / 'checkpoint'}\n"
    model = load_checkpoint(tmp_path / "checkpoint").model
    assert model.config.to_dict()["embed_dim"] == MstarConfig.sandbox().embed_dim
    torch.manual_seed(7)
    expected = MstarModel(MstarConfig.sandbox())
    expected = expected.vision_projection.weight.half().float()  # saved in half precision
    assert torch.equal(model.vision_projection.weight, expected)


def test_train_goes_on_from_a_checkpoint(no_stages, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    assert cli.main(["train", "--out", str(first)]) == 0
    init = ["--init", str(first / "checkpoint")]
    assert cli.main(["train", "--out", str(second), *init]) == 0
    model = load_checkpoint(second / "checkpoint").model
    assert torch.equal(
        model.vision_projection.weight,
        load_checkpoint(first / "checkpoint").model.vision_projection.weight,
    )
    runs = training.training_record(second / "checkpoint")
    assert [run["recipe"]["seed"] for run in runs] == [1, 2]  # the second sees other images


OFFLINE = """
import os, socket, sys
from mstar import MstarConfig
from mstar.cli import __main__ as cli
socket.socket.connect = socket.getaddrinfo = lambda *_, **__: os._exit(99)
MstarConfig.base = MstarConfig.tiny
sys.exit(cli.main(sys.argv[1:]))
"""


def test_a_tokenizer_by_name_is_not_fetched_unless_that_is_allowed(paper_files, tmp_path):
    """Nor is any other name: nothing leaves the machine unless it is asked for."""
    lists = [option for name in ("--real", "--synthetic") for option in (name, "list.json", ".")]
    paper = ["train", "--recipe", "paper-word", *lists, "--tokenizer"]
    torch.save({"model": {"x": torch.zeros(1)}}, tmp_path / "x.pth")
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("HF_", "TRANSFORMERS"))}
    for arguments, asks in (
        ([*paper, "nobody/nothing"], False),
        (["convert", "x.pth", "out", "--tokenizer", "nobody/nothing"], False),
        ([*paper, "bert", "--siglip", "nobody/nothing", "--blip2", "nobody/nothing"], False),
        ([*paper, "nobody/nothing", "--download"], True),
    ):
        ran = subprocess.run(
            [sys.executable, "-c", OFFLINE, *arguments], capture_output=True, text=True,
            cwd=tmp_path, env=environment | {"HF_HOME": str(tmp_path / "hub")},
        )  # fmt: skip
        assert ran.returncode == (99 if asks else 2), ran.stderr
        assert asks or "nobody/nothing" in ran.stderr
        assert asks or not {"runs", "out"} & {path.name for path in tmp_path.iterdir()}


def test_two_runs_do_not_share_a_folder(tmp_path):
    """The second one is told so and writes nothing; the lock of one that is killed is free."""
    command = [sys.executable, "-m", "mstar.cli", "train", "--out", "run", "--save-every", "2"]
    first = subprocess.Popen([*command, "--workers", "1"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        curve = tmp_path / "run" / "curve.jsonl"
        while not curve.exists():
            assert first.poll() is None
            time.sleep(0.1)
        first.send_signal(signal.SIGSTOP)
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
        second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert second.returncode == 2
        assert "the run run is being written by another run: wait for it" in second.stderr
        assert {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*")} == before
    finally:
        first.kill()
        first.wait()
    with locked(tmp_path / "run", "run"):
        assert curve.exists()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        (["train", "--out", "out", "--workers", "1"], 4),
        (["index", str(ASSETS / "samples"), "out", "--batch-size", "1"], 1),
    ],
)
def test_a_command_that_is_stopped_puts_things_in_order(arguments, seconds, stop, tmp_path):
    """By a program as from the keyboard: what was finished is kept, and nothing is in the way."""
    command = [sys.executable, "-m", "mstar.cli", *arguments]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "out" / ".lock").exists():
        assert run.poll() is None
        time.sleep(0.01)
    time.sleep(seconds)
    run.send_signal(stop)
    said = run.communicate(timeout=120)[1]
    if run.returncode:  # else it was done before
        # both are 130 to a shell; see test_libraries, a caught interrupt of `python -m`
        assert run.returncode in (130, -signal.SIGINT)
        assert "mstar: stopped; what was finished is kept." in said
    assert "Traceback" not in said
    with locked(tmp_path / "out", "folder"):  # the lock is free
        hidden = [path.name for path in (tmp_path / "out").glob(".*")]
    assert hidden in ([], [".lock"])


def test_what_photographs_lack_is_said_before_torch_is_loaded():
    """In no time, as a run of hours is asked for by somebody who waits for its first line."""
    script = (
        "import sys; from mstar.cli import __main__ as cli; "
        "print(cli.main(['train', '--recipe', 'photographs', *sys.argv[1:]]), "
        "'torch' in sys.modules)"
    )
    for arguments in ([], ["--init", "x"], ["--real", *LIST], ["--init", "x", "--epochs", "2"]):
        ran = subprocess.run(
            [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True
        )
        assert ran.stdout == "2 False\n" and ran.stderr.count("mstar: error") == 1


def test_photographs_go_on_from_a_smaller_checkpoint(no_stages, paper_files, tmp_path):
    first = ["train", "--out", str(tmp_path / "first")]
    assert cli.main(first) == 0
    lists = ["--real", str(tmp_path / "list.json"), str(tmp_path)]
    command = ["train", "--recipe", "photographs", "--init", str(tmp_path / "first/checkpoint")]
    assert cli.main([*command, *lists, "--out", str(tmp_path / "second")]) == 0
    bench = load_checkpoint(tmp_path / "second" / "checkpoint")
    model, processor = bench.model, bench.processor
    assert tuple(model.config.tiles) == processor.tiles == (1, 2, 3)
    assert model.config.num_query_tokens == 16 and not processor.captions
    smaller = load_checkpoint(tmp_path / "first" / "checkpoint").model
    taken = model.multimodal.query_tokens[:, :8]
    assert torch.equal(taken, smaller.multimodal.query_tokens)
    runs = training.training_record(tmp_path / "second" / "checkpoint")
    assert [run["recipe"]["size"] for run in runs] == ["sandbox", "photographs"]


def test_a_run_that_stops_is_one_sentence_and_exit_code_1(no_stages, tmp_path, monkeypatch):
    def run(self):
        raise training.TrainingStopped("stopped at step 3.")

    monkeypatch.setattr(training.Trainer, "run", run)
    assert stopped(["train", "--out", str(tmp_path)]) == "mstar: error: stopped at step 3."


@pytest.fixture
def paper_files(tmp_path):
    """What a paper run takes: a list, BERT's pieces, SigLIP and BLIP-2, all of them tiny."""
    letters = string.ascii_lowercase + "',:"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    vocabulary += [f"##{letter}" for letter in letters]
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    entries = []
    for i in range(4):
        made = sandbox.scene(1, i)
        Image.fromarray(made.image).save(tmp_path / f"{i}.png")
        entries.append({"image": f"{i}.png", "text": list(made.texts), "type": list(made.styles)})
    (tmp_path / "list.json").write_text(json.dumps(entries))
    return tmp_path


@pytest.mark.parametrize("recipe", ["paper-word", "paper-multiquery"])
def test_the_papers_four_stages_run_dry(recipe, paper_files, tmp_path, monkeypatch, capsys):
    """Its sizes shrunk, everything else as a user would have it; killed after a stage, resumed."""
    tiny = MstarConfig.tiny().to_dict()
    monkeypatch.setattr(
        MstarConfig,
        "base",
        lambda **overrides: MstarConfig.tiny(
            vision_config=tiny["vision_config"] | {"image_size": 32}, **overrides
        ),
    )
    monkeypatch.setattr(paper, "_SIZES", ((32, 2), (40, 2), (48, 2), (48, 2)))
    real = ["--real", str(tmp_path / "list.json"), str(tmp_path)]
    words = ["--tokenizer", str(tmp_path / "bert"), "--epochs", "1", "--workers", "0"]
    command = ["train", "--recipe", recipe, *real, "--synthetic", *real[1:], *words]
    command += ["--out", str(tmp_path / "run"), "--accumulate", "1", "--checkpoint-activations"]
    assert cli.main(command) == 0
    bench = load_checkpoint(tmp_path / "run" / "checkpoint")
    model, processor = bench.model, bench.processor
    assert model.config.vision_config.image_size == 48
    assert model.config.multi_word_branch == (recipe == "paper-multiquery")
    assert processor.tokenizer.model_max_length == (32 if recipe == "paper-multiquery" else 12)
    (made,) = training.training_record(tmp_path / "run" / "checkpoint")
    assert [stage["name"] for stage in made["recipe"]["stages"]][3] == "800 + PVE"
    assert made["total"] == 4 + 3 * 2


def test_stopped_from_the_keyboard_is_one_sentence(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("mstar.search.index.index_folder", Mock(side_effect=KeyboardInterrupt))
    assert cli.main(["index", str(tmp_path), str(tmp_path / "gallery")]) == 130
    assert capsys.readouterr().err == "mstar: stopped; what was finished is kept.\n"


def test_what_the_system_says_has_no_number(monkeypatch, capsys, tmp_path):
    failing = Mock(side_effect=PermissionError(1, "Operation not permitted", "/a/b"))
    monkeypatch.setattr("mstar.search.index.index_folder", failing)
    assert cli.main(["index", str(tmp_path), str(tmp_path / "gallery")]) == 2
    assert capsys.readouterr().err == "mstar: error: Operation not permitted: /a/b.\n"


def test_as_many_images_at_once_as_everywhere():
    """The command line says the number without importing PyTorch."""
    parser = argparse.ArgumentParser()
    index(parser)
    assert parser.get_default("batch_size") == IMAGES_AT_ONCE


def test_a_stop_that_a_finaliser_swallowed_is_made_again(monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        cli._stop_again(Mock(exc_type=KeyboardInterrupt))
        time.sleep(10)
    told = Mock()
    monkeypatch.setattr(sys, "__unraisablehook__", told)
    other = Mock(exc_type=ValueError)
    cli._stop_again(other)  # is told as Python tells it
    told.assert_called_once_with(other)

"""Loading a checkpoint folder: everything comes back, and what is wrong is one sentence."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import reduce
from operator import getitem

import pytest
import torch
from PIL import Image

from mstar import MstarConfig, MstarModel, MstarProcessor, load
from mstar.errors import UserError
from mstar.explain.assignment import explain_words
from mstar.hooks.points import point_names
from mstar.hooks.record import NEEDED
from mstar.io import embedded
from mstar.io.checkpoints import load_checkpoint, load_config
from mstar.io.processing import character_tokenizer
from mstar.training import training_record
from mstar.versions import checkpoint_hash


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("saved")
    config = MstarConfig.tiny()
    MstarModel(config).save_pretrained(folder)
    MstarProcessor.for_config(config, character_tokenizer()).save_pretrained(folder)
    return folder


def test_what_was_saved_comes_back(saved, tmp_path):
    bench = load_checkpoint(saved)
    model, processor = bench.model, bench.processor
    assert not model.training and model.dtype == torch.float32
    assert processor.prompts == "paper"
    half = tmp_path / "half"
    shutil.copytree(saved, half)
    model.half().save_pretrained(half)
    assert load_checkpoint(half).model.dtype == torch.float32, "half precision is only for storage"
    assert checkpoint_hash(saved) == checkpoint_hash(saved) != checkpoint_hash(half)


def change_config(**values):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def cut(name):
    def change(folder):
        (folder / name).write_bytes((folder / name).read_bytes()[:1000])

    return change


def test_a_configuration_that_calls_t_steps_is_refused(saved, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    path = folder / "config.json"
    about = json.loads(path.read_text())
    value = about.pop("pve_steps")
    path.write_text(json.dumps(about | {"steps": value}))
    said = "was written before `steps` became `pve_steps`: rename that key in its config.json."
    for read in (load_checkpoint, load_config):
        with pytest.raises(UserError) as refused:
            read(folder)
        assert str(refused.value) == f"the checkpoint {folder} {said}"
    with pytest.raises(UserError, match="the configuration was written before `steps` became"):
        MstarModel.from_pretrained(folder)
    path.write_text(json.dumps(about | {"pve_steps": value}))
    assert load_config(folder).pve_steps == value


def change_json(name, *keys, value):
    """One value of a JSON file, by the way to it; without keys all of it."""

    def change(folder):
        whole = {"all": json.loads((folder / name).read_text())}
        *way, last = ("all", *keys)
        reduce(getitem, way, whole)[last] = value
        (folder / name).write_text(json.dumps(whole["all"]))

    return change


NESTED = b'{"a":' * 100_000


@pytest.mark.parametrize("name", ["config.json", "processor_config.json", "tokenizer.json",
                                  "tokenizer_config.json"])  # fmt: skip
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not valid JSON: Expecting value"),
        (NESTED, "is not valid JSON: it is nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not valid JSON: Exceeds the limit"),
        (b'{"a": "\xff\xfe"}', "is not valid JSON: 'utf-8' codec"),
        (b"[]", "should hold an object; got a list"),
        (b"null", "should hold an object; got nothing"),
        (b"7", "should hold an object; got a number"),
    ],
)
def test_a_file_that_is_no_json_object_is_named(saved, tmp_path, name, content, message):
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    (folder / name).write_bytes(content)
    with pytest.raises(UserError) as refused:
        load_checkpoint(folder)
    assert str(refused.value).startswith(f"{folder / name} {message}")


SIZE = ("image_processor", "size")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shutil.rmtree, "there is no checkpoint folder"),
        (lambda folder: (folder / "model.safetensors").unlink(), "model.safetensors missing"),
        (cut("config.json"), "config.json is not valid JSON"),
        (change_config(model_type="bert"), "a model of type 'bert'; expected 'mstar'"),
        (change_config(sigma="guess"), "sigma must be one of"),
        (change_config(embed_dim=8), "do not fit its config.json"),
        (change_config(multi_word_branch=False), "0 are missing and 16 too many"),
        (cut("model.safetensors"), "model.safetensors is broken"),
        (cut("tokenizer.json"), "tokenizer.json is not valid JSON"),
        (
            change_config(embed_dim="x"),
            "config.json makes no model: embed_dim must be a whole number",
        ),
        (change_config(embed_dim=0), "config.json makes no model: embed_dim must be 1 or more"),
        (change_config(vision_config=[]), "the weights in"),
        (change_config(qformer_config=[1]), "config.json makes no model"),
        (change_config(dtype="x"), "config.json makes no model"),
        (change_config(conv_stem=[[1]]), "config.json makes no model"),
        (
            change_json("config.json", "vision_config", "num_attention_heads", value=0),
            "config.json makes no model: vision_config.num_attention_heads must be 1 or more",
        ),
        (
            change_json("config.json", "vision_config", "hidden_act", value="x"),
            "config.json makes no model",
        ),
        (
            change_json("config.json", "vision_config", "hidden_size", value=4096),
            "should be [4096, 3, 4, 4]; got [32, 3, 4, 4]",
        ),
        (change_json("processor_config.json", *SIZE, "height", value=0), "height and width in"),
        (change_json("processor_config.json", *SIZE, value=[]), "processor_config.json"),
        (change_json("processor_config.json", *SIZE, value={"height": 10**9, "width": 10**9}),
         "must be 8192 or less; got 1000000000"),
        (change_json("processor_config.json", *SIZE, value={"height": 7, "width": 7}),
         "3 channels of whole patches of 4 pixels; got [3, 7, 7]"),
        (change_json("processor_config.json", "image_processor", "image_std", value=[0, 0, 0]),
         "should be finite numbers"),
        (change_json("processor_config.json", "prompts", value=3), "prompts must be one of"),
        (change_json("tokenizer_config.json", "model_max_length", value=10**30),
         "model_max_length in tokenizer_config.json must be 96 or less"),
        (change_json("tokenizer.json", "model", value={}), "processor_config.json that fails"),
        (change_json("tokenizer.json", "model", "vocab", "a", value=10**6),
         "numbers of pieces in tokenizer.json must be 96 or less; got 1000001"),
    ],
)  # fmt: skip
def test_wrong_folder(saved, tmp_path, change, message):
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    change(folder)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_checkpoint(folder)


@pytest.mark.parametrize("kind", ["link", "pipe"])
@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "training.json"]
)
def test_no_link_leads_out_of_a_checkpoint(saved, tmp_path, name, kind):
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    (folder / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to(saved / name)
    for read in (load_checkpoint, load_config):
        with pytest.raises(UserError, match=f"{name} is .*: a checkpoint has regular files alone"):
            read(folder)
    (tmp_path / "linked").symlink_to(saved)  # the folder itself may lie elsewhere
    assert load_config(tmp_path / "linked").embed_dim == load_config(saved).embed_dim


KILLED = """
import os, signal, sys
from mstar.files import replacing_folder
replace = os.replace
def killed(*arguments):
    replace(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
os.replace = killed
with replacing_folder(sys.argv[1]):
    pass
"""


@pytest.mark.parametrize("first", ["record", "configuration"])
def test_after_a_kill_between_two_moves_the_old_checkpoint_is_read(saved, tmp_path, first):
    folder = tmp_path / "checkpoint"
    shutil.copytree(saved, folder)
    subprocess.run([sys.executable, "-c", KILLED, str(folder)])
    assert not folder.exists()
    if first == "record":
        assert training_record(folder) == [] and folder.is_dir()
    assert load_config(folder).embed_dim == load_config(saved).embed_dim
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_checkpoint_may_compute_in_bfloat16():
    photos = [Image.open(sample.path) for sample in embedded.samples(4)]
    queries = embedded.samples(1)[0].queries()
    whole, half = (load(device="cpu", dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    one, other = (bench.encode_images(photos).features.float() for bench in (whole, half))
    assert (one * other).sum(-1).mean() > 0.99
    one, other = (bench.gallery(photos).scores(queries) for bench in (whole, half))
    assert one.dtype == other.dtype == torch.float32
    assert torch.equal(one.argmax(1), other.argmax(1)) and (one - other).abs().max() < 0.05
    trace = half.trace(photos[0], queries, names=[*NEEDED, "pve.0.embeddings"])
    assert trace["pve.0.embeddings"].dtype == torch.bfloat16
    assert explain_words(trace)[0].score == pytest.approx(float(trace["scores"][0, 0]), abs=1e-2)


def test_what_a_configuration_says_is_read_without_torch(tiny_checkpoint, tmp_path):
    for folder in (tiny_checkpoint, embedded.checkpoint()):
        config, found = load_config(folder), embedded.shape(folder)
        assert point_names(found, 2) == point_names(config, 2)
        assert found.vision_config.patch_size == config.vision_config.patch_size
        assert found.pve_steps == config.pve_steps
    said = json.loads((tiny_checkpoint / "config.json").read_text(encoding="utf-8"))
    for broken in ({"vision_config": 3}, {"pve_steps": "1"}, {"qformer_config": {}}):
        (tmp_path / "config.json").write_text(json.dumps(said | broken))
        assert embedded.shape(tmp_path) is None

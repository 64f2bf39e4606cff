"""Loading a checkpoint folder: everything comes back, and what is wrong is one sentence."""

import json
import shutil

import pytest
import torch

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.errors import UserError
from mstar.io.checkpoints import checkpoint_hash, load_checkpoint, load_config
from mstar.io.processing import character_tokenizer


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
    for load in (load_checkpoint, load_config):
        with pytest.raises(UserError) as refused:
            load(folder)
        assert str(refused.value) == f"the checkpoint {folder} {said}"
    with pytest.raises(UserError, match="the configuration was written before `steps` became"):
        MstarModel.from_pretrained(folder)
    path.write_text(json.dumps(about | {"pve_steps": value}))
    assert load_config(folder).pve_steps == value


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
        (cut("tokenizer.json"), "cannot be loaded"),
    ],
)
def test_wrong_folder(saved, tmp_path, change, message):
    folder = tmp_path / "copy"
    shutil.copytree(saved, folder)
    change(folder)
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        load_checkpoint(folder)

"""A model that trains in seconds, and a recipe with a stage of each kind."""

import pytest
import torch

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.data.lists.stream import Rendered
from mstar.io.bench import Bench
from mstar.io.processing import character_tokenizer
from mstar.training import Recipe, Stage
from mstar.training.loop import trainer
from mstar.training.recipes import READING

STRIPS, SCENES = Rendered("strips"), Rendered(hard_share=0.5)


def small(**changed) -> Bench:
    vision = dict(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=128,
        patch_size=8,
        vision_use_head=False,
    )
    config = MstarConfig.tiny(vision_config=vision, conv_stem=[(8, 2), (8, 2), (8, 2)])
    for name, value in changed.items():
        setattr(config.qformer_config, name, value)
    torch.manual_seed(1)
    return Bench(MstarModel(config), MstarProcessor.for_config(config, character_tokenizer()))


def stage(name, data, **changed) -> Stage:
    common = dict(batch_size=4, lr=1e-3, steps=2, warmup=1, extra_words=4, matching_every=0)
    return Stage(name, data, **common | changed)


RECIPE = Recipe(
    (
        stage("read", STRIPS, objective=READING),
        stage("find", STRIPS, pve_steps=0, frozen=("vision.siglip",)),
        stage("look", SCENES, pve_steps=0, matching_every=1, accumulate=2),
        stage(
            "recycle",
            SCENES,
            matching_every=2,
            idle_weight=0.5,
            entropy_weight=0.25,
            checkpoint_activations=True,
        ),
    )
)


@pytest.fixture
def unjudged(monkeypatch):
    """A stage's end takes no gallery."""
    monkeypatch.setattr(trainer, "judge", lambda *_: {"map": 0.0})


@pytest.fixture
def one_thread():
    """With more, sums of gradients depend on which thread comes first, in their last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)

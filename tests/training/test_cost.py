"""Costs, against counts by hand."""

from dataclasses import replace

import pytest

from mstar import MstarConfig, MstarModel
from mstar.training import cost
from tests.training.conftest import SCENES, stage

STAGE = stage("look", SCENES, image_size=64, pve_steps=0, matching_every=1)


@pytest.fixture
def config():
    return MstarConfig.tiny()


def test_the_encoder_costs_what_its_matrices_say(config):
    vision = config.vision_config
    n = (64 // vision.patch_size) ** 2
    d, wide = vision.hidden_size, vision.intermediate_size
    layer = 2 * n * (4 * d * d + 2 * d * wide) + 2 * 2 * n * n * d
    patches = 2 * n * d * 3 * vision.patch_size**2
    found = cost.training_flops(config, STAGE)["φ"]
    assert found == 3 * (vision.num_hidden_layers * layer + patches)
    again = replace(STAGE, checkpoint_activations=True)
    assert cost.training_flops(config, again)["φ"] == found * 4 / 3
    frozen = replace(STAGE, frozen=("vision.siglip",))
    assert cost.training_flops(config, frozen)["φ"] == found / 3


def test_each_step_costs_a_look_and_a_shift(config):
    plain = cost.training_flops(config, STAGE)
    recycling = cost.training_flops(config, replace(STAGE, pve_steps=2))
    assert plain["S"] == 0 < recycling["S"]
    assert recycling["ψ looks"] == 3 * plain["ψ looks"]
    assert recycling["φ"] == plain["φ"], "φ runs once"


def test_texts_and_matching_count_as_often_as_they_happen(config):
    plain = cost.training_flops(config, STAGE, texts=4)
    assert cost.training_flops(config, STAGE, texts=8)["ψ reads"] > 1.9 * plain["ψ reads"]
    seldom = cost.training_flops(config, replace(STAGE, matching_every=4))
    assert seldom["ψ matches"] == plain["ψ matches"] / 4
    never = cost.training_flops(config, replace(STAGE, matching_every=0))
    assert never["ψ matches"] == 0


def test_every_tile_costs_as_much_as_an_image(config):
    plain = cost.training_flops(config, replace(STAGE, pve_steps=1))
    tiled = cost.training_flops(config, replace(STAGE, pve_steps=1, tiles=(1, 2)))
    for part in ("φ", "S", "ψ looks"):
        assert tiled[part] == 5 * plain[part]
    assert tiled["ψ reads"] == plain["ψ reads"] and tiled["ψ matches"] == 2 * plain["ψ matches"]
    once, five = (
        cost.training_bytes(config, replace(STAGE, image_size=None, matching_every=0, tiles=tiles))
        for tiles in ((1,), (1, 2))
    )
    assert five[0] == once[0] and five[1] == pytest.approx(5 * once[1], rel=0.01)


def test_memory_of_what_is_trained(config):
    count = sum(p.numel() for p in MstarModel(config).parameters())
    held, kept = cost.training_bytes(config, replace(STAGE, image_size=None))
    assert 4 * count < held <= 16 * count
    frozen, less = cost.training_bytes(
        config, replace(STAGE, image_size=None, frozen=("vision.siglip",))
    )
    assert frozen < held and 0 < less < kept
    _, recycling = cost.training_bytes(config, replace(STAGE, image_size=None, pve_steps=1))
    assert recycling > kept
    pixels = 2 * config.vision_config.image_size
    _, larger = cost.training_bytes(config, replace(STAGE, image_size=pixels))
    assert larger > 3 * kept

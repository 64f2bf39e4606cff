"""What ψ attends to besides the image, and what its layers would say."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from mstar import Query, load
from mstar.data.scenes import sandbox
from mstar.errors import UserError
from mstar.explain.readout import Readout, readout
from mstar.hooks.record import NEEDED
from mstar.io.embedded import ASSETS
from mstar.widgets import Compare, figures
from tests.widgets.test_views import tables

NAMES = [*NEEDED, "itm.*", "pve.*.self_attention", "text.layers.*.self_attention"]
TEXTS = ["exit", "open", "phrase:one way"]


@pytest.fixture(scope="module")
def trace(recorded):
    return recorded.bench.trace(recorded.photo, TEXTS, NAMES)


def test_query_tokens_read_from_each_other(trace):
    picture = figures.query_attention(trace)
    attention = trace["pve.1.layers.0.self_attention"][0, 0]  # [head, Q, Q]
    assert torch.allclose(attention.sum(-1), torch.ones(attention.shape[:2]), atol=1e-5)
    found = picture.tables["map"]
    state = {"look": "1", "layer": "0", "head": "1"}
    row, column = np.unravel_index(int(attention[1].argmax()), attention[1].shape)
    most = float(attention[1].max()) * attention.shape[-1]
    assert found.says[found.at(state)].startswith(
        f"most: query token {row} from {column}, {most:.1f} × even"
    )
    mean = {"look": "1", "layer": "mean", "head": "mean"}
    every = torch.stack([trace[f"pve.1.layers.{i}.self_attention"][0] for i in range(4)])
    assert (
        f"{float(every.mean((0, 1, 2)).max()) * every.shape[-1]:.1f} × even"
        in (found.says[found.at(mean)])
    )


def test_the_matching_pass_is_shown_for_each_text(trace, recorded):
    picture = figures.matching(trace)
    bench, image = recorded.bench, recorded.photo
    inputs = bench.inputs([image], TEXTS[1:2])
    with torch.no_grad():
        alone = bench.model(**inputs, pairs=torch.tensor([[0, 0]])).itm_logits.softmax(-1)[0, 1]
    assert f"{float(alone):.0%} that it matches" in tables(picture)["says"]["says"][1]
    found = picture.tables["map"]
    layers = [name for name in trace if re.match(r"itm\.layers", name)]
    mean = torch.stack([trace[name][2, 0] for name in layers]).mean((0, 1, 2))
    said = found.says[found.at({"text": "2", "query_token": "mean"})]
    assert said == f"highest {float(mean.max()) * len(mean):.1f} × even"


def test_every_image_is_matched_with_every_text(recorded):
    photos = [recorded.photo, recorded.photo.rotate(90)]
    pairs = recorded.bench.trace(photos, TEXTS, ["itm.logits", "scores"])["itm.logits"]
    second = recorded.bench.trace(photos[1], TEXTS, ["itm.logits"])["itm.logits"]
    assert pairs.shape == (6, 2) and torch.allclose(pairs[3:], second, atol=1e-5)


def test_a_text_reads_its_own_tokens(trace, recorded):
    ids = recorded.bench.inputs(texts=TEXTS)["input_ids"]
    attention = trace["text.layers.1.self_attention"]  # [text, head, L, L]
    real = ids != recorded.bench.processor.tokenizer.pad_token_id
    assert torch.allclose((attention * real[:, None, None]).sum(-1), torch.ones(1), atol=1e-4)
    tokenizer = recorded.bench.processor.tokenizer
    page = figures.text_attention(trace, tokenizer, ids).markup
    first = attention[0, :, 0].mean(0)
    best = tokenizer.convert_ids_to_tokens([int(ids[0, first.argmax()])])[0]
    assert f"{best} {float(first.max()):.0%}" in page and "layer 1" in page


def test_the_last_layer_says_what_the_model_does(recorded):
    texts = [Query("exit", "word"), Query("open", "word")]
    found = readout(recorded.bench, recorded.photo, texts)
    scores = recorded.bench.scores([recorded.photo], texts)[:, 0]
    assert found.cosine.shape[:2] == (2, 4)
    assert np.allclose(found.cosine[:, -1].amax(0), scores, atol=1e-5)


def test_on_tiles_too_the_last_layer_is_the_score(tiled):
    found = readout(tiled.bench, tiled.photo, ["exit", "open"])
    scores = tiled.bench.scores([tiled.photo], ["exit", "open"])[:, 0]
    assert np.allclose(found.cosine[:, -1].amax(0), scores, atol=1e-5)


def test_since_when_a_text_leads():
    cosine = torch.tensor([[[0.9, 0.1], [0.1, 0.9]], [[0.2, 0.3], [0.4, 0.5]]])
    found = Readout([Query("a", "word"), Query("b", "word")], cosine)
    assert found.since(1) == (0, 1) and found.since(0) is None
    page = figures.readouts(found).markup
    assert "leads from look 0, layer 1 on" in page and "0.900 ✓" in page


def test_the_embedded_checkpoint_finds_words_in_its_last_layer():
    """It was trained to be read there: the layer before says little."""
    bench, right = load(), {0: 0, 1: 0}
    for index in range(8):
        scene = sandbox.scene(77, index, "test", sandbox.EASY)
        texts = [scene.regions[0].word, "zebra", "quick"]
        winners = readout(bench, scene.image, texts).winners()
        for layer in right:
            right[layer] += int(winners[0, layer] == 0)
    assert right[1] > right[0]


@pytest.mark.parametrize("figure", ["query_attention", "matching"])
def test_what_was_not_recorded_is_named(figure, recorded):
    with pytest.raises(UserError, match=r"the trace has no .*attention: record it too"):
        getattr(figures, figure)(recorded.trace)


def test_checkpoints_are_compared_by_their_folders(tmp_path):
    image, texts = Image.new("RGB", (64, 64), "grey"), ["exit"]
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "checkpoint").symlink_to(ASSETS / "checkpoint")
    folders = [tmp_path / name / "checkpoint" for name in ("first", "second")]
    markup = Compare.of(folders, image, texts).picture.markup
    assert "first against second" in markup
    assert (
        "embedded against checkpoint" in Compare.of(("embedded", folders[0]), image, texts).markup
    )


def test_maps_are_blocks_or_smooth_and_leave_the_text_readable(recorded):
    markup = figures.looks(recorded.trace).markup
    assert 'data-renders><option value="pixelated">' in markup
    strength = int(re.search(r'value="(\d+)" data-sets="cover"', markup)[1])
    # black lettering on white, under the darkest of a map: a contrast of 3 : 1 or more is left
    white, black = (1 - strength / 100), 0.0
    assert (white**2.2 + 0.05) / (black + 0.05) >= 3

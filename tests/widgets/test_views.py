"""Every view by its traits, without a browser."""

import copy
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import traitlets
from PIL import Image

from mstar.explain.assignment import examine_assignment
from mstar.hooks.trace import Trace
from mstar.model.assignment import assign
from mstar.texts import Query
from mstar.training.start import resize_images
from mstar.widgets import (
    AssignmentInspector,
    Compare,
    MaskLab,
    MultiWordView,
    PveExplorer,
    SearchExplorer,
    TrainingMonitor,
    figures,
)


def views(r):
    return {
        "explorer": PveExplorer(r.trace, r.words),
        "inspector": AssignmentInspector(r.trace),
        "multi": MultiWordView(r.trace),
        "compare": Compare((r.trace, r.trace), ("a", "b")),
        "lab": MaskLab(r.bench, r.photo, r.queries),
        "monitor": TrainingMonitor([r.photo]),
    }


def tables(picture) -> dict:
    found = re.search(r"<script[^>]*data-tables>(.*?)</script>", picture.markup, re.DOTALL)
    return json.loads(found[1]) if found else {}


def entry(table: dict, state: dict) -> int:
    """What `view.js` looks up."""
    for block in table["blocks"]:
        if all(state[key] in values for key, values in block["when"].items()):
            index = 0
            for key, values in block["by"]:
                index = index * len(values) + values.index(state[key])
            return block["first"] + index
    raise LookupError(state)


def test_every_view_is_a_picture_too(recorded, displayed):
    for name, view in views(recorded).items():
        still, live = displayed(view)
        html = still["text/html"]
        assert "application/vnd.jupyter.widget-view+json" in live, name
        assert "text/html" not in live and f'data-still="{view.still}"' in html, name
        assert not re.search(r"https?:|\sid=|@import", html), name
        assert "<b>way</b>" not in html, name
        assert len(html) < 3e6, name
        for part in re.findall(r'<span class="mv-map[^>]*>', html):
            assert 'aria-label="' in part, name
        view.close()


def test_what_a_view_shows_anew_its_still_picture_shows(recorded, displayed, monkeypatch):
    """As a notebook that is opened again has nothing else."""
    renewed = []
    monkeypatch.setattr(
        "mstar.widgets.view.update_display", lambda data, **to: renewed.append(data)
    )
    lab = MaskLab(recorded.bench, recorded.photo, recorded.queries)
    lab.run()
    assert renewed == []  # it is nowhere yet
    displayed(lab)
    lab.region = [3]
    lab.run()
    assert "1 token was covered" in renewed[-1]["text/html"]


def test_the_export_of_the_page_has_the_views(recorded, displayed, tmp_path):
    said = Path(__file__).parents[2].joinpath("widgets", "README.md").read_text(encoding="utf-8")
    line = re.search(r"^jupyter nbconvert --to html [^`]*", said, re.MULTILINE)[0]
    explorer = PveExplorer(recorded.trace)
    shown = [nbformat.v4.new_output("display_data", data=data) for data in displayed(explorer)]
    cell = nbformat.v4.new_code_cell("explorer", outputs=shown)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "NOTEBOOK.ipynb")
    # a process of its own: within one it closes the event loop, which may be the browser tests'
    command = [sys.executable, "-m", "nbconvert", *line.replace("\\\n", " ").split()[2:]]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    page = (tmp_path / "NOTEBOOK.html").read_text(encoding="utf-8")
    assert len(re.findall(r'class="mstar-view[ "]', page)) == 1
    explorer.close()


def test_the_page_opens_in_the_state_of_the_traits(recorded):
    explorer = PveExplorer(recorded.trace, look=1, head=1, overlay="mask")
    start = explorer.picture.start
    assert start == {
        "overlay": "mask", "look": "1", "against": "0", "tile": "all", "layer": "mean",
        "head": "1", "query_token": "mean",
    }  # fmt: skip
    assert "data-start" in explorer.picture.html and "data-start" not in explorer.markup


def test_controls_are_called_as_people_say_it(recorded):
    markup = PveExplorer(recorded.trace).markup
    assert "Query token" in markup and "Query_token" not in markup


def test_traits_refuse_what_the_run_does_not_have(recorded):
    explorer = PveExplorer(recorded.trace)
    with pytest.raises(traitlets.TraitError, match="look can be 0, 1; got 2"):
        explorer.look = 2
    with pytest.raises(traitlets.TraitError, match="layer can be mean, 0, 2; got 1"):
        explorer.layer = 1
    with pytest.raises(traitlets.TraitError, match="query_token can be mean, 0, 1, 2, 3; got 9"):
        PveExplorer(recorded.trace, query_token=9)
    with pytest.raises(traitlets.TraitError):
        explorer.overlay = "heat"
    with pytest.raises(traitlets.TraitError):
        explorer.query_token = "median"


@pytest.mark.parametrize(
    "state", [("0", "mean", "mean", "mean"), ("1", "2", "1", "3"), ("1", "mean", "0", "2")]
)
def test_the_explorer_says_what_the_trace_holds(recorded, state):
    look, layer, head, query = state
    picture = figures.explore(recorded.trace, recorded.words)
    chosen = dict(zip(("look", "layer", "head", "query_token"), state, strict=True))
    weights = np.stack(
        [recorded.trace[f"pve.{look}.layers.{i}.cross_attention"][0, 0].numpy() for i in (0, 2)]
    )
    for axis, (value, values) in enumerate([(layer, [0, 2]), (head, [0, 1]), (query, range(4))]):
        pick = slice(None) if value == "mean" else [list(values).index(int(value))]
        weights = weights.take(np.arange(weights.shape[axis])[pick], axis)
    share = weights.mean((0, 1, 2))
    found = tables(picture)
    said = found["map"]["says"][entry(found["map"], chosen)]
    assert said == f"highest {share.max() * share.size:.1f} × even"
    left = np.ones(share.size) if look == "0" else recorded.trace["pve.0.mask"][0].numpy().ravel()
    assert found["left"]["says"][entry(found["left"], chosen)] == f"{share @ left:.0%}"


def test_a_large_run_is_shown_in_part_and_says_so(recorded):
    noise = torch.rand(1, 1, 4, 64, 100, generator=torch.Generator().manual_seed(0)).softmax(-1)
    names = [f"pve.{t}.layers.{i}.cross_attention" for t in (0, 1) for i in range(0, 12, 2)]
    values = dict.fromkeys(names, noise)
    for t in (0, 1):
        values[f"pve.{t}.attention_map"] = noise.mean((2, 3)).view(1, 1, 10, 10)
        values[f"pve.{t}.salient"] = torch.zeros(1, 1, 10, 10, dtype=torch.bool)
        values[f"pve.{t}.mask"] = torch.ones(1, 1, 10, 10)
    trace = Trace(values, (10, 10), 1, photos=[recorded.photo])
    picture = figures.explore(trace)
    assert "shown as means over layers and heads" in picture.body
    found = tables(picture)["map"]
    state = {"look": "1", "layer": "4", "head": "2", "query_token": "mean"}
    assert entry(found, state) < 2 * 7 * 5
    assert entry(found, state | {"query_token": "63"}) == 2 * 7 * 5 + 64 + 63
    assert len(picture.html) < 3e6

    explorer = PveExplorer(trace)
    explorer.query_token, explorer.look = 5, 1
    assert "of query token 5 all heads are there" in explorer.markup
    found = tables(explorer.picture)["map"]
    share = noise[0, 0, 2, 5]
    said = found["says"][entry(found, state | {"query_token": "5"})]
    assert said == f"highest {share.max() * 100:.1f} × even"
    assert entry(found, state | {"query_token": "63"}) == 2 * (2 * 7 * 5) + 64 + 63
    explorer.query_token = "mean"
    assert "all heads are there" not in explorer.markup


def test_the_inspector_starts_at_the_first_word_and_its_pick(recorded):
    inspector = AssignmentInspector(recorded.trace)
    cosine = recorded.trace["mim.similarity"][0][:3]
    picks = examine_assignment(cosine, assign(cosine))
    assert (inspector.word, inspector.embedding) == (0, picks[0].index)
    found = tables(inspector.picture)
    for word, pick in enumerate(picks):
        state = {"word": str(word), "embedding": "5"}
        margin = f"{pick.margin:.3f}".replace("-", "−")
        assert found["margin"]["says"][entry(found["margin"], state)] == margin
        assert (
            f"{cosine[word, 5]:.3f}".replace("-", "−")
            == found["cosine"]["says"][entry(found["cosine"], state)]
        )
    body = inspector.picture.body
    assert body.count('role="gridcell"') == 3 * 8 and body.count("●") == 3 + 1  # and the caption


def test_more_words_than_embeddings_is_shown_as_what_it_is(recorded):
    tensors = dict(recorded.trace.tensors)
    tensors["mim.similarity"] = tensors["mim.similarity"][..., :2]
    tensors["mim.assignment"] = torch.tensor([[1, -1, 0, -1, -1]])
    for t in (0, 1):
        for i in (0, 2):
            name = f"pve.{t}.layers.{i}.cross_attention"
            tensors[name] = tensors[name][:, :, :, :1]
    body = figures.assignment(replace(recorded.trace, tensors=tensors)).body
    assert "none left" in body and "more words than embeddings" in body


def test_without_the_texts_they_are_for_views_say_so(recorded):
    words, phrases = (
        [Query(query.text, style) for query in recorded.queries] for style in ("word", "phrase")
    )
    trace = replace(recorded.trace, queries=words)
    assert "None of the queries" in figures.multi_word(trace).body
    unassigned = recorded.trace.tensors | {"mim.assignment": torch.full((1, 5), -1)}
    trace = replace(recorded.trace, tensors=unassigned, queries=phrases)
    assert "None of the queries is a single word" in figures.assignment(trace).body


def test_the_multi_word_view_has_every_text_and_head(recorded):
    picture = MultiWordView(recorded.trace, text=1, head=1).picture
    weights = recorded.trace["mim.aggregator_attention"][0, 4, 1]
    assert picture.start == {"text": "1", "head": "1"}
    found = tables(picture)
    said = found["weights"]["says"][entry(found["weights"], picture.start)]
    assert said == " ".join(f"{100 * weight:.1f}" for weight in weights.flatten())
    share = f"{weights[4:].sum():.0%} of the weight"
    assert found["look1"]["says"][entry(found["look1"], picture.start)] == share


# The mask lab


@pytest.fixture
def lab(recorded):
    return MaskLab(recorded.bench, recorded.photo, recorded.queries)


def test_covering_changes_the_image_and_shows_both_runs(lab):
    lab.region = [17, 18, 33]
    after = lab.run()
    assert not torch.equal(after["scores"], lab.before["scores"])
    assert "3 tokens were covered" in lab.markup and "Before against After" in lab.markup


def test_a_mask_is_forced(lab):
    lab.action, lab.region = "mask", [0, 1]
    mask = lab.run()["pve.0.mask"][0, 0]
    assert (mask == 0).sum() == 2 and mask[0, 0] == 0 and mask[0, 1] == 0


def test_a_run_is_stopped(lab):
    lab.action, lab.stop = "stop", 0
    assert lab.run().pve_steps == 0
    assert "no such look" in lab.markup


def test_queries_are_silenced(lab):
    lab.action, lab.ablate = "ablate", [2]
    cosine = lab.run()["mim.similarity"].unflatten(2, (2, 4))
    assert (cosine[..., 2] == 0).all()


def test_the_lab_says_what_it_did_not_use(lab):
    lab.region, lab.ablate = [1], [2]
    lab.run()
    assert "1 token was covered. No query token was silenced." in lab.markup
    lab.action, lab.stop, lab.ablate = "stop", lab.before.pve_steps, []
    lab.run()
    assert "as it does by itself. The drawing was not used." in lab.markup
    lab.stop = lab.before.pve_steps + 1
    with pytest.raises(ValueError, match=r"the looks 0 to 1; got 2\."):
        lab.run()


def test_clear_forgets(lab):
    lab.region = [1]
    lab.run()
    lab.asked("clear")
    assert lab.region == [] and lab.after is None and "Before against" not in lab.markup


def test_a_region_outside_the_image_is_said_in_the_view(lab):
    lab.region = [16 * 16]
    lab.asked("run")
    assert "tokens 0 to 255; got 256" in lab.markup
    with pytest.raises(ValueError, match="got 256"):
        lab.run()


# Search


@pytest.fixture(scope="module")
def search(recorded):
    noise = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    images = [recorded.photo, *map(Image.fromarray, noise)]
    names = ["<i>one</i>", *"bcdef"]
    return SearchExplorer(recorded.bench, images, names)


def test_a_search_ranks_and_says_what_it_guessed(search):
    hits = search.search.search("one way")
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5, 6]
    markup = search.search.markup
    assert "searched as phrase: a guess from several words in a row" in markup
    assert "<i>one" not in markup and "&lt;i&gt;one" in markup
    search.search.search("one way", "combined")
    assert "searched as combined." in search.search.markup


def test_a_search_for_nothing_says_so(search):
    assert search.search.search("  ", "auto") == []
    assert "has no words" in search.search.markup


def test_a_search_says_what_the_model_does_not_read(search):
    assert search.search.search("日本", "auto") == []
    assert "cannot be read: the checkpoint&#39;s tokenizer does not know 日 本" in (
        search.search.markup
    )
    assert len(search.search.search("exit 日", "auto")) == 6
    assert "the checkpoint&#39;s tokenizer does not know 日." in search.search.markup


def test_a_chosen_image_opens_in_the_other_views(search, displayed):
    search.search.search("exit", "auto")
    search.search.chosen = 0
    kinds = [type(child).__name__ for child in search.children]
    assert kinds == ["Search", "PveExplorer", "AssignmentInspector"]
    assert displayed(search)[0]["text/html"].count("<figure>") == 3
    search.search.search("one way", "phrase")
    search.search.chosen = 3
    assert type(search.children[2]).__name__ == "MultiWordView"
    search.search.search("exit", "word")
    assert len(search.children) == 1


# Comparing and training


def test_runs_of_different_grids_are_not_compared(recorded):
    other = replace(recorded.trace, grid=(8, 32))
    with pytest.raises(ValueError, match=r"grids \(16, 16\) and \(8, 32\)"):
        Compare((recorded.trace, other), ("a", "b"))


def test_runs_of_other_queries_are_not_compared(recorded):
    other = replace(recorded.trace, queries=recorded.queries[::-1])
    with pytest.raises(ValueError, match=r"text by text; got .*'exit'"):
        Compare((recorded.trace, other), ("a", "b"))


def test_equal_runs_have_no_difference(recorded):
    picture = Compare((recorded.trace, recorded.trace), ("a", "b")).picture
    assert set(tables(picture)["change"]["says"]) == {"0% of the attention moved"}


def test_the_monitor_follows_a_run_and_leaves_it_alone(recorded):
    monitor = TrainingMonitor([recorded.photo], every=0, probe_every=0)
    state = torch.get_rng_state()
    for step in range(5):
        row = {"stage": "look", "step": step, "loss": 3.0 - step, "learning rate": 1e-3}
        monitor(recorded.bench, row)
    monitor.draw(recorded.bench)
    assert torch.equal(state, torch.get_rng_state())
    assert monitor.curves["loss"][-1] == (5, -1.0)
    assert "Stage look, 5 steps" in monitor.markup
    assert not recorded.bench.model.training and monitor.maps
    assert monitor.probe == len(monitor.maps) - 1


def test_the_monitor_lays_strips_where_it_is_told(recorded):
    """A strip is looked at as it is, and its box has its shape."""
    patch = recorded.bench.config.vision_config.patch_size
    width = recorded.bench.config.vision_config.image_size
    strip = recorded.photo.resize((width, 2 * patch))
    maps = {}
    for window in ((0, 0), (2, 0)):
        monitor = TrainingMonitor([strip], every=0, window=window)
        monitor.draw(recorded.bench)
        maps[window] = monitor.maps[0][1]
        assert f"--ratio:{width / (2 * patch):.5g}" in monitor.picture.html
    assert maps[0, 0].shape == (1, 2, width // patch)
    assert not np.array_equal(maps[0, 0], maps[2, 0])


def test_the_monitor_begins_anew_when_the_images_grow(recorded):
    monitor = TrainingMonitor([recorded.photo], every=0, probe_every=0)
    bench = copy.deepcopy(recorded.bench)
    monitor.draw(bench)
    monitor.draw(bench)
    assert len(monitor.maps) == 2
    side = 2 * bench.config.vision_config.image_size
    resize_images(bench.model, side)
    bench.processor.image_processor.size = {"height": side, "width": side}
    monitor.draw(bench)
    assert len(monitor.maps) == 1 and monitor.probe == 0


def test_the_monitor_waits_when_drawing_is_dear(recorded, monkeypatch):
    monitor = TrainingMonitor(every=0)
    drawn = []
    monkeypatch.setattr(monitor, "draw", lambda *_: drawn.append(1))
    row = {"stage": "look", "step": 1, "loss": 1.0}
    monitor(recorded.bench, row)
    monitor.seconds = 1e6
    count = len(drawn)
    monitor(recorded.bench, row)
    assert len(drawn) == count

"""One change at a time: its effect, against runs made by hand."""

import numpy as np
import pytest
import torch

from mstar.data.scenes import sandbox
from mstar.evaluate.cases import cases
from mstar.experiments import sweep as causal
from mstar.experiments.sweep import Change, Row, case_scores, case_table, importance, sweep, units
from mstar.hooks.interventions import ablate_query_tokens, cover, patch
from mstar.hooks.run import active
from mstar.io.bench import Bench
from mstar.texts import Query

QUERIES = [Query("exit", "word"), Query("one way", "phrase")]


@pytest.fixture(scope="module")
def found():
    return cases(sandbox.judging_gallery("easy", 3, 60), 2)


def plain(tiny, images, pve_steps=None):
    model, processor = tiny.model, tiny.processor
    texts, styles = zip(*QUERIES, strict=True)
    inputs = processor(images=images, text=list(texts), styles=list(styles))
    with torch.no_grad():
        return model(**inputs, pve_steps=pve_steps).scores.numpy()


def test_a_sweep_has_a_row_for_each_change_query_and_image(tiny, images):
    region = torch.zeros(16, 16, dtype=torch.bool)
    region[4:9, 4:9] = True
    changes = [
        Change("nothing"),
        Change("one look", pve_steps=0),
        Change("no query token 1", ablate_query_tokens([1])),
        Change("covered", covered=region),
    ]
    rows = sweep(tiny, images, QUERIES, changes)
    assert len(rows) == 4 * 2 * 2 and all(isinstance(row, Row) for row in rows)
    table = {(row.change, row.text, row.image): row for row in rows}
    before, once = plain(tiny, images), plain(tiny, images, pve_steps=0)
    for n, query in enumerate(QUERIES):
        for image in range(2):
            key = (query.text, image)
            assert table["nothing", *key].effect == 0
            assert table["nothing", *key].score == pytest.approx(float(before[n, image]), abs=1e-6)
            assert table["one look", *key].score == pytest.approx(float(once[n, image]), abs=1e-6)
            effect = float(once[n, image] - before[n, image])
            assert table["one look", *key].effect == pytest.approx(effect, abs=1e-6)
            assert table["covered", *key].style == query.style
    assert any(row.effect for row in rows if row.change == "no query token 1")
    model, processor = tiny.model, tiny.processor
    pixels = cover(processor(images=images)["pixel_values"], region)
    ids = processor(text=["exit"], styles=["word"])
    with torch.no_grad():
        covered = model(pixel_values=pixels, **ids).scores[0]
    assert table["covered", "exit", 1].score == pytest.approx(float(covered[1]), abs=1e-6)
    assert active(model) is None


def test_units_are_all_there_and_named_by_place(tiny):
    model = tiny.model
    heads = [change.name for change in units(model, "heads")]
    assert heads == [
        f"layer {layer}, head {head}"
        for layer in model.config.cross_attention_layers
        for head in range(model.config.qformer_config.num_attention_heads)
    ]
    assert [change.name for change in units(model, "query_tokens")] == [
        f"query token {n}" for n in range(4)
    ]
    layers = [change.name for change in units(model, "layers")]
    assert layers == ["φ, layer 1", "ψ, layer 1", "ψ, layer 2", "ψ, layer 3"]
    with pytest.raises(ValueError, match="must be heads, queries or layers; got 'masks'"):
        units(model, "masks")


def test_case_scores_are_those_of_single_runs(tiny, found, monkeypatch):
    model, processor = tiny.model, tiny.processor
    monkeypatch.setattr(causal, "_AT_ONCE", 3)
    together = case_scores(Bench(model, processor), found, Change("none", pve_steps=1))
    for case, score in zip(found, together, strict=True):
        inputs = processor(
            images=[case.scene.image], text=[case.query.text], styles=[case.query.style]
        )
        with torch.no_grad():
            alone = model(**inputs, pve_steps=1).scores[0, 0]
        assert score == pytest.approx(float(alone), abs=1e-5)


def test_a_unit_is_chosen_on_one_half_and_judged_on_the_other(tiny, found, monkeypatch):
    """Right answers at 1 and wrong ones at 0; queries 0 and 2 take the best place from some."""
    count = len(found)
    odd = np.arange(count) % 2 == 1

    def by_heart(bench, cases_, change):
        table = np.eye(count)
        for scene in range(count):  # what else answers is as good
            for row, case in enumerate(found):
                table[row, scene] = sandbox.matches(found[scene].scene, *case.query)
        if change.name == "query token 0":  # ruins more, but of cases that do not choose
            table[odd] *= -1
        if change.name == "query token 1":  # lowers every right answer, and changes no place
            table *= 0.1
        if change.name == "query token 2":
            table[0] *= -1
            table[1] *= -1
        return table

    monkeypatch.setattr(causal, "case_table", by_heart)
    result = importance(tiny, found, "query_tokens")
    cosine, ap = result["judged"]["cosine"], result["judged"]["AP"]
    assert (
        cosine["chosen"] == ap["chosen"] == "query token 2"
    )  # neither most loss nor most of odd cases
    loss, ap_loss = (
        {name: one.value for name, one in result["loss"].column(key).items()}
        for key in ("loss", "ap_loss")
    )
    assert (
        loss["query token 1"] == pytest.approx(90) and loss["query token 1"] > loss["query token 2"]
    )
    assert ap_loss["query token 1"] == ap_loss["query token 3"] == 0
    assert ap_loss["query token 0"] > ap_loss["query token 2"] > 0
    judged = count // 2
    lost = 100 * 2 / judged  # one of the judged cases falls from 1 to −1
    assert cosine["loss"].value == pytest.approx(lost)
    assert cosine["others"].value == pytest.approx((200 + 90 + 0) / 3)
    assert cosine["difference"].value == pytest.approx(lost - 290 / 3)
    assert ap["loss"].count == ap["others"].count == judged
    assert ap["loss"].value < ap["others"].value


def test_a_table_has_every_query_in_every_scene(tiny, found, monkeypatch):
    monkeypatch.setattr(causal, "_AT_ONCE", 3)
    table = case_table(tiny, found, Change("none", pve_steps=1))
    assert table.shape == (len(found), len(found))
    assert np.array_equal(table.diagonal(), case_scores(tiny, found, Change("none", pve_steps=1)))
    (row,) = sweep(tiny, [found[1].scene.image], [found[0].query], [Change("none")], pve_steps=1)
    assert table[0, 1] == pytest.approx(row.score, abs=1e-5)


def test_importance_runs_on_a_model_and_leaves_nothing(tiny, found):
    for kind in ("heads", "query_tokens", "layers"):
        result = importance(tiny, found, kind)
        names = [change.name for change in units(tiny.model, kind)]
        assert list(result["loss"].by_name()) == names
        assert result["judged"]["AP"]["chosen"] in names and f"kind {kind}" in str(result)
    assert active(tiny.model) is None and not tiny.model.training
    with pytest.raises(ValueError, match="four cases at least; got 3"):
        importance(tiny, found[:3])


def test_what_cannot_be_compared_is_refused(tiny, found, monkeypatch):
    monkeypatch.setattr(causal, "units", lambda model, kind: [Change("the only one")])
    with pytest.raises(ValueError, match="two query tokens at least; this model has 1"):
        importance(tiny, found, "query_tokens")
    for images, queries in (([], QUERIES), ([found[0].scene.image], [])):
        with pytest.raises(ValueError, match="an image and a query at least; got"):
            sweep(tiny, images, queries, [Change("none")])


def test_a_patched_run_through_a_sweep(tiny, images):
    model, processor = tiny.model, tiny.processor
    pixels = processor(images=images[1:])["pixel_values"]
    _, trace = model.run_with_trace({"pixel_values": pixels}, "pve.*.layers.*.hidden")
    change = Change("as the other", patch(trace, "pve.*"))
    (row,) = sweep(Bench(model, processor), images[:1], QUERIES[:1], [change])
    assert row.score == pytest.approx(float(plain(tiny, images)[0, 1]), abs=1e-5)

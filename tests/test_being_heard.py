"""Being heard changes nothing but what it records: losses, gradients and half precision."""

import numpy as np
import pytest
import torch

from mstar import MstarConfig, MstarModel, MstarProcessor, load, samples
from mstar.explain.assignment import explain_words
from mstar.hooks.points import HookError
from mstar.hooks.record import NEEDED
from mstar.hooks.trace import Trace
from mstar.io import embedded
from mstar.io.bench import Bench
from mstar.io.processing import character_tokenizer
from mstar.model.configuration import MOST_PVE_STEPS, SEMANTICS
from mstar.search.gallery import Gallery
from mstar.texts import Query

TEXTS = ["exit", "way", "way out", "exit, way"]
STYLES = ["word", "word", "phrase", "combined"]
OWN = torch.tensor([[True, False, True, False], [False, True, False, True]])


def made(semantics="paper", **fields):
    torch.manual_seed(0)
    config = MstarConfig.tiny(semantics=semantics, **fields)
    return MstarModel(config).eval(), MstarProcessor.for_config(config, character_tokenizer())


@pytest.fixture(scope="module")
def photos():
    return list(np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), dtype=np.uint8))


def nothing(value, *, point):
    return None


def the_same(value, *, point):
    return value.clone()


@pytest.mark.parametrize("tiles", [(1,), (1, 2)], ids=["whole", "tiles"])
@pytest.mark.parametrize("semantics", ["paper", "released"])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize(
    ("point", "hook"),
    [
        ("scores", nothing),
        ("mim.similarity", nothing),
        ("mim.similarity", the_same),
        ("mim.aggregator_attention", the_same),
        ("mim.evidence", nothing),
        ("pve.[0]*", the_same),
        ("text.embeddings", nothing),
    ],
)
def test_a_hook_that_does_nothing_leaves_losses_and_gradients(
    photos, semantics, training, point, hook, tiles
):
    def run(listening):
        torch.manual_seed(1)  # dropout and drawn pairs
        model, processor = made(semantics, tiles=tiles)
        model.train(training)
        batch = processor(images=photos, text=TEXTS, styles=STYLES)
        with model.hooks({point: hook} if listening else {}):
            torch.manual_seed(1)
            out = model(**batch, own=OWN, pve_steps=1)
        out.loss.backward()
        grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        return out, grads

    (plain, expected), (heard, got) = run(False), run(True)
    assert torch.equal(plain.loss, heard.loss)
    assert expected.keys() == got.keys()
    for name, gradient in expected.items():
        assert torch.equal(gradient, got[name]), name


def test_a_hook_on_scores_that_no_loss_reads_leaves_the_gradient(photos):
    def gradient(hooks):
        model, processor = made("released")
        batch = processor(images=photos, text=TEXTS[:2], styles="word")
        with model.hooks(hooks):
            out = model(**batch, own=OWN[:, :2], matching=False)
        out.loss.backward()
        return model.text_projection.weight.grad

    plain = gradient({})
    assert plain.any() and torch.equal(gradient({"scores": nothing}), plain)


def test_a_replaced_similarity_is_what_the_released_loss_sees(photos):
    model, processor = made("released")
    batch = processor(images=photos, text=TEXTS[:2], styles="word")
    own, zero = OWN[:, :2], {"mim.similarity": lambda value, *, point: torch.zeros_like(value)}
    with model.hooks(zero):
        out = model(**batch, own=own, matching=False)
    assert not out.similarity.v2t.any() and not out.similarity.t2v.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_recording_the_attention_of_s_changes_nothing_in_half_precision(photos, dtype):
    model, processor = made()
    inputs = processor(images=photos, text=["exit"])
    inputs["pixel_values"] = inputs["pixel_values"].to(dtype)
    model = model.to(dtype)

    def all_seen(value, *, point):
        return torch.zeros_like(value)

    with torch.no_grad(), model.hooks({"pve.0.mask": all_seen}):
        plain = model(**inputs)
        seen, _ = model.run_with_trace(inputs, "pve.1.sas_attention")
    one, other = (out.images.looks[1].tokens.float() for out in (plain, seen))
    assert (one - other).abs().max() < 0.02


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_recording_the_attention_of_s_changes_nothing_in_the_embedded_checkpoint(dtype):
    bench = load(device="cpu", dtype=dtype)
    inputs = bench.inputs([samples()[0].path], ["exit"])

    def all_seen(value, *, point):
        return torch.zeros_like(value)

    with torch.no_grad(), bench.model.hooks({"pve.0.mask": all_seen}):
        plain = bench.model(**inputs)
        seen, _ = bench.model.run_with_trace(inputs, "pve.1.*")
    one, other = (out.images.looks[1].tokens.float() for out in (plain, seen))
    assert (one - other).abs().max() < 0.1


def test_one_str_is_one_text(photos):
    model, processor = made()
    assert len(processor(text="exit")["input_ids"]) == 1
    gallery = Gallery.embed(Bench(model, processor), photos, ["a", "b"])
    assert len(gallery.search_many(["way out"])) == 1
    one, other = gallery.search_many(["way out"])[0], gallery.search("way out")
    assert [hit.score for hit in one] == [hit.score for hit in other]
    (alone,), (listed,) = gallery.search_many("exit"), gallery.search_many(["exit"])
    assert alone == listed and gallery.scores("exit").shape == (1, 2)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("is_word", torch.ones(1, dtype=torch.bool), r"is_word should have the shape \[2\]"),
        ("attention_mask", torch.ones(2, 3), "attention_mask should have the shape"),
        ("own", torch.ones(2, 3, dtype=torch.bool), r"own should have the shape \[2, 2\]"),
        ("pixel_values", torch.ones(0, 1, 3, 64, 64), "pixel_values hold no image"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_shapes(photos, name, value, said):
    model, processor = made()
    inputs = processor(images=photos, text=["exit", "way"])
    with pytest.raises(ValueError, match=said):
        model(**inputs | {name: value})


def test_a_trace_that_keeps_its_graph_is_saved(photos, tmp_path):
    model, processor = made()
    inputs = processor(images=photos, text=["exit"])
    _, trace = model.run_with_trace(inputs, detach=False)
    loaded = Trace.load(trace.save(tmp_path / "trace"))
    assert loaded.keys() == trace.keys()
    assert all(torch.equal(loaded[name], trace[name]) for name in trace)


def test_another_attention_for_the_rest_leaves_psi_its_own(photos):
    model, processor = made()
    inputs = processor(images=photos, text=["exit"])
    with torch.no_grad():
        before = model(**inputs).scores
        model.set_attn_implementation("eager")
        after = model(**inputs).scores
    assert torch.allclose(before, after, atol=1e-5)


def test_steps_have_a_bound_that_is_said():
    model, _ = made()
    with pytest.raises(HookError, match=f"is of look 300000; T is at most {MOST_PVE_STEPS}"):
        model.hooks({"pve.300000.mask": nothing}).__enter__()
    with pytest.raises(ValueError, match=rf"from 0 to {MOST_PVE_STEPS}; got 65"):
        model.config.pve_steps_from(65)


def test_the_released_explanation_names_what_the_score_saw(photos):
    """Words through the multi-word branch, too: silence the rest, and the score stays."""
    model, processor = made("released")
    inputs = processor(images=photos, text=TEXTS[2:], styles=STYLES[2:])
    with torch.no_grad():
        out, trace = model.run_with_trace(inputs, list(NEEDED))
        trace.queries = [Query(*one) for one in zip(TEXTS[2:], STYLES[2:], strict=True)]
        rows = explain_words(trace)
        evidence = model.evidence(out.images, out.texts, inputs["is_word"])
        assert torch.equal(evidence.transpose(0, 1), trace["mim.evidence"])

        def silenced(value, *, point):
            return torch.zeros_like(value) if point != "pve.0.embeddings" else None

        with model.hooks({"pve.*.embeddings": silenced}):
            assert torch.equal(model(**inputs).scores, out.scores)
        assert all(row.look == 0 for row in rows)
        for number, row in enumerate(rows):

            def named(value, *, point, row=row):
                changed = value.clone()
                changed[:, row.tile, row.query_token] = 0
                return changed

            with model.hooks({"pve.0.embeddings": named}):
                assert model(**inputs).scores[number, 0] != out.scores[number, 0]


def test_the_released_explanation_of_the_embedded_checkpoint_names_no_later_look():
    bench, rows = load(), []
    with torch.no_grad(), bench.computed_as(dict(SEMANTICS["released"])):
        for sample in embedded.gallery()[:30]:
            pairs = zip(sample.texts, sample.styles, strict=True)
            asked = [Query(*one) for one in pairs if one[1] != "word"]
            if asked:
                rows += explain_words(bench.trace(sample.path, asked, names=list(NEEDED)))
    assert rows and sum(row.look > 0 for row in rows) == 0


def test_scores_under_autocast_are_those_without_it_but_for_rounding(photos):
    model, processor = made()
    inputs = processor(images=photos, text=TEXTS, styles=STYLES)
    with torch.no_grad():
        images = model(pixel_values=inputs["pixel_values"]).images
        texts = model(**{n: inputs[n] for n in ("input_ids", "attention_mask")}).texts
        plain = model.score(images, texts, inputs["is_word"])
        with torch.autocast("cpu", torch.bfloat16):
            half = model.score(images, texts, inputs["is_word"])
    assert half.dtype == plain.dtype and torch.allclose(half, plain, atol=0.05)

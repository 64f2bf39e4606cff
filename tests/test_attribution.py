"""Maps of evidence: every method held against a computation by hand."""

import copy

import pytest
import torch

from mstar.data.scenes import sandbox
from mstar.experiments.salience import salience
from mstar.experiments.semantics import compare_semantics
from mstar.explain.assignment import weighted_maps
from mstar.explain.attribution import METHODS, OCCLUSION_WINDOW, Scorer, attribute
from mstar.explain.looks import embedding_maps
from mstar.hooks.interventions import patch
from mstar.hooks.run import active
from mstar.io import embedded
from mstar.io.bench import Bench
from mstar.io.checkpoints import load_checkpoint
from mstar.texts import Query

GRID = (16, 16)
QUERIES = [
    Query("exit", "word"),
    Query("one way", "phrase"),
    Query("stop, go", "combined"),
    Query("'exit' on a door", "semantic"),
]


@pytest.fixture(scope="module")
def trained():
    bench = load_checkpoint(embedded.checkpoint())
    bench.processor.tiles = (1,)  # scenes are small, and each method then takes a fourteenth
    return bench


def pixels_of(tiny, image):
    model, processor = tiny.model, tiny.processor
    return processor(images=[image])["pixel_values"].to(model.dtype)


def score_of(tiny, query, pve_steps):
    """Pixels -> score, without anything of `attribution`."""
    model, processor = tiny.model, tiny.processor
    inputs = processor(text=[query.text], styles=[query.style])

    def score(pixels):
        return model(pixel_values=pixels, **inputs, pve_steps=pve_steps).scores[0]

    return score


@pytest.mark.parametrize("pve_steps", [0, 1, 2])
def test_one_call_for_all_styles_and_methods(tiny, images, pve_steps):
    found = attribute(tiny, images[0], QUERIES, pve_steps=pve_steps)
    assert len(found) == 4
    for query, of in zip(QUERIES, found, strict=True):
        with torch.no_grad():
            score = score_of(tiny, query, pve_steps)(pixels_of(tiny, images[0]))
        assert list(of) == list(METHODS)
        for method, one in of.items():
            assert (one.method, one.query) == (method, query)
            assert one.score == pytest.approx(float(score), abs=1e-6)
            assert one.values.dtype == torch.float32 and one.values.shape == GRID
            assert one.values.isfinite().all() and one.values.any(), (query.style, method)
            if method.startswith("attention"):
                assert one.looks.shape == (pve_steps + 1, *GRID)
                torch.testing.assert_close(one.looks.sum(0), one.values)
            else:
                assert one.looks is None


@pytest.mark.parametrize("query", QUERIES[:2], ids=lambda query: query.style)
def test_grad_cam_by_hand(tiny, images, query):
    kept = []

    def keep(tokens, *, point):
        kept.append(tokens.detach().requires_grad_())
        return kept[0]

    with torch.enable_grad(), tiny.model.hooks({"vision.tokens": keep}):
        score = score_of(tiny, query, 1)(pixels_of(tiny, images[0]))
    (slope,) = torch.autograd.grad(score, kept[0])
    channels = slope.mean(2, keepdim=True)  # one weight a channel, over all tokens
    expected = (kept[0] * channels).sum(3).clamp(min=0).detach()[0, 0].view(GRID)
    (found,) = attribute(tiny, images[0], [query], ["grad_cam"], pve_steps=1)
    torch.testing.assert_close(found["grad_cam"].values, expected, atol=1e-7, rtol=1e-4)
    by_token = (kept[0] * slope).sum(3).clamp(min=0).detach()[0, 0].view(GRID)
    assert not torch.allclose(by_token, expected, rtol=0.1), "weights per token are another thing"


def test_raw_attention_is_that_of_what_the_score_draws_on(tiny, images):
    model, processor = tiny.model, tiny.processor
    texts, styles = [q.text for q in QUERIES], [q.style for q in QUERIES]
    inputs = processor(images=images[:1], text=texts, styles=styles)
    _, trace = model.run_with_trace(inputs, ["pve.*.layers.*.cross_attention", "mim.*"])
    found = [of["attention"] for of in attribute(tiny, images[0], QUERIES, ["attention"])]
    best = int(trace["mim.similarity"][0, 0].argmax())
    torch.testing.assert_close(found[0].values, embedding_maps(trace)[best])
    look, _ = divmod(best, model.config.num_query_tokens)
    assert found[0].looks[look].any() and not found[0].looks[1 - look].any()
    several = weighted_maps(trace, [1, 2, 3]).mean(1)
    for one, expected in zip(found[1:], several, strict=True):
        torch.testing.assert_close(one.values, expected, atol=1e-6, rtol=1e-4)


def test_attention_times_its_gradient_by_hand(tiny, images):
    model, processor = tiny.model, tiny.processor
    names = "pve.*.layers.*.cross_attention"
    inputs = processor(images=images[:1], text=["one way"], styles=["phrase"])
    with torch.enable_grad():
        out, trace = model.run_with_trace(inputs, names, detach=False)
        slopes = torch.autograd.grad(out.scores[0, 0], list(trace.values()))
    looks = torch.zeros(2, 256)
    for (name, attention), slope in zip(trace.items(), slopes, strict=True):
        _, _, heads, count, _ = attention.shape
        for head in range(heads):
            for query in range(count):
                positive = slope[0, 0, head, query].clamp(min=0)
                looks[int(name.split(".")[1])] += attention[0, 0, head, query] * positive / heads
    looks = looks.detach() / len(model.config.cross_attention_layers)
    (found,) = attribute(tiny, images[0], [QUERIES[1]], ["attention_gradient"])
    torch.testing.assert_close(
        found["attention_gradient"].looks.flatten(1), looks, atol=1e-8, rtol=1e-4
    )


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.style)
@pytest.mark.parametrize("pve_steps", [0, 1])
def test_integrated_gradients_add_up_to_the_change_of_the_score(trained, query, pve_steps):
    scene = sandbox.scene(5, 3, "test")
    pixels = pixels_of(trained, scene.image)
    even = pixels.mean((3, 4), keepdim=True).expand_as(pixels)
    score = score_of(trained, query, pve_steps)
    with torch.no_grad():
        change = float(score(pixels) - score(even))
    (found,) = attribute(
        trained, scene.image, [query], ["integrated_gradients"], pve_steps=pve_steps
    )
    one = found["integrated_gradients"]
    assert one.gap == pytest.approx(float(one.values.sum()) - change, abs=1e-5)
    assert abs(one.gap) < 0.05, "of a score from −1 to 1"


def test_integrated_gradients_by_hand(tiny, images):
    """Along the straight line from the even image's f₀ to this one's, by the trapezoidal rule."""
    model = tiny.model
    pixels = pixels_of(tiny, images[0])
    even = pixels.mean((3, 4), keepdim=True).expand_as(pixels)
    score = score_of(tiny, QUERIES[1], 0)
    _, ends = model.run_with_trace(
        {"pixel_values": torch.cat([even, pixels]), "pve_steps": 0}, "vision.tokens"
    )
    start, end = ends["vision.tokens"]
    slopes = []
    for share in torch.linspace(0, 1, 101):
        tokens = (start + share * (end - start))[None].requires_grad_()
        with torch.enable_grad(), model.hooks({"vision.tokens": lambda t, *, point, to=tokens: to}):
            (slope,) = torch.autograd.grad(score(pixels), tokens)
        slopes.append(slope[0])
    mean = torch.trapezoid(torch.stack(slopes), dx=1 / 100, dim=0)
    expected = (mean * (end - start)).sum(2).view(GRID)
    (found,) = attribute(tiny, images[0], [QUERIES[1]], ["integrated_gradients"], pve_steps=0)
    values = found["integrated_gradients"].values
    assert torch.corrcoef(torch.stack([values.flatten(), expected.flatten()]))[0, 1] > 0.99
    torch.testing.assert_close(values, expected, atol=0.1 * float(expected.abs().max()), rtol=0)


def test_occlusion_by_hand(tiny, images):
    pixels = pixels_of(tiny, images[0])
    even = pixels.mean((3, 4), keepdim=True)
    patch, score = tiny.model.config.vision_config.patch_size, score_of(tiny, QUERIES[0], 1)
    lost, times = torch.zeros(GRID), torch.zeros(GRID)
    with torch.no_grad():
        whole = score(pixels)
        for y in range(17 - OCCLUSION_WINDOW):
            for x in range(17 - OCCLUSION_WINDOW):
                rows, columns = (slice(at, at + OCCLUSION_WINDOW) for at in (y, x))
                covered = pixels.clone()
                covered[..., patch * y : patch * (y + OCCLUSION_WINDOW),
                        patch * x : patch * (x + OCCLUSION_WINDOW)] = even  # fmt: skip
                lost[rows, columns] += float(whole - score(covered))
                times[rows, columns] += 1
    (found,) = attribute(tiny, images[0], QUERIES[:1], ["occlusion"])
    torch.testing.assert_close(found["occlusion"].values, lost / times, atol=1e-6, rtol=1e-4)


def test_the_size_of_a_batch_changes_nothing(tiny, images):
    one = attribute(tiny, images[0], QUERIES, batch_size=1)
    many = attribute(tiny, images[0], QUERIES, batch_size=64)
    for a, b in zip(one, many, strict=True):
        for method in METHODS:
            torch.testing.assert_close(a[method].values, b[method].values, atol=1e-5, rtol=1e-3)


def test_memory_is_bounded_by_the_batch(tiny, images, monkeypatch):
    sizes, forward = [], Scorer.forward
    monkeypatch.setattr(
        Scorer, "forward", lambda self, pixels: sizes.append(len(pixels)) or forward(self, pixels)
    )
    attribute(tiny, images[0], QUERIES[:2], batch_size=5)
    assert max(sizes) <= 5


def test_hooks_are_heard_and_nothing_is_left(tiny, images):
    model = tiny.model
    before = attribute(tiny, images[0], QUERIES[:1])
    with torch.no_grad(), model.hooks({"pve.0.mask": lambda mask, *, point: torch.ones_like(mask)}):
        attribute(tiny, images[0], QUERIES[:1], ["occlusion"])  # also where gradients are off
        found = attribute(tiny, images[0], QUERIES[:1], ["attention_gradient"])
    assert found[0]["attention_gradient"].values.any()
    assert active(model) is None
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.training
    assert not any(module._forward_hooks for module in model.modules())
    after = attribute(tiny, images[0], QUERIES[:1])
    for method in METHODS:
        assert torch.equal(before[0][method].values, after[0][method].values)


def test_it_needs_neither_the_callers_gradients_nor_trainable_weights(tiny, images):
    model, processor = tiny.model, tiny.processor
    before = attribute(tiny, images[0], QUERIES[:2])
    with torch.inference_mode():
        inside = attribute(tiny, images[0], QUERIES[:2])
    weightless = copy.deepcopy(model).requires_grad_(False)
    frozen = attribute(Bench(weightless, processor), images[0], QUERIES[:2])
    for found in (inside, frozen):
        for a, b in zip(before, found, strict=True):
            for method in METHODS:
                torch.testing.assert_close(a[method].values, b[method].values)


def test_where_a_hook_cuts_the_way_of_the_gradient(tiny, images):
    model = tiny.model
    inputs = {"pixel_values": pixels_of(tiny, images[0])}
    points = ["vision.tokens", "pve.*.embeddings", "pve.*.layers.*.cross_attention"]
    _, trace = model.run_with_trace(inputs, points)
    before = attribute(tiny, images[0], QUERIES[:1], ["attention_gradient"])
    with model.hooks(patch(trace, "vision.tokens")):  # the same tokens, so the same attention
        after = attribute(tiny, images[0], QUERIES[:1], ["attention_gradient"])
    torch.testing.assert_close(
        after[0]["attention_gradient"].values, before[0]["attention_gradient"].values
    )
    cut = {
        "vision.tokens": ["grad_cam", "integrated_gradients"],
        "pve.*.embeddings": ["grad_cam", "attention_gradient"],
        "pve.*.layers.*.cross_attention": ["attention_gradient"],
    }
    for point, methods in cut.items():
        for method in methods:
            with (
                pytest.raises(ValueError, match="no gradient comes through"),
                model.hooks(patch(trace, point)),
            ):
                attribute(tiny, images[0], QUERIES[:1], [method])
        with model.hooks(patch(trace, point)):
            attribute(tiny, images[0], QUERIES[:1], ["attention", "occlusion"])
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_in_half_precision(tiny, images):
    model, processor = tiny.model, tiny.processor
    half = copy.deepcopy(model).to(torch.bfloat16)
    exact, rough = (
        attribute(Bench(one, processor), images[0], QUERIES[:1])[0] for one in (model, half)
    )
    assert rough["attention"].score == pytest.approx(exact["attention"].score, abs=0.05)
    assert all(one.values.isfinite().all() for one in rough.values())
    scenes = [sandbox.scene(3, index, "test") for index in range(6)]
    assert salience(Bench(half, processor), scenes).about["images"]
    report = compare_semantics(Bench(half, processor), seed=3, scenes=40)
    assert report["looks"]["paper"]["masked"].count == 10


def test_what_is_asked_wrongly(tiny, images):
    with pytest.raises(ValueError, match="unknown method 'cam': expected some of attention, "):
        attribute(tiny, images[0], QUERIES, ["cam"])
    with pytest.raises(ValueError, match="give at least one text"):
        attribute(tiny, images[0], [])
    with pytest.raises(ValueError, match="batch-size must be 1 or more; got 0"):
        attribute(tiny, images[0], QUERIES, batch_size=0)

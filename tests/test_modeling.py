"""Configuration, model and processor: what each constant does, and that folders come back."""

import json
import socket
from math import prod

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoConfig, AutoModel

import mstar
from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.io import decoding
from mstar.io.images import open_image
from mstar.io.processing import CLIP_MEAN, CLIP_STD
from mstar.model.configuration import SEMANTICS
from mstar.model.vision import ConvStem, sine_positions
from mstar.search.reranking import rerank
from mstar.texts import STYLES

OWN = torch.tensor([[True, False, True], [False, True, True]])


def test_the_package_gives_what_it_names():
    for name in mstar.__all__:
        assert getattr(mstar, name) is not None
        assert name in dir(mstar)
    with pytest.raises(AttributeError, match="'mstar' has no attribute 'MstarModle'"):
        mstar.MstarModle  # noqa: B018


# Presets


def test_the_presets_are_these():
    assert {name: dict(preset) for name, preset in SEMANTICS.items()} == {
        "paper": {
            "sigma": "watershed",
            "assignment_steps": "all",
            "recycled_temperature": True,
            "multi_word_attention": "joint",
            "multi_word_scoring_steps": "all",
            "multi_word_projected": True,
            "word_scoring": "word",
            "stop_gradient": False,
            "train_last_norm": True,
            "t2v_weight": 1.5,
            "v2t_weight": 1.0,
            "rerank_ratio": 0.02,
            "rerank_weight": 1.0,
        },
        "released": {
            "sigma": "released",
            "assignment_steps": "first",
            "recycled_temperature": False,
            "multi_word_attention": "per_step",
            "multi_word_scoring_steps": "first",
            "multi_word_projected": False,
            "word_scoring": "multi_word",
            "stop_gradient": True,
            "train_last_norm": False,
            "t2v_weight": 5 / 7,
            "v2t_weight": 0.5,
            "rerank_ratio": 0.05,
            "rerank_weight": 1.0,
        },
    }


def test_the_presets_cannot_be_changed():
    with pytest.raises(TypeError):
        SEMANTICS["mine"] = {}
    with pytest.raises(TypeError):
        SEMANTICS["paper"]["sigma"] = "none"


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_a_preset_fills_every_field_and_an_override_wins(semantics):
    config = MstarConfig.tiny(semantics=semantics)
    assert {name: getattr(config, name) for name in SEMANTICS[semantics]} == SEMANTICS[semantics]
    other = MstarConfig.tiny(semantics=semantics, sigma="none", t2v_weight=0.0)
    assert (other.sigma, other.t2v_weight) == ("none", 0.0)
    assert other.assignment_steps == config.assignment_steps


def test_base_is_the_papers():
    config = MstarConfig.base()
    vision, qformer = config.vision_config, config.qformer_config
    assert (vision.hidden_size, vision.intermediate_size, vision.num_hidden_layers) == (
        768,
        3072,
        12,
    )
    assert (vision.num_attention_heads, vision.patch_size, vision.image_size) == (12, 16, 512)
    assert (qformer.hidden_size, qformer.intermediate_size, qformer.num_hidden_layers) == (
        768,
        3072,
        12,
    )
    assert (qformer.num_attention_heads, qformer.encoder_hidden_size) == (12, 1024)
    assert (qformer.vocab_size, qformer.hidden_dropout_prob) == (30523, 0.1)
    assert config.cross_attention_layers == (0, 2, 4, 6, 8, 10)
    assert (config.num_query_tokens, config.embed_dim, config.pve_steps) == (64, 256, 1)
    assert (config.sas_heads, config.multi_word_heads, config.temperature) == (6, 8, 0.05)
    assert not config.learn_temperature and config.semantics == "paper"
    assert [MstarConfig.base(size).grid_size for size in (512, 640, 800)] == [32, 40, 50]


TINY = MstarConfig.tiny().vision_config.to_dict()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(semantics="mine"), "semantics must be one of paper, released; got 'mine'"),
        (dict(sigma="otsu"), "sigma must be one of none, threshold, watershed, released"),
        (dict(word_scoring="both"), "word_scoring must be one of word, multi_word; got 'both'"),
        (dict(pve_steps=-1), r"pve_steps \(T\) must be from 0 to 64; got -1"),
        (dict(rerank_ratio=0.0), r"rerank_ratio must be in \(0, 1\]; got 0.0"),
        (dict(rerank_weight=-0.5), "rerank_weight must be 0 or more; got -0.5"),
        (dict(tiles=(2,)), r"rising from the whole: \(1,\), \(1, 2\) or \(1, 2, 3\); got \(2,\)"),
        (dict(tiles=(1, 9)), "tiles cut a side into 8 parts at most; got 9"),
        (dict(sigma_low=0.9, sigma_high=0.5), "low <= high < 1; got 0.9 and 0.5"),
        (dict(vision_config=dict(image_size=65, patch_size=4)), "size 65 is not a multiple .* 4"),
        (dict(conv_stem=[(8, 2), (8, 4)]), r"multiply to the patch size 4; got \[2, 4\]"),
        (dict(conv_stem=[(0, 4)]), "channels of conv_stem must be 1 or more; got 0"),
        (dict(sas_heads=5), "sas_heads 5 must divide the vision width 32"),
        (dict(multi_word_heads=5), "multi_word_heads 5 must divide ψ's width 32"),
        (dict(vision_config=TINY | {"num_attention_heads": 3}), "3 must divide the vision width"),
        (dict(vision_config=TINY | {"num_attention_heads": 0}), "heads must be 1 or more; got 0"),
        (dict(vision_config=TINY | {"layer_norm_eps": 0.0}), "layer_norm_eps must be 1e-12 or"),
        (dict(temperature=0.0), "temperature must be 1e-12 or more; got 0.0"),
        (dict(temperature=float("inf")), "temperature must be 1000000.0 or less; got inf"),
        (dict(sigma_min_area=float("nan")), "sigma_min_area must be a number; got nan"),
    ],
)
def test_wrong_values_are_one_sentence(fields, message):
    with pytest.raises(ValueError, match=message):
        MstarConfig.tiny(**fields)


# Each constant of the method, in both settings


@pytest.fixture
def variant(tiny):
    """`tiny` with other constants and the same weights."""

    def make(**fields) -> MstarModel:
        model = MstarModel(MstarConfig.tiny(**fields)).eval()
        model.load_state_dict(tiny.model.state_dict())
        return model

    return make


@pytest.fixture
def two(variant, inputs):
    """Outputs [first, second] with one field in two settings, T = 2; both must differ in one."""

    def run(field, values, own=OWN, **fixed):
        with torch.no_grad():
            return [variant(**{field: v}, **fixed)(**inputs, own=own, pve_steps=2) for v in values]

    return run


def test_assignment_steps(two):
    every, first = two("assignment_steps", ["all", "first"])
    assert every.similarity.assignment.max() >= 4 > first.similarity.assignment.max()
    assert not torch.equal(every.scores, first.scores)


def test_recycled_temperature(two):
    divided, raw = two("recycled_temperature", [True, False], assignment_steps="first")
    words = torch.tensor([True, True, False])
    assert (divided.similarity.v2t >= raw.similarity.v2t)[:, words].all()
    assert not torch.equal(divided.similarity.v2t, raw.similarity.v2t)
    best = raw.similarity.cosine[..., 4:].amax(2)
    assert (raw.similarity.v2t >= best)[:, words].all()
    assert (divided.similarity.v2t >= best / 0.05 - 1e-5)[:, words].all()


def test_multi_word_attention(two):
    joint, per_step = two("multi_word_attention", ["joint", "per_step"])
    assert not torch.equal(joint.scores[2], per_step.scores[2])
    assert torch.equal(joint.scores[:2], per_step.scores[:2]), "words go another way"


def test_multi_word_scoring_steps(two, variant, inputs):
    every, first = two(
        "multi_word_scoring_steps", ["all", "first"], multi_word_attention="per_step"
    )
    assert (every.scores[2] >= first.scores[2]).all()
    assert not torch.equal(every.scores, first.scores)
    assert torch.equal(every.similarity.t2v, first.similarity.t2v), "training sees every step"
    once = variant(multi_word_attention="per_step")
    with torch.no_grad():
        torch.testing.assert_close(first.scores[2], once(**inputs, pve_steps=0).scores[2])


def test_multi_word_projected(two):
    projected, raw = two("multi_word_projected", [True, False])
    assert torch.equal(projected.similarity.v2t, projected.similarity.t2v)
    assert torch.equal(projected.similarity.t2v, raw.similarity.t2v)
    different = projected.similarity.v2t != raw.similarity.v2t
    assert different.any(0).tolist() == [False, False, True]


def test_word_scoring(two):
    word, multi = two("word_scoring", ["word", "multi_word"])
    assert not torch.equal(word.scores[:2], multi.scores[:2])
    assert torch.equal(word.scores[2], multi.scores[2])
    assert torch.equal(word.similarity.v2t, multi.similarity.v2t), "training is not concerned"


@pytest.mark.parametrize("stop", [False, True])
def test_stop_gradient(variant, inputs, stop):
    model = variant(stop_gradient=stop)
    found = model(**inputs, own=OWN).similarity
    sides = [model.vision_projection.weight, model.text_projection.weight]
    words = [getattr(found, name)[:, :2].sum() for name in ("v2t", "t2v")]
    reached = [
        [
            g is not None and bool(g.abs().sum() > 0)
            for g in torch.autograd.grad(value, sides, retain_graph=True, allow_unused=True)
        ]
        for value in words
    ]
    assert reached == ([[True, False], [False, True]] if stop else [[True, True]] * 2)


def test_stop_gradient_changes_no_value(two):
    free, stopped = two("stop_gradient", [False, True])
    torch.testing.assert_close(free.similarity.v2t, stopped.similarity.v2t)
    torch.testing.assert_close(free.similarity.t2v, stopped.similarity.t2v)


@pytest.mark.parametrize("trained", [False, True])
def test_train_last_norm(variant, inputs, trained):
    model = variant(train_last_norm=trained)
    model(**inputs, own=OWN).loss.backward()
    assert (model.vision.siglip.post_layernorm.weight.grad is not None) == trained
    assert model.vision.siglip.encoder.layers[0].mlp.fc1.weight.grad is not None


def test_weights_of_the_two_directions(two):
    def loss(**weights):
        (out,) = two("t2v_weight", [weights["t"]], v2t_weight=weights["v"])
        return out.contrastive_loss.item()

    t2v, v2t = loss(t=1.0, v=0.0), loss(t=0.0, v=1.0)
    assert t2v != pytest.approx(v2t)
    assert loss(t=1.5, v=2.0) == pytest.approx(1.5 * t2v + 2 * v2t, rel=1e-5)


@pytest.mark.parametrize(("ratio", "changed"), [(0.02, 2), (0.05, 5)])
def test_rerank_ratio(ratio, changed):
    scores, gain = torch.rand(1, 100), torch.ones(1, 100)
    after = rerank(scores, gain, MstarConfig.tiny(rerank_ratio=ratio).rerank_ratio)
    assert (after != scores).sum() == changed


def test_sigma(two):
    threshold, watershed, none = two("sigma", ["threshold", "watershed", "none"])
    looks = [out.images.looks for out in (threshold, watershed, none)]
    assert not torch.equal(looks[0][0].salient, looks[1][0].salient)
    assert not looks[2][2].salient.any() and (looks[2][2].mask == 1).all()
    assert torch.equal(looks[0][0].tokens, looks[1][0].tokens)
    assert not torch.equal(threshold.scores, watershed.scores)
    # without a mask S still mixes the tokens
    assert not torch.equal(looks[2][0].tokens, looks[2][1].tokens)


@pytest.mark.parametrize("learnt", [False, True])
def test_learn_temperature(variant, inputs, learnt):
    model = variant(learn_temperature=learnt)
    model(**inputs, own=OWN).loss.backward()
    assert (model.temp.grad is not None) == learnt


def test_without_a_multi_word_branch_every_text_is_a_word(tiny, inputs):
    model = MstarModel(MstarConfig.tiny(multi_word_branch=False)).eval()
    model.load_state_dict(tiny.model.state_dict(), strict=False)
    with torch.no_grad():
        out = model(**inputs)
    torch.testing.assert_close(out.scores, out.similarity.cosine.amax(2).T)
    assert not [name for name in model.state_dict() if "aggregator" in name]


# PVE


@pytest.mark.parametrize("pve_steps", range(4))
def test_shapes_of_every_step(tiny, inputs, pve_steps):
    with torch.no_grad():
        found = tiny.model(**inputs, pve_steps=pve_steps)
    images = found.images
    assert len(images.looks) == pve_steps + 1 and images.grid == (16, 16)
    assert images.embeddings.shape == (2, 4 * (pve_steps + 1), 32)
    assert images.features.shape == (2, 4 * (pve_steps + 1), 16)
    torch.testing.assert_close(images.features.norm(dim=-1), torch.ones(2, 4 * (pve_steps + 1)))
    assert found.similarity.cosine.shape == (2, 3, 4 * (pve_steps + 1))
    assert found.scores.shape == (3, 2)
    for look in images.looks:
        assert look.tokens.shape == (2, 1, 256, 32) and look.mask.shape == (2, 1, 16, 16)
        torch.testing.assert_close(look.attention_map.sum((2, 3)), torch.ones(2, 1))


def test_what_was_attended_stays_attended(tiny, inputs):
    with torch.no_grad():
        looks = tiny.model(**inputs, pve_steps=3).images.looks
    seen = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
    for look in looks:
        seen |= look.salient
        assert torch.equal(look.mask == 0, seen) and torch.equal(look.mask == 1, ~seen)
    assert looks[0].salient.any()


def test_a_further_step_changes_no_earlier_one(tiny, inputs):
    with torch.no_grad():
        one, three = (tiny.model(**inputs, pve_steps=pve_steps).images for pve_steps in (1, 3))
    assert torch.equal(three.embeddings[:, :8], one.embeddings)


def test_the_same_image_in_another_batch(tiny, inputs):
    """An image's encoding does not depend on its company."""
    with torch.no_grad():
        both = tiny.model.encode_images(inputs["pixel_values"])
        alone = tiny.model.encode_images(inputs["pixel_values"][1:])
    torch.testing.assert_close(both.features[1:], alone.features, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (32, 128), (128, 32), (4, 4), (68, 100)])
@pytest.mark.parametrize("stem", [None, [(8, 2), (8, 2)]], ids=["patch", "stem"])
def test_any_size_that_is_a_multiple_of_the_patch(size, stem):
    model = MstarModel(MstarConfig.tiny(conv_stem=stem)).eval()
    with torch.no_grad():
        images = model.encode_images(torch.randn(1, 3, *size))
    assert images.grid == (size[0] // 4, size[1] // 4)
    assert images.tokens.shape[2] == images.grid[0] * images.grid[1]
    assert torch.isfinite(images.features).all()


@pytest.mark.parametrize("layers", [[(4, 2), (4, 2)], MstarConfig.sandbox().conv_stem])
def test_a_token_of_a_stem_sees_the_middle_of_its_patch(layers):
    stem = ConvStem(1, layers, 8).eval()
    for convolution in stem.modules():
        if isinstance(convolution, torch.nn.Conv2d):
            torch.nn.init.ones_(convolution.weight)
    patch = prod(stride for _, stride in layers)
    pixels = torch.ones(1, 1, 16 * patch, 16 * patch, requires_grad=True)
    tokens = stem.proj(stem.layers(pixels))
    assert tokens.shape == (1, 8, 16, 16)
    tokens[0, 0, 8, 8].backward()
    seen = pixels.grad[0, 0].sum(0)
    middle = (seen * torch.arange(16 * patch)).sum() / seen.sum()
    assert abs(middle - (8 * patch + (patch - 1) / 2)) <= 0.5


def test_positions_beside_a_stem_start_in_order():
    """All tokens differ, and the nearer two are, the more alike they start."""
    table = sine_positions(16, 128)
    assert table.shape == (256, 128)
    alike = (table @ table.T / table.pow(2).sum(1)).view(16, 16, 16, 16)
    assert torch.allclose(alike[5, 5, 5, 5], torch.tensor(1.0))
    assert alike.flatten(2).flatten(0, 1).clone().fill_diagonal_(0).max() < 0.999
    along = alike[5, 0, 5]
    assert (along.diff()[:3] < 0).all() and torch.allclose(alike[0, 5, :, 5], along)


@pytest.mark.parametrize("size", [(63, 64), (64, 66), (2, 4), (0, 64)])
def test_other_sizes_are_refused(tiny, size):
    message = f"image size {size[0]}×{size[1]} is not a multiple of the patch size 4"
    with pytest.raises(ValueError, match=message):
        tiny.model(pixel_values=torch.zeros(1, 3, *size))


def test_a_window_of_the_position_table(tiny):
    model, pixels = tiny.model, torch.randn(1, 3, 16, 64)
    with torch.no_grad():
        first, second = (model(pixels, window=(row, 0)).images.tokens for row in (0, 12))
    assert not torch.equal(first, second)
    with pytest.raises(ValueError, match=r"a 4×16 grid at \(13, 0\) leaves the 16×16"):
        model(pixels, window=(13, 0))


def test_wrong_calls(tiny, inputs):
    with pytest.raises(ValueError, match=r"pve_steps \(T\) must be from 0 to 64; got -1"):
        tiny.model(**inputs, pve_steps=-1)
    with pytest.raises(ValueError, match="give pixel_values, input_ids, or both"):
        tiny.model()


# Text, scores


def test_texts_are_read_by_length_in_training(tiny):
    model, processor = tiny.model, tiny.processor
    texts = ["a", "a rather long phrase of many words", "exit", "b", "no way", "zz", "x" * 30]
    batch = processor(text=texts, styles="phrase")
    config = MstarConfig.tiny()
    config.qformer_config.hidden_dropout_prob = 0.0
    config.qformer_config.attention_probs_dropout_prob = 0.0
    quiet = MstarModel(config)
    quiet.load_state_dict(model.state_dict())
    ids = batch["input_ids"], batch["attention_mask"]
    with torch.no_grad():
        expected, found = quiet.eval().encode_texts(*ids), quiet.train().encode_texts(*ids)
    torch.testing.assert_close(found.embeddings, expected.embeddings, rtol=0, atol=1e-5)
    assert torch.pdist(found.features).min() > 1e-3, "the texts are told apart"


def test_padding_does_not_count(tiny):
    model, processor = tiny.model, tiny.processor
    both = processor(text=["exit", "a much longer text"], styles="phrase")
    alone = processor(text=["exit"], styles="phrase")
    with torch.no_grad():
        padded, plain = (
            model.encode_texts(b["input_ids"], b["attention_mask"]) for b in (both, alone)
        )
    torch.testing.assert_close(padded.embeddings[:1], plain.embeddings, rtol=0, atol=1e-5)


@pytest.mark.parametrize("semantics", SEMANTICS)
def test_score_is_what_compare_scores(variant, inputs, semantics):
    model = variant(semantics=semantics)
    with torch.no_grad():
        out = model(**inputs, pve_steps=2)
        torch.testing.assert_close(
            model.score(out.images, out.texts, inputs["is_word"]), out.scores
        )


def test_the_matching_pass_sees_the_pair(tiny, inputs):
    pairs = torch.tensor([[0, 0], [0, 1], [1, 0]])
    with torch.no_grad():
        logits = tiny.model(**inputs, pairs=pairs).itm_logits
        deeper = tiny.model(**inputs, pairs=pairs, pve_steps=3).itm_logits
    assert torch.pdist(logits).min() > 1e-4
    assert torch.equal(logits, deeper), "it looks at f₀ alone"


# Folders


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_, **__):
        pytest.fail("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("stem", [None, [(8, 2), (8, 2)]], ids=["patch", "stem"])
@pytest.mark.parametrize("semantics", SEMANTICS)
def test_a_model_comes_back_bit_for_bit(tmp_path, inputs, offline, stem, semantics):
    torch.manual_seed(1)
    model = MstarModel(MstarConfig.tiny(conv_stem=stem, semantics=semantics, sigma_low=0.6)).eval()
    model.save_pretrained(tmp_path)
    read = AutoConfig.from_pretrained(tmp_path)
    saved = [json.loads(config.to_json_string(use_diff=False)) for config in (read, model.config)]
    differ = {name for name in saved[1] if saved[0][name] != saved[1][name]}
    assert differ <= {"_name_or_path", "architectures"}
    with torch.no_grad():
        expected = model(**inputs).scores
    for kind in (MstarModel, AutoModel):
        loaded = kind.from_pretrained(tmp_path)
        assert type(loaded) is MstarModel and not loaded.training
        theirs = loaded.state_dict()
        assert theirs.keys() == model.state_dict().keys()
        assert all(torch.equal(value, theirs[k]) for k, value in model.state_dict().items())
        with torch.no_grad():
            assert torch.equal(loaded(**inputs).scores, expected)
        frozen = {n for n, p in loaded.named_parameters() if not p.requires_grad}
        assert frozen == {n for n, p in model.named_parameters() if not p.requires_grad}


def test_the_saved_configuration_says_every_constant(tmp_path):
    MstarConfig.tiny(semantics="released").save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert {name: saved[name] for name in SEMANTICS["released"]} == SEMANTICS["released"]


def test_a_processor_comes_back(tmp_path, tiny, images, offline):
    processor = MstarProcessor(
        tiny.processor.image_processor, tiny.processor.tokenizer, prompts="released"
    )
    processor.save_pretrained(tmp_path)
    loaded = MstarProcessor.from_pretrained(tmp_path)
    assert loaded.prompts == "released"
    given = dict(images=images, text=["Exit", "no way"], styles=["word", "phrase"])
    expected, found = processor(**given), loaded(**given)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


# Processor


def test_pixels_are_normalised_as_clips(tiny):
    colour = (255, 128, 0)
    pixels = tiny.processor(images=[Image.new("RGB", (10, 30), colour)])["pixel_values"]
    assert pixels.shape == (1, 1, 3, 64, 64), "the aspect ratio is not kept"
    for channel, value, mean, std in zip(pixels[0, 0], colour, CLIP_MEAN, CLIP_STD, strict=True):
        expected = torch.full((64, 64), (value / 255 - mean) / std)
        torch.testing.assert_close(channel, expected, rtol=0, atol=1e-5)


def test_arrays_and_images_are_the_same(tiny, images):
    pictures = [Image.fromarray(image) for image in images]
    expected = tiny.processor(images=images)["pixel_values"]
    assert torch.equal(tiny.processor(images=pictures)["pixel_values"], expected)


def test_styles(tiny):
    processor = tiny.processor
    found = processor(text=["a", "b c"], styles=["word", "phrase"])
    assert found["is_word"].tolist() == [True, False]
    assert processor(text=["a", "b"])["is_word"].tolist() == [True, True]
    ids = [processor(text=["a"], styles=style)["input_ids"].tolist() for style in STYLES]
    assert len({str(i) for i in ids}) == 4, "each style has an instruction of its own"


@pytest.mark.parametrize(
    ("text", "styles", "message"),
    [
        (["a"], "wrod", "unknown style 'wrod': expected one of word, phrase, combined, semantic"),
        (["a"], ["word", "word"], "got 1 queries and 2 styles: one style each"),
        (["a", "b"], ["word"], "got 2 queries and 1 styles"),
        (["a", ""], "word", "the query '' has no words"),
        (["..."], "word", r"the query '\.\.\.' has no words"),
        (["   \n"], "word", "has no words"),
    ],
)
def test_wrong_queries(tiny, text, styles, message):
    with pytest.raises(ValueError, match=message):
        tiny.processor(text=text, styles=styles)


def test_instructions(tiny):
    paper = tiny.processor
    released = MstarProcessor(paper.image_processor, paper.tokenizer, prompts="released")
    assert [paper.instruct("No  WAY!", style) for style in STYLES] == [
        "word: no way",
        "phrase: no way",
        "combined: no way",
        "semantic: no way",
    ]
    assert {released.instruct("No WAY!", style) for style in STYLES} == {"a photo of 'no way '"}
    with pytest.raises(ValueError, match="one of paper, released, none; got 'mine'"):
        MstarProcessor(paper.image_processor, paper.tokenizer, prompts="mine")


def test_prompts_follow_the_preset(tiny):
    made = MstarProcessor.for_config(
        MstarConfig.tiny(semantics="released"), tiny.processor.tokenizer
    )
    assert made.prompts == "released" and tiny.processor.prompts == "paper"


def test_accents_and_unknown_letters(tiny):
    processor = tiny.processor
    plain, accented = processor(text=["cafe", "Café"])["input_ids"].tolist()
    assert plain == accented
    unknown = processor.tokenizer.unk_token_id
    with pytest.warns(UserWarning, match="does not know 日 本"):
        assert unknown in processor(text=["x日本"])["input_ids"]
    assert unknown not in processor(text=["it's 5 o'clock"], styles="phrase")["input_ids"]


def test_open_image(tmp_path):
    pixels = np.zeros((20, 30, 4), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (open_image(tmp_path / "a.png").size, open_image(str(tmp_path / "a.png")).mode) == (
        (30, 20),
        "RGB",
    )
    turned = Image.new("RGB", (30, 20))
    exif = turned.getexif()
    exif[0x0112] = 6  # the camera was held on its side
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert open_image(tmp_path / "turned.jpg").size == (20, 30)


def test_images_that_cannot_be_opened(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"there is no image .*nowhere\.png"):
        open_image(tmp_path / "nowhere.png")
    with pytest.raises(IsADirectoryError, match="is a folder where one image is asked for"):
        open_image(tmp_path)
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), np.uint8)).save(
        tmp_path / "whole.png"
    )
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:4000])
    for name in ("text.png", "empty.png", "cut.png"):
        with pytest.raises(ValueError, match=f"{name} cannot be read as an image"):
            open_image(tmp_path / name)
    monkeypatch.setattr(decoding, "MAX_PIXELS", 8099)
    with pytest.raises(ValueError, match=r"whole.png has 90×90 pixels, the limit is 8099"):
        open_image(tmp_path / "whole.png")


@pytest.mark.parametrize("side", [15_000, 40_000], ids=["our limit", "Pillow's"])
def test_a_small_file_of_many_pixels_is_refused_unopened(tmp_path, side):
    head = bytearray(b"BM" + bytes(52))  # a bitmap's header, and no pixel
    head[10], head[14], head[26], head[28] = 54, 40, 1, 24
    head[18:22] = head[22:26] = side.to_bytes(4, "little")
    (tmp_path / "bomb.bmp").write_bytes(head)
    with pytest.raises(ValueError, match=f"bomb.bmp has {side}×{side} pixels"):
        open_image(tmp_path / "bomb.bmp")

"""Where a run begins: seeds, SigLIP and BLIP-2 in transformers' own files."""

import json
import warnings

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import (
    Blip2Config,
    Blip2ForImageTextRetrieval,
    SiglipConfig,
    SiglipModel,
    SiglipVisionModel,
)

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.errors import UserError
from mstar.io import processing as characters
from mstar.io.bench import Bench
from mstar.io.processing import character_tokenizer
from mstar.io.released import resize_positions, resize_queries
from mstar.training import check_texts, fresh, grown, paper_word, photographs, sandbox, warm_start
from mstar.training.start import resize_images

QUERIES = "multimodal.query_tokens"
POSITIONS = "vision.siglip.embeddings.position_embedding.weight"


@pytest.fixture
def model() -> MstarModel:
    torch.manual_seed(0)
    return MstarModel(MstarConfig.tiny())


def siglip(image_size: int = 32) -> SiglipVisionModel:
    config = MstarConfig.tiny().vision_config.to_dict() | {"image_size": image_size}
    return SiglipVisionModel(SiglipConfig(vision_config=config).vision_config)


def blip2(encoder_width: int = 40, queries: int = 2) -> Blip2ForImageTextRetrieval:
    ours = MstarConfig.tiny()
    qformer = ours.qformer_config.to_dict() | {"encoder_hidden_size": encoder_width}
    vision = dict(hidden_size=encoder_width, intermediate_size=16, num_hidden_layers=1,
                  num_attention_heads=2, image_size=32, patch_size=16)  # fmt: skip
    return Blip2ForImageTextRetrieval(
        Blip2Config(
            vision_config=vision,
            qformer_config=qformer,
            num_query_tokens=queries,
            image_text_hidden_size=ours.embed_dim,
        )
    )


def test_both_are_taken_and_stretched(model, tmp_path):
    phi, psi = siglip(), blip2()
    phi.save_pretrained(tmp_path / "siglip")
    psi.save_pretrained(tmp_path / "blip2")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report = warm_start(model, tmp_path / "siglip", tmp_path / "blip2")
    ours = model.state_dict()
    for name, value in phi.state_dict().items():
        expected = value
        if name.endswith("position_embedding.weight"):
            expected = resize_positions(value, 16)  # of an 8 × 8 table
        assert torch.equal(ours[f"vision.siglip.{name}"], expected), name
    theirs = psi.state_dict()
    assert torch.equal(ours[QUERIES], resize_queries(theirs["query_tokens"], 4))
    for name, value in theirs.items():
        if name.startswith("qformer."):
            assert torch.equal(ours[f"multimodal.{name}"], value), name
    for name in ("vision_projection.weight", "itm_head.bias"):
        assert torch.equal(ours[name], theirs[name])
    words = "embeddings.word_embeddings.weight"
    assert torch.equal(ours[f"multimodal.text_{words}"], theirs[words])
    # the paper starts the MLP, SAS and the multi-word branch at random (4.2)
    for name in before:
        if name.startswith(("vision.mlp.", "sas.", "aggregator.")):
            assert torch.equal(ours[name], before[name]), name
    assert set(report.resized) == {POSITIONS, QUERIES} and report.left == ()
    trained = {name for name, _ in model.named_parameters()}
    untouched = trained - set(report.taken) - set(report.resized)
    assert all(n.startswith(("vision.mlp.", "sas.", "aggregator.", "temp")) for n in untouched)


def test_a_whole_siglip_serves_too(model, tmp_path):
    whole = SiglipModel(
        SiglipConfig(
            vision_config=siglip().config.to_dict(),
            text_config=dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                             num_attention_heads=2, vocab_size=8),
        )
    )  # fmt: skip
    whole.save_pretrained(tmp_path)
    warm_start(model, siglip=tmp_path)
    expected = whole.vision_model.post_layernorm.weight
    assert torch.equal(model.vision.siglip.post_layernorm.weight, expected)


def test_what_has_another_shape_is_left_and_said(model, tmp_path):
    """BLIP-2 with a wider image encoder: keys and values of the cross-attention do not fit."""
    blip2(encoder_width=48).save_pretrained(tmp_path)
    report = warm_start(model, blip2=tmp_path)
    assert {name.split("crossattention.attention.")[-1] for name in report.left} == {
        "key.weight",
        "value.weight",
    }
    assert len(report.left) == 2 * 2  # of the two layers with cross-attention
    assert "left random as their shapes differ: multimodal.qformer" in str(report)


def test_what_cannot_be_a_start_is_said_in_one_sentence(model, tmp_path):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"no weights")
    (tmp_path / "other").mkdir()
    save_file({"encoder.x": torch.ones(1)}, tmp_path / "other" / "model.safetensors")
    for place, message in (
        (tmp_path / "empty", "holds no .safetensors file"),
        (tmp_path / "broken", "model.safetensors is broken"),
        (tmp_path / "other", "has no vision model of SigLIP"),
        ("nobody/nothing", "no weights at 'nobody/nothing': give a folder"),
        (tmp_path / "none", "no weights at"),
    ):
        with pytest.raises(ValueError, match=message):
            warm_start(model, siglip=place)
    with pytest.raises(ValueError, match="has no Q-Former"):
        warm_start(model, blip2=tmp_path / "other")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_fresh_model_follows_from_the_seed():
    begun = fresh(sandbox(seed=5))
    one, processor = begun.model, begun.processor
    other = fresh(sandbox(seed=5)).model
    third = fresh(sandbox(seed=6)).model
    weight = one.vision_projection.weight
    assert torch.equal(other.vision_projection.weight, weight)
    assert not torch.equal(third.vision_projection.weight, weight)
    assert processor.image_processor.size["height"] == one.config.vision_config.image_size


def test_the_papers_size_needs_a_tokenizer():
    with pytest.raises(ValueError, match=r"holds the vocab.txt of bert-base-uncased"):
        fresh(paper_word((), (("list.json", "."),)))


def test_a_larger_image_has_a_larger_table(model):
    pixels = torch.randn(1, 3, 96, 96)
    table = model.vision.siglip.embeddings.position_embedding.weight.detach().clone()
    resize_images(model, 96)
    assert model.config.vision_config.image_size == 96 and model.config.grid_size == 24
    now = model.vision.siglip.embeddings.position_embedding.weight
    assert torch.equal(now, resize_positions(table, 24)) and now.requires_grad
    out = model.encode_images(pixels, pve_steps=0)
    assert out.grid == (24, 24) and torch.isfinite(out.features).all()
    resize_images(model, 96)  # nothing to do
    assert model.vision.siglip.embeddings.position_embedding.weight is now
    with pytest.raises(ValueError, match="image size 97 is not a multiple of the patch size 4"):
        resize_images(model, 97)


# A smaller model grows

CHARACTERS = "multimodal.text_embeddings.word_embeddings.weight"
RECIPE = photographs((("real.json", "."),))


def sized(**changed) -> MstarConfig:
    """The sandbox's kind of model, in a tenth of its time."""
    small = MstarConfig.sandbox()
    vision = dict(hidden_size=32, intermediate_size=48, num_attention_heads=2, image_size=64)
    qformer = dict(hidden_size=32, intermediate_size=48, num_attention_heads=2)
    qformer |= dict(encoder_hidden_size=32)
    more = {name: changed.pop(name) for name in ("image_size", "layers") if name in changed}
    if "layers" in more:
        vision["num_hidden_layers"] = qformer["num_hidden_layers"] = more["layers"]
    vision["image_size"] = more.get("image_size", 64)
    return MstarConfig.sandbox(
        vision_config=small.vision_config.to_dict() | vision,
        qformer_config=small.qformer_config.to_dict() | qformer,
        conv_stem=[(8, 2), (8, 2), (8, 2)],
        **{"embed_dim": 16} | changed,
    )


@pytest.fixture
def larger(monkeypatch):
    """`larger(…)`: what the recipe grows to."""

    def set_to(**changed):
        monkeypatch.setattr(MstarConfig, "photographs", lambda **own: sized(**changed | own))

    return set_to


def smaller(**changed) -> Bench:
    config = sized(**changed)
    torch.manual_seed(0)
    model = MstarModel(config).eval()
    processor = MstarProcessor.for_config(config, character_tokenizer(), captions=False)
    return Bench(model, processor)


def test_a_model_grows_and_sees_as_before(larger):
    """More layers, queries and tiles, the same pixels: φ gives the same tokens, bit for bit."""
    larger(layers=4, num_query_tokens=13, tiles=(1, 2))
    begun = smaller()
    model, processor = begun.model, begun.processor
    larger_one = grown(RECIPE, Bench(model, processor))
    made, pieces = larger_one.model, larger_one.processor
    made.eval()
    assert made.config.vision_config.num_hidden_layers == 4
    assert pieces.tiles == (1, 2) and not pieces.captions
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        (before, grid), (after, same) = model.vision(pixels), made.vision(pixels)
        assert torch.equal(before, after) and grid == same
        assert torch.equal(model.vision.project(before), made.vision.project(after))
    given, ours = model.state_dict(), made.state_dict()
    queries = ours[QUERIES]
    assert torch.equal(queries[:, :8], given[QUERIES])
    beside = (queries[:, 8:] - given[QUERIES][:, :5]).std() / given[QUERIES].std()
    assert 0.2 < beside < 0.4, "new ones begin beside old ones"
    assert torch.equal(ours[CHARACTERS][:67], given[CHARACTERS][:67])  # no text has the others
    for name, value in given.items():
        assert name in (QUERIES, CHARACTERS) or torch.equal(ours[name], value), name
    images = made.encode_images(pixels[:, None], pve_steps=1)
    assert images.features.isfinite().all() and images.features.shape == (2, 26, 16)


def test_a_new_layer_of_psi_begins_silent(larger):
    """Near the identity: its last norms come after, so only the scale of what it is given moves."""
    larger(layers=3)
    begun = smaller()
    model, processor = begun.model, begun.processor
    larger_one = grown(RECIPE, Bench(model, processor))
    made = larger_one.model
    layer = made.multimodal.qformer.encoder.layer[2]
    silenced = [layer.attention.output.dense, layer.crossattention.output.dense,
                layer.output.dense, layer.output_query.dense]  # fmt: skip
    assert all(not p.any() for part in silenced for p in part.parameters())
    last = model.multimodal.qformer.encoder.layer[1]
    assert torch.equal(layer.crossattention.attention.key.weight,
                       last.crossattention.attention.key.weight)  # fmt: skip
    inputs = processor(text=["exit", "one way"], styles=["word", "phrase"])
    ids = inputs["input_ids"], inputs["attention_mask"]
    with torch.no_grad():
        before, after = (one.eval().encode_texts(*ids).embeddings for one in (model, made))
    assert torch.cosine_similarity(before, after, dim=1).min() > 0.95


def test_a_larger_image_has_stretched_positions(larger):
    larger(image_size=96)
    begun = smaller()
    model, processor = begun.model, begun.processor
    larger_one = grown(RECIPE, Bench(model, processor))
    made, pieces = larger_one.model, larger_one.processor
    table = model.state_dict()[POSITIONS]
    assert torch.equal(made.state_dict()[POSITIONS], resize_positions(table, 12))
    assert pieces.image_processor.size["height"] == 96
    assert made.config.vision_config.image_size == 96


def test_characters_keep_their_embedding_whatever_their_number(larger, monkeypatch):
    """The old alphabet was shorter and in another order."""
    larger()
    with monkeypatch.context() as patched:
        patched.setattr(characters, "ALPHABET", characters.ALPHABET[40:3:-1])
        begun = smaller()
        model, processor = begun.model, begun.processor
        known = processor.tokenizer.get_vocab()
    larger_one = grown(RECIPE, Bench(model, processor))
    made, pieces = larger_one.model, larger_one.processor
    (unlike,) = (fresh(RECIPE).model.state_dict()[name] for name in [CHARACTERS])
    vocabulary = pieces.tokenizer.get_vocab()
    assert len(vocabulary) == 67 > len(known) and known["z"] != vocabulary["z"]
    theirs, ours = model.state_dict()[CHARACTERS], made.state_dict()[CHARACTERS]
    for character, number in vocabulary.items():
        if character in known:
            assert torch.equal(ours[number], theirs[known[character]]), character
        else:
            assert torch.equal(ours[number], unlike[number]), character
    assert torch.equal(ours[67:], unlike[67:])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(embed_dim=24), r"vision_projection.weight is \[16, 32\] in the smaller model and"),
        (dict(layers=1), "the smaller model has vision.siglip.encoder.layers.1.*the larger does"),
    ],
)
def test_what_differs_in_more_than_size_does_not_grow(larger, changed, message):
    larger(**changed)
    with pytest.raises(ValueError, match=message):
        grown(RECIPE, smaller())


def test_the_preset_for_photographs_grows_from_the_sandboxs():
    larger_one = grown(RECIPE, fresh(sandbox()))
    made, pieces = larger_one.model, larger_one.processor
    assert made.config.num_query_tokens == 16 and made.config.tiles == (1, 2, 3)
    assert made.config.vision_config.image_size == pieces.image_processor.size["height"] == 192


def test_lists_that_the_tokenizer_cannot_read_are_said_before_anything_is_trained(tmp_path):
    processor = MstarProcessor.for_config(MstarConfig.tiny(), character_tokenizer())
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")

    def listed(*texts: str) -> tuple[str, str]:
        entry = {"image": "a.png", "text": texts, "type": ["word"] * len(texts)}
        (tmp_path / "list.json").write_text(json.dumps([entry]), encoding="utf-8")
        return str(tmp_path / "list.json"), str(tmp_path)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_texts(processor, [listed("exit", "café")])
    with pytest.warns(
        UserWarning, match="of 2 different texts .* can read 1; .* 出口: what cannot"
    ):
        check_texts(processor, [listed("exit", "出口")])
    with pytest.raises(
        UserError, match="can read 0; it knows no letter of 入口, 出口: take a list"
    ):
        check_texts(processor, [listed("出口", "入口")])

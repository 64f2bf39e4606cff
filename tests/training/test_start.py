"""Where a run begins: seeds, SigLIP and BLIP-2 in transformers' own files."""

import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    Blip2Config,
    Blip2ForImageTextRetrieval,
    SiglipConfig,
    SiglipModel,
    SiglipVisionModel,
)

from mstar import MstarConfig, MstarModel
from mstar.official import resize_positions, resize_queries
from mstar.training import fresh, paper_word, sandbox, warm_start
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
    one, processor = fresh(sandbox(seed=5))
    other, _ = fresh(sandbox(seed=5))
    third, _ = fresh(sandbox(seed=6))
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
    out = model.encode_images(pixels, steps=0)
    assert out.grid == (24, 24) and torch.isfinite(out.features).all()
    resize_images(model, 96)  # nothing to do
    assert model.vision.siglip.embeddings.position_embedding.weight is now
    with pytest.raises(ValueError, match="image size 97 is not a multiple of the patch size 4"):
        resize_images(model, 97)

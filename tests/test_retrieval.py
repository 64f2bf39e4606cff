import math

import numpy as np
import pytest
import torch
from PIL import Image

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.processing import character_tokenizer
from mstar.queries import guess_style, parse_query
from mstar.retrieval import Gallery, rerank, rerank_count


@pytest.mark.parametrize(
    ("images", "ratio", "count"),
    [(1, 0.02, 1), (2, 0.02, 2), (50, 0.02, 2), (100, 0.07, 7), (101, 0.02, 3), (1000, 0.05, 50)],
)
def test_a_share_of_the_gallery_is_reranked_and_at_least_two(images, ratio, count):
    assert rerank_count(images, ratio) == count


def test_only_the_best_images_gain():
    scores = torch.tensor([[0.1, 0.5, 0.4, 0.3], [0.9, 0.2, 0.8, 0.1]])
    probability = torch.full((2, 4), 0.5)
    expected = torch.tensor([[0.1, 1.0, 0.9, 0.3], [1.4, 0.2, 1.3, 0.1]])
    torch.testing.assert_close(rerank(scores, probability, 0.02), expected)


def test_the_probability_may_be_computed_for_the_best_alone():
    scores = torch.rand(3, 7, generator=torch.Generator().manual_seed(0))
    table = torch.rand(3, 7, generator=torch.Generator().manual_seed(1))
    asked = []

    def probability(text, images):
        asked.append(images.tolist())
        return table[text, images]

    torch.testing.assert_close(rerank(scores, probability, 0.4), rerank(scores, table, 0.4))
    assert asked == scores.topk(3).indices.tolist()


# A gallery in memory


@pytest.fixture(scope="module")
def images():
    noise = torch.Generator().manual_seed(0)
    pixels = (torch.rand(6, 64, 64, 3, generator=noise) * 255).byte().numpy()
    return [Image.fromarray(one) for one in pixels]


@pytest.mark.parametrize(("text", "style"), [("exit", "word"), ("one way", "phrase")])
def test_a_gallery_ranks_as_the_model_scores(tiny, images, text, style):
    model, processor = tiny
    hits = Gallery(model, processor, images, batch_size=4).search(text, style)
    inputs = processor(images=images, text=[text], styles=[style])
    pairs = torch.tensor([[i, 0] for i in range(6)])
    with torch.no_grad():
        out = model(**inputs, pairs=pairs)
    expected = rerank(out.scores, out.itm_logits.softmax(-1)[:, 1][None], 0.02)[0]
    assert [hit.image for hit in hits] == expected.argsort(descending=True).tolist()
    assert [hit.rank for hit in hits] == list(range(1, 7))
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.image].item(), abs=1e-5)
        assert hit.cosine == pytest.approx(out.scores[0, hit.image].item(), abs=1e-5)
        assert math.isnan(hit.probability) == (hit.cosine_rank > 2)
    if style == "word":
        best = out.similarity.cosine[:, 0].argmax(1)
        assert all(hit.step * 4 + hit.query == best[hit.image] for hit in hits)


def test_an_empty_gallery_is_refused(tiny):
    with pytest.raises(ValueError, match="at least one image"):
        Gallery(*tiny, [])


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("exit", "word"),
        ("speed limit 25", "phrase"),
        ("1888 + celtic", "combined"),
        ("stop, one way", "combined"),
        ("'dream big' on a shirt", "semantic"),
        ("\u201cstop\u201d on a sign", "semantic"),
        ("it's open", "phrase"),
    ],
)
def test_a_style_is_guessed_and_the_guess_has_a_reason(text, style):
    guess, reason = guess_style(text)
    assert guess == style and reason
    assert parse_query(text)[1] == style


@pytest.mark.parametrize("attention", ["joint", "per_step"])
@pytest.mark.parametrize("steps", ["all", "first"])
@pytest.mark.parametrize("word_scoring", ["word", "multi_word"])
def test_the_embedding_that_decides_is_one_that_the_score_saw(attention, steps, word_scoring):
    """A word's score is the cosine it names; a look without a say never decides."""
    torch.manual_seed(0)
    config = MstarConfig.tiny(
        steps=1,
        initializer_range=0.2,
        multi_word_attention=attention,
        multi_word_scoring_steps=steps,
        word_scoring=word_scoring,
    )
    model = MstarModel(config).eval()
    processor = MstarProcessor.for_config(config, character_tokenizer())
    noise = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    data = processor(images=list(noise), text=["exit", "one way"], styles=["word", "phrase"])
    with torch.no_grad():
        images = model.encode_images(data["pixel_values"])
        texts = model.encode_texts(data["input_ids"], data["attention_mask"])
        chosen = model.deciding_embeddings(images, texts, data["is_word"])
        scores = model.score(images, texts, data["is_word"])
    assert chosen.shape == (2, 6)
    if word_scoring == "word":
        best = images.features[torch.arange(6), chosen[0]] @ texts.features[0]
        torch.testing.assert_close(best, scores[0])
    multi = chosen if word_scoring == "multi_word" else chosen[1:]
    if steps == "first":
        assert multi.max() < config.num_query_tokens
    elif attention == "joint":
        weights = model.aggregator.weights(texts.embeddings, images.embeddings).mean(2)
        assert torch.equal(multi[-1], weights[:, 1].argmax(dim=1))


def test_equal_images_say_which_of_them_were_matched(tiny, images):
    model, processor = tiny
    hits = Gallery(model, processor, [images[0]] * 30).search("exit", "word", ratio=0.2)
    matched = [hit for hit in hits if hit.probability == hit.probability]
    assert len(matched) == 6 and all(hit.probability > 0 for hit in matched)
    for hit in matched:
        assert hit.score == pytest.approx(hit.cosine + hit.probability, abs=1e-6)

import math
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.explain.contributions import without_each
from mstar.io.bench import Bench
from mstar.io.processing import character_tokenizer
from mstar.search import vectors
from mstar.search.gallery import Gallery
from mstar.search.reranking import TokenCache, rerank, rerank_count
from mstar.texts import Query, guess_style, parse_query, words_of


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
    model, processor = tiny.model, tiny.processor
    hits = Gallery.embed(Bench(model, processor), images, batch_size=4).search(text, style)
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
        assert (hit.probability is None) == (hit.cosine_rank > 2)
    if style == "word":
        best = out.similarity.cosine[:, 0].argmax(1)
        assert all(hit.look * 4 + hit.query_token == best[hit.image] for hit in hits)


def test_an_empty_gallery_is_refused(tiny):
    with pytest.raises(ValueError, match="at least one image"):
        Gallery.embed(tiny, [])


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
        ("10,000", "word"),
        ("10, 000", "combined"),
        ("c++", "word"),
    ],
)
def test_a_style_is_guessed_and_the_guess_has_a_reason(text, style):
    guess, reason = guess_style(text)
    assert guess == style and reason
    assert parse_query(text)[1] == style


def test_a_style_that_is_none_is_refused_and_a_colon_explained(tiny, images):
    gallery = Gallery.embed(tiny, images)
    for style in ("phrase2", "", "a b", "semantic-"):
        with pytest.raises(ValueError, match=f"unknown style '{style}': expected auto or one of"):
            gallery.search("exit", style)
    with pytest.raises(ValueError, match=r"'http'.* write its style, as in word:http://x\.org"):
        gallery.search("http://x.org")
    assert parse_query("word:http://x.org") == Query("http://x.org", "word")


@pytest.mark.parametrize("marks", ["''", '""', "\u2018\u2019", "\u201c\u201d"])
def test_quotation_marks_are_those_of_training_if_typed_and_kept_if_given(marks):
    typed = f"{marks[0]}dream big{marks[1]} on a shirt"
    assert parse_query(typed) == Query("'dream big' on a shirt", "semantic")
    assert without_each(Query(typed, "semantic")) == [
        ("dream", f"{marks[0]}big{marks[1]} on a shirt"),
        ("big", f"{marks[0]}dream{marks[1]} on a shirt"),
        ("on a shirt", f"{marks[0]}dream big{marks[1]}"),
    ]


@pytest.mark.parametrize("attention", ["joint", "per_step"])
@pytest.mark.parametrize("steps", ["all", "first"])
@pytest.mark.parametrize("word_scoring", ["word", "multi_word"])
def test_the_embedding_that_decides_is_one_that_the_score_saw(attention, steps, word_scoring):
    """A word's score is the cosine it names; a look without a say never decides."""
    torch.manual_seed(0)
    config = MstarConfig.tiny(
        pve_steps=1,
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
        chosen = model.evidence(images, texts, data["is_word"]).argmax(dim=2)
        scores = model.score(images, texts, data["is_word"])
    assert chosen.shape == (2, 6)
    if word_scoring == "word":
        best = images.features[torch.arange(6), chosen[0]] @ texts.features[0]
        torch.testing.assert_close(best, scores[0])
    multi = chosen if word_scoring == "multi_word" else chosen[1:]
    if steps == "first":
        assert multi.max() < config.num_query_tokens
    elif attention == "joint":
        (joint,) = model.aggregator(texts.embeddings, [images.embeddings])
        weights = joint.weights.mean(2)
        assert torch.equal(multi[-1], weights[:, 1].argmax(dim=1))


def test_of_equal_scores_the_first_images_are_looked_at_again():
    scores = torch.ones(1, 300)
    assert rerank(scores, torch.ones(1, 300), 0.02)[0].tolist() == [2] * 6 + [1] * 294


def test_hooks_are_heard_when_images_are_matched(tiny, images):
    model, processor = tiny.model, tiny.processor
    gallery = Gallery.embed(Bench(model, processor), images)
    before = gallery.search("exit")

    def nothing(tokens, *, point):
        return torch.zeros_like(tokens)

    with model.hooks({"vision.tokens": nothing}):
        blind = gallery.search("exit")  # embedded before, matched without a token
    assert blind[0].probability != pytest.approx(before[0].probability, abs=1e-6)
    assert gallery.search("exit") == before  # nothing of the hook is kept


def test_a_gallery_is_freed_at_once(tiny, images):
    gallery = Gallery.embed(tiny, images)
    gallery.search("exit")
    gone = weakref.ref(gallery)
    del gallery
    assert gone() is None


def test_in_half_precision(images):
    torch.manual_seed(0)
    config = MstarConfig.tiny()
    model = MstarModel(config).eval().to(torch.bfloat16)
    processor = MstarProcessor.for_config(config, character_tokenizer())
    hits = Gallery.embed(Bench(model, processor), images).search("exit")
    assert len(hits) == 6 and hits[0].probability is not None


def test_a_single_vision_embedding_has_no_lead(images):
    config = MstarConfig.tiny(num_query_tokens=1, pve_steps=0)
    model = MstarModel(config).eval()
    processor = MstarProcessor.for_config(config, character_tokenizer())
    why = Gallery.embed(Bench(model, processor), images).explain("exit", 0)
    assert why.values.shape == (1, 1, 1) and math.isnan(why.lead)


def test_equal_images_say_which_of_them_were_matched(tiny, images):
    model, processor = tiny.model, tiny.processor
    hits = Gallery.embed(Bench(model, processor), [images[0]] * 30).search(
        "exit", "word", None, ratio=0.2
    )
    matched = [hit for hit in hits if hit.probability is not None]
    assert len(matched) == 6 and all(hit.probability > 0 for hit in matched)
    for hit in matched:
        assert hit.score == pytest.approx(hit.cosine + hit.probability, abs=1e-6)


def test_a_batch_of_queries_is_the_same_as_one_by_one(tiny, images):
    gallery = Gallery.embed(tiny, images)
    queries = [Query("exit", "word"), Query("one way", "phrase"), Query("stop, go", "combined")]
    together = gallery.search_many(queries, k=3)
    for query, hits in zip(queries, together, strict=True):
        alone = gallery.search(query, k=3)
        assert [(hit.image, hit.rank) for hit in alone] == [(hit.image, hit.rank) for hit in hits]
        for one, other in zip(alone, hits, strict=True):
            assert one.score == pytest.approx(other.score, abs=1e-5)
    assert gallery.search("one way", k=2) == gallery.search("one way", "phrase", 2)
    assert len(gallery.search("exit")) == 6 and len(gallery.search("exit", k=2)) == 2


def test_what_reranking_moved_keeps_its_place_by_cosine(tiny, images, monkeypatch):
    gallery = Gallery.embed(tiny, images)
    plain = gallery.search("exit", ratio=0)
    swap = torch.tensor([0.1, 0.9])  # of the two best
    monkeypatch.setattr(gallery._matcher, "match", lambda query, best, tiles: swap)
    hits = gallery.search("exit", ratio=0.02)
    assert [hit.image for hit in hits[:2]] == [plain[1].image, plain[0].image]
    assert [(hit.rank, hit.cosine_rank) for hit in hits[:3]] == [(1, 2), (2, 1), (3, 3)]
    assert [hit.probability for hit in hits[:3]] == [pytest.approx(0.9), pytest.approx(0.1), None]
    assert hits[0].score == pytest.approx(hits[0].cosine + 0.9)
    why = gallery.explain("exit", hits[0].image, ratio=0.02)
    assert (why.hit.rank, why.hit.cosine_rank) == (1, 2)


def test_several_images_are_explained_by_one_search(tiny, images, monkeypatch):
    gallery = Gallery.embed(tiny, images)
    each = [gallery.explain("way out", image) for image in (3, 0)]
    searched, match = [], gallery._matcher.match
    monkeypatch.setattr(
        gallery._matcher, "match", lambda *given: searched.append(given) or match(*given)
    )
    for one, why in zip(each, gallery.explain_each("way out", [3, 0]), strict=True):
        assert (why.hit, why.kind, why.words) == (one.hit, one.kind, one.words)
        assert torch.equal(why.values, one.values)
    assert len(searched) == 1


def test_the_last_used_tokens_are_kept():
    cache = TokenCache(budget=2 * 4)  # two images of one float
    made = []

    def encode(images):
        made.extend(images)
        return torch.tensor(images, dtype=torch.float32).view(-1, 1, 1)

    for images in ([0], [1], [0], [2], [0]):
        cache.get(images, encode)
    assert made == [0, 1, 2]  # 2 took the place of 1, as 0 had been used since
    assert cache.get([1], encode).item() == 1 and made == [0, 1, 2, 1]


def test_blocks_change_nothing(tiny, images, monkeypatch):
    gallery = Gallery.embed(tiny, images, batch_size=4)
    queries = [Query("exit", "word"), Query("one way", "phrase")]
    whole = gallery.scores(queries)
    monkeypatch.setattr(vectors, "_BLOCK_BYTES", 1)  # an image at a time
    torch.testing.assert_close(gallery.scores(queries), whole, atol=1e-6, rtol=0)
    words = gallery.scores(queries[:1])
    torch.testing.assert_close(words, whole[:1], atol=1e-6, rtol=0)


def test_without_reranking_the_order_is_the_cosines(tiny, images):
    gallery = Gallery.embed(tiny, images)
    hits = gallery.search("exit", ratio=0)
    assert all(h.rank == h.cosine_rank and h.score == h.cosine for h in hits)
    assert all(hit.probability is None for hit in hits)
    with pytest.raises(ValueError, match="from 0 to 1; got 2"):
        gallery.search("exit", ratio=2)


def test_equal_images_keep_their_order(tiny, images):
    gallery = Gallery.embed(tiny, [images[1], images[0], images[1]], ["a", "b", "c"])
    hits = [hit for hit in gallery.search("exit", ratio=0) if hit.name != "b"]
    assert [hit.name for hit in hits] == ["a", "c"] and hits[0].rank + 1 == hits[1].rank


def test_the_token_cache_keeps_what_was_used_last():
    asked = []

    def encode(images):
        asked.append(list(images))
        return torch.tensor(images, dtype=torch.float)[:, None, None].expand(-1, 2, 5)

    cache = TokenCache(budget=2 * 2 * 5 * 4)  # room for two
    assert cache.get([3, 1], encode)[:, 0, 0].tolist() == [3, 1]
    assert cache.get([1, 2], encode)[:, 0, 0].tolist() == [1, 2]  # 3 makes room
    assert cache.get([2, 1, 3], encode)[:, 0, 0].tolist() == [2, 1, 3]
    assert asked == [[3, 1], [2], [3]]
    cache.clear()
    cache.get([3], encode)
    assert asked[3:] == [[3]]
    tight = TokenCache(budget=1)
    assert tight.get([1], encode).shape == tight.get([1], encode).shape == (1, 2, 5)
    assert asked[4:] == [[1], [1]]


# Why an image stands where it does


def test_an_explained_word_names_the_embedding_that_made_its_score(tiny, images):
    gallery = Gallery.embed(tiny, images)
    hits = gallery.search("exit")
    for hit in (hits[0], hits[-1]):
        why = gallery.explain("exit", hit.name)
        assert (why.query, why.kind, why.words) == (Query("exit", "word"), "cosine", ())
        assert (why.hit.rank, why.hit.cosine_rank) == (hit.rank, hit.cosine_rank)
        assert why.values.shape == (2, 1, 4)
        best = why.values[why.hit.look, why.hit.tile, why.hit.query_token]
        assert best == why.values.max() == pytest.approx(why.hit.cosine, abs=1e-6)
        second = why.values.flatten().sort().values[-2]
        assert why.lead == pytest.approx(float(best - second), abs=1e-6)
        # the trace is of this image
        assert float(why.trace["scores"][0, 0]) == pytest.approx(why.hit.cosine, abs=1e-5)


def test_words_of_a_phrase_are_left_out_one_by_one(tiny, images):
    gallery = Gallery.embed(tiny, images)
    why = gallery.explain("one way out", 2)
    assert why.kind == "weight" and why.values.sum() == pytest.approx(1, abs=1e-5)
    assert [word.word for word in why.words] == ["one", "way", "out"]
    for word, left in zip(why.words, ("way out", "one out", "one way"), strict=True):
        scores = gallery.scores([Query("one way out", "phrase"), Query(left, "phrase")])[:, 2]
        assert word.added == pytest.approx(float(scores[0] - scores[1]), abs=1e-5)
        alone = gallery.explain(word.word, 2)
        assert word.alone == pytest.approx(alone.hit.cosine, abs=1e-5)
        assert (word.look, word.query_token) == (alone.hit.look, alone.hit.query_token)
    assert why.trace.queries[0] == ("one way out", "phrase")
    assert [query.text for query in why.trace.queries[1:]] == ["one", "way", "out"]


def test_what_a_semantic_text_stands_on_is_a_part_of_its_own(tiny, images):
    why = Gallery.embed(tiny, images).explain("'dream big' on a shirt", 0)
    assert [word.word for word in why.words] == ["dream", "big", "on a shirt"]
    assert math.isnan(why.words[-1].alone) and why.words[-1].look == -1


@pytest.mark.parametrize(
    ("query", "without"),
    [
        (Query("stop, one way", "combined"), ["one way", "stop, way", "stop, one"]),
        (Query("'sale' on a sign", "semantic"), ["on a sign", "'sale'"]),
        (Query("a place with bread", "semantic"),
         ["place with bread", "a with bread", "a place bread", "a place with"]),
        (Query("exit", "word"), []),
        (Query("10,000", "word"), []),
        (Query("rock . roll", "phrase"), [". roll", "rock ."]),
    ],
)  # fmt: skip
def test_a_query_without_each_of_its_words(query, without):
    assert [text for _, text in without_each(query)] == without


def test_the_released_word_model_keeps_no_embeddings(images):
    torch.manual_seed(0)
    config = MstarConfig.tiny(semantics="released", multi_word_branch=False)
    model = MstarModel(config).eval()
    processor = MstarProcessor.for_config(config, character_tokenizer())
    gallery = Gallery.embed(Bench(model, processor), images)
    why = gallery.explain("one way", 0)
    assert why.kind == "cosine" and [word.word for word in why.words] == ["one", "way"]


def test_an_image_that_is_not_there_is_refused(tiny, images):
    gallery = Gallery.embed(tiny, images)
    with pytest.raises(ValueError, match="has no image 'x'"):
        gallery.explain("exit", "x")
    with pytest.raises(ValueError, match="images 0 to 5; got 6"):
        gallery.explain("exit", 6)
    with pytest.raises(ValueError, match="k must be 1 or more; got 0"):
        gallery.search("exit", k=0)
    with pytest.raises(ValueError, match="is no valid text"):
        gallery.search("a\udcff")
    with pytest.raises(ValueError, match="at least one text"):
        gallery.search_many([])
    with pytest.raises(ValueError, match="got 6 images and 1 names"):
        Gallery.embed(tiny, images, ["a"])


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (Query("exit", "word"), ("exit",)),
        (Query("stop, one way", "combined"), ("stop", "one", "way")),
        (Query("'dream big' on a shirt", "semantic"), ("dream", "big")),
        (Query("“sale” in a window", "semantic"), ("sale",)),
        (Query("'open' on the baker's door", "semantic"), ("open",)),
        (Query("'it's open' on a door", "semantic"), ("it's", "open")),
        (Query("'open'", "semantic"), ("open",)),
        (Query("it's open", "phrase"), ("it's", "open")),
        (Query("main st", "word"), ("main", "st")),
        (Query("10,000", "word"), ("10,000",)),
        (Query("rock . roll", "phrase"), ("rock", "roll")),
        (Query("a place that sells bread", "semantic"), ("a", "place", "that", "sells", "bread")),
    ],
)
def test_the_words_of_a_query(query, words):
    assert words_of(query) == words

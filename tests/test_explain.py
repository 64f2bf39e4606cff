"""What a trace says about an image, on values small enough to work out by hand."""

import pytest
import torch

from mstar.explain.assignment import (
    assigned_words,
    examine_assignment,
    explain_words,
    weighted_maps,
)
from mstar.explain.looks import cross_attention, embedding_maps, summarise_looks
from mstar.hooks.trace import Trace
from mstar.model.assignment import assign
from mstar.search.ranking import rank
from mstar.texts import Query

WHOLE = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]])


@pytest.fixture
def trace() -> Trace:
    """T = 1, one tile, two queries, two layers (0 and 2), one head, a grid of 1 × 4."""
    attention = torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 0, 1.0]])  # [query, token]
    cross = attention[None, None, None]  # [batch, tile, head, query, token]
    values = {
        "pve.0.layers.0.cross_attention": cross,
        "pve.0.layers.2.cross_attention": cross.flip(-1),
        "pve.0.attention_map": torch.tensor([[[[0.25, 0.25, 0.25, 0.25]]]]),
        "pve.0.salient": torch.tensor([[[[True, False, False, False]]]]),
        "pve.0.mask": torch.tensor([[[[0.0, 1, 1, 1]]]]),
        "pve.1.attention_map": torch.tensor([[[[0.5, 0.5, 0, 0]]]]),
        "pve.1.salient": torch.tensor([[[[True, True, False, False]]]]),
        "pve.1.mask": torch.tensor([[[[0.0, 0, 1, 1]]]]),
        "mim.similarity": torch.tensor([[[0.1, 0.7, 0.2, 0.9], [0.3, 0.2, 0.1, 0.8]]]),
        "mim.assignment": torch.tensor([[1, 3]]),
        "scores": torch.tensor([[0.9], [0.8]]),
    }
    return asked(Trace(values, (1, 4), 1, WHOLE), "word", "word")


def asked(trace, *styles) -> Trace:
    trace.queries = [
        Query(text, style) for text, style in zip(("exit", "way"), styles, strict=False)
    ]
    return trace


def test_looks_in_numbers(trace):
    first, second = summarise_looks(trace)
    assert (first.look, first.salient, first.neglected) == (0, 0.25, 0.75)
    assert (first.entropy, first.spread, first.peak) == pytest.approx((2, 4, 1))
    assert (second.entropy, second.spread, second.peak) == pytest.approx((1, 2, 2))


def test_an_assigned_word_may_have_a_negative_lead(trace):
    one, two = explain_words(trace)
    assert (one.kind, one.look, one.tile, one.query_token) == ("assigned", 0, 0, 1)
    assert (one.value, one.lead, one.score) == pytest.approx((0.7, -0.2, 0.9))
    assert (two.look, two.query_token, two.lead) == (1, 1, pytest.approx(0.5))


def test_a_phrase_rests_on_its_heaviest_embedding(trace):
    trace.tensors["mim.assignment"] = torch.tensor([[3, -1]])
    trace.tensors["mim.evidence"] = torch.tensor([[[1.0, 0, 0, 0], [0.1, 0.3, 0.5, 0.1]]])
    _, phrase = explain_words(asked(trace, "word", "phrase"))
    assert (phrase.kind, phrase.look, phrase.query_token) == ("weighted", 1, 0)
    assert (phrase.value, phrase.lead) == pytest.approx((0.5, 0.2))


def test_a_word_that_got_none(trace):
    trace.tensors["mim.assignment"] = torch.tensor([[-1, 3]])
    row = explain_words(trace)[0]
    assert (row.kind, row.look, row.tile, row.query_token) == ("none", -1, -1, -1)


def test_as_many_texts_as_were_traced(trace):
    with pytest.raises(ValueError, match="is of 2 texts and names 1: record it with"):
        explain_words(asked(trace, "word"))


def test_maps_of_heads_and_of_embeddings(trace):
    for layer in (0, 2):
        name = f"pve.{{}}.layers.{layer}.cross_attention"
        trace.tensors[name.format(1)] = trace.tensors[name.format(0)]
    attention = cross_attention(trace)
    assert attention.shape == (2, 2, 1, 1, 2, 1, 4)  # look, layer, tile, head, query_token, grid
    expected = torch.tensor([[0, 0, 0, 1.0], [1.0, 0, 0, 0]])
    torch.testing.assert_close(attention[0, :, 0, 0, 1, 0], expected)
    torch.testing.assert_close(embedding_maps(trace)[1], torch.tensor([[0.5, 0, 0, 0.5]]))


def test_the_margin_is_among_what_could_be_assigned(trace):
    """With `assignment_steps="first"` the second look's better embeddings took no part."""
    trace.meta["config"] = {"assignment_steps": "first"}
    trace.tensors["mim.assignment"] = torch.tensor([[1, 0]])
    rows, cosine = assigned_words(trace)
    assert rows == [0, 1] and cosine.shape == (2, 2)
    picks = examine_assignment(cosine, trace["mim.assignment"][0])
    assert [pick.margin for pick in picks] == pytest.approx([0.7, 0.7])  # 0.7 + 0.3 - 0.1 - 0.2


def test_without_a_second_branch_phrases_are_assigned_too(trace):
    rows, cosine = assigned_words(asked(trace, "word", "phrase"))
    assert rows == [0, 1] and cosine.shape == (2, 4)
    trace.tensors["mim.assignment"] = torch.tensor([[3, -1]])
    assert assigned_words(trace)[0] == [0]


def test_ranks_count_ties_against_the_image():
    scores = torch.tensor([0.5, 0.9, 0.5, 0.1])
    assert rank(scores, 1).rank == 1
    place = rank(scores, 0)
    assert (place.rank, place.total, place.order) == (3, 4, (1, 2, 0, 3))
    assert place.order[place.rank - 1] == 0


def test_the_margin_is_what_forbidding_a_pick_costs():
    """Both words like embedding 0 best; the sum is largest if the first gives way: 0.7 + 0.8."""
    cosine = torch.tensor([[0.9, 0.7, -0.5], [0.8, 0.2, 0.1]])
    first, second = examine_assignment(cosine, assign(cosine))
    assert (first.index, second.index) == (1, 0)
    # without (0, 1): 0.9 + 0.2; without (1, 0): 0.9 + 0.2
    assert (first.margin, second.margin) == pytest.approx((0.4, 0.4))
    assert first.conflict and second.conflict
    assert (first.greedy, first.greedy_value) == (0, pytest.approx(0.9))
    assert (first.runner_up, first.runner_up_value) == (0, pytest.approx(0.9))
    assert (second.runner_up, second.runner_up_value) == (1, pytest.approx(0.2))


def test_the_margin_agrees_with_trying_all_assignments():
    from itertools import permutations

    cosine = torch.rand(3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assignment = assign(cosine)

    def best(allowed):
        return max(
            sum(cosine[w, e].item() for w, e in enumerate(chosen))
            for chosen in permutations(range(5), 3)
            if allowed(chosen)
        )

    whole = best(lambda _: True)
    for word, pick in enumerate(examine_assignment(cosine, assignment)):
        without = best(lambda chosen, word=word, pick=pick: chosen[word] != pick.index)
        assert pick.margin == pytest.approx(whole - without)


def test_more_words_than_embeddings():
    cosine = torch.tensor([[0.9], [0.5]])
    given, left = examine_assignment(cosine, assign(cosine))
    assert (given.index, left.index) == (0, -1)
    assert given.margin == pytest.approx(0.4)  # the other word would take it
    assert given.runner_up == -1 and left.margin != left.margin
    (alone,) = examine_assignment(torch.tensor([[0.3]]), torch.tensor([0]))
    assert alone.margin == pytest.approx(0.3)  # nothing would be left


def test_a_text_of_several_words_is_carried_back_by_its_weights(trace):
    """Head 0 draws on embedding 0 of look 0 alone, head 1 on all four alike."""
    weights = torch.tensor([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    values = dict(trace.tensors) | {"mim.aggregator_attention": weights[None, None]}
    values["mim.evidence"] = weights.mean(0)[None, None]
    for layer in (0, 2):
        values[f"pve.1.layers.{layer}.cross_attention"] = values["pve.0.layers.0.cross_attention"]
    recorded = Trace(values, (1, 4), 1, WHOLE)
    maps = embedding_maps(recorded)
    assert maps.shape == (4, 1, 4)
    torch.testing.assert_close(maps[0], torch.tensor([[0.25, 0.25, 0.25, 0.25]]))
    torch.testing.assert_close(maps[3], torch.tensor([[0.0, 0, 0, 1]]))
    (carried,) = weighted_maps(recorded, [0])
    torch.testing.assert_close(carried[0], maps[0])
    torch.testing.assert_close(carried[1], maps.mean(0))

"""MIM and the losses on numbers that can be worked out by hand."""

from math import exp, log

import pytest
import torch
from torch.nn import functional as F

from mstar import MstarConfig, MstarModel
from mstar.model.assignment import assign, assign_per_image, word_scores
from mstar.model.losses import (
    assigned_loss,
    attention_entropy,
    contrastive_loss,
    idle_loss,
    matching_loss,
    matching_pairs,
    soft_cross_entropy,
    soft_targets,
)

YES, NO = True, False


@pytest.mark.parametrize(
    ("cosine", "expected"),
    [
        ([[0.1, 0.9, 0.3]], [1]),
        ([[0.9, 0.1], [0.2, 0.8]], [0, 1]),
        # both like 0 best: 0.9 + 0.2 < 0.8 + 0.7
        ([[0.9, 0.7], [0.8, 0.2]], [1, 0]),
        # greedy would take 0.9 first and end at 0.9 + 0.1 + 0.0
        ([[0.9, 0.8, 0.1], [0.8, 0.1, 0.0], [0.2, 0.1, 0.6]], [1, 0, 2]),
        ([[-0.5, -0.9], [-0.1, -0.2]], [0, 1]),
    ],
    ids=["best", "no conflict", "conflict", "greedy is wrong", "negative"],
)
def test_assignment_maximises_the_sum(cosine, expected):
    assert assign(torch.tensor(cosine)).tolist() == expected


def test_words_left_over_get_none():
    cosine = torch.tensor([[0.2, 0.1], [0.9, 0.8], [0.3, 0.9], [0.1, 0.0]])
    assert assign(cosine).tolist() == [-1, 0, 1, -1]
    many = assign(torch.rand(9, 4, generator=torch.Generator().manual_seed(0)))
    assert sorted(many.tolist()) == [-1] * 5 + [0, 1, 2, 3]


def test_each_image_assigns_its_own_words_alone():
    cosine = torch.tensor(
        [
            [[0.9, 0.1], [0.8, 0.7], [1.0, 1.0]],
            [[0.9, 0.1], [0.8, 0.7], [0.3, 0.4]],
            [[0.9, 0.1], [0.8, 0.7], [0.3, 0.4]],
        ]
    )
    candidates = torch.tensor([[YES, YES, NO], [NO, YES, NO], [NO, NO, NO]])
    expected = [[0, 1, -1], [-1, 0, -1], [-1, -1, -1]]
    assert assign_per_image(cosine, candidates).tolist() == expected


def test_word_scores_are_the_assigned_or_the_best_cosine():
    cosine = torch.tensor([[[0.9, 0.1, -0.2], [0.3, 0.4, 0.5]]], requires_grad=True)
    scores = word_scores(cosine, torch.tensor([[2, -1]]))
    torch.testing.assert_close(scores.detach(), torch.tensor([[-0.2, 0.5]]))
    scores.sum().backward()
    assert cosine.grad.tolist() == [[[0, 0, 1], [0, 0, 1]]]


def test_soft_targets():
    targets = soft_targets(torch.tensor([[YES, NO, NO, YES], [NO, YES, NO, NO], [NO] * 4]))
    expected = [[0.475, 0.025, 0.025, 0.475], [0.025, 0.925, 0.025, 0.025], [0.0] * 4]
    torch.testing.assert_close(targets, torch.tensor(expected))


def test_soft_cross_entropy_by_hand():
    logits = torch.tensor([[0.0, log(3)], [5.0, 5.0]])  # softmax 1/4 and 3/4; 1/2 and 1/2
    loss = soft_cross_entropy(logits, torch.tensor([[YES, NO], [NO, YES]]))
    first = -(0.95 * log(1 / 4) + 0.05 * log(3 / 4))
    torch.testing.assert_close(loss, torch.tensor([first, log(2)]))


def test_contrastive_loss_by_hand():
    """Two images, three texts; the last text is a negative of both and no row of t2v."""
    v2t = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    t2v = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    positives = torch.tensor([[YES, NO, NO], [NO, YES, NO]])
    found = contrastive_loss(v2t, t2v, positives, 1.5, 1.0)

    def row(values, positive):
        total = sum(exp(v) for v in values)
        weights = [0.1 / len(values) + 0.9 * (i == positive) for i in range(len(values))]
        return -sum(w * log(exp(v) / total) for w, v in zip(weights, values, strict=True))

    images = [row([2, 0, 1], 0), row([0, 1, 0], 1)]
    texts = [row([2, 0], 0), row([0, 1], 1)]
    torch.testing.assert_close(found.v2t, torch.tensor(images))
    torch.testing.assert_close(found.t2v, torch.tensor([*texts, 0.0]))
    expected = 1.5 * sum(texts) / 2 + sum(images) / 2
    assert found.loss.item() == pytest.approx(expected, rel=1e-6)


def test_unknown_pairs_are_no_candidates():
    """Image 0 may show text 1 although its list does not say so: two candidates are left to it."""
    v2t = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    positives = torch.tensor([[YES, NO, NO], [NO, YES, NO]])
    unknown = torch.tensor([[NO, YES, NO], [NO, NO, NO]])
    found = contrastive_loss(v2t, v2t.T, positives, 1.5, 1.0, unknown)

    def row(values, positive):
        total = sum(exp(v) for v in values)
        weights = [0.1 / len(values) + 0.9 * (i == positive) for i in range(len(values))]
        return -sum(w * log(exp(v) / total) for w, v in zip(weights, values, strict=True))

    images = [row([2, 1], 0), row([0, 1, 0], 1)]
    texts = [row([2, 0], 0), row([1], 0)]
    torch.testing.assert_close(found.v2t, torch.tensor(images))
    torch.testing.assert_close(found.t2v, torch.tensor([*texts, 0.0]))
    expected = 1.5 * sum(texts) / 2 + sum(images) / 2
    assert found.loss.item() == pytest.approx(expected, rel=1e-6)
    # whatever the logit of what is unknown is, it moves nothing, and it is not moved
    logits = v2t.clone()
    logits[0, 1] = 50
    logits.requires_grad_()
    other = contrastive_loss(logits, logits.T, positives, 1.5, 1.0, unknown)
    assert other.loss.item() == pytest.approx(expected, rel=1e-6)
    (gradient,) = torch.autograd.grad(other.loss, logits)
    assert gradient[0, 1] == 0 and (gradient[:, [0, 2]] != 0).all()


def test_where_nothing_is_unknown_the_loss_is_the_same():
    generator = torch.Generator().manual_seed(0)
    v2t = torch.randn(4, 6, generator=generator)
    positives = torch.rand(4, 6, generator=generator) < 0.3
    plain = contrastive_loss(v2t, v2t.T, positives, 1.5, 1.0)
    found = contrastive_loss(v2t, v2t.T, positives, 1.5, 1.0, torch.zeros_like(positives))
    for name in ("loss", "v2t", "t2v"):
        assert torch.equal(getattr(found, name), getattr(plain, name)), name


def test_an_image_without_text_is_no_row_but_a_candidate():
    v2t, t2v = torch.tensor([[1.0], [3.0]]), torch.tensor([[1.0, 3.0]])
    found = contrastive_loss(v2t, t2v, torch.tensor([[YES], [NO]]), 1.0, 1.0)
    share = exp(1) / (exp(1) + exp(3))
    expected = -(0.95 * log(share) + 0.05 * log(1 - share))  # v2t: one text, so 0
    assert found.loss.item() == pytest.approx(expected, rel=1e-6)


def test_matching_pairs_never_draw_a_positive_as_a_negative():
    generator = torch.Generator().manual_seed(0)
    own = torch.rand(5, 12, generator=generator) < 0.2
    positives = own | (torch.rand(5, 12, generator=generator) < 0.5)
    v2t = torch.randn(5, 12, generator=generator) * 3 + 50 * positives  # positives tempt most
    torch.manual_seed(0)
    for _ in range(200):
        pairs = matching_pairs(v2t, v2t.T, torch.rand(12), positives, own)
        matches = positives[pairs.images, pairs.texts]
        assert (matches == pairs.labels.bool()).all()
        first = pairs.labels == 1
        assert own[pairs.images[first], pairs.texts[first]].all()
        assert pairs.images[first].tolist() == own.any(1).nonzero().flatten().tolist()


def test_the_hardest_pairs_are_drawn():
    own = torch.eye(3, dtype=torch.bool)
    v2t = torch.tensor([[0.0, 9, 99], [99, 0, 9], [9, 99, 0]])
    pairs = matching_pairs(v2t, v2t.T, torch.ones(3), own, own)
    expected = [(0, 0), (1, 1), (2, 2), (1, 0), (2, 1), (0, 2), (0, 2), (1, 0), (2, 1)]
    assert list(zip(pairs.images.tolist(), pairs.texts.tolist(), strict=True)) == expected


def test_negatives_are_drawn_evenly_by_a_hardness_of_0():
    """With 1 the one that tempts most is always drawn, with 0 each of them as often."""
    own = torch.eye(4, dtype=torch.bool)
    v2t = torch.tensor([[0.0, 0, 0, 99]] * 3 + [[99.0, 0, 0, 0]])
    torch.manual_seed(0)
    drawn = {0.0: torch.zeros(4, 4), 0.5: torch.zeros(4, 4), 1.0: torch.zeros(4, 4)}
    for hardness, counts in drawn.items():
        for _ in range(300):
            pairs = matching_pairs(v2t, v2t.T, torch.ones(4), own, own, hardness)
            assert pairs.labels.tolist() == [1] * 4 + [0] * 8
            texts = pairs.texts[8:]  # those of image 0, 1, 2, 3
            counts[torch.arange(4), texts] += 1
    assert torch.equal(drawn[1.0][:, 3], torch.tensor([300.0, 300, 300, 0]))
    assert torch.equal(drawn[0.5], drawn[1.0])
    assert (drawn[0.0].diagonal() == 0).all()
    assert (drawn[0.0][~own] > 60).all() and (drawn[0.0][~own] < 140).all()
    for seed in (0, 1):  # unless asked for, as before
        by_default, hard = (
            (torch.manual_seed(seed), matching_pairs(v2t, v2t.T, torch.rand(4), own, own, *given))
            for given in ((), (1.0,))
        )
        assert torch.equal(by_default[1].texts, hard[1].texts)


def test_the_positive_text_with_the_larger_loss_is_drawn():
    own = torch.tensor([[YES, YES, YES]])
    pairs = matching_pairs(own * 1.0, own.T * 1.0, torch.tensor([0.0, 5.0, 0.0]), own, own)
    assert (pairs.images.tolist(), pairs.texts.tolist()) == ([0], [1]), "and there is no negative"
    unused = torch.zeros(3)  # a loss of zero everywhere is no error
    assert len(matching_pairs(own * 1.0, own.T * 1.0, unused, own, own).labels) == 1


def test_an_image_without_text_may_be_a_negative():
    own = torch.tensor([[YES, NO], [NO, NO], [NO, YES]])
    v2t = torch.tensor([[0.0, 9], [99, 99], [9, 0]])
    pairs = matching_pairs(v2t, v2t.T, torch.ones(2), own, own)
    assert pairs.images.tolist() == [0, 2, 1, 1, 0, 2]
    assert pairs.texts.tolist() == [0, 1, 0, 1, 1, 0]


def test_matching_loss():
    logits = torch.tensor([[0.0, log(3)], [0.0, log(3)]])
    expected = -(log(3 / 4) + log(1 / 4)) / 2
    assert matching_loss(logits, torch.tensor([1, 0])).item() == pytest.approx(expected)
    assert matching_loss(torch.zeros(0, 2), torch.zeros(0, dtype=torch.long)).item() == 0


def test_assigned_loss_by_hand():
    """Two own words at embeddings 1 and 0, a wrong text, and a phrase of the image."""
    cosine = torch.tensor([[[0.1, 0.9], [0.7, 0.2], [0.3, 0.4], [0.8, 0.8]]])
    assignment = torch.tensor([[1, 0, -1, -1]])
    excluded = torch.tensor([[NO, NO, NO, YES]])
    loss = assigned_loss(cosine, assignment, excluded, torch.tensor(0.5))

    def cross_entropy(right, *wrong):
        return -log(exp(right / 0.5) / sum(exp(value / 0.5) for value in (right, *wrong)))

    # the image's other word is a wrong answer, its phrase is not
    expected = (cross_entropy(0.9, 0.2, 0.4) + cross_entropy(0.7, 0.1, 0.3)) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_assigned_loss_of_nothing_is_zero_and_has_a_gradient():
    cosine = torch.rand(2, 3, 4, requires_grad=True)
    none = torch.full((2, 3), -1)
    loss = assigned_loss(cosine, none, none > 0, torch.tensor(0.05))
    loss.backward()
    assert loss.item() == 0 and (cosine.grad == 0).all()


def test_idle_loss_by_hand():
    """Embeddings 1 and 2 are idle: own words are texts 0 and 1, text 2 is wrong, 3 is a phrase."""
    cosine = torch.tensor([[[0.9, 0.3, 0.1], [0.2, 0.6, 0.5], [0.3, 0.4, 0.7], [0.8, 0.9, 0.2]]])
    assignment = torch.tensor([[0, -1, -1, -1]])  # word 1 found no embedding left
    own_words = torch.tensor([[YES, YES, NO, NO]])
    excluded = torch.tensor([[NO, NO, NO, YES]])
    loss = idle_loss(cosine, assignment, own_words, excluded, torch.tensor(0.5))

    def share(first, second, wrong):
        return (exp(first / 0.5) + exp(second / 0.5)) / sum(
            exp(value / 0.5) for value in (first, second, wrong)
        )

    expected = -(log(share(0.3, 0.6, 0.4)) + log(share(0.1, 0.5, 0.7))) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_idle_loss_leaves_out_images_without_words_and_assigned_embeddings():
    cosine = torch.rand(2, 2, 2, requires_grad=True)
    assignment = torch.tensor([[0, -1], [-1, -1]])
    own_words = torch.tensor([[YES, NO], [NO, NO]])
    none = torch.zeros(2, 2, dtype=torch.bool)
    idle_loss(cosine, assignment, own_words, none, torch.tensor(0.1)).backward()
    assert (cosine.grad[0, :, 1] != 0).all()
    assert (cosine.grad[0, :, 0] == 0).all() and (cosine.grad[1] == 0).all()
    loss = idle_loss(cosine, assignment, none, none, torch.tensor(0.1))
    assert loss.item() == 0 and loss.requires_grad


def test_attention_entropy_by_hand():
    one, even = torch.eye(4)[:2], torch.full((2, 4), 0.25)
    half = torch.tensor([[0.5, 0.5, 0, 0]] * 2)
    spread = torch.stack([one, even, half])[:, None].requires_grad_()  # [B, heads, queries, N]
    found = attention_entropy(spread)
    torch.testing.assert_close(found, torch.tensor([0.0, 1.0, 0.5]))
    found.sum().backward()
    assert torch.isfinite(spread.grad).all(), "even where the softmax came out as 0"


# The multi-word branch


@pytest.fixture
def branch():
    """As a new model has it."""
    torch.manual_seed(0)
    return MstarModel(MstarConfig.tiny()).eval().aggregator


def test_the_branch_starts_as_an_attention_weighted_mean(branch):
    """Identity maps: what is left is one shared norm, softmax, and two norms on the way out."""
    text, vision = torch.randn(3, 32), torch.randn(2, 5, 32)
    normed = F.layer_norm(vision, (32,))
    heads = [x.unflatten(-1, (2, 16)) for x in (F.layer_norm(text, (32,)), normed)]
    weights = (torch.einsum("nhe,bshe->bnhs", *heads) / 4).softmax(-1)
    mean = torch.einsum("bnhs,bshe->bnhe", weights, heads[1]).flatten(2)
    expected = F.layer_norm(2 * F.layer_norm(mean, (32,)), (32,))
    (found,) = branch(text, [vision])
    torch.testing.assert_close(found.embeddings, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.weights, weights)


def test_one_attention_per_group(branch):
    text, first, second = torch.randn(3, 32), torch.randn(2, 5, 32), torch.randn(2, 4, 32)
    both = branch(text, [first, second])
    for one, group in zip(both, (first, second), strict=True):
        torch.testing.assert_close(one, branch(text, [group])[0])


def test_the_order_of_the_embeddings_does_not_count(branch):
    text, vision = torch.randn(3, 32), torch.randn(2, 5, 32)
    there, back = (branch(text, [v])[0].embeddings for v in (vision, vision.flip(1)))
    torch.testing.assert_close(there, back)


# A whole batch


@pytest.mark.parametrize(
    ("is_word", "own"),
    [
        ([YES, YES, NO], [[YES, NO, YES], [NO, YES, NO]]),
        ([NO, NO, YES], [[YES, NO, YES], [NO, YES, NO]]),
        ([YES, YES, YES], [[YES, YES, YES], [NO, NO, NO]]),
        ([NO, NO, NO], [[YES, NO, NO], [NO, YES, YES]]),
    ],
    ids=["one multi-word text", "one word", "an image without text", "no word"],
)
def test_paper_batches_train(tiny, inputs, is_word, own):
    model = tiny.model
    batch = inputs | {"is_word": torch.tensor(is_word), "own": torch.tensor(own)}
    out = model(**batch)
    assert torch.isfinite(out.loss) and out.loss > 0
    (gradient,) = torch.autograd.grad(out.loss, model.multimodal.query_tokens)
    assert gradient.abs().sum() > 0
    assigned = out.similarity.assignment >= 0
    assert torch.equal(assigned, batch["own"] & batch["is_word"])


def test_one_image_with_one_text_trains(tiny, inputs):
    model = tiny.model
    batch = {name: value[:1] for name, value in inputs.items()} | {"own": torch.tensor([[YES]])}
    out = model(**batch)
    assert out.contrastive_loss.item() == pytest.approx(0, abs=1e-6), "there is nothing to confuse"
    (gradient,) = torch.autograd.grad(out.loss, model.multimodal.query_tokens)
    assert torch.isfinite(gradient).all() and gradient.abs().sum() > 0


def test_more_words_than_embeddings(tiny, inputs):
    model, processor = tiny.model, tiny.processor
    words = [f"word{i}" for i in range(6)]
    batch = dict(processor(text=words)) | {"pixel_values": inputs["pixel_values"][:1]}
    out = model(**batch, own=torch.ones(1, 6, dtype=torch.bool), pve_steps=0)
    chosen = out.similarity.assignment[0].tolist()
    assert sorted(chosen) == [-1, -1, 0, 1, 2, 3]
    assert torch.isfinite(out.loss)

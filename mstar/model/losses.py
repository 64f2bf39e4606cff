"""L_c and L_m of Eq. 5.

L_c: both directions of a contrastive loss with multi-positive, smoothed targets.
L_m: image-text matching, a two-class cross entropy on pairs that the contrastive scores find hard.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mstar.model.assignment import check_finite

#: Share of the target that is spread over all candidates (official.md 10).
SMOOTHING = 0.1
#: What a positive's logit becomes where negatives are drawn.
EXCLUDED = -1e4


def soft_targets(positives: Tensor, unknown: Tensor | None = None) -> Tensor:
    """Rows of a distribution: 0.9 shared by the positives, 0.1 by everything.

    A row without a positive (an image without text) is zero: it takes no part in the loss.

    Args:
        positives: bool [rows, candidates].
        unknown: bool [rows, candidates], candidates that are neither right nor wrong: not counted.
    """
    share = positives.float()
    counts = share.sum(dim=1, keepdim=True)
    targets = (1 - SMOOTHING) * share / counts.clamp(min=1)
    if unknown is None:
        targets = targets + SMOOTHING / positives.shape[1]
    else:
        known = (~unknown).float()
        targets = targets + SMOOTHING * known / known.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(counts > 0, targets, 0.0)


def soft_cross_entropy(logits: Tensor, positives: Tensor, unknown: Tensor | None = None) -> Tensor:
    """Per row −Σ target · log softmax(logits) over the candidates that are known; [rows]."""
    logits = logits.float()
    if unknown is not None:
        logits = logits.masked_fill(unknown, EXCLUDED)
    return -(soft_targets(positives, unknown) * logits.log_softmax(dim=1)).sum(dim=1)


@dataclass
class Contrastive:
    """Per-row losses of both directions and their weighted sum L_c."""

    loss: Tensor
    v2t: Tensor  # [images]
    t2v: Tensor  # [texts]


def contrastive_loss(
    v2t_logits: Tensor,
    t2v_logits: Tensor,
    positives: Tensor,
    t2v_weight: float,
    v2t_weight: float,
    unknown: Tensor | None = None,
) -> Contrastive:
    """L_c = α · L_t2v + β · L_v2t.

    Args:
        v2t_logits: [B, N], similarity / τ, each image a row.
        t2v_logits: [N, B], each text a row. Its values are the transpose of the other's in the
            word branch; the gradients need not be.
        positives: bool [B, N].
        t2v_weight, v2t_weight: α and β.
        unknown: bool [B, N], pairs that are neither right nor wrong; none of them is positive.
    """
    of_text = None if unknown is None else unknown.T
    v2t = soft_cross_entropy(v2t_logits, positives, unknown)
    t2v = soft_cross_entropy(t2v_logits, positives.T, of_text)
    loss = t2v_weight * _mean(t2v, positives.any(0)) + v2t_weight * _mean(v2t, positives.any(1))
    return Contrastive(loss, v2t, t2v)


def _mean(rows: Tensor, counted: Tensor) -> Tensor:
    return (rows * counted).sum() / counted.sum().clamp(min=1)


@dataclass
class MatchingPairs:
    """Pairs for the matching loss: `images[i]` with `texts[i]`, `labels[i]` = 1 if they match."""

    images: Tensor
    texts: Tensor
    labels: Tensor


@torch.no_grad()
def matching_pairs(
    v2t_logits: Tensor,
    t2v_logits: Tensor,
    t2v_losses: Tensor,
    positives: Tensor,
    own: Tensor,
    hardness: float = 1.0,
) -> MatchingPairs:
    """Hard pairs: one positive text per image, one negative image for it, one negative text.

    The positive text is drawn in proportion to its loss, the negatives in proportion to
    softmax(similarity) (official.md 11). An image without text, or a text or image without any
    negative, contributes no such pair.

    Args:
        v2t_logits: [B, N].
        t2v_logits: [N, B].
        t2v_losses: [N].
        positives: bool [B, N], what must not be drawn as a negative.
        own: bool [B, N], the texts that are written on an image's list.
        hardness: of the negatives, drawn in proportion to softmax(hardness · similarity): 1 as
            released, 0 = any. A ψ that starts from nothing learns nothing from look-alikes.

    Returns:
        up to 3·B pairs: positives, then (negative image, text), then (image, negative text).

    Raises:
        NotFinite: the logits are no numbers to draw by.
    """
    check_finite(v2t_logits)
    check_finite(t2v_logits)
    images = own.any(dim=1).nonzero().flatten()
    if not len(images):
        empty = images
        return MatchingPairs(empty, empty, empty)
    weight = own[images] * t2v_losses.clamp(min=1e-12)
    texts = torch.multinomial(weight, 1).flatten()
    negative_image, has_image = _draw(hardness * t2v_logits[texts], positives.T[texts])
    negative_text, has_text = _draw(hardness * v2t_logits[images], positives[images])
    return MatchingPairs(
        torch.cat([images, negative_image[has_image], images[has_text]]),
        torch.cat([texts, texts[has_image], negative_text[has_text]]),
        torch.cat(
            [
                torch.ones_like(images),
                torch.zeros_like(images[has_image]),
                torch.zeros_like(images[has_text]),
            ]
        ),
    )


def _draw(logits: Tensor, excluded: Tensor) -> tuple[Tensor, Tensor]:
    weights = logits.float().masked_fill(excluded, EXCLUDED).softmax(dim=1)
    return torch.multinomial(weights, 1).flatten(), ~excluded.all(dim=1)


def matching_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """L_m: mean two-class cross entropy; logits [P, 2], labels int64 [P]. No pairs, no loss."""
    if not len(labels):
        return logits.sum()
    return F.cross_entropy(logits.float(), labels)


def assigned_loss(
    cosine: Tensor, assignment: Tensor, excluded: Tensor, temperature: Tensor
) -> Tensor:
    """Each assigned vision embedding must tell its word from all texts of the batch.

    Not in the paper. The image's other words are wrong answers here: nothing else keeps one
    embedding from being a mixture of all words of its image, and an embedding that answers to one
    word has to look at that word.

    Args:
        cosine: [B, N, S] of N texts with S vision embeddings.
        assignment: int64 [B, N], −1 where nothing is assigned.
        excluded: bool [B, N], texts that are neither right nor wrong (an image's own phrases).

    Returns:
        mean cross entropy over the assigned pairs.
    """
    image, word = (assignment >= 0).nonzero(as_tuple=True)
    if not len(image):
        return cosine.sum() * 0
    logits = cosine[image, :, assignment[image, word]] / temperature  # [pairs, N]
    return F.cross_entropy(logits.masked_fill(excluded[image], EXCLUDED).float(), word)


def idle_loss(
    cosine: Tensor, assignment: Tensor, own_words: Tensor, excluded: Tensor, temperature: Tensor
) -> Tensor:
    """Each embedding to which no word is assigned must answer to some word of its image.

    Not in the paper. An image has fewer words than queries, and nothing else tells the others to
    look at text, whose share of C and so of the mask σ(C) is theirs as well.

    Args:
        cosine: [B, N, S] of N texts with S vision embeddings.
        assignment: int64 [B, N], −1 where nothing is assigned.
        own_words: bool [B, N], the words on each image's list; an image without any is left out.
        excluded: bool [B, N], texts that are neither right nor wrong (an image's own phrases).

    Returns:
        mean of −log Σ_{own words} softmax over the texts, over the idle embeddings.
    """
    idle = own_words.any(dim=1)[:, None].repeat(1, cosine.shape[2])  # [B, S]
    image, word = (assignment >= 0).nonzero(as_tuple=True)
    idle[image, assignment[image, word]] = False
    if not idle.any():
        return cosine.sum() * 0
    image, embedding = idle.nonzero(as_tuple=True)
    logits = (cosine[image, :, embedding] / temperature).float()  # [idle, N]
    log_shares = logits.masked_fill(excluded[image], EXCLUDED).log_softmax(dim=1)
    return -log_shares.masked_fill(~own_words[image], EXCLUDED).logsumexp(dim=1).mean()


def attention_entropy(probabilities: Tensor) -> Tensor:
    """How widely attention is spread: 0 = each query on one token, 1 = evenly over all N.

    Not in the paper. A head that looks at few tokens says where it looks.

    Args:
        probabilities: [B, heads, queries, N].

    Returns:
        [B], −Σ p log p in units of log N, mean over heads and queries.
    """
    p = probabilities.float()
    nats = -(p * p.clamp(min=1e-12).log()).sum(-1)  # p = 0 has a gradient too
    return nats.mean(dim=(1, 2)) / math.log(max(2, p.shape[-1]))

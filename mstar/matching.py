"""Multi-Instance Matching: which vision embedding answers to which text.

Word branch: cosine against every vision embedding; an image's own words are assigned one to one
(Hungarian). Multi-word branch: a text-conditioned summary of the vision embeddings (Eq. 4).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from transformers import initialization as init

from .configuration import MstarConfig
from .hooks import Run

UNASSIGNED = -1


class Place(NamedTuple):
    """Which of an image's vision embeddings: its look, its tile and its query token."""

    step: int
    tile: int
    query: int


#: Where no embedding is: a word that was left over.
NO_PLACE = Place(-1, -1, -1)


def place_of(index: int, tiles: int, queries: int) -> Place:
    """The place of an embedding by its index in E_V: look after look, tile after tile.

    Args:
        tiles, queries: V and Q.
    """
    step, rest = divmod(index, tiles * queries)
    return Place(step, *divmod(rest, queries))


class NotFinite(ValueError):
    """Similarities that are infinite or no numbers: the weights, or what a hook made of them."""


def check_finite(similarities: Tensor) -> None:
    """Before anything is chosen or drawn by them.

    Raises:
        NotFinite: some are infinite or no numbers.
    """
    if not torch.isfinite(similarities).all():
        raise NotFinite(
            "the similarities of texts and images should be finite numbers; some are infinite or "
            "no numbers at all."
        )


def assign(cosine: Tensor) -> Tensor:
    """Hungarian assignment of words to vision embeddings, maximising the summed cosine.

    Args:
        cosine: [words, embeddings].

    Returns:
        int64 [words]: the embedding of each word, all different. With more words than embeddings
        the words left over get −1 (the released code pairs them wrongly, official.md 15).
    """
    rows, columns = linear_sum_assignment(cosine.detach().float().cpu().numpy(), maximize=True)
    assignment = torch.full((cosine.shape[0],), UNASSIGNED, dtype=torch.long)
    assignment[torch.from_numpy(rows)] = torch.from_numpy(columns)
    return assignment.to(cosine.device)


def assign_per_image(cosine: Tensor, candidates: Tensor) -> Tensor:
    """The assignment of every image's own words.

    Args:
        cosine: [B, N, S] of N texts with S vision embeddings.
        candidates: bool [B, N], which texts are words of that image.

    Returns:
        int64 [B, N], −1 where nothing is assigned.

    Raises:
        NotFinite: some similarity is infinite or no number.
    """
    check_finite(cosine)
    assignment = torch.full(candidates.shape, UNASSIGNED, dtype=torch.long, device=cosine.device)
    for image in range(len(candidates)):
        words = candidates[image].nonzero().flatten()
        if len(words):
            assignment[image, words] = assign(cosine[image, words])
    return assignment


def word_scores(cosine: Tensor, assignment: Tensor) -> Tensor:
    """Cosine at the assigned embedding where there is one, the best cosine elsewhere.

    Args:
        cosine: [B, N, S].
        assignment: int64 [B, N].

    Returns:
        [B, N].
    """
    assigned = cosine.gather(2, assignment.clamp(min=0)[..., None])[..., 0]
    return torch.where(assignment == UNASSIGNED, cosine.amax(dim=2), assigned)


class MultiWordBranch(nn.Module):
    """E_vt = F(C(Q = E_m, K, V = E_V)) (Eq. 4), one light cross-attention and a feed-forward.

    Every linear map starts as the identity and both sides share one norm (official.md 9), so at
    the start the branch is an attention-weighted mean of the vision embeddings.
    """

    def __init__(self, config: MstarConfig):
        super().__init__()
        dim = config.qformer_config.hidden_size
        if dim % config.multi_word_heads:
            raise ValueError(
                f"multi_word_heads {config.multi_word_heads} must divide ψ's width {dim}."
            )
        self.heads = config.multi_word_heads
        self.norm_in = nn.LayerNorm(dim)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        self.norm_mid = nn.LayerNorm(dim)
        self.feed_forward = nn.Linear(dim, dim)
        self.norm_out = nn.LayerNorm(dim)

    def init_identity(self) -> None:
        for child in self.children():
            if isinstance(child, nn.Linear):
                init.eye_(child.weight)
                init.zeros_(child.bias)

    def forward(
        self, text: Tensor, vision: Sequence[Tensor], run: Run | None = None
    ) -> list[Tensor]:
        """Condition images on texts.

        Args:
            text: E_m [N, d].
            vision: groups of vision embeddings, each [B, S, d]. One group = one attention over
                all of them; a group per step = one attention per step.

        Returns:
            per group, E_vt [B, N, d].
        """
        query = self._split(self.query(self.norm_in(text)))  # [N, heads, d / heads]
        values, weights = [], []
        for group in vision:
            normed = self.norm_in(group)
            values.append(self._split(self.value(normed)))  # [B, S, heads, d / heads]
            weights.append(self._weights(query, normed))
        if run is not None:
            sizes = [w.shape[-1] for w in weights]
            heard = run("mim.aggregator_attention", torch.cat(weights, dim=-1))
            weights = list(heard.split(sizes, dim=-1))
        outputs = []
        for value, weight in zip(values, weights, strict=True):
            mixed = torch.einsum("bnhs,bshe->bnhe", weight, value).flatten(2)
            hidden = self.norm_mid(self.out(mixed))
            outputs.append(self.norm_out(hidden + self.feed_forward(hidden)))
        return outputs

    def weights(self, text: Tensor, vision: Tensor) -> Tensor:
        """How much each text [N, d] draws on each of an image's embeddings [B, S, d].

        Returns:
            [B, N, heads, S], summing to 1 over S.
        """
        query = self._split(self.query(self.norm_in(text)))
        return self._weights(query, self.norm_in(vision))

    def _weights(self, query: Tensor, normed: Tensor) -> Tensor:
        logits = torch.einsum("nhe,bshe->bnhs", query, self._split(self.key(normed)))
        return (logits * query.shape[-1] ** -0.5).softmax(dim=-1)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))

"""Multi-Instance Matching: which vision embedding answers to which text, and what it scores.

Word branch: cosine against every vision embedding; an image's own words are assigned one to one
(Hungarian). Multi-word branch: a text-conditioned summary of the vision embeddings (Eq. 4).

Every score goes one way, whether a gallery is ranked, a run recorded, a loss computed or a score
explained: by `assignment.word_scores`, or through `_scoring` and `_best_cosine`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import initialization as init

from mstar.hooks.run import Run
from mstar.model.assignment import UNASSIGNED, assign_per_image, check_assignment, word_scores
from mstar.model.configuration import MstarConfig
from mstar.model.outputs import ImageEncoding, Similarity, TextEncoding, VisionEmbeddings


class Conditioned(NamedTuple):
    """Images as texts draw on them, from one group of vision embeddings.

    Attributes:
        embeddings: E_vt [B, N, d].
        weights: how much each text draws on each embedding, [B, N, heads, S], summing to 1.
    """

    embeddings: Tensor
    weights: Tensor


class MultiWordBranch(nn.Module):
    """E_vt = F(C(Q = E_m, K, V = E_V)) (Eq. 4), one light cross-attention and a feed-forward.

    Every linear map starts as the identity and both sides share one norm (official.md 9), so at
    the start the branch is an attention-weighted mean of the vision embeddings.
    """

    def __init__(self, config: MstarConfig):
        super().__init__()
        dim = config.qformer_config.hidden_size
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
    ) -> list[Conditioned]:
        """Condition images on texts.

        Args:
            text: E_m [N, d].
            vision: groups of vision embeddings, each [B, S, d]. One group = one attention over
                all of them; a group per look = one attention per look.
        """
        query = self._split(self.query(self.norm_in(text)))  # [N, heads, d / heads]
        values, weights = [], []
        for group in vision:
            normed = self.norm_in(group)
            values.append(self._split(self.value(normed)))  # [B, S, heads, d / heads]
            logits = torch.einsum("nhe,bshe->bnhs", query, self._split(self.key(normed)))
            weights.append((logits * query.shape[-1] ** -0.5).softmax(dim=-1))
        if run is not None:
            sizes = [w.shape[-1] for w in weights]
            heard = run("mim.aggregator_attention", torch.cat(weights, dim=-1))
            weights = list(heard.split(sizes, dim=-1))
        conditioned = []
        for value, weight in zip(values, weights, strict=True):
            mixed = torch.einsum("bnhs,bshe->bnhe", weight, value).flatten(2)
            hidden = self.norm_mid(self.out(mixed))
            made = self.norm_out(hidden + self.feed_forward(hidden))
            conditioned.append(Conditioned(made, weight))
        return conditioned

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))


class MultiInstanceMatching:
    """What `MstarModel` does with E_V and E_T: both branches, and from either to a score.

    It is a part of the model, which has the configuration, the aggregator, the projections and τ.
    """

    config: MstarConfig
    aggregator: MultiWordBranch
    vision_projection: nn.Linear
    temp: nn.Parameter

    def compare(
        self,
        images: ImageEncoding,
        texts: TextEncoding,
        is_word: Tensor,
        own: Tensor | None = None,
        run: Run | None = None,
    ) -> Similarity:
        """MIM with everything that can be looked at or trained (section 3; official.md 9 and 12).

        Args:
            is_word: bool [N], which texts are single words.
            own: bool [B, N], which texts are written in which image, in training. Their pairs are
                scored at the assigned embedding. Without it every word is assigned in every image,
                to be looked at, and scores are those of `score`.
        """
        config = self.config
        words = is_word if config.multi_word_branch else torch.ones_like(is_word)
        cosine = _cosine(images.features, texts.features, run)
        count = cosine.shape[2] if config.assignment_steps == "all" else self.look_size(images)
        candidates = words.expand(cosine.shape[:2]) if own is None else own & words
        assignment = assign_per_image(cosine[..., :count], candidates)
        if run is not None:
            assignment = run("mim.assignment", assignment)
            check_assignment(assignment, count)
        at = assignment if own is not None else torch.full_like(assignment, UNASSIGNED)

        # Each direction may train only its own side; the values are the same. A hook is called for
        # each of them, so that what it makes of the values has the same gradients.
        v2t_cosine = t2v_cosine = cosine
        if config.stop_gradient and torch.is_grad_enabled():
            v2t_cosine = _cosine(images.features, texts.features.detach(), run)
            t2v_cosine = _cosine(images.features.detach(), texts.features, run)
        v2t, t2v = (self._word_logits(one, at, count) for one in (v2t_cosine, t2v_cosine))
        scores = word_scores(cosine, at)
        conditioned: list[Conditioned] = []
        if config.multi_word_branch:
            groups = self._groups(images)
            conditioned = self.aggregator(texts.embeddings, groups, run)
            multi_v2t, multi_t2v = self._multi_word_logits(groups, conditioned, texts, own, run)
            v2t, t2v = torch.where(words, v2t, multi_v2t), torch.where(words, t2v, multi_t2v)
            conditioned = self._scoring(images, texts, conditioned)
            by_word = self.scored_by_word(is_word)
            scores = torch.where(by_word, scores, self._best_cosine(conditioned, texts))
        if run is not None and run.wants("mim.evidence"):
            run("mim.evidence", self._evidence(cosine, conditioned, texts, is_word),
                readonly="it says what counted, and nothing is made from it")  # fmt: skip
        scores = scores.T
        if run is not None:
            scores = run("scores", scores)
        return Similarity(cosine, assignment, v2t, t2v, scores)

    def score(self, images: VisionEmbeddings, texts: TextEncoding, is_word: Tensor) -> Tensor:
        """What ranks a gallery, [N, B]: the scores of `compare`, at the cost of nothing else.

        Args:
            is_word: bool [N], which texts are single words.
        """
        by_word = self.scored_by_word(is_word)
        scores = images.features.new_empty(len(is_word), len(images.features))
        cosine = _cosine(images.features, texts.features[by_word])
        scores[by_word] = cosine.amax(dim=2).T.to(scores)  # autocast makes them half
        if not by_word.all():
            rest = texts.of(~by_word)
            conditioned = self._scoring(images, rest)
            scores[~by_word] = self._best_cosine(conditioned, rest).T.to(scores)
        return scores

    def evidence(self, images: VisionEmbeddings, texts: TextEncoding, is_word: Tensor) -> Tensor:
        """How much every vision embedding counts in `score`, [N, B, (T+1)·V·Q].

        In the word branch it is the cosine, whose largest is the score. In the other it is the
        weight, mean over heads, of those that the score sees and 0 of all others: with one
        attention per look those of the best look alone.
        """
        cosine = _cosine(images.features, texts.features)
        several = not self.scored_by_word(is_word).all()
        conditioned = self._scoring(images, texts) if several else []
        return self._evidence(cosine, conditioned, texts, is_word).transpose(0, 1)

    def look_size(self, images: VisionEmbeddings) -> int:
        """V·Q, how many vision embeddings each look of these images makes."""
        return images.tiles * self.config.num_query_tokens

    @torch.no_grad()
    def matched_tiles(
        self, images: VisionEmbeddings, texts: TextEncoding, is_word: Tensor
    ) -> Tensor:
        """The tiles that the matching pass looks at for every text in every image.

        They are the whole and the one that holds the embedding that counts most in the score
        (`evidence`). With one tile that one is all.

        Returns:
            int64 [N, B, K], K = 1 or 2.
        """
        shape = (len(is_word), len(images.features))
        whole = torch.zeros(shape, dtype=torch.long, device=images.features.device)
        if images.tiles == 1:
            return whole[..., None]
        best = self.evidence(images, texts, is_word).argmax(dim=2)
        tile = best % self.look_size(images) // self.config.num_query_tokens
        return torch.stack([whole, tile], dim=2)

    def scored_by_word(self, is_word: Tensor) -> Tensor:
        """bool [N], which texts the word branch scores at inference."""
        if not self.config.multi_word_branch:
            return torch.ones_like(is_word)
        return is_word & (self.config.word_scoring == "word")

    def _word_logits(self, cosine: Tensor, assignment: Tensor, count: int) -> Tensor:
        """[B, N, S], the first `count` of S assignable -> training logits [B, N] of the words."""
        if cosine.shape[2] == count:
            return word_scores(cosine, assignment) / self.temp
        first = word_scores(cosine[..., :count], assignment) / self.temp
        recycled = cosine[..., count:].amax(dim=2)
        if self.config.recycled_temperature:
            recycled = recycled / self.temp
        return torch.maximum(first, recycled)

    def _multi_word_logits(
        self,
        groups: list[Tensor],
        conditioned: list[Conditioned],
        texts: TextEncoding,
        own: Tensor | None,
        run: Run | None,
    ) -> tuple[Tensor, Tensor]:
        """Training logits of the multi-word branch for all texts, v2t and t2v, [B, N] each."""
        projected = self.config.multi_word_projected
        v2t = t2v = self._best_cosine(conditioned, texts)
        split = self.config.stop_gradient and own is not None
        if split:  # each side gathered without a gradient, as released
            detached = [group.detach() for group in groups]
            t2v = self._best_cosine(self.aggregator(texts.embeddings, detached, run), texts)
            conditioned = self.aggregator(texts.embeddings.detach(), groups, run)
        if split or not projected:
            sides = texts.features if projected else texts.embeddings
            project = self.vision_projection if projected else nn.Identity()
            v2t = _cosines(conditioned, sides.detach() if split else sides, project).amax(0)
        return v2t / self.temp, t2v / self.temp

    def _groups(self, images: VisionEmbeddings) -> list[Tensor]:
        """What the multi-word branch attends to: E_V of all looks together, or look by look."""
        if self.config.multi_word_attention == "per_step":
            return list(images.embeddings.split(self.look_size(images), dim=1))
        return [images.embeddings]

    def _scoring(
        self,
        images: VisionEmbeddings,
        texts: TextEncoding,
        conditioned: list[Conditioned] | None = None,
    ) -> list[Conditioned]:
        """E_vt of each group that a score sees.

        Args:
            conditioned: of all groups, where they are made already.
        """
        config, groups = self.config, self._groups(images)
        if config.multi_word_scoring_steps == "first":
            groups = [images.embeddings[:, : self.look_size(images)]]
            if config.multi_word_attention == "per_step" and conditioned is not None:
                return conditioned[:1]
        elif conditioned is not None:
            return conditioned
        return self.aggregator(texts.embeddings, groups)

    def _best_cosine(self, conditioned: list[Conditioned], texts: TextEncoding) -> Tensor:
        """The score of the multi-word branch, [B, N]."""
        return _cosines(conditioned, texts.features, self.vision_projection).amax(0)

    def _evidence(
        self, cosine: Tensor, conditioned: list[Conditioned], texts: TextEncoding, is_word: Tensor
    ) -> Tensor:
        """See `evidence`; [B, N, S] from what the score was made of."""
        by_word = self.scored_by_word(is_word)
        if by_word.all():
            return cosine
        best = _cosines(conditioned, texts.features, self.vision_projection).argmax(0)  # [B, N]
        weights, start = torch.zeros_like(cosine), 0
        for number, one in enumerate(conditioned):
            part = slice(start, start := start + one.weights.shape[-1])
            weights[..., part] = one.weights.mean(2) * (best == number)[..., None]
        return torch.where(by_word[:, None], cosine, weights)


def _cosine(vision: Tensor, text: Tensor, run: Run | None = None) -> Tensor:
    """Unit vectors [B, S, e] and [N, e] -> [B, N, S]."""
    cosine = torch.einsum("bse,ne->bns", vision, text)
    return cosine if run is None else run("mim.similarity", cosine)


def _cosines(conditioned: list[Conditioned], text: Tensor, project: nn.Module) -> Tensor:
    """Cosine of each group's E_vt with the texts [N, ·]; [groups, B, N]."""
    text = F.normalize(text, dim=-1)
    return torch.stack(
        [(F.normalize(project(one.embeddings), dim=-1) * text).sum(-1) for one in conditioned]
    )

"""MSTAR, top to bottom as in section 3 of the paper: φ, PVE, text, MIM, losses."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers import initialization as init
from transformers.models.blip_2.modeling_blip_2 import Blip2TextEmbeddings
from transformers.models.siglip.modeling_siglip import SiglipVisionEmbeddings

from . import distributed, tracing
from . import hooks as hooking
from .configuration import MstarConfig
from .hooks import Hooks, Names, Run
from .losses import contrastive_loss, matching_loss, matching_pairs
from .matching import MultiWordBranch, assign_per_image, word_scores
from .multimodal import MultimodalEncoder
from .outputs import ImageEncoding, MstarOutput, Similarity, TextEncoding, VisionEmbeddings
from .recycling import SalientAttentionShift, progressive_vision_embedding
from .trace import Trace
from .vision import VisionEncoder


class MstarModel(PreTrainedModel):
    """Multi-query scene text retrieval with attention recycling.

    >>> model = MstarModel.from_pretrained(folder)
    >>> out = model(**processor(images=[image], texts=["exit"], styles=["word"]))
    >>> out.scores  # [texts, images]
    """

    config: MstarConfig
    base_model_prefix = "mstar"
    main_input_name = "pixel_values"
    input_modalities = ("image", "text")
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config: MstarConfig):
        super().__init__(config)
        dim = config.qformer_config.hidden_size
        self.vision = VisionEncoder(config)  # φ and the MLP
        self.multimodal = MultimodalEncoder(config)  # ψ
        self.sas = SalientAttentionShift(config)  # S
        self.vision_projection = nn.Linear(dim, config.embed_dim)
        self.text_projection = nn.Linear(dim, config.embed_dim)
        self.itm_head = nn.Linear(dim, 2)
        if config.multi_word_branch:
            self.aggregator = MultiWordBranch(config)
        self.temp = nn.Parameter(torch.tensor(config.temperature))
        self.post_init()
        self.freeze()

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As in transformers, which makes every loaded parameter trainable: freeze again."""
        loaded = super().from_pretrained(*args, **kwargs)
        (loaded[0] if isinstance(loaded, tuple) else loaded).freeze()
        return loaded

    def set_attn_implementation(self, *args: Any, **kwargs: Any) -> None:
        """As in transformers, for φ; ψ keeps its own, which lets its attention be heard."""
        super().set_attn_implementation(*args, **kwargs)
        self.multimodal.keep_attention()

    def freeze(self) -> None:
        """Keep what the configuration does not train: τ, φ's last norm, or neither."""
        if not self.config.learn_temperature:
            self.temp.requires_grad_(False)
        if not self.config.train_last_norm:
            self.vision.siglip.post_layernorm.requires_grad_(False)

    def encode_images(
        self,
        pixel_values: Tensor,
        steps: int | None = None,
        run: Run | None = None,
        window: tuple[int, int] | None = None,
    ) -> ImageEncoding:
        """φ once, then T looks more than one (Eq. 1 and 2), for every tile by itself.

        Args:
            pixel_values: float [B, V, 3, H, W], or [B, 3, H, W] for one tile an image; H and W are
                multiples of the patch size.
            steps: T; None = the configuration's.
            run: listeners of this call.
            window: see `VisionEncoder.forward`.
        """
        steps = self.config.steps_from(steps)
        if pixel_values.ndim < 5:  # one tile an image
            pixel_values = pixel_values[:, None]
        tiles, heard = pixel_values.shape[1], hooking.of_tiles(run, pixel_values.shape[1])
        tokens, grid = self.vision(pixel_values.flatten(0, 1), heard, window)
        looks = progressive_vision_embedding(
            tokens, grid, steps, self.vision, self.multimodal, self.sas, self.config, heard
        )
        features = []
        for t, look in enumerate(looks):
            feature = F.normalize(self.vision_projection(look.embeddings), dim=-1)
            if heard is not None:
                feature = heard(f"pve.{t}.features", feature)
            features.append(feature)

        def joined(values: list[Tensor]) -> Tensor:
            """[B·V, Q, ·] of each look -> [B, (T+1)·V·Q, ·]"""
            return torch.stack([one.unflatten(0, (-1, tiles)) for one in values], 1).flatten(1, 3)

        return ImageEncoding(
            joined([look.embeddings for look in looks]),
            joined(features),
            tiles,
            tokens.unflatten(0, (-1, tiles)),
            grid,
            [look.of_tiles(tiles) for look in looks],
        )

    def encode_texts(
        self, input_ids: Tensor, attention_mask: Tensor, run: Run | None = None
    ) -> TextEncoding:
        """E_T (Eq. 3): ψ reads instruction and query, its first token is the embedding.

        Args:
            input_ids, attention_mask: int64 [N, L]; 1 = real token.
        """
        layers = range(self.config.qformer_config.num_hidden_layers)
        heard = run is not None and any(run.wants(f"text.layers.{i}.hidden") for i in layers)
        if self.training and not heard:  # whoever listens there is given all texts at once
            embeddings = self._read_by_length(input_ids, attention_mask)
        else:
            embeddings = self.multimodal.read(input_ids, attention_mask, run)[:, 0]
        if run is not None:
            embeddings = run("text.embeddings", embeddings)
        features = F.normalize(self.text_projection(embeddings), dim=-1)
        if run is not None:
            features = run("text.features", features)
        return TextEncoding(embeddings, features)

    def _read_by_length(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """E_T, short texts apart from long ones: most of a mixed batch would be padding."""
        lengths = attention_mask.sum(dim=1)
        order = lengths.argsort()
        read = []
        for chunk in order.chunk(4):
            longest = max([1, *lengths[chunk].tolist()])  # a process may have no text
            read.append(
                self.multimodal.read(input_ids[chunk, :longest], attention_mask[chunk, :longest])
            )
        embeddings = torch.cat([hidden[:, 0] for hidden in read])
        return embeddings[order.argsort()]

    def compare(
        self,
        images: ImageEncoding,
        texts: TextEncoding,
        is_word: Tensor,
        own: Tensor | None = None,
        run: Run | None = None,
    ) -> Similarity:
        """MIM: the two branches (section 3; official.md 9 and 12).

        Args:
            is_word: bool [N], which texts are single words.
            own: bool [B, N], which texts are written in which image, in training. Their pairs are
                scored at the assigned embedding. Without it every word is assigned in every image,
                to be looked at, and scores are the best cosines.
        """
        config = self.config
        words = is_word if config.multi_word_branch else torch.ones_like(is_word)
        made = cosine = _cosine(images.features, texts.features)
        if run is not None:
            cosine = run("mim.similarity", made)
        count = cosine.shape[2] if config.assignment_steps == "all" else self.look_size(images)
        assignment = self._assign(cosine, count, words, own, run)
        at = assignment if own is not None else torch.full_like(assignment, -1)

        # Each direction may train only its own side; the values are the same.
        v2t_cosine = t2v_cosine = cosine
        if config.stop_gradient and torch.is_grad_enabled() and cosine is made:
            v2t_cosine = _cosine(images.features, texts.features.detach())
            t2v_cosine = _cosine(images.features.detach(), texts.features)
        v2t, t2v = (self._word_logits(one, at, count) for one in (v2t_cosine, t2v_cosine))
        scores = word_scores(cosine, at)
        if config.multi_word_branch:
            multi_v2t, multi_t2v, multi_scores = self._multi_word(images, texts, own, run)
            v2t = torch.where(words, v2t, multi_v2t)
            t2v = torch.where(words, t2v, multi_t2v)
            scores = torch.where(self.scored_by_word(is_word), scores, multi_scores)
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
            rest = TextEncoding(texts.embeddings[~by_word], texts.features[~by_word])
            groups = self._multi_word_groups(images)
            conditioned = self.aggregator(rest.embeddings, groups)
            scores[~by_word] = self._multi_word_scores(images, conditioned, rest).T.to(scores)
        return scores

    def embedding_values(
        self, images: VisionEmbeddings, texts: TextEncoding, is_word: Tensor
    ) -> Tensor:
        """How much every vision embedding counts in `score`, [N, B, (T+1)·V·Q].

        In the word branch it is the cosine, whose largest is the score. In the other it is the
        weight, mean over heads, of those that the score sees and 0 of all others: with one
        attention per step those of the best step alone.
        """
        by_word = self.scored_by_word(is_word)
        values = _cosine(images.features, texts.features)  # [B, N, S]
        if by_word.all():
            return values.transpose(0, 1)
        groups = self._multi_word_groups(images)
        if self.config.multi_word_scoring_steps == "first":
            groups = [images.embeddings[:, : self.look_size(images)]]
        conditioned = self.aggregator(texts.embeddings, groups)
        best = torch.stack(
            [_best_cosine([one], texts.features, self.vision_projection) for one in conditioned]
        ).argmax(dim=0)  # [B, N]
        weights = torch.zeros_like(values)
        start = 0
        for number, group in enumerate(groups):
            part = slice(start, start := start + group.shape[1])
            weight = self.aggregator.weights(texts.embeddings, group).mean(2)
            weights[..., part] = weight * (best == number)[..., None]
        return torch.where(by_word[:, None], values, weights).transpose(0, 1)

    def look_size(self, images: VisionEmbeddings) -> int:
        """V·Q, how many vision embeddings each look of these images makes."""
        return images.tiles * self.config.num_query_tokens

    @torch.no_grad()
    def matched_tiles(
        self, images: VisionEmbeddings, texts: TextEncoding, is_word: Tensor
    ) -> Tensor:
        """The tiles that the matching pass looks at for every text in every image.

        They are the whole and the one that holds the embedding that counts most in the score
        (`embedding_values`). With one tile that one is all.

        Returns:
            int64 [N, B, K], K = 1 or 2.
        """
        shape = (len(is_word), len(images.features))
        whole = torch.zeros(shape, dtype=torch.long, device=images.features.device)
        if images.tiles == 1:
            return whole[..., None]
        best = self.embedding_values(images, texts, is_word).argmax(dim=2)
        tile = best % self.look_size(images) // self.config.num_query_tokens
        return torch.stack([whole, tile], dim=2)

    def match(
        self,
        tokens: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor,
        run: Run | None = None,
        pairs: Tensor | None = None,
    ) -> Tensor:
        """Matching logits of P pairs, [P, 2]; class 1 = the text is in the image.

        Each pair has a pass at each of its K tiles, and the pass counts that finds the text best.

        Args:
            tokens: f₀ of the tiles looked at, [P, K, N, D], the whole first (`matched_tiles`);
                recycled features are not used.
            input_ids, attention_mask: of the pairs' texts, int64 [P, L].
            run: listeners of this call.
            pairs: int64 [P, K] for pairs that share tiles: `tokens` are [R, N, D] then, and these
                are the rows that each pair looks at. Keys and values are made once a row.
        """
        if not len(input_ids):  # a batch without any pair
            return tokens.new_zeros(0, 2)
        passes = tokens.shape[1] if pairs is None else pairs.shape[1]
        ids, mask = (x.repeat_interleave(passes, dim=0) for x in (input_ids, attention_mask))
        queries = self.multimodal.match(
            self.vision.project(tokens.flatten(0, 1) if pairs is None else tokens),
            ids,
            mask,
            hooking.of_tiles(run, passes),
            None if pairs is None else pairs.flatten(),
        )
        logits = self.itm_head(queries).mean(dim=1).unflatten(0, (-1, passes))  # [P, K, 2]
        best = (logits[..., 1] - logits[..., 0]).argmax(dim=1)
        logits = logits[torch.arange(len(logits), device=logits.device), best]
        return logits if run is None else run("itm.logits", logits)

    def forward(
        self,
        pixel_values: Tensor | None = None,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        is_word: Tensor | None = None,
        own: Tensor | None = None,
        positives: Tensor | None = None,
        pairs: Tensor | None = None,
        steps: int | None = None,
        window: tuple[int, int] | None = None,
        tile_boxes: Tensor | None = None,
        unknown: Tensor | None = None,
        matching: bool = True,
        hardness: float = 1.0,
    ) -> MstarOutput:
        """Images, texts, or both; with `own`, the losses of Eq. 5.

        The losses are over the images of all processes: each gives images of its own, as many as
        the others, and everything else the same (see `mstar.distributed`).

        Args:
            pixel_values: float [B, V, 3, H, W], or [B, 3, H, W] for one tile an image.
            input_ids, attention_mask: int64 [N, L].
            is_word: bool [N]; None = every text is a single word.
            own: bool [B, N], the texts on each image's list: asks for the losses. B counts the
                images of all processes here and below.
            positives: bool [B, N], all pairs that match (equal strings in other images too); None
                = `own`.
            pairs: int64 [P, 2] of (image, text) whose matching logits are wanted.
            steps: T; None = the configuration's.
            window: see `VisionEncoder.forward`.
            tile_boxes: where the tiles lie, float [B, V, 4]; nothing is computed from it, a trace
                keeps it.
            unknown: bool [B, N], pairs that are neither right nor wrong: texts that may be written
                there although the image's list does not say so.
            matching: whether the loss has L_m, whose pass over 3·B pairs is the dearest part.
            hardness: of its negatives, see `losses.matching_pairs`.
        """
        run = hooking.active(self)
        if pixel_values is None and input_ids is None:
            raise ValueError("give pixel_values, input_ids, or both.")
        _check_shapes(
            pixel_values,
            input_ids,
            {"attention_mask": attention_mask, "is_word": is_word},
            {"own": own, "positives": positives, "unknown": unknown},
        )
        out = MstarOutput()
        if pixel_values is not None:
            out.images = self.encode_images(pixel_values, steps, run, window)
        if input_ids is not None:
            if attention_mask is None:
                attention_mask = torch.ones_like(input_ids)
            part = slice(None) if own is None else distributed.share(len(input_ids))
            out.texts = self.encode_texts(input_ids[part], attention_mask[part], run)
        if out.images is None or out.texts is None:
            return out
        if is_word is None:
            is_word = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
        if own is not None:
            truth = (is_word, own, own if positives is None else positives | own, unknown)
            drawn = hardness if matching else None
            self._losses(out, input_ids, attention_mask, *truth, drawn, run)
        else:
            out.similarity = self.compare(out.images, out.texts, is_word, run=run)
        out.scores = out.similarity.scores
        if pairs is not None:
            image, text = pairs.unbind(1)
            tiles = self.matched_tiles(out.images, out.texts, is_word)[text, image]  # [P, K]
            out.itm_logits = self.match(
                out.images.tokens[image[:, None], tiles], input_ids[text], attention_mask[text], run
            )
        return out

    def _losses(
        self,
        out: MstarOutput,
        input_ids: Tensor,
        attention_mask: Tensor,
        is_word: Tensor,
        own: Tensor,
        positives: Tensor,
        unknown: Tensor | None,
        hardness: float | None,
        run: Run | None,
    ) -> None:
        """Eq. 5 into `out`; without `hardness` L_c alone."""
        config = self.config
        images, out.texts = _joined(out.images, out.texts)
        with torch.autocast(own.device.type, enabled=False):  # τ = 0.05 makes cosines dear
            out.similarity = self.compare(images, out.texts, is_word, own, run)
            v2t, t2v = out.similarity.v2t, out.similarity.t2v.T
            unknown = None if unknown is None else unknown & ~positives
            contrastive = contrastive_loss(
                v2t, t2v, positives, config.t2v_weight, config.v2t_weight, unknown
            )
        out.loss = out.contrastive_loss = contrastive.loss
        if hardness is None:
            return
        not_wrong = positives if unknown is None else positives | unknown
        drawn = matching_pairs(v2t, t2v, contrastive.t2v, not_wrong, own, hardness)
        image, text, labels = map(distributed.of_first, (drawn.images, drawn.texts, drawn.labels))
        part = distributed.share(len(image))
        image, text = image[part], text[part]
        tiles = self.matched_tiles(images, out.texts, is_word)[text, image]  # [P, K]
        # what several pairs look at is projected once
        rows, pairs = (image[:, None] * images.tiles + tiles).unique(return_inverse=True)
        tokens = distributed.gather(out.images.tokens).flatten(0, 1)[rows]
        out.itm_logits = distributed.gather(
            self.match(tokens, input_ids[text], attention_mask[text], pairs=pairs)
        )
        out.matching_loss = matching_loss(out.itm_logits, labels)
        out.loss = out.contrastive_loss + out.matching_loss

    def _assign(
        self,
        cosine: Tensor,
        assignable: int,
        words: Tensor,
        own: Tensor | None,
        run: Run | None,
    ) -> Tensor:
        candidates = words.expand(cosine.shape[:2]) if own is None else own & words
        assignment = assign_per_image(cosine[..., :assignable], candidates)
        return assignment if run is None else run("mim.assignment", assignment)

    def _word_logits(self, cosine: Tensor, assignment: Tensor, count: int) -> Tensor:
        """[B, N, S], the first `count` of S assignable -> training logits [B, N] of the words."""
        if cosine.shape[2] == count:
            return word_scores(cosine, assignment) / self.temp
        first = word_scores(cosine[..., :count], assignment) / self.temp
        recycled = cosine[..., count:].amax(dim=2)
        if self.config.recycled_temperature:
            recycled = recycled / self.temp
        return torch.maximum(first, recycled)

    def _multi_word(
        self, images: ImageEncoding, texts: TextEncoding, own: Tensor | None, run: Run | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Multi-word branch for all texts: v2t and t2v logits over τ and scores, [B, N] each."""
        config = self.config
        groups = self._multi_word_groups(images)
        split = config.stop_gradient and own is not None
        conditioned = self.aggregator(texts.embeddings, groups, run)
        t2v = _best_cosine(conditioned, texts.features, self.vision_projection)
        scores = self._multi_word_scores(images, conditioned, texts)
        v2t = t2v
        if split:
            # each side gathered without a gradient, as released
            t2v = _best_cosine(
                self.aggregator(texts.embeddings, [group.detach() for group in groups], run),
                texts.features,
                self.vision_projection,
            )
            conditioned = self.aggregator(texts.embeddings.detach(), groups, run)
        if split or not config.multi_word_projected:
            sides = texts.features if config.multi_word_projected else texts.embeddings
            project = self.vision_projection if config.multi_word_projected else nn.Identity()
            v2t = _best_cosine(conditioned, sides.detach() if split else sides, project)
        return v2t / self.temp, t2v / self.temp, scores

    def _multi_word_groups(self, images: VisionEmbeddings) -> list[Tensor]:
        """What the multi-word branch attends to: E_V of all steps together, or step by step."""
        if self.config.multi_word_attention == "per_step":
            return list(images.embeddings.split(self.look_size(images), dim=1))
        return [images.embeddings]

    def _multi_word_scores(
        self, images: VisionEmbeddings, conditioned: list[Tensor], texts: TextEncoding
    ) -> Tensor:
        """Scores [B, N] from E_vt of each group, or of the first look alone."""
        config = self.config
        if config.multi_word_scoring_steps == "first":
            if config.multi_word_attention == "per_step":
                conditioned = conditioned[:1]
            else:
                first = images.embeddings[:, : self.look_size(images)]
                conditioned = self.aggregator(texts.embeddings, [first])
        return _best_cosine(conditioned, texts.features, self.vision_projection)

    def scored_by_word(self, is_word: Tensor) -> Tensor:
        """bool [N], which texts the word branch scores at inference."""
        if not self.config.multi_word_branch:
            return torch.ones_like(is_word)
        return is_word & (self.config.word_scoring == "word")

    def hook_points(self, steps: int | None = None) -> list[str]:
        """Names of every hook point for T = `steps` (None = the configuration's)."""
        return hooking.point_names(self.config, self.config.steps_from(steps))

    def hooks(self, functions: Hooks) -> AbstractContextManager[Run]:
        """`with model.hooks({"pve.0.mask": fn}):`; see `mstar.hooks`."""
        return hooking.hooks(self, functions)

    def run_with_trace(
        self,
        inputs: Mapping[str, Any],
        names: Names | None = None,
        **options: Any,
    ) -> tuple[MstarOutput, Trace]:
        """`out, trace = model.run_with_trace(inputs, names="pve.*.mask")`; see `mstar.tracing`."""
        return tracing.run_with_trace(self, inputs, names, **options)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, MstarModel):
            # transformers passes over modules without parameters of their own: from here, then
            init.constant_(module.temp, self.config.temperature)
            if self.config.multi_word_branch:
                module.aggregator.init_identity()
            if self.config.conv_stem:
                module.vision.init_from_scratch()
        elif isinstance(module, MultimodalEncoder):
            init.normal_(module.query_tokens, std=self.config.initializer_range)
        elif isinstance(module, (Blip2TextEmbeddings, SiglipVisionEmbeddings)):
            # not saved, so after from_pretrained they would be whatever memory held
            positions = torch.arange(module.position_ids.shape[-1])
            init.copy_(module.position_ids, positions.expand((1, -1)))


def _joined(images: ImageEncoding, texts: TextEncoding) -> tuple[ImageEncoding, TextEncoding]:
    """What is compared in training: of all processes, and in full precision under autocast."""

    def joined(rows: Tensor) -> Tensor:
        return distributed.gather(
            rows.float() if torch.is_autocast_enabled(rows.device.type) else rows
        )

    return (
        replace(images, embeddings=joined(images.embeddings), features=joined(images.features)),
        TextEncoding(joined(texts.embeddings), joined(texts.features)),
    )


def _check_shapes(
    pixel_values: Tensor | None,
    input_ids: Tensor | None,
    of_texts: Mapping[str, Tensor | None],
    of_pairs: Mapping[str, Tensor | None],
) -> None:
    """See that what is given fits together, as broadcasting would hide what does not.

    Raises:
        ValueError: with what was expected and what came.
    """

    def check(name: str, value: Tensor | None, expected: tuple[int | None, ...]) -> None:
        if value is None:
            return
        shape = tuple(value.shape)
        if len(shape) != len(expected) or any(
            e is not None and e != s for e, s in zip(expected, shape, strict=True)
        ):
            said = ", ".join("any" if size is None else str(size) for size in expected)
            raise ValueError(f"{name} should have the shape [{said}]; got {list(shape)}.")

    if pixel_values is not None and not len(pixel_values):
        raise ValueError("pixel_values hold no image.")
    if input_ids is None:
        return
    check("input_ids", input_ids, (None, None))
    texts, length = input_ids.shape
    check("attention_mask", of_texts["attention_mask"], (texts, length))
    check("is_word", of_texts["is_word"], (texts,))
    for name, value in of_pairs.items():
        check(name, value, (None, texts))


def _cosine(vision: Tensor, text: Tensor) -> Tensor:
    """Unit vectors [B, S, e] and [N, e] -> [B, N, S]."""
    return torch.einsum("bse,ne->bns", vision, text)


def _best_cosine(conditioned: list[Tensor], text: Tensor, project: nn.Module) -> Tensor:
    """Best cosine over the groups of E_vt [B, N, d] with the texts [N, ·]; [B, N]."""
    text = F.normalize(text, dim=-1)
    cosines = [(F.normalize(project(group), dim=-1) * text).sum(-1) for group in conditioned]
    return torch.stack(cosines).amax(0)


AutoConfig.register("mstar", MstarConfig)
AutoModel.register(MstarConfig, MstarModel)

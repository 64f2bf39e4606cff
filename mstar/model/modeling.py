"""MSTAR, top to bottom as in section 3 of the paper: φ, PVE, text, MIM, losses."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, PreTrainedModel, initialization as init
from transformers.models.blip_2.modeling_blip_2 import Blip2TextEmbeddings
from transformers.models.siglip.modeling_siglip import SiglipVisionEmbeddings

from mstar import distributed
from mstar.errors import UserError
from mstar.hooks import record as tracing
from mstar.hooks.points import Names, point_names
from mstar.hooks.run import Hooks, Run, active, hooks, of_tiles
from mstar.hooks.trace import Trace
from mstar.model.configuration import MstarConfig
from mstar.model.losses import contrastive_loss, matching_loss, matching_pairs
from mstar.model.matching import MultiInstanceMatching, MultiWordBranch
from mstar.model.multimodal import MultimodalEncoder
from mstar.model.outputs import ImageEncoding, MstarOutput, TextEncoding, check_shapes
from mstar.model.recycling import SalientAttentionShift, progressive_vision_embedding
from mstar.model.vision import VisionEncoder


class MstarModel(MultiInstanceMatching, PreTrainedModel):
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
        pve_steps: int | None = None,
        run: Run | None = None,
        window: tuple[int, int] | None = None,
    ) -> ImageEncoding:
        """φ once, then T looks more than one (Eq. 1 and 2), for every tile by itself.

        Args:
            pixel_values: float [B, V, 3, H, W], or [B, 3, H, W] for one tile an image; H and W are
                multiples of the patch size.
            pve_steps: T; None = the configuration's.
            run: listeners of this call.
            window: see `VisionEncoder.forward`.
        """
        pve_steps = self.config.pve_steps_from(pve_steps)
        if pixel_values.ndim < 5:  # one tile an image
            pixel_values = pixel_values[:, None]
        tiles, heard = pixel_values.shape[1], of_tiles(run, pixel_values.shape[1])
        tokens, grid = self.vision(pixel_values.flatten(0, 1), heard, window)
        looks = progressive_vision_embedding(
            tokens, grid, pve_steps, self.vision, self.multimodal, self.sas, self.config, heard
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
        asked = (f"text.layers.{i}.{one}" for i in layers for one in ("self_attention", "hidden"))
        heard = run is not None and any(map(run.wants, asked))
        if self.training and not heard:  # whoever listens there is given all texts at once
            embeddings = self.multimodal.read_by_length(input_ids, attention_mask)
        else:
            embeddings = self.multimodal.read(input_ids, attention_mask, run)[:, 0]
        if run is not None:
            embeddings = run("text.embeddings", embeddings)
        features = F.normalize(self.text_projection(embeddings), dim=-1)
        if run is not None:
            features = run("text.features", features)
        return TextEncoding(embeddings, features)

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
            of_tiles(run, passes),
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
        pve_steps: int | None = None,
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
            pve_steps: T; None = the configuration's.
            window: see `VisionEncoder.forward`.
            tile_boxes: where the tiles lie, float [B, V, 4]; nothing is computed from it, a trace
                keeps it.
            unknown: bool [B, N], pairs that are neither right nor wrong: texts that may be written
                there although the image's list does not say so.
            matching: whether the loss has L_m, whose pass over 3·B pairs is the dearest part.
            hardness: of its negatives, see `losses.matching_pairs`.
        """
        run = active(self)
        if pixel_values is None and input_ids is None:
            raise UserError("give pixel_values, input_ids, or both.")
        of_texts = {"attention_mask": attention_mask, "is_word": is_word}
        truth = {"own": own, "positives": positives, "unknown": unknown}
        check_shapes(self, pixel_values, input_ids, of_texts, truth, pairs)
        out = MstarOutput()
        if pixel_values is not None:
            out.images = self.encode_images(pixel_values, pve_steps, run, window)
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

    def hook_points(self, pve_steps: int | None = None) -> list[str]:
        """Names of every hook point for T = `pve_steps` (None = the configuration's)."""
        return point_names(self.config, self.config.pve_steps_from(pve_steps))

    def hooks(self, functions: Hooks) -> AbstractContextManager[Run]:
        """`with model.hooks({"pve.0.mask": fn}):`; see `mstar.hooks.points`."""
        return hooks(self, functions)

    def run_with_trace(
        self,
        inputs: Mapping[str, Any],
        names: Names | None = None,
        **options: Any,
    ) -> tuple[MstarOutput, Trace]:
        """`out, trace = model.run_with_trace(inputs, "pve.*.mask")`; see `mstar.hooks.record`."""
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


AutoConfig.register("mstar", MstarConfig)
AutoModel.register(MstarConfig, MstarModel)

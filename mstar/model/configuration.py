"""Every constant of the method, by name, and the presets that fill them.

Two things vary independently. *Sizes* (`base`, `sandbox`, `tiny`) say how large the networks are;
*semantics* (`paper`, `released`) say what is computed wherever the paper and the released code
part ways. Single fields may be overridden; an override wins over the preset.
"""

from itertools import pairwise
from math import prod
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from transformers import Blip2QFormerConfig, PreTrainedConfig, SiglipVisionConfig

from mstar.errors import UserError, check_range
from mstar.hooks.points import MOST_PVE_STEPS
from mstar.tiles import check_tiles

SIGMA_VARIANTS = ("none", "threshold", "watershed", "released")

#: What differs between the paper and the released code. Frozen: a changed value is a new preset.
SEMANTICS = MappingProxyType({
    "paper": MappingProxyType({
        "sigma": "watershed",
        "assignment_steps": "all",
        "recycled_temperature": True,
        "multi_word_attention": "joint",
        "multi_word_scoring_steps": "all",
        "multi_word_projected": True,
        "word_scoring": "word",
        "stop_gradient": False,
        "train_last_norm": True,
        "t2v_weight": 1.5,
        "v2t_weight": 1.0,
        "rerank_ratio": 0.02,
        "rerank_weight": 1.0,
    }),
    "released": MappingProxyType({
        "sigma": "released",
        "assignment_steps": "first",
        "recycled_temperature": False,
        "multi_word_attention": "per_step",
        "multi_word_scoring_steps": "first",
        "multi_word_projected": False,
        "word_scoring": "multi_word",
        "stop_gradient": True,
        "train_last_norm": False,
        "t2v_weight": 0.5 / 0.7,
        "v2t_weight": 0.5,
        "rerank_ratio": 0.05,
        "rerank_weight": 1.0,
    }),
})  # fmt: skip

_CHOICES = {
    "semantics": tuple(SEMANTICS),
    "sigma": SIGMA_VARIANTS,
    "assignment_steps": ("all", "first"),
    "multi_word_attention": ("joint", "per_step"),
    "multi_word_scoring_steps": ("all", "first"),
    "word_scoring": ("word", "multi_word"),
}

#: Least and largest of sizes: far beyond what anybody trains, so that a slip of the pen is one.
_RANGES = {
    (1, 2**16): "embed_dim vision_config.hidden_size vision_config.intermediate_size "
    "qformer_config.hidden_size qformer_config.intermediate_size "
    "qformer_config.encoder_hidden_size qformer_config.max_position_embeddings",
    (1, 2**20): "qformer_config.vocab_size",
    (1, 2**13): "vision_config.image_size vision_config.patch_size",
    (1, 2**12): "num_query_tokens",
    (1, 2**8): "sas_heads multi_word_heads vision_config.num_hidden_layers "
    "vision_config.num_attention_heads qformer_config.num_hidden_layers "
    "qformer_config.num_attention_heads qformer_config.cross_attention_frequency",
    (3, 3): "vision_config.num_channels",
    (0, 0): "qformer_config.chunk_size_feed_forward",
    (0, 1.0): "sigma_min_area vision_config.attention_dropout qformer_config.hidden_dropout_prob "
    "qformer_config.attention_probs_dropout_prob",
    (0, 1e6): "rerank_weight t2v_weight v2t_weight initializer_range",
    (1e-12, 1e6): "temperature vision_config.layer_norm_eps qformer_config.layer_norm_eps",
}
#: Whose width heads share, and what it is called.
_HEADS = {
    "vision_config.num_attention_heads sas_heads": ("vision_config", "the vision width"),
    "qformer_config.num_attention_heads multi_word_heads": ("qformer_config", "ψ's width"),
}
#: Tokens along a side of a tile, and weights in all: 16 GB of float32, twenty times the paper's.
_MOST_SIDE, _MOST_WEIGHTS = 256, 4 * 10**9

#: Said of a configuration that still calls T `steps`.
OLDER = "was written before `steps` became `pve_steps`: rename that key in its config.json."


class MstarConfig(PreTrainedConfig):
    """Configuration of `MstarModel`.

    Sizes:
        vision_config: SigLIP (φ); its `hidden_size` is D, `image_size` and `patch_size` in pixels.
        qformer_config: Q-Former (ψ); its `hidden_size` is d, its `encoder_hidden_size` the width
            the two-layer MLP projects image tokens to.
        conv_stem: (channels, stride) of each layer of a convolutional stem in the place of
            SigLIP's patch convolution; the strides multiply to `patch_size`. None = no stem.
        num_query_tokens: Q, query tokens of ψ.
        embed_dim: width of the space in which cosines are taken.
        pve_steps: T, recycled looks after the first (0 = no PVE).
        tiles: parts of a photograph along a side, level by level (`mstar.tiles`), that pass through
            φ and PVE each by itself; (1,) = the whole alone, as in the paper.
        sas_heads: heads of the self-attention S of Eq. 2.
        multi_word_branch: whether the model has the multi-word branch (Eq. 4). Without it every
            text goes through the word branch, as in the released word model.
        multi_word_heads: heads of that branch's cross-attention.
        temperature, learn_temperature: τ of the contrastive loss, and whether it is a parameter.

    Constants of σ (Eq. 1), all as fractions of the grid so that small grids work:
        sigma_low: quantile under which a token is background (the low threshold).
        sigma_high: quantile above which a token seeds a watershed basin.
        sigma_min_area: smallest connected component kept, as a fraction of all tokens.

    Semantics (None = take it from `semantics`, see `SEMANTICS`):
        sigma: which σ cuts the salient region out of an attention map: the paper's `watershed`, or
            `released`, boxes around the lines of the released routine's watershed. (`none` and
            `threshold` are there to compare with.)
        assignment_steps: `all` = the Hungarian assignment runs over the (T+1)·Q embeddings of all
            looks; `first` = over the Q of the first look, and an image's recycled embeddings
            compete afterwards by elementwise maximum.
        recycled_temperature: with `assignment_steps="first"`, whether the recycled similarity is
            divided by τ before that maximum (the released multi-query model forgets to, its word
            model does not).
        multi_word_attention: `joint` = one cross-attention over the embeddings of all looks
            (Eq. 4); `per_step` = one per look, and the best look's cosine counts.
        multi_word_scoring_steps: looks that a multi-word score sees at inference.
        multi_word_projected: whether the vision-to-text direction of the multi-word loss compares
            projected vectors, as the other direction does, or raw ones.
        word_scoring: branch that scores single words at inference (if there is a second one).
        stop_gradient: whether each contrastive direction trains only its own side (the released
            code gathers the other side without a gradient).
        train_last_norm: whether φ's last LayerNorm is trained (the released code freezes it).
        t2v_weight: weight of the text-to-vision direction, α of Eq. 5.
        v2t_weight: weight of the vision-to-text direction.
        rerank_ratio: share of the gallery re-ranked with the matching score;
            k = max(2, ceil(ratio · images)).
        rerank_weight: of the matching probability that is added to the cosine; 0 = a search does
            not re-rank unless it is asked to.
    """

    model_type = "mstar"
    sub_configs = {"vision_config": SiglipVisionConfig, "qformer_config": Blip2QFormerConfig}

    vision_config: dict | PreTrainedConfig | None = None
    qformer_config: dict | PreTrainedConfig | None = None
    conv_stem: list[tuple[int, int]] | None = None
    num_query_tokens: int = 64
    embed_dim: int = 256
    pve_steps: int = 1
    tiles: list[int] | tuple[int, ...] = (1,)
    sas_heads: int = 6
    multi_word_branch: bool = True
    multi_word_heads: int = 8
    temperature: float = 0.05
    learn_temperature: bool = False
    sigma_low: float = 0.7
    sigma_high: float = 0.9
    sigma_min_area: float = 0.004
    semantics: str = "paper"
    sigma: str | None = None
    assignment_steps: str | None = None
    recycled_temperature: bool | None = None
    multi_word_attention: str | None = None
    multi_word_scoring_steps: str | None = None
    multi_word_projected: bool | None = None
    word_scoring: str | None = None
    stop_gradient: bool | None = None
    train_last_norm: bool | None = None
    t2v_weight: float | None = None
    v2t_weight: float | None = None
    rerank_ratio: float | None = None
    rerank_weight: float | None = None
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: Any) -> None:
        if "steps" in kwargs:  # else it would be kept as an attribute that nothing reads
            raise UserError(f"the configuration {OLDER}")
        for name, kind in self.sub_configs.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                setattr(self, name, kind(**(value or {})))
        if self.semantics not in SEMANTICS:
            raise UserError(_choice_error("semantics", self.semantics))
        for name, value in SEMANTICS[self.semantics].items():
            if getattr(self, name) is None:
                setattr(self, name, value)
        self.check()
        super().__post_init__(**kwargs)

    def pve_steps_from(self, pve_steps: int | None) -> int:
        """T as asked for; None = this configuration's.

        Raises:
            UserError: less than 0, or more than `MOST_PVE_STEPS`.
        """
        pve_steps = self.pve_steps if pve_steps is None else pve_steps
        if type(pve_steps) is not int or not 0 <= pve_steps <= MOST_PVE_STEPS:
            raise UserError(f"pve_steps (T) must be from 0 to {MOST_PVE_STEPS}; got {pve_steps!r}.")
        return pve_steps

    def check(self) -> None:
        """Raises UserError on a field that cannot be so."""
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UserError(_choice_error(name, getattr(self, name)))
        self.pve_steps_from(None)
        self.tiles = check_tiles(self.tiles)
        for limits, names in _RANGES.items():
            for name in names.split():
                check_range(name, attrgetter(name)(self), *limits)
        for names, (part, said) in _HEADS.items():
            width = getattr(self, part).hidden_size
            for name in names.split():
                if width % (heads := attrgetter(name)(self)):
                    raise UserError(f"{name} {heads} must divide {said} {width}.")
        if not 0 < self.rerank_ratio <= 1:
            raise UserError(f"rerank_ratio must be in (0, 1]; got {self.rerank_ratio}.")
        if not 0 <= self.sigma_low <= self.sigma_high < 1:
            raise UserError(
                "sigma_low and sigma_high are quantiles with 0 <= low <= high < 1; "
                f"got {self.sigma_low} and {self.sigma_high}."
            )
        vision, side = self.vision_config, self.grid_size
        if vision.image_size % vision.patch_size:
            raise UserError(
                f"image size {vision.image_size} is not a multiple of the patch size "
                f"{vision.patch_size}."
            )
        for channels, stride in self.conv_stem or ():
            check_range("channels of conv_stem", channels, 1, 2**13)
            check_range("a stride of conv_stem", stride, 1, vision.patch_size)
        if self.conv_stem and prod(stride for _, stride in self.conv_stem) != vision.patch_size:
            raise UserError(
                f"the strides of conv_stem must multiply to the patch size {vision.patch_size}; "
                f"got {[stride for _, stride in self.conv_stem]}."
            )
        if side > _MOST_SIDE:
            raise UserError(f"an image may have {_MOST_SIDE} tokens along a side; got {side}.")
        if (weights := self._weights()) > _MOST_WEIGHTS:
            raise UserError(
                f"a model may have {_MOST_WEIGHTS / 1e9:.0f} billion weights; these sizes make "
                f"about {weights / 1e9:,.0f} billion, {4 * weights / 2**30:,.0f} GiB."
            )

    def _weights(self) -> int:
        """About how many there are, by the sizes of the matrices."""
        embedded = self.qformer_config.vocab_size + self.num_query_tokens
        count = embedded * self.qformer_config.hidden_size
        for part in (self.vision_config, self.qformer_config):
            width, inner = part.hidden_size, part.intermediate_size
            count += part.num_hidden_layers * width * (4 * width + 2 * inner)
        channels = [3, *(channels for channels, _ in self.conv_stem or ())]
        return count + sum(9 * one * other for one, other in pairwise(channels))

    @property
    def grid_size(self) -> int:
        """Tokens along one side of a square image of the native size."""
        return self.vision_config.image_size // self.vision_config.patch_size

    @property
    def cross_attention_layers(self) -> tuple[int, ...]:
        """Layers of ψ that look at the image."""
        every = self.qformer_config.cross_attention_frequency
        return tuple(range(0, self.qformer_config.num_hidden_layers, every))

    @classmethod
    def base(cls, image_size: int = 512, **overrides: Any) -> "MstarConfig":
        """The paper's sizes: SigLIP ViT-B/16, a Q-Former of 12 layers, 64 query tokens, T = 1."""
        sizes = dict(
            vision_config=dict(
                hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
                num_attention_heads=12, image_size=image_size, patch_size=16,
                vision_use_head=False,
            ),
            # 30522 BERT pieces and [DEC]
            qformer_config=dict(
                vocab_size=30523, encoder_hidden_size=1024, use_qformer_text_input=True
            ),
        )  # fmt: skip
        return cls(**(sizes | overrides))

    @classmethod
    def sandbox(cls, **overrides: Any) -> "MstarConfig":
        """Small enough to learn to read on one CPU core: what the sandbox recipe trains."""
        sizes = dict(
            vision_config=dict(
                hidden_size=128, intermediate_size=384, num_hidden_layers=2,
                num_attention_heads=4, image_size=128, patch_size=8, vision_use_head=False,
            ),
            conv_stem=[(24, 2), (48, 2), (48, 1), (96, 2), (96, 1)],
            qformer_config=dict(
                vocab_size=96, hidden_size=128, num_hidden_layers=2, num_attention_heads=4,
                intermediate_size=384, max_position_embeddings=96, cross_attention_frequency=1,
                encoder_hidden_size=128, use_qformer_text_input=True, hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0, initializer_range=0.05,
            ),
            num_query_tokens=8,
            embed_dim=64,
            sas_heads=4,
            multi_word_heads=4,
            learn_temperature=True,
            initializer_range=0.08,
            rerank_weight=0.0,
        )  # fmt: skip
        return cls(**(sizes | overrides))

    @classmethod
    def photographs(cls, **overrides: Any) -> "MstarConfig":
        """What the sandbox's model grows into for photographs: tiles of 192 px, deeper, Q = 16."""
        small = cls.sandbox()
        vision, qformer = small.vision_config.to_dict(), small.qformer_config.to_dict()
        larger = dict(
            vision_config=vision | dict(image_size=192, num_hidden_layers=3),
            qformer_config=qformer | dict(num_hidden_layers=3),
            num_query_tokens=16,
            tiles=(1, 2, 3),
        )
        return cls.sandbox(**(larger | overrides))

    @classmethod
    def tiny(cls, **overrides: Any) -> "MstarConfig":
        """Random weights for tests: every part is there, nothing is larger than it must be."""
        sizes = dict(
            vision_config=dict(
                hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                num_attention_heads=2, image_size=64, patch_size=4, vision_use_head=False,
            ),
            qformer_config=dict(
                vocab_size=96, hidden_size=32, num_hidden_layers=4, num_attention_heads=2,
                intermediate_size=48, max_position_embeddings=96, cross_attention_frequency=2,
                encoder_hidden_size=40, use_qformer_text_input=True, initializer_range=0.2,
            ),
            num_query_tokens=4,
            embed_dim=16,
            sas_heads=2,
            multi_word_heads=2,
        )  # fmt: skip
        return cls(**(sizes | overrides))


def _choice_error(name: str, value: object) -> str:
    return f"{name} must be one of {', '.join(_CHOICES[name])}; got {value!r}."

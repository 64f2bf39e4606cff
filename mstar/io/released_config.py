"""What a released file names its parameters, and the configuration that their shapes tell."""

import re
from collections.abc import Iterable, Mapping
from math import isqrt
from typing import Any

from torch import Tensor

from mstar.errors import UserError
from mstar.model.configuration import MstarConfig

StateDict = Mapping[str, Tensor]


MAX_LAYERS = 100


#: The released τ and the image size of the last stage, for files that do not say.
TEMPERATURE, LAST_IMAGE_SIZE = 0.05, 800


POSITIONS = "vision.siglip.embeddings.position_embedding.weight"


_PATCHES = "vision.siglip.embeddings.patch_embedding.weight"


QUERIES = "multimodal.query_tokens"


_WORDS = "multimodal.text_embeddings.word_embeddings.weight"


_TEXT_POSITIONS = "multimodal.text_embeddings.position_embeddings.weight"


_LAYER = "multimodal.qformer.encoder.layer"


_VISION_LAYER = "vision.siglip.encoder.layers"


# Sizes are read from the shapes of these.
_SIZED = (
    QUERIES,
    _WORDS,
    _TEXT_POSITIONS,
    f"{_LAYER}.0.intermediate.dense.weight",
    f"{_LAYER}.0.crossattention.attention.key.weight",
    "vision.mlp.0.weight",
    "vision.mlp.2.weight",
    "vision_projection.weight",
)


_SIZED_VISION = (_PATCHES, POSITIONS, f"{_VISION_LAYER}.0.mlp.fc1.weight")


def infer_config(state: StateDict, image_size: int | None = None, **overrides: Any) -> MstarConfig:
    """The configuration of a state dict with our names; see `load_released`.

    Raises:
        UserError: the tensors that sizes are read from are missing or have odd shapes.
    """
    if image_size is not None and image_size <= 0:
        raise UserError(f"image_size is a number of pixels; got {image_size}.")
    has_vision = any(name.startswith("vision.siglip.") for name in state)
    require(state, _SIZED + (_SIZED_VISION if has_vision else ()))
    vision = _vision_sizes(state, image_size) if has_vision else _default_vision(state, image_size)
    multi_word = any(name.startswith("aggregator.") for name in state)
    inferred = dict(
        semantics="released",
        num_query_tokens=_shape(state, QUERIES, 3)[1],
        embed_dim=_shape(state, "vision_projection.weight", 2)[0],
        pve_steps=1 if any(name.startswith("sas.") for name in state) else 0,
        multi_word_branch=multi_word,
        recycled_temperature=not multi_word,
        temperature=TEMPERATURE,
    )
    if "temp" in state:
        _shape(state, "temp", 0)
        inferred["temperature"] = float(state["temp"])
    vision |= overrides.pop("vision_config", {})
    qformer = _qformer_sizes(state) | overrides.pop("qformer_config", {})
    return MstarConfig(vision_config=vision, qformer_config=qformer, **(inferred | overrides))


def _vision_sizes(state: StateDict, image_size: int | None) -> dict[str, Any]:
    width, _, patch, _ = _shape(state, _PATCHES, 4)
    return _siglip(
        width,
        _shape(state, f"{_VISION_LAYER}.0.mlp.fc1.weight", 2)[0],
        len(_layers(state, rf"{re.escape(_VISION_LAYER)}\.(\d+)\.")),
        patch,
        image_size or side_of(state[POSITIONS]) * patch,
    )


def _default_vision(state: StateDict, image_size: int | None) -> dict[str, Any]:
    """φ for a file without it: SigLIP ViT-B/16, as every released model."""
    width = _shape(state, "vision.mlp.0.weight", 2)[1]
    return _siglip(width, 4 * width, 12, 16, image_size or LAST_IMAGE_SIZE)


def _siglip(width: int, inner: int, layers: int, patch: int, image_size: int) -> dict[str, Any]:
    return dict(
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 64),
        patch_size=patch,
        image_size=image_size,
        vision_use_head=False,
    )


def _qformer_sizes(state: StateDict) -> dict[str, Any]:
    vocabulary, width = _shape(state, _WORDS, 2)
    layers = _layers(state, rf"{re.escape(_LAYER)}\.(\d+)\.")
    looking = _layers(state, rf"{re.escape(_LAYER)}\.(\d+)\.crossattention\.")
    every = looking[1] - looking[0] if len(looking) > 1 else len(layers)
    return dict(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=len(layers),
        num_attention_heads=max(1, width // 64),
        intermediate_size=_shape(state, f"{_LAYER}.0.intermediate.dense.weight", 2)[0],
        max_position_embeddings=_shape(state, _TEXT_POSITIONS, 2)[0],
        cross_attention_frequency=every,
        encoder_hidden_size=_shape(state, "vision.mlp.2.weight", 2)[0],
        use_qformer_text_input=True,
    )


def _layers(names: Iterable[str], pattern: str) -> list[int]:
    layers = sorted({int(found[1]) for name in names if (found := re.match(pattern, name))})
    if len(layers) > MAX_LAYERS:
        raise UserError(f"the checkpoint has {len(layers)} layers, limit {MAX_LAYERS}.")
    return layers


def _shape(state: StateDict, name: str, dimensions: int) -> tuple[int, ...]:
    shape = tuple(state[name].shape)
    if len(shape) != dimensions or 0 in shape:
        raise UserError(
            f"the checkpoint's {released_name(name)} has the shape {list(shape)}, expected "
            f"{dimensions} dimensions."
        )
    return shape


def side_of(table: Tensor) -> int:
    side = isqrt(len(table))
    if table.ndim != 2 or side * side != len(table) or not side:
        raise UserError(f"the position table {tuple(table.shape)} is not that of a square grid.")
    return side


def require(state: StateDict, names: Iterable[str]) -> None:
    names = list(names)
    missing = [name for name in names if name not in state]
    if missing:
        shown = ", ".join(map(released_name, missing[:5])) + (", …" if len(missing) > 5 else "")
        raise UserError(
            f"not a whole released checkpoint: {len(missing)} of {len(names)} parameters are "
            f"missing: {shown}"
        )


# (released, ours): beginnings of names, whole names where there is no dot at the end.
_NAMES = (
    ("query_tokens", "multimodal.query_tokens"),
    ("temp", "temp"),
    ("visual_encoder.embeddings.", "vision.siglip.embeddings."),
    ("visual_encoder.encoder.", "vision.siglip.encoder."),
    ("visual_encoder.post_layernorm.", "vision.siglip.post_layernorm."),
    ("mlp_proj.", "vision.mlp."),
    ("Qformer.bert.embeddings.LayerNorm.", "multimodal.qformer.layernorm."),
    (
        "Qformer.bert.embeddings.word_embeddings.",
        "multimodal.text_embeddings.word_embeddings.",
    ),
    (
        "Qformer.bert.embeddings.position_embeddings.",
        "multimodal.text_embeddings.position_embeddings.",
    ),
    ("Qformer.bert.encoder.", "multimodal.qformer.encoder."),
    ("latePooler.pooler_attention.self.", "sas."),
    ("latePooler.pooler_attention.output.dense.", "sas.dense."),
    ("latePooler.pooler_attention.output.LayerNorm.", "sas.layernorm."),
    ("vision_proj.", "vision_projection."),
    ("text_proj.", "text_projection."),
    ("itm_head.", "itm_head."),
    ("aggregator.layer_norm1.", "aggregator.norm_in."),
    ("aggregator.layer_norm2.", "aggregator.norm_mid."),
    ("aggregator.layer_norm3.", "aggregator.norm_out."),
    ("aggregator.linear_proj.", "aggregator.feed_forward."),
    ("aggregator.cross_attn.q_proj.", "aggregator.query."),
    ("aggregator.cross_attn.k_proj.", "aggregator.key."),
    ("aggregator.cross_attn.v_proj.", "aggregator.value."),
    ("aggregator.cross_attn.out_proj.", "aggregator.out."),
)


def our_name(released: str) -> str | None:
    """Our name of a released parameter; None for what no part of the method uses."""
    for theirs, ours in _NAMES:
        if released == theirs or (theirs.endswith(".") and released.startswith(theirs)):
            name = ours + released.removeprefix(theirs)
            return name.replace("attention.self.", "attention.attention.")
    return None


def released_name(ours: str) -> str:
    """The released name of one of our parameters."""
    # backwards: `sas.` also begins the two more special names after it
    for theirs, prefix in reversed(_NAMES):
        if ours == prefix or (prefix.endswith(".") and ours.startswith(prefix)):
            name = theirs + ours.removeprefix(prefix)
            return name.replace("attention.attention.", "attention.self.")
    raise UserError(f"{ours} is no parameter of a released model.")

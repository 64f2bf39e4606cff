"""Where a run begins: random weights, or those of SigLIP and BLIP-2 in transformers' format."""

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..characters import character_tokenizer
from ..configuration import MstarConfig
from ..modeling import MstarModel
from ..official import (
    MULTI_WORD_TOKENS,
    WORD_TOKENS,
    load_tokenizer,
    resize_positions,
    resize_queries,
)
from ..processing import MstarProcessor
from .recipes import Recipe

_POSITIONS = "vision.siglip.embeddings.position_embedding.weight"
_QUERIES = "multimodal.query_tokens"
#: Beginnings of names: theirs, ours.
_SIGLIP = {
    "vision_model.": "vision.siglip.",  # SiglipModel; SiglipVisionModel has no prefix
    "embeddings.": "vision.siglip.embeddings.",
    "encoder.": "vision.siglip.encoder.",
    "post_layernorm.": "vision.siglip.post_layernorm.",
}
_BLIP2 = {
    "query_tokens": _QUERIES,
    "qformer.": "multimodal.qformer.",
    "embeddings.": "multimodal.text_embeddings.",
    "vision_projection.": "vision_projection.",
    "text_projection.": "text_projection.",
    "itm_head.": "itm_head.",
}


def fresh(
    recipe: Recipe, tokenizer: str | PathLike[str] | None = None
) -> tuple[MstarModel, MstarProcessor]:
    """A model of the recipe's size with random weights from its seed, and its processor.

    Args:
        tokenizer: BERT's uncased word pieces for the `base` size, a folder or a hub name; the
            sandbox reads characters.
    """
    branch = {"multi_word_branch": recipe.multi_word_branch}
    if recipe.size == "base":
        if tokenizer is None:
            raise ValueError(
                "a model of the paper's size reads BERT's word pieces: name a folder that holds "
                "the vocab.txt of bert-base-uncased as the tokenizer."
            )
        config = MstarConfig.base(**branch)
        limit = MULTI_WORD_TOKENS if recipe.multi_word_branch else WORD_TOKENS
        pieces = load_tokenizer(tokenizer, limit)
        config.qformer_config.vocab_size = len(pieces)
    else:
        config, pieces = MstarConfig.sandbox(**branch), character_tokenizer()
    torch.manual_seed(recipe.seed)
    return MstarModel(config), MstarProcessor.for_config(config, pieces)


@dataclass(frozen=True)
class WarmStart:
    """Names of our parameters after a warm start.

    Attributes:
        taken: copied as they are.
        resized: stretched to our number of positions or queries.
        left: of another shape there, so still random; BLIP-2 with a wider image encoder than the
            paper's has such keys and values of the cross-attention.
    """

    taken: tuple[str, ...]
    resized: tuple[str, ...]
    left: tuple[str, ...]

    def __str__(self) -> str:
        said = f"{len(self.taken)} tensors taken"
        if self.resized:
            said += f", resized: {', '.join(self.resized)}"
        if self.left:
            said += f", left random as their shapes differ: {', '.join(self.left)}"
        return said


def warm_start(
    model: MstarModel,
    siglip: str | PathLike[str] | None = None,
    blip2: str | PathLike[str] | None = None,
    download: bool = False,
) -> WarmStart:
    """Fill φ from SigLIP and ψ from BLIP-2, in place.

    The MLP, SAS and the multi-word branch stay random, as in the paper (4.2). Queries are stretched
    and the position table is resized as in the released code (official.md 3).

    Args:
        siglip, blip2: folders in transformers' format with safetensors, or names on the hub.
        download: whether a name may be fetched over the network; otherwise it has to be there.

    Raises:
        ValueError: nothing there, weights of another kind, or not one that fits.
    """
    ours = dict(model.named_parameters())
    taken, resized, left = [], [], []
    for place, names, needed in (
        (siglip, _SIGLIP, _POSITIONS),
        (blip2, _BLIP2, _QUERIES),
    ):
        if place is None:
            continue
        found = dict(_tensors(_folder(place, download), names, ours))
        if needed not in found:
            raise ValueError(
                f"{place} has no {'vision model of SigLIP' if place is siglip else 'Q-Former'}."
            )
        for name, value in found.items():
            target, fitting = ours[name], value
            if name == _POSITIONS:
                fitting = resize_positions(value, round(len(target) ** 0.5))
            elif name == _QUERIES:
                fitting = resize_queries(value, target.shape[1])
            if fitting.shape != target.shape:
                left.append(name)
                continue
            with torch.no_grad():
                target.copy_(fitting)
            (taken if fitting is value else resized).append(name)
    if not taken:
        raise ValueError(f"no tensor of {siglip or blip2} has the shape of this model's.")
    return WarmStart(tuple(taken), tuple(resized), tuple(left))


def resize_images(model: MstarModel, pixels: int) -> None:
    """Make `pixels` the native size: the position table is resized (official.md 3), in place."""
    config = model.config.vision_config
    if pixels == config.image_size:
        return
    if pixels % config.patch_size:
        raise ValueError(
            f"image size {pixels} is not a multiple of the patch size {config.patch_size}."
        )
    embeddings = model.vision.siglip.embeddings
    side = pixels // config.patch_size
    table = resize_positions(embeddings.position_embedding.weight.detach(), side)
    resized = nn.Embedding(*table.shape, device=table.device, dtype=table.dtype)
    resized.weight = nn.Parameter(table.clone())
    embeddings.position_embedding = resized
    embeddings.register_buffer(
        "position_ids", torch.arange(side**2, device=table.device)[None], persistent=False
    )
    embeddings.image_size, embeddings.num_patches, embeddings.num_positions = (
        pixels,
        side**2,
        side**2,
    )
    config.image_size = pixels


def _folder(place: str | PathLike[str], download: bool) -> Path:
    if Path(place).is_dir():
        return Path(place)
    try:
        return Path(
            snapshot_download(
                str(place), allow_patterns=["*.safetensors"], local_files_only=not download
            )
        )
    except (LocalEntryNotFoundError, HFValidationError, OSError) as problem:
        raise ValueError(
            f"no weights at {str(place)!r}: give a folder with model.safetensors in transformers' "
            "format, or a name on the hub together with leave to download it."
        ) from problem


def _tensors(
    folder: Path, names: dict[str, str], ours: dict[str, nn.Parameter]
) -> Iterator[tuple[str, Tensor]]:
    """Our name and their value of every tensor that we have too."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ValueError(f"{folder} holds no .safetensors file.")
    for file in files:
        try:
            with safe_open(file, "pt") as stored:
                for theirs in stored.keys():  # noqa: SIM118  (not a dict)
                    start = next((s for s in names if theirs.startswith(s)), None)
                    if start is None:
                        continue
                    name = names[start] + theirs.removeprefix(start)
                    if name in ours:
                        yield name, stored.get_tensor(theirs)
        except SafetensorError as error:
            raise ValueError(f"{file} is broken: {error}.") from error

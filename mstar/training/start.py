"""Where a run begins: random weights, or those of SigLIP and BLIP-2 in transformers' format."""

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from mstar.data.lists.annotations import annotations
from mstar.errors import UserError
from mstar.io.bench import Bench
from mstar.io.processing import MstarProcessor, character_tokenizer
from mstar.io.released import (
    MULTI_WORD_TOKENS,
    WORD_TOKENS,
    load_tokenizer,
    resize_positions,
    resize_queries,
)
from mstar.model.configuration import MstarConfig
from mstar.model.modeling import MstarModel
from mstar.training.recipes import Recipe

_POSITIONS = "vision.siglip.embeddings.position_embedding.weight"
_QUERIES = "multimodal.query_tokens"
_CHARACTERS = "multimodal.text_embeddings.word_embeddings.weight"
_TEXT_POSITIONS = "multimodal.text_embeddings.position_embeddings.weight"
#: What a layer adds to what it was given, in φ and in ψ.
_SILENCED = {
    "vision": ("self_attn.out_proj.", "mlp.fc2."),
    "multimodal": (
        "attention.output.dense.",
        "crossattention.output.dense.",
        "output.dense.",
        "output_query.dense.",
    ),
}
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
    recipe: Recipe, tokenizer: str | PathLike[str] | None = None, download: bool = False
) -> Bench:
    """A model of the recipe's size with random weights from its seed, and its processor.

    Args:
        tokenizer: BERT's uncased word pieces for the `base` size, a folder or a hub name; the
            sandbox reads characters.
        download: whether a name may be fetched over the network; otherwise it has to be there.
    """
    branch = {"multi_word_branch": recipe.multi_word_branch}
    if recipe.size == "base":
        if tokenizer is None:
            raise UserError(
                "a model of the paper's size reads BERT's word pieces: name a folder that holds "
                "the vocab.txt of bert-base-uncased as the tokenizer."
            )
        config = MstarConfig.base(**branch)
        limit = MULTI_WORD_TOKENS if recipe.multi_word_branch else WORD_TOKENS
        pieces = load_tokenizer(tokenizer, limit, download)
        config.qformer_config.vocab_size = len(pieces)
    else:
        sizes = {"sandbox": MstarConfig.sandbox, "photographs": MstarConfig.photographs}
        config, pieces = sizes[recipe.size](**branch), character_tokenizer()
    torch.manual_seed(recipe.seed)
    processor = MstarProcessor.for_config(config, pieces, captions=recipe.size == "base")
    return Bench(MstarModel(config), processor)


def check_texts(processor: MstarProcessor, lists: Iterable[tuple[str, str]]) -> None:
    """See that the tokenizer can read what lists say, before hours go into it.

    A text of which it knows no letter and no digit teaches nothing: some are said in a warning.

    Args:
        lists: (annotation file, image folder) of each.

    Raises:
        UserError: a list has no other texts.
    """
    for place in lists:
        texts = {text for entry in annotations(*place) for text in entry.texts}
        unread = sorted(text for text in texts if not processor.reads(text))
        if not unread:
            continue
        said = (
            f"of {len(texts):,} different texts in {place[0]} the tokenizer can read "
            f"{len(texts) - len(unread):,}; it knows no letter of {', '.join(unread[:3])}"
            f"{', …' * (len(unread) > 3)}"
        )
        if len(unread) == len(texts):
            raise UserError(f"{said}: take a list in the letters that it knows.")
        warnings.warn(f"{said}: what cannot be read teaches nothing.", stacklevel=2)


@torch.no_grad()
def grown(recipe: Recipe, bench: Bench) -> Bench:
    """A model of the recipe's size that begins where a smaller one of the same widths stands.

    Tensors of one shape are copied. Layers that the smaller one does not have begin as a copy of
    its last, silenced: of φ as the identity, of ψ near it (its norms come after). Positions are
    stretched, new query tokens begin beside old ones, characters keep their embedding.

    Raises:
        UserError: the models differ in more than layers, queries, pixels and vocabulary.
    """
    larger = fresh(recipe)
    model, made = bench.model, larger.model
    given, ours = model.state_dict(), made.state_dict()
    old, new = (
        {"vision": m.config.vision_config.num_hidden_layers,
         "multimodal": m.config.qformer_config.num_hidden_layers}
        for m in (model, made)
    )  # fmt: skip
    for part, layers in {"vision": "vision.siglip.encoder.layers.",
                         "multimodal": "multimodal.qformer.encoder.layer."}.items():  # fmt: skip
        last = f"{layers}{old[part] - 1}."
        copied = {n.removeprefix(last): v for n, v in given.items() if n.startswith(last)}
        for number in range(old[part], new[part]):
            given |= {f"{layers}{number}.{name}": v.clone() for name, v in copied.items()}
            for name in copied:
                if name.startswith(_SILENCED[part]):
                    given[f"{layers}{number}.{name}"].zero_()
    before, after = (p.tokenizer.get_vocab() for p in (bench.processor, larger.processor))
    if missing := sorted(ours.keys() - given.keys()):
        raise UserError(f"the smaller model has no {missing[0]}, which the larger has.")
    for name, value in given.items():
        target = ours.get(name)
        if target is None:
            raise UserError(f"the smaller model has {name}, which the larger does not.")
        if name == _POSITIONS:
            value = resize_positions(value, round(len(target) ** 0.5))
        elif name == _QUERIES:
            copies = value.repeat(1, -(-target.shape[1] // value.shape[1]), 1)
            noise = 0.3 * value.std() * torch.randn_like(target)
            noise[:, : value.shape[1]] = 0
            value = copies[:, : target.shape[1]] + noise
        elif name == _CHARACTERS:
            value = torch.stack(
                [value[before[c]] if c in before else target[i] for c, i in after.items()]
            )[torch.tensor(list(after.values())).argsort()]
            value = torch.cat([value, target[len(value) :]])
        elif name == _TEXT_POSITIONS:
            value = torch.cat([value, target[len(value) :]])[: len(target)]
        if value.shape != target.shape:
            raise UserError(
                f"{name} is {list(value.shape)} in the smaller model and {list(target.shape)} in "
                "the larger: only layers, queries, pixels and characters may be more."
            )
        target.copy_(value)
    return larger


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
        UserError: nothing there, weights of another kind, or not one that fits.
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
            raise UserError(
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
        raise UserError(f"no tensor of {siglip or blip2} has the shape of this model's.")
    return WarmStart(tuple(taken), tuple(resized), tuple(left))


def resize_images(model: MstarModel, pixels: int) -> None:
    """Make `pixels` the native size: the position table is resized (official.md 3), in place."""
    config = model.config.vision_config
    if pixels == config.image_size:
        return
    if pixels % config.patch_size:
        raise UserError(
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
        raise UserError(
            f"no weights at {str(place)!r}: give a folder with model.safetensors in transformers' "
            "format, or a name on the hub together with leave to download it."
        ) from problem


def _tensors(
    folder: Path, names: dict[str, str], ours: dict[str, nn.Parameter]
) -> Iterator[tuple[str, Tensor]]:
    """Our name and their value of every tensor that we have too."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(f"{folder} holds no .safetensors file.")
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
            raise UserError(f"{file} is broken: {error}.") from error

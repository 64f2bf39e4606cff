"""The released checkpoints as `MstarModel`s.

A released file is a `.pth` with `{'model': state dict, …}` (official.md 13). Which keys it carries
depends on the stage it was saved at: the runner drops every frozen parameter. What may be absent,
and what then holds, is said in `load_released`.
"""

import logging
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F
from transformers import BertTokenizer, PreTrainedTokenizerFast

from mstar import files
from mstar.errors import UserError
from mstar.io.checkpoints import quiet
from mstar.io.processing import MstarProcessor
from mstar.io.released_config import (
    POSITIONS,
    QUERIES,
    StateDict,
    infer_config,
    our_name,
    released_name,
    require,
    side_of,
)
from mstar.model.configuration import MstarConfig
from mstar.model.modeling import MstarModel

logger = logging.getLogger(__name__)

Source = str | PathLike[str] | StateDict

#: More than this is not an MSTAR (the full size has 0.2·10⁹), whatever a file claims.
MAX_PARAMETERS = 2 * 10**9
#: Text tokens of the two released models, [CLS] and [SEP] included (official.md 2).
WORD_TOKENS, MULTI_WORD_TOKENS = 12, 32


#: Parts that a stage does not save at all, and what then holds.
_OPTIONAL = {
    "vision.siglip.": "φ, as stage 4 saves it: its weights are RANDOM. Give the stage-3 file too.",
    "sas.": "S, as stages 1 to 3 save it: the model has T = 0, and S is random if T is raised.",
}


def resize_positions(table: Tensor, grid: int) -> Tensor:
    """A square position table [g₀², D] on another grid, [grid², D] (official.md 3)."""
    side = side_of(table)
    if side == grid:
        return table
    image = table.T.reshape(1, -1, side, side)
    image = F.interpolate(image.float(), (grid, grid), mode="bicubic", align_corners=True)
    return image.flatten(2)[0].T.to(table.dtype)


def resize_queries(queries: Tensor, count: int) -> Tensor:
    """Query tokens [1, Q₀, d] stretched to [1, count, d] (official.md 3)."""
    if queries.shape[1] == count:
        return queries
    size = (count, queries.shape[2])
    stretched = F.interpolate(queries[None].float(), size, mode="bicubic", align_corners=True)
    return stretched[0].to(queries.dtype)


def load_released(
    source: Source,
    *,
    vision: Source | None = None,
    image_size: int | None = None,
    **overrides: Any,
) -> MstarModel:
    """A released checkpoint as a model with `released` semantics.

    The released word model ('hungarian') has no multi-word branch and divides its recycled
    similarities by τ; the multi-query model ('hug_cross') has one, and does not. Sizes come from
    the tensors. Numbers of heads cannot: they are the full-size model's (64 wide in φ and ψ, 6 in
    S, 8 in the multi-word branch) unless overridden.

    A file may lack what its stage does not save: the last norm of φ (then 1 and 0), τ (0.05), S
    (stages 1 to 3: the model then has T = 0), all of φ (stage 4: give the file of stage 3 as
    `vision`; without it φ is random, which a warning says). What the method does not use is named
    in a log line.

    Args:
        source: a `.pth` or `.safetensors` file, or a state dict.
        vision: where to take keys that `source` lacks, in the same forms.
        image_size: pixels; the position table is resized to it. None = the table's own size.
        overrides: fields of `MstarConfig`; `vision_config` and `qformer_config` are updated.

    Raises:
        FileNotFoundError: no such file.
        UserError: not a released checkpoint, or one with parts missing; the message lists them.
    """
    state = read_state(source)
    if vision is not None:
        state = {**read_state(vision), **state}
    state, unused = _rename(state)
    if unused:
        logger.info("%d unused keys: %s", len(unused), ", ".join(unused))
    config = infer_config(state, image_size, **overrides)
    shapes = _shapes(config)
    absent = [part for part in _OPTIONAL if not any(name.startswith(part) for name in state)]
    _fill(state, config)
    _check(state, {name: s for name, s in shapes.items() if not name.startswith(tuple(absent))})
    for part in absent:
        logger.warning("the file has no %s", _OPTIONAL[part])
    with quiet():
        return MstarModel.from_pretrained(
            None, config=config, state_dict=_copied(state), dtype=torch.float32
        )


def read_state(source: Source) -> dict[str, Tensor]:
    """The state dict in a file, or given as one; tensors only, nothing is executed.

    Raises:
        FileNotFoundError: no such file.
        UserError: the file is broken or holds something else.
    """
    content = source if isinstance(source, Mapping) else _read(Path(source))
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping) or not content:
        raise UserError("the checkpoint holds no state dict.")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(
                f"the checkpoint's {name!r} is {type(value).__name__}, expected a tensor."
            )
    return dict(content)


def load_tokenizer(
    name_or_path: str | PathLike[str], tokens: int, download: bool = False
) -> PreTrainedTokenizerFast:
    """BERT's uncased word pieces and the released extra token `[DEC]`.

    Args:
        name_or_path: a folder with BERT's `vocab.txt` or `tokenizer.json`, the `vocab.txt`
            itself, or a name on the hub.
        tokens: longest text, [CLS] and [SEP] included; longer ones lose their right end.
        download: whether a name may be fetched over the network; otherwise it has to be there.

    Raises:
        UserError: there is none.
    """
    try:
        with quiet():
            tokenizer = _bert_tokenizer(Path(name_or_path), download)
            tokenizer("☃")  # has to be able to say what it does not know
    except Exception as error:
        raise UserError(
            f"no BERT tokenizer at {str(name_or_path)!r}: give a folder that holds the vocab.txt "
            "of bert-base-uncased (its tokenizer.json serves too), or its name on the hub together "
            "with leave to download it."
        ) from error
    if "[DEC]" not in tokenizer.get_vocab():
        tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    tokenizer.model_max_length = tokens
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    return tokenizer


def convert(
    source: Source,
    folder: str | PathLike[str],
    tokenizer: str | PathLike[str],
    download: bool = False,
    **options: Any,
) -> Path:
    """Save a released checkpoint as a folder for `MstarModel` and `MstarProcessor`.

    Args:
        source, options: as for `load_released`.
        folder: a new or empty folder.
        tokenizer, download: as for `load_tokenizer`.

    Raises:
        UserError: what `load_released` and `load_tokenizer` say, or a folder that is not empty,
            or a tokenizer that has not the checkpoint's vocabulary.
    """
    with files.new_folder(folder) as place:
        state = read_state(source)
        pieces = load_tokenizer(tokenizer, MULTI_WORD_TOKENS, download)
        model = load_released(state, **options)
        config = model.config
        if not config.multi_word_branch:
            pieces.model_max_length = WORD_TOKENS
        if len(pieces) != config.qformer_config.vocab_size:
            raise UserError(
                f"the tokenizer {str(tokenizer)!r} has {len(pieces)} pieces, the checkpoint "
                f"{config.qformer_config.vocab_size}."
            )
        model.save_pretrained(place)
        MstarProcessor.for_config(config, pieces).save_pretrained(place)
    return Path(folder)


def _bert_tokenizer(path: Path, download: bool) -> BertTokenizer:
    # transformers makes a tokenizer of six tokens where there is neither file
    if (path / "tokenizer.json").is_file() and not (path / "vocab.txt").is_file():
        return BertTokenizer.from_pretrained(path, local_files_only=True)
    if path.is_dir():
        path = path / "vocab.txt"
    elif not path.is_file():
        # `local_files_only=True` keeps huggingface_hub from the file, not from the network
        find = hf_hub_download if download else try_to_load_from_cache
        path = Path(find(path.as_posix(), "vocab.txt"))
    if not path.is_file():
        raise FileNotFoundError(path)
    return BertTokenizer(vocab=str(path))


def _read(path: Path) -> object:
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # mapped: the optimiser's state, twice the model, is never read
        mapped = zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # what a broken file makes its reader raise has no end
        raise UserError(
            f"{path} cannot be read as a checkpoint: it is broken, or it holds other things than "
            "tensors."
        ) from error


def _rename(state: StateDict) -> tuple[dict[str, Tensor], list[str]]:
    """Our names, and the released names that have none."""
    names = {released: our_name(released) for released in state}
    renamed = {name: state[released] for released, name in names.items() if name is not None}
    return renamed, [released for released, name in names.items() if name is None]


def _shapes(config: MstarConfig) -> dict[str, torch.Size]:
    """What a model of this configuration holds; no memory is taken for it."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in MstarModel(config).state_dict().items()}
    count = sum(shape.numel() for shape in shapes.values())
    if count > MAX_PARAMETERS:
        raise UserError(f"the checkpoint asks for {count} parameters, limit {MAX_PARAMETERS}.")
    return shapes


def _fill(state: dict[str, Tensor], config: MstarConfig) -> None:
    """Bring the two tables to the configuration's size and add what every runner drops."""
    state[QUERIES] = resize_queries(state[QUERIES], config.num_query_tokens)
    state.setdefault("temp", torch.tensor(config.temperature))
    if POSITIONS in state:
        state[POSITIONS] = resize_positions(state[POSITIONS], config.grid_size)
        width = config.vision_config.hidden_size
        state.setdefault("vision.siglip.post_layernorm.weight", torch.ones(width))
        state.setdefault("vision.siglip.post_layernorm.bias", torch.zeros(width))


def _check(state: StateDict, shapes: Mapping[str, torch.Size]) -> None:
    require(state, shapes)
    for name, value in state.items():
        if name not in shapes:
            theirs = released_name(name)
            raise UserError(f"the checkpoint's {theirs} has no place in a model of its sizes.")
        got, expected = list(value.shape), list(shapes[name])
        if got != expected:
            theirs = released_name(name)
            raise UserError(f"the checkpoint's {theirs} has the shape {got}, expected {expected}.")


def _copied(state: StateDict) -> dict[str, Tensor]:
    """The model must not share memory with the caller's tensors, nor with a mapped file."""
    return {
        name: value.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        for name, value in state.items()
    }

"""A checkpoint is one folder: configuration, weights, tokenizer and processor."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from transformers.utils import logging

from mstar import files
from mstar.errors import UserError, check_range
from mstar.io.bench import Bench
from mstar.io.embedded import FILES, checkpoint
from mstar.io.processing import MstarProcessor
from mstar.model.configuration import OLDER, MstarConfig
from mstar.model.modeling import MstarModel

#: What transformers reads, if it is there.
_READ_TOO = ("tokenizer.json", "special_tokens_map.json", "added_tokens.json")
_MOST_PIXELS = 2**13  # along a side


def default_device() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_checkpoint(
    folder: str | Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Bench:
    """The model, in evaluation mode, with its processor. Nothing is downloaded.

    Args:
        dtype: what it computes in, however its weights are stored.

    Raises:
        UserError: there is no such folder, it is no MSTAR checkpoint, or a file of it is missing,
            broken or does not belong to the others; one sentence that says which.
    """
    folder = Path(folder)
    config = load_config(folder)
    processor = _load_processor(folder, config)
    _check_weights(folder, config)
    with quiet():
        model = MstarModel.from_pretrained(
            folder, config=config, dtype=dtype, local_files_only=True
        )
    return Bench(model.eval().to(device), processor)


def load_config(folder: str | Path) -> MstarConfig:
    """The configuration of a checkpoint alone, to check a request before weights are read.

    Raises:
        UserError: see `load_checkpoint`.
    """
    path = checkpoint(folder) / "config.json"
    about = files.read_json(path)
    if "steps" in about:
        raise UserError(f"the checkpoint {folder} {OLDER}")
    with _reading(path, "makes no model"):
        return MstarConfig.from_dict(about)


def _load_processor(folder: Path, config: MstarConfig) -> MstarProcessor:
    """The processor, seen to make what the model takes: its files may be anybody's."""
    for name in (*FILES[2:], *_READ_TOO):
        if (folder / name).is_file():
            files.read_json(folder / name)
    with _reading(folder, "has a tokenizer or processor_config.json that fails"), quiet():
        processor = MstarProcessor.from_pretrained(folder, local_files_only=True)
        sides = {processor.image_processor.size.get(side) for side in ("height", "width")}
        side = next(iter(sides)) if len(sides) == 1 else None
        check_range("height and width in processor_config.json", side, 1, _MOST_PIXELS)
        longest = config.qformer_config.max_position_embeddings
        limit = processor.tokenizer.model_max_length
        check_range("model_max_length in tokenizer_config.json", limit, 1, longest)
        # and now once, with texts of two lengths
        _, read = processor.read(["a", "one way"], ["word", "phrase"])
        pieces, known = int(read["input_ids"].max()) + 1, config.qformer_config.vocab_size
        pieces = max(pieces, *processor.tokenizer.get_vocab().values())
        check_range("numbers of pieces in tokenizer.json", pieces, 1, known)
        with np.errstate(all="ignore"):
            pixels = processor(images=[np.zeros((2, 3, 3), np.uint8)], tiles=(1,))["pixel_values"]
        patch = config.vision_config.patch_size
        if pixels.shape[2] != 3 or side % patch or not torch.isfinite(pixels).all():
            raise UserError(
                f"images of it should be finite numbers in 3 channels of whole patches of {patch} "
                f"pixels; got {list(pixels.shape[2:])}"
            )
    return processor


def _check_weights(folder: Path, config: MstarConfig) -> None:
    """See that the weights are those of the configuration, before memory is taken for them."""
    path = folder / "model.safetensors"
    with _reading(folder / "config.json", "makes no model"), torch.device("meta"):
        expected = {name: list(one.shape) for name, one in MstarModel(config).state_dict().items()}
    with _reading(path), safe_open(path, "pt") as stored:
        got = {name: stored.get_slice(name).get_shape() for name in stored.keys()}  # noqa: SIM118
    missing, unexpected = sorted(expected.keys() - got.keys()), sorted(got.keys() - expected.keys())
    if missing or unexpected:
        names = ", ".join((missing + unexpected)[:3])
        why = f"{len(missing)} are missing and {len(unexpected)} too many ({names}, …)"
    elif other := [name for name, shape in expected.items() if got[name] != shape]:
        why = f"{other[0]} should be {expected[other[0]]}; got {got[other[0]]}"
    else:
        return
    raise UserError(f"the weights in {folder} do not fit its config.json: {why}.")


@contextmanager
def _reading(path: Path, what: str = "is broken") -> Iterator[None]:
    """Others read what a user gave, and raise whatever it leads them to.

    Raises:
        UserError: in its place, with the path.
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise  # the tokenizers' own, of which Python knows no Exception
        why = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"{path} {what}: {why or type(error).__name__}.") from error


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bar and no table of keys: what is wrong is said in one sentence instead."""
    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()

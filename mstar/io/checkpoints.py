"""A checkpoint is one folder: configuration, weights, tokenizer and processor."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers.utils import logging

from mstar.errors import UserError
from mstar.io.bench import Bench
from mstar.io.processing import MstarProcessor
from mstar.model.configuration import OLDER, MstarConfig
from mstar.model.modeling import MstarModel

_FILES = ("config.json", "model.safetensors", "processor_config.json", "tokenizer_config.json")


def default_device() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_checkpoint(folder: str | Path, device: str | torch.device = "cpu") -> Bench:
    """The model, in evaluation mode, with its processor. Nothing is downloaded.

    Weights stored in half precision are widened to float32.

    Raises:
        UserError: there is no such folder, it is no MSTAR checkpoint, or a file of it is missing,
            broken or does not belong to the others; one sentence that says which.
    """
    folder = Path(folder)
    _check_files(folder)
    try:
        with quiet():
            model, report = MstarModel.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, output_loading_info=True
            )
            processor = MstarProcessor.from_pretrained(folder, local_files_only=True)
    except SafetensorError as error:
        raise UserError(f"{folder / 'model.safetensors'} is broken: {error}.") from error
    except RuntimeError as error:
        raise UserError(f"the weights in {folder} do not fit its config.json.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"the checkpoint {folder} cannot be loaded: {error}") from error
    missing, unexpected = sorted(report["missing_keys"]), sorted(report["unexpected_keys"])
    if missing or unexpected:
        names = ", ".join((missing + unexpected)[:3])
        raise UserError(
            f"the weights in {folder} do not fit its config.json: {len(missing)} are missing and "
            f"{len(unexpected)} too many ({names}, …)."
        )
    return Bench(model.eval().to(device), processor)


def load_config(folder: str | Path) -> MstarConfig:
    """The configuration of a checkpoint alone, to check a request before weights are read.

    Raises:
        UserError: see `load_checkpoint`.
    """
    folder = Path(folder)
    _check_files(folder)
    try:
        return MstarConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"the checkpoint {folder} cannot be loaded: {error}") from error


def checkpoint_hash(folder: str | Path) -> str:
    """SHA-256 over configuration and weights, by which reports name a checkpoint."""
    digest = hashlib.sha256()
    for name in _FILES[:2]:
        digest.update(Path(folder, name).read_bytes())
    return digest.hexdigest()


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"there is no checkpoint folder {folder}.")
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder} is no MSTAR checkpoint: {', '.join(missing)} missing.")
    try:
        about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        kind = about.get("model_type")
    except (ValueError, AttributeError) as error:
        raise UserError(f"{folder / 'config.json'} is not valid JSON.") from error
    if kind != MstarConfig.model_type:
        raise UserError(
            f"{folder} holds a model of type {kind!r}; expected {MstarConfig.model_type!r}."
        )
    if "steps" in about:
        raise UserError(f"the checkpoint {folder} {OLDER}")


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

"""A stage of a recipe: what is trained in it, its batches, and what the objective takes of one."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mstar import distributed
from mstar.data.lists.stream import Mixed, Stream, collate, positions
from mstar.io.bench import Bench
from mstar.training.batching import make_batch, normalise
from mstar.training.recipes import READING, Stage
from mstar.training.start import resize_images


def set_up(bench: Bench, stage: Stage, image_size: int | None) -> None:
    """The model and processor as a stage trains them.

    Args:
        image_size: side of a tile in px; None = as it is.
    """
    model = bench.model
    if image_size is not None:
        resize_images(model, image_size)
    side = bench.config.vision_config.image_size
    bench.processor.image_processor.size = {"height": side, "width": side}
    bench.processor.tiles = model.config.tiles = stage.search_tiles or stage.tiles
    model.requires_grad_(True)
    model.freeze()
    for name in stage.frozen:
        model.get_submodule(name).requires_grad_(False)
    # transformers called it gradient checkpointing until 5.17 at least
    kind = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    if stage.checkpoint_activations:
        getattr(model, f"{kind}_checkpointing_enable")({"use_reentrant": False})
    else:
        getattr(model, f"{kind}_checkpointing_disable")()


def train_mode(objective: nn.Module, bench: Bench, stage: Stage) -> None:
    """Dropout and batch statistics, except where a part is frozen."""
    objective.train()
    for name in stage.frozen:
        bench.model.get_submodule(name).eval()


def loader(
    stage: Stage, stream: Stream, start: int, stop: int, workers: int, pinned: bool
) -> Iterator[dict]:
    """The micro-batches of the steps from `start` to `stop`, one after the other.

    Args:
        workers: processes that render or load.
        pinned: in memory that a GPU copies from.
    """
    micro = stage.accumulate
    batches = positions(stage.batch_size // micro, start * micro, stop * micro)
    loaded = DataLoader(
        stream,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=collate,
        prefetch_factor=4 if workers else None,
        pin_memory=pinned,
    )
    return iter(loaded)


def on_device(
    bench: Bench, stage: Stage, batch: dict, rng: np.random.Generator, device: torch.device
) -> dict[str, Any]:
    """What the objective takes of a micro-batch, on the device."""
    pixels = batch["image"].to(device, non_blocking=True)
    if pixels.dtype == torch.uint8:  # else they are tokens that φ made before
        pixels = normalise(pixels)
    inputs: dict[str, Any] = {"pixel_values": pixels, "window": _window(bench, pixels, rng)}
    if stage.objective == READING:
        return inputs | {"transcriptions": [texts[0] for texts in batch["texts"]]}
    lists = [
        list(zip(texts, styles, strict=True))
        for texts, styles in zip(batch["texts"], batch["styles"], strict=True)
    ]
    texts = make_batch(
        distributed.gather_lists(lists),
        bench.processor,
        stage.data.lexicon,
        rng,
        stage.extra_words,
        *(distributed.gather_lists(batch[name]) for name in ("photographed", "complete")),
        stage.data.lists_hold if isinstance(stage.data, Mixed) else (),
    )
    inputs |= {name: value.to(device) for name, value in texts.items()}
    weights = ("idle_weight", "entropy_weight", "matching_weight")
    return (
        inputs | {"pve_steps": stage.pve_steps} | {name: getattr(stage, name) for name in weights}
    )


def _window(bench: Bench, pixels: Tensor, rng: np.random.Generator) -> tuple[int, int] | None:
    """A strip is laid at a random height of the position table: every row learns to read."""
    vision = bench.config.vision_config
    spare = (vision.image_size - pixels.shape[-2]) // vision.patch_size
    return (int(rng.integers(spare + 1)), 0) if spare > 0 else None

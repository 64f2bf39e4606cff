"""What training costs, counted without training: everything here runs on tensors without data."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.flop_counter import FlopCounterMode

from mstar.model.configuration import MstarConfig
from mstar.model.modeling import MstarModel
from mstar.tiles import tile_count
from mstar.training.recipes import Stage

#: Of L_m, for each image: its own text, a hard text, and a hard image for its text.
_PAIRS = 3


def training_flops(
    config: MstarConfig, stage: Stage, texts: int = 10, length: int = 16
) -> dict[str, float]:
    """Floating-point operations that one image takes in one step, by part of the model.

    A multiplication and an addition count as two. The way back costs twice the way there, and
    nothing where a part is frozen; small parts (projections, the word lists' comparison) are left
    out.

    Args:
        config: of the model; its image size and tiles give way to the stage's.
        stage: of the retrieval objective.
        texts: on an image's list.
        length: tokens of a text, its instruction included.
    """
    model = _hollow(config, stage).requires_grad_(False)
    pixels = model.config.vision_config.image_size
    image = torch.empty(1, 3, pixels, pixels, device="meta")
    tokens, (height, width) = model.vision(image)
    mask = torch.ones(1, height * width, device="meta")
    read, match = (_texts(count, length) for count in (texts, _PAIRS))
    tiles = tile_count(stage.tiles)
    forward = {
        "φ": tiles * _flops(model.vision, image),
        "S": tiles * stage.pve_steps * _flops(model.sas, tokens, mask, 1),
        "ψ looks": tiles * (1 + stage.pve_steps) * _flops(_look, model, tokens),
        "ψ reads": _flops(model.encode_texts, *read),
        "ψ matches": _flops(model.match, _looked_at(tokens, tiles), *match)
        * (1 / stage.matching_every if stage.matching_every else 0),
    }
    there_and_back = 4 if stage.checkpoint_activations else 3
    frozen = any(name.startswith("vision.siglip") for name in stage.frozen)
    return {
        part: count * (1 if part == "φ" and frozen else there_and_back)
        for part, count in forward.items()
    }


def training_bytes(config: MstarConfig, stage: Stage, length: int = 16) -> tuple[float, float]:
    """Memory in bytes: the model's with gradients and AdamW, and what each image of a step adds.

    Weights are in full precision and what is kept for the way back in bf16, all of it
    (`checkpoint_activations` would keep less), but for φ's and S's attention matrices, which fused
    kernels do not keep. Texts and small parts are left out.
    """
    model = _hollow(config, stage)
    model.train().requires_grad_(True)  # dropout keeps its masks
    model.freeze()
    for name in stage.frozen:
        model.get_submodule(name).requires_grad_(False)
    held = sum(p.numel() * (16 if p.requires_grad else 4) for p in model.parameters())
    model.bfloat16()
    pixels = model.config.vision_config.image_size
    tiles = tile_count(stage.tiles)
    image = torch.empty(tiles, 3, pixels, pixels, device="meta", dtype=torch.bfloat16)
    count = (pixels // model.config.vision_config.patch_size) ** 2
    kept: dict[StorageWeakRef, int] = {}
    weights = {StorageWeakRef(p.untyped_storage()) for p in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.shape[-2:] == (count, count):
            return tensor
        storage = tensor.untyped_storage()
        kept[StorageWeakRef(storage)] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        tokens, grid = model.vision(image)
        graphs = [_look(model, tokens)]
        for t in range(stage.pve_steps):
            moved = model.sas(tokens, torch.ones(tiles, grid[0] * grid[1], device="meta"), t + 1)
            graphs.append(_look(model, moved))
        if stage.matching_every:
            looked_at = _looked_at(tokens[:1], tiles)
            graphs.append(model.match(looked_at, *_texts(_PAIRS, length)))
        size = sum(nbytes for storage, nbytes in kept.items() if storage not in weights)
    return float(held), float(size)


def _hollow(config: MstarConfig, stage: Stage) -> MstarModel:
    """The model of a stage, without a number in it."""
    config = copy.deepcopy(config)
    config.vision_config.image_size = stage.image_size or config.vision_config.image_size
    with torch.device("meta"):
        return MstarModel(config).eval()


def _looked_at(tokens: Tensor, tiles: int) -> Tensor:
    """f₀ of one tile -> of those that the matching pass looks at for an image's pairs."""
    return tokens.expand(_PAIRS, min(2, tiles), -1, -1)


def _look(model: MstarModel, tokens: Tensor) -> Tensor:
    return model.multimodal.look(model.vision.project(tokens), "pve.0")[0]


def _texts(count: int, length: int) -> tuple[Tensor, Tensor]:
    ids = torch.zeros(count, length, dtype=torch.long, device="meta")
    return ids, torch.ones_like(ids)


def _flops(call: Callable[..., Any], *arguments: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        call(*arguments)
    return counter.get_total_flops()

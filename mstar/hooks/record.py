"""Run a model once and keep what its hook points saw."""

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol

import torch
import transformers
from torch import Tensor

from mstar.errors import UserError
from mstar.hooks.points import HookError, Names, find_point, reached_points, select
from mstar.hooks.run import Run, listening
from mstar.hooks.trace import Trace

#: Hook points that pictures and explanations read (`mstar.explain.looks`, `widgets`).
NEEDED = (
    "pve.*.attention_map",
    "pve.*.salient",
    "pve.*.mask",
    "pve.*.layers.*.cross_attention",
    "mim.*",
    "scores",
)
#: Bytes a trace may take unless told otherwise: 1 GiB.
BUDGET = 2**30


class Model(Protocol):
    """What can be recorded; `MstarModel` is one, which this room need not know."""

    config: Any
    dtype: torch.dtype

    def __call__(self, **inputs: Any) -> Any: ...


def run_with_trace(
    model: Model,
    inputs: Mapping[str, Any],
    names: Names | None = None,
    *,
    budget: int = BUDGET,
    detach: bool = True,
    cpu: bool = True,
    seed: int | None = None,
) -> tuple[Any, Trace]:
    """One forward pass, recorded.

    Args:
        inputs: what `model(**inputs)` takes.
        names: an exact name, a glob, a list of them or a predicate; None = the small points.
        budget: bytes the trace may take; estimated before anything runs.
        detach: False keeps the graph, for attributions; then no copy is made and nothing runs
            under no_grad on our account.
        cpu: move values to the CPU.
        seed: if given, seeds torch before the run, and is recorded.

    Returns:
        the model's output and the trace, in the order in which the values were made.

    Raises:
        HookError: a name that matches nothing, or a trace over the budget (both numbers named).
    """
    pve_steps = inputs.get("pve_steps")
    pve_steps = model.config.pve_steps_from(pve_steps)
    given = [inputs.get(name) is not None for name in ("pixel_values", "input_ids", "pairs")]
    pixels = inputs.get("pixel_values")
    tiles = pixels.shape[1] if pixels is not None and pixels.ndim == 5 else 1
    if tiles > 1 and inputs.get("tile_boxes") is None:
        raise UserError(
            f"the images have {tiles} tiles each and nothing says where they lie: give tile_boxes, "
            "as the processor does."
        )
    chosen = select(names, reached_points(model.config, pve_steps, *given))
    _check_budget(model, inputs, chosen, pve_steps, budget)
    if seed is not None:
        torch.manual_seed(seed)

    def keep(value: Tensor) -> Tensor:
        if detach:
            value = value.detach()
        value = value.to("cpu") if cpu else value
        # later in-place writes of the model must not reach into the record
        return value.clone() if detach else value

    run = Run(record=frozenset(chosen), keep=keep)
    with listening(model, run), torch.set_grad_enabled(torch.is_grad_enabled()):
        if detach:
            with torch.no_grad():
                out = model(**inputs)
        else:
            out = model(**inputs)
    pixels = inputs.get("pixel_values")
    meta = {
        "config": model.config.to_dict(),
        "images": [] if pixels is None else [_digest(image) for image in pixels],
        "seed": seed,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
    grid = out.images.grid if out.images is not None else None
    return out, Trace(run.recorded, grid, pve_steps, _boxes(inputs, out), meta)


def _boxes(inputs: Mapping[str, Any], out: Any) -> Tensor | None:
    """Where the tiles of each image lie, [B, V, 4]; one tile is the whole unless it is said."""
    if out.images is None:
        return None
    if inputs.get("tile_boxes") is not None:
        return inputs["tile_boxes"].detach().cpu()
    return torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(len(out.images.features), 1, 4).clone()


def estimate_bytes(
    model: Model, inputs: Mapping[str, Any], names: list[str], pve_steps: int
) -> int:
    """Bytes that these concrete points will take."""
    config, pixels, ids = model.config, inputs.get("pixel_values"), inputs.get("input_ids")
    sizes = {
        "query_token": config.num_query_tokens,
        "query_token_q": config.num_query_tokens,
        "head": config.qformer_config.num_attention_heads,
        "sas_head": config.sas_heads,
        "mim_head": config.multi_word_heads,
        "dim": config.qformer_config.hidden_size,
        "vision_dim": config.vision_config.hidden_size,
        "embed": config.embed_dim,
        "class": 2,
    }
    if pixels is not None:
        patch = config.vision_config.patch_size
        tiles = pixels.shape[1] if pixels.ndim == 5 else 1
        sizes |= {"tile": tiles, "matched_tile": min(tiles, 2)}
        sizes["all_query_tokens"] = config.num_query_tokens * tiles * (pve_steps + 1)
        sizes |= {"batch": len(pixels), "image": len(pixels)}
        sizes |= {"grid_h": pixels.shape[-2] // patch, "grid_w": pixels.shape[-1] // patch}
        sizes["token"] = sizes["grid_h"] * sizes["grid_w"]
    if ids is not None:
        sizes |= {"text": ids.shape[0], "text_token": ids.shape[1]}
    if inputs.get("pairs") is not None:
        sizes["pair"] = len(inputs["pairs"])
    total = 0
    for name in names:
        point = find_point(name)
        count = 1
        for axis in point.sizes or point.axes:
            count *= sizes[axis]
        total += count * (point.itemsize or model.dtype.itemsize)
    return total


def _check_budget(
    model: Model, inputs: Mapping[str, Any], names: list[str], pve_steps: int, budget: int
) -> None:
    needed = estimate_bytes(model, inputs, names, pve_steps)
    if needed > budget:
        raise HookError(
            f"this trace would take {needed / 2**20:.1f} MiB, the budget is "
            f"{budget / 2**20:.1f} MiB: ask for fewer points or raise budget."
        )


def _digest(image: Tensor) -> str:
    return hashlib.sha256(
        image.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
    ).hexdigest()

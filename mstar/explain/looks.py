"""What a recorded run says about one image: its looks, its words, its place in a gallery.

Everything here is arithmetic on a `Trace` (or on plain scores); drawing is `mstar.widgets.figures`.
Attention is a share: the map of a query sums to 1 over the N tokens of its tile, so 1/N everywhere
would be attention spread evenly. Maps of several tiles are laid back onto the photograph, on a grid
as fine as the smallest tile's tokens (`canvas`); with one tile that is the tile's own grid.
"""

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from mstar.errors import UserError
from mstar.hooks.trace import Trace, as_picture, unrecorded
from mstar.texts import Query
from mstar.tiles import canvas_grid, laid_back


@dataclass(frozen=True)
class LookSummary:
    """One look in numbers.

    Attributes:
        look: t.
        salient: share of the tokens that σ calls salient at this look, 0 … 1.
        neglected: share of the tokens that no look up to this one has attended, 0 … 1.
        entropy: of the attention map, in bits.
        spread: 2^entropy, the number of tokens that evenly spread attention of this entropy would
            cover; from 1 (all on one token) to N.
        peak: the largest value of the map over the even share 1/N.
    """

    look: int
    salient: float
    neglected: float
    entropy: float
    spread: float
    peak: float


def query_token_count(trace: Trace) -> int:
    """Q, the query tokens of ψ."""
    return trace["mim.similarity"].shape[2] // ((trace.pve_steps + 1) * tile_count(trace))


def tile_count(trace: Trace) -> int:
    """V, the tiles of an image."""
    return 1 if trace.boxes is None else trace.boxes.shape[1]


def config_of(trace: Trace) -> dict[str, Any]:
    """Of the model that was recorded, as far as the trace knows it."""
    return trace.meta.get("config", {})


def canvas(trace: Trace, image: int = 0) -> tuple[int, int]:
    """(rows, columns) of the grid over the whole photograph on which maps are laid back."""
    if tile_count(trace) == 1:
        return trace.grid
    return canvas_grid(trace.boxes[image].numpy(), trace.grid)


def on_photograph(trace: Trace, maps: Tensor, image: int = 0, mean: bool = False) -> Tensor:
    """Maps of an image's tiles on its canvas, see `tiles.laid_back`.

    Args:
        maps: [..., V, grid_h, grid_w].
        mean: of what a cell covers, for masks; sums stay otherwise, as for attention.

    Returns:
        [..., V, rows, columns].
    """
    if tile_count(trace) == 1:
        return maps
    boxes = trace.boxes[image].numpy()
    return torch.from_numpy(laid_back(maps.numpy(), boxes, canvas(trace, image), mean)).to(
        maps.dtype if maps.is_floating_point() else torch.float32
    )


def together(trace: Trace, maps: Tensor, image: int = 0, mean: bool = False) -> Tensor:
    """Maps of an image's tiles as one map: where tiles overlap, the mean of those that are there.

    Args:
        maps, mean: as for `on_photograph`.

    Returns:
        [..., rows, columns]; of attention the sum stays that of one tile.
    """
    if tile_count(trace) == 1:
        return maps[..., 0, :, :]
    laid = on_photograph(trace, maps, image, mean)
    there = on_photograph(trace, torch.ones(maps.shape[-3:]), image, True)
    joined = laid.sum(-3) / there.sum(-3)
    if mean:
        return joined
    found = joined.sum((-2, -1))  # 0 where heads are silenced
    kept = laid.sum((-3, -2, -1)) / tile_count(trace) / torch.where(found == 0, 1, found)
    return joined * kept[..., None, None]


def summarise_looks(trace: Trace, image: int = 0) -> list[LookSummary]:
    """Looks t = 0 … T of one image in numbers; see `LookSummary`."""
    summaries = []
    for t in range(trace.pve_steps + 1):
        attention = trace[f"pve.{t}.attention_map"][image].double().flatten()
        share = attention / attention.sum()
        entropy = float(torch.special.entr(share).sum() / torch.log(torch.tensor(2.0)))
        summaries.append(
            LookSummary(
                look=t,
                salient=float(trace[f"pve.{t}.salient"][image].double().mean()),
                neglected=float(trace[f"pve.{t}.mask"][image].double().mean()),
                entropy=entropy,
                spread=2**entropy,
                peak=float(share.max() * len(share)),
            )
        )
    return summaries


def queries_of(trace: Trace) -> list[Query]:
    """The N queries of the run.

    Raises:
        UserError: the trace does not say them: it was recorded from tokens.
    """
    count = trace["mim.similarity"].shape[1]
    if len(trace.queries) != count:
        raise UserError(
            f"the trace is of {count} texts and names {len(trace.queries)}: record it with "
            "Workbench.trace, or set trace.queries."
        )
    return trace.queries


def photo_of(trace: Trace, image: int = 0) -> Image.Image:
    """One of the photographs of the run.

    Raises:
        UserError: the trace does not have it.
    """
    if image >= len(trace.photos):
        raise UserError(
            f"the trace keeps {len(trace.photos)} photographs: record it with Workbench.trace, or "
            "save and load it with photos=True."
        )
    return as_picture(trace.photos[image])


def cross_layers(trace: Trace) -> list[int]:
    """The layers of ψ whose cross-attention was recorded, in their order."""
    return [
        int(name.split(".")[3])
        for name in trace
        if name.startswith("pve.0.layers.") and name.endswith(".cross_attention")
    ]


def cross_attention(trace: Trace, image: int = 0) -> Tensor:
    """All recorded cross-attention of one image.

    Returns:
        [look, layer, tile, head, query_token, grid_h, grid_w].

    Raises:
        UserError: it was not recorded.
    """
    layers = cross_layers(trace)
    if not layers:
        raise UserError(unrecorded("pve.*.layers.*.cross_attention"))
    looks = [
        torch.stack([trace[f"pve.{t}.layers.{i}.cross_attention"][image] for i in layers])
        for t in range(trace.pve_steps + 1)
    ]
    return torch.stack(looks).float().unflatten(-1, trace.grid)


def embedding_maps(trace: Trace, image: int = 0) -> Tensor:
    """Where every vision embedding looked, mean over layers and heads.

    Returns:
        [(T+1)·V·Q, rows, columns] of `canvas`, in the order of `mim.similarity`: look, tile, query.
    """
    maps = cross_attention(trace, image).mean((1, 3))  # [look, tile, query_token, grid_h, grid_w]
    laid = on_photograph(trace, maps.transpose(1, 2), image).transpose(1, 2)
    return laid.flatten(0, 2)

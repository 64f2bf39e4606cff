"""Ready-made interventions: what to change in a run, to see what follows from it.

Each function returns hooks for `model.hooks`, except `cover`, which changes the image itself. With
`|` several act together, the left one first, also at the same point:

>>> with model.hooks(force_mask(0, seen) | ablate_query_tokens([2]) | ablate_query_tokens([3])):
...     out = model(**inputs)
"""

from collections.abc import Iterable, Mapping
from numbers import Integral

import torch
from torch import Tensor

from mstar.errors import UserError
from mstar.hooks.points import HookError, Names, select
from mstar.hooks.run import Hook, pairs
from mstar.hooks.trace import Trace
from mstar.tiles import in_tiles


class Intervention(tuple[tuple[str, Hook], ...]):
    """Names or globs of points, each with its hook, in the order in which they act.

    A name may come several times, which a mapping could not have.
    """

    def __or__(self, other: "Mapping[str, Hook] | Intervention") -> "Intervention":
        return Intervention((*self, *pairs(other)))

    def __ror__(self, other: Mapping[str, Hook]) -> "Intervention":
        return Intervention((*pairs(other), *self))


def force_mask(look: int, seen: Tensor) -> Intervention:
    """Say what counts as seen after look `look`: M_t is 0 there and 1 elsewhere.

    Args:
        look: t < T. The mask of the last look is not used by any other.
        seen: bool [grid_h, grid_w] for every tile, [tile, grid_h, grid_w], or with a batch before.
    """

    def forced(mask: Tensor, *, point: str) -> Tensor:
        if seen.shape[-2:] != mask.shape[-2:]:
            raise UserError(
                f"the mask of {point} has the grid {list(mask.shape[-2:])}; "
                f"got one of {list(seen.shape[-2:])}."
            )
        try:
            return (~seen.bool()).to(mask).expand_as(mask).clone()
        except RuntimeError as error:
            raise UserError(
                f"{point} is {list(mask.shape)}; got {list(seen.shape)}, which should be its grid, "
                "with tiles or with a batch and tiles before it."
            ) from error

    _expect_tensor("seen", seen)
    return Intervention([(f"pve.{look}.mask", forced)])


def empty_mask(mask: Tensor, *, point: str) -> Tensor:
    """A hook on `pve.{t}.mask`: the next look is as if nothing had been seen."""
    return torch.ones_like(mask)


def random_masks(seed: int) -> Intervention:
    """σ(C_t) at random places: in every look and tile as many tokens as it has, at random.

    What is left of a mask's effect then is that of its area. Every mask of every run is drawn anew;
    to draw the same ones again, call this again.
    """
    generator = torch.Generator().manual_seed(seed)

    def dealt(salient: Tensor, *, point: str) -> Tensor:
        flat = salient.flatten(-2)
        order = torch.rand(flat.shape, generator=generator).argsort(dim=-1).to(flat.device)
        return flat.gather(-1, order).view_as(salient)

    return Intervention([("pve.*.salient", dealt)])


def freeze_masks(trace: Trace) -> Intervention:
    """The masks of another run: what is changed beside them cannot act through a mask."""
    return patch(trace, [f"pve.{t}.mask" for t in range(trace.pve_steps)])


def patch(trace: Trace, names: Names, tokens: Tensor | None = None) -> Intervention:
    """Put values of another run in the place of this one's.

    Args:
        trace: of one image, which then stands in for every image of the batch, or of as many
            images. The last look's mask is a record only and cannot be replaced.
        names: of points that the trace has: a name, a glob, a list of them or a predicate.
        tokens: bool [grid_h, grid_w], to patch these tokens of every tile alone; None = the whole
            value.

    Raises:
        HookError: a name, glob or predicate that matches nothing.
        UserError: `tokens` for a point without an axis of image tokens, or of another grid; in the
            run, a value that is neither of one image nor of as many.
    """
    chosen = select(names, list(trace))
    if not chosen:
        raise HookError("no value of the trace is asked for: the predicate refuses them all.")
    if tokens is not None:
        if tuple(tokens.shape) != trace.grid:
            raise UserError(
                f"the trace has the grid {list(trace.grid)}; got tokens of {list(tokens.shape)}."
            )
        for name in chosen:
            if trace.axes(name)[:3] != ("batch", "tile", "token"):
                raise UserError(f"{name} has no axis of image tokens after the tiles'.")

    def patched(value: Tensor, *, point: str) -> Tensor:
        other = trace[point].to(value)
        try:
            other = other.expand_as(value)
        except RuntimeError as error:
            raise UserError(
                f"{point} is {list(value.shape)} here and {list(other.shape)} in the trace, which "
                "has to be of one image, or of as many."
            ) from error
        if tokens is None:
            return other.clone()
        here = tokens.flatten().to(value.device)[:, None]
        return torch.where(here, other, value)

    return Intervention((name, patched) for name in chosen)


def ablate_heads(heads: Iterable[int], layer: int | None = None) -> Intervention:
    """Silence cross-attention heads of ψ in every look: they read nothing.

    Their attention is 0, so they do not count in C_t either.

    Args:
        layer: one of the layers with cross-attention; None = all of them.
    """
    chosen = _numbers("heads", heads)

    def silenced(value: Tensor, *, point: str) -> Tensor:
        _refuse_unknown("heads", chosen, value.shape[2])
        value = value.clone()
        value[:, :, chosen] = 0
        return value

    layers = "*" if layer is None else layer
    return Intervention([(f"pve.*.layers.{layers}.cross_attention", silenced)])


def skip_layer(part: str, layer: int) -> Intervention:
    """Leave a layer out: what it was given is what it gives.

    It gives what stands there when its turn comes: of several layers join the lower one first, and
    to anything else that changes layer `layer` − 1 join it with `|`, not by a block inside this.

    Args:
        part: `vision` (φ), `pve` (ψ at the image, in every look) or `text` (ψ at the text).
        layer: 1 or more; what goes into layer 0 is no hook point.
    """
    starts = {"vision": "vision", "pve": "pve.*", "text": "text"}
    if part not in starts:
        raise UserError(f"part must be one of {', '.join(starts)}; got {part!r}.")
    if type(layer) is not int or layer < 1:
        raise UserError(f"only layer 1 and later ones can be left out; got {layer!r}.")
    given: dict[str, Tensor] = {}

    def before(value: Tensor, *, point: str) -> None:
        given[point.rsplit(".layers.", 1)[0]] = value

    def left_out(value: Tensor, *, point: str) -> Tensor:
        return given.pop(point.rsplit(".layers.", 1)[0])

    start = starts[part]
    return Intervention(
        [
            (f"{start}.layers.{layer - 1}.hidden", before),
            (f"{start}.layers.{layer}.hidden", left_out),
        ]
    )


def ablate_query_tokens(query_tokens: Iterable[int]) -> Intervention:
    """Silence query tokens of ψ in every look: their embeddings are zero.

    A silenced query token still looks, so it takes part in C_t, but nothing of what it saw is
    compared with a text: its cosine with any text is 0.
    """
    chosen = _numbers("query tokens", query_tokens)

    def silenced(value: Tensor, *, point: str) -> Tensor:
        _refuse_unknown("query tokens", chosen, value.shape[2])
        value = value.clone()
        value[:, :, chosen] = 0
        return value

    return Intervention([("pve.*.embeddings", silenced), ("pve.*.features", silenced)])


def _numbers(what: str, numbers: Iterable[int]) -> list[int]:
    """Each once, in their order; UserError where they are no list of whole numbers."""
    given = list(numbers) if isinstance(numbers, Iterable) else [None]
    if not all(isinstance(one, Integral) and not isinstance(one, bool) for one in given):
        raise UserError(f"{what} should be a list of whole numbers; got {numbers!r}.")
    return sorted({int(one) for one in given})


def _expect_tensor(name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise UserError(f"{name} should be a tensor; got {type(value).__name__}.")


def _refuse_unknown(what: str, chosen: list[int], count: int) -> None:
    if chosen and not 0 <= chosen[0] <= chosen[-1] < count:
        raise UserError(f"{what} are numbered 0 to {count - 1}; got {chosen}.")


def cover(pixel_values: Tensor, region: Tensor, tile_boxes: Tensor | None = None) -> Tensor:
    """Images with a region painted over, in every tile, in the colour that surrounds it.

    The paper's salience experiment (fig. 1b) covers the salient text and scores the rest again.

    Args:
        pixel_values: float [B, V, 3, H, W], or [B, 3, H, W] for one tile.
        region: bool [rows, columns], cells of a grid over the whole photograph: of its tokens, or
            `explain.canvas` where there are several tiles.
        tile_boxes: where the tiles lie, [B, V, 4]; None = one tile, the whole.

    Returns:
        a changed copy. The colour is the mean of the cells that touch the region (of the whole
        image where it has no surroundings), so that it adds as little as possible.

    Raises:
        UserError: several tiles without their boxes, or more cells than pixels along a side.
    """
    _expect_tensor("pixel_values", pixel_values)
    _expect_tensor("region", region)
    if pixel_values.ndim not in (4, 5) or not len(pixel_values) or pixel_values.shape[-3] != 3:
        raise UserError(
            "pixel_values should be images, [B, V, 3, H, W] or [B, 3, H, W]; got "
            f"{list(pixel_values.shape)}."
        )
    if not pixel_values.is_floating_point():
        raise UserError(f"pixel_values should be floating point; got {pixel_values.dtype}.")
    tiled = pixel_values if pixel_values.ndim == 5 else pixel_values[:, None]
    height, width = tiled.shape[-2:]
    rows, columns = region.shape if region.ndim == 2 else (0, 0)
    if not 0 < rows <= height or not 0 < columns <= width:
        raise UserError(
            f"a region of a {height}×{width} px image has as many rows and columns at most; got "
            f"{list(region.shape)}."
        )
    if tile_boxes is None:
        if tiled.shape[1] > 1:
            raise UserError(f"give tile_boxes: the images have {tiled.shape[1]} tiles each.")
        tile_boxes = tiled.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(len(tiled), 1, 4)
    if tile_boxes.shape != (*tiled.shape[:2], 4):
        raise UserError(
            f"tile_boxes should be {[*tiled.shape[:2], 4]}; got {list(tile_boxes.shape)}."
        )
    grown = torch.nn.functional.max_pool2d(region[None, None].float(), 3, 1, 1)[0, 0].bool()
    around = grown & ~region.bool()
    both = torch.stack([region.bool(), around if around.any() else torch.ones_like(around)]).cpu()
    painted = []
    for image, boxes in zip(tiled, tile_boxes, strict=True):
        placed = in_tiles(both.numpy(), boxes.float().cpu().numpy(), (height, width))
        inside, surroundings = torch.from_numpy(placed).to(image.device)  # [V, H, W] each
        colour = image[0][:, surroundings[0]].mean(-1)  # of the whole, [3]
        painted.append(torch.where(inside[:, None], colour[:, None, None], image))
    return torch.stack(painted).view_as(pixel_values)

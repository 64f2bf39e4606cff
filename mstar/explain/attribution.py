"""Where in an image is the evidence for a query? Five ways to ask, one kind of answer.

    attention              the attention of the vision embeddings that the score draws on
    attention_gradient     attention × the positive part of its gradient, look by look
    grad_cam               Grad-CAM on f₀ (Selvaraju et al. 2017)
    integrated_gradients   on f₀, from an even image's to this one's (Sundararajan et al. 2017)
    occlusion              what the score loses when a window is covered (Zeiler and Fergus 2014)

The first says where the model read from, the next three follow the gradient of the score, the last
one changes the image and scores again. Gradients pass the masks by: σ is a decision, not a slope.

captum is imported where it is used: it brings IPython.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from mstar.errors import UserError, check_range
from mstar.explain.looks import cross_attention
from mstar.hooks.run import active
from mstar.hooks.trace import Trace
from mstar.io.bench import Bench
from mstar.io.images import IMAGES_AT_ONCE, MOST_AT_ONCE
from mstar.model.outputs import ImageEncoding
from mstar.texts import Query, Texts, as_queries
from mstar.tiles import canvas_grid, in_tiles, laid_back

#: Points on the way from the even image's f₀ to this one's. With 64 the sum of the map is 0.006 off
#: a change of 0.20 (T = 1; 0.012 at T = 0; 12 queries, embedded checkpoint). On the way of the
#: pixels it was 0.12 to 0.25 off with 32 points (T = 0), however close they lay at its start.
INTEGRATION_STEPS = 64
#: Side of the window that is covered, in tokens; it moves by one.
OCCLUSION_WINDOW = 2


@dataclass(frozen=True)
class Attribution:
    """Where the evidence for a query is, by one method.

    Attributes:
        method: one of `METHODS`.
        query, score: what was asked, and what this image scores.
        values: float32 [rows, columns] of `explain.canvas`, with one tile [grid_h, grid_w]; more =
            more evidence. Methods have units of their own.
        looks: [T + 1, rows, columns], whose sum is `values`, from methods that tell looks apart.
        gap: of integrated gradients, the sum of `values` less what they have to add up to (the
            score less the even image's): the error of the integral. None of other methods.
    """

    method: str
    query: Query
    score: float
    values: Tensor
    looks: Tensor | None = None
    gap: float | None = None


class Scorer(nn.Module):
    """Images to the scores of some texts: what captum's methods are given.

    f₀ passes through `tap` as [B, D, V · grid_h, grid_w], tile below tile. Of a layer [B, N, D]
    captum's LayerGradCam takes the weights per token, which is not Grad-CAM.
    """

    def __init__(self, bench: Bench, queries: Sequence[Query], pve_steps: int):
        super().__init__()
        self.model, self.pve_steps = bench.model, pve_steps
        self.texts, self.is_word = bench.encode_texts(queries)
        self.tap = nn.Identity()

    def forward(self, pixel_values: Tensor) -> Tensor:
        """[B, V, 3, H, W] -> [B, N]"""
        wide = pixel_values.shape[-1] // self.model.config.vision_config.patch_size

        def tapped(tokens: Tensor, *, point: str) -> Tensor:  # [B, V, N, D]
            below = tokens.flatten(1, 2).transpose(1, 2)
            maps = self.tap(below.unflatten(2, (-1, wide)))
            return maps.flatten(2).transpose(1, 2).unflatten(1, tokens.shape[1:3])

        with self.model.hooks({"vision.tokens": tapped}):
            images = self.model(pixel_values=pixel_values, pve_steps=self.pve_steps).images
        return self.model.score(images, self.texts, self.is_word).T


@dataclass(frozen=True)
class _Asked:
    """One image and N texts, ready for every method."""

    scorer: Scorer
    pixels: Tensor  # [1, V, 3, H, W]
    boxes: Tensor  # [1, V, 4]
    batch_size: int

    @property
    def count(self) -> int:
        return len(self.scorer.is_word)

    @property
    def patch(self) -> int:
        return self.scorer.model.config.vision_config.patch_size

    @property
    def even(self) -> Tensor:
        """The image's mean colour everywhere: as bright, and nothing on it."""
        colour = self.pixels[:, :1].mean((3, 4), keepdim=True)
        return colour.expand_as(self.pixels)

    def laid_back(self, maps: Tensor) -> Tensor:
        """Maps of the tiles [..., V, grid_h, grid_w] as one over the photograph, summed."""
        tiles, grid = self.boxes.shape[1], tuple(maps.shape[-2:])
        if tiles == 1:
            return maps[..., 0, :, :]
        boxes = self.boxes[0].cpu().numpy()
        canvas = canvas_grid(boxes, grid)
        laid = laid_back(maps.detach().float().cpu().numpy(), boxes, canvas).sum(-3)
        return torch.from_numpy(laid).float()

    def below(self, stacked: Tensor) -> Tensor:
        """A map of tile below tile [V · grid_h, grid_w] over the photograph."""
        return self.laid_back(stacked.unflatten(0, (self.boxes.shape[1], -1)))

    def recorded(self, detach: bool) -> tuple[ImageEncoding, Trace]:
        """A run with its cross-attention; `detach=False` keeps the graph."""
        names = ["pve.*.layers.*.cross_attention"]
        # a graph also where no weight asks for one
        pixels = self.pixels if detach else self.pixels.detach().clone().requires_grad_()
        inputs = {
            "pixel_values": pixels,
            "tile_boxes": self.boxes,
            "pve_steps": self.scorer.pve_steps,
        }
        out, trace = self.scorer.model.run_with_trace(inputs, names, detach=detach, cpu=False)
        return out.images, trace


def _attention(asked: _Asked) -> Iterator[Tensor]:
    scorer = asked.scorer
    images, trace = asked.recorded(detach=True)
    values = scorer.model.evidence(images, scorer.texts, scorer.is_word)[:, 0].detach()
    maps = cross_attention(trace).mean((1, 3))  # [look, tile, query_token, grid_h, grid_w]
    by_word = scorer.model.scored_by_word(scorer.is_word)
    for weights, single in zip(values, by_word, strict=True):
        if single:  # cosines, the largest of which is the score
            weights = nn.functional.one_hot(weights.argmax(), len(weights))
        shares = weights.view(maps.shape[:3]).to(maps)
        yield asked.laid_back(torch.einsum("tvq,tvqij->tvij", shares, maps))


def _attention_gradient(asked: _Asked) -> Iterator[Tensor]:
    scorer = asked.scorer
    images, trace = asked.recorded(detach=False)
    attention = list(trace.values())  # look by look, [1, tile, head, query, token] each
    if not all(one.requires_grad for one in attention):  # a hook has replaced it
        raise UserError(_CUT)
    for score in scorer.model.score(images, scorer.texts, scorer.is_word)[:, 0]:
        # a look that the score does not draw on has no gradient
        slopes = torch.autograd.grad(score, attention, retain_graph=True, allow_unused=True)
        if all(slope is None for slope in slopes):
            raise UserError(_CUT)
        slopes = [
            torch.zeros_like(one) if slope is None else slope
            for one, slope in zip(attention, slopes, strict=True)
        ]
        maps = [
            (one * slope.clamp(min=0))[0].mean(1).sum(1)
            for one, slope in zip(attention, slopes, strict=True)
        ]
        by_look = torch.stack(maps).unflatten(0, (trace.pve_steps + 1, -1)).mean(1)
        yield asked.laid_back(by_look.unflatten(2, trace.grid))


def _grad_cam(asked: _Asked) -> Iterator[Tensor]:
    from captum.attr import LayerGradCam

    cam = LayerGradCam(asked.scorer, asked.scorer.tap)
    for number in range(asked.count):
        yield asked.below(cam.attribute(asked.pixels, number, relu_attributions=True)[0, 0])


def _integrated_gradients(asked: _Asked) -> Iterator[Tensor]:
    from captum.attr import LayerIntegratedGradients

    method = LayerIntegratedGradients(asked.scorer, asked.scorer.tap)
    for number in range(asked.count):
        found = method.attribute(
            asked.pixels,
            asked.even,
            number,
            n_steps=INTEGRATION_STEPS,
            internal_batch_size=asked.batch_size,
        )
        yield asked.below(found[0].sum(0))  # over f₀'s channels


def _occlusion(asked: _Asked) -> Iterator[Tensor]:
    from captum.attr import FeatureAblation, Occlusion

    if asked.boxes.shape[1] > 1:
        yield from _occlusion_of_tiles(asked, FeatureAblation(asked.scorer))
        return
    side = OCCLUSION_WINDOW * asked.patch
    with torch.no_grad():
        found = Occlusion(asked.scorer).attribute(
            asked.pixels,
            (1, 3, side, side),
            strides=(1, 3, asked.patch, asked.patch),
            baselines=asked.even,
            perturbations_per_eval=asked.batch_size,
        )
    # [N, 1, 3, H, W], the same for each channel
    yield from nn.functional.avg_pool2d(found[:, 0, 0], asked.patch)


def _occlusion_of_tiles(asked: _Asked, method: Any) -> Iterator[Tensor]:
    """A window is covered in every tile that shows it: windows of the whole's tokens, side by side.

    (With one tile they overlap. Here that would be four times as many passes over V tiles.)
    """
    height, width = (px // (OCCLUSION_WINDOW * asked.patch) for px in asked.pixels.shape[-2:])
    windows = np.arange(height * width).reshape(height, width)
    boxes, size = asked.boxes[0].cpu().numpy(), tuple(asked.pixels.shape[-2:])
    number = torch.from_numpy(in_tiles(windows, boxes, size))[None, :, None]
    with torch.no_grad():
        found = method.attribute(
            asked.pixels,
            asked.even,
            feature_mask=number.to(asked.pixels.device),
            perturbations_per_eval=asked.batch_size,
        )
    rows, columns = canvas_grid(boxes, tuple(px // asked.patch for px in size))
    for one in found[:, 0, 0]:  # the whole, [H, W]
        lost = nn.functional.avg_pool2d(one[None], OCCLUSION_WINDOW * asked.patch)[None]
        yield nn.functional.interpolate(lost, (rows, columns), mode="nearest")[0, 0]


_CUT = (
    "a hook replaces values on the way from the image to the score, so no gradient comes through: "
    "take attention or occlusion, or call it outside of that block."
)


def _refuse_cut(asked: _Asked) -> None:
    """UserError if a hook on the model cuts the way of the gradient to f₀."""
    scorer = asked.scorer
    if active(scorer.model) is None:
        return
    kept: list[Tensor] = []
    handle = scorer.tap.register_forward_hook(lambda tap, given, tokens: kept.append(tokens))
    try:
        total = scorer(asked.pixels.clone().requires_grad_()).sum()
    finally:
        handle.remove()
    reached = total.requires_grad and kept[0].requires_grad
    if not reached or torch.autograd.grad(total, kept, allow_unused=True)[0] is None:
        raise UserError(_CUT)


METHODS: dict[str, Callable[[_Asked], Iterator[Tensor]]] = {
    "attention": _attention,
    "attention_gradient": _attention_gradient,
    "grad_cam": _grad_cam,
    "integrated_gradients": _integrated_gradients,
    "occlusion": _occlusion,
}


#: Those that follow the gradient of the score back to f₀.
_TO_TOKENS = {"grad_cam", "integrated_gradients"}


def known(methods: Sequence[str]) -> Sequence[str]:
    """These methods; UserError names one that is none."""
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise UserError(f"unknown method {unknown[0]!r}: expected some of {', '.join(METHODS)}.")
    return methods


def attribute(
    bench: Bench,
    image: Any,
    texts: Texts,
    methods: Sequence[str] = tuple(METHODS),
    pve_steps: int | None = None,
    batch_size: int = IMAGES_AT_ONCE,
) -> list[dict[str, Attribution]]:
    """Where the evidence for each query is, by each method.

    Args:
        image: as the processor takes it.
        texts: one or several, see `queries.as_queries`, each scored as in a ranking.
        pve_steps: T; None = the configuration's.
        batch_size: changed images that pass through the model at once, which bounds the memory.

    Returns:
        for each query, method -> `Attribution`.

    Raises:
        UserError: an unknown method, no query, a batch of no image, or a method that follows the
            gradient where a hook cuts its way.
    """
    known(methods)
    queries = as_queries(texts)
    check_range("batch-size", batch_size, 1, MOST_AT_ONCE)
    pve_steps = bench.config.pve_steps_from(pve_steps)
    found: list[dict[str, Attribution]] = [{} for _ in queries]
    bar = tqdm(total=len(queries) * len(methods), desc="attribution", leave=False, delay=2)
    # whatever the caller's grad mode is, here it is on
    with bar, bench.evaluating(), torch.inference_mode(False), torch.enable_grad():
        given = bench.inputs([image])
        pixels, scorer = given["pixel_values"], Scorer(bench, queries, pve_steps)
        asked = _Asked(scorer, pixels, given["tile_boxes"], batch_size)
        if _TO_TOKENS & set(methods):
            _refuse_cut(asked)
        with torch.no_grad():
            scores, even = (asked.scorer(one)[0].tolist() for one in (pixels, asked.even))
        for method in methods:
            for number, values in enumerate(METHODS[method](asked)):
                values, looks, gap = values.detach().float().cpu(), None, None
                if values.ndim == 3:
                    values, looks = values.sum(0), values
                if method == "integrated_gradients":
                    gap = float(values.sum()) - (scores[number] - even[number])
                one = Attribution(method, queries[number], scores[number], values, looks, gap)
                found[number][method] = one
                bar.update()
    return found

"""Re-ranking: the matching head looks at the best images again, together with the text."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil, nan
from typing import Any

import torch
from torch import Tensor

from mstar.errors import UserError
from mstar.files import said
from mstar.hooks.run import active, of_tiles
from mstar.io.bench import Bench
from mstar.model.configuration import MstarConfig
from mstar.texts import Query
from mstar.tiles import tile_count

#: Bytes of image tokens that are kept for the next text.
CACHE_BYTES = 512 * 2**20
_MATCHED_AT_ONCE = 16


def ratio_of(config: MstarConfig, ratio: float | None) -> float:
    """The share of a gallery that is re-ranked; None = the configuration's, if it re-ranks.

    Raises:
        UserError: it is not from 0 to 1.
    """
    if ratio is None:
        return config.rerank_ratio if config.rerank_weight else 0
    if not 0 <= ratio <= 1:
        raise UserError(f"the share to re-rank is from 0 to 1; got {ratio}.")
    return ratio


def rerank_count(images: int, ratio: float) -> int:
    """How many of a gallery's best images are re-ranked: max(2, ⌈ratio · images⌉), if there are.

    The released scripts take ⌊ratio · images⌋, which is nothing in a small gallery.
    """
    rounding = 1e-9  # 0.07 · 100 is a little more than 7
    return min(images, max(2, ceil(ratio * images - rounding)))


def rerank(
    scores: Tensor,
    probability: Tensor | Callable[[int, Tensor], Tensor],
    ratio: float,
    weight: float = 1.0,
) -> Tensor:
    """Add the matching probability to each text's best images (official.md 12).

    Args:
        scores: [N, B], texts by images.
        probability: softmax of the matching logits, class 1, as [N, B]; or a function of a text's
            index and the indices of its k best images, best first, that computes them, [k].
        ratio: share of the gallery that is re-ranked, see `rerank_count`.
        weight: of the probability; 1 as released.

    Returns:
        [N, B]; the scores of all other images are unchanged.
    """
    count = rerank_count(scores.shape[1], ratio)
    # topk takes any of equal scores; here the first image is before
    best = scores.argsort(dim=1, descending=True, stable=True)[:, :count]  # [N, k]
    if isinstance(probability, Tensor):
        added = probability.gather(1, best)
    else:
        added = torch.stack([probability(text, images) for text, images in enumerate(best)])
    return scores.scatter_add(1, best, weight * added.to(scores))


class TokenCache:
    """f₀ of images, made when asked for; the last used are kept.

    Galleries do not store f₀, which is larger than all vision embeddings together.

    Args:
        budget: bytes that may be kept.
    """

    def __init__(self, budget: int = CACHE_BYTES):
        self.budget = budget
        self._kept: OrderedDict[int, Tensor] = OrderedDict()

    def __contains__(self, image: int) -> bool:
        return image in self._kept

    def get(self, images: Sequence[int], encode: Callable[[Sequence[int]], Tensor]) -> Tensor:
        """f₀ of these images, [n, V, N, D].

        Args:
            encode: indices of n images -> f₀ [n, V, N, D], for those that are not kept.
        """
        missing = [image for image in images if image not in self._kept]
        # copies: a part of a batch would keep all of it in memory
        encoded = [one.clone() for one in encode(missing)] if missing else []
        made = dict(zip(missing, encoded, strict=True))
        found = [made[i] if i in made else self._kept[i] for i in images]
        for image, tokens in zip(images, found, strict=True):
            self._keep(image, tokens)
        return torch.stack(found)

    def clear(self) -> None:
        self._kept.clear()

    def _keep(self, image: int, tokens: Tensor) -> None:
        """As the last used; the first used make room for it."""
        self._kept.pop(image, None)
        size = tokens.numel() * tokens.element_size()
        while self._kept and (len(self._kept) + 1) * size > self.budget:
            self._kept.popitem(last=False)
        if size <= self.budget:
            self._kept[image] = tokens


class Matcher:
    """The matching head on images that are opened when they are asked for.

    Args:
        images: of the gallery, as the processor takes them.
        tiles: levels.

    Attributes:
        lost: image -> why it cannot be opened.
    """

    def __init__(self, bench: Bench, images: Sequence[Any], tiles: Sequence[int]):
        self.bench, self.images, self.levels = bench, images, tuple(tiles)
        self.tokens, self.lost = TokenCache(), dict[int, str]()

    @torch.no_grad()
    def match(self, query: Query, images: Tensor, tiles: Tensor) -> Tensor:
        """Probability that the text is in these images, [k]; NaN of what is `lost`.

        Args:
            images: int64 [k].
            tiles: int64 [k, K], at which the head looks.
        """
        data, found = self.bench.inputs(texts=query), []
        run = active(self.bench.model)
        at_once = max(1, _MATCHED_AT_ONCE // tile_count(self.levels))
        for some, looked in zip(images.split(at_once), tiles.split(at_once), strict=True):
            opened = self._opened(
                [i for i in some.tolist() if run is not None or i not in self.tokens]
            )
            there = torch.tensor([i not in self.lost for i in some.tolist()])
            found.append(torch.full((len(some),), nan))
            if not there.any():
                continue
            encode = partial(self._encode, opened)
            chosen = some[there].tolist()
            # what a hook changed must not outlive it
            tokens = encode(chosen) if run is not None else self.tokens.get(chosen, encode)
            tokens = tokens[torch.arange(len(chosen))[:, None], looked[there]]
            pairs = (data[name].expand(len(chosen), -1) for name in ("input_ids", "attention_mask"))
            logits = self.bench.model.match(tokens, *pairs, run)
            found[-1][there] = logits.softmax(-1)[:, 1].float().cpu()
        return torch.cat(found)

    def _opened(self, images: Sequence[int]) -> dict[int, Any]:
        """These images; of what cannot be opened `lost` says why."""
        opened = {}
        for image in images:
            try:
                if image not in self.lost:
                    opened[image] = self.images[image]
            except (UserError, OSError) as error:
                self.lost[image] = said(error) if isinstance(error, OSError) else str(error)
        return opened

    def _encode(self, opened: Mapping[int, Any], images: Sequence[int]) -> Tensor:
        """f₀ of these images, [n, V, N, D]."""
        pixels = self.bench.pixels([opened[image] for image in images], self.levels)
        count = pixels.shape[1]
        heard = of_tiles(active(self.bench.model), count)
        return self.bench.model.vision(pixels.flatten(0, 1), heard)[0].unflatten(0, (-1, count))

"""A readout of every layer: at which layer of ψ does the right text win?

What each layer gives is projected and compared with the texts as if it were the last one (for
language models: nostalgebraist 2020, "the logit lens"). ψ was trained to be read after its last
layer alone, so that a low cosine before says nothing, but a text that leads early was found early.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from mstar.io.bench import Bench
from mstar.texts import Query, Texts, as_queries

_HIDDEN, _TEXTS = "pve.*.layers.*.hidden", "text.features"


@dataclass(frozen=True, eq=False)
class Readout:
    """The cosines of one image with texts, layer by layer.

    Attributes:
        queries: N texts.
        cosine: [look, layer, N], of the vision embedding that is nearest to the text. At the last
            layer the score of a single word; texts of several words are scored otherwise.
    """

    queries: list[Query]
    cosine: Tensor

    def winners(self) -> Tensor:
        """The number of the nearest text, int64 [look, layer]."""
        return self.cosine.argmax(-1)

    def since(self, text: int) -> tuple[int, int] | None:
        """(look, layer) from which on a text is the nearest, to the end; None = it is not."""
        wins = (self.winners() == text).flatten()
        if not wins[-1]:
            return None
        lost = (~wins).nonzero()
        first = int(lost[-1]) + 1 if len(lost) else 0
        return divmod(first, self.cosine.shape[1])


@torch.no_grad()
def readout(bench: Bench, image: Any, texts: Texts, pve_steps: int | None = None) -> Readout:
    """Read ψ after each of its layers, at every look.

    Args:
        image: one, as the processor takes it.
        texts: the right one and others that it might be taken for.
    """
    queries = as_queries(texts)
    trace = bench.trace(image, queries, [_HIDDEN, _TEXTS], pve_steps=pve_steps)
    count = bench.config.qformer_config.num_hidden_layers
    looks = range(trace.pve_steps + 1)
    hidden = torch.stack(
        [torch.stack([trace[f"pve.{t}.layers.{i}.hidden"][0] for i in range(count)]) for t in looks]
    )  # [look, layer, tile, query_token, dim]
    weights = bench.model.vision_projection
    projected = F.normalize(weights(hidden.to(bench.device)), dim=-1).flatten(2, 3)
    cosine = projected @ trace["text.features"].to(projected).T
    return Readout(queries, cosine.amax(2).float().cpu())

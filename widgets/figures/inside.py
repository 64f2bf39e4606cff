"""What ψ attends to besides the image: its own query tokens, the tokens of a text, a pair."""

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from mstar.errors import UserError
from mstar.explain import looks as explain
from mstar.explain.readout import Readout
from mstar.hooks.trace import Trace, unrecorded

from .. import sprites
from ..markup import draw
from ..notes import table
from ..picture import Picture
from ..sprites import Scale
from ..tables import Block, Table
from .explore import MEAN
from .parts import number, over, times_even


def query_attention(trace: Trace, image: int = 0) -> Picture:
    """ψ's self-attention among its query tokens: which of them read from which, a row a reader.

    The state: `look`, `layer` and `head` (a number, or `mean`).

    Args:
        trace: with `pve.*.layers.*.self_attention`; of several tiles the mean.

    Raises:
        UserError: that was not recorded.
    """
    maps = _stacked(trace, "pve.*.layers.*.self_attention")[:, image]  # [look·layer, V, head, Q, Q]
    maps = maps.mean(1).reshape(trace.pve_steps + 1, -1, *maps.shape[2:])
    maps = _with_means(_with_means(maps, 1), 2)  # [look, layer, head, Q, Q]
    count = maps.shape[-1]
    even = maps * count
    flat = even.reshape(-1, count, count)
    scale = Scale.of(flat)
    sprite = sprites.map_sprite(flat, scale)
    by = {"look": _numbers(maps.shape[0]), "layer": [MEAN, *_numbers(maps.shape[1] - 1)],
          "head": [MEAN, *_numbers(maps.shape[2] - 1)]}  # fmt: skip
    says = [
        f"most: query token {row} from {column}, {m[row, column]:.1f} × even; from itself "
        f"{np.diagonal(m).mean():.1f} × even"
        for m in flat
        for row, column in [np.unravel_index(m.argmax(), m.shape)]
    ]
    tables = {"map": Table([Block(by)], says, sprite), "says": Table([Block(by)], says)}
    body = draw(
        "inside.html",
        title="What query tokens read from each other",
        caption="ψ's self-attention: the query token of each row, from the top, reads from those "
        "of the columns, from the left. Bright on the diagonal, it keeps to itself; a bright "
        "column is one that all others listen to.",
        menus=[("Look t", "look", {t: f"look {t}" for t in by["look"]}),
               ("Layer", "layer", _options("layer", by["layer"])),
               ("Head", "head", _options("head", by["head"]))],
        said="Self-attention of the query tokens; ",
        photo=False,
        tables=tables,
        state={"look": "0", "layer": MEAN, "head": MEAN},
        scale=scale,
    )  # fmt: skip
    return Picture(body, {"map": sprite.uri}, 1.0, tables)


def matching(trace: Trace, image: int = 0) -> Picture:
    """The matching pass over the image, for each text: where query tokens look that know the text.

    The state: `text` (its number) and `query_token` (a number, or `mean`).

    Args:
        trace: with `itm.*`, as `bench.trace(image, texts, [*NEEDED, "itm.*"])` records it. Of
            several tiles the whole photograph is shown.

    Raises:
        UserError: that was not recorded.
    """
    queries, count = explain.queries_of(trace), len(explain.queries_of(trace))
    maps = _stacked(trace, "itm.layers.*.cross_attention")  # [layer, pair, tile, head, Q, N]
    maps = maps[:, image * count : (image + 1) * count, 0].mean((0, 2))  # [text, Q, N]
    even = times_even(_with_means(maps, 1).reshape(count, -1, *trace.grid))
    flat = even.reshape(-1, *trace.grid)
    scale = Scale.of(flat)
    sprite = sprites.map_sprite(flat, scale)
    logits = trace["itm.logits"][image * count : (image + 1) * count].float().softmax(-1)[:, 1]
    by = {"text": _numbers(count), "query_token": [MEAN, *_numbers(even.shape[1] - 1)]}
    says = [f"highest {m.max():.1f} × even" for m in flat]
    matched = [f"{p:.0%} that it matches, by the matching head" for p in logits.tolist()]
    tables = {"map": Table([Block(by)], says, sprite),
              "says": Table([Block({"text": by["text"]})], matched)}  # fmt: skip
    texts = {str(n): f"{query.text} ({query.style})" for n, query in enumerate(queries)}
    body = draw(
        "inside.html",
        title="What the matching pass looks at",
        caption="For re-ranking, query tokens and the text look at the image together; the map is "
        "the mean over layers and heads. Where it is the same for every text, the matching head "
        "does not look for the text.",
        menus=[("Text", "text", texts),
               ("Query token", "query_token", _options("query token", by["query_token"]))],
        said="Attention of the matching pass; ",
        photo=True,
        tables=tables,
        state={"text": "0", "query_token": MEAN},
        scale=scale,
    )  # fmt: skip
    return over(explain.photo_of(trace, image), body, tables=tables, map=sprite.uri)


def text_attention(trace: Trace, tokenizer: PreTrainedTokenizerBase, texts: Sequence) -> Picture:
    """What the text's own embedding reads: its attention to every token, layer by layer.

    Args:
        trace: with `text.layers.*.self_attention`.
        tokenizer: of the processor, for the names of the tokens.
        texts: the ids of each text, [N, L], with which the trace was made (`bench.inputs`).
    """
    maps = _stacked(trace, "text.layers.*.self_attention").mean(2)[:, :, 0]  # [layer, text, L]
    rows = []
    for n, query in enumerate(trace.queries):
        ids = [int(one) for one in texts[n]]
        names = tokenizer.convert_ids_to_tokens(ids)
        kept = [i for i, one in enumerate(ids) if one != tokenizer.pad_token_id]
        for layer, values in enumerate(maps):
            best = sorted(kept, key=lambda i: -values[n, i])[:5]
            said = ", ".join(f"{names[i]} {values[n, i]:.0%}" for i in best)
            rows.append([query.text, f"layer {layer}", said])
    return table(
        "What the embedding of a text reads",
        "A text is compared by its first token after ψ's last layer: the five tokens that it "
        "attends to most, mean over heads.",
        ["Text", "Layer", "Reads from"],
        rows,
    )


def readouts(found: Readout) -> Picture:
    """The cosines after every layer of ψ, as if it were the last: at which the right text wins."""
    winners = found.winners()
    rows = []
    for look, layers in enumerate(found.cosine):
        for layer, values in enumerate(layers):
            best = int(winners[look, layer])
            cells = [f"{number(v)}{' ✓' * (n == best)}" for n, v in enumerate(values.tolist())]
            rows.append([f"look {look}, layer {layer}", *cells])
    last = int(winners[-1, -1])
    look, layer = found.since(last)
    return table(
        "At which layer the text is found",
        f"Cosine of each text with its nearest vision embedding, read after every layer; ✓ is the "
        f"nearest text. In the end that is “{found.queries[last].text}”, which leads from look "
        f"{look}, layer {layer} on. ψ was trained to be read after its last layer alone.",
        ["Read after", *(query.text for query in found.queries)],
        rows,
    )


def _stacked(trace: Trace, names: str) -> np.ndarray:
    if not any(name.startswith(names.partition("*")[0]) and name.endswith(names.rpartition(".")[2])
               for name in trace):  # fmt: skip
        raise UserError(unrecorded(names))
    return trace.stack(names).float().numpy()


def _with_means(values: np.ndarray, axis: int) -> np.ndarray:
    """The mean over an axis first, then what it is of."""
    return np.concatenate([values.mean(axis, keepdims=True), values], axis)


def _numbers(count: int) -> list[str]:
    return [str(one) for one in range(count)]


def _options(what: str, values: Sequence[str]) -> dict[str, str]:
    mean = f"mean of all {len(values) - 1}"
    return {value: mean if value == MEAN else f"{what} {value}" for value in values}

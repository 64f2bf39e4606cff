"""ψ, the multimodal encoder: one Q-Former over query tokens, over text, or over both.

The layers are transformers' own. What is ours is the loop over them, so that every layer's output
can be heard, and the attention function, so that its probabilities can.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, Blip2QFormerModel
from transformers.models.blip_2.modeling_blip_2 import Blip2TextEmbeddings

from mstar.hooks.run import Run, TiledRun
from mstar.model.configuration import MstarConfig

Tap = Callable[[nn.Module, Tensor], Tensor]

#: What hides a padded key. Finite, so that a row without any visible key stays a number.
HIDDEN = -1e4


def explicit_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    tap: Tap | None = None,
    shared: "tuple[nn.Module, Shared] | None" = None,
    **_: object,
) -> tuple[Tensor, Tensor]:
    """Attention with an explicit softmax, whose probabilities pass through `tap` before dropout.

    PVE needs ψ's cross-attention in every run, so this is ψ's attention whether or not anybody
    listens; a run that only records computes the same bits.
    """
    grouped = shared[1] if shared is not None and module is shared[0] else None
    if grouped is not None:
        query = grouped.joined(query)
    logits = query @ key.transpose(-1, -2) * scaling  # [B, heads, queries, keys]
    if attention_mask is not None:
        logits = logits + attention_mask
    probabilities = logits.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    if tap is not None:
        probabilities = tap(module, probabilities)
    dropped = nn.functional.dropout(probabilities, dropout, module.training)
    mixed = dropped @ value
    if grouped is not None:
        mixed = grouped.apart(mixed)
    return mixed.transpose(1, 2), probabilities


@dataclass(frozen=True)
class Shared:
    """Pairs that look at the same image tokens: their queries go through one attention together.

    Attributes:
        rows, slots: int64 [P], the row of image tokens of each pair, and its place among those
            that look at it.
        count, most: rows, and the largest number of pairs of one.
    """

    rows: Tensor
    slots: Tensor
    count: int
    most: int

    @classmethod
    def of(cls, rows: Tensor, count: int) -> "Shared":
        """From each pair's row."""
        one_hot = nn.functional.one_hot(rows, count)  # [P, rows]
        slots = (one_hot.cumsum(0) - 1).gather(1, rows[:, None])[:, 0]
        return cls(rows, slots, count, int(slots.max()) + 1)

    def joined(self, query: Tensor) -> Tensor:
        """[P, heads, Q, e] -> [rows, heads, most · Q, e], zeros where a row has fewer pairs."""
        slotted = query.new_zeros(self.count, self.most, *query.shape[1:])
        slotted = slotted.index_put((self.rows, self.slots), query)
        return slotted.transpose(1, 2).flatten(2, 3)

    def apart(self, mixed: Tensor) -> Tensor:
        """[rows, heads, most · Q, e] -> [P, heads, Q, e]"""
        return mixed.unflatten(2, (self.most, -1)).transpose(1, 2)[self.rows, self.slots]


AttentionInterface.register("mstar_explicit", explicit_attention)


class MultimodalEncoder(nn.Module):
    """ψ with its query tokens and its text embeddings (section 3; official.md 5)."""

    def __init__(self, config: MstarConfig):
        super().__init__()
        self.qformer = Blip2QFormerModel(config.qformer_config)
        self.keep_attention()
        self.text_embeddings = Blip2TextEmbeddings(config.qformer_config)
        self.query_tokens = nn.Parameter(
            torch.zeros(1, config.num_query_tokens, config.qformer_config.hidden_size)
        )

    def keep_attention(self) -> None:
        """ψ's attention is `explicit_attention`, whatever the rest of the model has."""
        self.qformer.config._attn_implementation = "mstar_explicit"

    def look(
        self, image: Tensor, prefix: str, run: TiledRun | None = None
    ) -> tuple[Tensor, Tensor]:
        """Queries look at an image.

        Args:
            image: projected image tokens [B, N, encoder_hidden_size].
            prefix: `pve.{t}`, the name under which this look is heard.

        Returns:
            E_V [B, Q, d] and C [B, N]: the mean of the cross-attention over layers, heads and
            queries, without a gradient (official.md 6.1).
        """
        queries = self.query_tokens.expand(image.shape[0], -1, -1)
        hidden, maps = self._layers(
            queries, queries.shape[1], None, image, prefix, {"cross", "self", "hidden"}, run
        )
        return hidden, torch.stack(list(maps.values())).mean(0)

    def read(self, input_ids: Tensor, attention_mask: Tensor, run: Run | None = None) -> Tensor:
        """Text alone: ids and mask [N, L] -> hidden states [N, L, d]; the first token is E_T."""
        embeds = self.text_embeddings(input_ids=input_ids)
        hide = _hide(attention_mask, embeds)
        return self._layers(embeds, 0, hide, None, "text", {"self", "hidden"}, run)[0]

    def read_by_length(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """E_T [N, d], short texts apart from long ones: most of a mixed batch would be padding."""
        lengths = attention_mask.sum(dim=1)
        order = lengths.argsort()
        read = []
        for chunk in order.chunk(4):
            longest = max([1, *lengths[chunk].tolist()])  # a process may have no text
            part = slice(longest)
            read.append(self.read(input_ids[chunk, part], attention_mask[chunk, part])[:, 0])
        return torch.cat(read)[order.argsort()]

    def match(
        self,
        image: Tensor,
        input_ids: Tensor,
        attention_mask: Tensor,
        run: TiledRun | None = None,
        rows: Tensor | None = None,
    ) -> Tensor:
        """Queries and text together look at the image: P pairs -> query outputs [P, Q, d].

        Args:
            image: projected image tokens of each pair [P, N, encoder_hidden_size].
            input_ids, attention_mask: of each pair's text, int64 [P, L].
            rows: int64 [P]; `image` has rows that pairs share then, and this is each pair's.
        """
        queries = self.query_tokens.expand(len(input_ids), -1, -1)
        embeds = self.text_embeddings(input_ids=input_ids, query_embeds=queries)
        seen = torch.cat([attention_mask.new_ones(queries.shape[:2]), attention_mask], dim=1)
        count = queries.shape[1]
        hide = _hide(seen, embeds)
        if rows is not None and run is not None:  # whoever listens is given pairs
            image, rows = image[rows], None
        shared = None if rows is None else Shared.of(rows, len(image))
        points = {"cross"}
        return self._layers(embeds, count, hide, image, "itm", points, run, shared)[0][:, :count]

    def _layers(
        self,
        embeds: Tensor,  # [B, Q + L, d]
        query_length: int,
        hide: Tensor | None,  # additive [B, 1, 1, Q + L]
        image: Tensor | None,  # [B, N, encoder_hidden_size]
        prefix: str,
        points: set[str],
        run: Run | TiledRun | None,
        shared: "Shared | None" = None,
    ) -> tuple[Tensor, dict[int, Tensor]]:
        hidden = self.qformer.dropout(self.qformer.layernorm(embeds))
        # Keyed by layer: gradient checkpointing runs a layer twice and must not count it twice.
        maps: dict[int, Tensor] = {}
        for index, layer in enumerate(self.qformer.encoder.layer):
            tap = _tap(index, layer, prefix, points, maps, run)
            at = (layer.crossattention.attention, shared) if layer.has_cross_attention else None
            grouped = at if shared is not None else None
            hidden = layer(hidden, hide, image, query_length=query_length, tap=tap, shared=grouped)
            if run is not None and "hidden" in points:
                hidden = run(f"{prefix}.layers.{index}.hidden", hidden)
        return hidden, maps


def _tap(
    index: int,
    layer: nn.Module,
    prefix: str,
    points: set[str],
    maps: dict[int, Tensor],
    run: Run | TiledRun | None,
) -> Tap:
    """What one layer does with its probabilities: let `run` hear them, keep the mean map."""

    def tap(module: nn.Module, probabilities: Tensor) -> Tensor:
        kind = "self" if module is layer.attention.attention else "cross"
        if run is not None and kind in points:
            probabilities = run(f"{prefix}.layers.{index}.{kind}_attention", probabilities)
        if kind == "cross" and prefix != "itm":
            maps[index] = probabilities.detach().float().mean(dim=(1, 2))  # [B, N]
        return probabilities

    return tap


def _hide(attention_mask: Tensor, like: Tensor) -> Tensor:
    """1 = real token, [N, L] -> what is added to the attention logits, [N, 1, 1, L]."""
    return (1 - attention_mask[:, None, None, :].to(like.dtype)) * HIDDEN

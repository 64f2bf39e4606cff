"""ψ, the multimodal encoder: one Q-Former over queries, over text, or over both.

The layers are transformers' own. What is ours is the loop over them, so that every layer's output
can be heard, and the attention function, so that its probabilities can.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, Blip2QFormerModel
from transformers.models.blip_2.modeling_blip_2 import Blip2TextEmbeddings

from .configuration import MstarConfig
from .hooks import Run

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
    **_: object,
) -> tuple[Tensor, Tensor]:
    """Attention with an explicit softmax, whose probabilities pass through `tap` before dropout.

    PVE needs ψ's cross-attention in every run, so this is ψ's attention whether or not anybody
    listens; a run that only records computes the same bits.
    """
    logits = query @ key.transpose(-1, -2) * scaling  # [B, heads, queries, keys]
    if attention_mask is not None:
        logits = logits + attention_mask
    probabilities = logits.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    if tap is not None:
        probabilities = tap(module, probabilities)
    dropped = nn.functional.dropout(probabilities, dropout, module.training)
    return (dropped @ value).transpose(1, 2), probabilities


AttentionInterface.register("mstar_explicit", explicit_attention)


class MultimodalEncoder(nn.Module):
    """ψ with its learnable queries and its text embeddings (section 3; official.md 5)."""

    def __init__(self, config: MstarConfig):
        super().__init__()
        self.qformer = Blip2QFormerModel(config.qformer_config)
        self.qformer.config._attn_implementation = "mstar_explicit"
        self.text_embeddings = Blip2TextEmbeddings(config.qformer_config)
        self.query_tokens = nn.Parameter(
            torch.zeros(1, config.num_query_tokens, config.qformer_config.hidden_size)
        )

    def look(self, image: Tensor, prefix: str, run: Run | None = None) -> tuple[Tensor, Tensor]:
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
        return self._layers(embeds, 0, hide, None, "text", {"hidden"}, run)[0]

    def match(
        self, image: Tensor, input_ids: Tensor, attention_mask: Tensor, run: Run | None = None
    ) -> Tensor:
        """Queries and text together look at the image: P pairs -> query outputs [P, Q, d]."""
        queries = self.query_tokens.expand(image.shape[0], -1, -1)
        embeds = self.text_embeddings(input_ids=input_ids, query_embeds=queries)
        seen = torch.cat([attention_mask.new_ones(queries.shape[:2]), attention_mask], dim=1)
        count = queries.shape[1]
        hide = _hide(seen, embeds)
        return self._layers(embeds, count, hide, image, "itm", {"cross"}, run)[0][:, :count]

    def _layers(
        self,
        embeds: Tensor,  # [B, Q + L, d]
        query_length: int,
        hide: Tensor | None,  # additive [B, 1, 1, Q + L]
        image: Tensor | None,  # [B, N, encoder_hidden_size]
        prefix: str,
        points: set[str],
        run: Run | None,
    ) -> tuple[Tensor, dict[int, Tensor]]:
        hidden = self.qformer.dropout(self.qformer.layernorm(embeds))
        # Keyed by layer: gradient checkpointing runs a layer twice and must not count it twice.
        maps: dict[int, Tensor] = {}
        for index, layer in enumerate(self.qformer.encoder.layer):
            tap = _tap(index, layer, prefix, points, maps, run)
            hidden = layer(hidden, hide, image, query_length=query_length, tap=tap)
            if run is not None and "hidden" in points:
                hidden = run(f"{prefix}.layers.{index}.hidden", hidden)
        return hidden, maps


def _tap(
    index: int,
    layer: nn.Module,
    prefix: str,
    points: set[str],
    maps: dict[int, Tensor],
    run: Run | None,
) -> Tap:
    """What one layer does with its probabilities: let `run` hear them, keep the mean map."""

    def tap(module: nn.Module, probabilities: Tensor) -> Tensor:
        kind = "self" if module is layer.attention.attention else "cross"
        if run is not None and kind in points:
            probabilities = run(f"{prefix}.layers.{index}.{kind}_attention", probabilities)
        if kind == "cross":
            maps[index] = probabilities.detach().float().mean(dim=(1, 2))  # [B, N]
        return probabilities

    return tap


def _hide(attention_mask: Tensor, like: Tensor) -> Tensor:
    """1 = real token, [N, L] -> what is added to the attention logits, [N, 1, 1, L]."""
    return (1 - attention_mask[:, None, None, :].to(like.dtype)) * HIDDEN

"""Hook points: named places of the forward pass whose value can be recorded and replaced.

The contract in one paragraph. A hook is `fn(value, *, point) -> value | None`; None leaves the
value as it is, anything else replaces it and must keep shape, dtype and device. Interventions run
first, recording second, so a `Trace` holds what the model really used. Listeners travel with the
call: `forward` asks once for the `Run` of its own model (a context variable, so threads and models
do not meet) and passes it down as an argument. Without listeners that argument is None and no
point is called at all.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Any, Protocol

from mstar.errors import UserError

#: Largest T. The paper goes to 3; a mistyped number should not run for hours.
MOST_PVE_STEPS = 64

#: Which points to take: an exact name, a glob, a list of either, or a predicate on the name.
Names = str | Iterable[str] | Callable[[str], bool]


class Config(Protocol):
    """What the names of a model's points depend on; `MstarConfig` is one."""

    pve_steps: int
    vision_config: Any
    qformer_config: Any
    multi_word_branch: bool

    @property
    def cross_attention_layers(self) -> tuple[int, ...]: ...


class HookError(UserError):
    """A hook names no point, or returned something that cannot take the value's place."""


@dataclass(frozen=True)
class Point:
    """One row of the table: a name (with `{t}` for the look, `{l}` for a layer) and its axes.

    `axes` name the dimensions of the value; `sizes` name what each of them measures, where that is
    not the axis itself ("dim" has another length in φ than in ψ). `default` points are small
    enough to be recorded when nobody says which.
    """

    name: str
    axes: tuple[str, ...]
    what: str
    sizes: tuple[str, ...] = ()
    default: bool = True
    itemsize: int | None = None  # bytes per element where that is not the model's dtype

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(
            re.escape(self.name).replace(r"\{t\}", r"(?P<t>\d+)").replace(r"\{l\}", r"(?P<l>\d+)")
        )


def _points() -> dict[str, Point]:
    rows = [
        Point("vision.layers.{l}.hidden", ("batch", "tile", "token", "dim"),
              "output of layer l of φ",
              ("batch", "tile", "token", "vision_dim"), default=False),
        Point("vision.tokens", ("batch", "tile", "token", "dim"), "f₀, the image tokens",
              ("batch", "tile", "token", "vision_dim"), default=False),
        Point("pve.{t}.sas_attention", ("batch", "tile", "head", "token_q", "token"),
              "self-attention of S that made f_t (t ≥ 1; large)",
              ("batch", "tile", "sas_head", "token", "token"), default=False),
        Point("pve.{t}.tokens", ("batch", "tile", "token", "dim"),
              "f_t, the image tokens of look t",
              ("batch", "tile", "token", "vision_dim"), default=False),
        Point("pve.{t}.layers.{l}.self_attention",
              ("batch", "tile", "head", "query_token_q", "query_token"),
              "ψ's self-attention among its query tokens",
              ("batch", "tile", "head", "query_token", "query_token")),
        Point("pve.{t}.layers.{l}.cross_attention",
              ("batch", "tile", "head", "query_token", "token"),
              "ψ's cross-attention probabilities, before dropout", default=False),
        Point("pve.{t}.layers.{l}.hidden", ("batch", "tile", "query_token", "dim"),
              "output of layer l of ψ"),
        Point("pve.{t}.embeddings", ("batch", "tile", "query_token", "dim"),
              "E_V^t, the vision embeddings"),
        Point("pve.{t}.features", ("batch", "tile", "query_token", "embed"),
              "E_V^t projected, unit length"),
        Point("pve.{t}.attention_map", ("batch", "tile", "grid_h", "grid_w"),
              "C_t, ψ's mean attention"),
        Point("pve.{t}.salient", ("batch", "tile", "grid_h", "grid_w"), "σ(C_t), True = salient",
              itemsize=1),
        Point("pve.{t}.mask", ("batch", "tile", "grid_h", "grid_w"),
              "M_t with the history folded in, 1 = still neglected; used by look t+1"),
        Point("text.layers.{l}.self_attention",
              ("text", "head", "text_token_q", "text_token"),
              "ψ's self-attention among the tokens of a text, padding hidden",
              ("text", "head", "text_token", "text_token"), default=False),
        Point("text.layers.{l}.hidden", ("text", "text_token", "dim"), "output of layer l of ψ",
              default=False),
        Point("text.embeddings", ("text", "dim"), "E_T"),
        Point("text.features", ("text", "embed"), "E_T projected, unit length"),
        Point("mim.similarity", ("image", "text", "query_token"),
              "cosine of every text with every vision embedding: look, tile, query token",
              ("batch", "text", "all_query_tokens")),
        Point("mim.assignment", ("image", "text"),
              "index of the vision embedding assigned to a word, see `assignment.place_of`; or −1",
              ("batch", "text"), itemsize=8),
        Point("mim.aggregator_attention", ("image", "text", "head", "query_token"),
              "weights of the multi-word branch",
              ("batch", "text", "mim_head", "all_query_tokens")),
        Point("mim.evidence", ("image", "text", "query_token"),
              "how much each vision embedding counts in the score: cosine, or weight; read only",
              ("batch", "text", "all_query_tokens")),
        Point("scores", ("text", "image"), "what ranks the gallery", ("text", "batch")),
        Point("itm.layers.{l}.cross_attention", ("pair", "tile", "head", "query_token", "token"),
              "ψ's cross-attention in the matching pass, at the whole and at the text's best tile",
              ("pair", "matched_tile", "head", "query_token", "token"), default=False),
        Point("itm.logits", ("pair", "class"), "matching logits, of the tile that says most"),
    ]  # fmt: skip
    return {row.name: row for row in rows}


POINTS = _points()


@lru_cache(maxsize=4096)
def find_point(name: str) -> Point | None:
    """The row of the table that a concrete name belongs to."""
    return next((p for p in POINTS.values() if p.pattern.fullmatch(name)), None)


def point_names(config: Config, pve_steps: int) -> list[str]:
    """Every concrete point of a model, in the order of the table, for T = `pve_steps`."""
    names = []
    for point in POINTS.values():
        loops = range(pve_steps + 1) if "{t}" in point.name else (None,)
        for t in loops:
            if t == 0 and point.name.endswith("sas_attention"):
                continue
            for layer in _layers(point, config):
                name = point.name
                if t is not None:
                    name = name.replace("{t}", str(t))
                names.append(name if layer is None else name.replace("{l}", str(layer)))
    return names


def reached_points(
    config: Config, pve_steps: int, image: bool = True, text: bool = True, pairs: bool = False
) -> list[str]:
    """The points that a run on such inputs reaches: no image, no PVE; no pairs, no matching."""
    reached = {
        "vision": image,
        "pve": image,
        "text": text,
        "mim": image and text,
        "scores": image and text,
        "itm": image and text and pairs,
    }
    names = [name for name in point_names(config, pve_steps) if reached[name.partition(".")[0]]]
    if not config.multi_word_branch:
        names = [name for name in names if name != "mim.aggregator_attention"]
    return names


def _layers(point: Point, config: Config) -> Iterable[int | None]:
    if "{l}" not in point.name:
        return (None,)
    if point.name.startswith("vision."):
        return range(config.vision_config.num_hidden_layers)
    if point.name.endswith("cross_attention"):
        return config.cross_attention_layers
    return range(config.qformer_config.num_hidden_layers)


def select(names: Names | None, available: list[str]) -> list[str]:
    """The available points that `names` asks for; None = the small default set.

    Raises:
        HookError: a name or glob that matches nothing, with near matches.
    """
    if names is None:
        return [name for name in available if find_point(name).default]
    if callable(names):
        return [name for name in available if names(name)]
    wanted: set[str] = set()
    for name in [names] if isinstance(names, str) else names:
        found = [candidate for candidate in available if fnmatchcase(candidate, name)]
        if not found:
            raise HookError(unknown(name, available))
        wanted.update(found)
    return [name for name in available if name in wanted]


def unknown(name: str, available: list[str]) -> str:
    """What to say of a name that is not available."""
    near = difflib.get_close_matches(name, available, n=3, cutoff=0.5)
    hint = f"near matches: {', '.join(near)}" if near else "model.hook_points() lists them all"
    return f"no hook point is called {name!r}; {hint}."

"""Activation patching: where, and at which look and layer, does the run learn which word it is?

Two scenes differ in one word (`data.pairs`). The word of the first is asked for in the second, with
one value of the first run put into the second: the more of the score comes back, the more of the
difference between the words is in that value. The same value of an unrelated scene is the control.
That other tokens bring nothing says only that the difference is where the word is: apart from it
the two scenes are nearly equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from tqdm.auto import tqdm

from mstar.data.scenes.pairs import Pair
from mstar.data.scenes.scene import Scene
from mstar.errors import UserError
from mstar.evaluate.grounding import coverage
from mstar.evaluate.metrics import estimate, paired
from mstar.evaluate.table import COUNTED, PERCENT, Column, Result, Section
from mstar.experiments.sweep import Change, scores
from mstar.hooks.interventions import patch
from mstar.hooks.run import Hooks
from mstar.hooks.trace import Trace
from mstar.io.bench import Bench
from mstar.model.modeling import MstarModel
from mstar.texts import Query


@dataclass(frozen=True)
class Site:
    """A value that is patched.

    Attributes:
        name: what it is called.
        points: of the first run.
        where: `all` = the whole value; `word` = the image tokens that either word touches;
            `others` = as many at random that neither touch a word nor lie next to one that does.
    """

    name: str
    points: tuple[str, ...]
    where: str = "all"


_RESTORED = (
    Column("site", "value of the first scene"), Column("effect", "comes back"),
    Column("control", "unrelated scene"), Column("difference", "difference, paired"),
    Column("share", "share", PERCENT),
)  # fmt: skip


def sites(model: MstarModel, pve_steps: int) -> list[Site]:
    """Values by look and layer: φ's tokens on the word and elsewhere, ψ's query tokens, masks."""
    config = model.config
    found = []
    for layer in range(config.vision_config.num_hidden_layers):
        found += [
            Site(f"φ, layer {layer}, {said}", (f"vision.layers.{layer}.hidden",), where)
            for where, said in {"word": "the word's tokens", "others": "as many others"}.items()
        ]
    looks = {f"look {t}": (t,) for t in range(pve_steps + 1)}
    if pve_steps:
        looks["all looks"] = tuple(range(pve_steps + 1))
    for said, which in looks.items():
        found += [
            Site(
                f"ψ, {said}, layer {layer}", tuple(f"pve.{t}.layers.{layer}.hidden" for t in which)
            )
            for layer in range(config.qformer_config.num_hidden_layers)
        ]
    found += [Site(f"mask of look {t}", (f"pve.{t}.mask",)) for t in range(pve_steps)]
    return found


def patching(
    bench: Bench, pairs: Sequence[Pair], pve_steps: int | None = None, seed: int = 0
) -> Result:
    """Patch every site of every pair.

    Sections, in cosine × 100: `total`, what there is to restore, the score of the word in its scene
    less that in the other; `restored`, by the name of each of `sites` what came back with the value
    of the first scene and with that of an unrelated one, paired, and the share of the total.

    Args:
        pairs: two at least; the scene before is the unrelated one. Each is looked at as a whole, in
            one tile, so that a token is one place of the scene.
        seed: of the tokens drawn at random.

    Raises:
        UserError: fewer than two pairs, or a word so large that not as many tokens lie apart.
    """
    if len(pairs) < 2:
        raise UserError(f"patching needs two pairs at least; got {len(pairs)}.")
    pve_steps = bench.config.pve_steps_from(pve_steps)
    found = sites(bench.model, pve_steps)
    rng = np.random.default_rng(seed)
    names = sorted({point for site in found for point in site.points})
    totals, effects = [], []
    unrelated = _recorded(bench, pairs[-1], names, pve_steps)
    for pair in tqdm(pairs, desc="patching", unit="pair", leave=False, delay=1):
        trace = _recorded(bench, pair, names, pve_steps)
        total, restored = _measure(bench, pair, found, (trace, unrelated), rng)
        totals.append(total)
        effects.append(restored)
        unrelated = trace
    total, values = np.array(totals), np.array(effects)  # [pairs], [pairs, sites, 2]
    rows = []
    for number, site in enumerate(found):
        own, control = values[:, number].T
        share = 100 * float(own.mean() / total.mean())
        rows.append((site.name, *paired(own, control)[:3], share))
    columns = (Column("what", ""), Column("total", "cosine × 100", COUNTED))
    whole = [("of all pairs", estimate(total))]
    sections = [
        Section("total", "what there is to restore", columns, whole),
        Section("restored", "what comes back, cosine × 100", _RESTORED, rows),
    ]
    about = {"pairs": len(pairs), "pve_steps": pve_steps, "seed": seed}
    return Result("patching", about, sections)


def apart(touched: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """As many tokens at random, none of them touched or next to one that is.

    Raises:
        UserError: there are not as many.
    """
    free = np.flatnonzero(~maximum_filter(touched, size=3, mode="constant"))
    count = int(touched.sum())
    if len(free) < count:
        raise UserError(f"the word touches {count} tokens, and only {len(free)} lie apart from it.")
    found = np.zeros(touched.size, dtype=bool)
    found[rng.choice(free, count, replace=False)] = True
    return found.reshape(touched.shape)


def _recorded(bench: Bench, pair: Pair, names: list[str], pve_steps: int) -> Trace:
    with bench.evaluating():
        given = {"pixel_values": bench.pixels([pair.first.image], (1,)), "pve_steps": pve_steps}
        _, trace = bench.model.run_with_trace(given, names)
    return trace


def _measure(
    bench: Bench,
    pair: Pair,
    found: Sequence[Site],
    traces: tuple[Trace, Trace],
    rng: np.random.Generator,
) -> tuple[float, list[tuple[float, float]]]:
    """Score of the first scene less that of the second, and the change at each site, × 100."""
    pve_steps, grid = traces[0].pve_steps, traces[0].grid
    size = pair.first.image.shape[:2]
    touched = coverage([pair.word.polygon, pair.other.polygon], size, grid) > 0
    where = {
        "all": None,
        "word": torch.from_numpy(touched),
        "others": torch.from_numpy(apart(touched, rng)),
    }
    query = [Query(pair.word.word, "word")]

    def score(scene: Scene, name: str, hooks: Hooks = ()) -> float:
        pixels = bench.pixels([scene.image], (1,))
        return 100 * float(scores(bench, pixels, query, Change(name, hooks, pve_steps=pve_steps)))

    def patched(site: Site, trace: Trace) -> float:
        hooks = patch(trace, site.points, where[site.where])
        return score(pair.second, site.name, hooks) - below

    below = score(pair.second, "plain")
    restored = [tuple(patched(site, trace) for trace in traces) for site in found]
    return score(pair.first, "plain") - below, restored

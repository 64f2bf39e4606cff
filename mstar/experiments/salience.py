"""The paper's salience experiment (fig. 1b and 4), over many images and with two controls.

Cover the text that draws most attention: does the score of the text that draws least rise? Covering
anything changes an image, so the same is done with a region of the same shape where no text is; and
as any text may be in the way of any other, with another text, neither salient nor neglected.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from mstar.data.scenes.scene import Scene
from mstar.errors import UserError
from mstar.evaluate.grounding import Outlined, coverage, mass_inside, outlined_scene
from mstar.evaluate.metrics import estimate, paired
from mstar.evaluate.table import COUNTED, Column, Result, Section
from mstar.experiments.sweep import Change, scores
from mstar.io.bench import Bench
from mstar.texts import Query

_NEGLECTED = (
    Column("against", "held against"), Column("salient", "salient text covered"),
    Column("control", "control covered", COUNTED), Column("difference", "difference, paired"),
)  # fmt: skip


def salience(
    bench: Bench,
    drawn: Sequence[Scene] | Sequence[Outlined],
    pve_steps: int | None = None,
    seed: int = 0,
) -> Result:
    """Cover the salient text of each scene, or photograph, as much ground, and a third text.

    Each is looked at in one tile, the whole.

    Salient is the word with most of C₀ inside, neglected the one with least; the third is drawn
    from the others.

    Sections: `neglected`, change of the neglected text's cosine × 100 with the salient text covered
    and with a control, against `ground` of the same shape without any text (a difference above
    0 = text held it down) and, in the images with a third `text`, against that (above 0 = the
    salient text held it down more than any text does; it may be the larger of the two). `rises`,
    share of images in which that score rises. `salient`, change of the salient text's own score,
    to see that it was covered, and what the presence of a text is worth. In about, `images` is
    where it could be done; `left_out` had fewer than two words, the two too near each other, or no
    free place.

    Args:
        drawn: rendered scenes, or photographs whose words are outlined.
        seed: of the places of the controls, and of the third texts.

    Raises:
        UserError: no scene has two words apart and free ground.
    """
    pve_steps = bench.config.pve_steps_from(pve_steps)
    rng = np.random.default_rng(seed)
    changes = []
    for one in tqdm(drawn, desc="salience", unit="image", leave=False, delay=1):
        outlined = outlined_scene(one) if isinstance(one, Scene) else one
        found = _measure(bench, outlined, pve_steps, rng)
        if found is not None:
            changes.append(found)
    if not changes:
        raise UserError("no scene has two words apart and free ground to cover.")
    covered, ground, third, own = 100 * np.array(changes).T
    controls = {"ground": ground, "text": third}
    neglected = [(name, *paired(covered, of)[:3]) for name, of in controls.items()]
    rises = [
        (name, estimate(100 * (of > 0)))
        for name, of in {"salient text": covered, "as much ground": ground}.items()
    ]
    salient = [("salient text", estimate(own))]
    what, share = Column("covered"), Column("share", "in % of the images")
    change = Column("change", "cosine × 100")
    sections = [
        Section("neglected", "neglected text, cosine × 100 [95 %]", _NEGLECTED, neglected),
        Section("rises", "images in which it rises", (what, share), rises),
        Section("salient", "salient text, itself covered", (what, change), salient),
    ]
    about = {"images": len(changes), "left_out": len(drawn) - len(changes), "pve_steps": pve_steps}
    return Result("salience", about | {"seed": seed}, sections)


def _measure(
    bench: Bench, one: Outlined, pve_steps: int, rng: np.random.Generator
) -> tuple[float, float, float, float] | None:
    """Changes of the neglected score with the salient text, ground or a third text covered (NaN
    where there is none), and of the salient text's own."""
    if len(one.words) < 2:
        return None
    pixels = bench.pixels([one.image], (1,))
    with bench.evaluating():
        inputs = {"pixel_values": pixels, "pve_steps": 0}
        _, trace = bench.model.run_with_trace(inputs, "pve.0.attention_map")
    attention = trace["pve.0.attention_map"][0, 0].numpy()
    places = [coverage([polygon], one.size, trace.grid) for _, polygon in one.words]
    unread = coverage(one.unread, one.size, trace.grid)
    drawn = [mass_inside(attention, place) for place in places]
    salient, neglected = int(np.argmax(drawn)), int(np.argmin(drawn))
    region = box(places[salient] > 0)
    ground = elsewhere(region, sum(places) + unread > 0, rng)
    if ground is None or (region & (places[neglected] > 0)).any():
        return None
    covers = {"salient covered": region, "ground covered": ground}
    apart = [
        where
        for n, place in enumerate(places)
        if n not in (salient, neglected)
        and not ((where := box(place > 0)) & (region | (places[neglected] > 0))).any()
    ]
    if apart:
        covers["third covered"] = apart[int(rng.integers(len(apart)))]
    queries = [Query(one.words[n][0], "word") for n in (neglected, salient)]
    plain = scores(bench, pixels, queries, Change("plain", pve_steps=pve_steps))[:, 0]
    changed = {"third covered": np.full(2, np.nan)}
    for name, where in covers.items():
        change = Change(name, covered=torch.from_numpy(where), pve_steps=pve_steps)
        changed[name] = (scores(bench, pixels, queries, change)[:, 0] - plain).numpy()
    first = (changed[f"{name} covered"][0] for name in ("salient", "ground", "third"))
    return *first, changed["salient covered"][1]


def box(tokens: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The upright rectangle around some tokens, bool [grid_h, grid_w]."""
    rows, columns = (np.flatnonzero(tokens.any(axis)) for axis in (1, 0))
    found = np.zeros_like(tokens)
    found[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return found


def elsewhere(
    region: NDArray[np.bool_], taken: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.bool_] | None:
    """A rectangle of the same shape at a random place that is not taken; None if there is none."""
    height, width = region.any(1).sum(), region.any(0).sum()
    windows = np.lib.stride_tricks.sliding_window_view(taken, (height, width))
    free = np.argwhere(~windows.any(axis=(2, 3)))
    if not len(free):
        return None
    y, x = free[rng.integers(len(free))]
    found = np.zeros_like(region)
    found[y : y + height, x : x + width] = True
    return found

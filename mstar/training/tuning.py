"""Going on from any checkpoint in minutes, with one's own photographs and what is written there."""

from mstar.data.lists.photographs import Few, Lists
from mstar.data.lists.stream import Data, Mixed, Rendered
from mstar.errors import UserError
from mstar.model.configuration import MstarConfig
from mstar.training.recipes import Recipe, Stage

#: Minutes, and peak rate, unless others are asked for: a third of the rate that ends the sandbox.
MINUTES, RATE = 10.0, 2e-4


def tuned(
    config: MstarConfig,
    real: Lists,
    incomplete: Lists = (),
    minutes: float | None = None,
    lr: float | None = None,
    share: float = 0.5,
    pve_only: bool = False,
    seed: int = 4,
) -> Recipe:
    """One stage on photographs and rendered scenes: the checkpoint's T, its tiles up to 2 × 2.

    Steps with finer tiles take three times as long; the checkpoint that is left looks with all that
    it had.

    A fifth of the photographs (at least one) is not trained on: three times, and once before, it
    is said how well words find them among the others.

    Args:
        config: of the checkpoint.
        real, incomplete: lists of photographs, see `data.photographs`.
        minutes: of training; judging and saving come on top. None = ten.
        lr: peak rate; it rises in ten steps and falls to nothing. None = 2 · 10⁻⁴.
        share: of photographs in a batch; rendered scenes keep what was learnt before.
        pve_only: φ stays as it is; what looks and what compares are trained.
    """
    if not 0 < share <= 1:
        raise UserError(f"the share of one's own photographs is above 0, to 1; got {share}.")
    lists = [Few((one,)) for one in real] + [Few((), (one,)) for one in incomplete]
    parts: list[tuple[float, Data]] = [(share / len(lists), one) for one in lists]
    if share < 1:
        street = float(config.tiles != (1,))  # such a model has seen streets
        scenes = Rendered(hard_share=0.5, street_share=0.4 * street, topic_share=0.5)
        parts.append((1 - share, scenes))
    stage = Stage(
        "tune",
        Mixed(tuple(parts)),
        12 if tuple(config.tiles) == (1,) else 8,
        RATE if lr is None else lr,
        minutes=MINUTES if minutes is None else minutes,
        warmup=10,
        decay_from=0.0,
        frozen=("vision.siglip",) if pve_only else (),
        pve_steps=config.pve_steps,
        tiles=tuple(level for level in config.tiles if level <= 2),
        search_tiles=tuple(config.tiles),
        judged=3,
    )
    return Recipe((stage,), seed=seed)

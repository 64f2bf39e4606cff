"""How a model is trained, as data: stages, what each sees and how its learning rate runs.

`sandbox()` learns from nothing on a CPU. `paper_word()` and `paper_multiquery()` are the paper's
four stages; numbers that the paper does not print are the released code's (official.md 14).
"""

import math
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any

from mstar.data.lists.photographs import Crops, Lists, Photographs
from mstar.data.lists.stream import Data, Mixed, Rendered
from mstar.errors import UserError
from mstar.tiles import check_tiles

READING, RETRIEVAL = "reading", "retrieval"


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe. Exactly one of `steps`, `epochs` and `minutes` says how long it is.

    Attributes:
        name: for logs; any.
        data: what it sees.
        batch_size: images of an optimiser step, over all processes.
        lr: peak learning rate, reached after `warmup` steps from `warmup_from`.
        decay: `linear` = it falls to `min_lr` over the stage's last part, from `decay_from` on (1 =
            never); `cosine` = by epochs, constant in the first.
        objective: `reading` trains φ on transcriptions (see `reading`), `retrieval` everything.
        minutes: turned into steps once, by the speed of the first few, and kept with the run.
        image_size: pixels; the position table is stretched to it. None = the model's.
        frozen: modules that stay as they are, by name, batch statistics included; `vision.siglip`
            is φ.
        pve_steps: T.
        accumulate: micro-batches of a step, one after the other. Each is compared within itself
            alone, so more of them mean fewer wrong answers a text.
        extra_words: words of the data's lexicon added to each micro-batch as negatives.
        tiles: levels, see `mstar.tiles`.
        search_tiles: levels that judge it and that its checkpoint looks with; None = `tiles`.
        matching_every: L_m counts in every so manieth step, as its pass is the dearest part; 0 =
            never.
        matching_weight: of L_m; 1 in the paper, whose ψ starts from BLIP-2's.
        hardness: of L_m's negatives at the stage's first and last step, see
            `losses.matching_pairs`.
        idle_weight: of the loss on embeddings to which no word is assigned (`losses.idle_loss`).
        entropy_weight: of the mean entropy of ψ's cross-attention (`losses.attention_entropy`).
        checkpoint_activations: compute them twice instead of keeping them.
        judged: how often in the stage, its end included, and once before it; 0 = every 1000 steps.
    """

    name: str
    data: Data
    batch_size: int
    lr: float
    steps: int | None = None
    epochs: int | None = None
    minutes: float | None = None
    warmup: int = 100
    warmup_from: float = 0.0
    decay: str = "linear"
    decay_from: float = 0.5
    min_lr: float = 0.0
    objective: str = RETRIEVAL
    image_size: int | None = None
    frozen: tuple[str, ...] = ()
    pve_steps: int = 1
    accumulate: int = 1
    extra_words: int = 48
    tiles: tuple[int, ...] = (1,)
    search_tiles: tuple[int, ...] | None = None
    matching_every: int = 4
    matching_weight: float = 1.0
    hardness: tuple[float, float] = (1.0, 1.0)
    idle_weight: float = 0.0
    entropy_weight: float = 0.0
    checkpoint_activations: bool = False
    judged: int = 0

    def __post_init__(self) -> None:
        lengths = {n: getattr(self, n) for n in ("steps", "epochs", "minutes")}
        given = {name: value for name, value in lengths.items() if value is not None}
        if len(given) != 1 or min(given.values()) <= 0:
            raise UserError(
                f"stage {self.name}: give one of steps, epochs and minutes, above 0; got {given}."
            )
        if self.epochs and self.data.kind in ("rendered", "mixed"):
            raise UserError(
                f"stage {self.name}: rendered images have no epochs, give steps or minutes."
            )
        if self.decay not in ("linear", "cosine") or self.objective not in (READING, RETRIEVAL):
            raise UserError(
                f"stage {self.name}: decay is linear or cosine and objective reading or "
                f"retrieval; got {self.decay!r} and {self.objective!r}."
            )
        check_tiles(self.tiles)
        check_tiles(self.search_tiles or self.tiles)
        if self.decay == "cosine" and not self.epochs:
            raise UserError(f"stage {self.name}: a cosine by epochs needs epochs.")
        if self.batch_size < 1 or self.accumulate < 1 or self.batch_size % self.accumulate:
            raise UserError(
                f"stage {self.name}: batch_size must be a multiple of accumulate; got "
                f"{self.batch_size} and {self.accumulate}."
            )

    def check_shared(self, processes: int) -> None:
        """UserError unless every process has the same number of images of a micro-batch."""
        size = self.batch_size // self.accumulate
        if size % processes:
            raise UserError(
                f"stage {self.name}: a micro-batch of {size} images cannot be shared evenly by "
                f"{processes} processes."
            )

    def steps_of(self, images: int | None) -> int | None:
        """How many steps, of so many images an epoch; None = its minutes say."""
        if self.epochs is not None:
            return self.epochs * -(-images // self.batch_size)
        return self.steps

    def hardness_at(self, step: int, steps: int) -> float:
        """Of the negatives of L_m, from the stage's first step to its last."""
        first, last = self.hardness
        return first + (last - first) * min(1.0, step / max(1, steps - 1))


#: Each stage has a seed of its own, a thousand times this and its number, below 2**32.
_LARGEST_SEED = 2**32 // 1000 - 1


@dataclass(frozen=True)
class Recipe:
    """What `mstar train` does; recorded with the checkpoint.

    Attributes:
        size: of the model; `sandbox`, `photographs` or `base`, presets of `MstarConfig`.
        multi_word_branch: whether the model has one.
        seed: of weights, the order of images, dropout and everything else drawn by lot.
        weight_decay: on matrices; biases, norms and τ have none.
        vision_lr_factor: of φ's learning rate.
        clip: largest norm of the gradient; None = any.
        assigned_weight: of the loss on assigned embeddings (`losses.assigned_loss`).
    """

    stages: tuple[Stage, ...]
    size: str = "sandbox"
    multi_word_branch: bool = True
    seed: int = 1
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.98)
    vision_lr_factor: float = 1.0
    clip: float | None = 2.0
    assigned_weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= _LARGEST_SEED:
            raise UserError(
                f"seed must be a whole number from 0 to {_LARGEST_SEED}; got {self.seed}."
            )

    def check_data(self) -> None:
        """Raises what is wrong with what the stages see, before the first of them has begun."""
        for stage in self.stages:
            stage.data.open(self.seed, stage.image_size or 1, stage.tiles)

    def record(self) -> dict[str, Any]:
        """As JSON would give it back."""
        return _plain(asdict(self))


def same_recipe(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two records say the same; a field that one does not know yet has its default."""

    def filled(record: dict[str, Any]) -> dict[str, Any]:
        stages = [_defaults(Stage) | stage for stage in record.get("stages", ())]
        return _defaults(Recipe) | record | {"stages": stages}

    return filled(one) == filled(other)


def _defaults(kind: type) -> dict[str, Any]:
    found = {field.name: field.default for field in fields(kind)}
    return _plain({name: value for name, value in found.items() if value is not MISSING})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def learning_rate(stage: Stage, step: int, steps: int, steps_per_epoch: int | None = None) -> float:
    """At step 0, 1, … of a stage of `steps` steps: warm-up, plateau, fall.

    The cosine is the released code's (official.md 14): of whole epochs, from the second on.
    """
    if step < stage.warmup or (step == 0 and stage.decay == "cosine"):
        share = step / max(1, stage.warmup)
        return stage.warmup_from + (stage.lr - stage.warmup_from) * share
    if stage.decay == "cosine":
        epoch = step // steps_per_epoch
        fall = (1 + math.cos(math.pi * epoch / stage.epochs)) / 2
    else:
        fall = min(1.0, (1 - step / steps) / max(1e-9, 1 - stage.decay_from))
    return stage.min_lr + (stage.lr - stage.min_lr) * fall


#: Of stages before the last: no attention is recycled, and the rate does not fall.
_ONE_LOOK = {"pve_steps": 0, "matching_every": 0, "decay_from": 1.0}


def sandbox(seed: int = 1) -> Recipe:
    """The small model from nothing on rendered text; about four hours on two cores.

    `read` warms φ up on transcriptions; with φ frozen, `find` then trains the rest on images of one
    word and `look` on full images: otherwise φ soon gathers the whole image in a few tokens for ψ
    to read there, and all queries come to read the same mixture. `settle` trains everything,
    `combine` with all styles of query, and `recycle`, as in the paper's last stage, with T = 1.
    """
    strips, words, scenes = Rendered("strips"), Rendered(multi_word=False), Rendered()
    phi = ("vision.siglip",)
    return Recipe(
        (
            Stage("read", strips, 32, 2.5e-3, steps=5000, objective=READING),
            Stage("find", strips, 32, 1.5e-3, steps=600, frozen=phi, **_ONE_LOOK),
            Stage("look", words, 24, 1e-3, steps=800, frozen=phi, **_ONE_LOOK),
            Stage("settle", words, 24, 6e-4, steps=5500, **_ONE_LOOK),
            Stage("combine", scenes, 24, 6e-4, steps=1500, **_ONE_LOOK),
            Stage("recycle", scenes, 24, 6e-4, steps=2000, decay_from=0.0),
        ),
        seed=seed,
    )


def continued(seed: int = 2) -> Recipe:
    """What `sandbox()` goes on with: HARD images as well; about six hours on two cores.

    `reread` shows φ single HARD words. In `settle` two thirds of the scenes are HARD, and later
    half; most of them hold hard negatives for each other, for phrases and things on which something
    is written. `attend` makes the queries that have no word of their own look at text, and
    `sharpen` all of them at fewer tokens.
    """
    strips = Rendered("strips", hard_share=0.75)
    scenes, fewer, last = (
        Rendered(hard_share=hard, topic_share=topics)
        for hard, topics in ((0.65, 0.6), (0.5, 0.6), (0.5, 0.7))
    )
    attend = Stage(
        "attend", last, 24, 6e-4, steps=1700, decay_from=0.0, matching_every=0, idle_weight=0.5
    )
    return Recipe(
        (
            Stage("reread", strips, 32, 1e-3, steps=1500, objective=READING),
            Stage("settle", scenes, 24, 6e-4, steps=7700, **_ONE_LOOK),
            Stage("recycle", fewer, 24, 6e-4, steps=1700, decay_from=0.0),
            attend,
            replace(attend, name="sharpen", entropy_weight=0.5),
        ),
        seed=seed,
    )


def with_photographs(scenes: Data, real: Lists, incomplete: Lists = (), share: float = 0.5) -> Data:
    """Rendered scenes with a share of photographs in every batch, of each list alike.

    Args:
        real, incomplete: lists of photographs, see `data.photographs`.
        share: of photographs, from 0 to 1.
    """
    if not 0 <= share <= 1:
        raise UserError(f"the share of photographs is from 0 to 1; got {share}.")
    lists = [Photographs((one,)) for one in real] + [Photographs((), (one,)) for one in incomplete]
    if not lists or not share:
        return scenes
    photos = [(share / len(lists), one) for one in lists]
    return Mixed(tuple(photos) if share == 1 else ((1 - share, scenes), *photos))


def within(recipe: Recipe, minutes: float) -> Recipe:
    """A recipe of steps in so many minutes, each stage with its part."""
    total = sum(stage.steps for stage in recipe.stages)
    stages = (
        replace(stage, steps=None, minutes=minutes * stage.steps / total) for stage in recipe.stages
    )
    return replace(recipe, stages=tuple(stages))


def mixed(recipe: Recipe, real: Lists, incomplete: Lists = (), share: float = 0.5) -> Recipe:
    """A recipe whose stages of full scenes see photographs as well."""
    stages = tuple(
        replace(stage, data=with_photographs(stage.data, real, incomplete, share))
        if stage.data.of == "scenes"
        else stage
        for stage in recipe.stages
    )
    return replace(recipe, stages=stages)


def photographs(
    real: Lists,
    incomplete: Lists = (),
    crops: Lists = (),
    backgrounds: str | None = None,
    seed: int = 3,
    minutes: float | None = None,
    share: float = 0.5,
) -> Recipe:
    """What a sandbox checkpoint goes on with to read photographs; hours on two cores, box-free.

    The model grows (`start.grown`). `reread` shows φ single words of the street, rendered and cut
    from photographs; from `open` on, lists of photographs are mixed with rendered scenes, in the
    whole and 2 × 2 tiles, and L_m sees any text of another image before it sees look-alikes
    (its head starts from nothing); `finer` adds 3 × 3 tiles, and `recycle` T = 1 with the rate
    falling to nothing. Each list has the same part in a batch, however long it is.

    Args:
        real, incomplete: lists of photographs, see `data.photographs`.
        crops: lists of single words, for reading alone.
        backgrounds: a folder of photographs without text.
        minutes: in all, shared out over the stages; None = the recipe's steps.
        share: of photographs in a batch.
    """
    street = dict(backgrounds=backgrounds)
    words = Rendered("strips", 0.2, 0.6, strip_size=(48, 192), **street)
    read = Mixed(((0.5, words), (0.5, Crops(crops)))) if crops else words
    scenes = Rendered(hard_share=0.3, street_share=0.5, topic_share=0.5, **street)
    both = with_photographs(scenes, real, incomplete, share)
    phi = ("vision.siglip",)
    one_look = dict(pve_steps=0, decay_from=1.0)
    match = dict(matching_every=1, matching_weight=10.0, extra_words=96)
    stages = (
        Stage("reread", read, 32, 1e-3, steps=700, objective=READING, decay_from=0.3),
        Stage("settle", both, 12, 6e-4, steps=150, tiles=(1, 2), frozen=phi, **_ONE_LOOK),
        Stage("open", both, 12, 5e-4, steps=3000, tiles=(1, 2), hardness=(0.0, 0.5), **match,
              **one_look),
        Stage("finer", both, 8, 4e-4, steps=1500, tiles=(1, 2, 3), hardness=(0.5, 1.0), **match,
              **one_look),
        Stage("recycle", both, 8, 4e-4, steps=1500, tiles=(1, 2, 3), decay_from=0.0, **match),
    )  # fmt: skip
    if minutes is not None:  # as the steps share them on two cores
        parts = (0.05, 0.02, 0.33, 0.25, 0.35)
        stages = tuple(
            replace(stage, steps=None, minutes=part * minutes)
            for stage, part in zip(stages, parts, strict=True)
        )
    return Recipe(stages, size="photographs", seed=seed)

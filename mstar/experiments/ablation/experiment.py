"""Parents, runs and their table; what is done already is not done again."""

import copy
import functools
import json
import shutil
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tqdm.auto import tqdm

from mstar import files
from mstar.data.scenes import sandbox
from mstar.data.scenes.galleries import FEWEST
from mstar.data.scenes.lexicon import ENOUGH
from mstar.errors import MOST_SCENES, UserError, check_range
from mstar.evaluate.metrics import scale_average_precisions
from mstar.experiments.ablation.arms import ARMS, Arm
from mstar.experiments.ablation.features import (
    Cached,
    PrecomputedVision,
    TokenProcessor,
    cache,
    mosaics,
    tokens_of,
)
from mstar.io import embedded
from mstar.io.bench import Bench, evaluating
from mstar.io.checkpoints import load_checkpoint
from mstar.model.configuration import MstarConfig
from mstar.model.modeling import MstarModel
from mstar.texts import Query
from mstar.training import Recipe, Stage, Trainer
from mstar.versions import checkpoint_hash

_SETTINGS = "settings.json"
_QUERIES = "multimodal.query_tokens"
_BATCH, _LR = 16, 6e-4
_MOST_QUERIES = 64
#: Words an image has, by groups; on mosaics of four images there are about four times as many.
GROUPS = ((1, 2), (3, 3), (4, 5), (6, 8), (9, 32))


@dataclass(frozen=True)
class Settings:
    """What a table of runs depends on; a folder holds runs of one of them.

    Attributes:
        queries: Q, fewer than many images have words, as recycling should matter there.
        images: of which features are kept to train on.
        parent_steps, steps: of the parents, and of each arm.
        gallery: images of each gallery.
    """

    queries: int = 3
    images: int = 3000
    parent_steps: int = 1000
    steps: int = 300
    gallery: int = 400

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = FEWEST if name == "gallery" else 1
            check_range(name, value, least, _MOST_QUERIES if name == "queries" else MOST_SCENES)


class Experiment:
    """One shared parent per seed, from which every arm trains the PVE phase, φ frozen.

    A parent has the embedded checkpoint's weights but for its queries and its SAS, which are drawn
    from its seed; it trains with one look. All arms of a seed see the same images, in the
    same order.

    Args:
        folder: for features, parents and the table.
        checkpoint: where φ and the rest come from; None = the embedded one.
        seeds, arms: what to run.
    """

    def __init__(
        self,
        folder: str | Path,
        settings: Settings = Settings(),
        checkpoint: str | Path | None = None,
        seeds: tuple[int, ...] = (1, 2, 3),
        arms: tuple[Arm, ...] = ARMS,
    ):
        self.folder, self.settings = Path(folder), settings
        self.seeds, self.arms = seeds, arms
        source = embedded.checkpoint(checkpoint)
        self.base = load_checkpoint(source)
        side = max(arm.side for arm in arms)
        if settings.images < side**2:
            raise UserError(f"a mosaic is made of {side**2} images; got images {settings.images}.")
        self._about = asdict(settings) | {"checkpoint": checkpoint_hash(source)}
        kept = self.folder / _SETTINGS
        if kept.is_file() and files.read_json(kept) != self._about:
            raise UserError(
                f"{self.folder} holds runs of other settings: choose another folder or remove it."
            )
        self._gallery = functools.cache(functools.partial(_judged, self.base, settings.gallery))

    @property
    def missing(self) -> list[tuple[int, Arm]]:
        """Runs that are not in the table yet, in their order."""
        return [
            (seed, arm)
            for seed in self.seeds
            for arm in self.arms
            if not self._row(seed, arm).is_file()
        ]

    def run(self) -> list[dict[str, Any]]:
        """Make every missing run; returns the whole table.

        Raises:
            UserError: a gallery cannot be made of as many images, before anything is trained.
        """
        for arm in dict.fromkeys(arm for _, arm in self.missing):
            for name in arm.galleries:
                self._gallery(name, arm.side)
        with files.replacing(self.folder / _SETTINGS) as path:
            path.write_text(json.dumps(self._about), encoding="utf-8")
        bar = tqdm(self.missing, desc="runs", unit="run")
        for seed, arm in bar:
            bar.set_postfix_str(f"seed {seed}, {arm.name}")
            row = self._run(seed, arm)
            with files.replacing(self._row(seed, arm)) as path:
                path.write_text(json.dumps(row), encoding="utf-8")
        return self.table()

    def table(self) -> list[dict[str, Any]]:
        """The runs made so far."""
        rows = (self._row(seed, arm) for seed in self.seeds for arm in self.arms)
        return [files.read_json(row) for row in rows if row.is_file()]

    def _row(self, seed: int, arm: Arm) -> Path:
        return self.folder / "runs" / f"seed{seed}-{arm.name}.json"

    def _run(self, seed: int, arm: Arm) -> dict[str, Any]:
        model = self._model(arm)
        weights = load_file(self._parent(seed))
        scale = model.config.initializer_range
        weights[_QUERIES] = arm.queries(weights[_QUERIES], scale, seed)
        model.load_state_dict(weights, strict=False)
        with arm.masks(model, seed):
            self._train(model, arm, seed, self.settings.steps, seed + 100)
            model.requires_grad_(False)
            judged = {name: self._judge(model, arm, name) for name in arm.galleries}
        return {"seed": seed, "arm": asdict(arm), "name": arm.name, "galleries": judged}

    def _parent(self, seed: int) -> Path:
        """Weights that all arms of a seed start from."""
        path = self.folder / f"parent-{seed}.safetensors"
        if not path.is_file():
            arm = Arm(0)
            torch.manual_seed(seed)
            model = self._model(arm)
            drawn = (_QUERIES, "sas.")
            weights = self.base.model.state_dict()
            model.load_state_dict(
                {name: w for name, w in weights.items() if not name.startswith(drawn)}, strict=False
            )
            self._train(model, arm, seed, self.settings.parent_steps, seed)
            with files.replacing(path) as made:
                save_file(model.state_dict(), made)
        return path

    def _model(self, arm: Arm) -> MstarModel:
        """A model for tokens; its φ is a copy, which may move to a GPU alone."""
        base = self.base.config.to_dict()
        queries = self.settings.queries * arm.copies
        chosen = {"semantics": arm.semantics, "num_query_tokens": queries}
        # the preset's fields follow from the semantics
        sizes = {name: base[name] for name in _SIZES}
        model = MstarModel(MstarConfig(**(sizes | chosen | arm.overrides)))
        model.vision.siglip = copy.deepcopy(self.base.model.vision.siglip)
        model.vision = PrecomputedVision(model.vision)
        return model

    def _train(self, model: MstarModel, arm: Arm, seed: int, steps: int, order: int) -> None:
        features = self.folder / f"features-{seed}"
        cache(features, self.base, seed, self.settings.images)
        stage = Stage(
            arm.name,
            Cached(str(features), arm.side),
            _BATCH,
            _LR,
            steps=steps,
            warmup=min(50, steps // 4),
            decay_from=0.0,
            frozen=("vision.siglip",),
            pve_steps=arm.looks,
            extra_words=24,
            matching_every=0,
        )
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        recipe = Recipe((stage,), seed=order, assigned_weight=arm.assigned_weight)
        bench = Bench(model, self.base.processor)
        Trainer(bench, recipe, work, workers=0, save_every=10**9).run()
        shutil.rmtree(work)

    def _judge(self, model: MstarModel, arm: Arm, name: str) -> dict[str, Any]:
        judged = self._gallery(name, arm.side)
        bench = Bench(model, TokenProcessor(self.base.processor))
        scores = bench.scores(judged.tokens, judged.queries, arm.looks)
        precisions = {
            group: scale_average_precisions(judged.truth, positive, scores)
            for group, positive in judged.groups.items()
        }
        return {
            "ap": {name: [None if np.isnan(v) else v for v in values.tolist()]
                   for name, values in precisions.items()},
            "looks": looks(model, judged.tokens[:100], arm.looks),
        }  # fmt: skip


#: What a configuration keeps whatever its semantics.
_SIZES = ("vision_config", "qformer_config", "conv_stem", "embed_dim", "sas_heads",
          "temperature", "learn_temperature", "sigma_low", "sigma_high", "sigma_min_area",
          "initializer_range")  # fmt: skip


@dataclass
class _Judged:
    """A gallery as tokens: which images answer which word, and which of them are in which group."""

    tokens: list[NDArray[np.float16]]
    queries: list[Query]
    truth: NDArray[np.bool_]  # [Q, B]
    groups: dict[str, NDArray[np.bool_]]  # [Q, B], the positives that count


def _judged(base: Bench, images: int, name: str, side: int) -> _Judged:
    words = min(60, max(ENOUGH, images // 6))
    gallery = sandbox.gallery(
        500, sandbox.DIFFICULTIES[name], images, seen=words, unseen=words, progress=True
    )
    asked = [query for query in gallery.queries if query.style == "word"]
    each, count = side**2, images // side**2

    def by_mosaic(values: list) -> NDArray:
        """[…, images] -> […, mosaics, images of each]."""
        whole = np.array(values)[..., : count * each]
        return whole.reshape(*whole.shape[:-1], count, each)

    truth, small = (by_mosaic([getattr(q, of) for q in asked]) for of in ("relevant", "small"))
    per_image = by_mosaic([len(scene.regions) for scene in gallery.scenes]).sum(1)
    answers = truth.any(2)
    # a mosaic's text is small where every image of it that answers has it small
    tiny = answers & (small == truth).all(2)
    groups = {"all": answers, "small": tiny, "large": answers & ~tiny}
    for least, most in GROUPS:
        inside = (per_image >= least) & (per_image <= most)
        if inside.any():
            groups[f"{least}-{most} words"] = answers & inside
    tokens = mosaics(tokens_of(base, gallery.images), side)
    return _Judged(tokens, [query.asked for query in asked], answers, groups)


@torch.no_grad()
def looks(
    model: MstarModel, tokens: list[NDArray[np.float16]], pve_steps: int
) -> list[dict[str, float]]:
    """What each look after the first does to the attention, mean over images.

    Returns:
        for t = 1 … T: `masked`, share of the tokens masked as keys of its S; `before` and `after`,
        share of the attention on those tokens in the look before and in this one, over the images
        where anything is masked (None = in none); `moved`, share of the attention that lies
        elsewhere than in the look before (total variation).
    """
    with evaluating(model):
        pixels = torch.from_numpy(np.stack(tokens)).to(model.device)
        # an arm's hooks are heard
        seen = model(pixel_values=pixels, pve_steps=pve_steps).images.looks
    found = []
    for last, now in pairwise(seen):
        hidden = 1 - last.mask
        masked = hidden.flatten(1).any(1)  # images where anything is
        before, after = last.attention_map, now.attention_map
        found.append(
            {
                "masked": hidden.mean().item(),
                "before": _mean((before * hidden).flatten(1).sum(1)[masked]),
                "after": _mean((after * hidden).flatten(1).sum(1)[masked]),
                "moved": _mean((after - before).abs().flatten(1).sum(1) / 2),
            }
        )
    return found


def _mean(values: torch.Tensor) -> float | None:
    return values.mean().item() if len(values) else None

"""Training a small MSTAR from nothing on a CPU: learn letters, then where text is, then scenes.

A recipe is a list of stages. `read` warms φ up on transcriptions (see `reading`); with φ frozen,
`find` then trains the rest on images of one word and `look` on full images; `settle` trains all of
it, `combine` with all styles of query, and `recycle` with T further looks. The learning rate of a
stage may fall linearly to zero over its last part. Training sees images and texts, no position.
"""

import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from tqdm.auto import tqdm

from . import files, reading
from .batching import augment, make_batch, normalise
from .checkpoints import load_checkpoint
from .configuration import MstarConfig
from .data import sandbox
from .data.scenes import BLOCK
from .evaluation import mean_average_precision, rank_gallery
from .losses import assigned_loss
from .modeling import MstarModel
from .processing import MstarProcessor, character_tokenizer

STATE = "training.pt"
RECORD = "training.json"
_GOLDEN_RATIO = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe.

    Attributes:
        name: `read` trains φ on transcriptions; any other name trains the whole model.
        images: `strips` of one word, or full `scenes`.
        steps: optimiser steps.
        batch_size: images a step.
        lr: peak learning rate; reached after `warmup` steps.
        decay_from: fraction of the stage after which it falls linearly to zero.
        pve_steps: T in training.
        extra_words: lexicon words added to each batch as negatives.
        matching_every: L_m counts in every so manieth step, as its pass is the dearest part; 0 =
            never.
        hard_share: of the images are HARD, the others EASY.
        multi_word: whether phrases, combined and semantic queries are among the texts.
        frozen_vision: whether φ stays as it is. Otherwise it soon gathers the whole image in a few
            tokens for ψ to read there, and all queries come to read the same mixture.
    """

    name: str
    images: str
    steps: int
    batch_size: int
    lr: float
    decay_from: float = 0.5
    warmup: int = 100
    pve_steps: int = 1
    extra_words: int = 48
    matching_every: int = 4
    hard_share: float = 0.0
    multi_word: bool = True
    frozen_vision: bool = False

    def __post_init__(self) -> None:
        if self.batch_size % BLOCK:
            raise ValueError(
                f"batch_size must be a multiple of {BLOCK}, so that a resumed run sees the same "
                f"images; got {self.batch_size}."
            )


@dataclass(frozen=True)
class Recipe:
    """What `mstar train` does; recorded with the checkpoint."""

    stages: tuple[Stage, ...] = (
        Stage("read", "strips", steps=5000, batch_size=32, lr=2.5e-3),
        Stage("find", "strips", steps=600, batch_size=32, lr=1.5e-3, decay_from=1, pve_steps=0,
              matching_every=0, frozen_vision=True),
        Stage("look", "scenes", steps=800, batch_size=24, lr=1e-3, decay_from=1, pve_steps=0,
              matching_every=0, multi_word=False, frozen_vision=True),
        Stage("settle", "scenes", steps=5500, batch_size=24, lr=6e-4, decay_from=1, pve_steps=0,
              matching_every=0, multi_word=False),
        Stage("combine", "scenes", steps=1500, batch_size=24, lr=6e-4, decay_from=1, pve_steps=0,
              matching_every=0),
        # as in the paper, the second look joins in the last stage
        Stage("recycle", "scenes", steps=2000, batch_size=24, lr=6e-4, decay_from=0),
    )  # fmt: skip
    seed: int = 1
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 2.0
    assigned_weight: float = 1.0  # of the loss on assigned embeddings


def continued(recipe: Recipe) -> Recipe:
    """The part of a recipe that a trained checkpoint goes on with: all of it, on full scenes."""
    chosen = (s for s in recipe.stages if s.images == "scenes" and not s.frozen_vision)
    return replace(recipe, stages=tuple(chosen))


class Mixture(IterableDataset):
    """Images of the training split, EASY and HARD in a fixed ratio, from item `start` on."""

    def __init__(self, kind: type, seed: int, hard_share: float, start: int):
        self.kind, self.seed, self.hard_share, self.start = kind, seed, hard_share, start

    def __iter__(self) -> Iterator[dict]:
        easy = self.kind(sandbox.EASY, self.seed)
        hard = self.kind(sandbox.HARD, self.seed)
        worker = torch.utils.data.get_worker_info()
        offset, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        # blocks stay together: the sandbox keeps hard negatives in them
        block = self.start // BLOCK + offset
        while True:
            is_hard = block * _GOLDEN_RATIO % 1 < self.hard_share  # evenly spread
            for index in range(BLOCK * block, BLOCK * (block + 1)):
                yield (hard if is_hard else easy)[index]
            block += stride


@dataclass
class Progress:
    """Where a run is; saved with every checkpoint."""

    stage: int = 0
    step: int = 0
    cpu_seconds: float = 0.0
    log: list[dict] = field(default_factory=list)


class Trainer:
    """Runs a recipe, from the start or from the last checkpoint in `folder`.

    Args:
        config: the model to train.
        recipe: how. Its seed makes weights and images.
        folder: where the state of the run is kept.
        init: a checkpoint folder whose weights to start from; the record of how those were made
            is carried on.
        workers: processes that render; the images are the same for any number, their order is
            reproduced by a resumed run for 0 or 1.
        save_every, evaluate_every: steps.
        callback: called after every step with the model, the processor and a row: `stage`, `step`,
            the losses, `learning rate`, and now and then `exact_match` or `map`. It must leave the
            model and the random numbers as they are.
    """

    def __init__(
        self,
        config: MstarConfig,
        recipe: Recipe,
        folder: str | Path,
        *,
        init: str | Path | None = None,
        workers: int = 1,
        save_every: int = 500,
        evaluate_every: int = 1000,
        callback: Callable[[MstarModel, MstarProcessor, dict[str, object]], None] | None = None,
    ):
        self.accelerator = Accelerator()
        self.recipe, self.folder = recipe, Path(folder)
        self.workers, self.save_every, self.evaluate_every = workers, save_every, evaluate_every
        self.callback = callback
        torch.manual_seed(recipe.seed)
        self.processor = MstarProcessor.for_config(config, character_tokenizer())
        self.model = MstarModel(config) if init is None else load_checkpoint(init)[0]
        self.history = [] if init is None else training_record(init)
        self.head = reading.ReadingHead(config.vision_config.hidden_size)
        self.progress = Progress()
        self.lexicon = sandbox.words("train")
        self.model, self.head = self.accelerator.prepare(self.model, self.head)
        if (self.folder / STATE).is_file():
            self._resume()
        else:
            self._begin()

    def run(self) -> MstarModel:
        """Train to the end of the recipe; writes checkpoints and, last, the model."""
        while self.progress.stage < len(self.recipe.stages):
            self._run_stage(self.recipe.stages[self.progress.stage])
            self.progress.stage += 1
            self.progress.step = 0
            self._begin()
            self._save()
        return self.model

    def save_checkpoint(self, folder: str | Path) -> Path:
        """What `from_pretrained` loads, in half precision, and `training.json`: how it was made."""
        run = {"recipe": asdict(self.recipe)} | asdict(self.progress)
        with files.replacing_folder(Path(folder)) as made:
            model = self.accelerator.unwrap_model(self.model)
            copy.deepcopy(model).half().save_pretrained(made)
            self.processor.save_pretrained(made)
            record = json.dumps([*self.history, run], indent=1)
            (made / RECORD).write_text(record + "\n", encoding="utf-8")
        return Path(folder)

    def _run_stage(self, stage: Stage) -> None:
        kind = {"strips": sandbox.StripDataset, "scenes": sandbox.SceneDataset}[stage.images]
        # every stage sees images of its own
        seed = self.recipe.seed * 1000 + self.progress.stage
        start = self.progress.step * stage.batch_size
        data = DataLoader(
            Mixture(kind, seed, stage.hard_share, start),
            batch_size=stage.batch_size,
            num_workers=self.workers,
            collate_fn=sandbox.collate,
            prefetch_factor=4 if self.workers else None,
        )
        self.model.train()
        remaining = range(self.progress.step, stage.steps)
        bar = tqdm(remaining, desc=stage.name, initial=self.progress.step, total=stage.steps)
        clock = time.process_time()
        for step, items in zip(bar, data, strict=False):
            rng = np.random.default_rng([seed, step])
            torch.manual_seed(seed * 100_003 + step)  # a resumed run draws what it would have
            for group in self.optimizer.param_groups:
                group["lr"] = learning_rate(stage, step)
            losses = self._losses(stage, items, step, rng)
            self.optimizer.zero_grad()
            self.accelerator.backward(losses["loss"])
            trained = [p for group in self.optimizer.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(trained, self.recipe.clip)
            self.optimizer.step()
            self.progress.step = step + 1
            self.progress.cpu_seconds += time.process_time() - clock
            clock = time.process_time()
            values = {name: value.item() for name, value in losses.items()}
            bar.set_postfix({name: f"{value:.3f}" for name, value in values.items()})
            row = {"stage": stage.name, "step": self.progress.step} | values
            if self.progress.step % self.evaluate_every == 0 or self.progress.step == stage.steps:
                row |= self._evaluate(stage)
                self._log(row)
            if self.callback is not None:
                row["learning rate"] = learning_rate(stage, step)
                self.callback(self.accelerator.unwrap_model(self.model), self.processor, row)
            if self.progress.step % self.save_every == 0:
                self._save()

    def _losses(
        self, stage: Stage, items: dict, step: int, rng: np.random.Generator
    ) -> dict[str, Tensor]:
        device = self.accelerator.device
        if stage.name == "read":
            pixels = augment(items["image"], rng).to(device)
            window = self._random_window(pixels, rng)
            loss = reading.reading_loss(self.model.vision, self.head, pixels, items["text"], window)
            return {"loss": loss}
        texts = _texts_of(items, stage.multi_word)
        batch = make_batch(
            items["image"], texts, self.processor, self.lexicon, rng, stage.extra_words
        )
        window = self._random_window(batch.pixel_values, rng)
        matching = stage.matching_every > 0 and step % stage.matching_every == 0
        out = self.model(
            **batch.to(device), steps=stage.pve_steps, window=window, matching=matching
        )
        found = out.similarity
        excluded = (batch.positives & ~batch.is_word).to(device)
        assigned = assigned_loss(found.cosine, found.assignment, excluded, self.temp)
        losses = {"L_c": out.contrastive_loss, "L_a": assigned}
        if matching:
            losses["L_m"] = out.matching_loss
        return {"loss": out.loss + self.recipe.assigned_weight * assigned} | losses

    @property
    def temp(self) -> Tensor:
        return self.accelerator.unwrap_model(self.model).temp

    def _random_window(self, pixels: Tensor, rng: np.random.Generator) -> tuple[int, int] | None:
        """A strip is laid at a random height of the position table: every row learns to read."""
        vision = self.model.config.vision_config
        spare = (vision.image_size - pixels.shape[-2]) // vision.patch_size
        return (int(rng.integers(spare + 1)), 0) if spare else None

    def _begin(self) -> None:
        """Get ready for the present stage, if there is one: what is trained, a fresh optimiser."""
        if self.progress.stage == len(self.recipe.stages):
            return
        stage = self.recipe.stages[self.progress.stage]
        model = self.accelerator.unwrap_model(self.model)
        model.vision.siglip.requires_grad_(not stage.frozen_vision)
        model.freeze()
        self.optimizer = self._optimizer()

    def _optimizer(self) -> torch.optim.Optimizer:
        parameters = [*self.model.parameters(), *self.head.parameters()]
        trained = [p for p in parameters if p.requires_grad]
        recipe = self.recipe
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return self.accelerator.prepare(torch.optim.AdamW(groups, lr=0.0, betas=recipe.betas))

    def _evaluate(self, stage: Stage) -> dict[str, float]:
        """How well fresh images of seen words are read or found."""
        self.model.eval()
        model = self.accelerator.unwrap_model(self.model)
        found = {}
        if stage.name == "read":
            found["exact_match"] = self._exact_match(model)
        elif stage.images == "scenes":
            found["map"] = self._quick_map(model, stage.pve_steps)
        self.model.train()
        return found

    def _log(self, row: dict[str, object]) -> None:
        row = row | {"cpu_minutes": self.progress.cpu_seconds / 60}
        self.progress.log.append(row)
        tqdm.write(json.dumps({k: round(v, 4) if isinstance(v, float) else v
                               for k, v in row.items()}))  # fmt: skip

    def _exact_match(self, model: MstarModel, count: int = 400) -> float:
        """Share of held-out strips that are read without an error."""
        strips = [sandbox.strip(self.recipe.seed, i, split="test") for i in range(count)]
        images = torch.stack([torch.from_numpy(strip.image) for strip in strips])
        pixels = normalise(images.permute(0, 3, 1, 2).float() / 255)
        read = [
            word
            for chunk in pixels.split(100)
            for word in reading.read(model.vision, self.head, chunk.to(self.accelerator.device))
        ]
        return sum(a == b.word for a, b in zip(read, strips, strict=True)) / count

    def _quick_map(self, model: MstarModel, steps: int) -> float:
        gallery = sandbox.gallery(self.recipe.seed, sandbox.EASY, images=300, seen=60, unseen=60)
        words = [query for query in gallery.queries if query.style == "word"]
        asked = [query.asked for query in words]
        scores = rank_gallery(model, self.processor, gallery.images, asked, steps=steps)
        return mean_average_precision([q.relevant for q in words], scores).value

    def _save(self) -> None:
        state = {
            "model": self.accelerator.unwrap_model(self.model).state_dict(),
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": asdict(self.progress),
            "recipe": asdict(self.recipe),
        }
        with files.replacing(self.folder / STATE) as path:
            torch.save(state, path)

    def _resume(self) -> None:
        state = torch.load(self.folder / STATE, map_location="cpu", weights_only=True)
        if state["recipe"] != asdict(self.recipe):
            raise ValueError(
                f"{self.folder} holds a run of another recipe: choose another folder or remove it."
            )
        self.accelerator.unwrap_model(self.model).load_state_dict(state["model"])
        self.head.load_state_dict(state["head"])
        self.progress = Progress(**state["progress"])
        self._begin()
        if self.progress.stage < len(self.recipe.stages):
            self.optimizer.load_state_dict(state["optimizer"])


def training_record(folder: str | Path) -> list[dict]:
    """The runs that made a checkpoint, first to last: recipe, CPU minutes, log."""
    path = Path(folder, RECORD)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def learning_rate(stage: Stage, step: int) -> float:
    """Warm-up, plateau, linear fall to zero."""
    rise = min(1.0, (step + 1) / stage.warmup)
    fall = min(1.0, (1 - step / stage.steps) / max(1e-9, 1 - stage.decay_from))
    return stage.lr * min(rise, fall)


def _texts_of(items: dict, multi_word: bool) -> list[list[tuple[str, str]]]:
    if "text" in items:  # strips
        return [[(word, "word")] for word in items["text"]]
    pairs = zip(items["texts"], items["styles"], strict=True)
    listed = [dict.fromkeys(zip(texts, styles, strict=True)) for texts, styles in pairs]
    return [[text for text in own if multi_word or text[1] == "word"] for own in listed]

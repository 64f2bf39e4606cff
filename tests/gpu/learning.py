"""Whether training on the device does what it does on a CPU, and a minute of notebook 04."""

import copy
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from mstar.data.lists.stream import Rendered, collate
from mstar.io import embedded
from mstar.io.checkpoints import load_checkpoint
from mstar.training import Recipe, Stage, Trainer, fresh, objectives, sandbox as whole_recipe
from mstar.training.batching import make_batch, normalise
from mstar.training.loop.state import CURVE
from mstar.training.objectives import Objective
from mstar.training.recipes import READING

from .common import LargestWeight, Part, hurry


def step_against_cpu(part: Part) -> None:
    """One training step against the CPU."""
    for pve_steps, allowed in ((0, 1e-3), (1, 1e-2)):
        scenes = 2 if part.tiny else 8
        cpu, theirs = _gradients("cpu", pve_steps, scenes)
        device, ours = _gradients(part.device, pve_steps, scenes)
        note = f"fp32, embedded checkpoint, {scenes} scenes, with L_m; "
        note += f"relative, allowed is {allowed}"
        error = abs(device - cpu) / abs(cpu)
        name = f"a training step against the CPU, T = {pve_steps}"
        part.results.add(f"{name}: loss", error, "", error <= allowed, note, loss=cpu)
        total, mine = (torch.stack(list(g.values())).norm().item() for g in (theirs, ours))
        error = abs(mine - total) / total
        part.results.add(f"{name}: norm of the gradient", error, "", error <= allowed, note)
        # a norm this small is rounding of a zero
        of = {k: abs(ours[k] - v).item() / v.item() for k, v in theirs.items() if v > 1e-4 * total}
        worst = max(of, key=of.get)
        error = of[worst]
        note = f"of {len(of)} parameters, the worst: {worst}; relative, allowed is {10 * allowed}"
        part.results.add(f"{name}: norms one by one", error, "", error <= 10 * allowed, note)


def _objective(device: str, scenes: int) -> tuple[Objective, dict]:
    """The embedded model and a batch of scenes, as the trainer gives it."""
    bench = load_checkpoint(embedded.checkpoint(), device)
    model, processor = bench.model, bench.processor
    data, rng = Rendered(), np.random.default_rng(1)
    items = data.open(1, model.config.vision_config.image_size)
    batch = collate([items.item(i, rng) for i in range(scenes)])
    lists = [
        list(zip(texts, styles, strict=True))
        for texts, styles in zip(batch["texts"], batch["styles"], strict=True)
    ]
    texts = make_batch(lists, processor, data.lexicon, rng, 48)
    inputs = {"pixel_values": normalise(batch["image"]), **texts}
    inputs = {name: value.to(device) for name, value in inputs.items()}
    return Objective(model, None, 1.0).to(device).train(), inputs | {"window": None}


def _gradients(device: str, pve_steps: int, scenes: int) -> tuple[float, dict[str, torch.Tensor]]:
    objective, inputs = _objective(device, scenes)
    torch.manual_seed(0)
    with patch("torch.multinomial", LargestWeight()):
        loss = objective(**inputs, pve_steps=pve_steps, matching=True)["loss"]
    loss.backward()
    named = objective.named_parameters()
    return loss.item(), {n: p.grad.norm().cpu() for n, p in named if p.grad is not None}


def fused_optimiser(part: Part) -> None:
    """The fused optimiser against the plain one."""
    objective, inputs = _objective(part.device, 2 if part.tiny else 8)
    objective(**inputs, pve_steps=0, matching=False)["loss"].backward()
    gradients = {n: p.grad for n, p in objective.named_parameters() if p.grad is not None}
    begun, made = copy.deepcopy(objective.state_dict()), []
    for kind in ({"fused": True}, {"fused": False, "foreach": False}):
        objective.load_state_dict(begun)
        groups = objectives.optimizer(objective, whole_recipe()).param_groups
        kept = ("params", "weight_decay", "betas")
        optimizer = torch.optim.AdamW(
            [{name: group[name] for name in kept} for group in groups], lr=1e-3, **kind
        )
        for step in range(5):
            for name, parameter in objective.named_parameters():
                if name in gradients:
                    parameter.grad = gradients[name] * (1 + step)
            optimizer.step()
        made.append({n: p.detach().clone() for n, p in objective.named_parameters()})
    moved = max((made[1][n] - begun[n]).abs().max().item() for n in gradients)
    error = max((made[0][n] - made[1][n]).abs().max().item() for n in gradients) / moved
    note = "5 steps; largest difference over the largest change of a weight, allowed is 1e-3"
    part.results.add("the fused optimiser against the plain one", error, "", error <= 1e-3, note)


def resumed(part: Part) -> None:
    """A run that is cut and goes on."""
    strips, allowed = Rendered("strips"), 1e-3
    brief = Recipe(
        (Stage("find", strips, 8, 1.5e-3, steps=4, pve_steps=0, matching_every=0, extra_words=32),)
    )

    def stop_after_three(bench, row):
        if row["step"] == 3:
            raise KeyboardInterrupt

    def run(place: Path, callback=None) -> None:
        options = {"save_every": 2, "workers": 0, "precision": "no", "callback": callback}
        Trainer(fresh(brief), brief, place, **options).run()

    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder, "whole"), Path(folder, "cut")
        run(whole)
        try:
            run(cut, stop_after_three)
        except KeyboardInterrupt:
            run(cut)  # from step 2, the last that was saved
        never, once = (np.array([row["loss"] for row in _curve(of)]) for of in (whole, cut))
    error = float(np.abs(never / once - 1).max()) if len(never) == len(once) else float("inf")
    note = f"4 steps, fp32; largest relative difference of a loss, allowed is {allowed}; "
    note += "equal bit for bit" if error == 0 else "not bit for bit"
    part.results.add("a run that is cut and goes on", error, "", error <= allowed, note)


def notebook_minute(part: Part) -> None:
    """A minute of notebook 04."""
    recipe, minutes = whole_recipe(), 1.0
    stages = recipe.stages
    if part.tiny:
        stages, minutes = stages[:2], 0.002
    steps = sum(stage.steps for stage in stages)
    recipe = replace(
        recipe,
        stages=tuple(replace(s, steps=None, minutes=minutes * s.steps / steps) for s in stages),
    )
    with tempfile.TemporaryDirectory() as folder:
        run = Trainer(fresh(recipe), recipe, folder)
        run.run()
        rows, log = _curve(Path(folder)), run.progress.log
        saved = run.save_checkpoint(Path(folder, "checkpoint"))
        load_checkpoint(saved)
    finite = all(np.isfinite(row["loss"]) for row in rows)
    note = f"the recipe `sandbox`, its {len(stages)} stages share {minutes:g} min; losses finite"
    part.results.add("notebook 04's training", len(rows), "steps", finite and len(rows) > 0, note)
    for stage in stages:
        losses = [row["loss"] for row in rows if row["stage"] == stage.name]
        quarter = -(-len(losses) // 4)
        first, last = (float(np.mean(part_)) for part_ in (losses[:quarter], losses[-quarter:]))
        judged = {
            k: v for row in log if row["stage"] == stage.name for k, v in row.items()
            if k in ("exact_match", "map")
        }  # fmt: skip
        note = f"{first:.3g} in its first quarter; {len(losses)} steps of {stage.batch_size} images"
        note += "".join(f"; {name} {value:.3g}" for name, value in judged.items())
        ok = last < first if stage.objective == READING and not part.tiny else None
        name = f"notebook 04, stage {stage.name}: loss in its last quarter"
        part.results.add(name, last, "", ok, note, **judged)


def _curve(folder: Path) -> list[dict]:
    lines = (folder / CURVE).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


if __name__ == "__main__":
    this = Part("learning")
    if this.tiny:
        hurry()
    this.run(step_against_cpu, fused_optimiser, resumed, notebook_minute)

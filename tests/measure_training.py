"""How fast training is on this machine: `python -m tests.measure_training`.

Prints what the data and a step take by themselves, so that one sees which waits for which. With a
GPU the steps run there, in bf16. Times are medians; on a shared machine compare lines of one run.
"""

import json
import os
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader

from mstar.data.lists.photographs import Annotated
from mstar.data.lists.stream import Rendered, Stream, collate, positions
from mstar.data.scenes import sandbox
from mstar.training import Recipe, Stage, Trainer, fresh
from mstar.training.loop import trainer
from mstar.training.recipes import READING

STEPS = 12
SCENES, STRIPS = Rendered(), Rendered("strips")
ONCE = {"pve_steps": 0, "matching_every": 0}
STAGES = {
    "read": Stage("read", STRIPS, 32, 1e-4, steps=STEPS, objective=READING),
    "T = 0": Stage("T = 0", SCENES, 24, 1e-4, steps=STEPS, **ONCE),
    "T = 0, φ frozen": Stage(
        "frozen", SCENES, 24, 1e-4, steps=STEPS, frozen=("vision.siglip",), **ONCE
    ),
    "T = 1": Stage("T = 1", SCENES, 24, 1e-4, steps=STEPS, matching_every=0),
    "T = 1 and L_m": Stage("L_m", SCENES, 24, 1e-4, steps=STEPS, matching_every=1),
    "T = 1, two micro-batches": Stage(
        "micro", SCENES, 24, 1e-4, steps=STEPS, matching_every=0, accumulate=2
    ),
    "T = 1, activations twice": Stage(
        "twice", SCENES, 24, 1e-4, steps=STEPS, matching_every=0, checkpoint_activations=True
    ),
}


def loading(data: Rendered | Annotated, workers: int, batch: int = 24, batches: int = 8) -> float:
    """Images a second that reach the training process."""
    loader = DataLoader(
        Stream(data.open(1, 512), 1),
        batch_sampler=positions(batch, 0, batches + 2),
        num_workers=workers,
        collate_fn=collate,
    )
    rows = iter(loader)
    next(rows)  # workers start
    began = time.perf_counter()
    for _ in range(batches):
        next(rows)
    return batches * batch / (time.perf_counter() - began)


def stepping(stage: Stage, **options: object) -> float:
    """Seconds a step, data included but waited for in advance."""
    times: list[float] = []
    recipe = Recipe((stage,))
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            fresh(recipe), recipe, folder, callback=lambda *_: times.append(time.perf_counter()),
            **options,
        ).run()  # fmt: skip
    return statistics.median(b - a for a, b in pairwise(times[2:]))


def photographs(folder: Path, count: int = 48) -> Annotated:
    """Large JPEGs of the sandbox in an annotation list."""
    entries = []
    for i in range(count):
        made = sandbox.scene(1, i, size=1024)
        Image.fromarray(made.image).save(folder / f"{i}.jpg", quality=90)
        entries.append({"image": f"{i}.jpg", "text": list(made.texts), "type": list(made.styles)})
    (folder / "list.json").write_text(json.dumps(entries))
    return Annotated(((str(folder / "list.json"), str(folder)),))


def main() -> None:
    Trainer._log = lambda *_: None  # a stage's end is neither judged nor said
    trainer.judge = lambda *_: {}
    workers = (0, 1, 2, *((8,) if os.cpu_count() >= 8 else ()))
    print("images/s by loader workers".ljust(36), *(f"{n:>8}" for n in workers))
    with tempfile.TemporaryDirectory() as folder:
        kinds = {
            "strips": STRIPS,
            "easy scenes": SCENES,
            "hard scenes": Rendered(hard_share=1.0),
            "1024 px JPEG, cropped to 512 px": photographs(Path(folder)),
        }
        for name, data in kinds.items():
            rates = (loading(data, n) for n in workers)
            print(name.ljust(36), *(f"{rate:8.0f}" for rate in rates), flush=True)
    print("\nsandbox size, batch of 24 (read: 32)".ljust(37), "  s/step  images/s")
    for name, stage in STAGES.items():
        seconds = stepping(stage)
        print(name.ljust(36), f"{seconds:8.3f} {stage.batch_size / seconds:9.0f}", flush=True)
    seconds = stepping(STAGES["T = 0"], compiled=True)
    print("T = 0, φ's layers compiled".ljust(36), f"{seconds:8.3f} {24 / seconds:9.0f}")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"\n{device}, {torch.get_num_threads()} threads, torch {torch.__version__}")


if __name__ == "__main__":
    main()

"""This build beside an older one: `python -m tests.measure_speed [--only 1 4] [--turns 3]`.

Every line is measured in processes of its own, in turns (older, this, older, this, …) on the same
machine, with the same weights, one tile an image; medians of CPU time and of wall time, their
ratios, and the largest memory. What both builds computed is compared: the last column. Times on a
shared machine wander, so read ratios, not seconds.

The older build is a worktree of this repository that the script makes and takes away again.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
OLDER = "7381a5e"

#: Before every snippet. `F` is the folder of what is measured with; what stands between `start()`
#: and `done(value)` is measured, and the value compared.
PRELUDE = """
import json, os, resource, sys, time
from pathlib import Path
import numpy as np, torch
F = Path(sys.argv[1])
torch.set_num_threads(1)
def start():
    global before
    before = time.process_time(), time.perf_counter()
def done(value, turns=1):
    spent = [(b - a) / turns for a, b in zip(before, (time.process_time(), time.perf_counter()))]
    np.save(sys.argv[2], np.asarray(value.detach().float() if torch.is_tensor(value) else value))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps([*spent, memory]))
"""


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        number, what, target: as the table says them.
        older, this: what each build runs: Python after `PRELUDE`, or the arguments of a command
            (`{out}` is a fresh folder).
        agree: how the two values are compared: (older, this) -> a text.
    """

    number: int
    what: str
    target: str
    older: str | Sequence[str]
    this: str | Sequence[str]
    agree: Callable[[np.ndarray, np.ndarray], str] | None = None


def largest(a: np.ndarray, b: np.ndarray) -> str:
    return f"largest difference {np.abs(a - b).max():.1e}"


def cosine(a: np.ndarray, b: np.ndarray) -> str:
    a, b = (x.reshape(-1, x.shape[-1]) for x in (a, b))
    product = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return f"lowest cosine {product.min():.5f}"


def ranking(a: np.ndarray, b: np.ndarray) -> str:
    same = np.mean(np.argsort(-a, axis=-1, kind="stable") == np.argsort(-b, axis=-1, kind="stable"))
    return f"{largest(a, b)}, {same:.2%} of ranks equal"


LOOK = """
from mstar import MstarModel
torch.manual_seed(0)
model = MstarModel.from_pretrained(F / "base-{build}", dtype=torch.{dtype}).eval()
images = torch.randn(1, {tile}3, {side}, {side}, generator=torch.Generator().manual_seed(1))
with torch.no_grad():
    model(pixel_values=images[..., :64, :64])
    start()
    found = model(pixel_values=images).images
    done(found.features.flatten(0, -2))
"""
STEP = """
from mstar import MstarModel
torch.manual_seed(0)
model = MstarModel.from_pretrained(F / "base-{build}").train()
for module in model.modules():
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.0
    if hasattr(module, "attention_dropout"):
        module.attention_dropout = 0.0
    if isinstance(getattr(module, "dropout", None), float):
        module.dropout = 0.0
draw = torch.Generator().manual_seed(1)
batch = dict(
    pixel_values=torch.randn(4, {tile}3, 256, 256, generator=draw),
    input_ids=torch.randint(1000, 30000, (12, 8), generator=draw),
    attention_mask=torch.ones(12, 8, dtype=torch.long),
    is_word=torch.ones(12, dtype=torch.bool),
    own=torch.eye(4, dtype=torch.bool).repeat_interleave(3, 1),
)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
{before}
losses = []
for turn in range(3):
    if turn == 1:
        start()
    torch.manual_seed(turn)
    loss = model(**batch).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
done(losses[:1], turns=2)
"""
SEARCH = """
{imports}
gallery = Gallery.open(F / "gallery-{build}")
words = ["exit", "hotel", "coffee", "way out", "no parking", "open", "sale", "books"] * 8
queries = [Query(word, "word" if " " not in word else "phrase") for word in words[:{count}]]
gallery.scores(queries)
start()
for _ in range({turns}):
    found = gallery.scores(queries)
done(found, turns={turns})
"""
RECORD = """
from mstar import MstarModel
{imports}
photo = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
inputs = dict(processor(images=[photo], text=["exit"], styles=["word"]))
def recorded():
    return model.run_with_trace(inputs, {names})
def plain():
    with torch.no_grad():
        return model(**inputs)
times = {{recorded: [], plain: []}}
for turn in range(60):
    for one in (recorded, plain):
        before = time.process_time()
        one()
        times[one].append(time.process_time() - before)
recorded_s, plain_s = (float(np.median(times[one])) for one in (recorded, plain))
np.save(sys.argv[2], np.asarray([recorded_s / plain_s - 1]))
print(json.dumps([recorded_s, recorded_s, 0]))
"""
OLD_LOAD = """
from mstar.checkpoints import load_checkpoint
model, processor = load_checkpoint(F / "checkpoint-older")
"""
NEW_LOAD = """
from mstar import load
bench = load(F / "checkpoint-this", "cpu")
model, processor = bench.model, bench.processor
"""


def overhead(a: np.ndarray, b: np.ndarray) -> str:
    return f"over a plain pass: {a[0]:.1%} -> {b[0]:.1%}"


def both(template: str, older: dict, this: dict) -> tuple[str, str]:
    return template.format(build="older", **older), template.format(build="this", **this)


def lines() -> list[Line]:
    def look(number: int, side: int, target: str, dtype: str = "float32") -> Line:
        older, this = both(
            LOOK,
            {"tile": "", "side": side, "dtype": "float32"},
            {"tile": "1, ", "side": side, "dtype": dtype},
        )
        what = f"base size, {side} px, T = 1, {dtype}, one image"
        return Line(number, what, target, older, this, largest if dtype == "float32" else cosine)

    imports = {
        "older": "from mstar.retrieval import Gallery\nfrom mstar.queries import Query",
        "this": "from mstar import Gallery, Query",
    }
    found = [
        look(1, 512, "1.7"),
        look(1, 800, "1.7"),
        look(2, 512, "2", "bfloat16"),
        Line(
            3,
            "training step, base size, 4 × 256 px, 12 words",
            "1.5",
            *both(STEP, {"tile": "", "before": ""}, {"tile": "1, ", "before": ""}),
            largest,
        ),
        Line(
            4,
            "mstar index, photographs of several megapixels",
            "2.5",
            ["index", "{F}/photos", "{out}/gallery", "--checkpoint", "{F}/checkpoint-older"],
            ["index", "{F}/photos", "{out}/gallery", "--checkpoint", "{F}/checkpoint-this"],
        ),
        Line(
            5,
            "mstar search, small gallery, cold",
            "1.7",
            ["search", "{F}/small-older", "exit"],
            ["search", "{F}/small-this", "exit"],
        ),
        Line(
            6,
            "mstar report image",
            "1.8",
            ["report", "image", "--out", "{out}/report", "--checkpoint", "{F}/checkpoint-older"],
            ["report", "image", "--out", "{out}/report", "--checkpoint", "{F}/checkpoint-this"],
        ),
    ]
    for count, turns, target in ((64, 1, "1.8"), (1, 3, "3")):
        more = {"count": count, "turns": turns}
        older, this = both(
            SEARCH, {"imports": imports["older"], **more}, {"imports": imports["this"], **more}
        )
        what = f"search, {{images}} images × 128 × 256 fp16, {count} queries together"
        found.append(Line(7, what, target, older, this, ranking))
    for names, target in (("None", "≤ 5 %"), ('"*"', "≤ 12 %")):
        older, this = both(
            RECORD, {"imports": OLD_LOAD, "names": names}, {"imports": NEW_LOAD, "names": names}
        )
        what = f"run_with_trace, {'default names' if names == 'None' else 'everything'}"
        found.append(Line(8, what, target, older, this, overhead))
    for wrong in (
        ["report", "image", "--pve-steps", "x"],
        ["search", "{F}/nowhere", "exit"],
        ["evaluate", "benchmark", "iiit5k", "{F}/nowhere"],
        ["train", "--real", "{F}/nowhere.json", "{F}"],
    ):
        older = [part.replace("--pve-steps", "--steps") for part in wrong]
        found.append(Line(9, f"mstar {' '.join(wrong)}".replace("{F}/", ""), "", older, wrong))
    return found


def prepare(folder: Path, older: Path, images: int, photos: int) -> None:
    """The same tensors for both builds, photographs, and galleries."""
    made = """
from mstar import MstarConfig, MstarModel
torch.manual_seed(0)
MstarModel(MstarConfig.base(image_size=512)).save_pretrained(F / "base-older")
"""
    run(older, made, folder)
    carry(folder / "base-older", folder / "base-this")
    embedded = older / "mstar" / "assets" / "checkpoint"
    copy(embedded, folder / "checkpoint-older")
    carry(embedded, folder / "checkpoint-this")
    samples = sorted((older / "mstar" / "assets" / "samples").glob("*.jpg"))
    draw = f"""
from PIL import Image
photos, paths = F / "photos", sorted(Path({str(samples[0].parent)!r}).glob("*.jpg"))
photos.mkdir()
for i in range({photos}):
    side = 1600 + 200 * (i % 9)
    noise = np.random.default_rng(i).integers(0, 24, (side * 3 // 4, side, 3), dtype=np.uint8)
    picture = Image.open(paths[i % len(paths)]).convert("RGB").resize((side, side * 3 // 4))
    Image.fromarray(np.asarray(picture) // 8 * 7 + noise).save(photos / f"{{i:04}}.jpg", quality=90)
"""
    run(ROOT, draw, folder)
    for build, root in (("older", older), ("this", ROOT)):
        out = command(root, ["index", str(samples[0].parent), str(folder / f"small-{build}"),
                             "--checkpoint", str(folder / f"checkpoint-{build}")])  # fmt: skip
        out.check_returncode()
    gallery = "from tests.measure_search import make\ntorch.manual_seed(0)\nmake(F / '{}', {})\n"
    for build, root in (("older", older), ("this", ROOT)):
        place = folder / f"noise-{build}"
        place.mkdir()
        run(root, gallery.format(place.name, images), folder)
        (folder / f"gallery-{build}").symlink_to(place / "gallery")


def copy(source: Path, target: Path) -> None:
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())


def carry(source: Path, target: Path) -> None:
    """A checkpoint of the older build as this one reads it."""
    copy(source, target)
    path = target / "config.json"
    config = json.loads(path.read_text())
    config["pve_steps"] = config.pop("steps")
    path.write_text(json.dumps(config))


def environment(root: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def run(root: Path, code: str, folder: Path, value: Path | None = None) -> list[float]:
    """A snippet in a process of its own: CPU-s, wall-s, MiB."""
    arguments = [sys.executable, "-c", PRELUDE + code, str(folder), str(value or os.devnull)]
    ran = subprocess.run(
        arguments, cwd=root, env=environment(root), capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise SystemExit(f"{root}: {ran.stderr[-2000:]}")
    said = ran.stdout.strip().splitlines()
    return json.loads(said[-1]) if said and said[-1].startswith("[") else []


def command(root: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "mstar.cli", *arguments],
        cwd=root, env=environment(root), capture_output=True, text=True, check=False,
    )  # fmt: skip


def timed(root: Path, arguments: Sequence[str], folder: Path) -> list[float]:
    """A command: CPU-s of it and of what it started, wall-s, MiB."""
    with tempfile.TemporaryDirectory() as out:
        filled = [part.format(F=folder, out=out) for part in arguments]
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "mstar.cli", *filled], cwd=root, env=environment(root),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _, _, spent = os.wait4(process.pid, 0)
        process.returncode = 0
        wall = time.perf_counter() - began
    return [spent.ru_utime + spent.ru_stime, wall, float("nan")]  # the memory would be ours too


def measure(line: Line, folder: Path, older: Path, turns: int) -> str:
    spent: dict[str, list[list[float]]] = {"older": [], "this": []}
    values = {build: folder / f"value-{build}.npy" for build in spent}
    for _ in range(turns):
        for build, root, what in (("older", older, line.older), ("this", ROOT, line.this)):
            if isinstance(what, str):
                spent[build].append(run(root, what, folder, values[build]))
            else:
                spent[build].append(timed(root, what, folder))
    (cpu, wall, memory), (cpu2, wall2, memory2) = (
        [statistics.median(column) for column in zip(*spent[build], strict=True)] for build in spent
    )
    held = "" if np.isnan(memory) else f"{memory:.0f} → {memory2:.0f}"
    said = line.agree(*map(np.load, values.values())) if line.agree else ""
    return (
        f"| {line.number} | {line.what} | {cpu:.3g} → {cpu2:.3g} | {cpu / cpu2:.2f} | "
        f"{wall / wall2:.2f} | {held} | {line.target} | {said} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=int, nargs="+", help="numbers of lines")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--images", type=int, default=20_000, help="of the large gallery")
    parser.add_argument("--photos", type=int, default=100, help="that are indexed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, older = Path(scratch, "with"), Path(scratch, "older")
        folder.mkdir()
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "-q", "--detach", str(older), OLDER], check=True)
        try:
            prepare(folder, older, asked.images, asked.photos)
            print(
                "| # | what | CPU-s, older → this | CPU, times | wall, times | MiB | bar | equal |"
            )
            print("|---|---|---|---|---|---|---|---|", flush=True)
            for line in lines():
                if not asked.only or line.number in asked.only:
                    row = measure(line, folder, older, asked.turns)
                    print(row.replace("{images}", f"{asked.images:,}"), flush=True)
        finally:
            subprocess.run([*git, "remove", "--force", str(older)], check=True)


if __name__ == "__main__":
    main()

"""How fast the base size looks at images and a large gallery is searched, beside what is possible.

The floor is arithmetic: 833 GFLOP an image at 800 px and T = 1 (counted by `mstar.training.cost`,
a multiplication and an addition are two) over the rate of a large matrix product on this card.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.nn import functional as F

from mstar import MstarConfig, MstarModel
from mstar.data.lists.stream import Rendered
from mstar.model.outputs import TextEncoding, VisionEmbeddings
from mstar.model.recycling import salient_region
from mstar.search.gallery import Gallery
from mstar.texts import Query
from mstar.training import Stage
from mstar.training.cost import training_flops
from tests import measure_search

from .common import Part

STEPS = (0, 1, 3)
#: Floating-point operations an image at 800 px that the project's budget counts with.
STATED = 833e9
#: Images at once, halved until they fit.
BATCH = 32


@dataclass(frozen=True)
class Setting:
    """One way to look at images."""

    side: int
    pve_steps: int
    precision: str
    compiled: bool

    @property
    def name(self) -> str:
        compiled = ", compiled" * self.compiled
        return f"{self.side} px, T = {self.pve_steps}, {self.precision}{compiled}"


_rates: dict[str, float] = {}  # of this card: precision -> FLOP/s
_times: dict[Setting, float] = {}  # seconds an image
_batches: dict[tuple[int, str], int] = {}  # side, precision -> what fits
_counts: dict[tuple[int, int], float] = {}  # side, T -> operations an image


def _config(part: Part, side: int) -> MstarConfig:
    if not part.tiny:
        return MstarConfig.base(image_size=side)
    config = MstarConfig.tiny()
    config.vision_config.image_size = side
    return config


def _sides(part: Part) -> tuple[int, ...]:
    return (32, 64) if part.tiny else (512, 800)


def matrix_rate(part: Part) -> None:
    """The card's matrix rate."""
    side = 128 if part.tiny else 8192
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        one, other = (torch.randn(side, side, device=part.device, dtype=dtype) for _ in "ab")
        seconds = part.seconds(lambda one=one, other=other: one @ other)
        _rates[name] = 2 * side**3 / seconds
        note = f"{side} × {side} × {side}, random data" + (", no TF32" if name == "fp32" else "")
        part.results.add(f"matrix product, {name}", _rates[name] / 1e12, "TFLOP/s", note=note)


def flops(part: Part) -> None:
    """Operations an image."""
    for side in _sides(part):
        for pve_steps in STEPS:
            count = _count(part, side, pve_steps)
            note = f"stated for 800 px: {STATED / 1e9:.0f}" if side == 800 else ""
            name = f"operations an image, {side} px, T = {pve_steps}"
            part.results.add(name, count / 1e9, "GFLOP", note=note)


def _count(part: Part, side: int, pve_steps: int) -> float:
    """Of looking, by the count of a training step, whose way back costs twice the way there."""
    if (side, pve_steps) not in _counts:
        stage = Stage("", Rendered(), 1, 1e-4, steps=1, pve_steps=pve_steps, matching_every=0)
        parts = training_flops(_config(part, side), stage)
        there = [parts[name] / 3 for name in ("φ", "S", "ψ looks")]
        _counts[side, pve_steps] = sum(there)
    return _counts[side, pve_steps]


def looking(part: Part) -> None:
    """Images a second."""
    _look(part, compiled=False)


def looking_compiled(part: Part) -> None:
    """Images a second, φ's layers compiled."""
    _look(part, compiled=True)


def _look(part: Part, compiled: bool) -> None:
    precisions, sides = ("bf16", "fp32"), _sides(part)
    if compiled and part.tiny:
        precisions, sides = precisions[:1], sides[:1]
    for side in sides:
        torch.manual_seed(0)
        model = MstarModel(_config(part, side)).eval().to(part.device)
        if compiled:
            torch.compiler.reset()
            for layer in model.vision.siglip.encoder.layers:
                layer.compile(dynamic=False, backend="eager" if part.tiny else "inductor")
        for precision in precisions:
            for pve_steps in reversed(STEPS):  # the dearest says what fits
                setting = Setting(side, pve_steps, precision, compiled)
                if time.monotonic() > part.deadline:
                    part.results.add(setting.name, ok=False, note="left out: no time was left")
                    continue
                with part.recorded(setting.name):
                    _measure(part, model, setting)
        del model


def _measure(part: Part, model: MstarModel, setting: Setting) -> None:
    side, precision = setting.side, setting.precision

    def looks_at(count: int) -> Callable[[], object]:
        pixels = torch.randn(count, 3, side, side, device=part.device)

        def look() -> object:
            half = torch.autocast(part.device, torch.bfloat16, enabled=precision == "bf16")
            with torch.no_grad(), half:
                return model(pixel_values=pixels, pve_steps=setting.pve_steps).images.features

        return look

    if (side, precision) not in _batches:
        most = 2 if part.tiny else BATCH
        _batches[side, precision] = part.fitting(most, lambda count: looks_at(count)())
    batch = _batches[side, precision]
    if part.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    _times[setting] = each = part.seconds(looks_at(batch)) / batch
    rate = _count(part, side, setting.pve_steps) / each
    share = 100 * rate / _rates[precision] if precision in _rates else float("nan")
    memory = torch.cuda.max_memory_allocated() / 2**30 if part.device == "cuda" else 0.0
    note = f"{rate / 1e12:.3g} TFLOP/s, {share:.1f} % of the matrix rate; batch {batch}, "
    note += f"{memory:.1f} GiB"
    more = {"batch": batch, "flop_per_s": rate, "share": share, "memory_gib": memory}
    part.results.add(setting.name, 1 / each, "images/s", note=note, **more)


def step_cost(part: Part) -> None:
    """What a PVE step costs."""
    for setting, three in _times.items():
        first = _times.get(replace(setting, pve_steps=0))
        if setting.pve_steps != 3 or first is None:
            continue
        counted = 100 * (_count(part, setting.side, 3) / _count(part, setting.side, 0) - 1) / 3
        name = f"a PVE step, {setting.name.replace(', T = 3', '')}"
        note = f"of the first look, mean of three; by operations {counted:.1f} %"
        part.results.add(name, 100 * (three / first - 1) / 3, "%", note=note)
    side = _sides(part)[-1]
    config = _config(part, side)
    maps = torch.rand(4, config.grid_size, config.grid_size, device=part.device)
    maps = F.avg_pool2d(maps[:, None], 5, stride=1, padding=2)[:, 0]
    each = part.seconds(lambda: salient_region(maps, config)) / len(maps)
    note = "on one CPU core, image by image; smoothed noise in the place of an attention map"
    part.results.add(f"σ, {side} px", 1000 * each, "ms an image", note=note)


def search_in_memory(part: Part) -> None:
    """Search, vectors on the device."""
    images, queries = (1000 if part.tiny else 100_000), 64
    config = MstarConfig.tiny(num_query_tokens=64, embed_dim=256, multi_word_branch=False)
    model = MstarModel(config).eval().to(part.device)
    block = min(images, 1000)
    stored = torch.empty(images, 128, 256, dtype=torch.float16, device=part.device)
    for rows in stored.split(block):
        rows.copy_(F.normalize(torch.randn(rows.shape, device=part.device), dim=-1))
    asked = F.normalize(torch.randn(queries, 256, device=part.device), dim=-1)
    texts = TextEncoding(asked.half(), asked.half())
    is_word = torch.ones(queries, dtype=torch.bool, device=part.device)

    def search() -> torch.Tensor:
        with torch.no_grad():
            scores = [
                model.score(VisionEmbeddings(None, rows, tiles=1), texts, is_word)
                for rows in stored.split(block)
            ]
            return torch.cat(scores, dim=1).topk(10, dim=1).indices

    seconds = part.seconds(search)
    size = stored.nbytes / seconds / 1e9
    note = f"{images} × 128 × 256 in fp16, exact, best ten of each; {size:.0f} GB/s of vectors"
    name = f"{queries} queries, vectors on the device"
    part.results.add(name, 1000 * seconds, "ms", note=note, images=images)


def search_on_disk(part: Part) -> None:
    """Search, vectors on disk."""
    images, queries = (1000 if part.tiny else 100_000), 64
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery.open(measure_search.make(Path(folder), images, repeated=True))
        asked = [Query(f"word {i}", "word") for i in range(queries)]
        seconds = part.seconds(lambda: gallery.search_many(asked, k=10, ratio=0), most=3)
    note = f"{images} × 128 × 256 in fp16, mapped from files that the system has in memory"
    name = f"{queries} queries, `Gallery` on disk"
    part.results.add(name, 1000 * seconds, "ms", note=note, images=images)


if __name__ == "__main__":
    Part("throughput").run(
        matrix_rate, flops, looking, search_in_memory, looking_compiled, step_cost, search_on_disk
    )

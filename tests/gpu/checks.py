"""Whether the device computes what a CPU does: the golden vectors, hooks, recording, bf16."""

import copy
import os
import platform
from dataclasses import fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from mstar import MstarConfig, MstarModel
from mstar.model.outputs import MstarOutput
from mstar.versions import versions

from .common import LargestWeight, Part

try:
    from tests import golden
except ImportError as problem:  # said below
    golden = problem


def about(part: Part) -> None:
    """The machine."""
    found = versions() | {"cuda": str(torch.version.cuda), "machine": platform.machine()}
    name = torch.cuda.get_device_name() if part.device == "cuda" else "CPU"
    memory = torch.cuda.mem_get_info()[1] / 2**30 if part.device == "cuda" else None
    note = ", ".join(f"{k} {v}" for k, v in found.items())
    note += f", {os.cpu_count()} CPU cores"
    part.results.add("the machine", name, note=note, memory_gib=memory, **found)


def golden_cpu(part: Part) -> None:
    """Golden vectors, on the CPU."""
    root = _golden(part, "golden vectors, on the CPU")
    if root is not None:
        _compared(part, "golden vectors, on the CPU", golden.run(root), 1.0)


def golden_device(part: Part) -> None:
    """Golden vectors, on the device."""
    root = _golden(part, "golden vectors, on the device")
    if root is None:
        return
    report = golden.Report()
    for folder in sorted(root.glob("seed*")):
        for method in golden.METHODS:
            seed = _on(part.device)(folder, method)
            golden.compare_file(seed, "image", golden.ours_image, report)
            golden.compare_file(seed, "qformer", golden.ours_qformer, report)
            golden.compare_file(seed, "steps", golden.ours_steps, report)
            golden.compare_file(seed, "pooled", golden.ours_pooled, report)
            for pve_steps in golden.STEPS:
                golden.compare_file(
                    seed, f"train_T{pve_steps}", golden.ours_train, report, pve_steps
                )
    _compared(part, "golden vectors, on the device", report, 5.0)


def _golden(part: Part, name: str) -> Path | None:
    root = os.environ.get("MSTAR_GOLDEN")
    if isinstance(golden, ImportError):
        raise golden
    if root and Path(root).is_dir():
        return Path(root)
    part.results.add(name, note="skipped: MSTAR_GOLDEN names no folder of golden vectors")
    return None


def _compared(part: Part, name: str, report: Any, slack: float) -> None:
    """A report as one fact: whole numbers are equal, others within `slack` times its tolerance."""
    print(report)
    wrong = [q for q, row in report.rows.items() if row.error > slack * row.tolerance]
    close = [row.error / row.tolerance for row in report.rows.values() if row.tolerance]
    compared = sum(row.compared for row in report.rows.values())
    note = f"{compared} tensors; allowed is {slack:g}, masks and assignments must be equal; "
    note += f"{len(report.ties)} ties"
    note += f"; beyond: {', '.join(wrong[:5])}" if wrong else ""
    note += f"; lacking: {len(report.lacking)}" if report.lacking else ""
    ok = not wrong and not report.lacking and compared > 0
    part.results.add(name, max(close, default=0.0), "largest error / tolerance", ok, note)


def _on(device: str) -> type:
    """A golden seed whose model runs on a device; what it says is compared on the CPU."""

    class Seed(golden.Seed):
        @cached_property
        def looks(self) -> tuple[MstarOutput, Any]:
            names = [
                f"pve.0.layers.{layer}.cross_attention"
                for layer in self.model.config.cross_attention_layers
            ]
            inputs = {k: v for k, v in self.batch.items() if k not in ("own", "positives")}
            inputs = _moved(inputs, device) | {"pve_steps": max(golden.STEPS)}
            out, trace = copy.deepcopy(self.model).to(device).run_with_trace(inputs, names=names)
            return _moved(out, "cpu"), trace

        def train(self, pve_steps: int) -> MstarOutput:
            model = copy.deepcopy(self.model).to(device)
            with patch("torch.multinomial", LargestWeight()):
                return _moved(model(**_moved(self.batch, device), pve_steps=pve_steps), "cpu")

    return Seed


def _moved(value: Any, device: str) -> Any:
    """Every tensor inside, elsewhere."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict) and not is_dataclass(value):
        return {key: _moved(inner, device) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(inner, device) for inner in value)
    if is_dataclass(value):
        inner = {f.name: getattr(value, f.name) for f in fields(value) if f.init}
        return replace(value, **{name: _moved(one, device) for name, one in inner.items()})
    return value


def hooks_equal(part: Part) -> None:
    """Hooks that change nothing: equal bit for bit."""
    model, inputs = _small(part)
    heard = []
    names = [name for name in model.hook_points(2) if _same_path(name)]
    with torch.no_grad():
        plain = model(**inputs)
        with model.hooks({name: lambda value, *, point: heard.append(point) for name in names}):
            hooked = model(**inputs)
    _bits(part, "hooks that change nothing: equal bit for bit", plain, hooked, len(heard))


def recording_equal(part: Part) -> None:
    """Recording: equal bit for bit."""
    model, inputs = _small(part)
    with torch.no_grad():
        plain = model(**inputs)
        recorded, trace = model.run_with_trace(inputs, names=_same_path)
        everything, _ = model.run_with_trace(inputs, names="*")
    _bits(part, "recording: equal bit for bit", plain, recorded, len(trace))
    error = (everything.images.features - plain.images.features).abs().max().item()
    note = "S computes its attention explicitly when it is recorded; allowed is 1e-4"
    part.results.add("recording S's attention, too: largest error", error, "", error <= 1e-4, note)


def _small(part: Part) -> tuple[MstarModel, dict[str, Any]]:
    torch.manual_seed(0)
    model = MstarModel(MstarConfig.tiny(initializer_range=0.2, pve_steps=2)).eval().to(part.device)
    return model, _inputs(model.config, 3, part.device) | {"pve_steps": 2}


def _same_path(name: str) -> bool:
    """Points at which listening does not choose another kernel, and that need no pairs."""
    return not name.endswith("sas_attention") and not name.startswith("itm.")


def _bits(part: Part, name: str, one: MstarOutput, other: MstarOutput, heard: int) -> None:
    pairs = [
        (one.scores, other.scores),
        (one.images.features, other.images.features),
        (one.texts.features, other.texts.features),
    ]
    same = all(torch.equal(a, b) for a, b in pairs)
    error = max((a - b).abs().max().item() for a, b in pairs)
    note = f"tiny model, T = 2; {heard} values heard; largest difference {error:.2g}"
    part.results.add(name, "equal" if same else "not equal", "", same and heard > 0, note)


def _inputs(config: MstarConfig, count: int, device: str, seed: int = 0) -> dict[str, Tensor]:
    side, generator = config.vision_config.image_size, torch.Generator().manual_seed(seed)
    return _moved(
        {
            "pixel_values": torch.randn(count, 3, side, side, generator=generator),
            "input_ids": torch.randint(5, 60, (4, 8), generator=generator),
            "attention_mask": torch.ones(4, 8, dtype=torch.long),
            "is_word": torch.tensor([True, True, True, False]),
        },
        device,
    )


def _large(part: Part) -> tuple[MstarModel, dict[str, Any]]:
    torch.manual_seed(0)
    config = MstarConfig.tiny() if part.tiny else MstarConfig.base(image_size=512)
    return MstarModel(config).eval(), _inputs(config, 2 if part.tiny else 4, "cpu")


def against_cpu(part: Part) -> None:
    """Base size: the device against the CPU."""
    model, inputs = _large(part)
    with torch.no_grad():
        cpu = model(**inputs)
        device = _moved(model.to(part.device)(**_moved(inputs, part.device)), "cpu")
    _agreement(part, "the device against the CPU, fp32", cpu, device, 0.9999)


def half_precision(part: Part) -> None:
    """Base size: bf16 against fp32."""
    model, inputs = _large(part)
    model, inputs = model.to(part.device), _moved(inputs, part.device)
    with torch.no_grad():
        full = model(**inputs)
        with torch.autocast(part.device, torch.bfloat16):
            half = model(**inputs)
    _agreement(part, "bf16 autocast against fp32", full, half, 0.99)


def _agreement(part: Part, name: str, one: Any, other: Any, least: float) -> None:
    """Cosines between the features of two runs, look by look, and how masks agree."""
    queries = one.images.looks[0].embeddings.shape[2]
    cosine = F.cosine_similarity(one.images.features.float(), other.images.features.float(), dim=-1)
    size = "tiny" if part.tiny else "base size, 512 px"
    for t, of_look in enumerate(cosine.split(queries, dim=1)):
        lowest = of_look.min().item()
        judged = f"{size}, random weights; "
        judged += f"at least {least}" if t == 0 else "not judged: one token of a mask moves it"
        ok = lowest >= least if t == 0 else None
        mean = of_look.mean().item()
        part.results.add(f"{name}: lowest cosine, look {t}", lowest, "", ok, judged, mean=mean)
    same = (one.images.looks[0].salient == other.images.looks[0].salient).float().mean().item()
    part.results.add(f"{name}: tokens on whose mask both agree", 100 * same, "%")
    texts = F.cosine_similarity(one.texts.features.float(), other.texts.features.float(), dim=-1)
    lowest, said = texts.min().item(), f"at least {least}"
    part.results.add(f"{name}: lowest cosine, texts", lowest, "", lowest >= least, said)


if __name__ == "__main__":
    Part("checks").run(
        about,
        hooks_equal,
        recording_equal,
        half_precision,
        against_cpu,
        golden_device,
        golden_cpu,
    )

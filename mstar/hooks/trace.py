"""Trace: what one forward pass recorded, with the names of its axes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mstar import files
from mstar.errors import UserError
from mstar.hooks.points import MOST_PVE_STEPS, HookError, Names, find_point, select, unknown
from mstar.texts import STYLES, Query

_TENSORS, _META, _PHOTO = "trace.safetensors", "trace.json", "photo.{}.png"
#: What Pillow, safetensors and JSON raise on files that are broken.
_BROKEN = (
    ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, SyntaxError, TypeError,
    ValueError, SafetensorError, Image.DecompressionBombError,
)  # fmt: skip
_MOST_PIXELS = 2**26  # as many as `io.images` gives


@dataclass(eq=False)
class Trace(Mapping[str, Tensor]):
    """Values by hook-point name, in the order in which the model made them.

    Attributes:
        tensors: name -> tensor, detached and on the CPU unless asked otherwise.
        grid: (grid_h, grid_w) of the image tokens of a tile, or None if no image was given.
        pve_steps: T of the run.
        boxes: left, top, right and bottom of each image's tiles as shares of its sides, float
            [B, V, 4]; None if no image was given.
        meta: anything JSON can hold; `run_with_trace` writes the configuration, the hashes of the
            images, the seed and the versions of torch and transformers.
        queries: the N texts of the run; none where it was given tokens alone.
        photos: the images as they were given, PIL images or uint8 arrays [H, W, 3]; none likewise.
    """

    tensors: dict[str, Tensor]
    grid: tuple[int, int] | None
    pve_steps: int
    boxes: Tensor | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    queries: list[Query] = field(default_factory=list)
    photos: list[Any] = field(default_factory=list)

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.tensors:
            # a KeyError: `in` and `get` rely on it
            there = find_point(name) and _look(name) <= self.pve_steps
            raise KeyError(unrecorded(name) if there else unknown(name, list(self.tensors)))
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def __repr__(self) -> str:
        size = sum(v.numel() * v.element_size() for v in self.tensors.values())
        return f"Trace({len(self)} values, {size / 2**20:.1f} MiB, T = {self.pve_steps})"

    def axes(self, name: str) -> tuple[str, ...]:
        """Names of the dimensions of a value."""
        self[name]
        return find_point(name).axes

    def stack(self, names: Names) -> Tensor:
        """Values of the same point at several looks (or layers), with a new first axis.

        `trace.stack("pve.*.mask")` is [look, batch, tile, grid_h, grid_w].

        Raises:
            HookError: the names match nothing, or values of different shapes.
        """
        try:
            chosen = select(names, list(self.tensors))
        except HookError:
            if isinstance(names, str) and find_point(names.replace("*", "0")):
                raise HookError(unrecorded(names)) from None
            raise
        if not chosen:
            raise HookError("no recorded value matches.")
        shapes = {tuple(self.tensors[name].shape) for name in chosen}
        if len(shapes) > 1:
            raise HookError(f"cannot stack values of different shapes: {sorted(shapes)}.")
        return torch.stack([self.tensors[name] for name in chosen])

    def save(self, folder: str | Path, photos: bool = False) -> Path:
        """Write `trace.safetensors` and `trace.json` into a folder; returns the folder.

        Args:
            photos: also the photographs, as `photo.0.png`, …
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        # copies: values that were not detached may be parts of one another
        tensors = {
            n: value.detach().cpu().clone().contiguous() for n, value in self.tensors.items()
        }
        about = {
            "grid": self.grid,
            "pve_steps": self.pve_steps,
            "boxes": None if self.boxes is None else self.boxes.tolist(),
            "values": {name: list(find_point(name).axes) for name in self.tensors},
            "queries": self.queries,
            "photos": len(self.photos) if photos else 0,
            "meta": self.meta,
        }
        text = json.dumps(about, indent=1, ensure_ascii=False)
        with (
            files.replacing(folder / _META) as meta_path,
            files.replacing(folder / _TENSORS) as tensors_path,
        ):  # both are complete before either takes its place
            save_file(tensors, tensors_path)
            meta_path.write_text(text, encoding="utf-8")
            for number, photo in enumerate(self.photos if photos else ()):
                with files.replacing(folder / _PHOTO.format(number)) as path:
                    as_picture(photo).save(path, format="PNG")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> "Trace":
        """Read what `save` wrote, in the recorded order.

        Raises:
            FileNotFoundError: the folder holds no trace.
            UserError: it is of an older version, broken, or something else than `save` writes.
        """
        folder = Path(folder)
        for name in (_TENSORS, _META):
            files.check_regular(folder / name, "trace")
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} holds no trace: {name} is missing.")
        about = files.read_json(folder / _META)
        try:
            if not {"pve_steps", "boxes", "queries", "photos"} <= about.keys():
                raise UserError("is of an older version of this package")
            with safe_open(folder / _TENSORS, framework="pt") as stored:
                _expect(set(stored.keys()) == set(about["values"]), "other values than it lists")
                values = {name: stored.get_tensor(name) for name in about["values"]}
            grid = tuple(about["grid"]) if about["grid"] else None
            boxes = None if about["boxes"] is None else torch.tensor(about["boxes"])
            queries = [Query(*query) for query in about["queries"]]
            _expect(type(about["photos"]) is int, "no number of photographs")
            trace = cls(values, grid, about["pve_steps"], boxes, about["meta"], queries)
            trace._check()
            places = [folder / _PHOTO.format(number) for number in range(about["photos"])]
            trace.photos = [_photograph(path) for path in places]
            return trace
        except _BROKEN as error:
            broken = f"cannot be read ({str(error).rstrip('.')[:200]})"
            why = str(error) if isinstance(error, UserError) else broken
            raise UserError(f"the trace in {folder} {why}: record it anew.") from None

    def _check(self) -> None:
        """See that everything is what its name says. Raises UserError."""
        _expect(type(self.pve_steps) is int and 0 <= self.pve_steps <= MOST_PVE_STEPS, "no T")
        sides = self.grid is None or (
            len(self.grid) == 2 and all(type(side) is int and side > 0 for side in self.grid)
        )
        _expect(sides, "no grid")
        of_boxes = self.boxes is None or (self.boxes.ndim == 3 and self.boxes.shape[-1] == 4)
        _expect(of_boxes and (self.boxes is None or bool(self.boxes.isfinite().all())), "no boxes")
        texts = all(isinstance(text, str) and style in STYLES for text, style in self.queries)
        _expect(texts and isinstance(self.meta, dict), "no texts with their styles")
        for name, value in self.tensors.items():
            point = find_point(name)
            _expect(point is not None, f"{name} is no hook point")
            _expect(_look(name) <= self.pve_steps, f"{name} is of a look after the last")
            sizes = dict(zip(point.axes, value.shape, strict=False))
            fits = len(point.axes) == value.ndim and all(
                sizes.get(axis, side) == side
                for axis, side in zip(("grid_h", "grid_w"), self.grid or (), strict=False)
            )
            _expect(fits, f"{name} is {list(value.shape)}, expected {', '.join(point.axes)}")


def _look(name: str) -> int:
    """The look of a hook point; 0 of one that has none."""
    return int(name.split(".")[1]) if name.startswith("pve.") else 0


def _expect(so: bool, what: str) -> None:
    if not so:
        raise UserError(f"cannot be read ({what})")


def _photograph(path: Path) -> Image.Image:
    """A PNG of `save`, and nothing else that Pillow opens: its size is known before its pixels."""
    files.check_regular(path, "trace")
    with Image.open(path, formats=["PNG"]) as photo:
        _expect(photo.width * photo.height <= _MOST_PIXELS, f"{path.name} has too many pixels")
        return photo.convert("RGB")


def unrecorded(name: str) -> str:
    """What to say of a point whose value a trace should have, and has not."""
    return (
        f"the trace has no {name}: record it too, as {name!r} in `names`, or take bench.trace, "
        "which records what views need."
    )


def as_picture(photo: Any) -> Image.Image:
    """A photograph of a trace as a PIL image."""
    return photo if isinstance(photo, Image.Image) else Image.fromarray(photo)

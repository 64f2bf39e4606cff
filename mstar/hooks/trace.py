"""Trace: what one forward pass recorded, with the names of its axes."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from mstar import files
from mstar.errors import UserError, check_range
from mstar.hooks.points import MOST_PVE_STEPS, HookError, Names, find_point, select, unknown
from mstar.texts import Query

_TENSORS, _META, _PHOTO = "trace.safetensors", "trace.json", "photo.{}.png"


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
            raise KeyError(unknown(name, list(self.tensors)))
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
        chosen = select(names, list(self.tensors))
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
            UserError: it is of an older version, or a file of it is broken.
        """
        folder = Path(folder)
        for name in (_TENSORS, _META):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} holds no trace: {name} is missing.")
        about = files.read_json(folder / _META)
        if not {"pve_steps", "boxes", "queries", "photos"} <= about.keys():
            raise UserError(
                f"the trace in {folder} is of an older version of this package: record it anew."
            )
        try:
            return cls._read(folder, about)
        except OSError as error:
            if error.filename:
                raise
            raise UserError(f"{folder} holds a broken trace: {error}.") from error
        except Exception as error:  # Pillow, safetensors and torch raise whatever they are led to
            raise UserError(f"{folder} holds a broken trace: {str(error).rstrip('.')}.") from error

    @classmethod
    def _read(cls, folder: Path, about: Mapping[str, Any]) -> "Trace":
        """What `trace.json` names; raises anything where it is not as `save` wrote it."""
        with safe_open(folder / _TENSORS, framework="pt") as stored:
            values = {name: stored.get_tensor(name) for name in about["values"]}
        for name, value in values.items():
            if (point := find_point(name)) is None or value.ndim != len(point.axes):
                raise UserError(f"{name} of {list(value.shape)} is no value of a hook point")
        grid = tuple(about["grid"]) if about["grid"] else None
        for side in grid or ():
            check_range("a side of the grid", side, 1, 2**13)
        check_range("pve_steps (T)", about["pve_steps"], 0, MOST_PVE_STEPS)
        boxes = None if about["boxes"] is None else torch.tensor(about["boxes"], dtype=torch.float)
        if boxes is not None and boxes.shape[2:] != (4,):
            raise UserError(f"boxes should be [B, V, 4]; got {list(boxes.shape)}")
        queries = [Query(*query) for query in about["queries"]]
        if not all(isinstance(part, str) for query in queries for part in query):
            raise UserError("queries should be texts, each with its style")
        photos = []
        for number in range(about["photos"]):
            with Image.open(folder / _PHOTO.format(number)) as photo:
                photos.append(photo.convert("RGB"))
        if not isinstance(about["meta"], dict):
            raise UserError("meta should be an object")
        return cls(values, grid, about["pve_steps"], boxes, about["meta"], queries, photos)


def as_picture(photo: Any) -> Image.Image:
    """A photograph of a trace as a PIL image."""
    return photo if isinstance(photo, Image.Image) else Image.fromarray(photo)

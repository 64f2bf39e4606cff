"""Training items: images with their texts and styles, and nothing that says where a text is.

Whoever only draws needs no torch: it is imported where tensors are made.
"""

from typing import Any

import numpy as np

from mstar.data.scenes import scene as scenes
from mstar.data.scenes.difficulty import EASY, Difficulty


class _Rendered:
    """Items 0, 1, 2, … without end, each drawn when asked for: a map-style dataset of torch.

    An item is a dict(image uint8 tensor, texts list[str], styles list[str]).
    """

    def __init__(
        self, difficulty: Difficulty = EASY, seed: int = 0, split: str = "train", **options: Any
    ):
        self.difficulty, self.seed, self.split, self.options = difficulty, seed, split, options
        self[0]  # wrong arguments show here, not in a worker


class SceneDataset(_Rendered):
    """Scenes [size, size, 3]; options are `topic_share`, `size` and `backgrounds` of `scene`."""

    def __getitem__(self, index: int) -> dict:
        made = scenes.scene(self.seed, index, self.split, self.difficulty, **self.options)
        return _item(made.image, made.texts, made.styles)


class StripDataset(_Rendered):
    """Single words [height, width, 3]; options are `size` and `backgrounds` of `strip`."""

    def __getitem__(self, index: int) -> dict:
        made = scenes.strip(self.seed, index, self.split, self.difficulty, **self.options)
        return _item(made.image, (made.word,), ("word",))


def _item(image: np.ndarray, texts: tuple[str, ...], styles: tuple[str, ...]) -> dict:
    import torch

    return {"image": torch.from_numpy(image), "texts": list(texts), "styles": list(styles)}


def collate(items: list[dict]) -> dict:
    """A batch: images stacked to uint8 [batch, height, width, 3], everything else in lists."""
    import torch

    batch = {key: [item[key] for item in items] for key in items[0]}
    return batch | {"image": torch.stack(batch["image"])}

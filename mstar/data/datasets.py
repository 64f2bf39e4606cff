"""Training items: images with their texts and styles, and nothing that says where a text is."""

from collections.abc import Iterator

import torch
from torch.utils.data import IterableDataset, get_worker_info

from mstar.data import scenes
from mstar.data.difficulty import EASY, Difficulty


class _Stream(IterableDataset):
    """Item 0, 1, 2, … of a stream, `length` items or without end.

    With several loader workers, each takes every so manieth block of four consecutive images, so
    that the hard negatives of a block stay together. Do not shuffle: a stream is random already.
    """

    def __init__(
        self,
        difficulty: Difficulty = EASY,
        seed: int = 0,
        split: str = "train",
        length: int | None = None,
    ):
        if length is not None and length < 1:
            raise ValueError(f"length must be at least 1, or None for no end; got {length!r}.")
        self.difficulty, self.seed, self.split, self.length = difficulty, seed, split, length
        self[0]  # wrong arguments show here, not in a worker

    def __getitem__(self, index: int) -> dict:
        raise NotImplementedError

    def __len__(self) -> int:
        if self.length is None:
            raise TypeError("This stream has no end; give it a length to count it.")
        return self.length

    def __iter__(self) -> Iterator[dict]:
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        index = number * scenes.BLOCK
        while self.length is None or index < self.length:
            for i in range(index, index + scenes.BLOCK):
                if self.length is None or i < self.length:
                    yield self[i]
            index += workers * scenes.BLOCK


class SceneDataset(_Stream):
    """Scenes: dict(image uint8 tensor [size, size, 3], texts list[str], styles list[str])."""

    def __getitem__(self, index: int) -> dict:
        made = scenes.scene(self.seed, index, self.split, self.difficulty)
        return {
            "image": torch.from_numpy(made.image),
            "texts": list(made.texts),
            "styles": list(made.styles),
        }


class StripDataset(_Stream):
    """Single words: dict(image uint8 tensor [32, 128, 3], text str, lower case)."""

    def __getitem__(self, index: int) -> dict:
        made = scenes.strip(self.seed, index, self.split, self.difficulty)
        return {"image": torch.from_numpy(made.image), "text": made.word}


def collate(items: list[dict]) -> dict:
    """A batch: images stacked to uint8 [batch, height, width, 3], everything else in lists."""
    batch = {key: [item[key] for item in items] for key in items[0]}
    return batch | {"image": torch.stack(batch["image"])}

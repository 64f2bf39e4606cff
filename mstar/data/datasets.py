"""Training items: images with their texts and styles, and nothing that says where a text is."""

import torch
from torch.utils.data import Dataset

from mstar.data import scenes
from mstar.data.difficulty import EASY, Difficulty


class _Rendered(Dataset):
    """Items 0, 1, 2, … without end, each drawn when asked for."""

    def __init__(self, difficulty: Difficulty = EASY, seed: int = 0, split: str = "train"):
        self.difficulty, self.seed, self.split = difficulty, seed, split
        self[0]  # wrong arguments show here, not in a worker


class SceneDataset(_Rendered):
    """Scenes: dict(image uint8 tensor [size, size, 3], texts list[str], styles list[str]).

    Args:
        topic_share: of the blocks of four images that share a topic; see `scenes.scene`.
    """

    def __init__(
        self,
        difficulty: Difficulty = EASY,
        seed: int = 0,
        split: str = "train",
        topic_share: float = scenes.TOPIC_SHARE,
    ):
        self.topic_share = topic_share
        super().__init__(difficulty, seed, split)

    def __getitem__(self, index: int) -> dict:
        made = scenes.scene(
            self.seed, index, self.split, self.difficulty, topic_share=self.topic_share
        )
        return {
            "image": torch.from_numpy(made.image),
            "texts": list(made.texts),
            "styles": list(made.styles),
        }


class StripDataset(_Rendered):
    """Single words: the same with an image [32, 128, 3] and one text."""

    def __getitem__(self, index: int) -> dict:
        made = scenes.strip(self.seed, index, self.split, self.difficulty)
        return {"image": torch.from_numpy(made.image), "texts": [made.word], "styles": ["word"]}


def collate(items: list[dict]) -> dict:
    """A batch: images stacked to uint8 [batch, height, width, 3], everything else in lists."""
    batch = {key: [item[key] for item in items] for key in items[0]}
    return batch | {"image": torch.stack(batch["image"])}

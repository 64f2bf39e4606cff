"""Training items: images with their texts and styles, and nothing that says where a text is.

Whoever only draws needs no torch: it is imported where tensors are made.
"""

from pathlib import Path

from mstar.data.scenes import scene as scenes
from mstar.data.scenes.difficulty import EASY, Difficulty


class _Rendered:
    """Items 0, 1, 2, … without end, each drawn when asked for: a map-style dataset of torch."""

    def __init__(
        self,
        difficulty: Difficulty,
        seed: int,
        split: str,
        backgrounds: str | Path | None,
    ):
        self.difficulty, self.seed, self.split = difficulty, seed, split
        self.backgrounds = backgrounds
        self[0]  # wrong arguments show here, not in a worker


class SceneDataset(_Rendered):
    """Scenes: dict(image uint8 tensor [size, size, 3], texts list[str], styles list[str]).

    Args:
        topic_share: of the blocks of four images that share a topic; see `scenes.scene`.
        size: px; None = the difficulty's own.
        backgrounds: a folder of photographs for STREET; see `scenes.scene`.
    """

    def __init__(
        self,
        difficulty: Difficulty = EASY,
        seed: int = 0,
        split: str = "train",
        topic_share: float = scenes.TOPIC_SHARE,
        size: int | None = None,
        backgrounds: str | Path | None = None,
    ):
        self.topic_share, self.size = topic_share, size
        super().__init__(difficulty, seed, split, backgrounds)

    def __getitem__(self, index: int) -> dict:
        import torch

        made = scenes.scene(
            self.seed, index, self.split, self.difficulty, self.size, self.topic_share,
            self.backgrounds,
        )  # fmt: skip
        return {
            "image": torch.from_numpy(made.image),
            "texts": list(made.texts),
            "styles": list(made.styles),
        }


class StripDataset(_Rendered):
    """Single words: the same with an image [height, width, 3] and one text.

    Args:
        size: (height, width) px.
        backgrounds: as above.
    """

    def __init__(
        self,
        difficulty: Difficulty = EASY,
        seed: int = 0,
        split: str = "train",
        size: tuple[int, int] = scenes.STRIP,
        backgrounds: str | Path | None = None,
    ):
        self.size = size
        super().__init__(difficulty, seed, split, backgrounds)

    def __getitem__(self, index: int) -> dict:
        import torch

        made = scenes.strip(
            self.seed, index, self.split, self.difficulty, self.size, self.backgrounds
        )
        return {"image": torch.from_numpy(made.image), "texts": [made.word], "styles": ["word"]}


def collate(items: list[dict]) -> dict:
    """A batch: images stacked to uint8 [batch, height, width, 3], everything else in lists."""
    import torch

    batch = {key: [item[key] for item in items] for key in items[0]}
    return batch | {"image": torch.stack(batch["image"])}

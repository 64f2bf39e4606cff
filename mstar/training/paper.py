"""The paper's four stages, for a word model and for one of all styles."""

from mstar.data.lists.photographs import Annotated, Lists
from mstar.training.recipes import Recipe, Stage


def paper_word(synthetic: Lists, real: Lists, epochs: int = 16) -> Recipe:
    """The word model: 100k images of SynthText-900k, and MLT-5K (paper, 4.2)."""
    return _paper(synthetic, real, epochs, multi_word_branch=False)


def paper_multiquery(synthetic: Lists, real: Lists, epochs: int = 16) -> Recipe:
    """The multi-query model: 50k SynthText images and 25k rendered phrases; 20k of TextCaps.

    The paper forms combined queries from an image's words and phrases; the lists have to hold them.
    """
    return _paper(synthetic, real, epochs, multi_word_branch=True)


#: Side in pixels and images a step of each stage, on four GPUs (paper, 4.2; official.md 14).
_SIZES = ((512, 4 * 6), (640, 4 * 4), (800, 4 * 2), (800, 4 * 8))


def _paper(synthetic: Lists, real: Lists, epochs: int, multi_word_branch: bool) -> Recipe:
    """Both models have the same four stages (paper, 4.2 and table 13)."""
    both, later = Annotated((*synthetic, *real)), Annotated(real)
    #                     data   lr    to    warm-up   (table 13; official.md 14)
    rows = {
        "512": (both, 1e-5, 5e-8, 100),
        "640": (later, 1e-5, 5e-9, 100),
        "800": (later, 5e-6, 5e-9, 0),
        "800 + PVE": (later, 5e-6, 5e-9, 0),
    }
    stages = []
    for (name, (data, lr, min_lr, warmup)), (pixels, images) in zip(
        rows.items(), _SIZES, strict=True
    ):
        recycling = name == "800 + PVE"  # with φ frozen, and the last stage alone (paper, 4.2)
        stages.append(
            Stage(
                name,
                data,
                images,
                lr,
                epochs=epochs,
                warmup=warmup,
                warmup_from=1e-7,
                decay="cosine",
                min_lr=min_lr,
                image_size=pixels,
                frozen=("vision.siglip",) if recycling else (),
                pve_steps=1 if recycling else 0,
                extra_words=0,
                matching_every=1,
            )
        )
    return Recipe(
        tuple(stages),
        size="base",
        multi_word_branch=multi_word_branch,
        seed=42,
        weight_decay=0.1,
        betas=(0.9, 0.999),
        vision_lr_factor=0.95**13,  # what the "layer decay" comes to (official.md 14)
        clip=None,
        assigned_weight=0.0,
    )

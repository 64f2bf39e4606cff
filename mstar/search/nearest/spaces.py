"""In which space a text's nearest vectors are looked for: one a branch of the model.

The word branch compares a text with every vision embedding, so these are what is near it. The other
compares it with what its attention makes of all of an image's. What it would make of each of them
alone are vectors that can be looked up: the best images have one near the text, as the attention to
a phrase lies on few. Words' own nearest vectors, joined, name far fewer of the best images.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from mstar.model.configuration import MstarConfig
from mstar.model.modeling import MstarModel
from mstar.model.outputs import VisionEmbeddings
from mstar.search.store import SEVERAL, SPACES, WORD


def spaces_of(config: MstarConfig) -> tuple[str, ...]:
    """Those that texts of a checkpoint are looked for in."""
    if not config.multi_word_branch:
        return (WORD,)
    return SPACES if config.word_scoring == "word" else (SEVERAL,)


@torch.no_grad()
def vectors_in(space: str, model: MstarModel, vision: VisionEmbeddings) -> Tensor:
    """The vectors of some images in a space, of unit length, [n, S, D]."""
    if space == WORD:
        return vision.features
    alone = vision.embeddings.flatten(0, 1)[:, None]
    (made,) = model.aggregator(alone.new_zeros(1, alone.shape[-1]), [alone])
    vectors = F.normalize(model.vision_projection(made.embeddings[:, 0]), dim=-1)
    return vectors.unflatten(0, vision.embeddings.shape[:2])

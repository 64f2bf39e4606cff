"""The Hungarian assignment of words to vision embeddings, and where an embedding lies in E_V."""

from typing import NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mstar.errors import UserError

UNASSIGNED = -1


class Place(NamedTuple):
    """Which of an image's vision embeddings: its look, its tile and its query token."""

    look: int
    tile: int
    query_token: int


#: Where no embedding is: a word that was left over.
NO_PLACE = Place(-1, -1, -1)


def place_of(index: int, tiles: int, query_tokens: int) -> Place:
    """The place of an embedding by its index in E_V: look after look, tile after tile.

    Args:
        tiles, query_tokens: V and Q.
    """
    look, rest = divmod(index, tiles * query_tokens)
    return Place(look, *divmod(rest, query_tokens))


class NotFinite(UserError):
    """Similarities that are infinite or no numbers: the weights, or what a hook made of them."""


def check_finite(similarities: Tensor) -> None:
    """Before anything is chosen or drawn by them.

    Raises:
        NotFinite: some are infinite or no numbers.
    """
    if not torch.isfinite(similarities).all():
        raise NotFinite(
            "the similarities of texts and images should be finite numbers; some are infinite or "
            "no numbers at all."
        )


def check_assignment(assignment: Tensor, count: int) -> None:
    """Raises UserError unless it is of `count` embeddings, as a hook may have made it."""
    if assignment.numel() and not UNASSIGNED <= assignment.min() <= assignment.max() < count:
        raise UserError(
            f"an assignment should be from {UNASSIGNED} (none) to {count - 1}; got "
            f"{int(assignment.min())} to {int(assignment.max())}."
        )


def assign(cosine: Tensor) -> Tensor:
    """Hungarian assignment of words to vision embeddings, maximising the summed cosine.

    Args:
        cosine: [words, embeddings].

    Returns:
        int64 [words]: the embedding of each word, all different. With more words than embeddings
        the words left over get −1 (the released code pairs them wrongly, official.md 15).
    """
    rows, columns = linear_sum_assignment(cosine.detach().float().cpu().numpy(), maximize=True)
    assignment = torch.full((cosine.shape[0],), UNASSIGNED, dtype=torch.long)
    assignment[torch.from_numpy(rows)] = torch.from_numpy(columns)
    return assignment.to(cosine.device)


def assign_per_image(cosine: Tensor, candidates: Tensor) -> Tensor:
    """The assignment of every image's own words.

    Args:
        cosine: [B, N, S] of N texts with S vision embeddings.
        candidates: bool [B, N], which texts are words of that image.

    Returns:
        int64 [B, N], −1 where nothing is assigned.

    Raises:
        NotFinite: some similarity is infinite or no number.
    """
    check_finite(cosine)
    assignment = torch.full(candidates.shape, UNASSIGNED, dtype=torch.long, device=cosine.device)
    for image in range(len(candidates)):
        words = candidates[image].nonzero().flatten()
        if len(words):
            assignment[image, words] = assign(cosine[image, words])
    return assignment


def word_scores(cosine: Tensor, assignment: Tensor) -> Tensor:
    """Cosine at the assigned embedding where there is one, the best cosine elsewhere.

    Args:
        cosine: [B, N, S].
        assignment: int64 [B, N].

    Returns:
        [B, N].
    """
    assigned = cosine.gather(2, assignment.clamp(min=0)[..., None])[..., 0]
    return torch.where(assignment == UNASSIGNED, cosine.amax(dim=2), assigned)

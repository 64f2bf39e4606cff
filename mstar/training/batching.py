"""From images and their lists of texts to what the model takes: texts, ownership, negatives.

Nothing here knows where a text is.
"""

from collections.abc import Collection, Sequence
from functools import cache

import numpy as np
import torch
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize
from torch import Tensor

from mstar.data.scenes.draw.things import THINGS
from mstar.data.scenes.labels import parse_semantic, semantic
from mstar.io.processing import CLIP_MEAN, CLIP_STD, MstarProcessor

Text = tuple[str, str]  # (text, style)

_ALIKE_AT_ONCE = 512


def make_batch(
    texts: Sequence[Sequence[Text]],
    processor: MstarProcessor,
    lexicon: tuple[str, ...],
    rng: np.random.Generator,
    extra_words: int,
    photographed: Sequence[bool] | None = None,
    complete: Sequence[bool] | None = None,
    lists_hold: Collection[str] = (),
) -> dict[str, Tensor]:
    """The texts of a batch, and whose they are.

    Args:
        texts: the list of each of B images, of all processes.
        lexicon: training words, of which hard negatives and `extra_words` more are made: text is
            cheap, and more wrong answers make each step teach more. Empty = no negative is made.
        photographed, complete: of each image, whether it is a photograph, and whether its list is
            all that is written there; None = no photograph, and it is.
        lists_hold: all words of photographs' lists, which may be among the drawn ones.

    Returns:
        what `MstarModel.forward` takes beside images: input_ids, attention_mask int64 [N, L];
        is_word bool [N]; own, positives, unknown bool [B, N]. What an image that is not listed
        completely may share with other photographs' lists is unknown.
    """
    # texts are the same if the model reads the same (official.md 10), and each counts once
    texts = [[(processor.read_as(text), style) for text, style in own] for own in texts]
    index: dict[Text, int] = {}
    for own in texts:
        for text in own:
            index.setdefault(text, len(index))
    if lexicon:
        wrong = [n for text in list(index) for n in hard_negatives(text, lexicon, rng)]
        wrong += [(str(word), "word") for word in rng.choice(lexicon, extra_words, replace=False)]
        for text in wrong:
            index.setdefault(text, len(index))
    listed = list(index)
    own = torch.zeros(len(texts), len(listed), dtype=torch.bool)
    for image, image_texts in enumerate(texts):
        own[image, [index[text] for text in image_texts]] = True
    _, data = processor.read(*zip(*listed, strict=True))
    # official.md 10: equal strings match, whatever their styles
    strings: dict[str, int] = {}
    number = torch.tensor([strings.setdefault(text, len(strings)) for text, _ in listed])
    equal = own.float() @ (number[:, None] == number).float() > 0
    positives = equal | _implied(listed, texts)
    photos = torch.zeros(len(texts), dtype=torch.bool)
    if photographed is not None:
        photos = torch.tensor(photographed, dtype=torch.bool)
    partly = ~torch.tensor(complete, dtype=torch.bool) if complete is not None else ~photos & photos
    held = torch.tensor([style == "word" and text in lists_hold for text, style in listed])
    elsewhere = own[photos].any(dim=0) | held
    unknown = partly[:, None] & elsewhere & ~positives
    return data | {"own": own, "positives": positives, "unknown": unknown}


def _implied(listed: Sequence[Text], texts: Sequence[Sequence[Text]]) -> Tensor:
    """Combined queries that an image answers although they are not on its list; bool [B, N]."""
    combined = [
        (column, set(text.split(", ")))
        for column, (text, style) in enumerate(listed)
        if style == "combined"
    ]
    implied = torch.zeros(len(texts), len(listed), dtype=torch.bool)
    for image, image_texts in enumerate(texts):
        written = {text for text, style in image_texts if style in ("word", "phrase")}
        for column, parts in combined:
            implied[image, column] = parts <= written
    return implied


def hard_negatives(text: Text, lexicon: tuple[str, ...], rng: np.random.Generator) -> list[Text]:
    """Texts that share most of a text and are wrong: another order, another word, another thing."""
    written, style = text
    if style == "word":
        return [(_other(written, lexicon, rng), style)]
    if style == "phrase":
        words = written.split(" ")
        return [(" ".join(words[::-1]), style), (" ".join(_swap(words, lexicon, rng)), style)]
    if style == "combined":
        return [(", ".join(_swap(written.split(", "), lexicon, rng)), style)]
    inner, thing = parse_semantic(written)
    elsewhere = [semantic(inner, other) for other in THINGS if other != thing]
    another = semantic(" ".join(_swap(inner.split(" "), lexicon, rng)), thing)
    return [(negative, style) for negative in (*elsewhere, another)]


def _swap(parts: list[str], lexicon: tuple[str, ...], rng: np.random.Generator) -> list[str]:
    swapped = list(parts)
    place = int(rng.integers(len(parts)))
    swapped[place] = _other(parts[place], lexicon, rng)
    return swapped


def _other(part: str, lexicon: tuple[str, ...], rng: np.random.Generator) -> str:
    """A word that `part` may be taken for; any word where none is known (`part` is several)."""
    among = similar(lexicon).get(part, lexicon)
    return str(among[int(rng.integers(len(among)))])


@cache
def similar(lexicon: tuple[str, ...], count: int = 8) -> dict[str, tuple[str, ...]]:
    """For each word the `count` others that it is most easily taken for, most alike first.

    Alike are words that share letters and pairs of letters, the ends of a word counting too.
    """
    letters = CountVectorizer(analyzer="char_wb", ngram_range=(1, 2), binary=True)
    shared = normalize(letters.fit_transform(lexicon))
    count, found = min(count, len(lexicon) - 1), {}
    for start in range(0, len(lexicon), _ALIKE_AT_ONCE):  # all pairs at once would fill a machine
        some = lexicon[start : start + _ALIKE_AT_ONCE]
        alike = (shared[start : start + len(some)] @ shared.T).toarray()
        alike[np.arange(len(some)), start + np.arange(len(some))] = -1
        nearest = np.argsort(-alike, axis=1, kind="stable")[:, :count]
        rows = zip(some, nearest, strict=True)
        found |= {word: tuple(lexicon[i] for i in row) for word, row in rows}
    return found


def normalise(images: Tensor) -> Tensor:
    """uint8 [B, …, H, W, 3] -> float [B, …, 3, H, W] with CLIP's mean and standard deviation."""
    mean, std = (
        torch.tensor(values, device=images.device)[:, None, None]
        for values in (CLIP_MEAN, CLIP_STD)
    )
    return (images.movedim(-1, -3).float() / 255 - mean) / std

"""From images and queries to what the model takes.

Images: resized to exactly S×S (the aspect ratio is not kept), CLIP's mean and standard deviation
(official.md 1). Texts: cleaned as BLIP captions are, preceded by an instruction for their style
(Eq. 3; the released prompt is one sentence for every style).

The tokenizer of the models that learn to read from nothing has one token a character. Everything
that is folded is folded in its normalizer, so that whatever reads a text with the checkpoint's
tokenizer reads the same: compatibility forms (ligatures, full width), curved quotation marks, long
dashes, accents, capitals, and runs of blanks. Of a caption (word pieces, and characters of before)
the same is folded where the tokenizer does not know what is written.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BatchFeature, PreTrainedTokenizerFast, ProcessorMixin
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from mstar.errors import UserError
from mstar.io.images import as_rgb
from mstar.model.configuration import MstarConfig
from mstar.texts import INSTRUCTIONS, STYLES, clean_caption
from mstar.tiles import check_tiles, cut, shares, tile_boxes

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class MstarProcessor(ProcessorMixin):
    """Images and styled queries to tensors.

    >>> inputs = processor(images=[image], text=["exit"], styles=["word"])

    Args:
        prompts: how a query is put, see `texts.INSTRUCTIONS`.
        tiles: levels, see `mstar.tiles`.
        captions: whether texts are cleaned as BLIP's captions are before the tokenizer reads them,
            as BERT's word pieces of the paper need; a tokenizer of characters folds them itself.
    """

    def __init__(
        self,
        image_processor: SiglipImageProcessorPil,
        tokenizer: PreTrainedTokenizerFast,
        prompts: str = "paper",
        tiles: Sequence[int] = (1,),
        captions: bool = True,
        **kwargs: Any,
    ):
        if prompts not in INSTRUCTIONS:
            raise UserError(f"prompts must be one of {', '.join(INSTRUCTIONS)}; got {prompts!r}.")
        self.prompts, self.tiles, self.captions = prompts, check_tiles(tiles), captions
        super().__init__(image_processor, tokenizer, **kwargs)

    @classmethod
    def for_config(
        cls, config: MstarConfig, tokenizer: PreTrainedTokenizerFast, captions: bool = True
    ) -> "MstarProcessor":
        """The processor that goes with a model: its native size, its preset's prompts."""
        size = config.vision_config.image_size
        image_processor = SiglipImageProcessorPil(
            size={"height": size, "width": size}, image_mean=CLIP_MEAN, image_std=CLIP_STD
        )
        return cls(
            image_processor,
            tokenizer,
            prompts=config.semantics,
            tiles=config.tiles,
            captions=captions,
        )

    def __call__(
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        styles: str | Sequence[str] = "word",
        tiles: Sequence[int] | None = None,
    ) -> BatchFeature:
        """Prepare images, queries or both.

        Args:
            images: PIL images or uint8 arrays [H, W, 3].
            text: N queries as a user writes them; a str is one.
            styles: one style for all of them, or one each.
            tiles: levels, see `mstar.tiles`; None = the checkpoint's.

        Returns:
            pixel_values float [B, V, 3, S, S]; tile_boxes float [B, V, 4], left, top, right and
            bottom of each tile as shares of the photograph's width and height; input_ids,
            attention_mask int64 [N, L]; is_word bool [N].

        A warning says of which queries the tokenizer does not know something, or reads not all.

        Raises:
            UserError: unknown style, as many styles as queries were not given, an empty query, or
                one of which the tokenizer knows no letter and no digit.
        """
        data: dict[str, Any] = {}
        if images is not None:
            data |= self._tiled(images, self.tiles if tiles is None else check_tiles(tiles))
        if text is not None:
            texts = [text] if isinstance(text, str) else list(text)
            if not texts:
                raise UserError("give at least one text.")
            ends, read = self.read(texts, self._styles(texts, styles))
            remarks = [
                said for pair in zip(texts, ends, strict=True) for said in self._remarks(*pair)
            ]
            if remarks:
                more = f" (and {len(remarks) - 3} more)" * (len(remarks) > 3)
                warnings.warn(f"{'; '.join(remarks[:3])}{more}.", stacklevel=2)
            data |= read
        return BatchFeature(data)

    def read(
        self, texts: Sequence[str], styles: Sequence[str]
    ) -> tuple[list[str], dict[str, torch.Tensor]]:
        """N texts, each with its style, read without a remark: as training reads its lists.

        Returns:
            of each that is longer than the model reads, where it is cut, else nothing; and the
            tensors that a call returns of texts.
        """
        prompted = [self.instruct(*pair) for pair in zip(texts, styles, strict=True)]
        made = self.tokenizer(prompted, padding=True, truncation=True, return_tensors="pt")
        tensors = {name: made[name] for name in ("input_ids", "attention_mask")}
        tensors["is_word"] = torch.tensor([style == "word" for style in styles])
        ends = [
            put[: max(end for _, end in of.offsets)][-30:] if of.overflowing else ""
            for put, of in zip(prompted, made.encodings, strict=True)
        ]
        return ends, tensors

    def reads(self, text: str) -> bool:
        """Whether the tokenizer knows a letter or a digit of a text, or all of its signs."""
        known, unknown = self._known(self.read_as(text))
        return not unknown or any(map(str.isalnum, "".join(known)))

    def _known(self, text: str) -> tuple[list[str], list[str]]:
        """What the tokenizer knows of a text, and what it does not, in pieces."""
        encoding = self.tokenizer.backend_tokenizer.encode(text, add_special_tokens=False)
        pieces: tuple[list[str], list[str]] = [], []
        for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            pieces[number == self.tokenizer.unk_token_id].append(text[start:end])
        return pieces

    def _remarks(self, query: str, end: str) -> Iterator[str]:
        """What of a query is not read; one that cannot be read at all is refused."""
        short = repr(_short(query))
        unknown = _short(" ".join(dict.fromkeys(self._known(self.read_as(query))[1])))
        if not self.reads(query):
            raise UserError(
                f"the query {short} cannot be read: the checkpoint's tokenizer does not know "
                f"{unknown}; ask for another text, or take a checkpoint that has learnt to read it."
            )
        if unknown:
            yield f"of the query {short} the checkpoint's tokenizer does not know {unknown}"
        if end:
            most = self.tokenizer.model_max_length
            yield (
                f"the query {short} is longer than the {most} tokens that the checkpoint reads: it "
                f"is cut after {end!r}"
            )

    def _tiled(self, images: Any, tiles: tuple[int, ...]) -> dict[str, torch.Tensor]:
        photos = [images] if isinstance(images, (Image.Image, np.ndarray)) else list(images)
        photos = [_photo(_eight_bits(one)) for one in photos]
        if not photos:
            raise UserError("give at least one image.")
        placed = [tile_boxes(*photo.size, tiles) for photo in photos]
        boxes = torch.stack(
            [torch.from_numpy(shares(b, *p.size)) for p, b in zip(photos, placed, strict=True)]
        )
        # resized here: the image processor would copy every photograph into an array and back
        size, resample = self._side, self.image_processor.resample
        squares = [
            one.resize((size, size), resample)
            for photo, its_boxes in zip(photos, placed, strict=True)
            for one in cut(photo, its_boxes)
        ]
        pixels = self.image_processor(squares, do_resize=False, return_tensors="pt")["pixel_values"]
        return {"pixel_values": pixels.unflatten(0, boxes.shape[:2]), "tile_boxes": boxes}

    @property
    def _side(self) -> int:
        return self.image_processor.size["height"]

    def reduction(self, width: int, height: int, tiles: Sequence[int] | None = None) -> int:
        """By what the sides of a JPEG may be divided while it is unpacked: 1, 2, 4 or 8.

        Every tile keeps three times the pixels along a side that the model is shown. That moves
        the features as little as storing the file at quality 90 in place of 92 (75 rendered scenes
        of 768 to 1,024 px, embedded checkpoint: mean cosine 0.9997, and 0.9998 for the quality).

        Args:
            width, height: of the photograph in px.
            tiles: levels; None = the checkpoint's.
        """
        boxes = tile_boxes(width, height, self.tiles if tiles is None else tiles)
        finest = int((boxes[:, 2:] - boxes[:, :2]).min())
        return next(by for by in (8, 4, 2, 1) if by == 1 or finest >= 3 * self._side * by)

    def instruct(self, query: str, style: str) -> str:
        """concat[T_i, T_Q] of Eq. 3, cleaned.

        Raises:
            UserError: unknown style, or a query without any letter left after cleaning.
        """
        if style not in STYLES:
            raise UserError(f"unknown style {style!r}: expected one of {', '.join(STYLES)}.")
        if any("\ud800" <= character <= "\udfff" for character in query):
            raise UserError(f"the query {query!r} is no valid text: a character is half of one.")
        if not clean_caption(self._folded(query)):
            raise UserError(f"the query {query!r} has no words.")
        template = INSTRUCTIONS[self.prompts][style]
        if self.prompts == "released" and self.captions:
            return clean_caption(template.format(self._folded(query)))  # together, as released
        return template.format(self.read_as(query))

    def read_as(self, text: str) -> str:
        """What the model reads of a text: texts that are read alike are the same to it."""
        if self.captions:
            return clean_caption(self._folded(text))
        return self.tokenizer.backend_tokenizer.normalizer.normalize_str(text)

    def _folded(self, text: str) -> str:
        """A text with its signs folded, if the tokenizer does not know something of it."""
        if not self.captions or text.isascii() or not self._known(clean_caption(text))[1]:
            return text
        return _FOLDING.normalize_str(text)

    def _styles(self, text: Sequence[str], styles: str | Sequence[str]) -> list[str]:
        chosen = [styles] * len(text) if isinstance(styles, str) else list(styles)
        if len(chosen) != len(text):
            raise UserError(f"got {len(text)} queries and {len(chosen)} styles: one style each.")
        return chosen


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


def _eight_bits(image: Any) -> Any:
    """A photograph of eight bits a channel.

    Raises:
        UserError: an array of other numbers: what is black and what white in it nobody can tell.
    """
    if isinstance(image, Image.Image):
        return as_rgb(image)
    kind = getattr(image, "dtype", None)
    if kind is not None and str(kind).removeprefix("torch.") != "uint8":
        raise UserError(
            f"an image should be a PIL image or a uint8 array [H, W, 3]; got an array of {kind}: "
            "for values from 0 to 1 give (255 * array).round().astype('uint8')."
        )
    shape = getattr(image, "shape", None)
    if shape is None or len(shape) not in (2, 3) or 0 in shape or shape[2:] not in ((), (3,)):
        got = type(image).__name__ if shape is None else f"an array {list(shape)}"
        raise UserError(f"an image should be a PIL image or a uint8 array [H, W, 3]; got {got}.")
    return np.asarray(image)


def _photo(image: Image.Image | np.ndarray) -> Image.Image:
    """A photograph that can be cut."""
    return image if isinstance(image, Image.Image) else Image.fromarray(image)


#: The last row came with the photographs: prices, times, and signs of shops.
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789 ',-&$%/.+@?" + '£€!#():;"*='
_SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
#: What Unicode's compatibility forms leave apart.
_FOLDED = {
    "[\u2018\u2019\u201a\u201b\u2032`\u00b4]": "'",
    "[\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb]": '"',
    "[\u2010-\u2015\u2212]": "-",
    "\u00d7": "x",
    "\u2044": "/",
    "\u00df": "ss",
    "\u00e6": "ae",
    "\u0153": "oe",
    "\u00f8": "o",
    r"\s+": " ",
}
_FOLDING = normalizers.Sequence(
    [
        normalizers.NFKC(),
        normalizers.Lowercase(),
        *(normalizers.Replace(Regex(of), to) for of, to in _FOLDED.items()),
        normalizers.NFD(),
        normalizers.StripAccents(),
        normalizers.Strip(),
    ]
)


def character_tokenizer(max_length: int = 96) -> PreTrainedTokenizerFast:
    """One token a character, one for each style's instruction; longer texts are cut.

    Args:
        max_length: tokens, [CLS], instruction and [SEP] included.
    """
    instructions = [f"{style}:" for style in STYLES]
    vocabulary = {token: i for i, token in enumerate([*_SPECIAL, *instructions, *ALPHABET])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = _FOLDING
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), behavior="isolated")
    tokenizer.add_tokens([AddedToken(i, rstrip=True, normalized=False) for i in instructions])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
    )

"""The tokenizer of the models that learn to read from nothing: one token a character.

Everything that is folded is folded in its normalizer, so that whatever reads a text with the
checkpoint's tokenizer reads the same: compatibility forms (ligatures, full width), curved quotation
marks, long dashes, accents, capitals, and runs of blanks.
"""

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from .texts import STYLES

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


def character_tokenizer(max_length: int = 96) -> PreTrainedTokenizerFast:
    """One token a character, one for each style's instruction; longer texts are cut.

    Args:
        max_length: tokens, [CLS], instruction and [SEP] included.
    """
    instructions = [f"{style}:" for style in STYLES]
    vocabulary = {token: i for i, token in enumerate([*_SPECIAL, *instructions, *ALPHABET])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            *(normalizers.Replace(Regex(of), to) for of, to in _FOLDED.items()),
            normalizers.NFD(),
            normalizers.StripAccents(),
            normalizers.Strip(),
        ]
    )
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

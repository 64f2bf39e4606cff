"""Queries as typed: hostile ones cost no more than they are long."""

import re
import time
import warnings

import pytest

from mstar import Gallery, samples
from mstar.errors import UserError
from mstar.io.processing import MstarProcessor, character_tokenizer
from mstar.io.released import load_tokenizer
from mstar.model.configuration import MstarConfig
from mstar.texts import Query, as_query, guess_style, parse_query, quoted
from mstar.workbench import load


@pytest.mark.parametrize(
    "text",
    [
        "'" * 200_000,
        "' " * 100_000,
        "'a" * 100_000,
        "'x'" + " " * 300_000 + "b",
        "a" + " " * 300_000 + "b",
        "a , " * 50_000,
        "'a' " * 50_000,
    ],
    ids=["marks", "apart", "opened", "blanks", "words", "commas", "quotations"],
)
def test_a_long_text_takes_time_in_proportion(text):
    begun = time.process_time()
    guess_style(text)
    quoted(text)
    try:
        parse_query(text)
    except ValueError as problem:
        assert "no words" in str(problem)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("'dream big' on a shirt", "semantic"),
        ("say 'a' or 'b' on it", "semantic"),
        ("'' on a shirt", "phrase"),  # nothing is quoted
        ("it's on", "phrase"),
        ("“open” at the door", "semantic"),
    ],
)
def test_what_is_quoted_and_stands_on_something_is_semantic(text, style):
    assert guess_style(text)[0] == style


@pytest.fixture(params=["embedded", "characters", "pieces"])
def processor(request, tmp_path):
    """Of the embedded checkpoint, of one that learns to read now, and with BERT's word pieces."""
    if request.param == "embedded":
        return load().processor
    tokenizer = character_tokenizer()
    if request.param == "pieces":
        pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "word", "phrase", ":", "'"]
        letters = "abcdefghijklmnopqrstuvwxyz0123456789"
        pieces += [*letters, *(f"##{letter}" for letter in letters)]
        (tmp_path / "vocab.txt").write_text("\n".join(pieces))
        tokenizer = load_tokenizer(tmp_path, 12)
    captions = request.param == "pieces"
    return MstarProcessor.for_config(MstarConfig.tiny(), tokenizer, captions)


def ids(processor, text, style="phrase"):
    return processor(text=text, styles=style)["input_ids"].tolist()


@pytest.mark.parametrize("text", ["日本", "東京", "“日”", "!日本", "→ ←"])
def test_a_text_of_unknown_characters_is_refused_with_their_names(processor, text):
    with pytest.raises(
        UserError, match=f"cannot be read: .* does not know .*{text[-2:-1].strip()}"
    ):
        ids(processor, text)


def test_unknown_characters_beside_known_ones_are_said(processor):
    with pytest.warns(UserWarning, match="of the query 'exit 日本' .* does not know 日"):
        ids(processor, "exit 日本")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("joe’s", "joe's"),
        ("‘joe’s’", "'joe's'"),
        ("ＥＸＩＴ", "exit"),
        ("ﬁre ﬂag", "fire flag"),
        ("cafe\u0301", "café"),
        ("CAFÉ", "cafe"),
        ("smørre", "smorre"),
    ],
)
def test_other_forms_of_known_characters_are_read_as_these(processor, typed, meant):
    assert ids(processor, typed) == ids(processor, meant)


def test_a_text_that_is_cut_is_said_and_where(processor):
    text = "".join(f"{letter}{digit}" for digit in range(8) for letter in "abcdef")
    with pytest.warns(UserWarning, match="longer than the .* tokens .* cut after") as said:
        cut = ids(processor, text, "word")
    end = re.search("cut after '(.*)'", str(said[0].message))[1]
    put = processor.instruct(text, "word")
    kept = put[: put.index(end) + len(end)].removeprefix("word: ")
    assert ids(processor, kept, "word") == cut


@pytest.mark.parametrize("text", ["it’s", "１２３"])
def test_other_forms_leave_nothing_unknown(text):
    processor = load().processor
    assert ids(processor, text, "word")[0].count(processor.tokenizer.unk_token_id) == 0


def test_long_phrases_are_told_apart_or_the_cut_is_said():
    start = "no parking at any time tow away zone strictly "
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        one, other = ids(load().processor, [start + "enforced", start + "monitored"])
    assert one != other or any("cut after" in str(said.message) for said in heard)


def test_training_reads_its_lists_without_a_remark(processor):
    read = processor.read(["exit 日本", "日本", "a1b2c3" * 20], ["phrase"] * 3)[1]
    assert read["input_ids"].shape[0] == 3


def test_a_query_is_in_nfc_however_it_is_typed():
    meant = Query("café", "word")
    assert parse_query("cafe\u0301") == as_query(Query("cafe\u0301", "word")) == meant
    assert as_query("cafe\u0301", "word") == meant


def test_what_cannot_be_read_brings_nothing_to_an_explanation():
    gallery = Gallery.embed(load(), [sample.path for sample in samples()[:2]])
    with pytest.warns(UserWarning, match="does not know 日"):
        words = gallery.explain("exit 日本 way", 0).words
    assert [one.word for one in words] == ["exit", "way"]
    with pytest.warns(UserWarning, match="does not know 日"):
        assert gallery.explain("exit 日本", 0).words == ()
    with pytest.raises(UserError, match="'日本' cannot be read"):
        gallery.search("日本")

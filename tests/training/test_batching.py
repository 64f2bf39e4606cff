"""The texts of a batch: who owns which, what is made up, and nothing about positions."""

import re

import numpy as np
import pytest
import torch

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.data.scenes import sandbox
from mstar.training.batching import hard_negatives, make_batch, normalise, similar

LISTS = [
    [("one", "word"), ("way", "word"), ("one way", "phrase")],
    [("exit", "word"), ("stop", "word"), ("stop, exit", "combined")],
    [("exit", "word"), ("stop", "word"), ("one way", "phrase")],
]
LEXICON = ("alpha", "beta", "gamma")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_batch_knows_no_position(tiny, rng):
    batch = make_batch(LISTS, tiny.processor, LEXICON, rng, 2)
    assert batch.keys() == {
        "input_ids", "attention_mask", "is_word", "own", "positives", "unknown",
    }  # fmt: skip
    assert not batch["unknown"].any(), "rendered images are listed completely"
    assert all(isinstance(value, torch.Tensor) for value in batch.values())


def test_who_owns_what(tiny, rng):
    """Six listed texts; then seven hard negatives and two words, which nobody owns."""
    lexicon = tuple(sandbox.words("train")[:1000])
    batch = make_batch(LISTS, tiny.processor, lexicon, rng, 2)
    assert batch["own"].shape == (3, 15)
    own = [[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 0]]
    assert batch["own"][:, :6].int().tolist() == own
    assert not batch["own"][:, 6:].any()
    assert batch["is_word"][:6].int().tolist() == [1, 1, 0, 1, 1, 0]
    assert batch["is_word"][6:].sum() == 4 + 2  # one for each word, and the two
    # the third image has both parts of the second's combined text
    implied = batch["positives"] & ~batch["own"]
    assert implied.nonzero().tolist() == [[2, 5]]


def test_texts_that_read_the_same_are_one_text(tiny, rng):
    """They would be wrong answers to themselves (official.md 10)."""
    lists = [[("EXIT!", "word"), ("exit", "word"), ("Exit", "phrase")], [("exit.", "word")]]
    batch = make_batch(lists, tiny.processor, (), rng, 0)
    assert batch["own"].int().tolist() == [[1, 1], [1, 0]]
    assert batch["is_word"].tolist() == [True, False] and batch["positives"].all()
    # a tokenizer of characters tells marks apart
    plain = MstarProcessor.for_config(tiny.model.config, tiny.processor.tokenizer, captions=False)
    batch = make_batch(lists, plain, (), rng, 0)
    assert batch["own"].int().tolist() == [[1, 1, 1, 0], [0, 0, 0, 1]]


def test_equal_strings_match_whatever_their_styles(tiny, rng):
    lists = [[("exit", "word")], [("exit", "phrase")], [("stop", "word")]]
    batch = make_batch(lists, tiny.processor, (), rng, 0)
    assert batch["own"].int().tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert batch["positives"].int().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_without_a_lexicon_no_text_is_made_up(tiny, rng):
    batch = make_batch(LISTS, tiny.processor, (), rng, 48)
    assert batch["own"].shape == (3, 6) and batch["own"].any(0).all()


def test_a_combined_text_may_hold_phrases(tiny, rng):
    lists = [
        [("one way", "phrase"), ("exit", "word")],
        [("exit, one way", "combined")],
        [("one", "word"), ("way", "word"), ("exit", "word")],
    ]
    batch = make_batch(lists, tiny.processor, LEXICON, rng, 0)
    column = 2
    assert batch["own"][:, column].tolist() == [False, True, False]
    assert batch["positives"][:, column].tolist() == [True, True, False]


def test_a_word_drawn_as_a_negative_stays_the_images_own(tiny, rng):
    lists = [[("alpha", "word")], [("beta", "word")]]
    batch = make_batch(lists, tiny.processor, LEXICON, rng, 3)
    assert batch["own"].int().tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (("exit", "word"), {"x"}),
        (("one way", "phrase"), {"way one", "one x", "x way"}),
        (("stop, one way", "combined"), {"x, one way", "stop, x"}),
        (
            ("'one way' on a sign", "semantic"),
            {"'x way' on a sign", "'one x' on a sign"}
            | {f"'one way' on a {thing}" for thing in ("bottle", "shirt", "door")},
        ),
    ],
)
def test_hard_negatives_change_one_thing(rng, text, expected):
    made = {n for _ in range(50) for n in hard_negatives(text, ("x",), rng)}
    assert {style for _, style in made} <= {text[1]}
    assert {negative for negative, _ in made} == expected
    assert text not in made


def test_a_words_negative_is_one_it_may_be_taken_for():
    alike = similar(("band", "bend", "bond", "zebra", "stop", "step"), 2)
    assert set(alike["band"]) == {"bend", "bond"} and alike["stop"][0] == "step"
    lexicon = sandbox.words("train")
    alike = similar(lexicon)
    assert alike.keys() == set(lexicon)
    assert all(word not in others and len(set(others)) == 8 for word, others in alike.items())


def test_negatives_are_wrong_and_of_seen_words(rng):
    """On real scenes: an image answers none of its negatives but those on its own list."""
    lexicon, unseen = sandbox.words("train"), set(sandbox.words("unseen"))
    wrong = []
    for index in range(24):
        made = sandbox.scene(5, index, "train", sandbox.EASY)
        listed = set(zip(made.texts, made.styles, strict=True))
        for text in listed:
            for negative in hard_negatives(text, lexicon, rng):
                # combined texts are too many to list: `positives` knows the others
                if negative[1] != "combined" and negative not in listed:
                    wrong += [(index, negative)] * bool(sandbox.matches(made, *negative))
                written = negative[0].split("' on a ")[0]
                assert not set(re.findall("[a-z]+", written)) & unseen, negative
    assert wrong == []


def test_images_are_normalised_as_the_processor_does(tiny):
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8))
    expected = tiny.processor(images=[image.numpy() for image in images])["pixel_values"]
    torch.testing.assert_close(normalise(images), expected[:, 0], rtol=1e-5, atol=1e-5)
    in_tiles = images[:, None].expand(-1, 3, -1, -1, -1)
    assert torch.equal(normalise(in_tiles), normalise(images)[:, None].expand(-1, 3, -1, -1, -1))


def test_what_an_incomplete_list_may_leave_out_is_unknown(tiny, rng):
    """A rendering, a photograph of a complete list, and one of an incomplete one."""
    lists = [
        [("drawn", "word"), ("exit", "word")],
        [("cafe", "word"), ("bar", "word")],
        [("shop", "word"), ("bar", "word")],
    ]
    batch = make_batch(
        lists, tiny.processor, LEXICON, rng, 3, [False, True, True], [True, True, False]
    )
    listed = ["drawn", "exit", "cafe", "bar", "shop"]
    assert batch["own"][:, :5].int().tolist() == [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]]
    unknown = [[text for text, is_so in zip(listed, row, strict=False) if is_so]
               for row in batch["unknown"].tolist()]  # fmt: skip
    assert unknown == [[], [], ["cafe"]], "no rendering's text, none of its own, no made-up one"
    assert not batch["unknown"][:, 5:].any() and batch["unknown"].shape == batch["own"].shape
    # all photographs of incomplete lists: each may have what the others list
    both = make_batch(lists[1:], tiny.processor, (), rng, 0, [True, True], [False, False])
    assert both["unknown"].int().tolist() == [[0, 0, 1], [1, 0, 0]]
    none = make_batch(lists[1:], tiny.processor, (), rng, 0, [True, True], [True, True])
    assert not none["unknown"].any()


def test_alike_words_are_those_of_the_dense_way():
    """Block by block the same as all pairs at once."""
    lexicon = tuple(sandbox.words("train")[:1100])  # more than two blocks
    features = [
        {f" {word} "[i : i + n] for n in (1, 2) for i in range(len(word) + 3 - n)}
        for word in lexicon
    ]
    names = {name: i for i, name in enumerate(sorted(set().union(*features)))}
    dense = np.zeros((len(lexicon), len(names)))
    for row, has in zip(dense, features, strict=True):
        row[[names[name] for name in has]] = 1
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    cosine = dense @ dense.T
    np.fill_diagonal(cosine, -1)
    place = {word: i for i, word in enumerate(lexicon)}
    for word, others in similar(lexicon).items():
        found = cosine[place[word], [place[other] for other in others]]
        expected = np.sort(cosine[place[word]])[::-1][:8]  # equal ones may change places
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_one_batch_can_be_learnt_by_heart(tiny, rng):
    torch.manual_seed(0)
    items = [sandbox.scene(3, i, "train", sandbox.EASY) for i in range(4)]
    pixels = normalise(torch.stack([torch.from_numpy(item.image) for item in items]))
    lists = [list(zip(item.texts, item.styles, strict=True)) for item in items]
    batch = make_batch(lists, tiny.processor, sandbox.words("train"), rng, 4)
    config = MstarConfig.tiny(
        vision_config=dict(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=1,
            num_attention_heads=2,
            image_size=128,
            patch_size=8,
            vision_use_head=False,
        ),
        conv_stem=[(8, 2), (8, 2), (8, 2)],
    )
    config.qformer_config.hidden_dropout_prob = 0.0
    config.qformer_config.attention_probs_dropout_prob = 0.0
    model = MstarModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(15):
        loss = model(pixel_values=pixels, **batch).contrastive_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0], losses

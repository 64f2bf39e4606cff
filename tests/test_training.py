"""Batches without positions, and the loop: stages, schedule, resume."""

import re
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from mstar import MstarConfig, MstarModel, training
from mstar.batching import augment, hard_negatives, make_batch, normalise, similar
from mstar.data import sandbox
from mstar.training import Mixture, Recipe, Stage, Trainer, learning_rate

LISTS = [
    [("one", "word"), ("way", "word"), ("one way", "phrase")],
    [("exit", "word"), ("stop", "word"), ("stop, exit", "combined")],
    [("exit", "word"), ("stop", "word"), ("one way", "phrase")],
]
LEXICON = ("alpha", "beta", "gamma")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def black(count: int) -> torch.Tensor:
    return torch.zeros(count, 64, 64, 3, dtype=torch.uint8)


# Batches


def test_a_batch_knows_no_position(tiny, rng):
    batch = vars(make_batch(black(3), LISTS, tiny[1], LEXICON, rng, 2))
    expected = {"pixel_values", "input_ids", "attention_mask", "is_word", "own", "positives"}
    assert batch.keys() == expected
    assert all(isinstance(value, torch.Tensor) for value in batch.values())
    for kind in (sandbox.StripDataset, sandbox.SceneDataset):
        item = kind(sandbox.EASY, 0)[0]
        assert item.keys() in ({"image", "text"}, {"image", "texts", "styles"})


def test_who_owns_what(tiny, rng):
    """Six listed texts; then seven hard negatives and two words, which nobody owns."""
    lexicon = tuple(sandbox.words("train")[:1000])
    batch = make_batch(black(3), LISTS, tiny[1], lexicon, rng, 2)
    assert batch.own.shape == (3, 15) and batch.pixel_values.shape == (3, 3, 64, 64)
    own = [[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 0]]
    assert batch.own[:, :6].int().tolist() == own
    assert not batch.own[:, 6:].any()
    assert batch.is_word[:6].int().tolist() == [1, 1, 0, 1, 1, 0]
    assert batch.is_word[6:].sum() == 4 + 2  # one for each word, and the two
    # the third image has both parts of the second's combined text
    implied = batch.positives & ~batch.own
    assert implied.nonzero().tolist() == [[2, 5]]


def test_a_combined_text_may_hold_phrases(tiny, rng):
    lists = [
        [("one way", "phrase"), ("exit", "word")],
        [("exit, one way", "combined")],
        [("one", "word"), ("way", "word"), ("exit", "word")],
    ]
    batch = make_batch(black(3), lists, tiny[1], LEXICON, rng, 0)
    column = 2
    assert batch.own[:, column].tolist() == [False, True, False]
    assert batch.positives[:, column].tolist() == [True, True, False]


def test_a_word_drawn_as_a_negative_stays_the_images_own(tiny, rng):
    lists = [[("alpha", "word")], [("beta", "word")]]
    batch = make_batch(black(2), lists, tiny[1], LEXICON, rng, 3)
    assert batch.own.int().tolist() == [[1, 0, 0], [0, 1, 0]]


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


def test_augmentation_keeps_shape_and_changes_gain_and_polarity(rng):
    grey = torch.full((64, 4, 4, 3), 204, dtype=torch.uint8)  # 0.8: 0.3 above the middle
    pixels = augment(grey, rng)
    assert pixels.shape == (64, 3, 4, 4) and pixels.dtype == torch.float32
    back = torch.stack([normalise(torch.full((1, 3, 1, 1), v)) for v in (0.5, 1.0)])
    level = ((pixels - back[0]) / (back[1] - back[0]) / 2)[:, 0, 0, 0]
    assert (level > 0).any() and (level < 0).any()
    assert (level.abs() >= 0.7 * 0.3 - 1e-5).all() and (level.abs() <= 1.3 * 0.3 + 1e-5).all()


# Schedule and order


def test_learning_rate():
    stage = Stage("read", "strips", steps=100, batch_size=4, lr=1.0, warmup=10, decay_from=0.5)
    rates = [learning_rate(stage, step) for step in (0, 4, 9, 10, 50, 75, 99)]
    assert rates == pytest.approx([0.1, 0.5, 1.0, 1.0, 1.0, 0.5, 0.02])
    flat = Stage("find", "strips", steps=100, batch_size=4, lr=2.0, warmup=1, decay_from=1)
    assert [learning_rate(flat, step) for step in (0, 99)] == [2.0, 2.0]
    falling = Stage("recycle", "scenes", steps=100, batch_size=4, lr=1.0, warmup=1, decay_from=0)
    assert [learning_rate(falling, s) for s in (0, 50, 99)] == pytest.approx([1, 0.5, 0.01])


class Numbers:
    """In the place of a data set: says which item of which difficulty was asked for."""

    def __init__(self, difficulty, seed):
        self.hard, self.seed = difficulty is sandbox.HARD, seed

    def __getitem__(self, index):
        return index, self.hard, self.seed


def test_the_mixture_is_in_blocks_and_in_its_ratio():
    items = list(islice(Mixture(Numbers, 7, 0.2, 0), 4000))
    assert [index for index, _, _ in items] == list(range(4000))
    assert {seed for _, _, seed in items} == {7}
    assert sum(hard for _, hard, _ in items) / 4000 == pytest.approx(0.2, abs=0.005)
    for block in range(0, 4000, 4):
        assert len({hard for _, hard, _ in items[block : block + 4]}) == 1
    for share, expected in ((0.0, 0), (1.0, 400)):
        assert sum(hard for _, hard, _ in islice(Mixture(Numbers, 0, share, 0), 400)) == expected


@pytest.mark.parametrize("start", [4, 8, 96])
def test_a_mixture_goes_on_where_it_was(start):
    whole = list(islice(Mixture(Numbers, 1, 0.2, 0), 200))
    assert list(islice(Mixture(Numbers, 1, 0.2, start), 200 - start)) == whole[start:]


# The loop


RECIPE = Recipe(
    stages=tuple(
        Stage(name, images, steps=2, batch_size=4, lr=1e-3, warmup=1, pve_steps=t, extra_words=4,
              matching_every=every)
        for name, images, t, every in (
            ("read", "strips", 0, 0), ("find", "strips", 0, 0), ("look", "scenes", 0, 1),
            ("recycle", "scenes", 1, 2),
        )
    ),
)  # fmt: skip


def small() -> MstarConfig:
    vision = dict(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=128,
        patch_size=8,
        vision_use_head=False,
    )
    return MstarConfig.tiny(vision_config=vision, conv_stem=[(8, 2), (8, 2), (8, 2)])


@pytest.fixture
def small_galleries(monkeypatch):
    """What a stage is judged on at its end takes no minutes."""
    full = sandbox.gallery

    def few(seed, difficulty, **sizes):
        return full(seed, difficulty, images=40, seen=12, unseen=12)

    monkeypatch.setattr(training.sandbox, "gallery", few)


class Stopped(Exception):
    pass


class StopsAt(Trainer):
    """Breaks off in front of the n-th step of the run."""

    left = 0

    def _losses(self, *arguments):
        if not self.left:
            raise Stopped
        self.left -= 1
        return super()._losses(*arguments)


@pytest.fixture
def train(small_galleries, tmp_path):
    def make(name, recipe=RECIPE, kind=Trainer):
        return kind(small(), recipe, tmp_path / name, workers=0, save_every=1, evaluate_every=9)

    return make


@pytest.fixture
def one_thread():
    """With more, sums of gradients depend on which thread comes first, in their last bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_stage_runs_and_a_resumed_run_is_the_same(train, tmp_path, one_thread):
    whole = train("whole")
    before = {name: value.clone() for name, value in whole.model.state_dict().items()}
    model = whole.run()
    assert (tmp_path / "whole" / training.STATE).is_file()
    assert [row["stage"] for row in whole.progress.log] == ["read", "find", "look", "recycle"]
    assert {"exact_match"} <= whole.progress.log[0].keys()
    assert all("map" in row for row in whole.progress.log[2:])
    assert "L_m" in whole.progress.log[2] and "L_m" not in whole.progress.log[1]
    weights = model.state_dict()
    assert all(torch.isfinite(value).all() for value in weights.values())
    for part in ("vision.mlp.0.weight", "sas.value.weight", "aggregator.value.weight"):
        assert not torch.equal(before[part], weights[part]), part

    for steps, place in ((1, (0, 1)), (3, (2, 0))):  # within a stage, and between two
        part = train("parts", kind=StopsAt)
        part.left = steps
        with pytest.raises(Stopped):
            part.run()
        assert (part.progress.stage, part.progress.step) == place
    resumed = train("parts")
    assert (resumed.progress.stage, resumed.progress.step) == (2, 0)
    ours = resumed.run().state_dict()
    assert ours.keys() == weights.keys()
    assert [name for name in weights if not torch.equal(ours[name], weights[name])] == []


def test_a_frozen_vision_encoder_stays_as_it_is(train):
    frozen = replace(RECIPE.stages[1], frozen_vision=True)
    trainer = train("frozen", replace(RECIPE, stages=(frozen,)))
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.run()
    after = dict(trainer.model.named_parameters())
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert not [name for name in changed if name.startswith("vision.siglip.")]
    assert {"vision.mlp.0.weight", "multimodal.query_tokens", "text_projection.weight"} <= changed


def test_a_callback_hears_every_step_and_changes_nothing(train, tmp_path, one_thread):
    heard = []

    def callback(model, processor, row):
        heard.append(dict(row))

    plain = train("plain").run().state_dict()
    torch.manual_seed(99)
    watched = Trainer(
        small(), RECIPE, tmp_path / "watched", workers=0, evaluate_every=9, callback=callback
    )
    weights = watched.run().state_dict()
    assert all(torch.equal(value, plain[name]) for name, value in weights.items())
    assert [(row["stage"], row["step"]) for row in heard[:3]] == [
        ("read", 1), ("read", 2), ("find", 1),
    ]  # fmt: skip
    assert all(row["learning rate"] > 0 and "loss" in row for row in heard)
    assert sum("map" in row for row in heard) == 2


def test_another_recipe_in_the_same_folder_is_refused(train):
    one = Recipe(stages=RECIPE.stages[1:2])
    train("run", one).run()
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        train("run", Recipe(stages=RECIPE.stages[1:2], seed=2))
    assert train("run", one).progress.stage == 1


def test_one_batch_can_be_learnt_by_heart(tiny, rng):
    torch.manual_seed(0)
    items = [sandbox.scene(3, i, "train", sandbox.EASY) for i in range(4)]
    images = torch.stack([torch.from_numpy(item.image) for item in items])
    lists = [list(zip(item.texts, item.styles, strict=True)) for item in items]
    batch = make_batch(images, lists, tiny[1], sandbox.words("train"), rng, 4).to("cpu")
    config = small()
    config.qformer_config.hidden_dropout_prob = 0.0
    config.qformer_config.attention_probs_dropout_prob = 0.0
    model = MstarModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(15):
        loss = model(**batch).contrastive_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0], losses

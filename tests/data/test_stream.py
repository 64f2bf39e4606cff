"""What training sees: the same item at the same position, whatever reads it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from mstar.data.lists.photographs import Annotated
from mstar.data.lists.stream import Rendered, Stream, collate, positions
from mstar.data.scenes import sandbox


def loaded(
    stream: Stream, workers: int, start: int = 0, stop: int = 4, size: int = 3
) -> list[dict]:
    loader = DataLoader(
        stream,
        batch_sampler=positions(size, start, stop),
        num_workers=workers,
        collate_fn=collate,
    )
    return list(loader)


def same(one: list[dict], other: list[dict]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a["image"], b["image"])
        and all(a[key] == b[key] for key in ("texts", "styles", "source"))
        for a, b in zip(one, other, strict=True)
    )


@pytest.fixture
def lists(tmp_path):
    """Two lists of five and three photographs; the number of each is its text and its grey."""
    made = []
    for name, numbers in (("a", range(5)), ("b", range(5, 8))):
        entries = []
        for i in numbers:
            Image.new("RGB", (40, 30), (20 * i,) * 3).save(tmp_path / f"{i}.png")
            entries.append({"image": f"{i}.png", "text": [f"t{i}"], "type": ["word"]})
        (tmp_path / f"{name}.json").write_text(json.dumps(entries))
        made.append((str(tmp_path / f"{name}.json"), str(tmp_path)))
    return tuple(made)


def test_scenes_are_the_same_for_any_number_of_workers_and_from_the_middle():
    stream = Stream(Rendered(hard_share=0.5).open(3, 128), 3)
    whole = loaded(stream, 0)
    assert same(loaded(stream, 2), whole)
    assert same(loaded(stream, 0, start=2), whole[2:])
    assert [len(batch["texts"]) for batch in whole] == [3] * 4
    other = loaded(Stream(Rendered(hard_share=0.5).open(4, 128), 4), 0)
    assert not same(other, whole)


def test_easy_and_hard_come_in_blocks_and_in_their_ratio(monkeypatch):
    items = Rendered(hard_share=0.2).open(7, 128)
    asked: list[tuple[int, int]] = []
    empty = sandbox.Scene(np.zeros((128, 128, 3), np.uint8), (), (), (), ())

    def numbered(seed, index, split, level, **options):
        asked.append((index, level is sandbox.HARD))
        return empty

    monkeypatch.setattr(sandbox, "scene", numbered)
    rng = np.random.default_rng(0)
    for index in range(4000):
        items.item(index, rng)
    assert [index for index, _ in asked] == list(range(4000))
    assert sum(hard for _, hard in asked) / 4000 == pytest.approx(0.2, abs=0.005)
    for block in range(0, 4000, 4):
        assert len({hard for _, hard in asked[block : block + 4]}) == 1


def test_half_of_the_images_are_reversed_and_nothing_else():
    items = Rendered("strips").open(1, 128)
    reversed_ones = 0
    for position in range(40):
        item = items.item(position, np.random.default_rng([1, position]))
        image = torch.from_numpy(sandbox.strip(1, position).image)
        reversed_ones += torch.equal(item["image"], 255 - image)
        assert torch.equal(item["image"], image) or torch.equal(item["image"], 255 - image)
    assert 10 <= reversed_ones <= 30


def test_word_lists_alone():
    items = Rendered(multi_word=False).open(2, 128)
    seen = [items.item(i, np.random.default_rng(0)) for i in range(12)]
    assert {style for item in seen for style in item["styles"]} == {"word"}
    for i, item in enumerate(seen):
        plain = sandbox.scene(2, i)
        both = zip(plain.texts, plain.styles, strict=True)
        assert item["texts"] == [text for text, style in both if style == "word"]
        assert item["source"] == f"easy scenes {i} of seed 2"


def test_more_topics_mean_more_things():
    def things(share):
        made = (sandbox.scene(5, i, "train", sandbox.EASY, topic_share=share) for i in range(60))
        return sum(bool(scene.things) for scene in made)

    assert things(1.0) > things(0.0) + 10


def test_an_epoch_sees_every_photograph_once_in_an_order_of_its_own(lists):
    stream = Stream(Annotated(lists, distort=False).open(1, 32), 1)
    texts = [stream[position]["texts"][0] for position in range(24)]
    epochs = [texts[:8], texts[8:16], texts[16:]]
    assert all(sorted(epoch) == [f"t{i}" for i in range(8)] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    # a stream that begins in the middle of the second epoch sees the rest of it
    fresh = Stream(Annotated(lists, distort=False).open(1, 32), 1)
    assert [fresh[position]["texts"][0] for position in range(12, 16)] == texts[12:16]
    item = fresh[3]
    number = int(item["texts"][0][1:])
    assert item["image"].shape == (32, 32, 3) and (item["image"] == 20 * number).all()
    assert item["source"].endswith(f"{number}.png") and item["styles"] == ["word"]


def test_texts_are_as_they_are_listed(lists, tmp_path):
    """What reads the same is one text in a batch, see `make_batch`: the processor knows."""
    entry = {
        "image": "0.png",
        "text": ["EXIT!", "exit", "Exit"],
        "type": ["word", "word", "phrase"],
    }
    (tmp_path / "a.json").write_text(json.dumps([entry]))
    item = Stream(Annotated(lists[:1]).open(1, 32), 1)[0]
    assert list(zip(item["texts"], item["styles"], strict=True)) == [
        ("EXIT!", "word"), ("exit", "word"), ("Exit", "phrase"),
    ]  # fmt: skip


def test_photographs_are_the_same_for_any_number_of_workers(lists):
    stream = Stream(Annotated(lists).open(1, 32), 1)
    assert same(loaded(stream, 2), loaded(stream, 0))


def test_an_unreadable_photograph_is_an_error_or_is_skipped_by_name(lists, tmp_path):
    (tmp_path / "6.png").write_bytes(b"no image")
    stream = Stream(Annotated(lists).open(1, 32), 1)
    broken = [position for position in range(8) if "error" in stream[position]]
    assert len(broken) == 1
    assert stream[broken[0]]["error"].startswith(f"{tmp_path / '6.png'} cannot be read")
    good = stream[(broken[0] + 1) % 8]
    assert collate([good, stream[broken[0]]]).keys() == {"error"}

    tolerant = Stream(Annotated(lists).open(1, 32), 1, skip_unreadable=True)
    other = tolerant[broken[0]]
    assert other["texts"] != ["t6"] and len(other["skipped"]) == 1
    assert "6.png" in other["skipped"][0]
    assert torch.equal(tolerant[broken[0]]["image"], other["image"])
    assert same([collate([good])], [collate([tolerant[(broken[0] + 1) % 8]])])


def test_a_photograph_that_is_gone_since_the_list_was_read(lists, tmp_path):
    opened = Annotated(lists).open(1, 32)
    (tmp_path / "6.png").unlink()
    stream = Stream(opened, 1)
    (gone,) = (stream[position] for position in range(8) if "error" in stream[position])
    assert gone["error"] == f"there is no image {tmp_path / '6.png'}."
    tolerant = Stream(opened, 1, skip_unreadable=True)
    assert sum(len(tolerant[position]["skipped"]) for position in range(8)) >= 1


def test_if_nothing_can_be_read_skipping_ends(lists, tmp_path):
    for file in tmp_path.glob("*.png"):
        file.write_bytes(b"")
    stream = Stream(Annotated(lists).open(1, 32), 1, skip_unreadable=True)
    assert "cannot be read" in stream[0]["error"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"of": "pages"}, "of must be 'strips' or 'scenes'; got 'pages'"),
        ({"hard_share": 1.5}, "hard_share must be from 0 to 1; got 1.5"),
        ({"topic_share": -1}, "topic_share must be from 0 to 1; got -1"),
        ({"street_share": 2}, "street_share must be from 0 to 1; got 2"),
    ],
)
def test_what_cannot_be_rendered_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Rendered(**wrong)

"""Photographs, crops of words and mixtures, as training sees them."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from PIL import Image

from mstar.data.lists.photographs import (
    HELD_OUT,
    READABLE,
    Annotated,
    Crops,
    Photographs,
    changed,
    is_held_out,
    strip_of,
)
from mstar.data.lists.photos import tiled
from mstar.data.lists.stream import Mixed, Rendered, Stream, collate
from mstar.tiles import cut, tile_boxes


def listed(folder, name, count, first=0, words=lambda i: [f"t{i}"]):
    """A list of photographs `p0.png` … in a folder, each with its number as a text."""
    entries = []
    for i in range(first, first + count):
        grey = np.full((60, 80, 3), 3 * i % 256, np.uint8)
        Image.fromarray(grey).save(folder / f"p{i}.png")
        texts = words(i)
        entries.append({"image": f"p{i}.png", "text": texts, "type": ["word"] * len(texts)})
    (folder / f"{name}.json").write_text(json.dumps(entries))
    return str(folder / f"{name}.json"), str(folder)


# Photographs


def test_who_judges_follows_from_the_name_alone(tmp_path):
    one = listed(tmp_path, "one", 90)
    both = (one, listed(tmp_path, "again", 90))
    trained, held = (
        [entry.image.name for entry, _ in Photographs((one,), held_out=out).found()]
        for out in (False, True)
    )
    assert sorted(trained + held) == sorted(f"p{i}.png" for i in range(90))
    assert not set(trained) & set(held) and held == [n for n in trained + held if is_held_out(n)]
    again = {e.image.name for e, _ in Photographs(both[1:], held_out=True).found()}
    assert again == set(held), "in another list it is held out too"
    share = np.mean([is_held_out(f"{i}.jpg") for i in range(4000)])
    assert share == pytest.approx(HELD_OUT / 100, abs=0.02)


def test_each_photograph_says_whether_its_list_is_complete(tmp_path):
    whole, partly = listed(tmp_path, "whole", 20), listed(tmp_path, "partly", 20, first=20)
    data = Photographs((whole,), (partly,))
    flags = {entry.image.name: complete for entry, complete in data.found()}
    assert all(complete == (int(name[1:-4]) < 20) for name, complete in flags.items())
    items = data.open(0, 32, (1, 2))
    assert items.count == len(flags)
    item = items.item(0, np.random.default_rng(0))
    assert item["image"].shape == (5, 32, 32, 3) and item["image"].dtype == torch.uint8
    assert item["photographed"] is True and item["complete"] is True
    assert items.item(items.count - 1, np.random.default_rng(0))["complete"] is False
    assert data.open(0, 32).item(0, np.random.default_rng(0))["image"].shape == (32, 32, 3)
    assert item["source"].endswith(".png") and item["texts"][0] in data.lexicon
    assert data.lexicon == tuple(sorted(f"t{i}" for i in range(40)))


def test_a_photograph_changes_each_time_but_follows_from_its_position(tmp_path):
    stream = Stream(Photographs((listed(tmp_path, "one", 30),)).open(4, 32, (1, 2)), 4)
    count = stream.items.count
    first = next(p for p in range(count) if stream[p]["source"].endswith("p9.png"))
    later = next(p for p in range(count, 2 * count) if stream[p]["source"].endswith("p9.png"))
    assert torch.equal(stream[first]["image"], stream[first]["image"])
    assert not torch.equal(stream[first]["image"], stream[later]["image"])
    batch = collate([stream[0], stream[1], stream[2]])
    assert batch["image"].shape == (3, 5, 32, 32, 3) and batch["photographed"] == [True] * 3


def test_photographs_that_are_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"photographs need a list: give --real LIST ROOT"):
        Photographs()
    number = next(i for i in range(100) if is_held_out(f"p{i}.png"))
    only = listed(tmp_path, "one", 1, first=number)
    with pytest.raises(ValueError, match="no photograph of the lists is left to train on"):
        Photographs((only,)).open(0, 32)


def test_a_change_keeps_a_photograph_one():
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    sizes = set()
    for seed in range(30):
        made = changed(photo, np.random.default_rng(seed))
        assert made.mode == "RGB" and made.width >= 60 and made.height >= 40
        sizes.add(made.size)
    assert (60, 40) in sizes and len(sizes) > 3, "now and then from farther away"


def test_tiles_of_training_are_those_of_the_processor():
    """Cut out before they are resized, so that nothing outside of a tile is read."""
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8))
    found = tiled(photo, 32, (1, 2))
    parts = cut(photo, tile_boxes(90, 60, (1, 2)))
    assert found.shape == (5, 32, 32, 3)
    for one, part in zip(found, parts, strict=True):
        assert np.array_equal(one, np.asarray(part.resize((32, 32), Image.Resampling.BICUBIC)))
    assert np.array_equal(tiled(photo, 32, (1,)), found[0])


# Crops of words


def test_crops_are_strips_of_readable_words(tmp_path):
    texts = ["EXIT", "café", "no. 7", "2nd", "x" * 20, "Straße"]
    entries = []
    for i, text in enumerate(texts):
        Image.new("RGB", (90, 30), (40 * i, 80, 120)).save(tmp_path / f"{i}.png")
        entries.append({"image": f"{i}.png", "text": [text], "type": ["word"]})
    (tmp_path / "crops.json").write_text(json.dumps(entries))
    items = Crops(((str(tmp_path / "crops.json"), str(tmp_path)),)).open(0, 128)
    seen = [items.item(i, np.random.default_rng(i)) for i in range(items.count)]
    assert [item["texts"] for item in seen] == [["exit"], ["2nd"], ["x" * 20]]
    for item in seen:
        assert READABLE.issuperset(item["texts"][0])
        assert item["image"].shape == (48, 192, 3) and item["image"].dtype == torch.uint8
        assert item["photographed"] and item["complete"] and item["styles"] == ["word"]


def test_without_any_readable_word_crops_are_refused(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "0.png")
    entry = {"image": "0.png", "text": ["日本"], "type": ["word"]}
    (tmp_path / "crops.json").write_text(json.dumps([entry]))
    with pytest.raises(ValueError, match="no crop has a word of the letters a-z and digits"):
        Crops(((str(tmp_path / "crops.json"), str(tmp_path)),)).open(0, 128)


@pytest.mark.parametrize("size", [(200, 40), (20, 60), (2000, 20), (3, 3)])
def test_a_crop_lies_whole_on_its_strip(size):
    crop = Image.new("RGB", size, (200, 30, 60))
    for seed in range(5):
        strip = strip_of(crop, (48, 192), np.random.default_rng(seed))
        assert strip.shape == (48, 192, 3)
        assert (strip == (200, 30, 60)).all(), "one colour, and its border's around it"


# Mixtures


@dataclass(frozen=True)
class Named:
    """Items that say who was asked for what."""

    name: str
    count: int | None = None
    lexicon: tuple[str, ...] = ()
    kind: str = field(default="named", init=False)

    def open(self, seed, size, tiles=(1,)):
        return self

    def item(self, index, rng):
        return {"source": self.name, "index": index, "image": torch.zeros(1)}


def test_each_part_has_its_share_and_blocks_stay_together():
    parts = ((1.0, Named("drawn")), (0.5, Named("few", 7)), (0.5, Named("many", 900)))
    items = Mixed(parts).open(0, 32)
    assert items.count is None
    rng = np.random.default_rng(0)
    seen = [items.item(index, rng) for index in range(1000)]
    names = [item["source"] for item in seen]
    for name, share in (("drawn", 0.5), ("few", 0.25), ("many", 0.25)):
        assert names.count(name) / 1000 == pytest.approx(share, abs=0.01)
    for block in range(0, 1000, 4):
        assert len(set(names[block : block + 4])) == 1
    # the renderer's neighbours hold hard negatives for each other: it is asked for this very one
    assert all(item["index"] == i for i, item in enumerate(seen) if item["source"] == "drawn")
    of_few = {item["index"] for item in seen if item["source"] == "few"}
    assert of_few == set(range(7)), "of what has an end, any"
    early = names[:60]
    assert all(10 <= early.count(name) <= 34 for name in set(names)), "spread evenly"


def test_a_mixture_knows_all_words():
    parts = ((1.0, Named("a", lexicon=("x", "b"))), (2.0, Named("b", lexicon=("a", "b"))))
    assert Mixed(parts).lexicon == ("a", "b", "x")


@pytest.mark.parametrize("parts", [(), ((0.0, Named("a")),), ((-1.0, Named("a")),)])
def test_a_mixture_of_nothing_is_refused(parts):
    with pytest.raises(ValueError, match="a mixture needs parts with shares above 0"):
        Mixed(parts)


def test_rendered_scenes_and_photographs_are_one_batch(tmp_path):
    data = Mixed(((1.0, Rendered()), (1.0, Photographs((listed(tmp_path, "one", 20),)))))
    stream = Stream(data.open(1, 64, (1, 2)), 1)
    batch = collate([stream[position] for position in range(8)])
    assert batch["image"].shape == (8, 5, 64, 64, 3)
    assert sum(batch["photographed"]) == 4 and batch["complete"] == [True] * 8
    again = Stream(data.open(1, 64, (1, 2)), 1)
    assert torch.equal(again[6]["image"], batch["image"][6])


def test_an_unreadable_photograph_of_a_mixture_is_replaced(tmp_path):
    photographs = Photographs((listed(tmp_path, "one", 12),))
    name = photographs.found()[0][0].image.name
    (tmp_path / name).write_bytes(b"no image")
    data = Mixed(((1.0, photographs), (1e-9, Named("drawn"))))
    strict = Stream(data.open(0, 16), 0)
    broken = [position for position in range(60) if "error" in strict[position]]
    assert broken
    tolerant = Stream(data.open(0, 16), 0, skip_unreadable=True)
    for position in broken:
        item = tolerant[position]
        assert name in item["skipped"][0] and not item["source"].endswith(name)


def test_lists_for_whole_images_have_no_tiles(tmp_path):
    data = Annotated((listed(tmp_path, "one", 3),))
    assert data.open(0, 16, (1,)).count == 3
    with pytest.raises(ValueError, match=r"for whole images, as in the paper; got \(1, 2\)"):
        data.open(0, 16, (1, 2))

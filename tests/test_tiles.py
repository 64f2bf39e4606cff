"""Tiles of a photograph: where they lie, what they show, and how their maps are laid back."""

import numpy as np
import pytest
import torch
from PIL import Image

from mstar import MstarConfig, MstarProcessor
from mstar.io.processing import character_tokenizer
from mstar.tiles import (
    OVERLAP,
    canvas_grid,
    check_tiles,
    cut,
    in_tiles,
    laid_back,
    shares,
    tile_boxes,
    tile_count,
)

SIZES = {
    "photograph": (1200, 900),
    "portrait": (900, 1200),
    "screen": (1600, 900),
    "square": (640, 640),
    "panorama": (2000, 400),
    "receipt": (300, 1500),
    "odd": (641, 479),
    "small": (31, 17),
}


def sides(boxes):
    return boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]


# Boxes


@pytest.mark.parametrize("size", SIZES.values(), ids=list(SIZES))
@pytest.mark.parametrize("tiles", [(1,), (1, 2), (1, 2, 3), (1, 4)])
def test_the_whole_comes_first_and_the_parts_cover_it_and_overlap(size, tiles):
    width, height = size
    boxes = tile_boxes(width, height, tiles)
    assert boxes.shape == (tile_count(tiles), 4) and boxes[0].tolist() == [0, 0, width, height]
    begin = 0
    for level in tiles:
        of_level = boxes[begin : begin + level**2]
        begin += level**2
        seen = np.zeros((height, width), dtype=bool)
        for left, top, right, bottom in of_level:
            assert 0 <= left < right <= width and 0 <= top < bottom <= height
            seen[top:bottom, left:right] = True
        assert seen.all()
        assert len({tuple(pair) for pair in np.stack(sides(of_level), 1)}) == 1, "one size"
        for begins, part in ((of_level[:, 0], sides(of_level)[0]), (of_level[:, 1],
                             sides(of_level)[1])):  # fmt: skip
            steps = np.diff(np.unique(begins))
            assert all(part[0] - step >= OVERLAP * part[0] - 1 for step in steps)  # whole px


@pytest.mark.parametrize(
    ("size", "aspects"),
    [
        ("photograph", (1.0, 1.0)),
        ("portrait", (1.0, 1.0)),
        ("square", (1.0, 1.0)),
        ("screen", (4 / 3, 16 / 15)),
    ],
)
def test_parts_are_as_square_as_the_photograph_allows(size, aspects):
    boxes = tile_boxes(*SIZES[size], (1, 2, 3))
    wide, high = sides(boxes)
    assert wide[1] / high[1] == pytest.approx(aspects[0], abs=0.01)
    assert wide[5] / high[5] == pytest.approx(aspects[1], abs=0.01)
    for begin, level in ((1, 2), (5, 3)):  # n × n, row by row
        lefts, tops = (boxes[begin : begin + level**2, axis].reshape(level, level)
                       for axis in (0, 1))  # fmt: skip
        assert (np.diff(lefts, axis=1) > 0).all() and (np.diff(lefts, axis=0) == 0).all()
        assert (np.diff(tops, axis=0) > 0).all() and (np.diff(tops, axis=1) == 0).all()


@pytest.mark.parametrize(("size", "along", "across"), [("panorama", 0, 1), ("receipt", 1, 0)])
def test_parts_of_what_is_long_lie_in_a_row(size, along, across):
    boxes = tile_boxes(*SIZES[size], (1, 2, 3))
    for part in (boxes[1:5], boxes[5:]):
        assert (np.diff(part[:, along]) > 0).all()
        assert (part[:, across] == 0).all()
        assert (part[:, across + 2] == SIZES[size][across]).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 50), (7, 1)])
def test_a_picture_of_a_few_pixels_has_tiles_too(size):
    boxes = tile_boxes(*size, (1, 2, 3))
    wide, high = sides(boxes)
    assert (wide >= 1).all() and (high >= 1).all()
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= size).all()
    picture = Image.new("RGB", size)
    assert [one.size for one in cut(picture, boxes)] == list(zip(wide, high, strict=True))


@pytest.mark.parametrize(
    "wrong", [(), (2,), (1, 1), (1, 3, 2), (1, 0), (1, 2.0), (1, True), 2, "12", None]
)
def test_levels_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"rising from the whole: \(1,\), \(1, 2\) or \(1, 2, 3\)"):
        check_tiles(wrong)


def test_levels_are_a_tuple_and_not_too_many():
    assert check_tiles([1, 2]) == (1, 2) and check_tiles((1,)) == (1,)
    with pytest.raises(ValueError, match="into 8 parts at most; got 9"):
        check_tiles((1, 9))


def test_boxes_as_shares():
    boxes = np.array([[0, 0, 200, 100], [50, 25, 100, 100]])
    expected = np.array([[0, 0, 1, 1], [0.25, 0.25, 0.5, 1]], np.float32)
    assert np.array_equal(shares(boxes, 200, 100), expected)


# Maps on the photograph


def test_maps_of_one_tile_stay_as_they_are():
    maps = np.random.default_rng(0).random((3, 1, 4, 5))
    assert np.array_equal(laid_back(maps, np.array([[0.0, 0, 1, 1]]), (4, 5)), maps)
    assert np.array_equal(laid_back(maps, np.array([[0.0, 0, 1, 1]]), (4, 5), mean=True), maps)


def test_the_canvas_is_as_fine_as_the_smallest_tile():
    assert canvas_grid(np.array([[0.0, 0, 1, 1]]), (4, 6)) == (4, 6)
    assert canvas_grid(np.array([[0.0, 0, 1, 1], [0.5, 0.2, 1, 1]]), (4, 6)) == (5, 12)


def test_a_map_is_laid_back_by_hand():
    """The left half, a grid of 1 × 2, on four cells: its tokens are a cell each."""
    boxes = np.array([[0.0, 0, 1, 1], [0.0, 0, 0.5, 1]])
    maps = np.array([[[0.2, 0.8]], [[0.6, 0.4]]])
    sums = laid_back(maps, boxes, (1, 4))
    np.testing.assert_allclose(sums, [[[0.1, 0.1, 0.4, 0.4]], [[0.6, 0.4, 0, 0]]])
    means = laid_back(maps, boxes, (1, 4), mean=True)
    np.testing.assert_allclose(means, [[[0.2, 0.2, 0.8, 0.8]], [[0.6, 0.4, 0, 0]]])
    # a token between two cells: 1.5 cells are a token of the left 3/4
    (between,) = laid_back(np.array([[[1.0, 0.0]]]), np.array([[0, 0, 0.75, 1]]), (1, 4))
    np.testing.assert_allclose(between, [[2 / 3, 1 / 3, 0, 0]])


@pytest.mark.parametrize("size", ["screen", "panorama", "odd"])
def test_attention_keeps_its_sum_and_a_mask_its_mean(size):
    width, height = SIZES[size]
    boxes = shares(tile_boxes(width, height, (1, 2, 3)), width, height)
    maps = np.random.default_rng(0).random((2, 14, 8, 8))
    canvas = canvas_grid(boxes, (8, 8))
    assert canvas[0] >= 8 and canvas[1] >= 8
    laid = laid_back(maps, boxes, canvas)
    assert laid.shape == (2, 14, *canvas) and (laid >= 0).all()
    np.testing.assert_allclose(laid.sum((2, 3)), maps.sum((2, 3)), rtol=1e-5)
    covered = laid_back(np.ones((14, 8, 8)), boxes, canvas, mean=True)
    assert covered.max() == pytest.approx(1) and covered.min() == 0
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    np.testing.assert_allclose(covered.mean((1, 2)), areas, rtol=1e-4)
    # a mean of what a cell covers, over the covered cells: the tile's own mean
    means = laid_back(maps, boxes, canvas, mean=True).sum((2, 3)) / covered.sum((1, 2))
    np.testing.assert_allclose(means, maps.mean((2, 3)), rtol=1e-4)


def test_a_region_is_found_in_every_tile():
    region = np.array([[1, 2], [3, 4]])
    boxes = np.array([[0.0, 0, 1, 1], [0.5, 0, 1, 1], [0.25, 0.25, 0.75, 0.75]])
    found = in_tiles(region, boxes, (2, 2))
    assert found.tolist() == [[[1, 2], [3, 4]], [[2, 2], [4, 4]], [[1, 2], [3, 4]]]
    several = in_tiles(np.stack([region, 10 * region]), boxes[1:2], (2, 1))
    assert several.tolist() == [[[[2], [4]]], [[[20], [40]]]]


# The processor


@pytest.fixture(scope="module")
def processor():
    return MstarProcessor.for_config(MstarConfig.tiny(tiles=(1, 2)), character_tokenizer())


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(3).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def test_the_processor_cuts_arrays_and_pictures_alike(processor, photo):
    found = processor(images=[photo, photo[:, ::-1].copy()])
    assert found["pixel_values"].shape == (2, 5, 3, 64, 64)
    pictures = processor(images=[Image.fromarray(photo), Image.fromarray(photo[:, ::-1])])
    for name, value in found.items():
        assert torch.equal(pictures[name], value), name
    expected = shares(tile_boxes(80, 60, (1, 2)), 80, 60)
    assert torch.equal(found["tile_boxes"], torch.from_numpy(expected).expand(2, 5, 4))
    parts = cut(Image.fromarray(photo), tile_boxes(80, 60, (1, 2)))
    alone = processor(images=parts, tiles=(1,))["pixel_values"]
    assert torch.equal(found["pixel_values"][0], alone[:, 0])
    one = processor(images=Image.fromarray(photo))  # not in a list
    assert torch.equal(one["pixel_values"], found["pixel_values"][:1])


def test_photographs_of_all_shapes_are_one_batch(processor):
    photos = [Image.new("RGB", size) for size in ((80, 60), (300, 40), (3, 2))]
    found = processor(images=photos)
    assert found["pixel_values"].shape == (3, 5, 3, 64, 64)
    assert not torch.equal(found["tile_boxes"][0], found["tile_boxes"][1])


def test_levels_may_be_asked_for(processor, photo):
    assert processor(images=[photo], tiles=(1, 2, 3))["pixel_values"].shape[1] == 14
    whole = processor(images=[photo], tiles=(1,))
    assert whole["tile_boxes"].tolist() == [[[0, 0, 1, 1]]]
    assert torch.equal(whole["pixel_values"][:, 0], processor(images=[photo])["pixel_values"][:, 0])
    with pytest.raises(ValueError, match="rising from the whole"):
        processor(images=[photo], tiles=(2,))


def test_levels_and_captions_come_back_with_the_processor(tmp_path, processor, photo):
    config = MstarConfig.tiny(tiles=(1, 2))
    plain = MstarProcessor.for_config(config, character_tokenizer(), captions=False)
    plain.save_pretrained(tmp_path)
    loaded = MstarProcessor.from_pretrained(tmp_path)
    assert (loaded.tiles, loaded.captions) == ((1, 2), False)
    config.save_pretrained(tmp_path)
    assert MstarConfig.from_pretrained(tmp_path).tiles == (1, 2)
    for name, value in plain(images=[photo], text=["$5.99 No. 7"]).items():
        assert torch.equal(loaded(images=[photo], text=["$5.99 No. 7"])[name], value)
    # a caption has no full stops, the characters as they are have
    assert plain.instruct("No. 7", "word") == "word: no. 7"
    assert processor.instruct("No. 7", "word") != "word: no. 7"
    assert plain.read_as("  ＥＸＩＴ  “Café” ") == 'exit "cafe"'

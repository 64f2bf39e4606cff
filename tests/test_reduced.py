"""JPEGs unpacked at a reduced size for the model, and squares made of photographs."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mstar import load, open_image
from mstar.data.scenes import sandbox
from mstar.io.images import decode_image, frame_of
from mstar.tiles import cut, tile_boxes


def photograph(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def test_every_tile_keeps_three_times_the_pixels_that_the_model_is_shown(tiny):
    side = tiny.processor.image_processor.size["height"]
    for width, height in ((6 * side, 6 * side), (6 * side - 1, 7 * side), (48 * side, 30 * side)):
        for tiles in ((1,), (1, 2), (1, 2, 3)):
            by = tiny.processor.reduction(width, height, tiles)
            boxes = tile_boxes(width, height, tiles)
            finest = (boxes[:, 2:] - boxes[:, :2]).min()
            assert by == 1 or finest >= 3 * side * by
            assert by == 8 or finest < 3 * side * 2 * by  # and no more than that
    assert tiny.processor.reduction(6 * side, 6 * side, (1,)) == 2
    assert tiny.processor.reduction(6 * side - 1, 6 * side, (1,)) == 1
    assert tiny.processor.reduction(48 * side, 30 * side) == 8


@pytest.mark.parametrize("turned", [1, 6])
def test_a_jpeg_is_unpacked_smaller_and_turned_and_any_other_whole(tmp_path, turned):
    exif = Image.Exif()
    exif[0x112] = turned
    whole, path = photograph(160, 96), tmp_path / "a.jpg"
    whole.save(path, exif=exif, quality=95)
    for by in (1, 2, 4, 8):
        size = (160 // by, 96 // by)
        small = open_image(path, lambda width, height, by=by: by)
        assert small.size == (size[::-1] if turned == 6 else size)
    assert frame_of(path).reduction == 1
    near = np.asarray(open_image(path, lambda *_: 4).resize((8, 8), Image.Resampling.BOX), float)
    far = np.asarray(open_image(path).resize((8, 8), Image.Resampling.BOX), float)
    assert abs(near - far).max() < 8
    whole.save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png", lambda *_: 4).size == (160, 96)


def test_features_of_the_reduced_are_those_of_the_whole():
    bench, cosines = load(device="cpu"), []
    bench.processor.tiles = (1,)
    side = 6 * bench.config.vision_config.image_size
    for index in range(6):
        stored = BytesIO()
        scene = Image.fromarray(sandbox.scene(11, index, size=768).image)
        scene.resize((side, side)).save(stored, "JPEG", quality=92)
        reducible = bench.processor.reduction
        assert reducible(side, side) == 2
        whole, small = (
            bench.encode_images([decode_image(stored, Path("scene.jpg"), how)]).features
            for how in (None, reducible)
        )
        cosines.append((whole * small).sum(-1).mean())
    assert torch.stack(cosines).mean() >= 0.999


def test_squares_are_those_of_the_image_processor(tiny):
    for tiles in ((1,), (1, 2)):
        photo = photograph(112, 80)
        ours = tiny.processor(images=[photo, np.asarray(photo)], tiles=tiles)["pixel_values"]
        theirs = tiny.processor.image_processor(
            cut(photo, tile_boxes(112, 80, tiles)), return_tensors="pt"
        )["pixel_values"]
        assert torch.equal(ours[0], theirs) and torch.equal(ours[1], theirs)

"""Random crops and distortions of photographs."""

import numpy as np
import pytest
from PIL import Image

from mstar.data.lists import photos


@pytest.fixture
def photo() -> Image.Image:
    """Its red says the column and its green the row."""
    columns, rows = np.meshgrid(np.arange(200), np.arange(100))
    return Image.fromarray(np.stack([columns, rows, 0 * rows], -1).astype(np.uint8))


def extent(crop: Image.Image) -> tuple[float, float]:
    """Width and height of what was cut out, from the colours."""
    pixels = np.asarray(crop).astype(float)
    side = len(pixels)
    wide = (pixels[:, -2, 0] - pixels[:, 1, 0]).mean() * side / (side - 3)
    high = (pixels[-2, :, 1] - pixels[1, :, 1]).mean() * side / (side - 3)
    return wide, high


def test_a_crop_keeps_area_and_aspect_within_their_ranges(photo):
    """A photograph of 2 : 1 is too wide for the aspects allowed, so the fallback is seen too."""
    square = photo.crop((0, 0, 100, 100))
    rng = np.random.default_rng(0)
    for _ in range(30):
        crop = photos.random_resized_crop(square, 60, rng)
        assert crop.size == (60, 60)
        wide, high = extent(crop)
        assert 0.78 <= wide * high / 100**2 <= 1.02
        assert 0.73 <= wide / high <= 1.37
    wide, high = extent(photos.random_resized_crop(photo, 60, rng, area=(0.99, 1.0)))
    assert (wide, high) == pytest.approx((100 * 4 / 3, 100), abs=3)  # the middle, at most 4 : 3


def test_crops_follow_from_the_random_numbers(photo):
    square = photo.crop((0, 0, 100, 100))

    def crops(seed):
        rng = np.random.default_rng(seed)
        return [np.asarray(photos.random_resized_crop(square, 32, rng)) for _ in range(5)]

    assert all(map(np.array_equal, crops(1), crops(1)))
    assert not all(map(np.array_equal, crops(1), crops(2)))


def test_every_distortion_keeps_the_size_and_does_what_it_says(photo):
    before = np.asarray(photo).astype(int)
    done = {
        name: np.asarray(photos._distorted(photo, name, 1)).astype(int)
        for name in photos.OPERATIONS
    }
    assert {value.shape for value in done.values()} == {before.shape}
    for name in ("identity", "brightness", "sharpness"):  # at level 5 these do nothing
        assert np.array_equal(done[name], before)
    assert np.array_equal(done["translate_x"][:, :195], before[:, 5:])
    assert (done["translate_x"][:, 196:] == 128).all()
    assert np.array_equal(done["translate_y"][:95], before[5:])
    assert done["shear_x"][60, 50, 0] == pytest.approx(50 + 0.15 * 60, abs=1)
    assert done["shear_y"][30, 100, 1] == pytest.approx(30 + 0.15 * 100, abs=1)
    assert (done["rotate"][0, 0] == 128).all() and (
        done["rotate"][50, 100, :2] - [100, 50] < 2
    ).all()
    assert done["autocontrast"][..., 1].max() == 255


def test_half_of_the_drawn_distortions_are_applied(photo):
    rng = np.random.default_rng(0)
    changed = [
        not np.array_equal(np.asarray(photos.random_distortions(photo, rng)), np.asarray(photo))
        for _ in range(300)
    ]
    # one of two draws: applied (1/2) and one of the seven that change something (7/10)
    assert np.mean(changed) == pytest.approx(1 - (1 - 0.35) ** 2, abs=0.08)

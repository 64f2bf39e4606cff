"""σ on maps small enough to draw: what each variant calls salient."""

import numpy as np
import pytest
import torch

from mstar import MstarConfig
from mstar.model.configuration import SIGMA_VARIANTS
from mstar.model.recycling import salient_region

PAPER = ("threshold", "watershed")


def region(attention, sigma: str, **constants) -> np.ndarray:
    """σ of one map [grid_h, grid_w]."""
    config = MstarConfig.tiny(sigma=sigma, **constants)
    found = salient_region(torch.tensor(np.asarray(attention), dtype=torch.float32)[None], config)
    assert found.dtype == torch.bool and found.shape == (1, *np.shape(attention))
    return found[0].numpy()


def blobs(size: int, *centres: tuple[int, int], height: int | None = None) -> np.ndarray:
    """Cones of height 4 with a radius of 4 tokens on a floor of almost nothing, summing to 1."""
    y, x = np.mgrid[: height or size, :size]
    cones = [np.maximum(4 - np.hypot(y - cy, x - cx), 0) for cy, cx in centres]
    made = np.maximum.reduce(cones) + 1e-3
    return made / made.sum()


def square(size: int, top: int, left: int, side: int) -> np.ndarray:
    made = np.zeros((size, size), bool)
    made[top : top + side, left : left + side] = True
    return made


def test_none_marks_nothing():
    assert not region(blobs(16, (8, 8)), "none").any()


def test_threshold_is_what_lies_above_the_low_quantile():
    """16 tokens in 4 × 4, of 64: strictly above the value at place 0.7 · 64: at most 19."""
    inside = square(8, 2, 3, 4)
    attention = np.where(inside, 5.0, 1.0)
    assert (region(attention, "threshold") == inside).all()
    attention = np.arange(64.0).reshape(8, 8)  # all different: the last 19
    assert (region(attention, "threshold") == (attention > 44)).all()
    assert (region(attention, "threshold", sigma_low=0.5) == (attention > 32)).all()


@pytest.mark.parametrize("sigma", PAPER)
def test_a_plateau_with_a_peak_is_found(sigma):
    inside = square(16, 4, 5, 6)
    attention = np.where(inside, 4.0, 1.0)
    attention[6:8, 7:9] = 5  # the only tokens above the 0.9 quantile
    expected = inside.copy()
    if sigma == "watershed":  # the background floods a corner from two sides
        expected[[4, 4, 9, 9], [5, 10, 5, 10]] = False
    assert (region(attention, sigma) == expected).all()


@pytest.mark.parametrize("sigma", PAPER)
def test_two_blobs_are_two_regions(sigma):
    attention = blobs(16, (4, 4), (11, 11))
    found = region(attention, sigma)
    assert found[4, 4] and found[11, 11]
    assert not found[4, 11] and not found[11, 4] and not found[0, 15]
    assert not (found & (attention <= np.quantile(attention, 0.6))).any()


def test_a_candidate_without_a_peak_is_lost_to_watershed_alone():
    attention = np.ones((16, 16))
    strong, weak = square(16, 1, 1, 5), square(16, 10, 10, 5)
    attention[strong], attention[weak] = 9, 3
    both = strong | weak
    assert (region(attention, "threshold") == both).all()
    assert (region(attention, "watershed") == strong).all()


@pytest.mark.parametrize("sigma", SIGMA_VARIANTS)
@pytest.mark.parametrize("value", [0.0, 1 / 256])
def test_a_uniform_map_has_nothing_salient(sigma, value):
    """No token is strictly above another: the first look then hides nothing."""
    assert not region(np.full((16, 16), value), sigma).any()


@pytest.mark.parametrize("sigma", PAPER)
@pytest.mark.parametrize("centre", [(0, 0), (0, 8), (15, 15), (8, 15)])
def test_a_peak_on_the_border_is_found(sigma, centre):
    found = region(blobs(16, centre), sigma)
    assert found[centre] and 3 <= found.sum() <= 64


@pytest.mark.parametrize("sigma", PAPER)
def test_crumbs_are_dropped(sigma):
    attention = np.ones((16, 16))
    attention[3, 3] = 100  # one token is never a region
    assert not region(attention, sigma).any()
    attention[8:10, 8:10] = 100
    assert (region(attention, sigma) == square(16, 8, 8, 2)).all()
    assert not region(attention, sigma, sigma_min_area=0.02).any()


@pytest.mark.parametrize("sigma", PAPER)
@pytest.mark.parametrize("size", [8, 10, 12, 16])
def test_small_grids_have_regions_of_a_sensible_size(sigma, size):
    """Where the released constants find nothing, the paper's variants must."""
    rng = np.random.default_rng(size)
    for _ in range(20):
        cy, cx = rng.integers(1, size - 1, 2)
        attention = blobs(size, (cy, cx)) + rng.uniform(0, 1e-4, (size, size))
        found = region(attention, sigma)
        assert found[cy, cx], "the peak itself"
        assert 0.02 <= found.mean() <= 0.35


def test_released_finds_nothing_on_a_grid_of_8():
    """Six unknown tokens, and all of them among the 20 seeds: no line is ever drawn."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert not region(rng.random((8, 8)), "released").any()
        assert not region(blobs(8, tuple(rng.integers(0, 8, 2))), "released").any()


def test_released_finds_boxes_on_a_large_grid():
    rng = np.random.default_rng(1)
    smooth = torch.nn.functional.interpolate(
        torch.from_numpy(rng.random((12, 1, 8, 8))), size=(50, 50), mode="bicubic"
    )[:, 0].clamp(min=0)
    shares = [region(one, "released").mean() for one in smooth.numpy()]
    assert max(shares) > 0 and np.mean(shares) < 0.2


@pytest.mark.parametrize("sigma", PAPER)
def test_the_scale_of_a_map_does_not_count(sigma):
    attention = blobs(16, (5, 9))
    assert (region(attention, sigma) == region(1000 * attention, sigma)).all()


@pytest.mark.parametrize("sigma", SIGMA_VARIANTS)
def test_oblong_grids_and_batches(sigma):
    maps = np.stack([blobs(24, (4, 5), height=8), blobs(24, (3, 18), height=8)])
    config = MstarConfig.tiny(sigma=sigma)
    found = salient_region(torch.from_numpy(maps).float(), config)
    assert found.shape == (2, 8, 24)
    for one, ours in zip(maps, found.numpy(), strict=True):
        assert (region(one, sigma) == ours).all()
    assert found.any() == (sigma in PAPER)


def test_sigma_passes_no_gradient():
    attention = torch.tensor(blobs(16, (8, 8)))[None].requires_grad_()
    assert not salient_region(attention, MstarConfig.tiny()).requires_grad

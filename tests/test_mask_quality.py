"""Masks against polygons: what is known by hand, and what another measurement found."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mstar.data.benchmarks import Photographs, rendered
from mstar.data.scenes import sandbox
from mstar.evaluate.grounding import ground, mask_iou, outlined_scene
from mstar.evaluate.masks import SIGMAS, best_mask, evaluate_masks
from mstar.io.bench import Bench
from mstar.io.decoding import UnreadableImage


@pytest.fixture(scope="module")
def benchmark():
    return rendered("easy", seed=3, scenes=40)


@pytest.fixture(scope="module")
def report(tiny, benchmark):
    return evaluate_masks(tiny, benchmark, pve_steps=2, seed=3)


def test_every_variant_and_look_has_a_line(report):
    expected = [(sigma, look) for sigma in SIGMAS for look in range(3)]
    assert list(report["masks"].by_name()) == [("best of the grid", None), *expected]
    assert all(row["iou"].count == 40 for row in report["masks"])


def test_the_first_mask_is_the_one_that_grounding_measures(tiny, report):
    gallery = sandbox.judging_gallery("easy", 3, 40)
    looked = ground(tiny, [*map(outlined_scene, gallery.scenes)], pve_steps=0)
    first = report["masks"][SIGMAS[0], 0]
    assert np.isclose(first["iou"].value, 100 * np.mean(looked.mask))
    assert np.isclose(first["half"].value, 100 * np.mean(np.array(looked.mask) >= 0.5))
    text = report["text"]["text"]["share"]
    assert np.isclose(text.value, 100 * np.mean(looked.text_area))


def test_a_mask_and_a_text_known_by_hand(tiny, benchmark):
    """The left half is called seen; text covers the left quarter, or half, or there is none."""

    def left(salient, *, point):
        forced = torch.zeros_like(salient)
        forced[..., : salient.shape[-1] // 2] = True
        return forced

    sizes = [(40, 80), (200, 100), (64, 64)]  # (height, width) of photographs
    parts = [0.25, 0.5, None]
    polygons = tuple(
        () if part is None else (np.array([(0, 0), (w * part, 0), (w * part, h), (0, h)]),)
        for (h, w), part in zip(sizes, parts, strict=True)
    )
    photographs = [Image.new("RGB", (w, h), "grey") for h, w in sizes]
    said = tuple(("exit",) * len(one) for one in polygons)
    shown = replace(benchmark, images=photographs, polygons=polygons, transcriptions=said)
    model, processor = tiny.model, tiny.processor
    with model.hooks({"pve.0.salient": left}):
        found = evaluate_masks(Bench(model, processor), shown, pve_steps=0, seed=1)
    best, *rows = (
        {key: one.value for key, one in row.items() if key not in ("sigma", "look")}
        for row in found["masks"]
    )
    assert best["iou"] == best["half"] == 100 and best["masked"] == 37.5
    assert found.about["images"] == 2 and found["text"]["text"]["share"].value == 37.5
    for row in rows:
        assert (row["masked"], row["iou"], row["half"]) == (50, 75, 100)
        assert 0 < row["random_iou"] < 45 and row["random_half"] == 0
        assert np.isclose(row["difference"], 75 - row["random_iou"])


def test_the_best_mask_is_the_best_of_all():
    rng = np.random.default_rng(0)
    every = np.array([[n >> bit & 1 for bit in range(9)] for n in range(1, 512)], dtype=bool)
    for covered in (np.full((3, 3), 0.45), *rng.random((20, 3, 3)) ** 2):
        best = max(mask_iou(mask.reshape(3, 3), covered) for mask in every)
        assert np.isclose(mask_iou(best_mask(covered), covered), best)


def test_variants_differ_and_the_model_stays_as_it_was(tiny, report):
    masked = report["masks"].column("masked")
    first = masked["watershed", 0]
    assert all(masked["released", look].value < first.value for look in range(3))
    assert tiny.model.config.sigma == "watershed"
    said = str(report)
    assert re.search(r"\n  watershed +0 ", said) and "\n  best of the grid  –" in said


def test_again_is_the_same_whatever_the_batch(tiny, benchmark, report):
    again = evaluate_masks(tiny, benchmark, pve_steps=2, seed=3, batch_size=40)
    assert again["masks"] == report["masks"]


def test_a_benchmark_without_outlines_is_refused(tiny, benchmark):
    for polygons in (None, ((),) * 40):
        with pytest.raises(ValueError, match="sandbox easy, seed 3 does not outline all"):
            evaluate_masks(tiny, replace(benchmark, polygons=polygons))


def test_an_unreadable_photograph_is_left_out_and_named(tiny, benchmark, tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path, image in zip(paths, benchmark.images, strict=False):
        Image.fromarray(image).save(path)
    paths[1].write_text("broken")
    own = replace(
        benchmark, images=Photographs(paths), names=tuple("abcd"), areas=benchmark.areas[:, :4],
        relevant=benchmark.relevant[:, :4], polygons=benchmark.polygons[:4],
        transcriptions=benchmark.transcriptions[:4],
    )  # fmt: skip
    found = evaluate_masks(tiny, own, pve_steps=0, seed=1)
    assert found.about["images"] == 3 and list(found.about["left_out"]) == ["b"]
    assert "left out: 1 photograph that cannot be read" in str(found)
    with pytest.raises(UnreadableImage, match=r"1\.png"):
        evaluate_masks(tiny, own, pve_steps=0, seed=1, strict=True)

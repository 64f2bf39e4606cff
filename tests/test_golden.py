"""The comparison with the golden vectors passes, and fails when it must."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from mstar.model.configuration import MstarConfig
from mstar.model.recycling import salient_region
from tests import golden


@pytest.fixture(scope="module")
def report(golden_root):
    return golden.run(golden_root)


@pytest.fixture
def seed(golden_root, tmp_path):
    """A copy of one seed, to be spoilt."""
    source = sorted(golden_root.glob("seed*"))[0]
    folder = tmp_path / source.name
    shutil.copytree(source, folder, copy_function=shutil.copyfile)
    return golden.Seed(folder, "hungarian")


def change(path, **tensors):
    """Replace tensors of a file; None removes one."""
    content = load_file(path) | tensors
    save_file({name: value for name, value in content.items() if value is not None}, path)


def test_every_quantity_agrees_with_the_reference(report):
    assert report.exit_code == 0, str(report)
    assert not report.absent and not report.unknown
    for name, row in report.rows.items():
        assert row.compared == row.expected > 0, name


def test_masks_and_assignments_are_compared_for_equality(report):
    exact = {name for name, row in report.rows.items() if row.tolerance == 0}
    for method in golden.METHODS:
        assert {
            f"{method} steps.sigma_mask",
            f"{method} steps.history_mask",
            f"{method} train.hungarian_col",
        } <= exact
    assert {"sigma.masks_32", "extra hungarian.assignment"} <= exact


def test_one_changed_mask_is_a_failure(golden_root, tmp_path, capsys):
    shutil.copytree(golden_root / "sigma", tmp_path / "sigma", copy_function=shutil.copyfile)
    path = tmp_path / "sigma" / "sigma.safetensors"
    masks = load_file(path)["masks_50"]
    masks[0, 0, 0] ^= 1
    change(path, masks_50=masks)
    assert golden.main([str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    (failed,) = (line for line in printed.splitlines() if "FAIL" in line)
    assert "sigma.masks_50" in failed and "20/20" in failed
    assert "preprocess.safetensors" in printed  # an absent file is named


def test_a_feature_beyond_tolerance_is_a_failure(seed):
    path = seed.path("image.safetensors")
    tokens = load_file(path)["visual_output"]
    tokens[0, 0, 0] += 1e-4
    change(path, visual_output=tokens)
    report = golden.Report()
    golden.compare_file(seed, "image", golden.ours_image, report)
    assert report.exit_code == 1
    assert not report.rows["hungarian image.visual_output"].ok
    assert report.rows["hungarian image.image_embeds"].ok


def test_a_gradient_beyond_tolerance_is_a_failure(seed):
    path = seed.path("grads_T1.safetensors")
    gradient = load_file(path)["vision_proj.weight"]
    gradient[0, 0] += 1e-3 * gradient.abs().max()
    change(path, **{"vision_proj.weight": gradient})
    report = golden.Report()
    golden.compare_gradients(seed, report)
    assert report.exit_code == 1
    assert report.rows["hungarian grads_T1: relative"].error == pytest.approx(1e-3, rel=0.1)


def test_nothing_to_compare_is_no_success(tmp_path, capsys):
    assert golden.main([str(tmp_path)]) == 2
    assert "sigma.safetensors" in capsys.readouterr().out


def test_a_seed_that_lacks_a_file_is_no_success(seed, capsys):
    for method in golden.METHODS:
        (seed.root / method / "weights.safetensors").unlink()
    assert golden.main([str(seed.root.parent)]) == 2
    assert "hug_cross/weights.safetensors" in capsys.readouterr().out


def test_a_seed_that_lacks_a_quantity_is_no_success(seed):
    change(seed.path("image.safetensors"), image_embeds=None)
    report = golden.Report()
    golden.compare_file(seed, "image", golden.ours_image, report)
    assert report.exit_code == 2
    assert "image_embeds" in report.lacking[0]
    row = report.rows["hungarian image.image_embeds"]
    assert (row.compared, row.expected) == (0, 1)


def test_a_quantity_that_nothing_compares_is_named(seed):
    change(seed.path("image.safetensors"), surprise=torch.zeros(1))
    report = golden.Report()
    golden.compare_file(seed, "image", golden.ours_image, report)
    assert "surprise" in report.unknown[0]


def test_a_tie_is_listed_and_decides_nothing(tmp_path):
    (tmp_path / "sigma").mkdir()
    maps = torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0))
    maps[0, 3:6] = 0.97  # 96 equal values: which are the seeds?
    masks = salient_region(maps, MstarConfig.tiny(semantics="released")).to(torch.uint8)
    masks[0, 20, 20] ^= 1
    save_file({"maps_32": maps, "masks_32": masks}, tmp_path / "sigma" / "sigma.safetensors")
    report = golden.run(tmp_path)
    assert report.exit_code == 0
    assert any("sigma map 32 0" in tie for tie in report.ties)
    assert any("differs where a tie decides" in tie for tie in report.ties)


def test_the_gap_of_an_assignment_is_that_to_the_next_best():
    cosine = torch.tensor([[0.9, 0.5, 0.1], [0.8, 0.7, 0.2]])
    # 0.9 + 0.7 against 0.5 + 0.8
    assert golden.assignment_gap(cosine, torch.tensor([0, 1])) == pytest.approx(0.3)

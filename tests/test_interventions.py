"""Ready-made interventions: each changes what it says, and nothing else."""

import pytest
import torch

from mstar.interventions import ablate_queries, cover, force_mask


@pytest.fixture
def inputs(tiny):
    processor = tiny[1]
    torch.manual_seed(0)
    return {"pixel_values": torch.randn(2, 3, 64, 64)} | dict(
        processor(text=["exit", "one way"], styles=["word", "phrase"])
    )


def test_a_forced_mask_is_used_by_the_next_look(tiny, inputs):
    model, _ = tiny
    seen = torch.zeros(16, 16, dtype=torch.bool)
    seen[3:6, 4:9] = True
    names = ["pve.*.mask", "pve.0.embeddings", "pve.1.embeddings"]
    _, plain = model.run_with_trace(inputs | {"steps": 1}, names)
    with model.hooks(force_mask(0, seen)):
        _, forced = model.run_with_trace(inputs | {"steps": 1}, names)
    assert torch.equal(forced["pve.0.mask"][1], (~seen).float())
    assert torch.equal(forced["pve.0.embeddings"], plain["pve.0.embeddings"])
    assert not torch.equal(forced["pve.1.embeddings"], plain["pve.1.embeddings"])
    assert (forced["pve.1.mask"][:, seen] == 0).all()  # the history keeps it


def test_a_mask_of_another_grid_is_refused(tiny, inputs):
    with (
        pytest.raises(ValueError, match=r"grid \[16, 16\]; got one of \[4, 4\]"),
        tiny[0].hooks(force_mask(0, torch.zeros(4, 4, dtype=torch.bool))),
    ):
        tiny[0](**inputs, steps=1)


def test_silenced_queries_answer_to_nothing(tiny, inputs):
    model, _ = tiny
    plain = model(**inputs, steps=1)
    with model.hooks(ablate_queries([1, 3])):
        out = model(**inputs, steps=1)
    cosine = out.similarity.cosine.unflatten(2, (2, 4))
    assert (cosine[..., [1, 3]] == 0).all()
    kept = plain.similarity.cosine.unflatten(2, (2, 4))[..., [0, 2]]
    assert torch.equal(cosine[..., [0, 2]], kept)


def test_a_query_that_is_not_there_is_refused(tiny, inputs):
    with pytest.raises(ValueError, match="0 to 3; got"), tiny[0].hooks(ablate_queries([4])):
        tiny[0](**inputs)


def test_a_cover_has_the_colour_of_its_surroundings():
    pixels = torch.zeros(1, 3, 8, 8)
    pixels[:, :, 2:4, 2:4] = 9.0
    pixels[:, 1] += 1
    region = torch.zeros(4, 4, dtype=torch.bool)
    region[1, 1] = True
    covered = cover(pixels, region)
    assert torch.equal(covered[0, :, 2, 2], torch.tensor([0.0, 1.0, 0.0]))
    assert pixels[0, 0, 2, 2] == 9  # a copy
    outside = torch.ones(8, 8, dtype=torch.bool)
    outside[2:4, 2:4] = False
    assert torch.equal(covered[..., outside], pixels[..., outside])


def test_all_of_an_image_may_be_covered():
    pixels = torch.rand(1, 3, 8, 8)
    covered = cover(pixels, torch.ones(4, 4, dtype=torch.bool))
    torch.testing.assert_close(covered, pixels.mean((2, 3), keepdim=True).expand_as(pixels))


def test_a_cover_must_divide_the_image():
    with pytest.raises(ValueError, match=r"8×8 px does not divide into \[3, 3\] tokens"):
        cover(torch.rand(1, 3, 8, 8), torch.ones(3, 3, dtype=torch.bool))

"""Ready-made interventions: each changes what it says, and nothing else."""

import pytest
import torch

from mstar.hooks.interventions import (
    Intervention,
    ablate_heads,
    ablate_query_tokens,
    cover,
    force_mask,
    freeze_masks,
    patch,
    random_masks,
    skip_layer,
)
from mstar.hooks.points import HookError


@pytest.fixture
def inputs(tiny):
    processor = tiny.processor
    torch.manual_seed(0)
    return {"pixel_values": torch.randn(2, 3, 64, 64)} | dict(
        processor(text=["exit", "one way"], styles=["word", "phrase"])
    )


def test_a_forced_mask_is_used_by_the_next_look(tiny, inputs):
    model = tiny.model
    seen = torch.zeros(16, 16, dtype=torch.bool)
    seen[3:6, 4:9] = True
    names = ["pve.*.mask", "pve.0.embeddings", "pve.1.embeddings"]
    _, plain = model.run_with_trace(inputs | {"pve_steps": 1}, names)
    with model.hooks(force_mask(0, seen)):
        _, forced = model.run_with_trace(inputs | {"pve_steps": 1}, names)
    assert torch.equal(forced["pve.0.mask"][1, 0], (~seen).float())
    assert torch.equal(forced["pve.0.embeddings"], plain["pve.0.embeddings"])
    assert not torch.equal(forced["pve.1.embeddings"], plain["pve.1.embeddings"])
    assert (forced["pve.1.mask"][:, :, seen] == 0).all()  # the history keeps it


def test_a_mask_of_another_grid_is_refused(tiny, inputs):
    with (
        pytest.raises(ValueError, match=r"grid \[16, 16\]; got one of \[4, 4\]"),
        tiny.model.hooks(force_mask(0, torch.zeros(4, 4, dtype=torch.bool))),
    ):
        tiny.model(**inputs, pve_steps=1)


def test_silenced_queries_answer_to_nothing(tiny, inputs):
    model = tiny.model
    plain = model(**inputs, pve_steps=1)
    with model.hooks(ablate_query_tokens([1, 3])):
        out = model(**inputs, pve_steps=1)
    cosine = out.similarity.cosine.unflatten(2, (2, 4))
    assert (cosine[..., [1, 3]] == 0).all()
    kept = plain.similarity.cosine.unflatten(2, (2, 4))[..., [0, 2]]
    assert torch.equal(cosine[..., [0, 2]], kept)


def test_several_act_together_also_at_one_point(tiny, inputs):
    model = tiny.model

    def seen(intervention, names):
        with model.hooks(intervention):
            return model.run_with_trace(inputs | {"pve_steps": 1}, names)[1]

    embeddings = seen(ablate_query_tokens([1]) | ablate_query_tokens([3]), "pve.*.embeddings")
    for value in embeddings.values():
        assert (value[:, :, [1, 3]] == 0).all() and value[:, :, [0, 2]].any()
    attention = seen(ablate_heads([0]) | ablate_heads([1]), "pve.*.layers.*.cross_attention")
    assert all((value == 0).all() for value in attention.values())
    hidden = seen(skip_layer("pve", 1) | skip_layer("pve", 2), "pve.0.layers.*.hidden")
    for layer in (1, 2):
        assert torch.equal(hidden[f"pve.0.layers.{layer}.hidden"], hidden["pve.0.layers.0.hidden"])
    one = ablate_query_tokens([1])
    assert one | {} == one == {} | one and set(one | ablate_heads([0])) > set(one)


def test_the_left_one_acts_first_whatever_the_names_are(tiny, inputs):
    model = tiny.model
    order = []

    def noted(name):
        return lambda value, *, point: order.append(name)

    left = Intervention([("pve.0.embeddings", noted("A1")), ("pve.*.embeddings", noted("A2"))])
    right = {"pve.0.embeddings": noted("B")}
    with model.hooks(left | right):
        model(**inputs, pve_steps=0)
    with model.hooks(right | left):
        model(**inputs, pve_steps=0)
    joined = left
    joined |= right
    with model.hooks(joined):
        model(**inputs, pve_steps=0)
    assert order == ["A1", "A2", "B", "B", "A1", "A2", "A1", "A2", "B"]
    with (
        pytest.warns(UserWarning, match=r"'pve\.2\.mask' never fired"),
        model.hooks([("pve.2.mask", noted("C")), ("pve.2.mask", noted("D"))]),
    ):
        model(**inputs, pve_steps=0)


def test_a_query_that_is_not_there_is_refused(tiny, inputs):
    with pytest.raises(ValueError, match="0 to 3; got"), tiny.model.hooks(ablate_query_tokens([4])):
        tiny.model(**inputs)


def test_random_masks_have_the_area_of_the_own_ones(tiny, inputs):
    model = tiny.model
    names = ["pve.*.salient", "pve.*.mask"]
    _, plain = model.run_with_trace(inputs | {"pve_steps": 1}, names)
    seen = []
    for seed in (0, 0, 1):
        with model.hooks(random_masks(seed)):
            _, dealt = model.run_with_trace(inputs | {"pve_steps": 1}, names)
        seen.append(dealt["pve.0.salient"])
        assert torch.equal(seen[-1].sum((2, 3)), plain["pve.0.salient"].sum((2, 3)))
        assert torch.equal(dealt["pve.0.mask"], (~seen[-1]).float())
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2]) and not torch.equal(seen[0], plain["pve.0.salient"])


def test_frozen_masks_are_those_of_the_other_run(tiny, inputs):
    model = tiny.model
    names = ["pve.*.mask", "pve.*.attention_map"]
    _, plain = model.run_with_trace(inputs | {"pve_steps": 2}, names)
    darker = inputs | {"pixel_values": inputs["pixel_values"] / 3, "pve_steps": 2}
    with model.hooks(freeze_masks(plain)):
        _, frozen = model.run_with_trace(darker, names)
    assert not torch.equal(frozen["pve.0.attention_map"], plain["pve.0.attention_map"])
    for t in (0, 1):
        assert torch.equal(frozen[f"pve.{t}.mask"], plain[f"pve.{t}.mask"])


def test_everything_patched_is_the_other_run(tiny, inputs):
    model = tiny.model
    one = inputs | {"pixel_values": inputs["pixel_values"][:1]}
    both, trace = model.run_with_trace(one, "pve.*.layers.*.hidden")
    with model.hooks(patch(trace, "pve.*.hidden")):
        out = model(**inputs)
    # the last layer decides the embeddings: both images are the first one
    torch.testing.assert_close(out.scores, both.scores.expand(-1, 2), atol=1e-6, rtol=0)


def test_some_tokens_patched_leave_the_others(tiny, inputs):
    model = tiny.model
    other = inputs | {"pixel_values": inputs["pixel_values"].flip(0)}
    _, trace = model.run_with_trace(other, "vision.tokens")
    tokens = torch.zeros(16, 16, dtype=torch.bool)
    tokens[4:6, 3] = True
    _, plain = model.run_with_trace(inputs, "vision.tokens")
    with model.hooks(patch(trace, "vision.*", tokens)):
        _, patched = model.run_with_trace(inputs, "vision.tokens")
    here = tokens.flatten()
    found, theirs, ours = (one["vision.tokens"] for one in (patched, trace, plain))
    assert torch.equal(found[:, :, here], theirs[:, :, here])
    assert torch.equal(found[:, :, ~here], ours[:, :, ~here])


def test_patches_that_cannot_be_are_refused(tiny, inputs):
    model = tiny.model
    _, trace = model.run_with_trace(inputs, ["vision.tokens", "pve.*.embeddings"])
    with pytest.raises(HookError, match=r"'pve\.0\.mask'"):
        patch(trace, "pve.0.mask")
    with pytest.raises(ValueError, match=r"grid \[16, 16\]; got tokens of \[4, 4\]"):
        patch(trace, "vision.tokens", torch.ones(4, 4, dtype=torch.bool))
    with pytest.raises(HookError, match="the predicate refuses them all"):
        patch(trace, lambda name: False)
    three = inputs | {"pixel_values": inputs["pixel_values"][[0, 1, 0]]}
    with (
        pytest.raises(ValueError, match=r"\[3, 1, 256, 32\] here and \[2, 1, 256, 32\] in"),
        model.hooks(patch(trace, "vision.tokens")),
    ):
        model(**three)
    with pytest.raises(ValueError, match=r"pve\.0\.embeddings has no axis of image tokens"):
        patch(trace, "pve.0.embeddings", torch.ones(16, 16, dtype=torch.bool))


def test_silenced_heads_read_nothing(tiny, inputs):
    model = tiny.model
    names = "pve.*.layers.*.cross_attention"
    _, plain = model.run_with_trace(inputs, names)
    layer, *_, last = model.config.cross_attention_layers
    with model.hooks(ablate_heads([0])):
        _, trace = model.run_with_trace(inputs, names)
    assert all((value[:, :, 0] == 0).all() for value in trace.values())
    first = f"pve.0.layers.{layer}.cross_attention"
    assert torch.equal(trace[first][:, :, 1:], plain[first][:, :, 1:])
    with model.hooks(ablate_heads([0], last)):
        _, trace = model.run_with_trace(inputs, names)
    assert (trace[f"pve.0.layers.{last}.cross_attention"][:, :, 0] == 0).all()
    assert torch.equal(trace[first], plain[first])
    with (
        pytest.raises(ValueError, match="heads are numbered 0 to 1; got"),
        model.hooks(ablate_heads([2])),
    ):
        model(**inputs)


@pytest.mark.parametrize("part", ["vision", "pve", "text"])
def test_a_layer_left_out_gives_what_it_was_given(tiny, inputs, part):
    model = tiny.model
    point = {"vision": "vision", "pve": "pve.1", "text": "text"}[part]
    names = [f"{point}.layers.{layer}.hidden" for layer in (0, 1)]
    with model.hooks(skip_layer(part, 1)):
        out, trace = model.run_with_trace(inputs | {"pve_steps": 1}, names)
    assert torch.equal(trace[names[0]], trace[names[1]])
    assert not torch.allclose(out.scores, model(**inputs, pve_steps=1).scores)


def test_layers_that_cannot_be_left_out(tiny):
    with pytest.raises(ValueError, match="layer 1 and later ones can be left out; got 0"):
        skip_layer("pve", 0)
    with pytest.raises(ValueError, match="part must be one of vision, pve, text; got 'sas'"):
        skip_layer("sas", 1)


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


def test_a_cover_need_not_divide_the_image():
    """A pixel belongs to the cell in which its middle lies."""
    pixels = torch.rand(1, 3, 8, 8)
    region = torch.zeros(3, 3, dtype=torch.bool)
    region[:, 0] = True  # up to 8/3 px: the pixels 0 and 1, and 2, whose middle is at 2.5
    changed = (cover(pixels, region) != pixels).any(1)[0]
    assert torch.equal(changed, (torch.arange(8) < 3).expand(8, 8))


@pytest.mark.parametrize("shape", [(9, 8), (8, 9), (2, 4, 4)])
def test_a_cover_is_no_finer_than_the_image(shape):
    with pytest.raises(ValueError, match=r"a region of a 8×8 px image has as many rows and colum"):
        cover(torch.rand(1, 3, 8, 8), torch.ones(shape, dtype=torch.bool))


def test_a_cover_of_several_tiles_asks_where_they_lie():
    pixels, region = torch.rand(1, 2, 3, 8, 8), torch.ones(4, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match="give tile_boxes: the images have 2 tiles each"):
        cover(pixels, region)
    region[:, 1:] = False  # the left quarter: none of it in the right half
    boxes = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.5, 0.0, 1.0, 1.0]]])
    covered = cover(pixels, region, boxes)
    assert torch.equal(covered[:, 1], pixels[:, 1])
    assert torch.equal(covered[:, 0], cover(pixels[:, 0], region))
    left = torch.tensor([[[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0]]])
    covered = cover(pixels, region, left)[0]
    colour = pixels[0, 0, :, :, 2:4].mean((1, 2))  # of the whole's cells beside the region
    expected = colour[:, None, None].expand(3, 8, 4)
    torch.testing.assert_close(covered[1, :, :, :4], expected)
    assert torch.equal(covered[1, :, :, 4:], pixels[0, 1, :, :, 4:])

"""What is given to hooks, model and processor: expected and got, not torch's words."""

import numpy as np
import pytest
import torch
from PIL import Image

from mstar.errors import UserError
from mstar.hooks.interventions import (
    ablate_heads,
    ablate_query_tokens,
    cover,
    force_mask,
    skip_layer,
)
from mstar.hooks.points import HookError


def doing(make):
    return lambda value, *, point: make(value)


GRID = torch.zeros(16, 16, dtype=torch.bool)
HOOKS = {
    "an array": (lambda: force_mask(0, GRID.numpy()), "seen should be a tensor; got ndarray"),
    "one axis": (lambda: force_mask(0, GRID[0]), "has the grid [16, 16]; got one of [16]"),
    "tiles": (lambda: force_mask(0, GRID.expand(3, 16, 16)), "is [2, 1, 16, 16]; got [3, 16, 16]"),
    "axes": (lambda: force_mask(0, GRID.expand(1, 2, 1, 16, 16)), "got [1, 2, 1, 16, 16]"),
    "heads": (lambda: ablate_heads([99]), "heads are numbered 0 to 1; got [99]"),
    "a text": (lambda: ablate_heads("ab"), "heads should be a list of whole numbers; got 'ab'"),
    "a number": (lambda: ablate_heads(3), "heads should be a list of whole numbers; got 3"),
    "halves": (lambda: ablate_query_tokens([0.5]), "list of whole numbers; got [0.5]"),
    "truth": (lambda: ablate_query_tokens([True]), "list of whole numbers; got [True]"),
    "layer": (lambda: skip_layer("pve", "x"), "only layer 1 and later ones can be left out"),
    "no function": (lambda: {"pve.0.mask": 5}, "names of points, each with a function"),
    "no name": (lambda: {5: lambda value, *, point: None}, "names of points, each with a function"),
    "no hooks": (lambda: None, "names of points, each with a function; got None"),
    "dtype": (lambda: {"pve.0.mask": doing(Tensor.double)}, "keep dtype torch.float32"),
    "far": (
        lambda: {"mim.assignment": doing(lambda value: torch.full_like(value, 99))},
        "an assignment should be from -1 (none) to 7; got 99 to 99",
    ),
}
Tensor = torch.Tensor


@pytest.mark.parametrize("case", HOOKS)
def test_hooks(tiny, inputs, case):
    make, said = HOOKS[case]
    with pytest.raises(UserError) as refused, tiny.model.hooks(make()):
        tiny.model(**inputs)
    assert said in str(refused.value)
    assert isinstance(refused.value, HookError) or "keep" not in said


FLOAT = torch.zeros(2, 2)
INPUTS = {
    "one channel": ("pixel_values", lambda v: v[:, :, :1], "images of three channels"),
    "one image": ("pixel_values", lambda v: v[0, 0], "images of three channels"),
    "no image": ("pixel_values", lambda v: v[:0], "pixel_values hold no image"),
    "no tile": ("pixel_values", lambda v: v[:, :0], "images of three channels"),
    "an array": ("pixel_values", Tensor.numpy, "pixel_values should be a tensor; got ndarray"),
    "no text": ("input_ids", lambda v: v[:0], "a text at least, of 1 to 96 tokens; got [0, "),
    "no token": ("input_ids", lambda v: v[:, :0], "a text at least, of 1 to 96 tokens; got [3, 0]"),
    "long": ("input_ids", lambda v: v.repeat(1, 50), "a text at least, of 1 to 96 tokens; got [3,"),
    "float": ("input_ids", Tensor.float, "input_ids should be whole numbers; got torch.float32"),
    "unknown": ("input_ids", lambda v: v + 999, "input_ids should be from 0 to 95; got"),
    "negative": ("input_ids", lambda v: v - 99, "input_ids should be from 0 to 95; got -"),
    "numbers": ("is_word", Tensor.long, "is_word should be torch.bool; got torch.int64"),
    "elsewhere": ("pixel_values", lambda v: v.to("meta"), "on the model's device, cpu; got meta"),
    "texts elsewhere": (
        "input_ids",
        lambda v: v.to("meta"),
        "on the model's device, cpu; got meta",
    ),
    "a third image": ("pairs", lambda v: torch.tensor([[2, 0]]), "from 0 to 1; got 2 to 2"),
    "counted from the end": ("pairs", lambda v: torch.tensor([[0, -1]]), "0 to 2; got -1 to -1"),
    "a pair": ("pairs", lambda v: torch.tensor([0, 1]), "have the shape [any, 2]; got [2]"),
    "half a pair": ("pairs", lambda v: torch.ones(2, 2), "pairs should be whole numbers"),
    "three corners": (
        "window",
        lambda v: (1, 2, 3),
        "window should be (row, column); got (1, 2, 3)",
    ),
    "others' lists": ("own", lambda v: torch.ones(3, 3) > 0, "have the shape [2, 3]; got [3, 3]"),
    "weights": ("own", lambda v: torch.ones(2, 3), "own should be torch.bool; got torch.float32"),
    "half a look": ("pve_steps", lambda v: 0.5, "pve_steps (T) must be from 0 to 64; got 0.5"),
    "a look": ("pve_steps", lambda v: "1", "pve_steps (T) must be from 0 to 64; got '1'"),
}


@pytest.mark.parametrize("case", INPUTS)
def test_inputs(tiny, inputs, case):
    name, change, said = INPUTS[case]
    with pytest.raises(UserError) as refused:
        tiny.model(**inputs | {name: change(inputs.get(name))})
    assert said in str(refused.value)


PIXELS = torch.zeros(2, 1, 3, 64, 64)
COVERED = {
    "an array": ((PIXELS, GRID.numpy()), "region should be a tensor; got ndarray"),
    "no cell": ((PIXELS, GRID[:0]), "as many rows and columns at most; got [0, 16]"),
    "one axis": ((PIXELS, GRID[0]), "as many rows and columns at most; got [16]"),
    "one image": ((PIXELS[0, 0], GRID), "[B, V, 3, H, W] or [B, 3, H, W]; got [3, 64, 64]"),
    "one channel": ((PIXELS[:, :, :1], GRID), "got [2, 1, 1, 64, 64]"),
    "bytes": ((PIXELS.byte(), GRID), "should be floating point; got torch.uint8"),
    "no image": ((PIXELS[:0], GRID), "got [0, 1, 3, 64, 64]"),
    "boxes": (
        (PIXELS, GRID, torch.zeros(2, 1, 3)),
        "tile_boxes should be [2, 1, 4]; got [2, 1, 3]",
    ),
}


@pytest.mark.parametrize("case", COVERED)
def test_cover(case):
    given, said = COVERED[case]
    with pytest.raises(UserError) as refused:
        cover(*given)
    assert said in str(refused.value)


@pytest.mark.parametrize("tiles", [(1,), (1, 2)])
@pytest.mark.parametrize(
    "image",
    [
        "x", None, np.zeros((9, 9, 1), np.uint8), np.zeros((9, 9, 2), np.uint8),
        np.zeros((0, 9, 3), np.uint8), np.zeros((3, 9, 9), np.uint8),
        np.zeros((1, 9, 9, 3), np.uint8), np.zeros((9, 9, 3), np.float32),
    ],
    ids=repr,
)  # fmt: skip
def test_images_of_another_kind(tiny, image, tiles):
    with pytest.raises(UserError, match="should be a PIL image or a uint8 array"):
        tiny.processor(images=[image], tiles=tiles)


def test_images_that_look_alike_are_read_alike(tiny):
    grey = np.arange(81, dtype=np.uint8).reshape(9, 9)
    kinds = [grey, np.dstack([grey] * 3), torch.from_numpy(np.dstack([grey] * 3))]
    kinds += [Image.fromarray(grey)]
    read = [tiny.processor(images=[one])["pixel_values"] for one in kinds]
    assert all(torch.equal(one, read[0]) for one in read[1:])


def test_nothing_to_do(tiny):
    for given in ({"images": []}, {"text": []}):
        with pytest.raises(UserError, match="give at least one"):
            tiny.processor(**given)

"""Trace: names, axes, stacking, and the folder it is kept in."""

import json
import struct
import zlib
from collections.abc import Mapping

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from mstar import Trace, files
from mstar.errors import UserError
from mstar.hooks.points import HookError
from mstar.texts import Query, as_queries
from mstar.widgets import figures


@pytest.fixture
def trace() -> Trace:
    """Values in an order that no sorting would give."""
    values = {
        "pve.1.mask": torch.tensor([[[[1.0, 0.0], [0.5, 1.0]]]]),
        "pve.0.mask": torch.ones(1, 1, 2, 2),
        "pve.0.salient": torch.tensor([[[[True, False], [False, False]]]]),
        "mim.assignment": torch.tensor([[3, -1]]),
        "scores": torch.tensor([[0.25], [-1.0]], dtype=torch.bfloat16),
    }
    boxes = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]])
    return Trace(values, (2, 2), 1, boxes, {"texts": ["exit", "süß"], "seed": None})


def test_a_trace_is_a_mapping(trace):
    assert isinstance(trace, Mapping)
    assert list(trace)[:2] == ["pve.1.mask", "pve.0.mask"] and len(trace) == 5
    assert "scores" in trace and "pve.2.mask" not in trace
    assert trace.get("pve.0.mask") is trace.tensors["pve.0.mask"]
    assert repr(trace) == "Trace(5 values, 0.0 MiB, T = 1)"


@pytest.mark.parametrize("wrong", ["pve.0.maks", "pve.7.mask"])
def test_a_wrong_name_lists_near_matches(trace, wrong):
    with pytest.raises(KeyError, match=r"near matches: .*pve.0.mask"):
        trace[wrong]
    with pytest.raises(KeyError, match="near matches"):
        trace.axes(wrong)
    assert trace.get(wrong) is None and wrong not in trace


def test_a_glob_is_no_name_of_one_value(trace):
    with pytest.raises(KeyError, match=r"pve\.\*\.mask"):
        trace["pve.*.mask"]


def test_axes(trace):
    assert trace.axes("pve.1.mask") == ("batch", "tile", "grid_h", "grid_w")
    assert trace.axes("scores") == ("text", "image")


def test_stack_adds_a_first_axis(trace):
    stacked = trace.stack("pve.*.mask")
    assert stacked.shape == (2, 1, 1, 2, 2)
    assert torch.equal(stacked[0], trace["pve.1.mask"])
    assert torch.equal(trace.stack(["pve.0.mask"]), torch.ones(1, 1, 1, 2, 2))


def test_stack_follows_the_steps(tiny, inputs):
    _, trace = tiny.model.run_with_trace(inputs | {"pve_steps": 3}, "pve.*.mask")
    stacked = trace.stack("pve.*.mask")
    assert stacked.shape == (4, 2, 1, 16, 16)
    for t in range(4):
        assert torch.equal(stacked[t], trace[f"pve.{t}.mask"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("pve.*.maks", "no hook point is called"),
        (lambda name: False, "no recorded value matches"),
        (["pve.0.mask", "scores"], r"different shapes: \[\(1, 1, 2, 2\), \(2, 1\)\]"),
    ],
)
def test_what_cannot_be_stacked(trace, names, message):
    with pytest.raises(HookError, match=message):
        trace.stack(names)


def test_save_and_load(trace, tmp_path):
    folder = trace.save(tmp_path / "a" / "trace")
    loaded = Trace.load(folder)
    assert list(loaded) == list(trace), "the recorded order"
    for name, value in trace.items():
        assert loaded[name].dtype == value.dtype
        assert torch.equal(loaded[name], value)
    assert (loaded.grid, loaded.pve_steps, loaded.meta) == (trace.grid, trace.pve_steps, trace.meta)
    assert torch.equal(loaded.boxes, trace.boxes)
    about = json.loads((folder / "trace.json").read_text(encoding="utf-8"))
    assert about["values"]["pve.1.mask"] == ["batch", "tile", "grid_h", "grid_w"]


def test_a_run_comes_back_from_its_folder(tiny, inputs, tmp_path):
    model = tiny.model
    _, trace = model.run_with_trace(inputs, "*", seed=3)
    loaded = Trace.load(trace.save(tmp_path))
    assert list(loaded) == list(trace)
    assert all(torch.equal(loaded[name], value) for name, value in trace.items())
    assert loaded.grid == (16, 16) and loaded.pve_steps == 1
    assert torch.equal(loaded.boxes, inputs["tile_boxes"])
    assert loaded.meta["config"]["sigma"] == "watershed"
    assert loaded.meta["seed"] == 3
    assert loaded.meta["versions"]["transformers"] == transformers.__version__
    first, second = loaded.meta["images"]
    assert first != second and len(first) == 64


def test_the_hash_of_an_image_is_that_of_its_pixels(tiny, inputs):
    hashes = [tiny.model.run_with_trace(inputs, "scores")[1].meta["images"] for _ in range(2)]
    changed = inputs | {"pixel_values": inputs["pixel_values"] + 1}
    hashes.append(tiny.model.run_with_trace(changed, "scores")[1].meta["images"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_values_with_a_gradient_and_views_are_saved(tmp_path):
    base = torch.arange(12.0).view(3, 4).requires_grad_()
    trace = Trace({"scores": base.T}, None, 0)
    loaded = Trace.load(trace.save(tmp_path))
    assert torch.equal(loaded["scores"], base.detach().T)
    assert loaded.grid is None and loaded.boxes is None


def test_a_trace_that_calls_t_steps_is_refused(trace, tmp_path):
    about = json.loads((trace.save(tmp_path) / "trace.json").read_text(encoding="utf-8"))
    about["steps"] = about.pop("pve_steps")
    (tmp_path / "trace.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(UserError, match="is of an older version of this package: record it anew"):
        Trace.load(tmp_path)


@pytest.mark.parametrize("later", ["boxes", "queries", "pve_steps"])
def test_a_trace_of_an_older_version_is_refused(trace, tmp_path, later):
    about = json.loads((trace.save(tmp_path) / "trace.json").read_text(encoding="utf-8"))
    del about[later]
    (tmp_path / "trace.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(ValueError, match="is of an older version of this package: record it anew"):
        Trace.load(tmp_path)


@pytest.mark.parametrize("photos", [False, True])
def test_texts_come_back_and_photographs_if_they_are_asked_for(tiny, images, tmp_path, photos):
    trace = tiny.trace(images, ["exit", "phrase:way out"])
    loaded = Trace.load(trace.save(tmp_path, photos=photos))
    assert loaded.queries == trace.queries == [Query("exit", "word"), Query("way out", "phrase")]
    assert len(loaded.photos) == 2 * photos
    for photo, given in zip(loaded.photos, images, strict=False):
        assert np.array_equal(np.asarray(photo), given)


def test_without_texts_the_looks_alone_are_recorded(tiny, images):
    trace = tiny.trace(images)
    assert trace.queries == [] and len(trace.photos) == 2
    assert {name.partition(".")[0] for name in trace} == {"pve"}
    assert torch.equal(trace["pve.0.mask"], tiny.trace(images, "exit", "pve.0.mask")["pve.0.mask"])


@pytest.mark.parametrize("missing", ["trace.json", "trace.safetensors"])
def test_a_missing_file_is_named(trace, tmp_path, missing):
    trace.save(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f"holds no trace: {missing} is missing"):
        Trace.load(tmp_path)


def test_no_folder_is_no_trace(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no trace"):
        Trace.load(tmp_path / "nowhere")


@pytest.mark.parametrize("meta", [{"a": 1}, {"a": object()}], ids=["tensors", "meta"])
def test_a_failing_save_keeps_the_old_trace(trace, tmp_path, monkeypatch, meta):
    trace.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def half(tensors, path):
        path.write_bytes(b"half")
        raise OSError("the disk is full")

    changed = Trace({"scores": torch.zeros(1, 1)}, (9, 9), 1, None, meta)
    if meta == {"a": 1}:
        monkeypatch.setattr("mstar.hooks.trace.save_file", half)
    with pytest.raises((OSError, TypeError)):
        changed.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_that_is_replaced_is_never_seen_half_written(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files.replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old" and temporary.parent == tmp_path
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def changed(**fields):
    def change(folder):
        path = folder / "trace.json"
        about = json.loads(path.read_text(encoding="utf-8")) | fields
        path.write_text(json.dumps(about), encoding="utf-8")

    return change


def written(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def stored(**tensors):
    def change(folder):
        save_file(
            {**load_file(folder / "trace.safetensors"), **tensors}, folder / "trace.safetensors"
        )

    return change


def linked(name):
    def change(folder):
        (folder / name).rename(folder.parent / name)
        (folder / name).symlink_to(folder.parent / name)

    return change


def picture(**options):
    return lambda folder: Image.new("RGB", (3, 3)).save(folder / "photo.0.png", **options)


def large(folder):
    """A few bytes that say they are 30,000 × 30,000 pixels."""
    content = bytearray((folder / "photo.0.png").read_bytes())
    content[16:24] = struct.pack(">II", 30_000, 30_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (folder / "photo.0.png").write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        *(written("trace.json", text) for text in (b"", b"{", b"[]", b"\xff", b"[" * 100_000)),
        written("trace.safetensors", b""),
        written("trace.safetensors", b"\xff" * 100),
        *(changed(pve_steps=value) for value in (-1, 65, "1", None, 1.5, 10**400)),
        *(changed(grid=value) for value in ([2], [2, -2], [2, 3], "22", [2, 2, 2], 5)),
        *(changed(boxes=v) for v in ([[1]], [[[0, 0, 1]]], "x", [[[0, 0, 1, 10**400]]], [[], [1]])),
        *(changed(queries=v) for v in ([["exit"]], [["exit", "loud"]], [[1, "word"]], [1], 5)),
        *(changed(photos=value) for value in (2, "1", None, 1.0)),
        *(changed(values=value) for value in ({}, {"scores": []}, {"x": []}, [], 5)),
        changed(meta=[]),
        stored(x=torch.zeros(1)),
        stored(scores=torch.zeros(1)),
        *(linked(name) for name in ("trace.json", "trace.safetensors", "photo.0.png")),
        picture(format="JPEG"),
        picture(format="TIFF"),
        written("photo.0.png", b"\x89PNG\r\n\x1a\n"),
        large,
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_trace_of_ours_is_one_sentence(trace, tmp_path, change):
    trace.queries, trace.photos = [Query("exit", "word")], [np.zeros((4, 5, 3), np.uint8)]
    folder = trace.save(tmp_path / "trace", photos=True)
    assert Trace.load(folder).photos[0].size == (5, 4)
    change(folder)
    with pytest.raises(
        UserError, match=r"record it anew|regular files alone|JSON|should hold"
    ) as refused:
        Trace.load(folder)
    assert "trace" in str(refused.value) and len(str(refused.value)) < 500


def test_a_view_names_the_points_that_were_not_recorded(tiny, inputs):
    _, default = tiny.model.run_with_trace(inputs)
    default.queries = as_queries(["exit", "way", "stop"])
    default.photos = [np.zeros((4, 5, 3), np.uint8)] * 2
    for view in (figures.explore, figures.assignment, figures.heads, figures.words):
        with pytest.raises(
            UserError, match=r"the trace has no pve\.\*\.layers\.\*\.cross_attention: rec"
        ):
            view(default)
    _, scores = tiny.model.run_with_trace(inputs, ["scores"])
    scores.photos = default.photos
    with pytest.raises(HookError, match=r"the trace has no pve\.\*\.\w+: record it too, as"):
        figures.looks(scores)


def test_a_trace_that_was_not_detached_is_saved(tiny, inputs, tmp_path):
    _, whole = tiny.model.run_with_trace(inputs, detach=False)
    loaded = Trace.load(whole.save(tmp_path))
    assert list(loaded) == list(whole)
    assert all(torch.equal(loaded[name], value.detach()) for name, value in whole.items())

"""A gallery on disk: embedded once, again where something changed, refused where it differs."""

import hashlib
import json
import os
import shutil
import struct
import unicodedata
import warnings
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from safetensors import SafetensorError
from safetensors.torch import save_file

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.cli import __main__ as cli
from mstar.io.bench import Bench
from mstar.io.checkpoints import load_checkpoint
from mstar.io.decoding import UnreadableImage
from mstar.io.images import open_image
from mstar.io.processing import character_tokenizer
from mstar.search import index, store as shards, writing
from mstar.search.folders import look_through
from mstar.search.gallery import Gallery
from mstar.search.index import index_folder
from mstar.search.store import read_about, read_shards
from mstar.texts import Query
from mstar.versions import checkpoint_hash

QUERIES = [Query("exit", "word"), Query("one way", "phrase"), Query("stop, go", "combined")]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """Random weights, large enough that images and texts differ."""
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(1)
    config = MstarConfig.tiny(initializer_range=0.2)
    MstarModel(config).save_pretrained(folder)
    MstarProcessor.for_config(config, character_tokenizer()).save_pretrained(folder)
    return folder


def picture(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture
def photos(tmp_path) -> Path:
    """Five pictures, two of them in a subfolder, and what is none."""
    folder = tmp_path / "photos"
    for seed, name in enumerate(("a.png", "b.PNG", "c.webp", "sub/a.png", "sub/d e.bmp")):
        picture(folder / name, seed)
    picture(folder / ".hidden.png", 9)
    picture(folder / ".thumbnails/a.png", 9)
    (folder / "notes.txt").write_text("no picture")
    return folder


NAMES = ["a.png", "b.PNG", "c.webp", "sub/a.png", "sub/d e.bmp"]


def test_a_gallery_on_disk_ranks_like_one_in_memory(checkpoint, photos, tmp_path):
    done = index_folder(photos, tmp_path / "gallery", checkpoint, batch_size=2)
    assert (done.images, done.embedded, done.kept, done.unreadable) == (5, 5, 0, {})
    stored = Gallery.open(tmp_path / "gallery")
    assert list(stored.names) == NAMES
    bench = load_checkpoint(checkpoint)
    model, processor = bench.model, bench.processor
    images = [Image.open(photos / name).convert("RGB") for name in NAMES]
    fresh = Gallery.embed(Bench(model, processor), images)
    # half precision: 11 bits of a number, and several numbers are summed
    torch.testing.assert_close(stored.scores(QUERIES), fresh.scores(QUERIES), atol=2e-3, rtol=0)
    ranked = [[hit.image for hit in hits] for hits in stored.search_many(QUERIES)]
    assert ranked == [[hit.image for hit in hits] for hits in fresh.search_many(QUERIES)]


def test_embeddings_stay_on_disk_until_they_are_used(checkpoint, photos, tmp_path):
    index_folder(photos, tmp_path / "gallery", checkpoint)
    (shard,) = read_shards(tmp_path / "gallery")
    mapped = Path("/proc/self/maps")
    if not mapped.is_file():
        pytest.skip("only Linux tells what is memory-mapped")
    assert str(shard.path) in mapped.read_text()
    assert shard.vision.features.dtype == torch.float16


def test_only_what_changed_is_embedded_again(checkpoint, photos, tmp_path, monkeypatch):
    gallery = tmp_path / "gallery"
    index_folder(photos, gallery, checkpoint)
    embedded = []
    encode = Bench.encode_images
    monkeypatch.setattr(Bench, "encode_images", lambda *a: embedded.append(len(a[1])) or encode(*a))
    before = (gallery / "00000.safetensors").stat().st_mtime_ns
    again = index_folder(photos, gallery, checkpoint)
    assert (again.kept, again.embedded, again.dropped) == (5, 0, 0) and embedded == []
    assert (gallery / "00000.safetensors").stat().st_mtime_ns == before

    os.utime(photos / "a.png", (1, 1))  # touched, the same content
    picture(photos / "b.PNG", 77)  # another content
    (photos / "c.webp").unlink()
    picture(photos / "new.png", 5)
    changed = index_folder(photos, gallery, checkpoint)
    assert (changed.images, changed.kept, changed.embedded, changed.dropped) == (5, 3, 2, 2)
    assert embedded == [2]
    names = ["a.png", "b.PNG", "new.png", "sub/a.png", "sub/d e.bmp"]
    stored = Gallery.open(gallery)
    assert list(stored.names) == names
    index_folder(photos, tmp_path / "anew", checkpoint)
    anew = Gallery.open(tmp_path / "anew")
    # other batches round otherwise
    torch.testing.assert_close(stored.scores(QUERIES), anew.scores(QUERIES), atol=2e-3, rtol=0)


def test_a_changed_file_of_the_same_size_is_seen(checkpoint, photos, tmp_path):
    index_folder(photos, tmp_path / "gallery", checkpoint)
    size = picture(photos / "sub/d e.bmp", 50).stat().st_size
    done = index_folder(photos, tmp_path / "gallery", checkpoint)
    assert (photos / "sub/d e.bmp").stat().st_size == size
    assert (done.embedded, done.dropped) == (1, 1)


def test_unreadable_files_are_listed_and_left_out(checkpoint, photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    Image.new("1", (14_000, 14_000)).save(photos / "bomb.png")
    done = index_folder(photos, tmp_path / "gallery", checkpoint, batch_size=3)
    assert sorted(done.unreadable) == ["bomb.png", "broken.jpg"] and done.images == 5
    assert "14000×14000 pixels" in done.unreadable["bomb.png"]
    assert read_about(tmp_path / "gallery").unreadable == done.unreadable
    picture(photos / "broken.jpg", 3)  # mended
    assert index_folder(photos, tmp_path / "gallery", checkpoint).embedded == 1


def test_without_any_readable_image_it_is_refused(checkpoint, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="none of the 1 images"):
        index_folder(tmp_path, tmp_path / "gallery", checkpoint)


def test_a_run_that_was_stopped_goes_on(checkpoint, photos, tmp_path, monkeypatch):
    gallery, encode, calls = tmp_path / "gallery", Bench.encode_images, []

    def interrupted(*arguments):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(arguments[1]))
        return encode(*arguments)

    monkeypatch.setattr(Bench, "encode_images", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index_folder(photos, gallery, checkpoint, batch_size=1)
    monkeypatch.setattr(Bench, "encode_images", encode)
    done = index_folder(photos, gallery, checkpoint)
    assert (done.kept, done.embedded) == (2, 3)
    assert list(Gallery.open(gallery).names) == NAMES


def test_shards_are_written_as_they_fill(checkpoint, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_SHARD_BYTES", 1)
    index_folder(photos, tmp_path / "gallery", checkpoint, batch_size=2)
    stored = {path.name for path in (tmp_path / "gallery").iterdir()}
    written = {f"{number:05}.safetensors" for number in range(3)}
    assert stored == {".lock", "gallery.json", *written}
    (photos / "a.png").unlink()
    (photos / "b.PNG").unlink()  # the first shard
    picture(photos / "new.png", 5)
    index_folder(photos, tmp_path / "gallery", checkpoint)
    names = [entry.name for shard in read_shards(tmp_path / "gallery") for entry in shard.entries]
    assert names == ["c.webp", "sub/a.png", "sub/d e.bmp", "new.png"]
    assert list(Gallery.open(tmp_path / "gallery").names) == sorted(names)


def test_another_checkpoint_is_refused_with_both_names(checkpoint, photos, tmp_path):
    gallery = tmp_path / "gallery"
    index_folder(photos, gallery, checkpoint)
    torch.manual_seed(2)
    other = tmp_path / "other"
    shutil.copytree(checkpoint, other)
    MstarModel(MstarConfig.tiny()).save_pretrained(other)
    hashes = [checkpoint_hash(folder)[:12] for folder in (checkpoint, other)]
    for attempt in (
        lambda: index_folder(photos, gallery, other),
        lambda: Gallery.open(gallery, other),
    ):
        with pytest.raises(ValueError, match="was made with") as refused:
            attempt()
        for said in (str(checkpoint), str(other), *hashes):
            assert said in str(refused.value)
    with pytest.raises(ValueError, match=r"T = 1, tiles 1, not with .*, T = 0, tiles 1:"):
        index_folder(photos, gallery, checkpoint, pve_steps=0)
    with pytest.raises(ValueError, match=r"T = 1, tiles 1, not with .*, T = 1, tiles 1, 2: give"):
        index_folder(photos, gallery, checkpoint, tiles=(1, 2))
    with pytest.raises(ValueError, match="is of the images in"):
        index_folder(photos / "sub", gallery, checkpoint)


def test_what_is_no_gallery_is_refused(checkpoint, photos, tmp_path):
    for attempt, kind, said in (
        (lambda: index_folder(tmp_path / "none", tmp_path / "g", checkpoint), FileNotFoundError,
         "there is no folder of images"),
        (lambda: index_folder(checkpoint, tmp_path / "g", checkpoint), FileNotFoundError,
         "there is no image in"),
        (lambda: index_folder(photos, photos, checkpoint), ValueError, "holds no gallery"),
        (lambda: index_folder(photos, photos / "a.png", checkpoint), ValueError, "is a file"),
        (lambda: index_folder(photos, tmp_path / "g", checkpoint, pve_steps=-1), ValueError,
         "got -1"),
        (lambda: Gallery.open(photos), FileNotFoundError, "holds no gallery: make one with"),
    ):  # fmt: skip
        with pytest.raises(kind, match=said):
            attempt()
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": 3}',
        '{"format": 4, "pve_steps": 1}',
        '{"format": 3, "tiles": [2], "pve_steps": 1}',
        "[" * 10**5,
    ],
)
def test_a_broken_list_is_said(checkpoint, photos, tmp_path, content):
    index_folder(photos, tmp_path / "gallery", checkpoint)
    (tmp_path / "gallery/gallery.json").write_text(content)
    with pytest.raises(ValueError, match=r"gallery\.json is not what"):
        Gallery.open(tmp_path / "gallery")


def test_a_broken_shard_is_said(checkpoint, photos, tmp_path):
    index_folder(photos, tmp_path / "gallery", checkpoint)
    shard = tmp_path / "gallery/00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"00000\.safetensors is broken"):
        Gallery.open(tmp_path / "gallery")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("features", lambda vision: (vision.embeddings, vision.features[..., :-1])),
        ("embeddings", lambda vision: (None, vision.features)),
        ("features", lambda vision: tuple(
            one.repeat(1, 2, 1) for one in (vision.embeddings, vision.features))),
    ],
)  # fmt: skip
def test_a_shard_of_another_gallery_is_said(checkpoint, photos, tmp_path, name, change):
    index_folder(photos, tmp_path / "gallery", checkpoint)
    (shard,) = read_shards(tmp_path / "gallery")
    other = type(shard.vision)(*change(shard.vision), 1)
    writing.write_shard(tmp_path / "gallery/00001.safetensors", shard.entries, other)
    with pytest.raises(ValueError, match=rf"00001\.safetensors has {name} of shape .* delete it"):
        Gallery.open(tmp_path / "gallery")
    (tmp_path / "gallery/00001.safetensors").unlink()
    assert index_folder(photos, tmp_path / "gallery", checkpoint).kept == 5


def test_numbers_that_are_none_are_said(checkpoint, photos, tmp_path):
    index_folder(photos, tmp_path / "gallery", checkpoint)
    (shard,) = read_shards(tmp_path / "gallery")
    shard.vision.features[3] = float("nan")
    writing.write_shard(shard.path, shard.entries, shard.vision)
    with pytest.raises(ValueError, match=r"embeddings of sub/a\.png are no numbers"):
        Gallery.open(tmp_path / "gallery").search("exit")


def test_a_shard_that_is_dropped_while_a_gallery_is_opened(
    checkpoint, photos, tmp_path, monkeypatch
):
    gallery, listing = tmp_path / "gallery", shards.shard_paths
    index_folder(photos, gallery, checkpoint)
    stale = [[*listing(gallery), gallery / "00007.safetensors"]]
    monkeypatch.setattr(
        shards, "shard_paths", lambda place: stale.pop() if stale else listing(place)
    )
    assert len(Gallery.open(gallery)) == 5


def test_links_to_a_gallery_and_its_images_are_followed(checkpoint, photos, tmp_path):
    (tmp_path / "deep/place").mkdir(parents=True)
    (tmp_path / "deep/place/photos").symlink_to(photos)
    (tmp_path / "gallery").symlink_to(tmp_path / "deep/place", target_is_directory=True)
    index_folder(tmp_path / "deep/place/photos", tmp_path / "gallery/made", checkpoint)
    expected = Gallery.open(tmp_path / "deep/place/made").search("exit")  # opens images
    assert Gallery.open(tmp_path / "gallery/made").search("exit") == expected


def test_images_looked_for_in_no_folder(checkpoint, photos, tmp_path):
    index_folder(photos, tmp_path / "gallery", checkpoint)
    with pytest.raises(FileNotFoundError, match="there is no folder of images /none"):
        Gallery.open(tmp_path / "gallery", images="/none")


def test_a_gallery_and_its_images_may_move(checkpoint, photos, tmp_path):
    index_folder(photos, tmp_path / "gallery", checkpoint)
    (tmp_path / "there").mkdir()
    for folder in ("photos", "gallery"):  # together: found by themselves
        (tmp_path / folder).rename(tmp_path / "there" / folder)
    before = Gallery.open(tmp_path / "there/gallery").search("exit")
    (tmp_path / "there/photos").rename(tmp_path / "elsewhere")  # the images alone
    gallery = Gallery.open(tmp_path / "there/gallery", images=tmp_path / "elsewhere")
    assert gallery.search("exit") == before


def test_an_image_that_changed_is_not_matched_as_if_it_had_not(checkpoint, photos, tmp_path):
    index_folder(photos, tmp_path / "gallery", checkpoint)
    for name in NAMES:
        picture(photos / name, 99)
    gallery = Gallery.open(tmp_path / "gallery")
    by_cosine = gallery.search("exit", ratio=0)  # the embeddings are what they were
    assert len(by_cosine) == 5
    with pytest.warns(UserWarning, match=r"2 of the best images .* has changed since it was"):
        assert gallery.search("exit") == by_cosine
    with pytest.raises(ValueError, match="has changed since it was embedded"):
        gallery.explain("exit", 0, ratio=0)


def test_two_runs_at_once_are_refused(checkpoint, photos, tmp_path, monkeypatch):
    gallery, encode = tmp_path / "gallery", Bench.encode_images

    def again(*arguments):
        with pytest.raises(ValueError, match="is being written by another run: wait for it"):
            index_folder(photos, gallery, checkpoint)
        return encode(*arguments)

    monkeypatch.setattr(Bench, "encode_images", again)
    assert index_folder(photos, gallery, checkpoint).embedded == 5
    monkeypatch.setattr(Bench, "encode_images", encode)
    assert index_folder(photos, gallery, checkpoint).kept == 5


def test_of_a_name_in_two_shards_the_newest_counts(checkpoint, photos, tmp_path):
    gallery = tmp_path / "gallery"
    index_folder(photos, gallery, checkpoint)
    (shard,) = read_shards(gallery)
    shutil.copy(shard.path, gallery / "00000 (copy).safetensors")  # no shard: never read
    nothing = torch.zeros_like(shard.vision.features)
    marked = type(shard.vision)(shard.vision.embeddings, nothing, shard.vision.tiles)
    writing.write_shard(gallery / "100000.safetensors", shard.entries, marked)
    # newer than 99999, which a sorting by name would put last
    writing.write_shard(gallery / "99999.safetensors", shard.entries[:2], _first(shard.vision, 2))
    (gallery / "00000.safetensors").unlink()
    writing.write_shard(gallery / "00001.safetensors", shard.entries, shard.vision)
    (only,) = read_shards(gallery)
    assert only.path.name == "100000.safetensors" and not only.vision.features.any()
    writing.write_shard(gallery / "100000.safetensors", shard.entries[:2], _first(marked, 2))
    old, _ = read_shards(gallery)
    assert [entry.name for entry in old.entries] == NAMES[2:]
    assert torch.equal(old.vision.features, shard.vision.features[2:])
    assert list(Gallery.open(gallery).names) == NAMES

    done = index_folder(photos, gallery, checkpoint)
    assert (done.images, done.kept, done.embedded, done.dropped) == (5, 5, 0, 0)
    left = {path.name for path in shards.shard_paths(gallery)}
    assert left == {"00001.safetensors", "100000.safetensors"}
    assert len(shards._read_shard(gallery / "00001.safetensors", read_about(gallery)).entries) == 3
    picture(photos / "new.png", 5)
    index_folder(photos, gallery, checkpoint)
    assert (gallery / "100001.safetensors").is_file()


def _first(vision, count):
    embeddings = None if vision.embeddings is None else vision.embeddings[:count]
    return type(vision)(embeddings, vision.features[:count], vision.tiles)


def test_what_is_stopped_just_after_writing_is_not_written_twice(
    checkpoint, photos, tmp_path, monkeypatch
):
    gallery, write = tmp_path / "gallery", writing.write_shard

    def stopped(*arguments):
        write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "_SHARD_BYTES", 1)
    monkeypatch.setattr(writing, "write_shard", stopped)
    with pytest.raises(KeyboardInterrupt):
        index_folder(photos, gallery, checkpoint, batch_size=2)
    assert [path.name for path in shards.shard_paths(gallery)] == ["00000.safetensors"]


def test_a_file_that_changes_while_it_is_read_is_seen_later(
    checkpoint, photos, tmp_path, monkeypatch
):
    decode = index.decode_image

    def changing(file, path, *reducible):
        picture(path, 50)
        os.utime(path, (2, 2))
        return decode(file, path, *reducible)

    monkeypatch.setattr(index, "decode_image", changing)
    before = (photos / "a.png").read_bytes()
    index_folder(photos, tmp_path / "gallery", checkpoint)
    entry = read_shards(tmp_path / "gallery")[0].entries[0]
    assert (entry.name, entry.size) == ("a.png", len(before))
    assert entry.sha256 == hashlib.sha256(before).hexdigest()
    monkeypatch.setattr(index, "decode_image", decode)
    assert index_folder(photos, tmp_path / "gallery", checkpoint).embedded == 5


def test_whatever_pillow_raises_is_an_unreadable_file(checkpoint, photos, tmp_path, monkeypatch):
    os.mkfifo(photos / "pipe.png")  # to read it would wait for ever
    (photos / "gone.png").symlink_to("nowhere.png")
    monkeypatch.setattr(index, "MAX_BYTES", 20_000)
    (photos / "large.png").write_bytes(bytes(20_001))
    done = index_folder(photos, tmp_path / "gallery", checkpoint)
    assert sorted(done.unreadable) == ["gone.png", "large.png", "pipe.png"] and done.images == 5
    for error in (struct.error("short"), IndexError("range"), MemoryError()):
        monkeypatch.setattr(PngImagePlugin, "PngImageFile", Mock(side_effect=error))
        with pytest.raises(UnreadableImage, match=r"a\.png cannot be read as an image"):
            open_image(photos / "a.png")


def test_a_full_disk_is_said_once(checkpoint, photos, tmp_path, monkeypatch):
    gallery = tmp_path / "gallery"
    full = Mock(side_effect=SafetensorError("no space left"))
    monkeypatch.setattr(writing, "save_file", full)
    with pytest.raises(OSError, match=r"gallery cannot be written: no space left\."):
        index_folder(photos, gallery, checkpoint)
    assert full.call_count == 1 and not gallery.exists()

    encode = Mock(side_effect=[Bench.encode_images, ValueError("the first error")])

    def failing(*arguments):
        return encode()(*arguments)

    monkeypatch.setattr(Bench, "encode_images", failing)
    with pytest.raises(ValueError, match="the first error"):  # not what writing the rest says
        index_folder(photos, gallery, checkpoint, batch_size=1)
    assert full.call_count == 2


def test_an_unreadable_subfolder_drops_nothing(checkpoint, photos, tmp_path, monkeypatch, capsys):
    gallery, scandir = tmp_path / "gallery", os.scandir
    index_folder(photos, gallery, checkpoint)

    def denied(place):
        if Path(place).name == "sub":
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", denied)
    assert cli.main(["index", str(photos), str(gallery), "--checkpoint", str(checkpoint)]) == 2
    assert f"mstar: error: Permission denied: {photos / 'sub'}.\n" in capsys.readouterr().err
    assert list(Gallery.open(gallery).names) == NAMES


def test_what_cannot_be_looked_at_is_not_gone(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for name in ("none.png", "file/a.png"):
        assert shards.Entry(name, 0, 0, "").now(tmp_path) is None
    monkeypatch.setattr(Path, "stat", Mock(side_effect=PermissionError("denied")))
    with pytest.raises(PermissionError):
        shards.Entry("a.png", 0, 0, "").now(tmp_path)


ENTRY = {"name": "a.png", "size": 1, "modified": 1, "sha256": ""}


@pytest.mark.parametrize(
    "listed",
    [
        *({**ENTRY, "name": name} for name in (1, None, "", ".", "/a.png", "../a.png", "a/../b")),
        *({**ENTRY, "name": name} for name in ("a\0.png", "\ud800.png")),
        {**ENTRY, "size": "1"},
        {**ENTRY, "modified": True},
        {**ENTRY, "sha256": None},
        {**ENTRY, "more": 1},
        {"name": "a.png"},
        "a.png",
        None,
    ],
)
def test_what_a_shard_lists_is_checked(tmp_path, listed):
    _refused(tmp_path, json.dumps([listed]))


@pytest.mark.parametrize("listed", ["{", "1", "[]", "[" * 100_000, "null"])
def test_a_list_of_another_kind_is_refused(tmp_path, listed):
    _refused(tmp_path, listed)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"embeddings": torch.zeros(1, 4, 8)},
        {"features": torch.zeros(1, 4)},
        {"features": torch.zeros(1, 4, 8, dtype=torch.int64)},
        {"features": torch.zeros(2, 4, 8)},
        {"features": torch.zeros(1, 0, 8)},
        {"features": torch.zeros(1, 3, 8)},  # T = 1: twice as many as there are queries
        {"features": torch.zeros(1, 4, 8), "embeddings": torch.zeros(1, 6, 8)},
        {"features": torch.zeros(1, 4, 8), "embeddings": torch.zeros(2, 4, 8)},
        {"features": torch.zeros(1, 4, 8), "embeddings": torch.zeros(1)},
    ],
)
def test_the_numbers_of_a_shard_are_checked(tmp_path, tensors):
    _refused(tmp_path, json.dumps([ENTRY]), tensors)


def _refused(gallery, listed, tensors=None):
    shards.write_about(gallery, shards.About("c", "0", 1, (1,), "."))
    good = {"features": torch.zeros(1, 4, 8), "embeddings": torch.zeros(1, 4, 6)}
    save_file(good, gallery / "00000.safetensors", {"images": json.dumps([ENTRY])})
    assert len(read_shards(gallery)) == 1
    tensors = good if tensors is None else tensors
    save_file(tensors, gallery / "00000.safetensors", {"images": listed})
    with pytest.raises(ValueError, match=r"00000\.safetensors is broken \(.*: delete it and run"):
        read_shards(gallery)


def test_what_a_killed_run_left_is_ours(checkpoint, photos, tmp_path):
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    left = [".lock", ".00000.safetensors.ab_12xyz.safetensors", ".gallery.json.ab_12xyz.json"]
    for name in left:
        (gallery / name).touch()
    index_folder(photos, gallery, checkpoint)
    names = {path.name for path in gallery.iterdir()}
    assert names == {".lock", "gallery.json", "00000.safetensors"}

    other = tmp_path / "other"
    other.mkdir()
    for name in (*left, ".profile"):
        (other / name).touch()
    with pytest.raises(ValueError, match="is not empty and holds no gallery"):
        index_folder(photos, other, checkpoint)
    assert len(list(other.iterdir())) == 4


def test_a_gallery_without_a_shard_may_become_another(checkpoint, photos, tmp_path):
    gallery, broken = tmp_path / "gallery", tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    (broken / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is broken"):
        index_folder(photos, gallery, broken)
    assert not (gallery / "gallery.json").exists()
    (tmp_path / "none").mkdir()
    (tmp_path / "none/a.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="none of the 1 images"):
        index_folder(tmp_path / "none", gallery, checkpoint, pve_steps=0)
    assert not (gallery / "gallery.json").exists()  # nothing to search in
    assert index_folder(photos, gallery, checkpoint).images == 5
    made = read_about(gallery)
    assert (made.pve_steps, made.folder, made.unreadable) == (1, "../photos", {})
    with pytest.raises(ValueError, match="was made with"):
        index_folder(photos, gallery, checkpoint, pve_steps=0)


# What lies in a folder of photographs, and in a gallery


def test_every_image_is_indexed_and_what_is_not_opened_is_named(checkpoint, tmp_path, capsys):
    folder, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    kinds = dict.fromkeys(("a.jpg", "d.jfif", "e.mpo", "f.jpe"), "JPEG") | {
        "c.avif": "AVIF", "g.jp2": "JPEG2000", "h.ppm": "PPM", "IMG_2": "PNG", "i.jpg!big": "WEBP",
    }  # fmt: skip
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    folder.mkdir()
    for name, kind in kinds.items():
        noise.save(folder / name, kind)
    for name in ("b.jpg", "deep/b.png"):
        picture(elsewhere / name, 1)
    (folder / "2019").symlink_to(elsewhere)
    (folder / "again").symlink_to(elsewhere)  # each folder once
    (folder / "deep").symlink_to(elsewhere / "deep")
    (elsewhere / "back").symlink_to(folder)
    (folder / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (folder / "IMG_3.jpg").write_bytes(b"\0\0\0\x18ftypheic")
    (folder / "gone").symlink_to("nowhere")
    for name in ("notes.txt", "list.txt", "film.mp4", "Makefile"):
        (folder / name).write_text("no picture")
    os.mkfifo(folder / "pipe")
    expected = sorted([*kinds, "2019/b.jpg", "2019/deep/b.png"])
    assert sorted({*look_through(folder).images} - {"gone", "IMG_3.jpg"}) == expected

    arguments = ["index", str(folder), str(tmp_path / "gallery"), "--checkpoint", str(checkpoint)]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    assert f"{len(expected)} images; {len(expected)} embedded now" in printed
    assert "3 unreadable" in printed and "no images: 2 without a suffix, 1 .mp4, 2 .txt" in printed
    for said in ("IMG_1.HEIC is HEIC: convert it", "IMG_3.jpg cannot be read as an image: it is HE",
                 "No such file or directory: "):  # fmt: skip
        assert f"left out: {folder}/{said}" in printed or said in printed
    gallery = Gallery.open(tmp_path / "gallery")
    assert list(gallery.names) == expected
    again = index_folder(folder, tmp_path / "gallery", checkpoint)
    assert (again.kept, again.embedded, len(again.unreadable)) == (len(expected), 0, 3)
    assert again.others == {"": 2, ".mp4": 1, ".txt": 2}


def test_a_folder_at_its_own_place_comes_before_a_link_to_it(photos):
    (photos / "0").symlink_to("sub")
    assert look_through(photos).images == NAMES


def test_a_folder_of_nothing_that_is_opened_is_refused(checkpoint, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.txt").write_text("")
    with pytest.raises(FileNotFoundError, match=r"no image in .*photos, but 1 \.txt: expected"):
        index_folder(tmp_path / "photos", tmp_path / "g", checkpoint)
    (tmp_path / "photos/a.heic").write_bytes(b"")
    with pytest.raises(ValueError, match=r"none of the 1 images .*a\.heic is HEIC: convert it"):
        index_folder(tmp_path / "photos", tmp_path / "g", checkpoint)
    assert not (tmp_path / "g").exists()


def test_a_name_in_nfc_is_found_in_nfd(checkpoint, tmp_path):
    composed, apart = (unicodedata.normalize(form, "café.png") for form in ("NFC", "NFD"))
    picture(tmp_path / "photos" / apart, 1)
    index_folder(tmp_path / "photos", tmp_path / "gallery", checkpoint)
    gallery = Gallery.open(tmp_path / "gallery")
    assert gallery.explain("exit", composed, ratio=0).hit.name == apart
    (tmp_path / "photos" / apart).rename(tmp_path / "photos" / composed)  # copied elsewhere
    assert gallery.search("exit")[0].probability is not None


@pytest.mark.parametrize("kind", ["link to nowhere", "link", "folder", "pipe"])
@pytest.mark.parametrize("name", ["00001.safetensors", "gallery.json", ".lock"])
def test_what_is_no_file_of_a_gallery_is_named(checkpoint, photos, tmp_path, kind, name):
    gallery = tmp_path / "gallery"
    index_folder(photos, gallery, checkpoint)
    path = gallery / name
    if path.exists():
        path.rename(tmp_path / "aside")
    else:
        shutil.copy(gallery / "00000.safetensors", tmp_path / "aside")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / ("aside" if kind == "link" else "nowhere"))
    before = {one.name for one in gallery.iterdir()}
    for attempt in (
        lambda: Gallery.open(gallery),
        lambda: index_folder(photos, gallery, checkpoint),
    ):
        if name == ".lock" and attempt.__code__.co_names[0] == "Gallery":
            continue  # it only reads
        with pytest.raises((ValueError, PermissionError)) as refused:
            attempt()
        assert str(path) in str(refused.value) or "holds no gallery" in str(refused.value)
    assert {one.name for one in gallery.iterdir()} == before
    assert not (tmp_path / "nowhere").exists()


def test_a_search_beside_a_shard_that_leads_nowhere_ends(checkpoint, photos, tmp_path, capsys):
    index_folder(photos, tmp_path / "gallery", checkpoint)
    (tmp_path / "gallery/00001.safetensors").symlink_to(tmp_path / "nowhere")
    assert cli.main(["search", str(tmp_path / "gallery"), "exit"]) == 2
    assert "00001.safetensors" in capsys.readouterr().err


def test_a_shard_that_cannot_be_opened_is_named(checkpoint, photos, tmp_path, monkeypatch):
    index_folder(photos, tmp_path / "gallery", checkpoint)
    opened = Path.open

    def denied(path, *arguments, **options):
        if path.parent.name == "gallery" and path.suffix == ".safetensors":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", denied)
    for attempt in (
        lambda: Gallery.open(tmp_path / "gallery"),
        lambda: index_folder(photos, tmp_path / "gallery", checkpoint),
    ):
        with pytest.raises(ValueError, match=r"00000\.safetensors cannot be opened \(permission"):
            attempt()


def test_what_else_lies_in_a_gallery_is_named_and_passed_over(checkpoint, photos, tmp_path):
    gallery = tmp_path / "gallery"
    index_folder(photos, gallery, checkpoint)
    (gallery / "old").mkdir()
    (gallery / "link.txt").symlink_to(photos)
    for attempt in (
        lambda: Gallery.open(gallery),
        lambda: index_folder(photos, gallery, checkpoint),
    ):
        with pytest.warns(UserWarning, match=r"holds link\.txt, old, which are no files of a"):
            attempt()


def test_a_run_that_fails_leaves_no_folder_that_it_made(checkpoint, photos, tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    (broken / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is broken"):
        index_folder(photos, tmp_path / "new/deep/gallery", broken)
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(Bench, "encode_images", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        index_folder(photos, tmp_path / "new/deep/gallery", checkpoint)
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").mkdir()
    with pytest.raises(KeyboardInterrupt):
        index_folder(photos, tmp_path / "mine", checkpoint)
    assert (tmp_path / "mine").is_dir()


# Searching when photographs are gone


def test_a_search_goes_on_when_a_photograph_is_gone(checkpoint, photos, tmp_path, capsys):
    index_folder(photos, tmp_path / "gallery", checkpoint)
    gallery = Gallery.open(tmp_path / "gallery")
    by_cosine, whole = gallery.search("exit", ratio=0), gallery.search("exit", ratio=1)
    assert [len(gallery.images[some]) for some in (slice(2), slice(1, None, 2))] == [2, 2]
    assert gallery.images[:2][1].size == (60, 40)
    first = by_cosine[0].name
    (photos / first).unlink()
    for fresh in (gallery, Gallery.open(tmp_path / "gallery")):
        fresh.forget()
        with pytest.warns(UserWarning, match=rf"1 of the best images .*{first} is gone or has"):
            found = fresh.search("exit", ratio=1)
        (lost,) = (hit for hit in found if hit.name == first)
        assert lost.probability is None and lost.score == lost.cosine and lost.cosine_rank == 1
        others = {hit.name: hit.score for hit in whole if hit.name != first}
        assert {h.name: h.score for h in found if h.name != first} == pytest.approx(others)
    with pytest.raises(ValueError, match=f"{first} is gone or has changed"):
        gallery.explain("exit", first, ratio=0)
    with pytest.warns(UserWarning):
        assert gallery.explain("exit", by_cosine[1].name, ratio=1).hit.probability > 0
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        asked = ["search", str(tmp_path / "gallery"), "exit", "stop", "--rerank"]
        assert cli.main(asked) == 0
    printed = capsys.readouterr()
    assert printed.err.count("mstar: 1 of the best images could not be looked at again") == 1
    assert f"gallery/../photos/{first} is gone or has changed" in printed.err


# The command line


def test_index_and_search(checkpoint, photos, tmp_path, capsys):
    picture(photos / "line\nbreak \udcff.png", 7)
    (photos / "broken.jpg").write_bytes(b"nothing")
    gallery = str(tmp_path / "gallery")
    assert cli.main(["index", str(photos), gallery, "--checkpoint", str(checkpoint)]) == 0
    printed = capsys.readouterr().out
    assert "6 images; 6 embedded now, 0 unchanged, 0 changed or gone, 1 unreadable" in printed
    assert "left out: " in printed and "broken.jpg cannot be read" in printed

    assert cli.main(["search", gallery, "exit", "phrase:one way", "--top", "6"]) == 0
    printed = capsys.readouterr().out
    assert "exit (word), the best of 6 images" in printed and "one way (phrase)" in printed
    assert r"line\nbreak \udcff.png" in printed and len(printed.splitlines()) == 2 * 8

    assert cli.main(["search", gallery, "exit", "--json", "--top", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    hits = found["queries"][0]["hits"]
    assert found["images"] == 6 and [hit["rank"] for hit in hits] == [1, 2, 3]
    assert [hit["probability"] is None for hit in hits] == [False, False, True]
    assert cli.main(["search", gallery, "exit", "--json", "--top", "1", "--no-rerank"]) == 0
    (hit,) = json.loads(capsys.readouterr().out)["queries"][0]["hits"]
    assert hit["cosine_rank"] == 1 and hit["probability"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["index", "{}/none", "{}/g"], "there is no folder of images"),
        (["index", "{}", "{}/g", "--batch-size", "0"], "batch-size must be 1 or more"),
        (["search", "{}", "exit"], "holds no gallery"),
        (["search", "{}", "exit", "--style", "shout"], "unknown style 'shout'"),
        (["search", "{}", "exit", "--top", "0"], "top must be 1 or more"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(arguments, said, checkpoint, photos, capsys):
    arguments = [argument.format(photos) for argument in arguments]
    assert cli.main(arguments) == 2
    printed = capsys.readouterr().err.strip()
    assert said in printed and printed.startswith("mstar: error: ") and "\n" not in printed

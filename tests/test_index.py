"""A gallery on disk: embedded once, again where something changed, refused where it differs."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mstar import MstarConfig, MstarModel, MstarProcessor, cli, index
from mstar.checkpoints import checkpoint_hash, load_checkpoint
from mstar.index import index_folder, read_about, read_shards
from mstar.processing import character_tokenizer
from mstar.queries import Query
from mstar.retrieval import Gallery

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
    done = index_folder(checkpoint, photos, tmp_path / "gallery", batch_size=2)
    assert (done.images, done.embedded, done.kept, done.unreadable) == (5, 5, 0, {})
    stored = Gallery.open(tmp_path / "gallery")
    assert list(stored.names) == NAMES
    model, processor = load_checkpoint(checkpoint)
    images = [Image.open(photos / name).convert("RGB") for name in NAMES]
    fresh = Gallery.embed(model, processor, images)
    # half precision: 11 bits of a number, and several numbers are summed
    torch.testing.assert_close(stored.scores(QUERIES), fresh.scores(QUERIES), atol=2e-3, rtol=0)
    ranked = [[hit.image for hit in hits] for hits in stored.search_many(QUERIES)]
    assert ranked == [[hit.image for hit in hits] for hits in fresh.search_many(QUERIES)]


def test_embeddings_stay_on_disk_until_they_are_used(checkpoint, photos, tmp_path):
    index_folder(checkpoint, photos, tmp_path / "gallery")
    (shard,) = read_shards(tmp_path / "gallery")
    mapped = Path("/proc/self/maps")
    if not mapped.is_file():
        pytest.skip("only Linux tells what is memory-mapped")
    assert str(shard.path) in mapped.read_text()
    assert shard.vision.features.dtype == torch.float16


def test_only_what_changed_is_embedded_again(checkpoint, photos, tmp_path, monkeypatch):
    gallery = tmp_path / "gallery"
    index_folder(checkpoint, photos, gallery)
    embedded = []
    encode = index.encode_images
    monkeypatch.setattr(index, "encode_images", lambda *a: embedded.append(len(a[2])) or encode(*a))
    before = (gallery / "00000.safetensors").stat().st_mtime_ns
    again = index_folder(checkpoint, photos, gallery)
    assert (again.kept, again.embedded, again.dropped) == (5, 0, 0) and embedded == []
    assert (gallery / "00000.safetensors").stat().st_mtime_ns == before

    os.utime(photos / "a.png", (1, 1))  # touched, the same content
    picture(photos / "b.PNG", 77)  # another content
    (photos / "c.webp").unlink()
    picture(photos / "new.png", 5)
    changed = index_folder(checkpoint, photos, gallery)
    assert (changed.images, changed.kept, changed.embedded, changed.dropped) == (5, 3, 2, 2)
    assert embedded == [2]
    names = ["a.png", "b.PNG", "new.png", "sub/a.png", "sub/d e.bmp"]
    stored = Gallery.open(gallery)
    assert list(stored.names) == names
    index_folder(checkpoint, photos, tmp_path / "anew")
    anew = Gallery.open(tmp_path / "anew")
    # other batches round otherwise
    torch.testing.assert_close(stored.scores(QUERIES), anew.scores(QUERIES), atol=2e-3, rtol=0)


def test_a_changed_file_of_the_same_size_is_seen(checkpoint, photos, tmp_path):
    index_folder(checkpoint, photos, tmp_path / "gallery")
    size = picture(photos / "sub/d e.bmp", 50).stat().st_size
    done = index_folder(checkpoint, photos, tmp_path / "gallery")
    assert (photos / "sub/d e.bmp").stat().st_size == size
    assert (done.embedded, done.dropped) == (1, 1)


def test_unreadable_files_are_listed_and_left_out(checkpoint, photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    Image.new("1", (9000, 9000)).save(photos / "bomb.png")
    done = index_folder(checkpoint, photos, tmp_path / "gallery", batch_size=3)
    assert sorted(done.unreadable) == ["bomb.png", "broken.jpg"] and done.images == 5
    assert "9000×9000 pixels" in done.unreadable["bomb.png"]
    assert read_about(tmp_path / "gallery").unreadable == done.unreadable
    picture(photos / "broken.jpg", 3)  # mended
    assert index_folder(checkpoint, photos, tmp_path / "gallery").embedded == 1


def test_without_any_readable_image_it_is_refused(checkpoint, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="none of the 1 images"):
        index_folder(checkpoint, tmp_path, tmp_path / "gallery")


def test_a_run_that_was_stopped_goes_on(checkpoint, photos, tmp_path, monkeypatch):
    gallery, encode, calls = tmp_path / "gallery", index.encode_images, []

    def interrupted(*arguments):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(len(arguments[2]))
        return encode(*arguments)

    monkeypatch.setattr(index, "encode_images", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index_folder(checkpoint, photos, gallery, batch_size=1)
    monkeypatch.setattr(index, "encode_images", encode)
    done = index_folder(checkpoint, photos, gallery)
    assert (done.kept, done.embedded) == (2, 3)
    assert list(Gallery.open(gallery).names) == NAMES


def test_shards_are_written_as_they_fill(checkpoint, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(index, "_SHARD_BYTES", 1)
    index_folder(checkpoint, photos, tmp_path / "gallery", batch_size=2)
    stored = {path.name for path in (tmp_path / "gallery").iterdir()}
    shards = {f"{number:05}.safetensors" for number in range(3)}
    assert stored == {"gallery.json", *shards}
    (photos / "a.png").unlink()
    (photos / "b.PNG").unlink()  # the first shard
    picture(photos / "new.png", 5)
    index_folder(checkpoint, photos, tmp_path / "gallery")
    names = [entry.name for shard in read_shards(tmp_path / "gallery") for entry in shard.entries]
    assert names == ["c.webp", "sub/a.png", "sub/d e.bmp", "new.png"]
    assert list(Gallery.open(tmp_path / "gallery").names) == sorted(names)


def test_another_checkpoint_is_refused_with_both_names(checkpoint, photos, tmp_path):
    gallery = tmp_path / "gallery"
    index_folder(checkpoint, photos, gallery)
    torch.manual_seed(2)
    other = tmp_path / "other"
    shutil.copytree(checkpoint, other)
    MstarModel(MstarConfig.tiny()).save_pretrained(other)
    hashes = [checkpoint_hash(folder)[:12] for folder in (checkpoint, other)]
    for attempt in (
        lambda: index_folder(other, photos, gallery),
        lambda: Gallery.open(gallery, other),
    ):
        with pytest.raises(ValueError, match="was made with") as refused:
            attempt()
        for said in (str(checkpoint), str(other), *hashes):
            assert said in str(refused.value)
    with pytest.raises(ValueError, match=r"T = 1, not with .*, T = 0"):
        index_folder(checkpoint, photos, gallery, steps=0)
    with pytest.raises(ValueError, match="is of the images in"):
        index_folder(checkpoint, photos / "sub", gallery)


def test_what_is_no_gallery_is_refused(checkpoint, photos, tmp_path):
    for attempt, kind, said in (
        (lambda: index_folder(checkpoint, tmp_path / "none", tmp_path / "g"), FileNotFoundError,
         "there is no folder of images"),
        (lambda: index_folder(checkpoint, checkpoint, tmp_path / "g"), FileNotFoundError,
         "there is no image in"),
        (lambda: index_folder(checkpoint, photos, photos), ValueError, "holds no gallery"),
        (lambda: index_folder(checkpoint, photos, photos / "a.png"), ValueError, "is a file"),
        (lambda: index_folder(checkpoint, photos, tmp_path / "g", steps=-1), ValueError, "got -1"),
        (lambda: Gallery.open(photos), FileNotFoundError, "holds no gallery: make one with"),
    ):  # fmt: skip
        with pytest.raises(kind, match=said):
            attempt()
    assert not (tmp_path / "g").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "steps": 1}'])
def test_a_broken_list_is_said(checkpoint, photos, tmp_path, content):
    index_folder(checkpoint, photos, tmp_path / "gallery")
    (tmp_path / "gallery/gallery.json").write_text(content)
    with pytest.raises(ValueError, match=r"gallery\.json is not what"):
        Gallery.open(tmp_path / "gallery")


def test_a_broken_shard_is_said(checkpoint, photos, tmp_path):
    index_folder(checkpoint, photos, tmp_path / "gallery")
    shard = tmp_path / "gallery/00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"00000\.safetensors is broken"):
        Gallery.open(tmp_path / "gallery")


def test_a_gallery_and_its_images_may_move(checkpoint, photos, tmp_path):
    index_folder(checkpoint, photos, tmp_path / "gallery")
    (tmp_path / "there").mkdir()
    for folder in ("photos", "gallery"):  # together: found by themselves
        (tmp_path / folder).rename(tmp_path / "there" / folder)
    before = Gallery.open(tmp_path / "there/gallery").search("exit")
    (tmp_path / "there/photos").rename(tmp_path / "elsewhere")  # the images alone
    gallery = Gallery.open(tmp_path / "there/gallery", images=tmp_path / "elsewhere")
    assert gallery.search("exit") == before


def test_an_image_that_changed_is_not_matched_as_if_it_had_not(checkpoint, photos, tmp_path):
    index_folder(checkpoint, photos, tmp_path / "gallery")
    for name in NAMES:
        picture(photos / name, 99)
    gallery = Gallery.open(tmp_path / "gallery")
    assert len(gallery.search("exit", ratio=0)) == 5  # the embeddings are what they were
    with pytest.raises(ValueError, match="has changed since it was embedded"):
        gallery.search("exit")


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
        (["index", "{}", "{}/g", "--batch-size", "0"], "batch-size 1 or more"),
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

"""Approximate search: what it finds is scored as ever; its index, whole, stale or broken."""

import json
import shutil
import socket
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.cli import __main__ as cli
from mstar.errors import UserError
from mstar.io.processing import character_tokenizer
from mstar.model.outputs import VisionEmbeddings
from mstar.search.gallery import Gallery
from mstar.search.index import index_folder
from mstar.search.nearest import database, lists, needs
from mstar.search.nearest.approximate import Approximate, recalls
from mstar.search.nearest.spaces import vectors_in
from mstar.search.store import SEVERAL, WORD, index_path
from mstar.texts import Query

#: Of Qdrant's client, whose mode in memory has no graph.
pytestmark = pytest.mark.filterwarnings("ignore:Local mode performs exact")
faiss = pytest.mark.skipif(find_spec("faiss") is None, reason="an extra, `faiss`, of 19 MB")
QUERIES = [Query("exit", "word"), Query("one way", "phrase"), Query("stop, go", "combined"),
           Query("'open' on a door", "semantic")]  # fmt: skip
IMAGES, VECTORS = 9, 8


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A gallery of noise by random weights, large enough that images and texts differ."""
    folder = tmp_path_factory.mktemp("nearest")
    torch.manual_seed(1)
    config = MstarConfig.tiny(initializer_range=0.2)
    MstarModel(config).save_pretrained(folder / "checkpoint")
    MstarProcessor.for_config(config, character_tokenizer()).save_pretrained(folder / "checkpoint")
    for seed in range(IMAGES):
        picture(folder / f"photos/{seed}.png", seed)
    index_folder(folder / "photos", folder / "gallery", folder / "checkpoint", batch_size=4)
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch) -> Path:
    """A copy of it, which is large enough for an index."""
    shutil.copytree(made, tmp_path / "made")
    monkeypatch.setattr(lists, "LEAST_VECTORS", 1)
    return tmp_path / "made/gallery"


def picture(path: Path, seed: int) -> None:
    path.parent.mkdir(exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def same(hit, other) -> None:
    places = ("image", "name", "look", "tile", "query_token")
    assert [getattr(hit, one) for one in places] == [getattr(other, one) for one in places]
    for one in ("score", "cosine", "probability"):
        assert getattr(hit, one) == pytest.approx(getattr(other, one), abs=1e-6), one


# Candidates from anywhere


def naming(*images: int):
    """A search of vectors that always names these images."""
    numbers = torch.tensor(images) * VECTORS + torch.arange(len(images)) % VECTORS
    return dict.fromkeys((WORD, SEVERAL), lambda feature, count: numbers)


@pytest.mark.parametrize("ratio", [0, 0.5])
@pytest.mark.parametrize("query", QUERIES)
def test_with_every_image_named_it_is_exact_search(made, query, ratio):
    gallery = Gallery.open(made / "gallery")
    approximate = Approximate(gallery, naming(*range(IMAGES)))
    (hits,), exact = approximate.search_many([query], IMAGES, ratio), gallery.search(
        query, k=IMAGES, ratio=ratio
    )  # fmt: skip
    for hit, other in zip(hits, exact, strict=True):
        same(hit, other)
        assert (hit.rank, hit.cosine_rank) == (other.rank, other.cosine_rank)


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_found_has_the_scores_of_exact_search_in_its_order(made, query):
    gallery = Gallery.open(made / "gallery")
    exact = [hit for hit in gallery.search(query, k=None, ratio=0) if hit.image in (2, 5, 8)]
    (hits,) = Approximate(gallery, naming(2, 5, 8)).search_many([query], 10, 0)
    for hit, other in zip(hits, exact, strict=True):
        same(hit, other)
    assert [hit.rank for hit in hits] == [1, 2, 3]


def test_as_many_images_are_looked_at_again_as_by_exact_search(made):
    """A share of the gallery, not of the few that were found."""
    gallery = Gallery.open(made / "gallery")
    (hits,) = Approximate(gallery, naming(*range(1, IMAGES))).search_many(["exit"], IMAGES, 0.5)
    assert [hit.probability is None for hit in hits].count(False) == 5  # of 9


def test_an_explanation_is_that_of_exact_search(made):
    gallery = Gallery.open(made / "gallery")
    approximate = Approximate(gallery, naming(2, 5))
    for image in (5, 7):  # found, and not
        why, exact = (one.explain(QUERIES[1], image, ratio=0) for one in (approximate, gallery))
        same(why.hit, exact.hit)
        torch.testing.assert_close(why.values, exact.values)
        assert [one.word for one in why.words] == ["one", "way"]


def test_an_explanation_has_the_places_of_the_answer(made):
    gallery = Gallery.open(made / "gallery")
    approximate = Approximate(gallery, naming(*range(IMAGES)))
    (hits,) = approximate.search_many([QUERIES[0]], IMAGES)
    approximate.nearest = None  # it is not asked again
    for hit in hits:
        assert approximate.explain(QUERIES[0], hit.image).hit == hit


def test_more_vectors_are_asked_for_until_there_are_enough_images(made):
    gallery, asked = Gallery.open(made / "gallery"), []

    def named(space):
        def nearest(feature, count):
            asked.append((space, count))
            return torch.arange(min(VECTORS * IMAGES, 10 * len(asked)))

        return nearest

    approximate = Approximate(gallery, {space: named(space) for space in (WORD, SEVERAL)})
    for query, space in zip(QUERIES, (WORD, SEVERAL, SEVERAL, SEVERAL), strict=True):
        asked.clear()
        approximate.search_many([query], k=1, ratio=0)
        assert asked == [(space, 36), (space, 72)]  # 4 an image, then all
    gallery.names = gallery.names * 1000  # a larger one
    approximate.nearest[WORD] = lambda feature, count: asked.append(count) or torch.arange(9 * 8)
    for k, ratio, wanted in ((1, 0, 20), (30, 0, 60), (1, 0.1, 1800)):
        asked.clear()
        approximate.search_many([QUERIES[0]], k, ratio)
        assert asked[:2] == [4 * wanted, 16 * wanted]


def test_recall_counts_what_exact_search_finds(made):
    gallery = Gallery.open(made / "gallery")
    best = [hit.image for hit in gallery.search("exit", k=4, ratio=0)]
    found = recalls(Approximate(gallery, naming(*sorted(best[1:]))), [QUERIES[0]], k=4)
    assert [one.recall for one in found] == [0.75]


# The index


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@faiss
def test_an_index_finds_the_nearest_vectors(folder):
    built = lists.build(folder)
    gallery = Gallery.open(folder)
    vectors, dim = gallery.vectors.shape
    assert (built.images, built.vectors) == (IMAGES, vectors)
    approximate = Approximate.open(folder)
    texts, _ = gallery.bench.encode_texts(QUERIES)
    stored = gallery.vectors.of(torch.arange(IMAGES))
    for space in (WORD, SEVERAL):
        found = vectors_in(space, gallery.bench.model, stored)
        cosine = texts.features @ found.half().float().flatten(0, 1).T
        for text, feature in enumerate(texts.features):
            for count in (1, 5, IMAGES * vectors):
                numbers = approximate.nearest[space](feature, count)
                assert sorted(numbers.tolist()) == sorted(cosine[text].topk(count).indices.tolist())
        assert load_file(index_path(folder, space))["centres"].shape == (built.lists, dim)


def test_an_image_of_one_vector_is_scored_as_its_vector_lies(made):
    """What is looked up for the multi-word branch is what it answers where there is one vector."""
    gallery = Gallery.open(made / "gallery")
    bench, stored = gallery.bench, gallery.vectors.of(torch.arange(IMAGES))
    texts, is_word = bench.encode_texts(QUERIES[1:])
    alone = VisionEmbeddings(stored.embeddings[:, 3:4], stored.features[:, 3:4], 1)
    found = vectors_in(SEVERAL, bench.model, stored)[:, 3]
    with bench.computed_as({"multi_word_attention": "joint"}), torch.no_grad():
        scores = bench.model.score(alone, texts, is_word)
    torch.testing.assert_close(texts.features @ found.T, scores)


@faiss
def test_the_command_line_searches_by_an_index(folder, capsys):
    assert cli.main(["gallery", "build-index", str(folder)]) == 0
    assert "an index of 72 vectors, 8 an image, in 8 lists" in capsys.readouterr().out
    answers = []
    for more in ([], ["--approximate"]):
        assert cli.main(["search", str(folder), "exit", "--json", "--top", "3", *more]) == 0
        answers.append(json.loads(capsys.readouterr().out)["queries"][0]["hits"])
    assert [hit["name"] for hit in answers[0]] == [hit["name"] for hit in answers[1]]
    assert cli.main(["gallery", "recall", str(folder), "exit", "one way", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recall"] == 1 and [one["style"] for one in told["queries"]] == ["word", "phrase"]
    assert cli.main(["gallery", "recall", str(folder), "exit"]) == 0
    assert "recall at 10" in capsys.readouterr().out


@faiss
def test_an_index_is_refused_after_the_gallery_has_changed(folder, capsys):
    lists.build(folder)
    picture(folder.parent / "photos/new.png", 77)
    index_folder(folder.parent / "photos", folder, folder.parent / "checkpoint")
    with pytest.raises(UserError, match="before images came or went: run `mstar gallery build-"):
        Approximate.open(folder)
    lists.build(folder)
    assert len(Approximate.open(folder)) == IMAGES + 1


@faiss
def test_an_index_that_cannot_be_written_leaves_the_old_one(folder, monkeypatch):
    lists.build(folder)
    before, there = index_path(folder, WORD).read_bytes(), names(folder)
    monkeypatch.setattr(lists, "_write_head", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        lists.build(folder)
    assert index_path(folder, WORD).read_bytes() == before and names(folder) == there


@faiss
def test_numbers_of_an_index_are_not_trusted(folder):
    """What lies in the lists is no worse than wrong: FAISS is led nowhere by it."""
    lists.build(folder)
    path, content = index_path(folder, WORD), index_path(folder, WORD).read_bytes()
    stored = load_file(path)
    units, start, dim = stored["lists"].numpy(), 0, stored["centres"].shape[1]
    for size in stored["sizes"].tolist():  # the numbers follow the vectors of a list
        units[start + dim * size : start + (dim + 4) * size] = 0x7F7F
        start += (dim + 4) * size
    path.write_bytes(content[: -units.nbytes] + units.tobytes())
    with pytest.raises(UserError, match="names images that are not there"):
        Approximate.open(folder).search_many(["exit"], 3)
    path.write_bytes(content[: -units.nbytes] + b"\xff" * units.nbytes)  # −1, and NaN
    with pytest.raises(UserError, match="names no image at all"):
        Approximate.open(folder).search_many(["exit"], 3)
    path.write_bytes(content)
    sizes = load_file(path)["sizes"].numpy().tobytes()
    for other in (2**40, -1):
        wrong = np.array([other, *np.frombuffer(sizes, "<i8")[1:]], "<i8").tobytes()
        path.write_bytes(content.replace(sizes, wrong))
        with pytest.raises(UserError, match=r"is broken \(its lists are no lists\)"):
            Approximate.open(folder)
    path.write_bytes(content[:-8])
    with pytest.raises(UserError, match="is broken"):
        Approximate.open(folder)


def test_what_is_missing_is_said(folder, monkeypatch, capsys):
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    for command in (["gallery", "build-index", str(folder)],
                    ["gallery", "recall", str(folder), "exit"],
                    ["search", str(folder), "exit", "--approximate"]):  # fmt: skip
        assert cli.main(command) == 2
        assert "needs FAISS, which is not installed: pip install" in capsys.readouterr().err
    monkeypatch.setattr(needs, "find_spec", lambda name: name)
    assert cli.main(["search", str(folder), "exit", "--approximate"]) == 2
    assert "has no index: make one with `mstar gallery build-index" in capsys.readouterr().err


def test_a_small_gallery_is_refused_with_its_numbers(made, monkeypatch, capsys):
    monkeypatch.setattr(needs, "find_spec", lambda name: name)
    vectors = Gallery.open(made / "gallery").vectors.shape[0]
    assert cli.main(["gallery", "build-index", str(made / "gallery")]) == 2
    said = f"9 images of {vectors} vectors are {9 * vectors}, and below"
    assert said in capsys.readouterr().err


# A vector database


@pytest.fixture
def server(monkeypatch):
    """A database in this process in the place of a server."""
    qdrant = pytest.importorskip("qdrant_client", reason="an extra, `qdrant`, of 28 MB")
    client = qdrant.QdrantClient(":memory:")
    monkeypatch.setattr(database, "connect", lambda url: client)
    return client


def test_a_database_names_what_exact_search_finds(folder, server, capsys):
    url = ["--database", "http://somewhere"]
    assert cli.main(["gallery", "export", str(folder), "--to", url[1]]) == 0
    assert capsys.readouterr().out == "http://somewhere: 9 images in the collection mstar\n"
    answers = []
    for more in ([], url):
        texts = ["exit", "one way", "combined:stop+go"]
        assert cli.main(["search", str(folder), *texts, "--json", "--top", "9", *more]) == 0
        answers.append(json.loads(capsys.readouterr().out)["queries"])
    for exact, found in zip(*answers, strict=True):
        assert [hit["name"] for hit in found["hits"]] == [hit["name"] for hit in exact["hits"]]
    assert cli.main(["gallery", "recall", str(folder), "exit", "--json", *url]) == 0
    assert json.loads(capsys.readouterr().out)["recall"] == 1
    gallery = Gallery.open(folder)
    (hit,) = Approximate.open(folder, server=(server, "mstar")).search_many(["exit"], 1, 0)[0]
    (point,) = server.query_points(
        "mstar", gallery.bench.encode_texts("exit")[0].features[0].tolist(), using=WORD, limit=1
    ).points
    assert point.score == pytest.approx(hit.score, abs=1e-3)  # half precision


def test_a_collection_of_another_state_or_of_others_is_refused(folder, server):
    from qdrant_client import models

    with pytest.raises(UserError, match="there is no collection mstar: `mstar gallery export`"):
        Approximate.open(folder, server=(server, "mstar"))
    database.export(folder, server, "mstar")
    database.export(folder, server, "mstar")  # again
    picture(folder.parent / "photos/new.png", 77)
    index_folder(folder.parent / "photos", folder, folder.parent / "checkpoint")
    with pytest.raises(UserError, match="not of the gallery as it is now"):
        Approximate.open(folder, server=(server, "mstar"))
    size = models.VectorParams(size=4, distance=models.Distance.DOT)
    server.create_collection("theirs", vectors_config=size)
    with pytest.raises(UserError, match="the collection theirs holds no gallery"):
        database.export(folder, server, "theirs")
    assert server.collection_exists("theirs")


def test_an_export_that_was_stopped_is_not_searched(folder, server, monkeypatch):
    with monkeypatch.context() as stopped:
        stopped.setattr(server, "upsert", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            database.export(folder, server, "mstar")
    with pytest.raises(UserError, match="is unfinished"):
        Approximate.open(folder, server=(server, "mstar"))
    assert database.export(folder, server, "mstar") == IMAGES


def test_numbers_of_a_database_are_not_trusted(folder, server):
    from qdrant_client import models

    database.export(folder, server, "mstar")
    texts, _ = Gallery.open(folder).bench.encode_texts("exit")
    vector = texts.features[0].tolist()  # as near as can be
    server.upsert("mstar", [models.PointStruct(id=IMAGES * VECTORS, vector={WORD: vector})])
    with pytest.raises(UserError, match="names images that are not there"):
        Approximate.open(folder, server=(server, "mstar")).search_many(["exit"], 9)


def test_a_server_that_does_not_answer_is_said(folder, capsys):
    pytest.importorskip("qdrant_client", reason="an extra, `qdrant`, of 28 MB")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for command in (["gallery", "export", str(folder), "--to", url],
                    ["search", str(folder), "exit", "--database", url]):  # fmt: skip
        assert cli.main(command) == 2
        said = capsys.readouterr().err
        assert "the collection mstar cannot be used: " in said
        assert said.count("\n") == 1

"""A model on photographs in tiles: encoding, scores, matching, traces, galleries."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from mstar import MstarConfig, MstarModel, MstarProcessor, Trace
from mstar.errors import UserError
from mstar.explain.looks import query_token_count, tile_count
from mstar.hooks.record import NEEDED
from mstar.io.bench import Bench
from mstar.io.processing import character_tokenizer
from mstar.model.assignment import Place, place_of
from mstar.model.multimodal import Shared
from mstar.search.gallery import Gallery
from mstar.search.index import index_folder
from mstar.search.store import read_about
from mstar.texts import Query

V, Q = 5, 4
TEXTS = dict(text=["exit", "one way"], styles=["word", "phrase"])


@pytest.fixture(scope="module")
def tiled():
    """(model, processor) of two levels: 5 tiles."""
    torch.manual_seed(1)
    config = MstarConfig.tiny(tiles=(1, 2), initializer_range=0.2)
    return MstarModel(config).eval(), MstarProcessor.for_config(config, character_tokenizer())


@pytest.fixture(scope="module")
def photos():
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, 256, size, dtype=np.uint8)
        for size in ((48, 64, 3), (60, 30, 3), (40, 40, 3))
    ]


@pytest.fixture(scope="module")
def given(tiled, photos):
    return dict(tiled[1](images=photos, **TEXTS))


def variant(model, **fields):
    """The same weights, computed with other constants."""
    made = MstarModel(MstarConfig.tiny(tiles=(1, 2), **fields)).eval()
    made.load_state_dict(model.state_dict())
    return made


# Encoding


def test_tiles_are_encoded_as_images_of_their_own(tiled, given):
    model, pixels = tiled[0], given["pixel_values"]
    with torch.no_grad():
        images = model.encode_images(pixels, pve_steps=2)
        apart = model.encode_images(pixels.flatten(0, 1), pve_steps=2)
        alone = model.encode_images(pixels[1, 3][None], pve_steps=2)
    assert images.tiles == V and apart.tiles == alone.tiles == 1
    assert images.tokens.shape == (3, V, 256, 32) and images.features.shape == (3, 3 * V * Q, 16)
    assert images.looks[0].mask.shape == (3, V, 16, 16)
    for image in range(3):
        for index in range(3 * V * Q):
            look, tile, query = place_of(index, V, Q)
            own = apart.features[image * V + tile, look * Q + query]
            assert torch.equal(images.features[image, index], own)
            embedding = images.looks[look].embeddings[image, tile, query]
            assert torch.equal(images.embeddings[image, index], embedding)
    first = images.features[1].unflatten(0, (3, V, Q))[:, 3].flatten(0, 1)
    torch.testing.assert_close(first, alone.features[0], rtol=1e-4, atol=1e-5)
    assert torch.equal(images.tokens.flatten(0, 1), apart.tokens[:, 0])


def test_places():
    assert place_of(0, 5, 4) == Place(0, 0, 0)
    assert place_of(19, 5, 4) == Place(0, 4, 3)
    assert place_of(20, 5, 4) == Place(1, 0, 0)
    assert place_of(30, 5, 4) == Place(1, 2, 2)
    assert place_of(7, 1, 4) == Place(1, 0, 3)


def test_one_tile_is_what_an_image_was(tiled, photos):
    model, processor = tiled
    given = dict(processor(images=photos, tiles=(1,), **TEXTS))
    pairs = torch.tensor([[0, 0], [2, 1]])
    own = torch.tensor([[True, False], [False, True], [False, True]])
    with torch.no_grad():
        for extra in ({"pairs": pairs}, {"own": own}):
            found = []
            for pixels in (given["pixel_values"], given["pixel_values"][:, 0]):
                torch.manual_seed(3)
                found.append(model(**given | {"pixel_values": pixels} | extra))
            tiles, plain = found
            assert torch.equal(tiles.scores, plain.scores)
            assert torch.equal(tiles.itm_logits, plain.itm_logits)
            assert torch.equal(tiles.images.embeddings, plain.images.embeddings)
            assert tiles.loss is None or tiles.loss == plain.loss


# Scores


@pytest.mark.parametrize("semantics", ["paper", "released"])
def test_the_first_look_is_that_of_every_tile(tiled, given, semantics):
    """`first` of each preset's fields: the V·Q embeddings of look 0, and nothing else."""
    model = variant(
        tiled[0],
        semantics=semantics,
        assignment_steps="first",
        multi_word_attention="per_step",
        multi_word_scoring_steps="first",
    )
    with torch.no_grad():
        out, once = (model(**given, pve_steps=pve_steps) for pve_steps in (1, 0))
        values = model.evidence(out.images, out.texts, given["is_word"])
    assert out.similarity.cosine.shape == (3, 2, 2 * V * Q)
    assigned = out.similarity.assignment[:, 0]
    assert (assigned < V * Q).all() and torch.equal(assigned, once.similarity.assignment[:, 0])
    torch.testing.assert_close(out.scores[1], once.scores[1])  # of several words
    groups = model._groups(out.images)
    assert [group.shape[1] for group in groups] == [V * Q, V * Q]
    assert (values[1, :, V * Q :] == 0).all(), "what the score does not see counts nothing"
    torch.testing.assert_close(values[1].sum(1), torch.ones(3))
    assert (values[1, :, Q : V * Q].sum(1) > 0).all(), "every tile has a say"
    if semantics == "paper":  # words by their best cosine, whatever the look
        torch.testing.assert_close(values[0].amax(1), out.scores[0])


def test_a_better_tile_is_seen(tiled, given):
    """What the parts add can only raise a word's score over that of the whole."""
    model = tiled[0]
    with torch.no_grad():
        out = model(**given)
        whole = model(**given | {"pixel_values": given["pixel_values"][:, 0]})
    assert (out.scores[0] >= whole.scores[0] - 1e-5).all()
    assert not torch.allclose(out.scores[0], whole.scores[0])
    torch.testing.assert_close(
        out.scores[0], out.similarity.cosine[:, 0].unflatten(1, (2, V, Q)).amax((1, 2, 3))
    )


# Matching


PAIRS = torch.tensor([[0, 0], [0, 1], [1, 0], [2, 1], [2, 0]])


def test_the_matching_pass_looks_at_the_whole_and_at_the_best_tile(tiled, given):
    model = tiled[0]
    texts = [given[name] for name in ("input_ids", "attention_mask")]
    with torch.no_grad():
        out = model(**given, pairs=PAIRS)
        tiles = model.matched_tiles(out.images, out.texts, given["is_word"])
        best = out.similarity.cosine[:, 0].argmax(1)
        assert tiles.shape == (2, 3, 2) and (tiles[..., 0] == 0).all()
        assert tiles[0, :, 1].tolist() == [place_of(int(i), V, Q).tile for i in best]
        for (image, text), found in zip(PAIRS.tolist(), out.itm_logits, strict=True):
            one = [part[text : text + 1] for part in texts]
            each = torch.cat(
                [
                    model.match(out.images.tokens[image, tile][None, None], *one)
                    for tile in tiles[text, image].tolist()
                ]
            )
            assert each.shape == (2, 2)
            larger = (each[:, 1] - each[:, 0]).argmax()
            torch.testing.assert_close(found, each[larger], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("passes", [1, 2])
def test_pairs_that_share_rows_are_matched_as_if_they_did_not(tiled, given, passes):
    """`pairs=`: keys and values once a row; the same bits where no row has two pairs."""
    model = tiled[0]
    text = torch.tensor([0, 1, 0, 1, 1, 0])
    texts = [given[name][text] for name in ("input_ids", "attention_mask")]
    with torch.no_grad():
        rows = model.encode_images(given["pixel_values"], 0).tokens.flatten(0, 1)[:6]
        generator = torch.Generator().manual_seed(0)
        shared = torch.randint(0, 6, (6, passes), generator=generator)
        shared[:3, 0] = 2  # three pairs at one row, and some rows have none
        permuted = torch.stack([torch.randperm(6, generator=generator) for _ in range(passes)], 1)
        for pairs in (shared, permuted, torch.arange(6)[:, None].expand(-1, passes)):
            expected = model.match(rows[pairs], *texts)
            found = model.match(rows, *texts, pairs=pairs)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
            alone = passes == 1 and pairs is not shared
            assert not alone or torch.equal(found, expected)


def test_what_pairs_share_is_dealt_out_and_back():
    rows = torch.tensor([2, 0, 2, 2, 0])
    shared = Shared.of(rows, 4)
    assert (shared.slots.tolist(), shared.most) == ([0, 0, 1, 2, 1], 3)
    query = torch.randn(5, 2, 3, 4)
    joined = shared.joined(query)
    assert joined.shape == (4, 2, 9, 4)
    assert torch.equal(joined[2, :, 3:6], query[2]) and not joined[1].any() and not joined[3].any()
    assert torch.equal(shared.apart(joined), query)


def test_rows_that_pairs_share_have_the_gradient_of_all_of_them(tiled, given):
    model = tiled[0]
    texts = [given[name][[0, 1, 0]] for name in ("input_ids", "attention_mask")]
    pairs = torch.tensor([[0, 2], [0, 1], [1, 1]])
    gradients = []
    for shared in (True, False):
        rows = torch.randn(3, 256, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
        if shared:
            logits = model.match(rows, *texts, pairs=pairs)
        else:
            logits = model.match(rows[pairs], *texts)
        (slope,) = torch.autograd.grad(logits.softmax(1)[:, 1].sum(), rows)
        gradients.append(slope)
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-7)
    assert gradients[0].flatten(1).any(1).sum() >= 2


def test_losses_of_tiles_reach_every_part(tiled, given):
    model = variant(tiled[0])
    own = torch.tensor([[True, False], [False, True], [True, True]])
    out = model(**given, own=own)
    assert out.itm_logits.shape[1] == 2 and torch.isfinite(out.loss)
    out.loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters()
               if p.requires_grad)  # fmt: skip


def test_unknown_pairs_that_are_none_change_nothing(tiled, given):
    model = tiled[0]
    own = torch.tensor([[True, False], [False, True], [True, True]])
    losses = []
    for unknown in (None, torch.zeros(3, 2, dtype=torch.bool), own):  # what is right stays so
        torch.manual_seed(0)
        with torch.no_grad():
            losses.append(model(**given, own=own, unknown=unknown).loss)
    assert losses[0] == losses[1] == losses[2]


def test_without_matching_the_loss_is_l_c(tiled, given):
    own = torch.tensor([[True, False], [False, True], [True, True]])
    with torch.no_grad():
        out = tiled[0](**given, own=own, matching=False)
    assert out.matching_loss is None and out.loss == out.contrastive_loss


# Traces


def test_hooks_hear_an_axis_of_tiles(tiled, given, tmp_path):
    model = tiled[0]
    out, trace = model.run_with_trace({**given, "pve_steps": 1, "pairs": PAIRS}, "*")
    assert trace["vision.tokens"].shape == (3, V, 256, 32)
    assert trace["pve.1.layers.2.cross_attention"].shape == (3, V, 2, Q, 256)
    assert trace["pve.0.mask"].shape == (3, V, 16, 16)
    assert trace["itm.layers.2.cross_attention"].shape == (5, 2, 2, Q, 256)
    assert trace["itm.logits"].shape == (5, 2) and trace["mim.similarity"].shape == (
        3,
        2,
        2 * V * Q,
    )
    assert (tile_count(trace), query_token_count(trace)) == (V, Q)
    with torch.no_grad():
        plain = model(**given, pve_steps=1, pairs=PAIRS)
    assert torch.equal(out.images.looks[1].mask, trace["pve.1.mask"])
    torch.testing.assert_close(out.itm_logits, plain.itm_logits, rtol=1e-4, atol=1e-5)
    assert torch.equal(trace.boxes, given["tile_boxes"])
    loaded = Trace.load(trace.save(tmp_path))
    assert torch.equal(loaded.boxes, trace.boxes) and loaded.axes("pve.0.mask")[1] == "tile"


def test_a_hook_on_one_tile_leaves_the_others(tiled, given):
    model = tiled[0]

    def nothing(tokens, *, point):
        tokens = tokens.clone()
        tokens[:, 2] = 0
        return tokens

    with torch.no_grad():
        before = model(**given).images
        with model.hooks({"vision.tokens": nothing}):
            after = model(**given).images
    before, after = (one.features.unflatten(1, (2, V, Q)) for one in (before, after))
    others = [0, 1, 3, 4]
    torch.testing.assert_close(after[:, :, others], before[:, :, others], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(after[:, :, 2], before[:, :, 2])


def test_a_trace_of_tiles_has_to_know_where_they_lie(tiled, given):
    nowhere = {name: value for name, value in given.items() if name != "tile_boxes"}
    with pytest.raises(ValueError, match="have 5 tiles each and nothing says where they lie"):
        tiled[0].run_with_trace(nowhere, "scores")
    nowhere["pixel_values"] = nowhere["pixel_values"][:, :1]
    _, trace = tiled[0].run_with_trace(nowhere, "scores")
    assert trace.boxes.tolist() == [[[0, 0, 1, 1]]] * 3


# Galleries


def test_a_gallery_of_tiles(tiled, photos):
    model, processor = tiled
    gallery = Gallery.embed(Bench(model, processor), photos, batch_size=2)
    inputs = processor(images=photos, text=["exit"], styles=["word"])
    with torch.no_grad():
        out = model(**inputs, pairs=torch.tensor([[i, 0] for i in range(3)]))
    hits = gallery.search("exit", ratio=1.0)
    matched = out.itm_logits.softmax(-1)[:, 1]
    for hit in hits:
        assert hit.probability == pytest.approx(float(matched[hit.image]), abs=1e-5)
        best = int(out.similarity.cosine[hit.image, 0].argmax())
        assert (hit.look, hit.tile, hit.query_token) == place_of(best, V, Q)
        assert hit.cosine == pytest.approx(float(out.scores[0, hit.image]), abs=1e-5)
    for query, kind in (("exit", "cosine"), ("one way out", "weight")):
        why = gallery.explain(query, 1)
        assert why.kind == kind and why.values.shape == (2, V, Q)
        chosen = why.values[why.hit.look, why.hit.tile, why.hit.query_token]
        assert chosen == why.values.max()
        assert tile_count(why.trace) == V and set(why.trace) >= {"pve.1.mask", "mim.similarity"}
    for word in why.words:
        assert 0 <= word.tile < V and 0 <= word.query_token < Q and 0 <= word.look < 2
    coarse = Gallery.embed(Bench(model, processor), photos, tiles=(1,))
    assert coarse.tiles == (1,) and coarse.explain("exit", 0).values.shape == (2, 1, Q)


@pytest.fixture(scope="module")
def folder(tiled, photos, tmp_path_factory):
    """A checkpoint, a folder of pictures, and the gallery that an index of them is."""
    place = tmp_path_factory.mktemp("tiled")
    for part in tiled:
        part.save_pretrained(place / "checkpoint")
    (place / "photos").mkdir()
    for number, photo in enumerate(photos):
        Image.fromarray(photo).save(place / "photos" / f"{number}.png")
    index_folder(place / "photos", place / "gallery", place / "checkpoint", batch_size=2)
    return place


def test_a_gallery_of_tiles_on_disk(tiled, photos, folder):
    about = read_about(folder / "gallery")
    assert about.tiles == (1, 2) and "T = 1, tiles 1, 2" in about.made_with
    stored = Gallery.open(folder / "gallery")
    assert stored.tiles == (1, 2) and stored.pve_steps == 1
    fresh = Gallery.embed(Bench(*tiled), photos)
    queries = [Query("exit", "word"), Query("one way", "phrase")]
    torch.testing.assert_close(stored.scores(queries), fresh.scores(queries), atol=2e-3, rtol=0)
    hit, expected = (one.search("exit", ratio=1.0)[0] for one in (stored, fresh))
    assert hit.image == expected.image and hit.name == f"{hit.image}.png"
    assert hit.probability == pytest.approx(expected.probability, abs=1e-3)
    assert stored.explain("exit", hit.name).values.shape == (2, V, Q)
    again = index_folder(folder / "photos", folder / "gallery", folder / "checkpoint")
    assert (again.kept, again.embedded) == (3, 0)


def test_a_gallery_of_other_tiles_is_refused(folder):
    with pytest.raises(ValueError, match=r"T = 1, tiles 1, 2, not with .*, T = 1, tiles 1: give a"):
        index_folder(folder / "photos", folder / "gallery", folder / "checkpoint", tiles=(1,))
    coarse = index_folder(folder / "photos", folder / "one", folder / "checkpoint", tiles=(1,))
    assert coarse.embedded == 3 and Gallery.open(folder / "one").tiles == (1,)


@pytest.mark.parametrize(
    ("key", "form", "change"),
    [("tiles", 1, "images had tiles"), ("pve_steps", 2, "`steps` became `pve_steps`")],
)
def test_a_gallery_of_an_older_version_is_refused(folder, tmp_path, key, form, change):
    about = json.loads((folder / "gallery" / "gallery.json").read_text())
    value = about.pop(key)
    about |= {"format": form} | ({"steps": value} if key == "pve_steps" else {})
    (tmp_path / "gallery.json").write_text(json.dumps(about))
    sentence = (
        f"was made before {change}: make it anew with `mstar index` in another folder, or delete "
        "it first"
    )
    for attempt in (
        lambda: Gallery.open(tmp_path),
        lambda: index_folder(folder / "photos", tmp_path, folder / "checkpoint"),
    ):
        with pytest.raises(UserError, match=sentence):
            attempt()


def test_what_a_trace_of_a_search_needs_is_small(tiled, given):
    _, trace = tiled[0].run_with_trace(given, list(NEEDED))
    assert "vision.tokens" not in trace

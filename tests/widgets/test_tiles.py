"""Pictures of an image in several tiles; of one tile they say nothing of tiles."""

import base64
import io
import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mstar.explain.assignment import explain_words
from mstar.explain.looks import canvas, query_token_count, together
from mstar.model.assignment import place_of
from mstar.search.gallery import Hit
from mstar.widgets import AssignmentInspector, Compare, MaskLab, MultiWordView, PveExplorer, figures
from mstar.widgets.sprites import Scale

ROWS, COLUMNS = 20, 27  # 16 tokens over 0.8 of the height and 0.6 of the width


def pictures(r) -> dict:
    return {
        "looks": figures.looks(r.trace),
        "heads": figures.heads(r.trace, explain_words(r.trace)),
        "words": figures.words(r.trace),
        "explore": figures.explore(r.trace, r.words),
        "assignment": figures.assignment(r.trace),
        "multi_word": figures.multi_word(r.trace),
        "compare": figures.compare((r.trace, r.trace), ("a", "b")),
    }


def decoded(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def cell(picture, table: str, state: dict) -> np.ndarray:
    """The bytes of a map as they stand in the sprite."""
    found = picture.tables[table]
    row, column = divmod(found.at(state), found.sprite.columns)
    high, wide = (side + 2 * found.sprite.frame for side in found.sprite.cell)
    drawn = np.asarray(decoded(found.sprite.uri))[row * high :, column * wide :]
    return drawn[1 : high - 1, 1 : wide - 1]


STATE = {"look": "0", "against": "1", "tile": "all", "layer": "mean", "head": "mean",
         "query_token": "mean"}  # fmt: skip


def test_with_one_tile_nothing_is_said_of_tiles(recorded):
    for name, picture in pictures(recorded).items():
        assert not re.search(r"\btiles?\b", picture.body), name
        assert "mv-place" not in picture.body, name
        assert all("box" not in table.plain() for table in picture.tables.values()), name
        assert "part" not in picture.images and "shift" not in picture.images, name


def test_maps_of_all_tiles_lie_on_the_canvas(tiled):
    assert canvas(tiled.trace) == (ROWS, COLUMNS)
    shown = pictures(tiled)
    assert decoded(shown["looks"].images["map"]).size == (2 * (COLUMNS + 2), ROWS + 2)
    for name in ("explore", "multi_word", "compare"):
        assert shown[name].tables["map"].sprite.cell == (ROWS, COLUMNS), name
    for name, table in (("explore", "part"), ("assignment", "map")):
        assert shown[name].tables[table].sprite.cell == (16, 16), name
    assert f'viewBox="0 0 {COLUMNS} {ROWS}"' in shown["looks"].body


def test_all_maps_of_the_explorer_share_one_colour_range(tiled):
    picture = figures.explore(tiled.trace)
    attention = tiled.trace["pve.0.attention_map"][0]
    whole = together(tiled.trace, attention).numpy() * ROWS * COLUMNS
    single = attention[3].numpy() * 256
    drawn = [cell(picture, "map", STATE), cell(picture, "part", STATE | {"tile": "3"})]
    (top,) = set(re.findall(r"Colour scale from 0, dark, to ([\d.]+) times", picture.body))
    scale = Scale(float(top), False)
    for expected, bytes_ in zip((whole, single), drawn, strict=True):
        assert np.abs(scale.bytes(expected).astype(int) - bytes_).max() <= 1


def test_a_single_tile_is_drawn_where_it_lies_and_named(tiled):
    picture = figures.explore(tiled.trace)
    part = picture.tables["part"].plain()
    for tile, box in enumerate(tiled.trace.boxes[0].tolist()):
        at = picture.tables["part"].at(STATE | {"tile": str(tile)})
        left, top, wide, high = (
            float(share) / 100
            for share in re.findall(r":([\d.]+)%", part["boxes"][part["box"][at]])
        )
        assert (left, top, left + wide, top + high) == pytest.approx(box, abs=1e-4)
        assert part["says"][at].startswith(f"tile {tile}, highest ")
        assert "Salient region of look 0: " in picture.body
        assert re.search(rf"Mask after look 1: \d+% of tile {tile} is still", picture.body)
    assert '<option value="0">0 (whole)</option>' in picture.body
    assert picture.tables["part"].at(STATE) is None


def test_a_token_is_drawn_where_it_looked(tiled):
    """Attention on one token of one tile alone, of a photograph that is wider than high."""
    tensors, tile, row, column = dict(tiled.trace.tensors), 3, 4, 11
    for name in [name for name in tensors if "attention_map" in name or "cross_att" in name]:
        value = torch.full_like(tensors[name], 1e-6)
        if name.endswith("attention_map"):
            value[:, tile, row, column] = 1
        else:
            value[:, tile, ..., row * 16 + column] = 1
        tensors[name] = value
    trace = replace(tiled.trace, tensors=tensors)
    left, top, right, bottom = trace.boxes[0, tile].tolist()
    x, y = left + (column + 0.5) / 16 * (right - left), top + (row + 0.5) / 16 * (bottom - top)
    for picture in (figures.explore(trace), figures.compare((trace, trace), ("a", "b"))):
        drawn = cell(picture, "map", STATE | {"run": "0"})
        peak = np.unravel_index(drawn.argmax(), drawn.shape)
        assert peak == (int(y * ROWS), int(x * COLUMNS))
        bright = np.argwhere(drawn > drawn.max() / 2)  # a token is as large as a cell
        assert (np.ptp(bright, axis=0) <= 1).all()
    drawn = cell(figures.explore(trace), "part", STATE | {"tile": str(tile)})
    assert np.unravel_index(drawn.argmax(), drawn.shape) == (row, column)


def test_which_tile_answered_is_said_wherever_look_and_query_are(tiled):
    shown = pictures(tiled)
    queries = query_token_count(tiled.trace)
    for row, index in zip(
        explain_words(tiled.trace),
        tiled.trace["mim.assignment"][0].tolist(),
        strict=True,
    ):
        if row.kind == "assigned":
            assert (row.look, row.tile, row.query_token) == place_of(index, 5, queries)
        here = f"look {row.look}, tile {row.tile}, query token {row.query_token}"
        there = f"query token {row.query_token} of look {row.look}, tile {row.tile}"
        assert here in shown["words"].body and here in shown["compare"].body
        assert there in shown["words"].body
        assert there.replace(" of ", " at ") in shown["heads"].body
        if row.kind == "assigned":
            assert there in shown["assignment"].body
        else:
            assert "The largest single weight: " in shown["multi_word"].body
    says = shown["multi_word"].tables["most"].says
    assert all(re.fullmatch(r"query token \d of look \d, tile \d, \d+\.\d%", said) for said in says)
    hit = Hit(0, "a", 1, 0.5, 1, 0.5, None, 1, 3, 2)
    found = [figures.search([tiled.photo], ["a"], "a", "a", [hit], tiles=n).body for n in (1, 5)]
    assert "1, query token 2" in found[0] and "1, tile 3, query token 2" in found[1]


def test_the_matrix_has_the_columns_that_matter_and_says_how_many_it_has_not(tiled, monkeypatch):
    monkeypatch.setattr(sys.modules["mstar.widgets.figures.assignment"], "_MOST", 9)
    inspector = AssignmentInspector(tiled.trace)
    body, table = inspector.picture.body, inspector.picture.tables["map"]
    (shown,) = table.blocks[0].by.values()
    assigned = tiled.trace["mim.assignment"][0, :3].tolist()
    assert {str(index) for index in assigned} <= set(shown) and len(shown) >= 9
    assert f"{2 * 5 * 4 - len(shown)} embeddings that are near no word are left out" in body
    assert body.count('role="gridcell"') == 3 * len(shown)
    assert inspector.embedding == assigned[0]
    for index, said in zip(shown, table.says, strict=True):
        place = place_of(int(index), 5, 4)
        assert said.startswith(
            f"query token {place.query_token} of look {place.look}, tile {place.tile}, high"
        )


def test_bars_of_a_longer_text_are_tiles(tiled):
    picture = figures.multi_word(tiled.trace)
    weights = tiled.trace["mim.aggregator_attention"][0, 3].mean(0)
    says = picture.tables["weights"].says[0].split()
    assert len(says) == 2 * 5
    np.testing.assert_allclose(
        np.array(says, float), 100 * weights.view(10, 4).sum(1).numpy(), atol=0.06
    )
    assert "tile 4 of look 1: " in picture.body


def test_numbers_of_a_tile_are_of_that_tile(tiled):
    picture = figures.explore(tiled.trace, tiled.words)
    share, mask = (tiled.trace[f"pve.{t}"][0].numpy() for t in ("1.attention_map", "0.mask"))
    by_tile = (share * mask).sum((1, 2))
    left = picture.tables["left"]
    state = STATE | {"look": "1"}
    for tile, expected in (("all", by_tile.mean()), ("2", by_tile[2])):
        assert left.says[left.at(state | {"tile": tile})] == f"{expected:.0%}"
    word = picture.tables["word0"]  # even attention would find as much as there is
    assert word.says[word.at(state | {"tile": "0"})] != "0%"


def test_pages_stay_small_and_say_what_they_lack(tiled):
    trace = tiled.bench.trace(tiled.photo, tiled.queries, tiles=(1, 2, 3))
    large = replace(tiled, trace=trace)
    assert canvas(large.trace) == (22, 37)
    for name, picture in pictures(large).items():
        assert len(picture.markup) < 500_000, name
    picture = figures.explore(large.trace)
    assert (
        "14 tiles" in picture.body
        and "single heads are left out but for query tokens" in picture.body
    )
    assigned = place_of(int(large.trace["mim.assignment"][0, 0]), 14, 4)
    own = {
        "look": str(assigned.look),
        "tile": str(assigned.tile),
        "query_token": str(assigned.query_token),
    }
    part, heads = picture.tables["part"], {"layer": "2", "head": "1"}
    assert part.at(STATE | own | heads) != part.at(STATE | own)


def test_a_run_with_larger_tiles_has_the_maps_of_texts_alone(tiled, monkeypatch):
    monkeypatch.setattr(sys.modules["mstar.widgets.figures.explore"], "_PIXELS", 2000)
    picture = figures.explore(tiled.trace)
    assert "the query tokens that no text has are left out" in picture.body
    assert 'data-lacks="map part"' in picture.body
    weights = tiled.trace["mim.aggregator_attention"][0].mean(1).argmax(-1).tolist()
    index = tiled.trace["mim.assignment"][0].tolist()
    shown = {place_of(a if a >= 0 else w, 5, 4) for a, w in zip(index, weights, strict=True)}
    for look in range(2):
        for tile in range(5):
            for query in range(4):
                state = STATE | {"look": str(look), "tile": str(tile), "query_token": str(query)}
                there = picture.tables["part"].at(state) is not None
                assert there == ((look, tile, query) in shown)
    explorer = PveExplorer(tiled.trace)
    explorer.tile, explorer.query_token = 2, 3
    drawn = explorer.picture
    state = STATE | {"tile": "2", "query_token": "3", "look": "1", "layer": "0", "head": "1"}
    share = tiled.trace["pve.1.layers.0.cross_attention"][0, 2, 1, 3]
    said = drawn.tables["part"].says[drawn.tables["part"].at(state)]
    assert said == f"tile 2, highest {share.max() * 256:.1f} × even"
    assert drawn.start["tile"] == "2"


def test_runs_of_other_tiles_are_compared_on_the_finer_canvas(recorded, tiled):
    one = recorded.trace
    picture = Compare((one, tiled.trace), ("1", "1 2")).picture
    coarse = cell(picture, "map", STATE | {"run": "0"})
    assert coarse.shape == (ROWS, COLUMNS)
    attention = one["pve.0.attention_map"][0, 0].numpy()
    rows, columns = np.arange(ROWS) * 16 // ROWS, np.arange(COLUMNS) * 16 // COLUMNS
    laid = attention[rows[:, None], columns]
    assert (np.diff(coarse.ravel()[laid.ravel().argsort()].astype(int)) >= 0).all()


def test_a_region_of_the_lab_is_one_of_the_photograph(tiled):
    lab = MaskLab(tiled.bench, tiled.photo, tiled.queries)
    assert f'viewBox="0 0 {COLUMNS} {ROWS}"' in lab.markup
    below = [row * COLUMNS + column for row in range(17, ROWS) for column in range(COLUMNS)]
    lab.action, lab.region = "mask", below
    mask = lab.run()["pve.0.mask"][0]
    # upper parts end above it, and lower ones are less high than the whole
    assert ((mask == 0).sum((1, 2)) == torch.tensor([2, 0, 0, 3, 3]) * 16).all()
    assert "counted as seen" in lab.markup
    lab.action = "cover"
    after = lab.run()
    changed = [
        not torch.equal(after["pve.0.attention_map"][0, v], lab.before["pve.0.attention_map"][0, v])
        for v in range(5)
    ]
    assert changed == [True, False, False, True, True]
    lab.region = [ROWS * COLUMNS]
    lab.asked("run")
    assert f"tokens 0 to {ROWS * COLUMNS - 1}; got {ROWS * COLUMNS}" in lab.markup


def test_every_view_opens_and_is_plain_json(tiled):
    for view in (
        PveExplorer(tiled.trace, tiled.words, tile=4),
        AssignmentInspector(tiled.trace),
        MultiWordView(tiled.trace),
    ):
        html = view.picture.html
        assert not re.search(r"https?:|\sid=|@import", html) and "<b>way</b>" not in html
        json.dumps({name: table.plain() for name, table in view.picture.tables.items()})
        view.close()

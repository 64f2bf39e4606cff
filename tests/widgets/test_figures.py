"""Pictures: what they show, that they escape what they are given, that they can be shown twice."""

import base64
import io
import re
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mstar import Trace
from mstar.evaluate.metrics import Estimate
from mstar.explain.assignment import Evidence, explain_words
from mstar.explain.attribution import Attribution
from mstar.search.ranking import rank
from mstar.texts import Query
from mstar.widgets import figures, sprites
from mstar.widgets.sprites import Scale, Signed

QUERIES = [Query("<b>exit</b>", "word"), Query("way", "word"), Query("one way", "phrase")]


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.new("RGB", (200, 100), "red")


@pytest.fixture(scope="module")
def trace(recorded, photo) -> Trace:
    return recorded.bench.trace(photo, QUERIES)


def all_pictures(trace, photo):
    places = [rank(torch.tensor([0.2, 0.9, 0.5]), 2) for _ in QUERIES]
    return {
        "looks": figures.looks(trace),
        "attributions": figures.attributions(
            "Evidence",
            photo,
            [
                {
                    method: Attribution(method, QUERIES[0], 0.5, values)
                    for method, values in (
                        ("grad_cam", torch.eye(8)),
                        ("<i>other</i>", -torch.eye(8)),
                    )
                }
            ],
            [np.eye(8) > 0],
        ),
        "heads": figures.heads(trace, explain_words(trace)),
        "words": figures.words(trace),
        "ranks": figures.ranks(QUERIES, places, [photo] * 3, 2, {QUERIES[0]: [1]}),
    }


def test_pictures_need_nothing_and_can_be_shown_twice(trace, photo):
    for name, picture in all_pictures(trace, photo).items():
        html = picture._repr_html_()
        assert not re.search(r"https?:|\sid=|@import", html), name
        assert html.count("<script>") == html.count("</script>") == 1
        assert "<b>exit</b>" not in html, name
        assert "<figcaption>" in html


def test_a_map_without_evidence_says_so(trace, photo):
    html = all_pictures(trace, photo)["attributions"]._repr_html_()
    assert "Grad-CAM: largest at row 1, column 1 of the grid" in html
    assert "other&lt;/i&gt;: no evidence for it anywhere" in html
    with pytest.raises(ValueError, match="at least one query"):
        figures.attributions("Evidence", photo, [])


def test_a_caption_says_how_to_read_each_picture(trace, photo):
    for name, picture in all_pictures(trace, photo).items():
        captions = re.findall(r'class="mv-caption"[^>]*>([^<]+)<', picture.body)
        assert captions and all(len(caption) > 80 for caption in captions), name


def test_the_looks_show_what_the_trace_holds(trace):
    picture = figures.looks(trace)
    salient = trace["pve.1.salient"][0]
    assert f"Salient region of look 1: {salient.float().mean():.0%} of the image." in picture.body
    assert picture.ratio == 2
    decoded = png(picture.images["map"])
    assert decoded.size == (2 * 18, 18)  # two looks of 16 × 16 tokens, a pixel of frame around each
    peak = np.unravel_index(int(trace["pve.0.attention_map"][0].argmax()), (16, 16))
    brightness = np.asarray(decoded.convert("L"))[1:17, 1:17]
    assert brightness[peak] == brightness.max()


def test_heads_say_what_is_left_out(trace):
    evidence = explain_words(trace)
    picture = figures.heads(trace, evidence)
    shown = {(row.look, row.tile, row.query_token) for row in evidence}
    assert picture.body.count("<option") == 2 + len(shown) + 2  # and maps as blocks or smooth
    assert f"{8 - len(shown)} embeddings that no text has are in the means only" in picture.body
    assert picture.body.count('class="mv-pick"') == 2 * 2  # layers with cross-attention × heads


def test_heads_of_a_large_model_stay_within_their_budget(photo):
    noise = torch.rand(1, 1, 12, 64, 50 * 50, generator=torch.manual_seed(0)).softmax(-1)
    names = [f"pve.{t}.layers.{layer}.cross_attention" for t in (0, 1) for layer in range(0, 12, 2)]
    large = Trace(dict.fromkeys(names, noise), (50, 50), 1, photos=[photo])
    evidence = [Evidence(f"w{q}", "word", "assigned", 1, 0, q, 0.5, 0.1, 0.5) for q in range(10)]
    for budget in (300_000, 160_000):  # the second takes several rounds of leaving out
        picture = figures.heads(large, evidence, budget=budget)
        assert 100_000 < len(picture.markup) <= budget
        left_out = 12 - (picture.body.count("<option") - 2)  # without blocks or smooth
        assert f"{left_out} more choices are left out" in picture.body
        assert f"{2 * 64 - 10} embeddings that no text has" in picture.body


def test_words_of_no_embedding_are_named_as_such(trace):
    taken = {"mim.assignment": torch.tensor([[3, -1, -1]])}
    many = replace(trace, tensors=trace.tensors | taken)
    kinds = [row.kind for row in explain_words(many)]
    assert kinds == ["assigned", "none", "weighted"]
    assert "fewer vision embeddings than words" in figures.words(many).body


def test_this_image_is_shown_even_when_it_ranks_last(photo):
    place = rank(-torch.arange(9.0), 8)
    body = figures.ranks([Query("a", "word")], [place], [photo] * 9, 8, {}).body
    assert "9 of 9" in body and body.count("mv-thumb") == 5
    assert re.search(r"Rank 9, this image\.", body)


def test_a_scale_covers_all_maps_or_says_that_it_does_not():
    maps = np.ones((2, 4, 4))
    maps[1, 0, 0] = 7
    whole, most = Scale.of(maps, quantile=1), Scale.of(maps, quantile=0.9)
    assert whole.top >= 7 and not whole.clipped
    assert most.top < 7 and most.clipped
    assert whole.bytes(maps).max() <= 255 and whole.bytes(np.zeros(1))[0] == 0


def test_a_scale_of_differences_names_both_directions():
    for top, said in ((0.1, ["−0.1", "0", "+0.1"]), (12.0, ["−12", "0", "+12"])):
        assert [text for _, text in Signed(top).ticks()] == said


def test_a_sprite_cell_is_where_its_style_says():
    maps = np.random.default_rng(0).random((15, 3, 5))
    scale = Scale.of(maps, quantile=1)
    sprite = sprites.map_sprite(maps, scale)
    picture = png(sprite.uri)
    for index in (0, 11, 14):
        shares = re.findall(r"([\d.]+)%", sprite.style(index))
        width, height, x, y = (float(share) / 100 for share in shares)
        # CSS: a position of p % lays p % of the picture over p % of the box
        left, top = x * (width - 1) * 5, y * (height - 1) * 3
        assert (width * 5, height * 3) == pytest.approx(picture.size)
        cell = np.asarray(picture)[round(top) :, round(left) :][:3, :5]
        np.testing.assert_array_equal(cell, scale.bytes(maps[index]))


def test_the_colour_map_grows_lighter_all_the_way():
    red, green, blue = sprites.inferno().astype(float).T
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert (np.diff(luminance) > -0.5).all() and luminance[-1] - luminance[0] > 230


def test_region_paths_enclose_the_region():
    region = np.zeros((3, 4), bool)
    region[1, 1:3] = True
    assert sprites.filling(region) == "M1 1h2v1h-2z"
    assert sprites.outline(region).count("M") == 6  # the border of two cells side by side
    assert sprites.hatching(region) == "M1 2l1 -1M2 2l1 -1"


def png(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_an_interval_stands_where_its_scale_says():
    values = {"run": Estimate(75, 50, 100, 30), "zero": Estimate(0, 0, 0, 30)}
    body = figures.scores("MAP", "Of two.", {"all": values}).body
    dots = re.finditer(r'<circle cx="([\d.]+)"', body)
    lines = re.finditer(r'<path d="M([\d.]+) [\d.]+H([\d.]+)"/>', body)
    (x, low, high), (zero, *_) = (
        (float(dot[1]), float(line[1]), float(line[2]))
        for dot, line in zip(dots, lines, strict=True)
    )
    ticks = sorted({float(at) for at in re.findall(r'd="M([\d.]+) 0V', body)})  # 0, 50, 100
    assert (zero, low, high) == tuple(ticks)
    assert x == pytest.approx((low + high) / 2, abs=0.1)
    assert "narrower" not in body
    few = figures.scores("MAP", "Of two.", {"all": {"run": Estimate(75, 50, 100, 6)}}).body
    assert "Intervals over fewer than 20 are narrower than they should be" in few


def test_precision_is_upwards_and_recall_across():
    curve = {"all": {"run": [1.0, 0.5, 0.0]}}
    body = figures.precision_recall("P by R", "One run.", [0, 0.5, 1], curve).body
    *_, path = re.findall(r'mv-line mv-line-0" d="M([^"]+)"', body)  # after the legend's
    points = [tuple(map(float, point.split())) for point in path.split("L")]
    across, down = zip(*points, strict=True)  # y counts downwards
    assert list(across) == sorted(across) and down[0] < down[1] < down[2]


def test_long_texts_of_a_table_wrap_and_numbers_do_not():
    rows = [["x", "+1.0 [−1.0, +1.0]"], ["y", "word " * 20]]
    body = figures.table("T", "C", ["a", "b"], rows).body
    assert 'class="mv-number" data-label="b">+1.0' in body
    assert 'class="mv-words" data-label="b">word' in body


def test_photographs_of_a_sheet_are_opened_one_at_a_time():
    opened = []

    class Photos(list):
        def __getitem__(self, number):
            assert sum(one() is not None for one in opened) <= 1, "more are kept than shown next"
            image = Image.new("RGB", (64, 64))
            opened.append(weakref.ref(image))
            return image

    row = figures.Ranking(Query("exit", "word"), "AP 100", range(6), [True] * 6)
    figures.queries("Q", "C", [row], Photos(), [f"n{i}" for i in range(6)])
    assert len(opened) == 6

"""STREET: what is promised of scenes near to photographs, and that their truth is true."""

import re
import subprocess
import sys
from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image

from mstar.cli import __main__ as cli
from mstar.data.areas import polygon_area
from mstar.data.lists.stream import Rendered
from mstar.data.scenes import lexicon, sandbox, scene as scenes
from mstar.data.scenes.difficulty import STREET
from mstar.data.scenes.draw import fonts, things
from mstar.data.scenes.street import (
    composition,
    grounds,
    letters,
    light,
    obstacles,
    plates,
    pose,
)
from mstar.io.decoding import UnreadableImage
from mstar.training.reading import ALPHABET

SCENES = 160


@pytest.fixture(scope="module")
def train():
    return [sandbox.scene(3, i, "train", STREET) for i in range(SCENES)]


@pytest.fixture(scope="module")
def evaluation():
    return [sandbox.scene(3, i, "test", STREET) for i in range(60)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five photographs that are none."""
    path = tmp_path_factory.mktemp("backgrounds")
    rng = np.random.default_rng(0)
    for i, shape in enumerate(((300, 500), (90, 700), (700, 90), (448, 448), (1200, 1600))):
        coarse = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(shape[::-1]).save(path / f"{i}.png")
    return path


@pytest.fixture
def painted(monkeypatch):
    """The texts of a scene without light and camera: the composition and both its pictures."""

    def draw(seed, weather=False):
        made = {}

        class Recorded(composition._Scene):
            def __init__(self, *arguments):
                super().__init__(*arguments)
                made["scene"] = self

            def obstruct(self):
                made["bare"] = self.picture.copy()
                super().obstruct()

        monkeypatch.setattr(composition, "_Scene", Recorded)
        if not weather:
            monkeypatch.setattr(light, "shine", lambda rng, picture: None)
            monkeypatch.setattr(
                light, "develop", lambda rng, picture, *_: picture.clip(0, 255).astype(np.uint8)
            )
        made["made"] = sandbox.scene(seed, 0, "train", STREET)
        return made

    return draw


def regions_of(many):
    return [region for one in many for region in one.regions]


def seen_word(region):
    return region.word not in lexicon.unseen_words()


def seen_font(region):
    return region.font not in fonts.font_names(fonts.UNSEEN)


# Streams


def test_the_same_arguments_give_the_same_scene_and_others_another(train):
    again = sandbox.scene(3, 11, "train", STREET)
    assert np.array_equal(train[11].image, again.image)
    assert (train[11].texts, train[11].styles) == (again.texts, again.styles)
    for one, other in zip(train[11].regions, again.regions, strict=True):
        assert np.array_equal(one.polygon, other.polygon)
    first, second = (sandbox.strip(5, 2, "train", STREET) for _ in range(2))
    assert np.array_equal(first.image, second.image) and first.word == second.word
    images = [one.image.tobytes() for one in train] + [
        sandbox.scene(3, 11, "test", STREET).image.tobytes(),
        sandbox.scene(4, 11, "train", STREET).image.tobytes(),
    ]
    assert len(set(images)) == len(images)


@pytest.mark.parametrize("size", [64, 448, 1024])
def test_scenes_are_448_px_or_as_large_as_is_asked(size):
    made = sandbox.scene(0, 3, "train", STREET, size=None if size == 448 else size)
    assert made.image.shape == (size, size, 3) and made.image.dtype == np.uint8
    for region in made.regions:
        assert region.size >= 0.999 * 11 * size / 448
        assert region.polygon.min() >= -0.5 and region.polygon.max() <= size + 0.5


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda _: sandbox.scene(0, 0, "train", STREET, size=450), "multiple of 32"),
        (lambda f: sandbox.scene(0, 0, backgrounds=f), "EASY is drawn flat"),
        (lambda f: sandbox.strip(0, 0, backgrounds=f), "EASY is drawn flat"),
        (lambda _: sandbox.strip(0, 0, "train", STREET, (16, 128)), "at least 32 x 128 px"),
        (lambda _: sandbox.pair(0, 0, "test", STREET), "no pairs of STREET"),
        (
            lambda f: sandbox.scene(0, 0, "train", STREET, backgrounds=f / "nowhere"),
            "There is no folder of backgrounds",
        ),
    ],
)
def test_bad_input_is_refused_with_one_clear_sentence(call, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(tmp_path)


def test_the_renderer_imports_neither_torch_nor_transformers():
    code = (
        "import sys, pkgutil, importlib, mstar.data.scenes as room\n"
        "for module in pkgutil.walk_packages(room.__path__, room.__name__ + '.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(*{'torch', 'transformers'} & {*sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


# What training may not see


def test_training_has_no_unseen_word_or_font_in_any_label(train):
    unseen = lexicon.unseen_words()
    for made in train:
        for region in made.regions:
            assert seen_word(region) and seen_font(region)
            assert region.font in fonts.font_names("hard")
        for text in made.texts:
            assert unseen.isdisjoint(re.findall("[a-z]+", text)), text
    assert unseen.isdisjoint({sandbox.strip(3, i, "train", STREET).word for i in range(200)})


def test_nothing_unseen_is_drawn_in_training_labelled_or_not(monkeypatch):
    drawn, opened = [], set()
    word, face = letters._word, fonts.face
    monkeypatch.setattr(
        letters, "_word", lambda text, *rest: (drawn.append(text), word(text, *rest))[1]
    )
    monkeypatch.setattr(fonts, "face", lambda name, size: (opened.add(name), face(name, size))[1])
    for i in range(60):
        sandbox.scene(9, i, "train", STREET, size=224)
        sandbox.strip(9, i, "train", STREET)
    assert lexicon.unseen_words().isdisjoint(one.lower() for one in drawn)
    assert not opened & set(fonts.font_names("unseen"))


def test_evaluation_has_unseen_words_and_fonts_and_numbers_count_as_seen(evaluation):
    regions = regions_of(evaluation)
    words = [region for region in regions if region.word.isalpha()]
    assert np.mean([not seen_word(region) for region in words]) == pytest.approx(0.5, abs=0.15)
    assert np.mean([not seen_font(region) for region in regions]) == pytest.approx(0.2, abs=0.12)
    assert all(seen_word(region) for region in regions if not region.word.isalpha())


# Distributions


def test_counts_sizes_and_styles(train):
    counts = [len(made.regions) for made in train]
    assert min(counts) >= 1 and max(counts) <= 11 and len(set(counts)) >= 8
    assert np.mean(counts) == pytest.approx(4.2, abs=0.9)
    sizes = np.array([region.size for region in regions_of(train)])
    assert sizes.min() >= 10.99 and sizes.max() > 90
    assert 0.3 < (sizes < STREET.small).mean() < 0.75  # heavy on small
    styles = Counter(style for made in train for style in set(made.styles))
    assert set(styles) == set(sandbox.STYLES)
    assert styles["word"] == SCENES and styles["phrase"] > 0.2 * SCENES
    assert styles["semantic"] > 0.08 * SCENES
    assert {thing for made in train for thing in made.things} == set(things.THINGS)


def test_words_cases_and_numbers(train):
    regions = regions_of(train)
    cases = Counter(
        "upper" if drawn.isupper() else "lower" if drawn.islower() else "mixed"
        for drawn in (region.drawn for region in regions)
        if drawn.isalpha()
    )
    assert min(cases.values()) > 0.08 * sum(cases.values()) and len(cases) == 3
    numbers = [region.word for region in regions if re.search("[0-9]", region.word)]
    assert 0.08 < len(numbers) / len(regions) < 0.35
    for kind in (r"[£€$]\d+(\.\d\d)?", r"\d+:\d\d", r"\d+[abc]?"):
        assert any(re.fullmatch(kind, number) for number in numbers), kind
    for made in train:
        words = [region.word for region in made.regions]
        assert len(set(words)) == len(words)
        assert all(region.drawn.lower() == region.word for region in made.regions)


def test_curved_vertical_tilted_and_hidden_words_occur_as_often_as_meant(train):
    curved = [len(region.polygon) > 4 for region in regions_of(train)]
    assert 0.015 < np.mean(curved) < 0.2
    steep = []
    for region in regions_of(train):
        if len(region.polygon) == 4:
            right = region.polygon[1] - region.polygon[0]
            steep.append(abs(np.degrees(np.arctan2(right[1], right[0]))) > 60)
    assert 0.005 < np.mean(steep) < 0.15
    squeezed = [
        min(a, b) / max(a, b)
        for a, b in (
            (np.linalg.norm(p[0] - p[3]), np.linalg.norm(p[1] - p[2]))
            for p in (region.polygon for region in regions_of(train))
            if len(p) == 4
        )
    ]
    assert 0.02 < np.mean(np.array(squeezed) < 0.8) < 0.4


def test_a_word_is_labelled_if_and_only_if_a_fifth_of_it_is_hidden_at_most(painted):
    half = gone = 0
    for seed in range(70):
        made = painted(seed)
        hidden = [
            (region.word, share)
            for one in made["scene"].placed
            for region, share in one.hidden.items()
        ]
        labelled = {region.word for region in made["made"].regions}
        assert labelled == {word for word, share in hidden if share <= 0.2}
        assert labelled >= {word for word in made["made"].texts if " " not in word}
        half += any(0 < share <= 0.2 for _, share in hidden)
        gone += any(share > 0.2 for _, share in hidden)
        assert not any(0.2 < share < 0.45 for _, share in hidden)  # nobody could say
    assert 3 <= half <= 25 and 1 <= gone <= 15


def test_what_is_left_of_a_hidden_word_and_right_of_it_is_no_phrase(painted):
    made = painted(0)
    scene = made["scene"]
    words = ("left", "gone", "right")
    square = np.zeros((4, 2))
    line = [sandbox.Region(w, w, square, 0, "Lato-Bold", 20.0, 90.0, None) for w in words]
    hidden = dict(zip(line, (0.0, 0.6, 0.1), strict=True))
    scene.placed = [obstacles.Placed([line], (0, 0), np.zeros((1, 1), np.uint8), hidden)]
    regions = scene._regions()
    assert [region.word for region in regions] == ["left", "right"]
    assert sandbox.label(np.random.default_rng(0), regions)[1].count("phrase") == 0


# Places


def side(start, end, points):
    """Distance of points to the left of the edge (outside a clockwise polygon), px."""
    along = (end - start) / np.linalg.norm(end - start)
    return (points - start) @ np.array([along[1], -along[0]])


def test_polygons_hold_what_the_text_changed_and_little_else(monkeypatch, painted):
    """The picture with ink against the picture without: all that differs is in a polygon."""
    monkeypatch.setattr(composition, "_HALF_HIDDEN_SHARE", 0.0)
    monkeypatch.setattr(composition, "_HIDDEN_SHARE", 0.0)
    monkeypatch.setattr(plates, "_style", lambda *_: "plain")
    monkeypatch.setattr(plates, "shows", lambda *_: True)  # or a plate comes instead
    lay = plates.lay
    found = 0
    for seed in range(25):
        with_ink = painted(seed)["made"]
        monkeypatch.setattr(plates, "lay", lambda *_: None)
        without = painted(seed)["made"]
        monkeypatch.setattr(plates, "lay", lay)
        assert with_ink.texts == without.texts
        changed = np.abs(with_ink.image.astype(int) - without.image).max(axis=2) > 40
        inside = np.zeros(changed.shape, np.uint8)
        for region in with_ink.regions:
            mine = pose.inside(region.polygon, *changed.shape[::-1])
            inside |= mine
            ink = np.argwhere(changed & (cv2.dilate(mine, np.ones((5, 5))) > 0))[:, ::-1] + 0.5
            if len(ink) and len(region.polygon) == 4:  # it reaches every edge
                edges = zip(region.polygon, np.roll(region.polygon, -1, axis=0), strict=True)
                for start, end in edges:
                    assert -2.6 < side(start, end, ink).max() < 2.6, (seed, region.word)
                found += 1
        assert not (changed & (cv2.dilate(inside, np.ones((5, 5))) == 0)).any(), seed
    assert found > 50


def test_a_bent_line_lies_in_its_outlines():
    for angle in (2.0, 0.6, -0.9):
        straight = letters.straight(("Quick", "jump"), "Lato-Bold", 60)
        bent = letters.bent(straight, angle)
        inside = sum(pose.inside(one, *bent.ink.shape[::-1]) for one in bent.outlines)
        assert inside.max() == 1
        assert not (bent.ink[cv2.dilate(inside, np.ones((5, 5), np.uint8)) == 0] > 40).any()
        # nearly all ink is still there, and words keep their areas
        assert int(bent.ink.sum()) == pytest.approx(int(straight.ink.sum()), rel=0.04)
        for before, after in zip(straight.outlines, bent.outlines, strict=True):
            assert polygon_area(after) == pytest.approx(polygon_area(before), rel=0.04)


def test_turned_and_stacked_words_fill_their_outlines():
    line = letters.straight(("one", "two"), "Lato-Bold", 40, spacing=0.1, stretch=1.2)
    for upwards in (True, False):
        turned = letters.turned(line, upwards)
        for one, before in zip(turned.outlines, line.outlines, strict=True):
            x0, y0 = np.round(one.min(axis=0)).astype(int)
            x1, y1 = np.round(one.max(axis=0)).astype(int)
            assert (turned.ink[y0:y1, x0:x1] > 100).any(axis=1).mean() > 0.7
            a, b = (
                np.round(before.min(axis=0)).astype(int),
                np.round(before.max(axis=0)).astype(int),
            )
            mine, theirs = turned.ink[y0:y1, x0:x1], line.ink[a[1] : b[1], a[0] : b[0]]
            assert np.array_equal(mine, np.rot90(theirs, 1 if upwards else -1))
        # read upwards, a word's top left corner lies below and its first edge goes up
        edge = turned.outlines[0][1] - turned.outlines[0][0]
        assert edge[0] == 0 and (edge[1] < 0) == upwards
    stacked = letters.stacked("TALL", "Lato-Bold", 40)
    assert stacked.ink.shape[0] > 4 * 28 and stacked.ink.shape[1] < 40


def test_a_frontal_pose_keeps_a_board_as_it_is():
    flat = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)
    corners = np.array([(0, 0), (60, 0), (60, 40), (0, 40)], float)
    homography = pose.matrix(60, 40, corners + np.array((7, 5)))
    assert np.array_equal(pose.warp(flat, homography, 90, 60)[5:45, 7:67], flat)
    assert pose.project(homography, corners[:2]).round(4).tolist() == [[7, 5], [67, 5]]
    assert polygon_area(corners) == 2400
    # OpenCV fills the pixels on the outline, too
    assert int(pose.inside(corners + 2, 90, 60).sum()) == pytest.approx(2450, abs=55)


# Ink and ground


@pytest.mark.parametrize("level", [10.0, 118.0, 128.0, 240.0])
def test_ink_differs_from_its_ground(level):
    for seed in range(20):
        ink = plates.ink_for(np.random.default_rng(seed), (level, level, level), 45.0, None)
        assert abs(float(ink @ (0.299, 0.587, 0.114)) - level) > 44


def test_words_can_be_seen_in_the_pixels(train):
    seen = []
    for made in train:
        grey = cv2.cvtColor(made.image, cv2.COLOR_RGB2GRAY)
        for region in made.regions:
            if region.size >= 24:
                inside = grey[pose.inside(region.polygon, *grey.shape[::-1]) > 0]
                low, high = np.percentile(inside, (4, 96))
                seen.append(high - low)
    assert np.percentile(seen, 3) > 15 and np.median(seen) > 60


# Photographs to stand on


def test_scenes_stand_on_the_photographs_of_a_folder(folder, tmp_path):
    made = sandbox.scene(1, 2, "train", STREET, backgrounds=folder)
    assert np.array_equal(
        made.image, sandbox.scene(1, 2, "train", STREET, backgrounds=str(folder)).image
    )
    assert not np.array_equal(made.image, sandbox.scene(1, 2, "train", STREET).image)
    assert sandbox.strip(1, 2, "train", STREET, backgrounds=folder).image.shape == (32, 128, 3)
    Image.new("RGB", (500, 300), (10, 200, 30)).save(tmp_path / "green.png")
    crop = grounds.crop(np.random.default_rng(0), tmp_path, 64, 96)
    assert crop.shape == (64, 96, 3) and (crop == (10, 200, 30)).all()


def test_photographs_are_sorted_by_name_and_kept_reduced(folder):
    found = grounds.photographs(str(folder))
    assert [path.name for path in found] == [f"{i}.png" for i in range(5)]
    assert grounds._read(str(folder / "4.png")).shape == (384, 512, 3)
    assert grounds._read.cache_info().maxsize <= 256


def test_a_broken_photograph_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(UnreadableImage, match=r"broken\.jpg cannot be read as an image"):
        sandbox.scene(0, 0, "train", STREET, backgrounds=tmp_path)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(ValueError, match="has no images"):
        Rendered(street_share=1.0, backgrounds=str(tmp_path)).open(0, 448)


# Strips, training items, galleries, the command


def test_strips_hold_one_word_that_the_reading_head_can_spell():
    words = [sandbox.strip(1, i, "train", STREET).word for i in range(150)]
    assert all(set(word) <= set(ALPHABET) for word in words)
    assert 0.03 < np.mean([word.isdigit() for word in words]) < 0.25
    assert sandbox.strip(1, 0, "train", STREET, (64, 256)).image.shape == (64, 256, 3)


def test_the_word_of_a_strip_is_whole(monkeypatch):
    outlines = []
    finish = composition._Scene.finish

    def record(self):
        outlines.append((self.placed[0].lines[0][0].polygon, (self.width, self.height)))
        return finish(self)

    monkeypatch.setattr(composition._Scene, "finish", record)
    for i in range(100):
        sandbox.strip(2, i, "train", STREET, (32, 128) if i % 2 else (48, 320))
    for outline, size in outlines:
        assert (outline >= 0).all() and (outline <= size).all()
        assert np.ptp(outline[:, 1]) > 0.3 * size[1] or np.ptp(outline[:, 0]) > 0.6 * size[0]


def test_training_items_take_size_and_backgrounds(folder):
    asked = dict(street_share=1.0, backgrounds=str(folder), topic_share=0.5, strip_size=(48, 192))
    as_drawn = np.random.default_rng(1)  # begins above one half: nothing is reversed
    item = Rendered(**asked).open(3, 448).item(8, as_drawn)
    made = sandbox.scene(3, 8, "train", STREET, topic_share=0.5, backgrounds=folder)
    assert np.array_equal(item["image"].numpy(), made.image) and item["texts"] == list(made.texts)
    strip = Rendered("strips", **asked).open(3, 448).item(8, as_drawn)
    drawn = sandbox.strip(3, 8, "train", STREET, (48, 192), folder).image
    assert np.array_equal(strip["image"].numpy(), drawn)
    assert sandbox.scene(3, 0, size=192).image.shape == (192, 192, 3)


def test_blocks_of_neighbours_hold_hard_negatives():
    block = [sandbox.scene(3, i, "train", STREET, 224, topic_share=1.0) for i in range(40)]
    lines = [
        [tuple(region.word for region in line) for line in scenes.labels.lines(made.regions)]
        for made in block
    ]
    on_things = [{(r.word, r.thing) for r in made.regions if r.thing} for made in block]
    turned = elsewhere = 0
    for start in range(0, 40, 4):
        four = [line for made in lines[start : start + 4] for line in made]
        turned += any(a != b and sorted(a) == sorted(b) for a in four for b in four)
        there = set().union(*on_things[start : start + 4])
        elsewhere += any(a == b and s != t for a, s in there for b, t in there)
    assert turned + elsewhere == 10 and turned and elsewhere


def test_a_gallery_of_street_has_queries_of_all_styles_and_complete_truth(folder):
    made = sandbox.gallery(7, STREET, images=60, seen=12, unseen=12, size=224, backgrounds=folder)
    styles = Counter(query.style for query in made.queries)
    assert styles["word"] == 24 and min(styles[style] for style in sandbox.STYLES) >= 4
    for query in made.queries:
        truth = [sandbox.matches(one, query.text, query.style) for one in made.scenes]
        assert query.relevant.tolist() == truth and any(truth)
        for i in np.flatnonzero(query.relevant):
            found = sandbox.locate(made.scenes[i], query.text, query.style)
            assert query.small[i] == (min(region.size for region in found) < 24 * 224 / 448)


def test_the_command_draws_a_sheet_on_photographs(folder, tmp_path, capsys):
    path = tmp_path / "sheet.png"
    arguments = ["sandbox", "--scenes", "2", "--out", str(path), "--difficulty", "street"]
    assert cli.main([*arguments, "--backgrounds", str(folder)]) == 0
    first = path.read_bytes()
    assert cli.main(arguments) == 0
    assert path.read_bytes() != first
    assert cli.main([*arguments, "--backgrounds", str(tmp_path / "nowhere")]) == 2
    assert "There is no folder of backgrounds" in capsys.readouterr().err

"""The sandbox: what the recipe promises of its images, and that nothing leaks into training."""

import dataclasses
import hashlib
import importlib.metadata
import re
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from mstar.data.lists.stream import Rendered, collate
from mstar.data.scenes import lexicon, sandbox, scene as scenes
from mstar.data.scenes.draw import fonts, render, things
from mstar.data.scenes.sandbox import CROWD, EASY, HARD

TRAIN_SCENES = 600  # of each of the two training difficulties
STYLES = ("word", "phrase", "combined", "semantic")


@pytest.fixture(scope="module")
def train():
    return {
        level.name: [sandbox.scene(3, i, "train", level) for i in range(TRAIN_SCENES)]
        for level in (EASY, HARD)
    }


@pytest.fixture(scope="module")
def evaluation():
    return {
        level.name: [sandbox.scene(3, i, "test", level) for i in range(count)]
        for level, count in ((EASY, 150), (HARD, 150), (CROWD, 80))
    }


@pytest.fixture(scope="module")
def small_gallery():
    return sandbox.gallery(7, HARD, images=60, seen=12, unseen=12)


def regions_of(made):
    return [region for one in made for region in one.regions]


def seen_word(region):
    return region.word not in lexicon.unseen_words()


def seen_font(region):
    return region.font not in fonts.font_names(fonts.UNSEEN)


# Streams


def test_the_same_arguments_give_the_same_scene():
    first, again = (sandbox.scene(5, 11, "train", HARD) for _ in range(2))
    assert np.array_equal(first.image, again.image)
    assert (first.texts, first.styles, first.things) == (again.texts, again.styles, again.things)
    for one, other in zip(first.regions, again.regions, strict=True):
        assert np.array_equal(one.polygon, other.polygon)
    assert np.array_equal(sandbox.strip(5, 11).image, sandbox.strip(5, 11).image)


def test_no_image_repeats_across_splits_difficulties_seeds_and_strips(train, evaluation):
    images = [made.image for part in (train, evaluation) for many in part.values() for made in many]
    images += [sandbox.scene(4, i, "train", EASY).image for i in range(50)]
    images += [
        sandbox.strip(3, i, split, EASY).image for split in ("train", "test") for i in (0, 1)
    ]
    digests = [hashlib.sha256(image.tobytes()).digest() for image in images]
    assert len(set(digests)) == len(digests)


def test_scenes_and_strips_are_rgb_bytes():
    made, strip = sandbox.scene(0, 0, size=192), sandbox.strip(0, 0, size=(48, 160))
    assert made.image.shape == (192, 192, 3) and made.image.dtype == np.uint8
    assert strip.image.shape == (48, 160, 3) and strip.image.dtype == np.uint8
    assert (made.image[..., 0] != made.image[..., 1]).any()


def test_sizes_grow_with_the_image():
    sizes = [
        r.size for i in range(30) for r in sandbox.scene(0, i, "train", EASY, size=256).regions
    ]
    assert min(sizes) >= 22 and max(sizes) > 40


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: sandbox.scene(-1, 0), "seed must be a whole number"),
        (lambda: sandbox.scene(0, 2**32), "index must be a whole number"),
        (lambda: sandbox.scene(0, 1.0), "index must be a whole number"),
        (lambda: sandbox.scene(0, 0, "validation"), "expected 'train' or 'test'"),
        (lambda: sandbox.scene(0, 0, "train", CROWD), "CROWD is for evaluation only"),
        (lambda: sandbox.scene(0, 0, "train", "easy"), "expected one of EASY, HARD, CROWD, STREET"),
        (lambda: sandbox.scene(0, 0, size=100), "multiple of 32"),
        (lambda: sandbox.strip(0, 0, size=(16, 128)), "at least 32 x 128 px"),
        (lambda: sandbox.words("test"), "expected 'train' or 'unseen'"),
        (lambda: fonts.font_names("bold"), "Unknown font role 'bold'"),
        (lambda: sandbox.contact_sheet([]), "at least one scene"),
        (lambda: sandbox.gallery(0, EASY, images=60, seen=5, unseen=20), "at least 12 seen"),
        (lambda: sandbox.gallery(0, EASY, images=30, seen=20, unseen=20), "got 30"),
        (lambda: sandbox.gallery(0, EASY, seen=20, unseen=600), "There are 560 unseen words"),
        (lambda: sandbox.matches(sandbox.scene(0, 0), "a", "letter"), "Unknown style 'letter'"),
        (
            lambda: sandbox.matches(sandbox.scene(0, 0), "stop sign", "semantic"),
            "'TEXT' on a THING",
        ),
        (lambda: things.plan(np.random.default_rng(0), "car", 9, 9, 1.0), "Unknown thing 'car'"),
    ],
)
def test_bad_input_is_refused_with_one_clear_sentence(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


# What training may not see


def test_the_lexicon_holds_560_words_out():
    seen, unseen = sandbox.words("train"), sandbox.words("unseen")
    assert (len(set(seen)), len(set(unseen))) == (5190, 560)
    assert not set(seen) & set(unseen)
    assert all(re.fullmatch("[a-z]{3,8}", word) for word in seen + unseen)


def test_training_has_no_unseen_word_in_any_label(train):
    unseen = set(sandbox.words("unseen"))
    for made in train["easy"] + train["hard"]:
        assert all(seen_word(region) for region in made.regions)
        for text in made.texts:
            found = set(re.findall("[a-z]+", text))
            assert not found & unseen, text
    assert not {sandbox.strip(3, i, "train", HARD).word for i in range(400)} & unseen


def test_training_has_no_unseen_font(train, monkeypatch):
    used = {region.font for region in regions_of(train["easy"] + train["hard"])}
    opened = set()
    face = fonts.face
    monkeypatch.setattr(fonts, "face", lambda name, size: (opened.add(name), face(name, size))[1])
    for i in range(200):
        sandbox.strip(3, i, "train", HARD)
        sandbox.scene(8, i, "train", HARD)
    assert len(opened) > 35
    assert not (used | opened) & set(fonts.font_names("unseen"))
    assert all(seen_font(region) for region in regions_of(train["hard"]))


def test_evaluation_has_unseen_words_and_unseen_fonts(evaluation):
    for made in evaluation.values():
        regions = regions_of(made)
        words, faces = (np.mean([not seen(r) for r in regions]) for seen in (seen_word, seen_font))
        assert words == pytest.approx(0.5, abs=0.12) and faces == pytest.approx(0.2, abs=0.08)
        known = {*sandbox.words("train"), *sandbox.words("unseen")}
        assert known.issuperset(region.word for region in regions)


def test_a_training_item_says_nothing_about_places():
    known = {"image", "texts", "styles", "photographed", "complete", "source"}
    scenes_, strips = (Rendered(of, hard_share=1.0).open(3, 128) for of in ("scenes", "strips"))
    as_drawn = np.random.default_rng(1)  # begins above one half: nothing is reversed
    item = scenes_.item(8, as_drawn)
    assert set(item) == known
    made = sandbox.scene(3, 8, "train", HARD)
    assert torch.equal(item["image"], torch.from_numpy(made.image))
    assert item["image"].dtype == torch.uint8
    assert (item["texts"], item["styles"]) == (list(made.texts), list(made.styles))

    strip = strips.item(8, as_drawn)
    assert set(strip) == known
    word = sandbox.strip(3, 8, "train", HARD).word
    assert (strip["texts"], strip["styles"]) == ([word], ["word"])

    batch = collate([scenes_.item(i, as_drawn) for i in range(3)])
    assert set(batch) == known
    assert batch["image"].shape == (3, 128, 128, 3)
    assert [len(texts) for texts in batch["texts"]] == [len(styles) for styles in batch["styles"]]


# Fonts


def test_the_fonts_are_12_43_and_7_different_files():
    easy, hard, unseen = (fonts.font_names(role) for role in ("easy", "hard", "unseen"))
    assert (len(easy), len(hard), len(unseen)) == (12, 43, 7)
    assert set(easy) < set(hard) and not set(hard) & set(unseen)
    assert len({font.sha256 for font in fonts.FONT_FILES}) == 50
    families = {name.split("-")[0] for name in hard} & {name.split("-")[0] for name in unseen}
    assert not families


def test_a_font_with_other_bytes_is_refused(monkeypatch):
    for name in ("Lato-Bold", "FiraMono-Regular"):
        wrong = dataclasses.replace(fonts._FILES[name], sha256="0" * 64)
        monkeypatch.setitem(fonts._FILES, name, wrong)
        with pytest.raises(ValueError, match=rf"{name} .* expected 0{{64}}: install the pinned"):
            fonts._source.__wrapped__(name)


def test_a_missing_wheel_is_named(monkeypatch):
    gone = dataclasses.replace(fonts._FILES["Lato-Bold"], package="font_nowhere")
    monkeypatch.setitem(fonts._FILES, "Lato-Bold", gone)
    with pytest.raises(ValueError, match="wheel font-nowhere, which is not installed"):
        fonts._source.__wrapped__("Lato-Bold")


def test_capitals_of_every_face_are_equally_tall():
    for name in fonts.font_names("hard") + fonts.font_names("unseen"):
        _, top, _, bottom = fonts.face(name, 100).getbbox("H", anchor="ls")
        assert bottom - top == pytest.approx(70, abs=1.5), name


# The distributions of the recipe


@pytest.mark.parametrize("level", [EASY, HARD], ids=lambda level: level.name)
def test_words_and_sizes_of_the_training_difficulties(train, level):
    made = train[level.name]
    counts = Counter(len(one.regions) for one in made)
    assert set(counts) == {1, 2, 3, 4, 5}
    assert np.mean([len(one.regions) for one in made]) == pytest.approx(2.95, abs=0.15)
    sizes = np.array([region.size for region in regions_of(made)])
    assert (sizes.min(), sizes.max()) == (11, 36)
    assert 0.4 < (sizes < sandbox.SMALL).mean() < 0.65
    for one in made:
        words = [region.word for region in one.regions]
        assert len(set(words)) == len(words)


def test_crowd_has_six_to_eight_small_words(evaluation):
    made = evaluation["crowd"]
    assert {len(one.regions) for one in made} == {6, 7, 8}
    assert {region.size for region in regions_of(made)} == set(range(11, 17))
    assert not any(one.things for one in made)


@pytest.mark.parametrize("level, threshold", [(EASY, 85), (HARD, 55), (CROWD, 85)])
def test_contrast(train, evaluation, level, threshold):
    made = (train | {"crowd": evaluation["crowd"]})[level.name]
    contrasts = np.array([region.contrast for region in regions_of(made)])
    assert contrasts.min() > threshold
    assert contrasts.min() < threshold + 10  # the border is used, too
    # And in the pixels, where strokes are thick enough to keep their colour.
    for one in made:
        grey = render.luma(one.image.astype(float))
        for region in one.regions:
            if region.size >= 26:
                inside = grey[polygon_mask(region.polygon, grey.shape)]
                low, high = np.percentile(inside, (3, 97))
                assert high - low > 0.75 * threshold, (region, low, high)


@pytest.mark.parametrize("level, limit", [(EASY, 8), (HARD, 12)])
def test_rotation(train, level, limit):
    angles = []
    for region in regions_of(train[level.name]):
        left, right = region.polygon[[0, 3]].mean(axis=0), region.polygon[[1, 2]].mean(axis=0)
        dx, dy = right - left
        if region.thing is None:
            angles.append(np.degrees(np.arctan2(dy, dx)))
    # A word's middle turns a little against its line's where perspective squeezes the line.
    assert np.abs(angles).max() < limit + 2
    assert np.std(angles) == pytest.approx(limit / np.sqrt(3), rel=0.15)


def test_cases_and_fonts(train):
    assert all(region.drawn == region.word.upper() for region in regions_of(train["easy"]))
    cases = Counter(
        "upper" if region.drawn.isupper() else "lower" if region.drawn.islower() else "capitalised"
        for region in regions_of(train["hard"])
    )
    total = sum(cases.values())
    assert {case: pytest.approx(1 / 3, abs=0.06) for case in cases} == {
        case: count / total for case, count in cases.items()
    }
    for name in ("easy", "hard"):
        used = Counter(region.font for region in regions_of(train[name]))
        assert set(used) == set(fonts.font_names(name))
        assert max(used.values()) < 3 * min(used.values()) + 20


def test_lines_things_and_styles_occur_as_often_as_meant(train):
    made = train["easy"] + train["hard"]
    assert np.mean([bool(one.things) for one in made]) == pytest.approx(0.29, abs=0.05)
    assert np.mean(["semantic" in one.styles for one in made]) == pytest.approx(0.21, abs=0.05)
    assert np.mean(["phrase" in one.styles for one in made]) == pytest.approx(0.32, abs=0.07)
    kinds = Counter(thing for one in made for thing in one.things)
    assert set(kinds) == set(things.THINGS)
    assert max(kinds.values()) < 2.5 * min(kinds.values())


def test_backgrounds_have_colour_noise_and_clutter():
    rng = np.random.default_rng(0)
    colours = [len(render.background(rng, 128, 128).getcolors(128 * 128)) for _ in range(60)]
    assert min(colours) <= 10 and max(colours) > 1000
    grey = np.full((64, 64, 3), 128, np.uint8)
    noisy = render.weather(rng, grey, 0.0, 10).astype(int) - 128
    assert (noisy.min(), noisy.max()) == (-9, 9) and abs(noisy.mean()) < 0.2


def test_blocks_of_neighbours_hold_hard_negatives(train):
    turned = elsewhere = look_alike = 0
    made = train["easy"]
    for start in range(0, len(made) - 3, 4):
        block = made[start : start + 4]
        lines = [
            tuple(region.word for region in line)
            for one in block
            for line in scenes.labels.lines(one.regions)
        ]
        turned += any(a != b and sorted(a) == sorted(b) for a in lines for b in lines)
        on_things = {(r.word, r.thing) for one in block for r in one.regions if r.thing}
        elsewhere += any(a == b and s != t for a, s in on_things for b, t in on_things)
        look_alike += any(
            s == t and len(a) == len(b) and sum(x != y for x, y in zip(a, b, strict=True)) == 1
            for a, s in on_things
            for b, t in on_things
        )
    blocks = len(made) // 4
    for count in (turned, elsewhere, look_alike):
        assert 0.04 < count / blocks < 0.2


# Places


def polygon_mask(polygon, shape):
    mask = Image.new("1", shape[::-1])
    # ImageDraw counts pixel centres, polygons count corners.
    ImageDraw.Draw(mask).polygon([tuple(corner) for corner in (polygon - 0.5).tolist()], fill=1)
    return np.asarray(mask)


@pytest.mark.parametrize("name", ["easy", "hard", "crowd"])
def test_polygons_lie_inside_the_image_and_apart(train, evaluation, name):
    for made in evaluation[name] + train.get(name, [])[:200]:
        covered = np.zeros(made.image.shape[:2], int)
        for region in made.regions:
            assert region.polygon.shape == (4, 2)
            assert region.polygon.min() >= 0 and region.polygon.max() <= 128
            covered += polygon_mask(region.polygon, covered.shape)
        assert covered.max() == 1


def test_polygons_hold_the_ink_and_little_else():
    rng = np.random.default_rng(1)
    for name in fonts.font_names("hard"):
        x, y, shear = rng.uniform(-0.08, 0.08, 3)
        pose = render.Pose(float(rng.uniform(-12, 12)), shear, x, y)
        words = ("Quick", "jump")
        patch = render.pose_line(words, name, int(rng.integers(11, 37)), 0.0, pose)
        ink = np.argwhere(patch.alpha > 100)[:, ::-1] + 0.5
        distance = np.stack([outside(polygon, ink) for polygon in patch.polygons]).min(axis=0)
        assert distance.max() < 0.8, name
        for polygon in patch.polygons:
            mine = ink[outside(polygon, ink) <= 0.8]
            for corner, following in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
                assert side(corner, following, mine).max() > -2.5, name  # ink near every edge


def side(start, end, points):
    """Distance of points to the left of the edge (outside a clockwise polygon), px."""
    along = (end - start) / np.linalg.norm(end - start)
    return (points - start) @ np.array([along[1], -along[0]])


def outside(polygon, points):
    edges = zip(polygon, np.roll(polygon, -1, axis=0), strict=True)
    return np.max([side(start, end, points) for start, end in edges], axis=0)


def test_a_patch_is_as_large_as_the_room_reserved_for_it():
    rng = np.random.default_rng(2)
    for name in fonts.font_names("hard") + fonts.font_names("unseen"):
        size, pose = int(rng.integers(11, 37)), render.Pose(float(rng.uniform(-12, 12)), 0.1)
        patch = render.pose_line(("WORD", "two"), name, size, 0.5, pose)
        assert patch.alpha.shape[::-1] == render.room(("WORD", "two"), name, size, pose)


def test_the_word_of_a_strip_is_whole_and_alone(monkeypatch):
    painted = []
    paint = render.paint

    def record(rng, pixels, patch, at, *rest):
        height, width = patch.alpha.shape
        assert min(at) >= 0 and at[0] + width <= 128 and at[1] + height <= 32
        painted.append(at)
        return paint(rng, pixels, patch, at, *rest)

    monkeypatch.setattr(render, "paint", record)
    strips = [sandbox.strip(2, i, "train", HARD) for i in range(150)]
    assert len(painted) == 150
    assert all(strip.word in sandbox.words("train") for strip in strips)
    assert len({x for x, _ in painted}) > 40 and len({y for _, y in painted}) > 8


@pytest.mark.parametrize("kind", things.THINGS)
def test_a_thing_holds_its_text_and_shows_on_its_ground(kind):
    rng = np.random.default_rng(3)
    for _ in range(20):
        width, height = rng.uniform(20, 60), rng.uniform(10, 20)
        shape = things.plan(rng, kind, width, height, 1.0)
        x, y = shape.text_at
        assert width / 2 < x < shape.width - width / 2
        assert height / 2 < y < shape.height - height / 2
        image = Image.new("RGB", (shape.width + 4, shape.height + 4), (1, 2, 3))
        things.draw(rng, image, shape, (2, 2))
        changed = (np.asarray(image) != (1, 2, 3)).any(axis=2)
        assert not changed[[0, 1, -1, -2]].any() and not changed[:, [0, 1, -1, -2]].any()
        box = changed[2 + int(y - height / 2) : 2 + int(y + height / 2), 2:-2]
        assert box[:, int(x - width / 2) : int(x + width / 2)].all()


# Labels


def region(word, line, thing=None):
    square = np.zeros((4, 2))
    return sandbox.Region(word, word, square, line, "Lato-Bold", 20.0, 90.0, thing)


HAND_MADE = scenes.Scene(
    image=np.zeros((1, 1, 3), np.uint8),
    texts=(),
    styles=(),
    regions=(
        region("speed", 0),
        region("limit", 0),
        region("ahead", 0),
        region("stop", 1, "sign"),
        region("here", 1, "sign"),
        region("celtic", 2),
    ),
    things=("sign", "door"),
)


@pytest.mark.parametrize(
    "text, style, answer",
    [
        ("limit", "word", ["limit"]),
        ("lim", "word", None),
        ("speed limit", "phrase", ["speed", "limit"]),
        ("speed limit ahead", "phrase", ["speed", "limit", "ahead"]),
        ("limit speed", "phrase", None),
        ("speed ahead", "phrase", None),
        ("ahead stop", "phrase", None),
        ("celtic, speed limit", "combined", ["celtic", "speed", "limit"]),
        ("stop, celtic, ahead", "combined", ["stop", "celtic", "ahead"]),
        ("speed, ahead", "combined", None),  # one line is one text, not two
        ("celtic, celtic", "combined", None),
        ("celtic, stop, beer", "combined", None),
        ("'stop' on a sign", "semantic", ["stop"]),
        ("'stop here' on a sign", "semantic", ["stop", "here"]),
        ("'here stop' on a sign", "semantic", None),
        ("'stop' on a door", "semantic", None),
        ("'celtic' on a sign", "semantic", None),
    ],
)
def test_the_truth_about_a_query(text, style, answer):
    found = sandbox.locate(HAND_MADE, text, style)
    assert (found and [region.word for region in found]) == answer
    assert sandbox.matches(HAND_MADE, text, style) is (answer is not None)


def test_labels_of_a_hand_made_scene():
    texts, styles = sandbox.label(np.random.default_rng(0), HAND_MADE.regions)
    by_style = {
        style: {t for t, s in zip(texts, styles, strict=True) if s == style} for style in STYLES
    }
    assert by_style["word"] == {"speed", "limit", "ahead", "stop", "here", "celtic"}
    assert by_style["phrase"] == {"speed limit", "limit ahead", "speed limit ahead", "stop here"}
    assert by_style["semantic"] == {f"'{t}' on a sign" for t in ("stop", "here", "stop here")}
    assert 1 <= len(by_style["combined"]) <= 2


def test_labels_and_truth_agree_on_every_pair_of_neighbours(train, evaluation):
    for made in (train["easy"][:200], train["hard"][:200], evaluation["crowd"][:60]):
        for start in range(0, len(made), 4):
            block = made[start : start + 4]
            for asked in block:
                for query in zip(asked.texts, asked.styles, strict=True):
                    assert sandbox.matches(asked, *query), query
                    for other in block:
                        labelled = query in set(zip(other.texts, other.styles, strict=True))
                        # Of the combined texts only one or two are labels, whatever matches.
                        if query[1] != "combined" or labelled:
                            assert sandbox.matches(other, *query) == labelled, query


def test_combined_labels_have_two_to_four_parts_and_two_lines_give_one(train):
    for made in train["easy"] + train["hard"]:
        combined = [t for t, s in zip(made.texts, made.styles, strict=True) if s == "combined"]
        several = len({region.line for region in made.regions}) > 1
        assert (1 <= len(combined) <= 2) if several else not combined
        assert all(2 <= len(text.split(", ")) <= 4 for text in combined)
        assert len(set(zip(made.texts, made.styles, strict=True))) == len(made.texts)


# Galleries


def test_every_gallery_query_has_an_answer_and_the_truth_is_complete(small_gallery):
    styles = Counter(query.style for query in small_gallery.queries)
    assert styles["word"] == 24 and min(styles[style] for style in STYLES) >= 4
    assert sum(query.seen for query in small_gallery.queries if query.style == "word") == 12
    for query in small_gallery.queries:
        truth = [sandbox.matches(made, query.text, query.style) for made in small_gallery.scenes]
        assert query.relevant.tolist() == truth and any(truth)
        words = re.findall("[a-z]+", query.text.split("' on a ")[0])
        assert query.seen == all(word in sandbox.words("train") for word in words)
        assert not (query.small & ~query.relevant).any()
        for i in np.flatnonzero(query.relevant):
            found = sandbox.locate(small_gallery.scenes[i], query.text, query.style)
            assert query.small[i] == (min(region.size for region in found) < 17)


def test_semantic_queries_have_the_three_kinds_of_hard_negatives(small_gallery):
    semantic = [query for query in small_gallery.queries if query.style == "semantic"]
    assert semantic
    for query in semantic:
        text, thing = re.fullmatch(r"'(.*)' on a (\w+)", query.text).groups()
        near = [small_gallery.scenes[i] for i in query.hard_negatives]
        assert len(near) >= 3 and not query.relevant[query.hard_negatives].any()
        carried = [{(r.word, r.thing) for r in made.regions if r.thing} for made in near]
        bare = [
            thing in made.things and not any(t == thing for _, t in words)
            for made, words in zip(near, carried, strict=True)
        ]
        elsewhere = [any(w == text and t != thing for w, t in words) for words in carried]
        look_alike = [
            any(t == thing and bool(lexicon.look_alikes((w, text))) for w, t in words)
            for words in carried
        ]
        assert any(bare) and any(elsewhere) and any(look_alike), query.text


def test_phrase_hard_negatives_have_all_words_but_not_the_phrase(small_gallery):
    phrases = [query for query in small_gallery.queries if query.style == "phrase"]
    assert sum(len(query.hard_negatives) >= 2 for query in phrases) >= 2
    for query in phrases:
        for i in query.hard_negatives:
            words = {region.word for region in small_gallery.scenes[i].regions}
            assert words >= set(query.text.split()) and not query.relevant[i]


def test_a_seed_gives_the_same_gallery_everywhere(small_gallery):
    for package, pinned in (("pillow", "13.0.0"), ("numpy", "2.4.6")):
        found = importlib.metadata.version(package)
        if found != pinned:
            pytest.skip(f"the known hash was made with {package} {pinned}; this is {found}")
    assert small_gallery.hash == KNOWN_HASH


KNOWN_HASH = "9ae0a866e839251d1ec0531e6b8f8e2c6523e15d4d897e73b50498d4c292816b"


# Contact sheets


def test_a_contact_sheet_shows_every_image_and_its_labels():
    made = [sandbox.scene(0, i) for i in range(5)]
    sheet = np.asarray(sandbox.contact_sheet(made, columns=3))
    marked = np.asarray(sandbox.contact_sheet(made, columns=3, polygons=True))
    assert sheet.shape == marked.shape and sheet.shape[1] == 3 * 136 + 8
    for i, one in enumerate(made):
        x, y = 8 + i % 3 * 136, 8 + i // 3 * 196
        assert np.array_equal(sheet[y : y + 128, x : x + 128], one.image)
        assert not np.array_equal(marked[y : y + 128, x : x + 128], one.image)
        caption = sheet[y + 129 : y + 190, x : x + 128]
        assert (caption < 100).any()
    strips = [sandbox.strip(0, i) for i in range(2)]
    assert sandbox.contact_sheet(strips, columns=2).width == 2 * 136 + 8

"""Every loader on a small made-up copy of its layout."""

import json
import unicodedata
from functools import partial

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mstar.data.benchmarks import by_image, load, readable
from mstar.data.benchmarks.by_image import ctr, ctw1500, icdar2015, total_text
from mstar.data.benchmarks.by_query import csvtr, iiit_str, mqtr, pstr
from mstar.data.benchmarks.rectangles import icdar2003, svt
from mstar.evaluate.grounding import coverage
from mstar.io import decoding
from mstar.io.decoding import UnreadableImage

NAN = np.nan


def picture(path, size=(100, 100)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)
    return path


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())
    return path


def asked(found):
    return [query.text for query in found.queries]


def check(found, queries, names, areas, style="word"):
    """Queries, gallery and areas are those; relevant is what has an area, or what `areas` says."""
    assert asked(found) == queries and list(found.names) == names
    assert {query.style for query in found.queries} == {style}
    areas = np.array(areas, dtype=float)
    np.testing.assert_allclose(found.areas, areas)
    np.testing.assert_array_equal(found.relevant, ~np.isnan(areas))
    assert len(found.images) == len(names) and found.images[0].size == (100, 100)


def check_unplaced(found, queries, names, relevant, style="word"):
    """The same for a set without positions."""
    assert asked(found) == queries and list(found.names) == names
    assert {query.style for query in found.queries} == {style}
    np.testing.assert_array_equal(found.relevant, relevant)
    assert found.areas.shape == found.relevant.shape and np.isnan(found.areas).all()


# SVT and ICDAR 2003


def tagged(entries):
    """The XML of {name: [(tag, width, height), …]}."""
    images = "".join(
        f"<image><imageName>{name}</imageName><taggedRectangles>"
        + "".join(
            f'<taggedRectangle x="1" y="2" width="{w}" height="{h}"><tag>{tag}</tag>'
            "</taggedRectangle>"
            for tag, w, h in tags
        )
        + "</taggedRectangles></image>"
        for name, tags in entries.items()
    )
    return f'<?xml version="1.0" encoding="utf-8"?><tagset>{images}</tagset>'


@pytest.fixture
def street(tmp_path):
    entries = {
        "img/10_1.jpg": [("CAFE", 20, 10), ("M&amp;M", 10, 10), ("Cafe!", 30, 10), ("###", 5, 5)],
        "img/09_2.jpg": [("cafe", 200, 100), ("A", 10, 1)],
        "img/11_3.jpg": [],
    }
    text(tmp_path / "test.xml", tagged(entries))
    for name in ("10_1.jpg", "09_2.jpg", "11_3.jpg", "00_train.jpg"):
        picture(tmp_path / "test_images" / name)
    return tmp_path


@pytest.mark.parametrize("images", ["test_images", "img"])
def test_svt(street, images):
    (street / "test_images").rename(street / images)
    found = svt(street)
    assert found.name == "SVT"
    names = [f"{images}/{name}.jpg" for name in ("10_1", "09_2", "11_3")]
    areas = [[0.03, 1, NAN], [0.01, NAN, NAN], [NAN, 0.001, NAN]]  # the largest; at most 1
    check(found, ["cafe", "mm", "a"], names, areas)
    assert found.polygons is None, "few of the words are tagged"


def test_svt_half_unpacked(street):
    (street / "test_images/09_2.jpg").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"09_2\.jpg, which should be an image of test\.xml"
    ):
        svt(street)
    (street / "test_images").rename(street / "images")
    with pytest.raises(FileNotFoundError, match="neither test_images nor img"):
        svt(street)
    (street / "test.xml").unlink()
    with pytest.raises(FileNotFoundError, match=r"test\.xml, which should be SVT's list of words"):
        svt(street)


@pytest.fixture
def robust(tmp_path):
    entries = {
        "b/1.JPG": [("House", "20.0", "10.0"), ("of", 10, 10)],
        "a/2.JPG": [("HOUSE!", 10, 10), ("Bakery shop", 11, 10), ("house", 4, 10)],
        "a/1.JPG": [("&amp;co.", 3, 3)],
    }
    text(tmp_path / "words.xml", tagged(entries))
    for name in entries:
        picture(tmp_path / name)
    return tmp_path


def test_icdar2003(robust):
    found = icdar2003(robust)
    assert found.name == "ICDAR 2003"
    areas = [[0.02, 0.01, NAN], [NAN, 0.0066, NAN], [NAN, 0.0044, NAN]]
    check(found, ["house", "bakery", "shop"], ["b/1.JPG", "a/2.JPG", "a/1.JPG"], areas)
    assert asked(icdar2003(robust, most=2)) == ["house", "bakery"]
    assert [len(of) for of in found.polygons] == [2, 3, 1]
    np.testing.assert_array_equal(found.polygons[0][0], [(1, 2), (21, 2), (21, 12), (1, 12)])


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("b/1.JPG", "../1.JPG", r"'\.\./1\.JPG' leads out of"),
        ("b/1.JPG", "/etc/hostname", "'/etc/hostname' leads out of"),
        ("b/1.JPG", "link.jpg", r"'link\.jpg' leads out of"),
        ("b/1.JPG", " ", "an image without its imageName"),
        ("</tagset>", "", "is not XML"),
        ("utf-8", "utf-9", "is not XML"),
        ('width="20.0"', 'width="wide"', r"'b/1\.JPG': the rectangle of 'House' .*'wide'"),
        ('width="20.0"', 'width="nan"', "x, y, width and height in pixels"),
        ('x="1"', 'x="inf"', "x, y, width and height in pixels"),
        ('x="1"', "", "x, y, width and height in pixels"),
        ('width="20.0"', 'w="20.0"', "x, y, width and height in pixels"),
    ],
)
def test_an_xml_file_of_another_kind(robust, old, new, problem):
    (robust / "link.jpg").symlink_to("/etc/hostname")
    listing = robust / "words.xml"
    listing.write_text(listing.read_text().replace(old, new))
    with pytest.raises(ValueError, match=rf"{problem}"):
        icdar2003(robust)


def test_xml_entities_do_not_grow_and_open_nothing(robust):
    bomb = "".join(f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(12))
    file = f'<!ENTITY file SYSTEM "file://{robust}/b/1.JPG">'
    for entity in ("&a12;", "&file;"):
        xml = tagged({"b/1.JPG": [(entity, 1, 1)]}).replace(
            "<tagset>", f'<!DOCTYPE tagset [<!ENTITY a0 "aaaaaaaaaa">{bomb}{file}]><tagset>'
        )
        (robust / "words.xml").write_text(xml)
        with pytest.raises(ValueError, match="is not XML"):
            icdar2003(robust)


def test_icdar2003_half_unpacked(robust):
    (robust / "b/1.JPG").unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.JPG, which should be an image of words\.xml"):
        icdar2003(robust)
    (robust / "words.xml").write_text("<tagset/>")
    with pytest.raises(ValueError, match=r"words\.xml names no image"):
        icdar2003(robust)
    picture(robust / "b/1.JPG")
    (robust / "words.xml").write_text(tagged({"b/1.JPG": []}))
    with pytest.raises(ValueError, match=f"no text of {robust} can be asked for"):
        icdar2003(robust)


# ICDAR 2015, Total-Text and CTW1500

BOX = "0,0,20,0,20,10,0,10"  # 2 % of the picture


@pytest.fixture
def incidental(tmp_path):
    texts = {
        10: f"\ufeff{BOX},Bakery\r\n-5,0,15,0,15,20,-5,20,BAKERY!\r\n{BOX},###\r\n",
        9: f"{BOX},1,000\n{BOX},bakery, Tea shop\n\n  \n{BOX},at\n{BOX},zoo\n",
    }
    for number, content in texts.items():
        picture(tmp_path / f"ch4_test_images/img_{number}.jpg")
        text(tmp_path / f"Challenge4_Test_Task1_GT/gt_img_{number}.txt", content)
    text(tmp_path / "Challenge4_Test_Task1_GT/readme.md", "stray")
    text(tmp_path / "ch4_test_images/Thumbs.db", "stray")
    return tmp_path


def test_icdar2015(incidental):
    found = icdar2015(incidental)
    assert found.name == "ICDAR 2015 test"
    names = [f"ch4_test_images/img_{i}.jpg" for i in (10, 9)]
    areas = [[NAN, 0.02], [0.04, NAN], [NAN, 0.02 * 4 / 7], [NAN, 0.02 * 3 / 7], [NAN, 0.02]]
    check(found, ["000", "bakery", "shop", "tea", "zoo"], names, areas)
    assert asked(icdar2015(incidental, most=2)) == ["000", "bakery"]
    assert [len(of) for of in found.polygons] == [3, 4], "unreadable text is text"
    np.testing.assert_array_equal(found.polygons[0][1], [(-5, 0), (15, 0), (15, 20), (-5, 20)])


def test_icdar2015_training(incidental):
    (incidental / "ch4_test_images").rename(incidental / "ch4_training_images")
    (incidental / "Challenge4_Test_Task1_GT").rename(
        incidental / "ch4_training_localization_transcription_gt"
    )
    assert icdar2015(incidental).name == "ICDAR 2015 training"
    (incidental / "ch4_training_images").rename(incidental / "images")
    with pytest.raises(FileNotFoundError, match="ch4_test_images nor ch4_training_images"):
        icdar2015(incidental)


@pytest.mark.parametrize(
    "line", ["1,2,3,bakery", f"{BOX}", "a,0,20,0,20,10,0,10,Bakery", f"{BOX};"]
)
def test_icdar2015_line_of_another_kind(incidental, line):
    text(incidental / "Challenge4_Test_Task1_GT/gt_img_9.txt", f"{BOX},fine\n\n{line}\n")
    with pytest.raises(ValueError, match=r"gt_img_9\.txt, line 3: eight numbers and a text"):
        icdar2015(incidental)


def test_another_encoding_is_named(incidental):
    file = incidental / "Challenge4_Test_Task1_GT/gt_img_9.txt"
    file.write_bytes(f"{BOX},café".encode("latin-1"))
    with pytest.raises(ValueError, match=r"gt_img_9\.txt should be UTF-8 text"):
        icdar2015(incidental)


def test_a_broken_picture_is_named(incidental):
    text(incidental / "ch4_test_images/img_9.jpg", "")
    found = icdar2015(incidental)
    (name,) = found.left_out
    assert name == "ch4_test_images/img_9.jpg" and name not in found.names
    assert f"{incidental / name} cannot be read as an image" in found.left_out[name]
    with pytest.raises(UnreadableImage, match=r"img_9\.jpg cannot be read"):
        readable(found, strict=True)
    for picture in (incidental / "ch4_test_images").iterdir():
        picture.write_text("")
    with pytest.raises(UnreadableImage, match=r"no photograph of ICDAR 2015 test .* can be read"):
        icdar2015(incidental)


def instance(word, xs="0 20 20 0", ys="0 0 10 10"):
    return f"x: [[{xs}]], y: [[{ys}]], ornt: [u'c'], transcriptions: [{word}]\n"


@pytest.fixture
def curved(tmp_path):
    texts = {
        1: instance("u'HOTEL'")
        + instance("u'#'")
        + instance("u'Hotel'", " 0 10 20 30\n 30 20 10  0", " 0  0  0  0\n 10 10 10 10"),
        2: instance('u"don\'t"')
        + instance("'Hotel bar'")
        + instance(r"u'Caf\xe9'")
        + instance(r"u'rock 'n' roll'")
        + instance("")
        + instance("u'aa'"),
    }
    for number, content in texts.items():
        picture(tmp_path / f"Images/Test/img{number}.jpg")
        text(tmp_path / f"txt_format/Test/poly_gt_img{number}.txt", content)
    return tmp_path


def test_total_text(curved):
    found = total_text(curved)
    assert found.name == "Total-Text test"
    areas = [
        [0.03, 0.02 * 5 / 8],
        [NAN, 0.02 * 3 / 11],
        [NAN, 0.02 * 3 / 8],
        [NAN, 0.02],
        [NAN, 0.02],
        [NAN, 0.02 * 4 / 11],
        [NAN, 0.02 * 4 / 11],
    ]
    names = ["Images/Test/img1.jpg", "Images/Test/img2.jpg"]
    check(found, ["hotel", "'n'", "bar", "café", "don't", "rock", "roll"], names, areas)
    assert asked(total_text(curved, most=1)) == ["hotel"]
    assert [len(of) for of in found.polygons] == [3, 6] and found.polygons[0][2].shape == (8, 2)


@pytest.mark.parametrize(
    "entry",
    [
        instance("u'HOTEL'", xs="0 20 20"),
        instance("u'HOTEL'", xs="0 20 a 0"),
        instance("u'HOTEL'", xs="", ys=""),
        instance("u'HOTEL"),
        instance("HOTEL"),
        "x: [[0 20 20 0]], y: [[0 0 10 10]]\n",
        instance("__import__('os').abort()"),
    ],
)
def test_total_text_entry_of_another_kind(curved, entry):
    content = instance("u'a'", "0 1\n 1 0") + entry + instance("u'HOTEL'")
    text(curved / "txt_format/Test/poly_gt_img1.txt", content)
    with pytest.raises(
        ValueError, match=r"poly_gt_img1\.txt, line 3: x: \[\[…\]\], y: .*; got .x:"
    ):
        total_text(curved)


def test_total_text_half_unpacked(curved):
    text(curved / "txt_format/Test/poly_gt_img3.txt", "")
    with pytest.raises(FileNotFoundError, match=r"Test lacks the pictures of 1 of 3 files"):
        total_text(curved)
    (curved / "txt_format/Test/poly_gt_img1.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"poly_gt_img1\.txt, which should be the words of"):
        total_text(curved)
    (curved / "txt_format").rename(curved / "txt")
    with pytest.raises(FileNotFoundError, match=r"no folder .*txt_format/Test"):
        total_text(curved)


CURVE = "0,0,10,0,20,0,20,10,10,10,0,10,"


@pytest.fixture
def lines(tmp_path):
    texts = {
        1001: f"{CURVE}####FRESH BREAD of\r\n{CURVE}####bread####fresh\r\n{CURVE}#######\r\n",
        1500: f"\ufeff{CURVE[:-1]}####Bread\n\n{CURVE}####zoo, zoo\n",
    }
    for number, content in texts.items():
        picture(tmp_path / f"test_images/{number}.jpg")
        text(tmp_path / f"gt_ctw1500/000{number}.txt", content)
    text(tmp_path / "gt_ctw1500/readme.txt", "stray")
    return tmp_path


def test_ctw1500(lines):
    found = ctw1500(lines)
    assert found.name == "CTW1500 test"
    areas = [[0.02, 0.02], [0.02 * 5 / 12, NAN], [NAN, 0.02 * 3 / 7], [NAN, 0.02 * 4 / 7]]
    names = ["test_images/1001.jpg", "test_images/1500.jpg"]
    check(found, ["bread", "fresh", "zoo", "zoo,"], names, areas)
    assert asked(ctw1500(lines, most=1)) == ["bread"]
    assert [len(of) for of in found.polygons] == [3, 2] and found.polygons[1][0].shape == (6, 2)


@pytest.mark.parametrize("line", ["0,0,10,####odd", "####none", "0,0,bread", "0,x,####letter"])
def test_ctw1500_line_of_another_kind(lines, line):
    text(lines / "gt_ctw1500/0001500.txt", f"{CURVE}####fine\n{line}\n")
    with pytest.raises(ValueError, match=r"0001500\.txt, line 2: an even number of coordinates"):
        ctw1500(lines)


def test_ctw1500_half_unpacked(lines):
    (lines / "test_images/1500.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks the pictures of 1 of 2 .*0001500\.txt"):
        ctw1500(lines)
    (lines / "test_images/1001.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"no picture .*test_images"):
        ctw1500(lines)


# CTR


@pytest.fixture
def coco(tmp_path):
    for number, content in {
        11: "Stop!\nmain st\n- a -\n",
        2: "stop\nJoe's\n***\n",
        7: "main  ST.\n",
    }.items():
        picture(tmp_path / f"images/COCO_train2014_{number:012}.jpg")
        text(tmp_path / f"gts/COCO_train2014_{number:012}.txt", content)
    text(tmp_path / "gts/readme.txt", "stray")
    text(tmp_path / "queries.txt", "Main st\nnowhere\nstop\nJOE'S\n\n***\nstop\na\n")
    return tmp_path


def test_ctr(coco, monkeypatch):
    names = [f"images/COCO_train2014_{number:012}.jpg" for number in (2, 7, 11)]
    relevant = [[0, 1, 1], [1, 0, 1], [1, 0, 0], [0, 0, 1]]
    check_unplaced(ctr(coco), ["main st", "stop", "joe's", "a"], names, relevant)
    assert by_image._MOST_IMAGES == 10_000
    monkeypatch.setattr(by_image, "_MOST_IMAGES", 2)
    check_unplaced(ctr(coco), ["main st", "stop", "joe's"], names[:2], [[0, 1], [1, 0], [1, 0]])


def test_ctr_half_unpacked(coco):
    text(coco / "gts/COCO_train2014_000000000012.txt", "stop")
    with pytest.raises(FileNotFoundError, match="lacks the pictures of 1 of 4"):
        ctr(coco)
    (coco / "gts/COCO_train2014_000000000011.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"0011\.txt, which should be the words of COCO"):
        ctr(coco)
    (coco / "queries.txt").write_text("nowhere")
    for number in (11, 12):
        text(coco / f"gts/COCO_train2014_{number:012}.txt", "")
    picture(coco / "images/COCO_train2014_000000000012.jpg")
    with pytest.raises(ValueError, match=r"no text of .* can be asked for"):
        ctr(coco)
    (coco / "queries.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"queries\.txt, which should be CTR's list"):
        ctr(coco)


# CSVTR


def test_csvtr(tmp_path):
    for name in ("银行/b.jpeg", "银行/a.jpeg", "药店/a.jpeg"):
        picture(tmp_path / name)
    text(tmp_path / "readme.txt", "stray")
    text(tmp_path / "银行/Thumbs.db", "stray")
    text(tmp_path / "__MACOSX/银行/._a.jpeg", "stray")
    (tmp_path / ".git").mkdir()
    found = csvtr(tmp_path)
    assert found.name == "CSVTR"
    names = ["药店/a.jpeg", "银行/a.jpeg", "银行/b.jpeg"]
    check_unplaced(found, ["药店", "银行"], names, [[1, 0, 0], [0, 1, 1]])
    (tmp_path / "中国").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no picture .*中国, .* the images that show 中国"):
        csvtr(tmp_path)
    (tmp_path / "中国").rename(tmp_path / "(!)")
    with pytest.raises(ValueError, match=r"the folder '\(!\)'"):
        csvtr(tmp_path)


def test_csvtr_may_not_lead_out_of_its_folder(tmp_path):
    picture(tmp_path / "elsewhere/a.jpg")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/银行").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="leads out of"):
        csvtr(tmp_path / "set")


# IIIT-STR, PSTR and MQTR: all three list images, the rules for that are tested on MQTR


def matlab(path, entries):
    """`data.mat` as MATLAB writes it: strings in cells, the names in a column."""
    data = np.zeros((1, len(entries)), dtype=[("query", "O"), ("images", "O")])
    for i, (query, names) in enumerate(entries):
        cell, column = np.empty((1, 1), dtype=object), np.empty((len(names), 1), dtype=object)
        cell[0, 0] = query
        column[:, 0] = names
        data[0, i] = (cell, column)
    savemat(path, {"data": data})


@pytest.fixture
def cells(tmp_path):
    for i in (3, 1, 2):
        picture(tmp_path / f"imgDatabase/img_{i}.jpg")
    text(tmp_path / "imgDatabase/Thumbs.db", "stray")
    entries = [("Coffee!", ["img_1.jpg"]), ("Bank", ["img_3.jpg"]), ("COFFEE", ["img_2.jpg"])]
    matlab(tmp_path / "data.mat", entries)
    return tmp_path


def test_iiit_str(cells):
    found = iiit_str(cells)
    assert found.name == "IIIT-STR"
    names = [f"imgDatabase/img_{i}.jpg" for i in (1, 2, 3)]
    check_unplaced(found, ["coffee", "bank"], names, [[0, 1, 0], [0, 0, 1]])


def test_iiit_str_of_another_kind(cells):
    file = cells / "data.mat"
    matlab(file, [("coffee", ["img_1.jpg", "img_9.jpg"])])
    with pytest.raises(FileNotFoundError, match=r"1 of the 2 images .*data\.mat .*'img_9\.jpg'"):
        iiit_str(cells)
    matlab(file, [("coffee", ["img_1.jpg"]), ("tea", [5])])
    with pytest.raises(ValueError, match=r"data\.mat: every entry .*a text was expected, got"):
        iiit_str(cells)
    matlab(file, [("coffee", ["img_1.jpg"]), (["tea", "cup"], ["img_1.jpg"])])
    with pytest.raises(ValueError, match="entry 2 of `data` should have one query"):
        iiit_str(cells)
    savemat(file, {"other": [1]})
    with pytest.raises(ValueError, match=r"data\.mat has no MATLAB array `data`"):
        iiit_str(cells)
    savemat(file, {"data": [1]})
    with pytest.raises(ValueError, match="every entry of `data` should be a query and a cell"):
        iiit_str(cells)
    file.write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(ValueError, match=r"data\.mat has no MATLAB array `data`"):
        iiit_str(cells)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"data\.mat, which should be IIIT-STR's queries"):
        iiit_str(cells)


def test_pstr(tmp_path):
    for i in (2, 1):
        picture(tmp_path / f"images/00{i}.jpg")
    listed = {"Happy birthday!": ["002.jpg"], "coffee shop": ["001.jpg", "002.jpg"]}
    np.save(tmp_path / "query_image_dict.npy", listed)
    found = pstr(tmp_path)
    assert found.name == "PSTR"
    names = ["images/001.jpg", "images/002.jpg"]
    check_unplaced(found, list(listed), names, [[0, 1], [1, 1]], "phrase")
    np.save(tmp_path / "query_image_dict.npy", {"coffee shop": ["../images/001.jpg"]})
    with pytest.raises(FileNotFoundError, match=r"1 of the 1 images .*'\.\./images/001\.jpg'"):
        pstr(tmp_path)
    (tmp_path / "query_image_dict.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"query_image_dict\.npy, which should be PSTR's"):
        pstr(tmp_path)


@pytest.fixture
def several(tmp_path):
    for style in ("word", "phrase", "combined", "semantic"):
        for name in ("0007.jpg", "0001.PNG", "0112.png"):
            picture(tmp_path / style / "images" / name)
        for stray in (".DS_Store", "0009.txt", "._0007.jpg"):
            text(tmp_path / style / "images" / stray, "stray")
        queries = {f"A {style}!": ["0112.png", "0007.jpg"], "open": ["0001.PNG"]}
        text(tmp_path / style / "text_queries.json", json.dumps(queries))
    return tmp_path


@pytest.mark.parametrize("style", ["word", "phrase", "combined", "semantic"])
def test_mqtr(several, style):
    found = load(f"mqtr-{style}", several)
    assert found.name == f"MQTR {style}"
    names = [f"{style}/images/{name}" for name in ("0001.PNG", "0007.jpg", "0112.png")]
    check_unplaced(found, [f"A {style}!", "open"], names, [[0, 1, 1], [1, 0, 0]], style)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", r"text_queries\.json is not valid JSON"),
        ("[" * 100_000, "is not valid JSON: it is nested too deeply"),
        ('{"open": ["0007.jpg"], "b": [], "open": ["0112.png"]}', "'open' stands twice: give all"),
        ("[]", "should hold an object"),
        ("{}", "can be asked for"),
        ('{"open": "0007.jpg"}', "the query 'open' should have a list of file names"),
        ('{"open": [7]}', "the query 'open' should have a list of file names"),
        ('{"open": []}', "the query 'open' lists no image"),
        ('{"(!)": ["0007.jpg"]}', r"the query '\(!\)' has no words"),
    ],
)
def test_mqtr_of_another_kind(several, content, problem):
    text(several / "word/text_queries.json", content)
    with pytest.raises(ValueError, match=problem):
        mqtr(several, "word")


def test_mqtr_half_unpacked(several):
    listing = text(
        several / "word/text_queries.json",
        '{"a": ["0007.jpg", "../../x.jpg", "0007.jpg"], "b": ["0009.txt", "0112.png"]}',
    )
    picture(several / "x.jpg")  # is there, but no image of this gallery
    with pytest.raises(FileNotFoundError) as caught:
        mqtr(several, "word")
    assert str(caught.value) == (
        f"2 of the 4 images that {listing} lists are not in {several}/word/images, "
        "'../../x.jpg' the first: unpack the whole set, and if it really lacks them, drop them "
        "from text_queries.json."
    )
    (several / "phrase").rename(several / "phrases")
    with pytest.raises(FileNotFoundError, match=r"phrase/text_queries\.json, which should be MQTR"):
        mqtr(several, "phrase")
    with pytest.raises(ValueError, match="unknown style 'phrases': expected one of word, phrase"):
        mqtr(several, "phrases")


def test_names_do_not_depend_on_how_the_folder_is_written(several, monkeypatch):
    monkeypatch.chdir(several)
    (several.parent / "link").symlink_to(several)
    expected = mqtr(several, "word").names
    for folder in (".", "word/..", several.parent / "link"):
        assert partial(mqtr, style="word")(folder).names == expected


# Turned photographs, unreadable ones, names in two forms


def turned(path, tag, kind="JPEG"):
    """A black photograph whose file has a white sign in its upper left; a viewer turns it."""
    sign = Image.new("RGB", (64, 32))
    sign.paste("white", (0, 0, 24, 16))
    exif = Image.Exif()
    exif[0x0112] = tag
    path.parent.mkdir(parents=True, exist_ok=True)
    sign.save(path, kind, exif=exif, quality=95)


def outlined_total_text(root):
    text(root / "txt_format/Test/poly_gt_img1.txt", instance("u'SIGN'", "0 24 24 0", "0 0 16 16"))
    return root / "Images/Test/img1.jpg", total_text


def outlined_ctw1500(root):
    text(root / "gt_ctw1500/0001001.txt", "0,0,24,0,24,16,0,16,####SIGN\n")
    return root / "test_images/1001.jpg", ctw1500


def outlined_icdar2015(root):
    text(root / "Challenge4_Test_Task1_GT/gt_img_1.txt", "0,0,24,0,24,16,0,16,SIGN\n")
    return root / "ch4_test_images/img_1.jpg", icdar2015


def outlined_icdar2003(root):
    listing = tagged({"a/1.jpg": [("SIGN", 24, 16)]}).replace('x="1" y="2"', 'x="0" y="0"')
    text(root / "words.xml", listing)
    return root / "a/1.jpg", icdar2003


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize(
    "layout", [outlined_total_text, outlined_ctw1500, outlined_icdar2015, outlined_icdar2003]
)
def test_outlines_go_with_the_pixels(tmp_path, layout, kind, tag):
    path, loader = layout(tmp_path)
    turned(path, tag, kind)
    found = loader(tmp_path)
    assert found.areas[0, 0] == 24 * 16 / (64 * 32)
    image = found.images[0]
    assert image.size == ((64, 32) if tag < 5 else (32, 64))
    covered = coverage(found.polygons[0], (image.height, image.width), (image.height, image.width))
    white = np.asarray(image.convert("L")) > 127
    np.testing.assert_array_equal(covered, white)


def test_outlines_of_a_reduced_photograph(tmp_path, monkeypatch):
    path, loader = outlined_ctw1500(tmp_path)
    turned(path, 6)
    monkeypatch.setattr(decoding, "WHOLE_PIXELS", 1000)
    found = loader(tmp_path)
    assert found.images[0].size == (16, 32)
    assert sorted(map(tuple, found.polygons[0][0])) == [(8, 0), (8, 12), (16, 0), (16, 12)]


@pytest.mark.parametrize("name", ["svt", "icdar2003"])
def test_a_broken_picture_of_a_list_is_left_out(street, robust, name):
    path = street / ("test_images/10_1.jpg" if name == "svt" else "b/1.JPG")
    text(path, "broken")
    found = load(name, street)
    assert list(found.left_out) == [path.relative_to(street).as_posix()]
    assert len(found.images) == 2 and path.relative_to(street).as_posix() not in found.names
    assert readable(found) is found
    with pytest.raises(UnreadableImage, match=path.name):
        readable(found, strict=True)


def test_what_is_found_broken_later_is_left_out_with_its_queries(several):
    text(several / "word/images/0001.PNG", "broken")
    (several / "word/images/0112.png").rename(several / "word/images/0112.HEIC")
    text(several / "word/images/0112.HEIC", "\0\0\0\x18ftypheic")
    listed = {"both": ["0007.jpg", "0001.PNG"], "open": ["0001.PNG"], "shut": ["0112.HEIC"]}
    text(several / "word/text_queries.json", json.dumps(listed))
    found = readable(mqtr(several, "word"))
    assert asked(found) == ["both"] and found.names == ("word/images/0007.jpg",)
    assert found.relevant.tolist() == [[True]] and found.areas.shape == (1, 1)
    assert list(found.left_out) == ["word/images/0001.PNG", "word/images/0112.HEIC"]
    assert "it is HEIC" in found.left_out["word/images/0112.HEIC"]
    text(several / "word/images/0007.jpg", "broken")
    with pytest.raises(UnreadableImage, match="no photograph of MQTR word that answers a query"):
        readable(mqtr(several, "word"))


def test_mqtr_takes_what_the_index_takes(tmp_path):
    folder = tmp_path / "word/images"
    for name in ("a.jpg", "b.jpeg", "c.webp", "d.tif", "e.ppm", "f.avif"):
        picture(folder / name)
    (folder / "f.avif").rename(folder / "IMG_1")
    (tmp_path / "outside").write_bytes((folder / "a.jpg").read_bytes())
    (folder / "link").symlink_to(tmp_path.parent)  # leads out, and is no picture by its name
    (folder / "notes.txt").write_text("")
    text(tmp_path / "word/text_queries.json", json.dumps({"x y": ["a.jpg", "IMG_1"]}))
    found = mqtr(tmp_path, "word")
    names = ["IMG_1", "a.jpg", "b.jpeg", "c.webp", "d.tif", "e.ppm"]
    assert list(found.names) == [f"word/images/{name}" for name in names]
    assert found.relevant.tolist() == [[True, True, False, False, False, False]]


FORMS = [("NFC", "NFD"), ("NFD", "NFC")]


@pytest.mark.parametrize(("listed", "stored"), FORMS)
def test_a_list_in_nfc_beside_files_in_nfd(tmp_path, listed, stored):
    def as_listed(name):
        return unicodedata.normalize(listed, name)

    def as_stored(name):
        return unicodedata.normalize(stored, name)

    picture(tmp_path / "m/word/images" / as_stored("café.jpg"))
    lists = {as_listed("thé"): [as_listed("café.jpg")]}
    text(tmp_path / "m/word/text_queries.json", json.dumps(lists))
    found = mqtr(tmp_path / "m", "word")
    assert asked(found) == [unicodedata.normalize("NFC", "thé")] and found.relevant.all()

    picture(tmp_path / "p/images" / as_stored("café.jpg"))
    np.save(tmp_path / "p/query_image_dict.npy", {"a b": [as_listed("café.jpg")]})
    assert pstr(tmp_path / "p").relevant.all()

    picture(tmp_path / "i/imgDatabase" / as_stored("café.jpg"))
    entries = np.array([("ab", np.array([[as_listed("café.jpg")]], object))],
                       [("q", object), ("i", object)])  # fmt: skip
    savemat(tmp_path / "i/data.mat", {"data": entries})
    assert iiit_str(tmp_path / "i").relevant.all()

    picture(tmp_path / "x" / as_stored("é/1.jpg"))
    text(tmp_path / "x/words.xml", tagged({as_listed("é/1.jpg"): [(as_listed("thé"), 9, 9)]}))
    assert asked(icdar2003(tmp_path / "x")) == [unicodedata.normalize("NFC", "thé")]

    picture(tmp_path / "c/images" / as_stored("café.jpg"))
    text(tmp_path / "c/gts" / as_listed("café.txt"), "stop\n")
    text(tmp_path / "c/queries.txt", "stop\n")
    assert ctr(tmp_path / "c").relevant.all()

    picture(tmp_path / "f" / as_stored("thé") / "1.jpg")
    assert asked(csvtr(tmp_path / "f")) == [unicodedata.normalize("NFC", "thé")]


def test_a_query_in_both_forms_stands_twice(tmp_path):
    picture(tmp_path / "word/images/a.jpg")
    lists = {unicodedata.normalize(form, "thé"): ["a.jpg"] for form in ("NFC", "NFD")}
    text(tmp_path / "word/text_queries.json", json.dumps(lists))
    with pytest.raises(ValueError, match="stands twice, with its accents written in two ways"):
        mqtr(tmp_path, "word")

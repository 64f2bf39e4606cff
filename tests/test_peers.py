"""The spotting peer's scores, by hand."""

import shutil

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from mstar.data.scenes import sandbox
from mstar.evaluate.spotters import RapidOcr, Tesseract, spotting_scores
from mstar.texts import Query, words_of


def test_scores_are_those_of_the_protocol():
    lines = [["EXIT", "way out!"], ["exist"], []]
    found = spotting_scores([["exit"], ["way", "out"], ["exit", "out"]], lines)
    # exit/exist: one insertion in five letters; way/exist and out/exist by hand
    way, out = 0.0, 1 - 4 / 5
    expected = [[1, 0.8, 0], [1, (way + out) / 2, 0], [1, (0.8 + out) / 2, 0]]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_glued_words_are_found_when_asked():
    lines = [["STARBUCKSCOFFEE"], ["coffe"]]
    apart = spotting_scores([["coffee"]], lines)
    joined = spotting_scores([["coffee"]], lines, joined=True)
    assert apart[0, 0] < 0.5 and joined[0, 0] == 1
    assert joined[0, 1] == apart[0, 1] == pytest.approx(5 / 6)


def test_what_has_no_letters_is_found_nowhere():
    found = spotting_scores([["中文"], ["tea", "&", "co"]], [["tea co"], ["x"], []], joined=True)
    assert found[0].tolist() == [0, 0, 0] and found[1, 0] == 1


def test_words_of_a_word_query_are_read_apart():
    words = [words_of(Query("main st", "word"))]
    assert spotting_scores(words, [["Main St"], ["mainstay"]])[0].tolist() == [1, 0.375]


def test_rapidocr_is_given_its_order_of_colours():
    spotter, given = RapidOcr.__new__(RapidOcr), []
    spotter._spot = lambda image: (given.append(image) or [(None, "exit", 1.0)], None)
    assert spotter.spot(np.array([[[1, 2, 3]]], dtype=np.uint8)) == ["exit"]
    assert given[0].tolist() == [[[3, 2, 1]]]


def test_rapidocr_reads_a_plain_strip():
    pytest.importorskip("rapidocr_onnxruntime", reason="an extra, `peers`: an OCR of 300 MB")
    strip = sandbox.strip(1, 2, "test", size=(64, 256))
    found = spotting_scores([[strip.word]], [RapidOcr().spot(strip.image)])
    assert found[0, 0] > 0.8


def test_tesseract_reads_a_plain_strip():
    if shutil.which("tesseract") is None:
        pytest.skip("a program of the system, which neither make nor CI installs: tesseract-ocr")
    page = Image.new("RGB", (400, 120), "white")
    ImageDraw.Draw(page).text((40, 30), "platform", "black", ImageFont.load_default(48))
    assert Tesseract().spot(np.asarray(page)) == ["platform"]

"""Benchmarks on small copies of their layouts, and on the real photographs where they are."""

import numpy as np
import pytest
from PIL import Image

from mstar.data.benchmarks import icdar2003, icdar2015


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path)


@pytest.fixture
def robust(tmp_path):
    """Three photographs in ICDAR 2003's layout."""
    entries = {"a/1.JPG": ["House", "of"], "a/2.JPG": ["HOUSE!", "Bakery"], "b/1.JPG": ["&co."]}
    xml = "".join(
        f"<image><imageName>{name}</imageName><resolution x='8' y='8'/><taggedRectangles>"
        + "".join(f"<taggedRectangle x='1.0'><tag>{t}</tag></taggedRectangle>" for t in tags)
        + "</taggedRectangles></image>"
        for name, tags in entries.items()
    )
    (tmp_path / "words.xml").write_text(f"<tagset>{xml.replace('&', '&amp;')}</tagset>")
    for name in entries:
        picture(tmp_path / name)
    return tmp_path


@pytest.fixture
def incidental(tmp_path):
    """Two photographs in the layout of ICDAR 2015's training split."""
    texts = {
        "1": "\ufeff1,2,3,4,5,6,7,8,Bakery\r\n1,2,3,4,5,6,7,8,###\r\n",
        "2": "1,2,3,4,5,6,7,8,1,000 BAKERY\n-1,2,3,4,5,6,7,8,at\n\n",
    }
    for number, text in texts.items():
        picture(tmp_path / f"ch4_training_images/img_{number}.jpg")
        truth = tmp_path / f"ch4_training_localization_transcription_gt/gt_img_{number}.txt"
        truth.parent.mkdir(exist_ok=True)
        truth.write_bytes(text.encode())
    return tmp_path


def test_icdar2003(robust):
    found = icdar2003(robust)
    assert [query.text for query in found.queries] == ["house", "bakery"]
    assert [path.relative_to(robust).as_posix() for path in found.images] == [
        "a/1.JPG", "a/2.JPG", "b/1.JPG",
    ]  # fmt: skip
    np.testing.assert_array_equal(found.relevant, [[1, 1, 0], [0, 1, 0]])
    assert len(icdar2003(robust, most=1).queries) == 1


def test_icdar2015(incidental):
    found = icdar2015(incidental)
    assert found.name == "ICDAR 2015 training"
    assert [query.text for query in found.queries] == ["bakery", "1,000"]
    np.testing.assert_array_equal(found.relevant, [[1, 1], [0, 1]])


def test_what_is_missing_or_wrong_is_named(robust, incidental, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"words\.xml"):
        icdar2003(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="ch4_test_images nor ch4_training_images"):
        icdar2015(tmp_path / "nowhere")
    (robust / "a/1.JPG").unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.JPG, which should be an image of words\.xml"):
        icdar2003(robust)
    listing = robust / "words.xml"
    listing.write_text(listing.read_text().replace("a/1.JPG", "../../1.JPG"))
    with pytest.raises(ValueError, match="outside its folder"):
        icdar2003(robust)
    listing.write_text("<tagset>")
    with pytest.raises(ValueError, match="is not XML"):
        icdar2003(robust)
    truth = incidental / "ch4_training_localization_transcription_gt/gt_img_1.txt"
    truth.write_text("1,2,3,bakery")
    with pytest.raises(ValueError, match=r"gt_img_1\.txt, line 1: eight numbers and a text"):
        icdar2015(incidental)
    truth.unlink()
    with pytest.raises(FileNotFoundError, match="the words of img_1"):
        icdar2015(incidental)


def test_the_real_photographs(photos_root):
    older, newer = icdar2003(photos_root / "ICDAR2003"), icdar2015(photos_root / "ICDAR2015")
    assert len(older.images) == 80 and len(newer.images) == 200
    for found in (older, newer):
        assert len(found.queries) == 100 == len({query.text for query in found.queries})
        counts = found.relevant.sum(1)
        assert counts.min() >= 1 and (np.diff(counts) <= 0).all()

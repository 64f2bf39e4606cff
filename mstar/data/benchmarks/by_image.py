"""ICDAR 2015, Total-Text, CTW1500 and CTR: for every image a file of its texts."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from mstar.data.areas import polygon_area, share
from mstar.data.benchmarks.base import Benchmark, assemble
from mstar.data.benchmarks.places import data_set, file, has_folder, lines, pairs
from mstar.data.benchmarks.texts import largest, most_frequent, words
from mstar.errors import UserError
from mstar.io.decoding import UnreadableImage
from mstar.io.images import frame_of

_MOST_IMAGES = 10_000  # of CTR
_NUMBER = re.compile(r"-?\d{1,9}")
_QUADRANGLE = re.compile(r"((?:-?\d{1,9}\s*,\s*){8})(.*)")
_INSTANCE = re.compile(
    r"x:\s*\[\[([^\]]*)\]\]\s*,\s*y:\s*\[\[([^\]]*)\]\]\s*,\s*ornt:\s*\[[^\]]*\]\s*,"
    r"\s*transcriptions:\s*\[(?:u?(['\"])(.*)\3)?\s*\]"
)
_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|(['\"\\]))", re.IGNORECASE)

Outline = tuple[list[tuple[int, int]], str]  # (x, y) of its points in px, and what it says


def icdar2015(folder: str | Path, most: int = 100) -> Benchmark:
    """ICDAR 2015 Incidental Scene Text: the test split, or the training split where that is all.

        ch4_test_images/img_1.jpg
        Challenge4_Test_Task1_GT/gt_img_1.txt       377,117,463,117,465,130,378,130,Bakery

    Training: `ch4_training_images`, `ch4_training_localization_transcription_gt`. As in the
    released code a text begins after its last comma: `1,000` asks for `000`. Asked for are the
    `most` words that most images show, longer than two characters.
    """
    folder = data_set(folder, "ICDAR 2015")
    places = (
        ("test", "ch4_test_images", "Challenge4_Test_Task1_GT"),
        ("training", "ch4_training_images", "ch4_training_localization_transcription_gt"),
    )
    found = [place for place in places if has_folder(folder, place[1])]
    if not found:
        raise FileNotFoundError(
            f"{folder} has neither {' nor '.join(images for _, images, _ in places)}, one of which "
            "should hold ICDAR 2015's images."
        )
    split, images, truths = found[0]
    files = pairs(folder, images, truths, "gt_*.txt")
    return _most_frequent(f"ICDAR 2015 {split}", folder, files, lines, _quadrangle, most)


def total_text(folder: str | Path, most: int = 60) -> Benchmark:
    """Total-Text, test split.

        Images/Test/img1.jpg
        txt_format/Test/poly_gt_img1.txt
            x: [[10 60 60 10]], y: [[20 22 40 41]], ornt: [u'c'], transcriptions: [u'HOTEL']

    An outline may go on over several lines. Asked for are the `most` words that most images show,
    longer than two characters; `#` is unreadable.
    """
    folder = data_set(folder, "Total-Text: Images/Test and txt_format/Test")
    files = pairs(folder, "Images/Test", "txt_format/Test", "poly_gt_*.txt")
    return _most_frequent("Total-Text test", folder, files, _unwrapped, _instance, most)


def ctw1500(folder: str | Path, most: int = 100) -> Benchmark:
    """SCUT-CTW1500, test split.

        test_images/1001.jpg
        gt_ctw1500/0001001.txt      12,30,40,28,70,30,70,44,40,42,12,45,####FRESH BREAD DAILY

    An outline holds a line of text, so that the areas of its words are estimates. As in the
    released code a text ends where it has `####` itself. Asked for are the `most` words that most
    images show, longer than two characters.
    """
    folder = data_set(folder, "CTW1500: test_images and gt_ctw1500")
    files = pairs(folder, "test_images", "gt_ctw1500", "000*.txt")
    return _most_frequent("CTW1500 test", folder, files, lines, _curve, most)


def ctr(folder: str | Path) -> Benchmark:
    """COCO-Text Retrieval: a word or a query a line, no positions.

        images/COCO_train2014_000000000099.jpg
        gts/COCO_train2014_000000000099.txt         stop
        queries.txt                                 stop

    Words and queries are lower case, with letters, digits, spaces and apostrophes alone. As in the
    released code a query that no image shows is not asked, and the gallery ends after 10,000
    images in alphabetical order.
    """
    folder = data_set(folder, "CTR: images, gts and queries.txt")
    listing = file(folder, "queries.txt", "CTR's list of queries")
    files = islice(pairs(folder, "images", "gts", "*.txt").items(), _MOST_IMAGES)
    texts = {image: dict.fromkeys(_words_of(words), math.nan) for image, words in files}
    shown = {text for found in texts.values() for text in found}
    asked = [query for query in dict.fromkeys(_words_of(listing)) if query in shown]
    return assemble("CTR", folder, texts, asked)


def _most_frequent(
    name: str,
    folder: Path,
    files: Mapping[Path, Path],
    entries: Callable[[Path], Iterable[tuple[int, str]]],
    outline: Callable[[str], Outline],
    most: int,
) -> Benchmark:
    """The most frequent words of files with an outline in every entry.

    Args:
        files: of each image the file of its words.
        entries: (number of the line, entry) of a file.
        outline: the points and the text of an entry; UserError says what was expected.
    """
    texts, outlines, left_out = {}, [], {}
    for image, truth in files.items():
        try:
            frame, found = frame_of(image), []
        except UnreadableImage as problem:
            left_out[image] = str(problem)
            continue
        for number, entry in entries(truth):
            try:
                found.append(outline(entry))
            except ValueError as problem:
                raise UserError(f"{truth}, line {number}: {problem}") from None
        # the publishers' positions are in the pixels of the file, whatever its EXIF data says
        outlines.append([(frame.placed(points), text) for points, text in found])
        size = frame.width * frame.height
        texts[image] = largest(
            word
            for points, text in found
            for word in words(text, share(polygon_area(points), size))
        )
    asked = most_frequent(texts.values(), most)
    return assemble(name, folder, texts, asked, outlines=outlines, left_out=left_out)


def _quadrangle(line: str) -> Outline:
    """ICDAR 2015: four corners and a word."""
    found = _QUADRANGLE.fullmatch(line)
    if found is None:
        raise UserError(
            f"eight numbers and a text were expected, with commas between; got {line!r}."
        )
    numbers = [int(number) for number in found[1].split(",")[:8]]
    return list(zip(numbers[::2], numbers[1::2], strict=True)), found[2].rpartition(",")[2]


def _curve(line: str) -> Outline:
    """CTW1500: any number of corners, `####` and a line of text."""
    head, mark, text = line.partition("####")
    numbers = [number.strip() for number in head.strip().removesuffix(",").split(",")]
    if not mark or len(numbers) % 2 or not all(map(_NUMBER.fullmatch, numbers)):
        raise UserError(
            "an even number of coordinates with commas between, then #### and a text were "
            f"expected; got {line!r}."
        )
    values = [int(number) for number in numbers]
    return list(zip(values[::2], values[1::2], strict=True)), text.partition("####")[0]


def _unwrapped(file: Path) -> Iterator[tuple[int, str]]:
    """(number of its first line, entry) of Total-Text; what does not begin with x: goes on."""
    start, parts = 0, []
    for number, line in lines(file):
        if parts and line.startswith("x:"):
            yield start, " ".join(parts)
            parts = []
        start = start if parts else number
        parts.append(line)
    if parts:
        yield start, " ".join(parts)


def _instance(entry: str) -> Outline:
    """Total-Text: x, y, orientation and transcription, as Python 2 writes lists."""
    found = _INSTANCE.fullmatch(entry)
    xs, ys = (re.split(r"[\s,]+", found[i].strip()) for i in (1, 2)) if found else ((), ())
    if not xs or len(xs) != len(ys) or not all(map(_NUMBER.fullmatch, (*xs, *ys))):
        raise UserError(
            "x: [[…]], y: [[…]], ornt: […], transcriptions: […] were expected, with as many whole "
            f"numbers in x as in y; got {entry!r}."
        )
    return list(zip(map(int, xs), map(int, ys), strict=True)), _ESCAPED.sub(
        _character, found[4] or ""
    )


def _character(escape: re.Match[str]) -> str:
    """What Python 2 wrote as \\xe9, \\u0142 or \\'."""
    code = escape[1] or escape[2]
    return chr(int(code, 16)) if code else escape[3]


def _words_of(path: Path) -> list[str]:
    """The lines of a file as they are compared, without those of which nothing is left."""
    kept = (re.sub(r"[^a-z0-9 ']", "", line.lower()) for _, line in lines(path))
    return [text for words in kept if (text := re.sub(" +", " ", words).strip())]

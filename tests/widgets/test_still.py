"""Pictures taken away: what a saved figure shows, without a browser."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from mstar.errors import UserError
from mstar.widgets import Compare, PveExplorer, figures, sprites, still
from mstar.widgets.picture import Picture
from tests.widgets.test_escaping import DRAWN
from tests.widgets.test_views import views

pymupdf = pytest.importorskip("pymupdf", reason="the extra `figures` is not installed")
pytest.importorskip("plutoprint", reason="the extra `figures` is not installed")


def words(path) -> str:
    """What a PDF says, and that it is one page."""
    with pymupdf.open(path) as document:
        assert len(document) == 1
        return " ".join(document[0].get_text().split())


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_can_be_taken_away(name, recorded, tmp_path):
    photo = Image.fromarray(np.zeros((16, 16, 3), np.uint8))
    picture = DRAWN[name](recorded.trace, photo)
    said = words(picture.save(tmp_path / "figure.pdf"))
    shown = "'></p></style></script>--><hostile>&amp;"
    on_trace = name in ("assignment", "compare", "explore", "heads", "heading", "lab", "matching",
                "multi_word",                         "words")  # fmt: skip
    assert on_trace or shown in said.replace("‘", "'").replace("’", "'"), said
    assert "Strength of the maps" not in said and "Play" not in said
    ground = pixels(picture.save(tmp_path / "figure.png", dpi=48))
    assert (ground[0] == 255).all() and (ground[:, -1] == 255).all()  # white, also where it is dark
    assert (ground < 200).any()


def test_a_figure_is_the_same_bytes_again(recorded, tmp_path):
    for form in ("svg", "pdf", "png"):
        first, second = (
            figures.looks(recorded.trace).save(tmp_path / f"{n}.{form}").read_bytes() for n in "ab"
        )
        assert first == second and len(first) > 10_000


def test_a_view_is_saved_as_it_stands(recorded, tmp_path):
    explorer = PveExplorer(recorded.trace, recorded.words)
    before = pixels(explorer.save(tmp_path / "a.png", dpi=96))
    explorer.look, explorer.overlay = 1, "salient"
    said = words(explorer.save(tmp_path / "b.pdf"))
    assert "Look t: look 1 of 1" in said and "What lies over the image: Region" in said
    after = pixels(explorer.save(tmp_path / "b.png", dpi=96))
    border = np.abs(after - (0xFF, 0xD2, 0x3F)).max(-1) < 8
    assert border.sum() > 100 and not (np.abs(before - (0xFF, 0xD2, 0x3F)).max(-1) < 8).any()


def test_every_view_can_be_taken_away(recorded, tiled, tmp_path):
    pair = Compare((tiled.trace, tiled.trace), ("first", "second"))
    for name, view in {**views(recorded), "tiled": pair}.items():
        assert len(words(view.save(tmp_path / f"{name}.pdf"))) > 40, name


def test_a_map_keeps_its_values():
    maps = np.arange(24.0).reshape(2, 3, 4)
    scale = sprites.Scale.of(maps)
    sprite = sprites.map_sprite(maps, scale)
    for number, values in enumerate(maps):
        cut = still.cut(sprite.uri, sprite.style(number), False)
        image = Image.open(io.BytesIO(base64.b64decode(cut.partition(",")[2])))
        times = image.width // 4
        assert times > 50 and image.height == 3 * times
        expected = scale.palette[scale.bytes(values)].repeat(times, 0).repeat(times, 1)
        assert np.array_equal(np.asarray(image), expected)


def test_sizes(recorded, tmp_path):
    picture = figures.looks(recorded.trace)
    small = pixels(picture.save(tmp_path / "a.png", width=600, dpi=96))
    large = pixels(picture.save(tmp_path / "b.png", width=600, dpi=192))
    assert small.shape[1] == 600 and large.shape == (2 * len(small), 1200, 3)
    with pymupdf.open(picture.save(tmp_path / "a.pdf", width=960)) as document:
        assert document[0].rect.width == 720  # points


def test_an_svg_is_complete(recorded, tmp_path):
    text = figures.looks(recorded.trace).save(tmp_path / "a.svg").read_text()
    assert text.startswith("<svg") and "data:image/png" in text
    assert 'href="http' not in text and "<script" not in text and "foreignObject" not in text


@pytest.mark.parametrize(
    "name, options, why",
    [("a.gif", {}, "saved as .svg, .png, .pdf"), ("a.png", {"dpi": 0}, "dpi must be 10"),
     ("a.svg", {"width": 20}, "width must be 200")],
)  # fmt: skip
def test_what_cannot_be_saved_is_said(name, options, why, tmp_path):
    with pytest.raises(UserError, match=why):
        Picture("").save(tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_without_the_extra_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'mstar-workbench\[figures\]'"):
        Picture("").save(tmp_path / "a.svg")

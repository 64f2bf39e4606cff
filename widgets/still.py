"""A picture as a still: SVG, PDF or PNG, light, on white, without controls and without a browser.

`view.js` does in a browser what `_settled` does here, so that a still shows the state of its
picture. What the layout engine (PlutoBook) lacks is drawn before: maps and photographs are cut out
of their sprites, grids become tables.
"""

import base64
import importlib.util
import io
import json
import math
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup
from PIL import Image, ImageEnhance

from mstar import files
from mstar.errors import UserError, check_range

from . import sprites
from .markup import draw

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

    from .picture import Picture

#: Pixels of CSS an inch, and points.
_PER_INCH, _POINTS = 96, 72
_NEEDED = ("bs4", "plutoprint", "pymupdf")
_FORMATS = (".svg", ".png", ".pdf")
_CONTROLS = (
    ".mv-hint, .mv-take, .mv-controls, .mv-actions, dialog, script, [data-needs=kernel], [hidden]"
)


def save(picture: "Picture", path: str | Path, width: int = 900, dpi: int = 150) -> Path:
    """Write a picture as it stands; the same picture gives the same bytes.

    Args:
        path: ends in .svg, .pdf or .png.
        width: in pixels of CSS, 96 an inch; the height follows.
        dpi: pixels an inch of a PNG.

    Returns:
        the path.

    Raises:
        UserError: another ending, a size out of range, or the extra `figures` is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise UserError(f"a figure is saved as {', '.join(_FORMATS)}; got {path.name}.")
    check_range("width", width, 200, 10_000)
    check_range("dpi", dpi, 10, 1200)
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise UserError(
            f"saving a figure needs {', '.join(missing)}: pip install 'mstar-workbench[figures]'."
        )
    made = _drawn(_page(picture), path.suffix.lower(), width, dpi)
    with files.replacing(path) as whole:
        whole.write_bytes(made)
    return path


def _drawn(page: str, form: str, width: int, dpi: int) -> bytes:
    import plutoprint

    def laid_out(height: float) -> "plutoprint.Book":
        size = plutoprint.PageSize(width * _POINTS / _PER_INCH, height * _POINTS / _PER_INCH)
        book = plutoprint.Book(size, plutoprint.PAGE_MARGINS_NONE, plutoprint.MEDIA_TYPE_SCREEN)
        book.load_html(page)
        return book

    height = math.ceil(laid_out(width).get_document_height())
    book, stream = laid_out(height), io.BytesIO()
    if form == ".png":
        scale = dpi / _PER_INCH
        size = math.ceil(width * scale), math.ceil(height * scale)
        with plutoprint.ImageCanvas(*size, plutoprint.IMAGE_FORMAT_RGB24) as canvas:
            canvas.clear_surface(1, 1, 1, 1)
            canvas.scale(scale, scale)
            book.render_document(canvas)
            canvas.write_to_png_stream(stream)
        png = io.BytesIO()
        Image.open(stream).save(png, "PNG", dpi=(dpi, dpi))
        return png.getvalue()
    for name in ("CREATION", "MODIFICATION"):  # else it is the time of day
        book.set_metadata(getattr(plutoprint, f"PDF_METADATA_{name}_DATE"), "2000-01-01T00:00:00Z")
    book.write_to_pdf_stream(stream)
    if form == ".pdf":
        return stream.getvalue()
    import pymupdf

    with pymupdf.open("pdf", stream.getvalue()) as document:
        return document[0].get_svg_image().encode()


def _page(picture: "Picture") -> str:
    """The page that is laid out."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(picture.markup, "html.parser")
    said = _settled(soup, picture)
    _without_controls(soup, said)
    _with_images(soup, picture)
    _with_tables(soup)
    here = Path(__file__).parent
    style = (here / "view.css").read_text("utf-8").partition("@media")[0]
    style = re.sub(r"light-dark\(([^,]+),[^)]+\)", r"\1", style)
    style += (here / "still.css").read_text("utf-8")
    return draw("still.html", faces=_faces(), style=Markup(style), body=Markup(soup))


@cache
def _faces() -> dict[int, str]:
    """Weight -> data URI of a face that every machine has, as the widths of letters are a figure's
    layout."""
    place = Path(importlib.util.find_spec("font_source_sans_pro").origin).parent / "files"
    names = {400: "SourceSansPro-Regular.ttf", 600: "SourceSansPro-Semibold.ttf"}
    return {weight: _uri((place / name).read_bytes(), "font/ttf") for weight, name in names.items()}


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


# ---- the state, as view.js has it


def _settled(soup: "BeautifulSoup", picture: "Picture") -> list[str]:
    """Put a picture into its state; returns what its controls say."""
    state, tables = _state(soup, picture.start), picture.tables
    for part in soup.select("[data-when]"):
        wanted = _pairs(part["data-when"])
        _show(part, all(state.get(key) in of.split("|") for key, of in wanted.items()))
    for part in soup.select("[data-map]"):
        table = tables[part["data-map"]]
        at = table.at(state, part.get("data-fixed", ""))
        place = part.find_parent(class_="mv-place")
        for one in filter(None, (part, place)):
            _show(one, at is not None)
        if at is not None:
            part["style"] = table.sprite.style(at)
            if place and table.boxes:
                place["style"] = table.boxes[at]
    for part in soup.select("[data-lacks]"):
        _show(part, all(tables[name].at(state) is None for name in part["data-lacks"].split()))
    for part in soup.select("[data-fill], [data-bars]"):
        table = tables[part.get("data-fill") or part["data-bars"]]
        at = table.at(state, part.get("data-fixed", ""))
        says = "–" if at is None else table.says[at]
        if part.has_attr("data-fill"):
            part.string = says
            continue
        lengths = [float(one) for one in says.split()] if at is not None else []
        for bar, length in zip(part.select("i"), lengths, strict=False):
            bar["style"] = f"height:{100 * length / (max(lengths) or 1):.4g}%"
    for button in soup.select("button[data-choose]"):
        keys, values = button["data-choose"].split(), button["data-value"].split()
        pressed = all(state.get(k) == v for k, v in zip(keys, values, strict=False))
        button["aria-selected" if button.find_parent(role="grid") else "aria-pressed"] = (
            "true" if pressed else "false"
        )
    return _said(soup, state, tables)


def _state(soup: "BeautifulSoup", start: Mapping[str, str]) -> dict[str, str]:
    state = {}
    for control in soup.select("[data-chooses]"):
        first = control.find("option") if control.name == "select" else control
        state[control["data-chooses"]] = first.get("value", "") if first else ""
    for button in soup.select("button[data-choose][aria-pressed=true]"):
        keys = button["data-choose"].split()
        state.update(zip(keys, button["data-value"].split(), strict=False))
    return state | dict(start)


def _said(soup: "BeautifulSoup", state: Mapping[str, str], tables: Mapping) -> list[str]:
    """What the controls that matter say, in words."""
    said = []
    for control in soup.select(".mv-choices, label.mv-control"):
        if control.find_parent(hidden=True) or control.has_attr("hidden"):
            continue
        chooser = control.select_one("[data-chooses]")
        if control.name != "label":
            pressed = control.select_one("[aria-pressed=true]")
            said += [f"{control['aria-label']}: {pressed.get_text()}"] if pressed else []
        elif chooser is not None:
            key, value = chooser["data-chooses"], state[chooser["data-chooses"]]
            within = [tables[name] for name in chooser.get("data-within", "").split()]
            counts = [block for table in within if (block := table.block(state))][:1]
            if within and not any(key in (*b.by, *b.when) for b in counts):
                continue
            words = json.loads(chooser["data-says"])[int(value)] if "data-says" in chooser.attrs \
                else next((o.get_text() for o in chooser.select("option")
                           if o["value"] == value), value)  # fmt: skip
            said.append(f"{control.contents[0].strip()}: {words}")
    return said


def _pairs(said: str) -> dict[str, str]:
    return dict(one.split(":", 1) for one in said.split())


def _show(part: "Tag", shown: bool) -> None:
    if shown:
        part.attrs.pop("hidden", None)
    else:
        part["hidden"] = ""


def _without_controls(soup: "BeautifulSoup", said: list[str]) -> None:
    after = soup.select_one("figcaption")
    for part in soup.select(_CONTROLS):
        part.extract()
    for style in soup.select("style"):
        style.extract()
    if said and after is not None:
        line = soup.new_tag("p", attrs={"class": "mv-caption"})
        line.string = " · ".join(said)
        after.append(line)


# ---- what the layout engine cannot draw


def _with_images(soup: "BeautifulSoup", picture: "Picture") -> None:
    ratio = soup.new_tag("img", attrs={"class": "mv-ground", "src": _ground(picture.ratio)})
    for stack in soup.select(".mv-stack"):
        stack.insert(0, ratio.__copy__())
        stack["style"] = f"max-width:{420 * picture.ratio:.0f}px;{stack.get('style', '')}"
    for part in soup.select(", ".join(f".mv-{name}" for name in picture.images) or "none"):
        names = [name for name in picture.images if f"mv-{name}" in part["class"]]
        src = cut(picture.images[names[-1]], part.get("style", ""), "mv-grey" in part["class"])
        part["style"] = ""
        part.append(soup.new_tag("img", attrs={"src": src}))
    for part in soup.select(".mv-bar i"):
        colours = re.findall(r"#[0-9a-f]{6}", part["style"])
        row = sprites.ramp(colours, 512)[None]
        part["style"] = ""
        part.append(soup.new_tag("img", attrs={"src": sprites.uri(Image.fromarray(row), "PNG")}))
    for part in soup.select(".mv-cell"):
        bright = float(re.search(r"--bright:([\d.]+)", part["style"])[1])
        red, green, blue = sprites.ramp(("#14171b", "#ffc04d"), 101)[round(100 * bright)]
        part["style"] = f"background:rgb({red},{green},{blue})"
    for place in soup.select(".mv-place"):
        place.append(soup.new_tag("b", attrs={"style": "border:1px solid #eceff2"}))
    for svg in soup.select(".mv-stack svg"):
        width = float(svg["viewbox"].split()[2])
        svg["viewBox"], svg["preserveAspectRatio"] = svg.attrs.pop("viewbox"), "none"
        shown = 84 if svg.find_parent("li") else 300
        for path in svg.select("path"):
            px = {"mv-strokes": 1, "mv-casing": 4, "mv-border": 2}.get(path["class"][0], 0)
            path["style"] = f"stroke-width:{px * width / shown:.3g}"


@cache
def _ground(ratio: float) -> str:
    """An empty image of this ratio: it gives a stack of layers its height."""
    size = (round(200 * ratio), 200) if ratio < 1 else (200, round(200 / ratio))
    return sprites.uri(Image.new("LA", size), "PNG")


@cache
def cut(uri: str, style: str, grey: bool) -> str:
    """The part of an image that `Sprite.style` shows, its pixels large enough to stay sharp."""
    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
    shares = [float(one) for one in re.findall(r"(-?[\d.]+)%", style)]
    if len(shares) == 4:
        box = []
        for total, size, at in zip(image.size, shares[:2], shares[2:], strict=True):
            cell = total * 100 / size
            first = at / 100 * (total - cell)
            box.append((round(first), round(first + cell)))
        image = image.crop((box[0][0], box[1][0], box[0][1], box[1][1]))
    if grey:
        image = ImageEnhance.Brightness(image.convert("L").convert("RGB")).enhance(0.95)
    if (times := 384 // max(image.size)) > 1:
        image = image.resize([side * times for side in image.size], Image.Resampling.NEAREST)
    return sprites.uri(image, "PNG")


def _with_tables(soup: "BeautifulSoup") -> None:
    """Grids as tables: rows that are named, and cells that only follow one another."""
    for grid in soup.select(".mv-grid"):
        grid.name = "table"
        for row in grid.select("[role=row]"):
            row.name = "tr"
            for cell in row.find_all(recursive=False):
                cell.name, cell["colspan"] = "td", cell.get("aria-colspan", "1")
    for grid in soup.select(".mv-heads"):
        columns = 1 + int(re.search(r"repeat\((\d+)", grid["style"])[1])
        cells = grid.find_all(recursive=False)
        grid.clear()
        grid.name = "table"
        for start in range(0, len(cells), columns):
            row = soup.new_tag("tr")
            for one in cells[start : start + columns]:
                cell = soup.new_tag("td", attrs={"class": one.get("class", [])})
                cell.append(one)
                row.append(cell)
            grid.append(row)
    for button in soup.select("button"):  # what cannot be pressed is a piece of text
        button.name = "span"
        button.attrs.pop("type", None)

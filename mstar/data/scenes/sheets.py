"""What the sandbox looks like: contact sheets."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from mstar.data.scenes.draw import fonts
from mstar.data.scenes.scene import Scene, Strip
from mstar.errors import UserError

_GAP = 8
_LINE = 12  # px of a caption's line
_CAPTION_LINES = 5


def contact_sheet(
    scenes: Sequence[Scene | Strip], columns: int = 6, polygons: bool = False
) -> Image.Image:
    """Scenes or strips in rows of `columns`, labels below, on request with the words' polygons."""
    if not scenes or columns < 1:
        raise UserError("A contact sheet needs at least one scene and one column.")
    height, width = scenes[0].image.shape[:2]
    step = (width + _GAP, height + _GAP + _LINE * _CAPTION_LINES)
    rows = -(-len(scenes) // columns)
    sheet = Image.new("RGB", (columns * step[0] + _GAP, rows * step[1] + _GAP), "white")
    for i, made in enumerate(scenes):
        tile = Image.fromarray(made.image)
        if polygons and isinstance(made, Scene):
            pen = ImageDraw.Draw(tile)
            for region in made.regions:
                pen.polygon([tuple(corner) for corner in region.polygon], outline=(255, 0, 0))
        x, y = _GAP + i % columns * step[0], _GAP + i // columns * step[1]
        sheet.paste(tile, (x, y))
        _caption(ImageDraw.Draw(sheet), made, x, y + height + 2, width)
    return sheet


def _caption(pen: ImageDraw.ImageDraw, made: Scene | Strip, x: int, y: int, width: int) -> None:
    """The labels, one a line, as far as they fit."""
    texts = made.texts if isinstance(made, Scene) else (made.word,)
    singles = [text for text in texts if text.isalpha()]
    captions = [" ".join(singles), *(text for text in texts if not text.isalpha())]
    face = fonts.face("Lato-Regular", 10)
    for number, caption in enumerate(captions[:_CAPTION_LINES]):
        while face.getlength(caption) > width:
            caption = caption[:-2] + "…"
        pen.text((x, y + number * _LINE), caption, fill="black", font=face)

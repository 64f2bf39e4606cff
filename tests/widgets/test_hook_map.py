"""The picture of the model: every hook point is on it, and the file is what the script draws."""

from xml.etree import ElementTree

import pytest

from mstar.hooks.points import POINTS
from mstar.widgets import hook_map


def test_every_hook_point_stands_in_one_box():
    assert sorted(name for box in hook_map.BOXES for name in box.points) == sorted(POINTS)
    with pytest.raises(LookupError, match=r"no box holds the hook point 'sas\.key'"):
        hook_map.box_of("sas.key")


def test_the_file_is_what_the_script_draws():
    assert hook_map.WHERE.read_text(encoding="utf-8") == hook_map.draw(), (
        "run `python -m mstar.widgets.hook_map`"
    )


def test_the_picture_is_well_formed_and_named_and_follows_the_theme():
    picture = hook_map.draw()
    root = ElementTree.fromstring(picture)
    texts = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert set(POINTS) <= texts
    assert root.get("role") == "img" and "prefers-color-scheme:dark" in picture
    width, height = hook_map._SIZE
    for box in hook_map.BOXES:
        assert box.x + box.width <= width and box.y + box.height <= height


def test_boxes_do_not_overlap():
    for first in hook_map.BOXES:
        for second in hook_map.BOXES:
            if first is not second:
                apart = (
                    first.x + first.width <= second.x
                    or second.x + second.width <= first.x
                    or first.y + first.height <= second.y
                    or second.y + second.height <= first.y
                )
                assert apart, (first.title, second.title)

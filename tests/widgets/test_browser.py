"""The views in a real browser: offline, twice on a page, and live against a stand-in kernel."""

import json

import pytest

from mstar.widgets import AssignmentInspector, Compare, MaskLab, MultiWordView, PveExplorer, Search
from mstar.widgets.picture import asset


@pytest.fixture(scope="module")
def views(recorded):
    search = Search(recorded.bench, [recorded.photo] * 3, ["a", "b", "c"])
    search.search("exit")
    return {
        "explorer": PveExplorer(recorded.trace, recorded.words),
        "inspector": AssignmentInspector(recorded.trace),
        "multi": MultiWordView(recorded.trace),
        "compare": Compare((recorded.trace, recorded.trace), ("a", "b")),
        "lab": MaskLab(recorded.bench, recorded.photo, recorded.queries),
        "search": search,
    }


PAGE = "<!doctype html><html lang=en><meta charset=utf-8><title>views</title><body>"


@pytest.fixture(params=["light", "dark"])
def page(request, views, open_page, tmp_path):
    """Every view, the explorer twice."""
    shown = [*views.values(), views["explorer"]]
    file = tmp_path / "views.html"
    file.write_text(PAGE + "".join(view.picture.html for view in shown), encoding="utf-8")
    return open_page(file, request.param)


def shown_map(view) -> tuple[str, str]:
    """What the large picture shows: the cell of the sprite, and its name."""
    part = view.locator(".mv-panel .mv-map").first
    return part.evaluate("e => e.style.backgroundPosition"), part.get_attribute("aria-label")


def test_they_open_offline_and_quietly(page):
    assert page.page.locator("figure").count() == 7
    assert page.wrong == []


def test_the_step_moves_by_key_and_two_copies_do_not_disturb_each_other(page):
    first, second = (page.page.locator(".mstar-view").nth(i) for i in (0, 6))
    before = shown_map(first), shown_map(second)
    assert before[0] == before[1]
    first.get_by_label("Look t").focus()
    page.page.keyboard.press("ArrowRight")
    assert shown_map(first) != before[0] and shown_map(second) == before[1]
    assert "look 1 of 1" in first.locator("output").first.inner_text()


def test_a_matrix_wider_than_the_screen_says_that_there_is_more(page):
    hint = "e => getComputedStyle(e, '::after').visibility"
    matrix = page.page.locator(".mv-scroll").first
    page.page.set_viewport_size({"width": 390, "height": 800})
    page.page.wait_for_selector(".mv-scroll[data-more]")
    assert matrix.evaluate(hint) == "visible"
    matrix.evaluate("e => { e.scrollLeft = e.scrollWidth; }")
    page.page.wait_for_selector(".mv-scroll:not([data-more])")
    assert matrix.evaluate(hint) == "hidden"


def test_the_step_moves_by_mouse(page):
    view = page.page.locator(".mstar-view").first
    before = shown_map(view)
    box = view.get_by_label("Look t").bounding_box()
    page.page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
    assert shown_map(view) != before


def test_what_lies_over_the_image_is_chosen(page):
    view = page.page.locator(".mstar-view").first
    for name, sign in (("Region σ", ".mv-border"), ("Mask", ".mv-strokes")):
        view.get_by_role("button", name=name).click()
        assert view.locator(f"svg:not([hidden]) {sign}").count() == 1
        assert view.get_by_role("button", name=name).get_attribute("aria-pressed") == "true"
    view.get_by_role("button", name="Difference").click()
    assert view.locator(".mv-change").first.is_visible()


def test_a_cell_is_chosen_by_mouse_and_by_key(page):
    view = page.page.locator(".mstar-view").nth(1)
    cells = view.get_by_role("gridcell")
    cells.nth(3).click()
    assert cells.nth(3).get_attribute("aria-selected") == "true"
    facts = view.locator(".mv-read").inner_text()
    assert "query token 3 of look 0" in facts
    page.page.keyboard.press("ArrowRight")
    page.page.keyboard.press("ArrowDown")
    page.page.keyboard.press("Enter")
    assert cells.nth(8 + 4).get_attribute("aria-selected") == "true"
    assert "<b>way</b>" in view.locator(".mv-read").inner_text()


def test_a_page_without_a_kernel_hides_what_needs_one(page):
    lab = page.page.locator(".mstar-view").nth(4)
    assert not lab.get_by_role("button", name="Run").is_visible()
    assert "no kernel" in lab.inner_text()


# Themes as their hosts say them: JupyterLab and Notebook 7, VS Code, pages of documentation; and
# pages that say none, which may be dark in a light system and the other way round.
THEMES = {
    "light": ("background:#fff", 'data-jp-theme-light="true"', 'class="vscode-light"',
              'data-theme="light"', 'class="vscode-high-contrast vscode-high-contrast-light"'),
    "dark": ("background:#111", 'data-jp-theme-light="false"', 'class="vscode-dark"',
             'data-theme="dark"', 'class="vscode-high-contrast"'),
}  # fmt: skip


@pytest.mark.parametrize("system", ["light", "dark"])
@pytest.mark.parametrize("page", ["light", "dark"])
def test_text_can_be_read_whatever_the_page_and_the_system_say(
    system, page, views, open_page, tmp_path
):
    ground, *said = THEMES[page]
    shown = "".join(view.picture.html for view in views.values())
    file = tmp_path / "page.html"
    file.write_text(f'{PAGE[:-6]}<body style="{ground}">{shown}', encoding="utf-8")
    opened = open_page(file, system)
    assert opened.unreadable() == []
    body, paper = opened.page.locator("body"), opened.page.locator(".mstar-view").first
    colour = "e => getComputedStyle(e).backgroundColor"
    for attribute in said:
        name, value = attribute.replace('"', "").split("=")
        body.evaluate("(e, [name, value]) => e.setAttribute(name, value)", [name, value])
        assert (paper.evaluate(colour) == "rgb(255, 255, 255)") == (page == "light"), attribute
        assert opened.unreadable() == [], attribute
        body.evaluate("(e, name) => e.removeAttribute(name)", name)


def test_every_picture_and_control_has_a_name(page):
    nameless = page.page.evaluate(
        """() => [...document.querySelectorAll('[role=img], input, select, button, svg')]
            .filter(e => !e.closest('[hidden]') && e.checkVisibility())
            .filter(e => !(e.ariaLabel || e.labels?.[0]?.textContent || e.textContent).trim())
            .map(e => e.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    ids = page.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_a_single_tile_is_framed_where_it_lies(tiled, open_page, tmp_path):
    explorer = PveExplorer(tiled.trace, tiled.words)
    file = tmp_path / "tiles.html"
    file.write_text(PAGE + explorer.picture.html, encoding="utf-8")
    opened = open_page(file)
    view = opened.page.locator(".mstar-view")
    frame = view.locator(".mv-panel .mv-place:visible")
    assert frame.count() == 0 and view.locator("select[data-chooses=query_token]").is_enabled()
    tile = view.locator("select[data-chooses=tile]")
    tile.select_option("3")
    stack, box = view.locator(".mv-panel .mv-stack").bounding_box(), frame.bounding_box()
    left, top, right, bottom = tiled.trace.boxes[0, 3].tolist()
    drawn = [
        (box["x"] - stack["x"]) / stack["width"], (box["y"] - stack["y"]) / stack["height"],
        box["width"] / stack["width"], box["height"] / stack["height"],
    ]  # fmt: skip
    assert drawn == pytest.approx([left, top, right - left, bottom - top], abs=0.005)
    assert frame.locator(".mv-map").get_attribute("aria-label").startswith("Attention; tile 3, ")
    assert view.locator(".mv-panel .mv-over > .mv-map:visible").count() == 0
    # of the mean of this tile's query tokens: left out
    assert view.locator("select[data-chooses=head]").is_disabled()

    view.locator(".mv-strip button").nth(2).click()
    caption = view.locator("dialog .mv-says").inner_text()
    assert caption.startswith("Query token 2; tile 3, highest")
    assert view.locator("dialog .mv-place:visible").count() == 1
    view.get_by_role("button", name="Close").click()

    view.get_by_role("button", name="Mask").click()
    assert frame.locator(".mv-strokes").count() == 1
    tile.select_option("all")
    assert frame.count() == 0 and view.locator(".mv-strokes:visible").count() == 1
    assert opened.wrong == []


# Live: what JupyterLab does with a view, against a stand-in for the kernel's side.

STAND_IN = """
const heard = {}, traits = TRAITS;
window.sent = [];
window.changed = [];
window.saved = [];
window.model = {
  get: key => traits[key],
  set(key, value) { traits[key] = value; window.changed.push([key, value]); },
  save_changes() { window.saved.push(window.changed.length); },
  send: message => window.sent.push(message),
  on(event, tell) { (heard[event] ??= []).push(tell); },
  off(event, tell) { heard[event] = (heard[event] ?? []).filter(one => one !== tell); },
};
window.fromKernel = (key, value) => {
  traits[key] = value;
  (heard['change:' + key] ?? []).forEach(tell => tell());
};
window.listeners = () => Object.values(heard).flat().length;
window.leave = view.render({ model: window.model, el: document.querySelector('main') });
window.ready = true;
"""


@pytest.fixture
def live(open_page, tmp_path):
    def open_view(view):
        traits = {key: getattr(view, key) for key in view.KEYS}
        traits |= {"markup": view.markup, "bound": view.bound}
        module, state = (
            json.dumps(value).replace("</", "<\\/")
            for value in (asset("view.js") + asset("live.js"), traits)
        )
        body = (
            f"{PAGE}<style>{asset('view.css')}</style><main></main><script type=module>"
            f"const url = URL.createObjectURL(new Blob([{module}], {{type: 'text/javascript'}}));"
            f"const {{ default: view }} = await import(url);"
            f"{STAND_IN.replace('TRAITS', state)}</script>"
        )
        file = tmp_path / "live.html"
        file.write_text(body, encoding="utf-8")
        opened = open_page(file)
        opened.page.wait_for_function("window.ready")
        return opened

    return open_view


def test_controls_become_traits_and_traits_controls(live, views):
    opened = live(views["explorer"])
    page = opened.page
    page.get_by_label("Look t").focus()
    page.keyboard.press("ArrowRight")
    page.locator("select[data-chooses=query_token]").select_option("3")
    page.locator("select[data-chooses=query_token]").select_option("mean")
    assert page.evaluate("changed") == [["look", 1], ["query_token", 3], ["query_token", "mean"]]
    page.evaluate("fromKernel('look', 0)")
    assert page.get_by_label("Look t").input_value() == "0"
    page.wait_for_function("saved.at(-1) === 3")  # told when the hand rests, all at once or nearly
    assert len(page.evaluate("saved")) <= 3
    assert opened.wrong == []


AGAIN = "fromKernel('markup', model.get('markup') + '<!-- again -->')"


def redraw(page):
    """New markup from the kernel, waited for: after a click it comes once the hand has let go."""
    page.evaluate("document.querySelector('.mstar-view').dataset.old = '1'")
    page.evaluate(AGAIN)
    page.wait_for_function("!document.querySelector('[data-old]')")


def test_new_markup_keeps_state_and_focus(live, views):
    opened = live(views["explorer"])
    page = opened.page
    page.get_by_label("Look t").focus()
    page.keyboard.press("ArrowRight")
    redraw(page)
    slider = page.get_by_label("Look t")
    assert slider.input_value() == "1"
    assert slider.evaluate("e => e === document.activeElement")
    strength = page.get_by_label("Strength of the maps")
    strength.focus()
    page.keyboard.press("Home")
    redraw(page)
    assert strength.input_value() == "0"
    assert page.locator(".mstar-view").evaluate("e => e.style.getPropertyValue('--cover')") == "0"
    assert strength.evaluate("e => e === document.activeElement")
    page.get_by_role("button", name="Mask").click()
    redraw(page)
    mask = page.get_by_role("button", name="Mask")
    assert mask.evaluate("e => e === document.activeElement")
    count = page.evaluate("listeners()")
    page.evaluate("leave()")
    assert count > 0 and page.evaluate("listeners()") == 0
    assert opened.wrong == []


def test_nothing_is_redrawn_under_a_hand_or_an_open_dialog(live, views):
    opened = live(views["explorer"])
    page = opened.page
    page.evaluate("document.querySelector('.mstar-view').dataset.old = '1'")
    old = page.locator("[data-old]")
    box = page.get_by_label("Strength of the maps").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.evaluate(AGAIN)
    assert old.count() == 1
    page.mouse.up()
    page.wait_for_function("!document.querySelector('[data-old]')")
    page.evaluate("document.querySelector('.mstar-view').dataset.old = '1'")
    page.get_by_role("button", name="Query 1. Enlarge").click()
    page.evaluate(AGAIN)
    assert old.count() == 1 and page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    page.wait_for_function("!document.querySelector('[data-old]')")
    assert opened.wrong == []


def test_a_quick_stroke_has_no_gaps_and_another_button_draws_nothing(live, views):
    opened = live(views["lab"])
    page = opened.page
    box = page.locator(".mv-canvas").bounding_box()
    token = box["width"] / 16
    page.mouse.move(box["x"] + 2.5 * token, box["y"] + 1.5 * token)
    page.mouse.down(button="right")
    page.mouse.move(box["x"] + 3.5 * token, box["y"] + 1.5 * token)
    page.mouse.up(button="right")
    assert page.evaluate("model.get('region')") == []
    page.mouse.down()
    page.mouse.move(box["x"] + 7.5 * token, box["y"] + 1.5 * token)
    page.mouse.up()
    assert page.evaluate("model.get('region')") == [19, 20, 21, 22, 23]
    changes = page.evaluate("changed.length")
    page.mouse.move(box["x"] + 9.5 * token, box["y"] + 9.5 * token)
    assert page.evaluate("changed.length") == changes


def test_a_drawing_becomes_tokens(live, views):
    opened = live(views["lab"])
    page = opened.page
    page.get_by_role("button", name="Rectangle").click()
    box = page.locator(".mv-canvas").bounding_box()
    token = box["width"] / 16
    page.mouse.move(box["x"] + 2.5 * token, box["y"] + 1.5 * token)
    page.mouse.down()
    page.mouse.move(box["x"] + 4.5 * token, box["y"] + 2.5 * token)
    page.mouse.up()
    assert page.evaluate("model.get('region')") == [18, 19, 20, 34, 35, 36]
    page.locator(".mv-canvas").focus()
    page.keyboard.press("Space")  # the cursor stands in the middle
    assert 8 * 16 + 8 in page.evaluate("model.get('region')")
    page.get_by_role("button", name="Silence query tokens").click()
    page.get_by_role("button", name="2", exact=True).click()
    page.get_by_role("button", name="0", exact=True).click()
    assert page.evaluate("model.get('ablate')") == [0, 2]
    page.get_by_role("button", name="Run").click()
    assert page.evaluate("sent") == [{"ask": "run"}]
    assert page.evaluate("saved.at(-1) === changed.length")  # before the question
    assert opened.wrong == []


def test_a_number_may_be_searched_for(live, views):
    opened = live(views["search"])
    page = opened.page
    page.get_by_label("Text").fill("1888")
    page.keyboard.press("Enter")
    assert ["query", "1888"] in page.evaluate("changed")
    assert {"ask": "search"} in page.evaluate("sent")
    page.locator(".mv-hit").nth(1).click()
    assert page.evaluate("changed").pop()[0] == "chosen"
    assert opened.wrong == []

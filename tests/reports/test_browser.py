"""The finished report in a real browser, with the network off."""

import pytest


@pytest.fixture(params=[("light", 1200), ("dark", 1200), ("light", 360)], ids=str)
def opened(request, open_page, report):
    return open_page(report.folder / "report.html", *request.param)


def test_it_opens_offline_and_quietly(opened):
    page = opened.page
    assert page.locator("figure").count() == 6
    assert opened.wrong == []
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1]  # nothing hangs over the side of a telephone


def test_summary_and_contents_come_first_and_the_tab_says_which(opened, photo):
    page = opened.page
    assert page.title().startswith(f"{photo.name}, ")
    links = page.get_by_role("navigation", name="Contents").get_by_role("link")
    assert photo.name in links.all_inner_texts() and "What to distrust" in links.all_inner_texts()
    top = "e => e.getBoundingClientRect().top"
    short = page.get_by_role("heading", name="In short")
    assert links.first.evaluate(top) < short.evaluate(top)
    assert short.evaluate(top) < page.locator("figure").first.evaluate(top)
    links.get_by_text("What to distrust").click()
    assert page.evaluate("location.hash.length") > 1
    assert abs(page.locator("h2", has_text="What to distrust").evaluate(top)) < 800


def test_text_can_be_read_in_both_themes(opened):
    assert opened.unreadable() == []


def test_the_slider_steps_through_the_looks_by_keyboard(opened):
    page = opened.page
    view = page.locator(".mstar-view:has([data-chooses=look])").first
    slider = view.get_by_label("Look t")
    shown = "[data-when]:not([hidden])"
    seen = set()
    slider.focus()
    for look in range(3):
        conditions = set(view.locator(shown).evaluate_all("all => all.map(e => e.dataset.when)"))
        assert conditions == {f"look:{look}"}
        assert f"look {look} of 2" in view.locator("output").inner_text()
        assert f"look {look} of 2" in slider.get_attribute("aria-valuetext")
        seen.add(view.locator(f".mv-map{shown}").get_attribute("aria-label"))
        page.keyboard.press("ArrowRight")
    assert len(seen) == 3
    assert opened.wrong == []


def test_a_small_map_enlarges_and_closes_by_keyboard(opened):
    page = opened.page
    view = page.locator(".mstar-view:has(.mv-heads)").first
    chooser = view.get_by_label("Whose attention")
    chooser.select_option("1")
    button = view.get_by_role("button", name="Layer 2, head 1. Enlarge")
    small = button.locator(".mv-stack").bounding_box()
    button.focus()
    page.keyboard.press("Enter")
    dialog = view.get_by_role("dialog")
    assert dialog.is_visible()
    large = dialog.locator(".mv-stack").bounding_box()
    assert large["width"] > 1.5 * small["width"]
    assert large["width"] / large["height"] == pytest.approx(300 / 160, rel=0.02)
    assert "Layer 2, head 1, mean of all 4 query tokens, look 1" in dialog.inner_text()
    assert dialog.locator(".mv-scale").count() == 1
    assert dialog.locator(".mv-map:not([hidden])").count() == 1
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert button.evaluate("e => e === document.activeElement")
    assert opened.wrong == []


def test_every_control_has_a_name(opened):
    for control in opened.page.locator("input, select, button:visible").all():
        label = control.evaluate("e => e.ariaLabel || e.labels?.[0]?.textContent || e.textContent")
        assert label.strip()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_a_sweep_and_a_failed_report_can_be_read(scheme, width, open_page, swept):
    opened = open_page(swept.folder / "index.html", scheme, width)
    page = opened.page
    assert opened.unreadable() == []
    sides = "[document.documentElement.scrollWidth, innerWidth]"
    index, _ = page.evaluate(sides), page.get_by_role("link").last.click()
    assert page.get_by_role("heading", name="This report failed").is_visible()
    assert opened.unreadable() == []
    for within, whole in (index, page.evaluate(sides)):
        assert within <= whole
    assert opened.wrong == []


def test_on_paper_it_is_light_and_without_controls(open_page, report):
    opened = open_page(report.folder / "report.html", "dark")
    page = opened.page
    assert page.get_by_label("Look t").first.is_visible()
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.get_by_label("Look t").first.is_visible()
    colour = "e => getComputedStyle(e).backgroundColor"
    assert page.locator("body").evaluate(colour) == "rgb(255, 255, 255)"
    assert opened.unreadable() == []

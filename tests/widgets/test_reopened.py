"""A notebook that is opened again the next day: saved, the server stopped and started anew.

Screenshots are left in `out/screenshots`.
"""

import pytest

from tests.jupyterlab import ROOT, SETUP, Lab, served, started

SHOTS = ROOT / "out" / "screenshots"
CELLS = [
    "PveExplorer(trace, words)",
    "lab = MaskLab(bench, photo, trace.queries)\nlab",
    "lab.region = [5, 6]\nlab.run();",
    "explorer = SearchExplorer(bench, [photo] * 2, ['a', 'b'])\nexplorer",
    "explorer.search.search('exit')\nexplorer.search.chosen = 1",
]


@pytest.fixture(scope="module")
def folder(tiny_checkpoint, browser, tmp_path_factory):
    """With a notebook that was run and saved, and a server that is gone."""
    folder = tmp_path_factory.mktemp("yesterday")
    setup = SETUP.replace("CHECKPOINT", str(tiny_checkpoint))
    with served([setup, *CELLS], folder) as url:
        lab = Lab(browser, url)
        lab.page.locator(".mstar-view[data-kernel]").nth(4).wait_for()
        lab.page.wait_for_function("!document.querySelector('[data-status=busy]')")
        lab.menu("File", "Save Notebook")
        lab.page.locator(".lm-mod-current.jp-mod-dirty").wait_for(state="detached")
        assert lab.wrong == []
        lab.close()
    return folder


@pytest.mark.parametrize(
    "application, path",
    [("jupyterlab", "lab/tree/views.ipynb"), ("notebook", "notebooks/views.ipynb")],
)
def test_its_pictures_are_there_and_live_again_after_run(folder, browser, application, path):
    pytest.importorskip(application)
    with started(application, [f"--ServerApp.root_dir={folder}"], folder) as address:
        lab = Lab(browser, address(path), run=False)
        views = lab.page.locator(".mstar-view:visible")
        views.nth(4).wait_for()
        assert lab.page.get_by_text("Error displaying widget").locator("visible=true").count() == 0
        assert views.count() == 5 and lab.page.locator("[data-kernel]").count() == 0
        explorer, mask, search = views.nth(0), views.nth(1), views.nth(2)
        explorer.get_by_label("Look t").focus()
        lab.page.keyboard.press("ArrowRight")
        assert "look 1 of 2" in explorer.locator("output").first.inner_text()
        assert "2 tokens were covered" in mask.text_content()  # what the later cell did
        assert "searched as word" in search.text_content()
        SHOTS.mkdir(parents=True, exist_ok=True)
        explorer.screenshot(path=SHOTS / f"reopened-{application}.png")

        lab.run()
        live = lab.page.locator(".mstar-view[data-kernel]:visible")
        live.nth(4).wait_for()
        assert lab.page.locator("[data-still]:visible").count() == 0
        lab.close()

"""Make the pictures of the pages: `python -m tests.screenshots`.

The embedded checkpoint, in JupyterLab, in both themes. Needs Chromium and Playwright.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from mstar import files
from mstar.io import embedded
from tests.conftest import CHROMIUM, CHROMIUM_FLAGS
from tests.jupyterlab import ROOT, SETUP, Lab, served

OUT = ROOT / "widgets" / "screenshots"
#: A sample and its words, after the scene of `SETUP`, which one tile shows whole.
SAMPLE = """
import json
from mstar import samples

sample = samples()[0]
entries = json.loads((sample.path.parent / "samples.json").read_text("utf-8"))["images"]
(entry,) = [one for one in entries if one["file"] == sample.path.name]
outlines = [(one["word"], one["points"]) for one in entry["outlines"]]
seen = bench.trace(sample.path, sample.queries())
bench.processor.tiles = (1,)
"""
CELLS = {
    "explorer": "PveExplorer(seen, outlines)",
    "inspector": "AssignmentInspector(seen)",
    "lab": """\
from mstar.evaluate.grounding import coverage

lab = MaskLab(bench, photo, trace.queries)
covered = coverage([words[0][1]], photo.shape[:2], trace.grid) > 0
lab.region = covered.ravel().nonzero()[0].tolist()
lab.run()
lab""",
}


def main() -> None:
    setup = SETUP.replace("CHECKPOINT", str(embedded.checkpoint())) + SAMPLE
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        with served([setup, *CELLS.values()], Path(folder)) as url:
            lab = Lab(browser, url, height=2200)
            for theme in ("Light", "Dark"):
                lab.theme(theme)
                for number, name in enumerate(CELLS, start=1):
                    picture = OUT / f"{name}-{theme.lower()}.png"
                    with files.replacing(picture) as path:
                        lab.view(number).screenshot(path=path)
                    print(picture)
            lab.close()
        browser.close()


if __name__ == "__main__":
    main()

"""Render the sample photographs: `python -m tests.samples OUT [--only NAME …]`."""

import argparse
import json
from pathlib import Path

import bpy
from PIL import ImageDraw

from mstar import files

from .labels import all_labels
from .render import SAMPLES, render, save
from .scenes import SCENES

LABELS = "samples.json"


def _entries(folder: Path) -> dict[str, dict]:
    path = folder / LABELS
    if not path.is_file():
        return {}
    return {entry["file"]: entry for entry in json.loads(path.read_text("utf-8"))["images"]}


def _write(folder: Path, entries: dict[str, dict]) -> None:
    how = f"Blender {bpy.app.version_string}, Cycles, OpenImageDenoise"
    about = {"made_by": "python -m tests.samples", "renderer": how}
    images = [entries[name] for s in SCENES if (name := f"{s.name}.jpg") in entries]
    # One image a line: indented, eight numbers a word would be most of the file.
    head = json.dumps(about, ensure_ascii=False, indent=1)[:-2]
    rows = ",\n".join("  " + json.dumps(entry, ensure_ascii=False) for entry in images)
    with files.replacing(folder / LABELS) as path:
        path.write_text(f'{head},\n "images": [\n{rows}\n ]\n}}\n', encoding="utf-8")


def _names() -> list[str]:
    return [scene.name for scene in SCENES]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.samples", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="OUT")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=_names(), default=_names())
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--percent", type=int, default=100, help="of the size, for a quick look")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--outlined", type=Path, help="here also draw the images with outlines")
    options = parser.parse_args()

    options.folder.mkdir(parents=True, exist_ok=True)
    labelled = all_labels(SCENES)
    entries = _entries(options.folder)
    for scene in SCENES:
        if scene.name not in options.only:
            continue
        image, outlines, seconds = render(scene, options.samples, options.percent, options.threads)
        name = f"{scene.name}.jpg"
        save(image, options.folder / name)
        texts, styles = labelled[scene.name]
        entries[name] = {
            "file": name,
            "size": list(image.size),
            "samples": options.samples,
            "seconds": round(seconds),
            "texts": texts,
            "styles": styles,
            "outlines": outlines,
        }
        _write(options.folder, entries)
        print(f"{name}: {seconds:.0f} s, {(options.folder / name).stat().st_size / 1000:.0f} kB")
        if options.outlined:
            options.outlined.mkdir(parents=True, exist_ok=True)
            pen = ImageDraw.Draw(image)
            for outline in outlines:
                pen.polygon([tuple(point) for point in outline["points"]], outline="#ff00ff")
            image.save(options.outlined / name)


if __name__ == "__main__":
    main()

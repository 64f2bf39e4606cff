"""Pack photographs and their lists small: `python tests/gpu/pack_data.py SOURCE DEST`.

SOURCE holds `photographs.json` and, if there are any, `words.json` and a folder `backgrounds/`.
The lists are in MSTAR-Training's form, their paths from SOURCE; images that no list names stay
behind. DEST, a new folder, gets the same with JPEGs: photographs with a long side of 512 px, those
in a `--large` folder 768 px, backgrounds 256 px, and crops of words as they are. Entries of
photographs in an `--incomplete` folder, on which more can be read than is listed, go to
`incomplete.json`.
"""

import argparse
import json
import shutil
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

LARGE, SMALL, BACKGROUND = 768, 512, 256
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def shrunk(path: Path, side: int, quality: int) -> bytes:
    """An image as JPEG, upright, with `side` px on its long side at most."""
    with Image.open(path) as opened:
        photo = ImageOps.exif_transpose(opened).convert("RGB")
    photo.thumbnail((side, side), Image.Resampling.LANCZOS)
    made = BytesIO()
    photo.save(made, "JPEG", quality=quality, optimize=True)
    return made.getvalue()


def _written(dest: Path, name: str, content: bytes) -> str:
    """Write an image under its name, as a JPEG; the name."""
    name = name if Path(name).suffix.lower() in (".jpg", ".jpeg") else f"{name}.jpg"
    path = dest / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return name


def _entries(source: Path, name: str) -> list[dict]:
    entries = json.loads((source / name).read_text(encoding="utf-8"))
    for entry in entries:
        path = (source / entry["image"]).resolve()
        if not path.is_relative_to(source.resolve()) or not path.is_file():
            raise ValueError(f"{name} lists {entry['image']!r}, and there is no such image.")
    return entries


def _list(dest: Path, name: str, entries: list[dict]) -> None:
    if entries:
        text = json.dumps(entries, ensure_ascii=False)
        (dest / name).write_text(text, encoding="utf-8")


def pack(
    source: Path, dest: Path, limit: float, quality: int, large: list[str], incomplete: list[str]
) -> dict[str, int]:
    """Pack; bytes by what they are.

    Raises:
        ValueError: a list names no image, or all is over the limit, in MiB; then DEST is removed.
    """
    if dest.exists():
        raise ValueError(f"{dest} is there already: name a new folder.")
    entries = _entries(source, "photographs.json")
    words = _entries(source, "words.json") if (source / "words.json").is_file() else []
    dest.mkdir(parents=True)
    sizes = {"photographs": 0, "words": 0}
    lists: dict[bool, list[dict]] = {False: [], True: []}
    for entry in entries:
        folder = entry["image"].split("/")[0]
        content = shrunk(source / entry["image"], LARGE if folder in large else SMALL, quality)
        sizes["photographs"] += len(content)
        name = _written(dest, entry["image"], content)
        lists[folder in incomplete].append(entry | {"image": name})
    for entry in words:
        target = dest / entry["image"]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / entry["image"], target)
        sizes["words"] += target.stat().st_size
    _list(dest, "photographs.json", lists[False])
    _list(dest, "incomplete.json", lists[True])
    _list(dest, "words.json", words)
    sizes["lists"] = sum(file.stat().st_size for file in dest.glob("*.json"))
    allowed = limit * 2**20
    if sum(sizes.values()) > allowed:
        shutil.rmtree(dest)
        said = ", ".join(f"{name} {size / 2**20:.1f}" for name, size in sizes.items())
        raise ValueError(
            f"{sum(sizes.values()) / 2**20:.1f} MiB are over the limit of {limit:g} ({said}): "
            "lower --quality, or list fewer."
        )
    places = source / "backgrounds"
    names = [p for p in sorted(places.rglob("*")) if p.suffix.lower() in SUFFIXES]
    made = {p: shrunk(p, BACKGROUND, quality) for p in names}
    size, room = sum(map(len, made.values())), allowed - sum(sizes.values())
    if size > room:
        fit = [p for i, p in enumerate(names) if int(i * room / size) != int((i + 1) * room / size)]
        made = {p: made[p] for p in fit[: len(fit) * 19 // 20]}  # some are larger than others
        print(f"of {len(names)} backgrounds {len(made)} fit: all take {size / 2**20:.1f} MiB.")
    for path, content in made.items():
        _written(dest, path.relative_to(source).as_posix(), content)
    return sizes | {"backgrounds": sum(map(len, made.values()))}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("source", type=Path)
    add("dest", type=Path)
    add("--limit", type=float, default=60, metavar="MIB", help="of all (default: 60)")
    add("--quality", type=int, default=80, help="of the JPEGs (default: 80)")
    add("--large", nargs="*", default=["icdar2015"], metavar="FOLDER", help="with small text")
    add("--incomplete", nargs="*", default=["svt_train"], metavar="FOLDER")
    args = parser.parse_args(argv)
    try:
        sizes = pack(args.source, args.dest, args.limit, args.quality, args.large, args.incomplete)
    except (ValueError, OSError, KeyError) as problem:
        print(f"pack_data: error: {problem}", file=sys.stderr)
        return 2
    for name, size in sizes.items():
        print(f"{name:12} {size / 2**20:6.1f} MiB")
    print(f"{'all':12} {sum(sizes.values()) / 2**20:6.1f} MiB in {args.dest}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env bash
# Pillow 13.0.0: the transparent grey of a PNG of 2 or 4 bits stays opaque, or another grey goes.
#
# Guess before it was run: `Image.open(png).convert("RGBA")` makes the samples transparent that the
# tRNS chunk names, whatever the depth: that is what the chunk is for, and 1 and 8 bits do so.
# Seen: at 2 and 4 bits samples are scaled to 0 … 255 first, and then compared with the entry as it
# stands in the file: entry 1 of 2 bits is looked for as grey 1, where it has become 85. With RGB of
# 16 bits the entry keeps 16 bits and the samples have 8, so none is found either. No warning.
# Line art and scanned pages reduced by pngcrush or optipng are such files. What is transparent in
# them has to be found from the chunk itself (scale the entry by 255 // (2 ** depth - 1)).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0
"$folder/venv/bin/python" - <<'PY'
import io
import struct
import zlib

import PIL
from PIL import Image


def chunk(kind, content):
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(row, width, depth, colour, entry):
    head = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"tRNS", entry) + chunk(b"IDAT", zlib.compress(b"\0" + row))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def alphas(*arguments):
    """Of two pixels: the first is 0, the second is the entry that is transparent."""
    image = Image.open(io.BytesIO(png(*arguments))).convert("RGBA")
    return [image.getpixel((x, 0))[3] for x in range(2)]


print("Pillow", PIL.__version__)
assert PIL.__version__ == "13.0.0"
found = {
    "grey, 1 bit": alphas(b"\x40", 2, 1, 0, b"\0\1"),
    "grey, 2 bits": alphas(b"\x10", 2, 2, 0, b"\0\1"),
    "grey, 4 bits": alphas(b"\x07", 2, 4, 0, b"\0\7"),
    "grey, 8 bits": alphas(b"\0\x20", 2, 8, 0, b"\0\x20"),
    "RGB, 8 bits": alphas(bytes(3) + b"\x20\x21\x22", 2, 8, 2, b"\0\x20\0\x21\0\x22"),
    "RGB, 16 bits": alphas(bytes(6) + b"\x20\1" * 3, 2, 16, 2, b"\x20\1" * 3),
}
for kind, alpha in found.items():
    print(f"{kind:13} opacity of the other and of the transparent pixel: {alpha}")
for kind in ("grey, 1 bit", "grey, 8 bits", "RGB, 8 bits"):
    assert found[kind] == [255, 0]
for kind in ("grey, 2 bits", "grey, 4 bits", "RGB, 16 bits"):
    assert found[kind] == [255, 255]
PY
echo "as described"

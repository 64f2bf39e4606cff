#!/usr/bin/env bash
# Pillow 13.0.0: `image.resize(size, BICUBIC, box)` is not `image.crop(box).resize(size, BICUBIC)`.
#
# Guess before it was run: the two give the same pixels, as `box` is "the region of the source".
# Seen: the filter's support reaches over the edge of the box, so the outermost pixels of the result
# also hold what lies outside of it: of a black box beside a white strip the first column is 21, and
# 0 when the box is cut out first. With `reducing_gap=2.0` it is 17. Inside the two agree to the bit.
# Who cuts a photograph into parts and asks what each part shows (tiles, crops for OCR, occlusion)
# has to crop first; the box is right where the surroundings belong to the part.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import PIL
from PIL import Image

photo = Image.new("L", (400, 400), 0)
photo.paste(255, (0, 0, 100, 400))  # white, left of the box
box, size, bicubic = (100, 0, 400, 400), (10, 10), Image.Resampling.BICUBIC
by_box = np.asarray(photo.resize(size, bicubic, box=box))
cropped = np.asarray(photo.crop(box).resize(size, bicubic))
reduced = np.asarray(photo.resize(size, bicubic, box=box, reducing_gap=2.0))
print("Pillow", PIL.__version__)
print("first columns by box, cropped, reduced:", by_box[0, 0], cropped[0, 0], reduced[0, 0])
assert PIL.__version__ == "13.0.0"
assert (by_box[:, 0] == 21).all() and (reduced[:, 0] == 17).all() and not cropped.any()

noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (400, 600), dtype=np.uint8))
box, size = (100, 80, 400, 300), (64, 64)
by_box = np.asarray(noise.resize(size, bicubic, box=box)).astype(int)
cropped = np.asarray(noise.crop(box).resize(size, bicubic)).astype(int)
differs = np.abs(by_box - cropped) > 0
print("of 64 × 64 pixels of noise differ:", differs.sum(), "- all of them in the outer two rows:",
      not differs[2:-2, 2:-2].any())
assert differs.any() and not differs[2:-2, 2:-2].any()
PY
echo "as described"

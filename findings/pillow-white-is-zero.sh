#!/usr/bin/env bash
# Pillow 13.0.0: a TIFF whose white is zero is turned round up to 8 bits, not with 16 bits or floats.
#
# Guess before it was run: PhotometricInterpretation 0 (WhiteIsZero) is heeded at every depth, as
# the same scan saved with 8 and with 16 bits opens in modes "L" and "I;16", black on white.
# Seen: mode "L" comes inverted (0 in the file is 255), "I;16" and "F" come as stored, so that the
# deeper file is a negative of the other one. Nothing is said. Whoever reads scans, X-rays or faxes
# has to look at tag 262 himself when the mode is deeper than 8 bits.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pillow==13.0.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import io
import struct

import numpy as np
import PIL
from PIL import Image


def tiff(values, bits, kind):
    """Little-endian, one strip; 262 = 0 says that white is zero, 339 that numbers are floats (3)."""
    (height, width), data = values.shape, values.tobytes()
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, 0), (273, 134), (277, 1),
            (278, height), (279, len(data)), (339, kind)]
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<LH", 8, len(tags)) + entries + bytes(4) + data


print("Pillow", PIL.__version__)
assert PIL.__version__ == "13.0.0"
stored = np.array([[0, 1]])  # white, black
found = {}
for dtype, bits, kind, largest in (("u1", 8, 1, 255), ("<u2", 16, 1, 65535), ("<f4", 32, 3, 1)):
    image = Image.open(io.BytesIO(tiff((stored * largest).astype(dtype), bits, kind)))
    found[bits] = (np.asarray(image) / largest).tolist()
    print(bits, "bits, mode", image.mode, "- white and black of the file are read as", found[bits])
assert found == {8: [[1, 0]], 16: [[0, 1]], 32: [[0, 1]]}
PY
echo "as described"

#!/usr/bin/env bash
# bpy 5.0.1: a text object whose letters are bare outlines has a bounding box one unit too large on
# every side, in depth too.
#
# Guess before it was run: `fill_mode = "NONE"` takes the faces away and leaves the box, as the
# outlines end where the faces did.
# Seen: OPEN is 2.494 × 0.700 × 0 with faces, and 4.494 × 2.700 × 2 without them: exactly 1.0 more on
# each side, whatever the letters. With any bevel (0.02, a neon tube) it is 2.534 × 0.740 × 0.040, as
# it should be. Who scales letters by `dimensions` gets neon signs of a fraction of their size, so
# measure with a bevel, or from the mesh.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check bpy==5.0.1 'numpy<2.3'
"$folder/venv/bin/python" - <<'PY'
import bpy


def size(fill: str, bevel: float, body: str = "OPEN") -> tuple[float, ...]:
    curve = bpy.data.curves.new("text", "FONT")
    curve.body, curve.fill_mode, curve.bevel_depth = body, fill, bevel
    made = bpy.data.objects.new("text", curve)
    bpy.context.scene.collection.objects.link(made)
    bpy.context.view_layer.update()
    return tuple(round(side, 3) for side in made.dimensions)


print("bpy", bpy.app.version_string)
faces, bare, tube = size("BOTH", 0.0), size("NONE", 0.0), size("NONE", 0.02)
print("faces", faces, "bare outlines", bare, "bevelled outlines", tube)
assert bpy.app.version == (5, 0, 1)
for body in ("OPEN", "i", "A LONGER LINE"):
    plain, outline = size("BOTH", 0.0, body), size("NONE", 0.0, body)
    assert all(abs(b - a - 2) < 0.002 for a, b in zip(plain, outline)), (body, plain, outline)
assert all(abs(b - a - 0.04) < 0.002 for a, b in zip(faces, tube))
PY
echo "as described"

#!/usr/bin/env bash
# setuptools 84.2.1: `pip install -e .` leaves an `egg-info` in the source folder as it is, and
# `importlib.metadata`, run from that folder, believes it rather than what was just installed.
#
# Guess before it was run: installing again after a new entry point was declared makes it known.
# Seen: from another folder it is; from the source folder (`python -m …`, pytest with `pythonpath`,
# anything that has the folder on `sys.path` first) the distribution found is the old `egg-info` that
# a wheel built there had left, without the new entry point. Deleting it is what helps. Commands
# that a package finds by entry points are missing then, just where one develops it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/python" -m pip --quiet --disable-pip-version-check)
"${pip[@]}" install setuptools==84.2.1
mkdir "$folder/source" && cd "$folder/source"
touch one.py
cat > pyproject.toml <<'TOML'
[build-system]
requires = ["setuptools==84.2.1"]
build-backend = "setuptools.build_meta"
[project]
name = "plugged"
version = "1"
[project.entry-points."plugged.first"]
one = "one"
[tool.setuptools]
py-modules = ["one"]
TOML
"${pip[@]}" wheel --no-deps --no-build-isolation --wheel-dir "$folder/wheels" .
printf '[project.entry-points."plugged.second"]\ntwo = "one"\n' >> pyproject.toml
"${pip[@]}" install --no-deps --no-build-isolation --editable .
cat > "$folder/groups.py" <<'PY'
import sys
sys.path.insert(0, "")  # as `python -m` has it
from importlib.metadata import distribution
print(*sorted(distribution("plugged").entry_points.groups))
PY
here=$("$folder/venv/bin/python" "$folder/groups.py")
there=$(cd "$folder" && venv/bin/python groups.py)
rm -rf plugged.egg-info
mended=$("$folder/venv/bin/python" "$folder/groups.py")
echo "from the source folder: $here"
echo "from another folder:    $there"
echo "without the egg-info:   $mended"
[ "$here" = "plugged.first" ]
[ "$there" = "plugged.first plugged.second" ] && [ "$mended" = "$there" ]
echo "as described"

#!/usr/bin/env bash
# CPython 3.11 to 3.13: a program started by `python -m` that catches a KeyboardInterrupt and then
# ends by `sys.exit(3)` is killed by SIGINT all the same, if the interrupt came while a text was
# executed: `exec` of a string, by which dataclasses and named tuples are made while importing.
#
# Guess before it was run: an exception that was caught leaves nothing behind; the exit code is 3,
# as it is for the same file started by its path.
# Seen: by path 3; by -m 130, which is what a shell calls a process that died of SIGINT (Python's
# subprocess says -2). So a program's exit code after Ctrl-C depends on whether it was importing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/stopped.py" <<'PY'
import sys
try:
    exec("raise KeyboardInterrupt")
except KeyboardInterrupt:
    pass
sys.exit(3)
PY
cd "$folder"
python3 --version
path=0; python3 stopped.py || path=$?
module=0; python3 -m stopped || module=$?
echo "exit codes: by path $path, by -m $module"
[ "$path" -eq 3 ] && [ "$module" -eq 130 ]

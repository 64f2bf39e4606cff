#!/usr/bin/env bash
# Fetch what a machine with PyTorch and transformers lacks, as wheels for Python 3.12 on x86-64
# Linux: pack.sh FOLDER [--with DATA]... [NAME]...
# NAMEs are further dependencies of ours, in our versions. Says what FOLDER, every DATA folder and
# the repository's files take together, and refuses (exit code 1) over 60 MiB.
set -euo pipefail
[ $# -gt 0 ] && [[ $1 != -* ]] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd); shift
data=() names=()
while [ $# -gt 0 ]; do
  if [ "$1" = --with ]; then data+=("$(cd "$2" && pwd)"); shift 2; else names+=("$1"); shift; fi
done
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
pins=$("$python" - ${names[@]+"${names[@]}"} <<'PY'
import sys

pins = [line for line in open("constraints.txt").read().split("\n") if "==" in line]
wanted = {"rapidfuzz", "pymupdf-fonts", "wonderwords", *sys.argv[1:]}
of = {pin.split("==")[0]: pin for pin in pins}
if unknown := wanted - of.keys():
    sys.exit(f"no dependency of ours: {', '.join(sorted(unknown))}")
print(*(pin for name, pin in of.items() if name in wanted or name.startswith("font-")))
PY
)
platforms=()
for tag in manylinux_2_28 manylinux_2_27 manylinux_2_26 manylinux_2_24 manylinux_2_17 \
  manylinux2014 manylinux2010 manylinux1; do
  platforms+=(--platform "${tag}_x86_64")
done
rm -f "$folder"/*.whl  # two versions of one would stop the whole installation
# shellcheck disable=SC2086
"$python" -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: \
  --python-version 3.12 --implementation cp "${platforms[@]}" -d "$folder" $pins

size() { find "$@" -type f -printf '%s\n' | awk '{ sum += $1 } END { printf "%d", sum }'; }
mib() { awk "BEGIN { printf \"%.1f MiB\", $1 / 1048576 }"; }
all=$(size "$folder")
echo "wheels       $(mib "$all") in $(ls "$folder"/*.whl | wc -l) files"
for one in ${data[@]+"${data[@]}"}; do
  more=$(size "$one"); all=$((all + more)); echo "data         $(mib "$more"), $one"
done
tracked=$(git ls-files -z | xargs -0 cat 2>/dev/null | wc -c)
all=$((all + tracked))
echo "repository   $(mib "$tracked")"
echo "all          $(mib $all)"
[ $all -le $((60 * 1048576)) ] || { echo "over 60 MiB: pack less." >&2; exit 1; }

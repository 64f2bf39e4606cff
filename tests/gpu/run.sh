#!/usr/bin/env bash
# Checks, measures and, if asked, trains on a machine with a CUDA device; README.md says how.
set -uo pipefail
usage="usage: tests/gpu/run.sh OUT [--tiny] [--only PART]... [--train MINUTES DATA]"
fail() { echo "$1" >&2; exit 2; }
[ $# -gt 0 ] && [[ $1 != -* ]] || fail "$usage"
mkdir -p "$1" || exit 2
out=$(cd "$1" && pwd); shift
tiny=() only=() minutes="" data=""
while [ $# -gt 0 ]; do
  case $1 in
    --tiny) tiny=(--tiny); shift ;;
    --only) [ $# -ge 2 ] || fail "$usage"; only+=("$2"); shift 2 ;;
    --train)
      [ $# -ge 3 ] || fail "$usage"
      minutes=$2; data=$(cd "$3" && pwd) || exit 2; shift 3 ;;
    *) fail "$usage" ;;
  esac
done

cd "$(dirname "$0")/../.." || exit 2
python=${PYTHON:-python3}
export OMP_WAIT_POLICY=PASSIVE HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false TQDM_MININTERVAL=30
export PYTHONUNBUFFERED=1
if [ -d .whl ]; then  # what pack.sh packed
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir \
    --disable-pip-version-check --root-user-action=ignore --target "$site" .whl/*.whl || exit 2
  export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH}
fi
[ -z "${MSTAR_GOLDEN:-}" ] && [ -d .golden ] && export MSTAR_GOLDEN=$PWD/.golden
if [ ${#tiny[@]} -eq 0 ]; then
  "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null ||
    fail "no CUDA device here (or no torch): --tiny tries the path without one."
fi

# Ten minutes in all. Training has its minutes and 75 s to start and to end; the parts share the
# rest by these weights, in seconds.
declare -A weight=([checks]=65 [learning]=160 [throughput]=220 [loading]=120)
parts=(checks learning throughput loading)
[ ${#only[@]} -gt 0 ] && parts=("${only[@]}")
[ -n "$minutes" ] && [[ " ${parts[*]} " != *" train "* ]] && parts+=(train)
left=580 sum=0
for part in "${parts[@]}"; do
  if [ "$part" = train ]; then
    [ -n "$minutes" ] || fail "$usage"
    train_seconds=$("$python" -c "print(round(60 * float('$minutes')) + 75)") || exit 2
    left=$((left - train_seconds))
  else
    [ -n "${weight[$part]:-}" ] || fail "no part $part: ${!weight[*]} or train"
    sum=$((sum + weight[$part]))
  fi
done
[ $((2 * left)) -ge $sum ] ||
  fail "$minutes minutes leave $left s for the rest: train less, or choose parts with --only."

rm -f "$out"/results.jsonl "$out"/results.md "$out"/log.txt "$out"/curve.jsonl "$out"/checkpoint.tar
for part in "${parts[@]}"; do
  if [ "$part" = train ]; then
    limit=$train_seconds arguments=("$data" --minutes "$minutes")
  else
    # half a minute is what the last fact may take that began in time
    limit=$((left * weight[$part] / sum)) arguments=(--seconds $((limit > 60 ? limit - 30 : limit)))
  fi
  [ ${#tiny[@]} -eq 0 ] || limit=$((4 * limit))  # it may be a busy machine, and costs nothing
  echo "== $part, $limit s at most" | tee -a "$out/log.txt"
  timeout -k 5 "$limit" "$python" tests/gpu/start.py "$part" "$out" "${arguments[@]}" \
    ${tiny[@]+"${tiny[@]}"} >>"$out/log.txt" 2>&1
  code=$?
  failed=(); [ $code -eq 0 ] || failed=(--failed "$part" $code)
  "$python" tests/gpu/start.py report "$out" ${failed[@]+"${failed[@]}"} >/dev/null
  passed=$?
done
cat "$out/results.md"
exit $passed

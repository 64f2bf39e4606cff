#!/usr/bin/env bash
# huggingface_hub 2.4.0: with `local_files_only=True` nothing is downloaded, and the network is asked
# all the same: once a process (and day) for a list of programs by which it tells who calls.
#
# Guess before it was run: `hf_hub_download(…, local_files_only=True)` of what is not in the cache
# raises without opening a socket.
# Seen: it raises, and has looked up a host before. On a machine behind a firewall that drops
# packets this takes a timeout. `try_to_load_from_cache` and HF_HUB_OFFLINE=1 ask nobody.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip --quiet --disable-pip-version-check install huggingface_hub==2.4.0
cat > "$folder/asked.py" <<'PY'
import socket, sys
asked = []
def refuse(*arguments, **options):
    asked.append(arguments)
    raise OSError("no network")
socket.getaddrinfo = socket.socket.connect = refuse
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import LocalEntryNotFoundError
name = ("nobody/nothing", "vocab.txt")
if sys.argv[1] == "cache":
    assert try_to_load_from_cache(*name) is None
else:
    try:
        hf_hub_download(*name, local_files_only=True)
    except LocalEntryNotFoundError:
        pass
print(len(asked))
PY
export HF_HOME="$folder/hub"
unset HF_HUB_OFFLINE
download=$("$python" "$folder/asked.py" download)
cache=$("$python" "$folder/asked.py" cache)
offline=$(HF_HUB_OFFLINE=1 "$python" "$folder/asked.py" download)
echo "look-ups: local_files_only $download, the cache alone $cache, HF_HUB_OFFLINE=1 $offline"
[ "$download" -gt 0 ] && [ "$cache" -eq 0 ] && [ "$offline" -eq 0 ]
echo "as described"

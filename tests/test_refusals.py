"""What cannot be is refused at once: before torch is loaded, in a sentence, with nothing made."""

import json
import os
import shlex
import signal
import subprocess
import sys

import pytest

from mstar.cli import __main__ as cli
from mstar.io.embedded import ASSETS
from mstar.search.store import About, write_about
from mstar.versions import checkpoint_hash

#: Runs each command of a JSON list; says how it ended and whether torch was there then.
SCRIPT = """
import json, sys
from mstar.cli import __main__ as cli
for command in json.loads(sys.stdin.read()):
    try:
        code = cli.main(command)
    except SystemExit as stop:  # of argparse
        code = stop.code
    print(code, 'torch' in sys.modules, flush=True)
"""
WRONG = """
index none g
index . g --batch-size 0
index pictures g --pve-steps -1
index pictures g --tiles 2
index pictures g --checkpoint none
index pictures a-file
index pictures pictures
index empty g
search none exit
search g exit --top 0
search g exit --style loud
search g loud:exit
search pictures exit
search g exit --approximate
search pictures exit --approximate
gallery build-index pictures
gallery recall pictures exit
gallery recall pictures exit --top 0
gallery recall pictures loud:exit
gallery recall pictures exit --database http://localhost
gallery export pictures --to http://localhost
gallery export pictures --to localhost
search g exit --database localhost
convert none out --tokenizer x
convert a-file pictures --tokenizer x
convert a-file out --tokenizer x --image-size 0
sandbox --scenes 0
sandbox --out pictures
train --threads 0
train --share 2
train --init none
train --out a-file
train --real none none
train --recipe photographs
train --recipe paper-word --real a b --synthetic a b --tokenizer none
evaluate salience --scenes 0
evaluate salience --pve-steps -1
evaluate salience --seed -1
evaluate salience --checkpoint none
evaluate salience --json pictures
evaluate benchmark none
evaluate benchmark svt
evaluate benchmark svt none
evaluate benchmark sandbox-easy --scenes 1
evaluate benchmark sandbox-easy --peers x
evaluate benchmark sandbox-easy --kept pictures
evaluate masks svt
evaluate localisation --methods cam
evaluate patching --scenes 1
evaluate importance heads --per-style 0
evaluate semantics --pve-steps 0
report image --images none.jpg --texts exit
report image --images pictures/a.png --texts loud:exit
report image --texts ,
report image --pve-steps -1
report image --tiles 2
report image --size 66
report image --images pictures/a.png --texts exit --record pve.0.maks
report image --images pictures/a.png --texts exit --pve-steps 0 --record pve.1.mask
report image --checkpoint none
report image --out a-file
report image --sweep x
report image --gallery none --images pictures/a.png --texts exit
report image --gallery pictures --images pictures/a.png --texts exit
report image --gallery of-others --images pictures/a.png --texts exit
report image --gallery ours --images pictures/a.png --texts exit --checkpoint none
report image --gallery ours --images pictures/a.png --texts exit --pve-steps 9
report image --gallery ours --images pictures/a.png --texts exit --tiles 1 2
report image --gallery ours --images pictures/a.png --texts exit --size 64
report image --gallery ours --texts exit
report folder --images none --texts exit
report folder --images empty --texts exit
report folder --images pictures
report folder --images pictures --texts loud:exit
report folder --images pictures --known none
report folder --images pictures --known a-file
report folder --images pictures --texts exit --pve-steps -1
report folder --gallery none --texts exit
report folder --gallery of-others --texts exit
report folder --gallery ours --texts exit --images none
report folder --gallery ours --texts exit --pve-steps 9
report folder --gallery ours
search of-others exit
search ours exit --checkpoint none
report retrieval --benchmark x
report retrieval --scenes 1
report retrieval --peers x
report retrieval --benchmark svt --folder none
report retrieval --checkpoint none
report compare --checkpoint none
report compare --pve-steps 1 1
report compare --pve-steps 1
"""


def test_wrong_parameters_are_refused_before_torch_is_loaded(tmp_path):
    from PIL import Image

    for name in ("pictures", "empty"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures/a.png")
    (tmp_path / "a-file").touch()
    embedded = ASSETS / "checkpoint"
    for name, found in (("ours", checkpoint_hash(embedded)), ("of-others", "0" * 64)):
        (tmp_path / name).mkdir()
        write_about(tmp_path / name, About(str(embedded), found, 1, (1,), "../pictures"))
    there = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
    commands = [shlex.split(line) for line in WRONG.split("\n") if line]
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(commands), cwd=tmp_path,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    ended = dict(zip(map(shlex.join, commands), ran.stdout.splitlines(), strict=True))
    assert {command: end for command, end in ended.items() if end != "2 False"} == {}
    assert ran.stderr.count("error: ") >= len(commands) and "Traceback" not in ran.stderr
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*")} == there


def mstar(*arguments: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "mstar.cli", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("arguments", [["--help"], ["evaluate", "benchmark", "--help"], []])
def test_a_reader_that_has_gone_is_no_error(arguments):
    """As of `… | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    ran = mstar(*arguments, stdout=writer)
    os.close(writer)
    assert ran.communicate()[1] == b"" and ran.returncode == 0


def test_what_the_terminal_cannot_encode_is_replaced():
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    ran = mstar("evaluate", "masks", "--help", stdout=subprocess.PIPE, env=environment)
    said, wrong = ran.communicate()
    assert ran.returncode == 0 and wrong == b"" and b"every variant of ?" in said


#: The command, which is sent Ctrl-C some seconds after Python itself has begun.
STOPPED = """
import os, signal, sys, threading
after = float(sys.argv.pop(1))
sys.argv[0] = 'mstar'
threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT)).start()
from mstar.cli.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("after", [0.1, 0.4, 1.5])
def test_stopped_at_once_there_is_no_traceback(tmp_path, after):
    command = [sys.executable, "-c", STOPPED, str(after), "sandbox", "--scenes", "2000"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60)
    assert b"Traceback" not in ran.stderr
    assert ran.returncode in (130, -signal.SIGINT) and list(tmp_path.iterdir()) == []


def test_an_index_that_fails_leaves_no_folder(tiny_checkpoint, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    command = ["index", str(tmp_path / "photos"), str(tmp_path / "new/within/gallery")]
    assert cli.main([*command, "--checkpoint", str(tiny_checkpoint)]) == 2
    assert "none of the 1 images" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]

"""`mstar search GALLERY` without a query: it stays open, for a person and for a program."""

import io
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mstar.cli import __main__ as cli
from mstar.io import embedded
from mstar.search.gallery import Gallery
from mstar.search.index import index_folder

COMMAND = [sys.executable, "-m", "mstar.cli", "search"]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("session")
    (folder / "photos").mkdir()
    for path in sorted((embedded.ASSETS / "samples").glob("*.jpg"))[:4]:
        shutil.copy(path, folder / "photos")
    index_folder(folder / "photos", folder / "gallery")
    return folder / "gallery"


@pytest.fixture
def ask(gallery, monkeypatch, capsys):
    """What a session says to some lines: (its output, its errors)."""

    def asked(lines: str | bytes, *options: str) -> tuple[str, str]:
        raw = lines.encode() if isinstance(lines, str) else lines
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))
        assert cli.main(["search", str(gallery), *options]) == 0
        return capsys.readouterr()

    return asked


def test_lines_are_answered_as_queries_of_the_command_are(ask, gallery, capsys):
    texts = ["exit", "way out", "combined:stop+go"]
    out, err = ask("\n".join(texts[:2]) + f"\n\n  {texts[2]}", "--top", "3")
    assert cli.main(["search", str(gallery), *texts, "--top", "3"]) == 0
    headings = [line for line in out.splitlines() if "the best of 4 images" in line]
    assert len(headings) == 3 and "mstar>" not in out and err == ""

    def names(printed: str) -> list[str]:  # scores of several at once round otherwise
        return [line.split()[-1] for line in printed.splitlines()]

    assert names(out) == names(capsys.readouterr().out)


def test_what_is_wrong_is_said_and_the_session_goes_on(ask):
    out, err = ask(b"shout:exit\n:nope\n:explain 1\n:style loud\n...\n\xff\xfe\nexit\n:explain 9\n")
    told = [line.removeprefix("mstar: error: ") for line in err.splitlines()]
    begin = ["unknown style 'shout'", "there is no command :nope", "there is no answer to explain",
             "unknown style 'loud'", "the query '...' has no words", "the query '��'",
             ":explain takes a rank of the last answer, 1 to 4; got '9'"]  # fmt: skip
    assert len(told) == len(begin)
    for line, expected in zip(told, begin, strict=True):
        assert line.startswith(expected)
    assert out.startswith("exit (word), the best of 4 images") and len(out.splitlines()) == 6


def test_style_explain_help_and_quit(ask, gallery):
    out, err = ask("way out\n:explain 2\n:style word\nway out\n:style auto\n:help\n:quit\nexit\n")
    opened = Gallery.open(gallery)
    hit = opened.search("way out")[1]
    why = opened.explain("way out", hit.image)
    assert err == "" and "exit (word)" not in out
    assert f"{hit.name} for way out (phrase): rank 2, by cosine {hit.cosine_rank}\n" in out
    place = f"look {hit.look}, tile {hit.tile}, query token {hit.query_token}"
    assert (
        f"  counted most: {place}, {why.kind} {why.values.max():.3f}, {why.lead:.3f} above" in out
    )
    assert [f"  {word.word} adds {word.added:.3f}" in out for word in why.words] == [True, True]
    assert "style word\nway out (word), the best" in out and "style auto\na text" in out
    assert all(f":{name}" in out for name in ("style NAME", "explain N", "help", "quit"))


def test_json_in_and_out(ask, gallery):
    lines = ['"exit"', '{"text": "way out", "k": 2}', "", '{"text": "exit", "style": "phrase"}']
    lines += ['":quit"']  # commands are a person's
    out, err = ask("\n".join(lines), "--jsonl", "--top", "3")
    answers = [json.loads(line) for line in out.splitlines()]
    asked = [(answer["text"], answer["style"], len(answer["hits"])) for answer in answers]
    words, phrases = [("exit", "word", 3)], [("way out", "phrase", 2), ("exit", "phrase", 3)]
    assert asked == [*words, *phrases, (":quit", "word", 3)] and err == ""
    assert answers[0]["hits"] == [vars(hit) for hit in Gallery.open(gallery).search("exit", k=3)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("exit", "a line is a JSON text, or an object with text"),
        ("[" * 100_000, "a line is a JSON text"),
        ('["exit"]', "a line is a JSON text"),
        ('{"text": 3}', "a line is a JSON text"),
        ('{"text": "exit", "top": 3}', "got top as well"),
        ('{"text": "exit", "k": 0}', "k must be 1 or more; got 0"),
        ('{"text": "exit", "k": NaN}', "k must be a whole number; got nan"),
        ('{"text": "exit", "k": 1' + "0" * 30 + "}", "k must be "),
        ('{"text": "exit", "style": ["word"]}', "unknown style ['word']"),
        ('"shout:exit"', "unknown style 'shout'"),
        ('"\\ud800"', "is no valid text"),
    ],
)
def test_a_wrong_line_of_json_is_an_object_with_the_error(line, why, ask):
    if line == '":quit"':  # commands are a person's: to a program it is a text
        assert [json.loads(row)["text"] for row in ask(line, "--jsonl")[0].splitlines()] == [
            ":quit"
        ]
        return
    out, err = ask(f'{line}\n"exit"\n', "--jsonl")
    wrong, right = map(json.loads, out.splitlines())
    assert list(wrong) == ["error"] and why in wrong["error"] and right["text"] == "exit"
    assert err == ""


def test_queries_of_the_command_as_lines_of_json(gallery, capsys):
    assert cli.main(["search", str(gallery), "exit", "way out", "--jsonl"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == ["exit", "way out"]


@pytest.mark.parametrize(
    ("options", "stdin", "why"),
    [
        (["--json"], io.StringIO(), "name a query, or take --jsonl"),
        ([], None, "there is no standard input"),
        (["--style", "loud"], io.StringIO(), "unknown style 'loud'"),
    ],
)
def test_what_cannot_stay_open_is_said_first(options, stdin, why, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "stdin", stdin)
    assert cli.main(["search", str(tmp_path / "none"), *options]) == 2
    assert why in capsys.readouterr().err


class Terminal(io.StringIO):
    """What a person types: `^C` is Ctrl-C."""

    def isatty(self) -> bool:
        return True

    def readline(self, *args: int) -> str:
        line = super().readline(*args)
        if line == "^C\n":
            raise KeyboardInterrupt
        return line


def test_a_person_has_a_prompt_and_ends_with_ctrl_d(gallery, monkeypatch):
    screen, handlers = Terminal(), {}
    monkeypatch.setattr(sys, "stdin", Terminal("exit\n^C\nway out\n"))
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    assert cli.main(["search", str(gallery), "--top", "1"]) == 0
    begin, *answers, end = screen.getvalue().split("mstar> ")
    assert begin == "4 images. Type a text to find, or :help.\n" and end == "\n"
    assert [answer.partition(" ")[0] for answer in answers] == ["exit", "\n", "way"]


def test_a_program_keeps_it_open(gallery):
    """Each answer comes before the next line is sent; the end of the lines is the end."""
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with subprocess.Popen([*COMMAND, str(gallery), "--jsonl"], **pipes) as session:
        for text in ("exit", "way out"):
            print(json.dumps(text), file=session.stdin, flush=True)
            assert json.loads(session.stdout.readline())["text"] == text
        session.stdin.close()
        assert session.stdout.read() == "" and session.wait(60) == 0


def test_a_terminal_has_history_ctrl_c_drops_a_line_and_sigterm_ends(gallery, tmp_path):
    pytest.importorskip("readline")
    ours, terminal = os.openpty()
    # the first terminal that the leader of a session opens is the one whose Ctrl-C it hears
    opened = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(terminal)]
    home = os.environ | {"HOME": str(tmp_path), "TERM": "dumb"}
    command = [*opened, *COMMAND, str(gallery), "--top", "1"]
    session = subprocess.Popen(command, env=home, start_new_session=True)

    def typed(keys: bytes, until: bytes = b"mstar> ") -> str:
        # a signal that comes before Python waits for a key is noticed at the next one
        time.sleep(0.5)
        os.write(ours, keys)
        screen = b""
        while not screen.endswith(until):
            assert select.select([ours], [], [], 60)[0], screen
            screen += os.read(ours, 1000)
        return screen.decode()

    try:
        assert "4 images" in typed(b"")
        assert "exit (word), the best of 4" in typed(b"exit\n")
        typed(b"way ou", until=b"way ou")
        dropped = typed(b"\x03")
        assert "the best" not in dropped and "Traceback" not in dropped
        assert "exit (word), the best of 4" in typed(b"\x10\n")  # Ctrl-P: the line before
        time.sleep(0.5)
        session.terminate()
        assert session.wait(60) == 130
    finally:
        session.kill()
        os.close(ours)
        os.close(terminal)
    assert list(tmp_path.iterdir()) == []

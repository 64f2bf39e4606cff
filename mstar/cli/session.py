"""What `mstar search` prints of a query, and its session: queries that come line by line."""

import json
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mstar.cli.console import printable
from mstar.errors import UserError, check_range
from mstar.files import said
from mstar.texts import Query, as_query, check_style

if TYPE_CHECKING:
    from mstar.search.gallery import Gallery
    from mstar.search.ranking import Explanation, Hit

_HELP = """\
a text, typed as `mstar search` reads it   ranks the gallery for it
:style NAME    texts are word, phrase, combined or semantic; auto: as each says, or guessed
:explain N     why the image of rank N stands there, in the last answer
:help          these lines
:quit          ends, as Ctrl-D does; Ctrl-C drops the line"""
_ASKED = 'a JSON text, or an object with text and, where wanted, style and k, as {"text": "exit"}'


def as_row(query: Query, hits: "Sequence[Hit]") -> dict[str, Any]:
    """An answer as JSON has it."""
    return query._asdict() | {"hits": [asdict(hit) for hit in hits]}


def as_line(query: Query, hits: "Sequence[Hit]") -> str:
    """An answer as JSON in one line."""
    return json.dumps(as_row(query, hits), allow_nan=False)


def as_table(query: Query, hits: "Sequence[Hit]", images: int, ratio: float | None) -> str:
    """An answer as a terminal has it.

    Args:
        images: how many are in the gallery.
        ratio: as it was asked for; None = the configuration decided.
    """
    again = any(hit.probability is not None for hit in hits)
    why = "as the checkpoint says" if ratio is None else "as asked"
    lines = [
        f"{printable(query.text)} ({query.style}), the best of {images} images "
        f"{'re-ranked' if again else 'by cosine, not re-ranked'}, {why}",
        f" rank  {'re-ranked  cosine (rank)  match' if again else 'cosine'}  look, token  image",
    ]
    for hit in hits:
        match = "–" if hit.probability is None else f"{hit.probability:.0%}"
        number = f"{hit.score:9.3f}  {hit.cosine:6.3f} {f'({hit.cosine_rank})':6}  {match:>5}"
        lines.append(
            f"{hit.rank:5}  {number if again else f'{hit.cosine:6.3f}'}  "
            f"{f'{hit.look}, {hit.query_token}':11}  {printable(hit.name)}"
        )
    return "\n".join(lines)


def _as_reasons(why: "Explanation") -> str:
    hit = why.hit
    lead = f", {why.lead:.3f} above the next" * (why.values.numel() > 1)
    lines = [
        f"{printable(hit.name)} for {printable(why.query.text)} ({why.query.style}): rank "
        f"{hit.rank}, by cosine {hit.cosine_rank}",
        f"  counted most: look {hit.look}, tile {hit.tile}, query token {hit.query_token}, "
        f"{why.kind} {why.values.max():.3f}{lead}",
    ]
    lines += [f"  {printable(one.word)} adds {one.added:.3f}" for one in why.words]
    return "\n".join(lines)


class Session:
    """A gallery that is asked line by line, on standard input.

    Args:
        style, top, ratio: of a query that does not say: as `Gallery.search` takes them.
        jsonl: whether lines and answers are JSON.
    """

    def __init__(
        self, gallery: "Gallery", style: str, top: int, ratio: float | None, *, jsonl: bool
    ):
        self.gallery, self.style, self.top, self.ratio = gallery, style, top, ratio
        self.jsonl = jsonl
        self._last: tuple[Query, list[Hit]] | None = None

    def run(self) -> None:
        """Answer until the input ends; what is wrong with a line is said, and the next is read."""
        terminal = not self.jsonl and sys.stdin.isatty() and sys.stdout.isatty()
        if terminal:
            with suppress(ImportError):
                import readline  # noqa: F401 - `input` then has a history, kept in memory alone
            # Ctrl-C drops a line, as long as another signal still ends the program
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
            print(f"{len(self.gallery)} images. Type a text to find, or :help.")
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="replace")
        while True:
            try:
                line = input("mstar> " if terminal else "").strip()
                if line == ":quit" and not self.jsonl:
                    return
                if line:
                    self._say(line)
            except EOFError:
                print(end="\n" * terminal)
                return
            except KeyboardInterrupt:
                if not terminal:
                    raise
                print()

    def _say(self, line: str) -> None:
        try:
            answer = self._line(line) if self.jsonl else self._text(line)
        except (UserError, OSError) as error:
            why = said(error) if isinstance(error, OSError) else str(error)
            if not self.jsonl:
                print(f"mstar: error: {printable(why)}", file=sys.stderr, flush=True)
                return
            answer = json.dumps({"error": why})
        print(answer, flush=True)

    def _line(self, line: str) -> str:
        try:
            asked = json.loads(line)
        except (ValueError, RecursionError):
            asked = None
        asked = {"text": asked} if isinstance(asked, str) else asked
        if not isinstance(asked, dict) or not isinstance(asked.get("text"), str):
            raise UserError(f"a line is {_ASKED}; got {line[:60]}")
        if unknown := asked.keys() - {"text", "style", "k"}:
            raise UserError(f"a line is {_ASKED}; got {', '.join(sorted(unknown))} as well.")
        query, top = (
            as_query(asked["text"], asked.get("style", self.style)),
            asked.get("k", self.top),
        )
        check_range("k", top, 1, sys.maxsize)
        return as_line(query, self.gallery.search_many([query], top, self.ratio)[0])

    def _text(self, line: str) -> str:
        if line.startswith(":"):
            name, _, given = line[1:].partition(" ")
            if name not in self._COMMANDS:
                raise UserError(f"there is no command :{name}: type :help for those there are.")
            return self._COMMANDS[name](self, given.strip())
        query = as_query(line, self.style)
        hits = self.gallery.search_many([query], self.top, self.ratio)[0]
        self._last = query, hits
        return as_table(query, hits, len(self.gallery), self.ratio)

    def _set_style(self, name: str) -> str:
        check_style(name)
        self.style = name
        return f"style {name}"

    def _explain(self, rank: str) -> str:
        if self._last is None:
            raise UserError("there is no answer to explain yet: type a text first.")
        query, hits = self._last
        found = [hit.image for hit in hits if str(hit.rank) == rank]
        if not found:
            raise UserError(
                f":explain takes a rank of the last answer, 1 to {len(hits)}; got {rank!r}."
            )
        return _as_reasons(self.gallery.explain(query, found[0], ratio=self.ratio))

    _COMMANDS: dict[str, Callable[["Session", str], str]] = {
        "style": _set_style,
        "explain": _explain,
        "help": lambda self, _: _HELP,
    }

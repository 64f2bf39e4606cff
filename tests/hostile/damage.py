"""What can happen to a file: bits flip, parts go, values become of another kind, nests grow deep.

Everything is drawn from a `random.Random`, so that a case is its seed. What is made is harmless: it
is broken, not a program.
"""

import json
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

#: In the place of a value of JSON.
VALUES = (
    None, True, False, 0, -1, 1, 3, 0.5, -0.0, 1e400, -1e400, float("nan"), 2**31, 2**63, 10**30,
    "", "x", "0", "é\u0301", "\0", "../x", "/", "x" * 5000, [], {}, [[]], [None], [0], {"x": 1},
)  # fmt: skip
#: In the place of a number of a text.
NUMBERS = ("0", "-1", "1e400", "nan", "inf", "9" * 30, "9" * 5000, "x", "", "1.5", "0x1", "٣")
#: Put somewhere into a text.
PIECES = ("\0", "\ufeff", "\r", "\n\n", ",", '"', "<", "]]>", "&x;", "[", "{", "\u2028", "é", "\t")


def broken_bytes(content: bytes, rng: Random) -> bytes:
    """Any file."""
    place = rng.randrange(len(content) + 1)
    length = rng.choice((1, 2, 8, 100, len(content) // 4 + 1))
    kind = rng.choice(("flip", "flip", "flip", "cut", "drop", "zero", "double", "noise", "empty"))
    if kind == "flip":
        changed = bytearray(content)
        for _ in range(rng.choice((1, 1, 3, 20))):
            at = min(rng.randrange(len(content)), rng.randrange(len(content)))
            changed[at] ^= 1 << rng.randrange(8)
        return bytes(changed)
    before, taken, after = content[:place], content[place : place + length], content[place:]
    return {
        "cut": before,
        "drop": before + content[place + length :],
        "zero": before + bytes(len(taken)) + content[place + length :],
        "double": before + taken + after,
        "noise": before + rng.randbytes(length) + after,
        "empty": b"",
    }[kind]


def broken_text(content: bytes, rng: Random) -> bytes:
    """A file of lines, or XML."""
    if rng.random() < 0.3:
        return broken_bytes(content, rng)
    text = content.decode("utf-8-sig")
    kind = rng.choice(("number", "number", "piece", "line", "nest", "encoding"))
    if kind == "number":
        words = _split_numbers(text)
        numbers = [i for i, word in enumerate(words) if word.isdigit()]
        if numbers:
            words[rng.choice(numbers)] = rng.choice(NUMBERS)
        return "".join(words).encode()
    if kind == "piece":
        place = rng.randrange(len(text) + 1)
        return (text[:place] + rng.choice(PIECES) + text[place:]).encode()
    if kind == "line":
        lines = text.splitlines(keepends=True)
        at = rng.randrange(len(lines))
        lines[at : at + 1] = rng.choice(([], [lines[at]] * 2, [lines[at][: len(lines[at]) // 2]]))
        return "".join(lines).encode()
    if kind == "nest":
        return (rng.choice(("[", "<a>", "{", "(")) * rng.choice((10, 20_000)) + text).encode()
    return text.encode(rng.choice(("utf-16", "utf-16-le", "cp037")))


def broken_json(content: bytes, rng: Random) -> bytes:
    """A JSON file: mostly still JSON, of another kind somewhere."""
    if rng.random() < 0.2:
        return broken_bytes(content, rng)
    return _dumped(retyped(json.loads(content), rng), rng)


def broken_lines(content: bytes, rng: Random) -> bytes:
    """A file with a JSON value in each line."""
    lines = content.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    lines[at] = broken_json(lines[at], rng)
    return b"".join(lines)


def broken_safetensors(content: bytes, rng: Random) -> bytes:
    """A safetensors file: its header is JSON, with its length in front."""
    if rng.random() < 0.3:
        return broken_bytes(content, rng)
    (length,) = struct.unpack("<Q", content[:8])
    header = _dumped(retyped(json.loads(content[8 : 8 + length]), rng), rng)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def retyped(value: Any, rng: Random) -> Any:
    """One value somewhere in JSON of another kind, gone, doubled, renamed or in the place of
    another."""
    whole = {"all": value}
    holder, key = rng.choice(list(_places(whole)))
    kind = rng.choice(("value", "value", "value", "gone", "list", "other", "key"))
    if kind == "gone" and holder is not whole:
        del holder[key]
    elif kind == "list":
        holder[key] = [holder[key]] * rng.choice((1, 2, 50))
    elif kind == "other":
        other, there = rng.choice(list(_places(whole)))
        holder[key] = json.loads(json.dumps(other[there]))
    elif kind == "key" and isinstance(holder, dict) and holder is not whole:
        holder[rng.choice(("", "x", "__class__", f"{key} "))] = holder.pop(key)
    else:
        holder[key] = rng.choice(VALUES)
    return whole["all"]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(holder, key) of every value in JSON; of long lists the first few."""
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else range(min(len(value), 3))
        for key in keys:
            yield value, key
            yield from _places(value[key])


def _dumped(value: Any, rng: Random) -> bytes:
    text = json.dumps(value)
    if rng.random() < 0.05:  # as deep as no recursion goes
        text = f'{{"a":{text},"b":{"[" * 50_000}{"]" * 50_000}}}'
    if rng.random() < 0.05:
        text = text.replace("1", "9" * 5000, 1)
    return text.encode()


def _split_numbers(text: str) -> list[str]:
    """A text in runs of digits and runs of others."""
    runs: list[str] = []
    for character in text:
        if runs and character.isdigit() == runs[-1][-1].isdigit():
            runs[-1] += character
        else:
            runs.append(character)
    return runs


Damage = Callable[[bytes, Random], bytes]

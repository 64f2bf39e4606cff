"""The parameters of a report, as its dataclass declares them: one line a parameter.

The command line reads this at every start, so it needs the standard library alone. The notebook's
cell tagged `parameters`, which papermill wants, is `cell` of the dataclass; a test compares them.
"""

import difflib
import json
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from mstar.errors import UserError

_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True)
class Option:
    """One parameter.

    Attributes:
        name: of the field; `parent_steps` is `--parent-steps` on a command line.
        kind: str, int, float or bool, a list of one of them, or one of them or None.
        default: what holds where nothing is given.
        help: what it means, for the command line and the notebook.
    """

    name: str
    kind: Any
    default: Any
    help: str

    @property
    def is_list(self) -> bool:
        return get_origin(self.kind) is list

    @property
    def scalar(self) -> type:
        """What one value is: the kind itself, that of a list's entries, or that beside None."""
        return get_args(self.kind)[0] if get_args(self.kind) else self.kind

    def parse(self, text: str) -> Any:
        """One value as typed.

        Raises:
            UserError: it is none of this kind; the sentence says what is expected.
        """
        try:
            return _TRUTHS[text.lower()] if self.scalar is bool else self.scalar(text)
        except (ValueError, KeyError):
            raise UserError(f"{self.name} must be {said(self.scalar)}; got {text!r}.") from None

    def several(self, value: Any) -> Any:
        """A value as papermill's `-p` gives it, one or with commas between, for a parameter that is
        a list; every other stays as it is.
        """
        if not self.is_list or isinstance(value, list):
            return value
        if isinstance(value, str):
            return [self.parse(one.strip()) for one in value.split(",") if one.strip()]
        return [value]

    def about(self) -> str:
        """The help with type and default, in words."""
        values = self.default if self.is_list else [self.default]
        default = " ".join("none" if v in ("", None) else str(v) for v in values) or "none"
        lower = default.lower() if self.scalar is bool else default
        kind = said(self.kind if self.is_list else self.scalar)
        return f"{self.help} [{kind}; default: {lower}]"


def asked(help: str, default: Any) -> Any:
    """A field of a report's dataclass: what it means, and its default."""
    about = {"help": help}
    if isinstance(default, list):  # each report its own
        return field(default_factory=lambda: list(default), metadata=about)
    return field(default=default, metadata=about)


def options(parameters: type) -> list[Option]:
    """What a report's dataclass declares, in its order."""
    kinds, defaults = get_type_hints(parameters), vars(parameters())
    return [
        Option(one.name, kinds[one.name], defaults[one.name], one.metadata["help"])
        for one in fields(parameters)
    ]


def cell(parameters: type) -> str:
    """The source of the notebook's cell tagged `parameters`."""
    lines = []
    for one in options(parameters):
        # papermill reads no `|` in an annotation
        kind = f"list[{one.scalar.__name__}]" if one.is_list else one.scalar.__name__
        texts = isinstance(one.default, str | list)
        default = json.dumps(one.default, ensure_ascii=False) if texts else one.default
        lines.append(f"{one.name}: {kind} = {default}  # {one.help}")
    return "\n".join(lines)


def title(notebook: Path) -> str:
    """The first line of a notebook, which is its title."""
    first = json.loads(notebook.read_text(encoding="utf-8"))["cells"][0]
    return "".join(first["source"]).splitlines()[0].lstrip("# ")


def fits(value: object, kind: Any) -> bool:
    """Whether a value is of a kind; a whole number is a number too, but no boolean is."""
    if isinstance(kind, UnionType):
        return any(fits(value, one) for one in get_args(kind))
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        return isinstance(value, list) and all(fits(one, inner) for one in value)
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind


def said(kind: Any) -> str:
    """A kind in words."""
    names = {
        str: "a text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        type(None): "None",
    }
    if isinstance(kind, UnionType):
        return " or ".join(said(one) for one in get_args(kind))
    if get_origin(kind) is list:
        return f"a list of {names[get_args(kind)[0]].split(' ', 1)[1]}s"
    return names[kind]


def unknown(name: str, known: Collection[str]) -> UserError:
    """What to raise for a name that no parameter has; near matches are listed."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known
    return UserError(f"unknown report parameter {name!r}; there is {', '.join(near)}.")

"""The parameters of a report as its notebook declares them: one line a parameter.

The command line reads this at every start, so it needs the standard library alone.
"""

import ast
import difflib
import io
import json
import tokenize
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from mstar.errors import UserError

_SCALARS = {kind.__name__: kind for kind in (str, int, float, bool)}
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True)
class Option:
    """One parameter.

    Attributes:
        name: as in the notebook; `parent_steps` is `--parent-steps` on a command line.
        kind: str, int, float or bool, a list of one of them, or one of them or None.
        default: what the notebook says.
        help: the comment behind it.
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

    def about(self) -> str:
        """The help with type and default, in words."""
        values = self.default if self.is_list else [self.default]
        default = " ".join("none" if v in ("", None) else str(v) for v in values) or "none"
        lower = default.lower() if self.scalar is bool else default
        kind = said(self.kind if self.is_list else self.scalar)
        return f"{self.help} [{kind}; default: {lower}]"


def title(notebook: Path) -> str:
    """The first line of a notebook, which is its title."""
    return _source(_cells(notebook)[0]).splitlines()[0].lstrip("# ")


def options(notebook: Path) -> list[Option]:
    """What the cell tagged `parameters` declares.

    Raises:
        UserError: there is no such cell, or a line of it is no `name: type = default`.
    """
    tagged = [c for c in _cells(notebook) if "parameters" in c["metadata"].get("tags", [])]
    if not tagged:
        raise UserError(f"{notebook} has no cell tagged `parameters`.")
    source = _source(tagged[0])
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    found = []
    for line in ast.parse(source).body:
        match line:
            case ast.AnnAssign(target=ast.Name(name), annotation=kind, value=ast.expr() as value):
                default = ast.literal_eval(value)
                comment = comments.get(line.end_lineno, "")
                found.append(Option(name, _kind(kind, default), default, comment))
            case _:
                raise UserError(f"{notebook}: {ast.unparse(line)!r} is no `name: type = default`.")
    return found


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


def _kind(annotation: ast.expr, default: object) -> Any:
    """papermill reads no `|` in an annotation: a default of None says that None may be given."""
    match annotation:
        case ast.Name(name) if name in _SCALARS:
            return _SCALARS[name] | None if default is None else _SCALARS[name]
        case ast.Subscript(value=ast.Name("list"), slice=ast.Name(name)) if name in _SCALARS:
            return list[_SCALARS[name]]
    raise UserError(f"a parameter cannot be of type {ast.unparse(annotation)!r}.")


def _cells(notebook: Path) -> list[dict[str, Any]]:
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def _source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])

"""Markup: all of it comes from templates, which escape whatever text they are given.

Only what is `Markup` already goes through as it is; a `str` is text, wherever it comes from.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_HERE = Path(__file__).parent
_TEMPLATES = Environment(
    loader=FileSystemLoader([_HERE / "templates", _HERE.parent]),  # reports/ lies beside widgets/
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def draw(template: str, **values: object) -> Markup:
    """A template with these values in it.

    Args:
        template: a file of `templates/`, or one elsewhere, as `reports/page.html`.
    """
    return Markup(_TEMPLATES.get_template(template).render(values))

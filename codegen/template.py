"""Fills the skeletons of `templates/`, formatted already, and formats what goes into them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from .. import templates


@functools.cache
def _environment() -> Any:
    import jinja2

    # Text, not HTML: what comes from a model passes through the filter `ascii`,
    # which makes it a Python literal.
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(templates.__file__).parent / "python"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    env.filters["ascii"] = ascii
    return env


def render(template: str, **values: Any) -> str:
    """The template filled in."""
    return str(_environment().get_template(template).render(**values))


def formatted(code: str) -> str:
    """The code as black formats it."""
    import black

    return black.format_str(code, mode=black.Mode())

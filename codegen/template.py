"""Fills the skeletons of `templates/` and formats the result."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from .. import templates


@functools.cache
def _environment() -> Any:
    import jinja2

    # Text, not HTML: what comes from a model passes through the filter `ascii`, which makes it a Python literal.
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(templates.__file__).parent / "python"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    env.filters["ascii"] = ascii
    return env


def render(template: str, **values: Any) -> str:
    """The template filled in and formatted by black."""
    import black

    text = _environment().get_template(template).render(**values)
    return black.format_str(text, mode=black.Mode())

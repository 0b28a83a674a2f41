"""Fills the skeletons of `templates/`, formatted already, and formats what goes into them."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from .. import templates


@functools.cache
def _environment(folder: str) -> Any:
    import jinja2

    # Text, not HTML: what comes from a model passes through the filter `ascii`,
    # which makes it a Python literal, or `comment`, which keeps it on its line.
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(templates.__file__).parent / folder),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
        trim_blocks=folder == "cpp",
    )
    env.filters["ascii"] = ascii
    env.filters["comment"] = lambda text: re.sub(r"[^\w .-]", "_", text, flags=re.ASCII)
    return env


def render(template: str, folder: str = "python", **values: Any) -> str:
    """The template filled in."""
    return str(_environment(folder).get_template(template).render(**values))


def formatted(code: str) -> str:
    """The code as black formats it."""
    import black

    return black.format_str(code, mode=black.Mode())

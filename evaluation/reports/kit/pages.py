"""Reports as files: a page without scripts or links to elsewhere, and the same figures as JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from mtfx.evaluation.reports.kit.tables import (
    format_count,
    format_figure,
    format_percent,
    format_seconds,
)
from mtfx.files import jsonable, write_atomically, write_json

PAGE_FILE = "index.html"


def render_page(
    template: str, values: Mapping[str, Any], images: Mapping[str, bytes] | None = None
) -> str:
    """Renders a page, everything that it shows inside it.

    Args:
      template: Its file in ``evaluation/reports/templates``.
      values: What the template names.
      images: PNG files by the name the template has for them; empty bytes where there is none.

    Raises:
      jinja2.UndefinedError: if the template names something that is not given.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mtfx.evaluation.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=format_count,
        figure=format_figure,
        percent=format_percent,
        seconds=format_seconds,
        json=_indented,
    )
    return environment.get_template(template).render(
        images={name: base64.b64encode(image).decode() for name, image in (images or {}).items()},
        **values,
    )


def write_report(directory: Path, json_file: str, content: Any, page: str, indent: int = 1) -> Path:
    """Writes a report's JSON and its page; a reader never sees half a file.

    Args:
      directory: Where to; made if missing.
      json_file: Name of the file of JSON.
      content: Of JSON's types, without NaN.
      page: The HTML.
      indent: Of the JSON.

    Returns:
      The page's path.
    """
    write_json(directory / json_file, content, indent)
    write_atomically(directory / PAGE_FILE, page)
    return directory / PAGE_FILE


def _indented(value: Any, indent: int = 1) -> str:
    """Settings as JSON to read."""
    return json.dumps(jsonable(value), indent=indent, ensure_ascii=False)

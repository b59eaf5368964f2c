"""HTML pages without scripts or links to elsewhere: templates, filters, figures inside them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import jinja2

from mtfx.evaluation.reports.ranking_page import (
    format_count,
    format_figure,
    format_percent,
    format_seconds,
)
from mtfx.evaluation.reports.ranking_summary import jsonable


def render_policy_page(
    template: str,
    images: Mapping[str, bytes],
    config: Mapping[str, Any],
    values: Mapping[str, Any],
) -> str:
    """Renders a page about policies.

    Args:
      template: Its file in ``evaluation/templates``.
      images: PNG files by the name the template has for them; empty bytes where there is none.
      config: Settings to show at its end, JSON-like.
      values: What else the template names.

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
        count=format_count, figure=format_figure, percent=format_percent, seconds=format_seconds
    )
    return environment.get_template(template).render(
        images={name: base64.b64encode(image).decode() for name, image in images.items()},
        config=json.dumps(jsonable(config), indent=1, ensure_ascii=False),
        **values,
    )

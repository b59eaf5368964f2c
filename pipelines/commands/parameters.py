"""Types of command-line values that several commands take."""

from __future__ import annotations

import click


class Names(click.ParamType):
    """Names separated by commas."""

    name = "A,B,…"

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Splits at commas; click.BadParameter for an empty name."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(","))
        if not all(names):
            self.fail(f"{value!r} has an empty name", param, ctx)
        return names

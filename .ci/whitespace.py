"""Mends trailing whitespace and the end of the files named; fails if there was anything to mend."""

from __future__ import annotations

import sys
from pathlib import Path


def mended(text: str) -> str:
    """The text without trailing whitespace, and with one newline at its end if not empty."""
    lines = [line.rstrip() for line in text.splitlines()]
    body = "\n".join(lines).rstrip("\n")
    return body + "\n" if body else ""


def main(names: list[str]) -> int:
    """Rewrites the files that need it and returns their number, at most 1."""
    changed = False
    for name in names:
        path = Path(name)
        text = path.read_text(encoding="utf-8")
        if mended(text) != text:
            path.write_text(mended(text), encoding="utf-8")
            print(f"mended whitespace: {name}")
            changed = True
    return int(changed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

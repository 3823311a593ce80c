"""Cells of a dataset as lines for a terminal: no control character that a model wrote reaches it."""

from collections.abc import Sequence


def lines_of(value: object, limit: int = 4000) -> list[str]:
    """A cell as lines: turns with their roles, anything else as it prints; cut after `limit` characters, saying so."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and "role" in value[0]:
        text = "\n".join(f"{turn['role']}: {turn['content']}" for turn in value)
    else:
        text = str(value)
    cut = text[:limit] + (f"… {len(text) - limit} more characters" if len(text) > limit else "")
    return [printable(line) for line in cut.rstrip("\n").split("\n")]


def printable(text: str) -> str:
    """One line of text, its control characters spelt out."""
    return "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in str(text))


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """A table as lines: its first `left` columns to the left, the others, numbers, to the right."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    sides = [str.ljust if i < left else str.rjust for i in range(len(widths))]
    return [
        "  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)).rstrip()
        for row in rows
    ]

"""Plain text tables."""

from collections.abc import Sequence

from stream_client.plain_text import one_line


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart; those whose every cell is a number, or empty, stand to the right.

    A cell is one line, without control characters.
    """
    lines = [[one_line(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    right = [all(_is_number(row[index]) for row in rows) for index in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if to_the_right else cell.ljust(width)
            for cell, width, to_the_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell.removesuffix("%") or 0)
    except ValueError:
        return False
    return True

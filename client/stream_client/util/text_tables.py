"""Text tables as spreadsheets write them."""

import codecs
import csv
import io
import re
from pathlib import Path

_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+(e[-+]?\d+)?\s*", re.IGNORECASE)


def table_rows(path: Path) -> list[tuple[int, list[str]]]:
    """The lines of a table that are not empty: their numbers and cells, without white space around them.

    Commas, semicolons or tabs divide the columns; a first line such as ``sep=;`` may say what does. Where it is no
    comma, numbers may have one as their decimal point: it becomes a point. Raises :class:`OSError`,
    :class:`UnicodeDecodeError` or :class:`csv.Error`.
    """
    text = _text(path.read_bytes())
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.rstrip()) == 5:
        delimiter, skipped, text = first[4], 1, rest
    else:
        # The most frequent: spreadsheets of many countries divide by semicolons.
        delimiter, skipped = max(",;\t", key=first.count), 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = []
    for row in reader:
        cells = [cell.strip() for cell in row]
        if delimiter != ",":
            cells = [cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in cells]
        if any(cells):
            rows.append((reader.line_num + skipped, cells))
    return rows


def _text(content: bytes) -> str:
    """UTF-8, or UTF-16 with the mark that Excel puts before it."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")

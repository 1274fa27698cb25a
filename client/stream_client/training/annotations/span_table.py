"""A plain table: ``video,start,end,label``, with times in seconds or as hours:minutes:seconds.

Beside a file of landmarks or a video of the same name the column ``video`` may be missing. Semicolons and tabs divide
columns as well as commas do, and a comma may stand for the decimal point.
"""

import csv
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.training.annotations.values import Annotation
from stream_client.training.clips import Span
from stream_client.util.delimiters import delimiter_of

_COLUMNS = {"start", "end", "label"}


def read(path: Path) -> list[Annotation] | None:
    """The labels of each video. ``None`` if the first line does not name the columns."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        delimiter = delimiter_of(first)
        names = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]
        if not set(names) >= _COLUMNS:
            return None
        found: dict[str, list[Span]] = {}
        reader = csv.reader(file, delimiter=delimiter)
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            line = reader.line_num + 1
            if len(row) != len(names):
                raise ConfigurationError(f"line {line} has {len(row)} columns, the first line names {len(names)}")
            cells = dict(zip(names, (cell.strip() for cell in row), strict=True))
            found.setdefault(cells.get("video", ""), []).append(_span(cells, line))
    return [Annotation(video, tuple(spans)) for video, spans in found.items()]


def _span(cells: dict[str, str], line: int) -> Span:
    start, end, label = _seconds(cells["start"], line), _seconds(cells["end"], line), cells["label"]
    if not label:
        raise ConfigurationError(f"line {line} has no label")
    if not 0 <= start < end:
        raise ConfigurationError(f"line {line}: {label!r} ends at {end:g} s, and starts at {start:g} s")
    return Span(start, end, label)


def _seconds(text: str, line: int) -> float:
    seconds = 0.0
    try:
        for part in text.replace(",", ".").split(":"):
            seconds = 60 * seconds + float(part)
    except ValueError:
        raise ConfigurationError(f"line {line}: {text!r} is neither seconds nor hours:minutes:seconds") from None
    return seconds

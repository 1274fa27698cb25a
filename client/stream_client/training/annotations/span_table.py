"""A plain table: ``video,start,end,label``, with times in seconds or as hours:minutes:seconds.

Beside a file of landmarks or a video of the same name the column ``video`` may be missing.
"""

import csv
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.training.annotations.values import Annotation
from stream_client.training.clips import Span

_COLUMNS = {"start", "end", "label"}


def read(path: Path) -> list[Annotation] | None:
    """The labels of each video. ``None`` if the first line does not name the columns."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        names = [name.strip().lower() for name in next(csv.reader([first]), [])]
        if not set(names) >= _COLUMNS:
            return None
        found: dict[str, list[Span]] = {}
        reader = csv.reader(file)
        for row in reader:
            if not row:
                continue
            line = reader.line_num + 1
            if len(row) != len(names):
                raise ConfigurationError(f"line {line} has {len(row)} columns, the first line names {len(names)}")
            cells = dict(zip(names, (cell.strip() for cell in row), strict=True))
            span = Span(_seconds(cells["start"], line), _seconds(cells["end"], line), cells["label"])
            found.setdefault(cells.get("video", ""), []).append(span)
    return [Annotation(video, tuple(spans)) for video, spans in found.items()]


def _seconds(text: str, line: int) -> float:
    seconds = 0.0
    try:
        for part in text.split(":"):
            seconds = 60 * seconds + float(part)
    except ValueError:
        raise ConfigurationError(f"line {line}: {text!r} is neither seconds nor hours:minutes:seconds") from None
    return seconds

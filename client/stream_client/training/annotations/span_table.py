"""A plain table: ``video,start,end,label``, with times in seconds or as hours:minutes:seconds. A column ``annotator``
may say whose label it is.

Beside a file of landmarks or a video of the same name the column ``video`` may be missing. Semicolons and tabs divide
columns as well as commas do, and a comma may stand for the decimal point.
"""

from pathlib import Path

from stream_client.training.annotations.values import Annotation, Labels, number
from stream_client.util.text_tables import table_rows
from stream_client.util.wording import counted

_COLUMNS = {"start", "end", "label"}


def read(path: Path) -> list[Annotation] | None:
    """The labels of each video. ``None`` if the first line does not name the columns."""
    rows = table_rows(path)
    names = [name.lower() for name in rows[0][1]] if rows else []
    if not set(names) >= _COLUMNS:
        return None
    found: dict[tuple[str, str], Labels] = {}
    for line, row in rows[1:]:
        where = f"line {line}"
        cells = dict(zip(names, row, strict=False))
        key = cells.get("video", ""), cells.get("annotator", "")
        labels = found.setdefault(key, Labels(*key))
        if len(row) < len(names) or any(row[len(names) :]):
            labels.wrong(where, f"{counted(len(row), 'column')}, the first line names {len(names)}")
            continue
        start, end = _seconds(cells["start"]), _seconds(cells["end"])
        if start is None or end is None:
            bad = cells["start" if start is None else "end"]
            labels.wrong(where, f"{bad!r} is neither seconds nor hours:minutes:seconds")
        else:
            labels.seconds(start, end, cells["label"], where)
    return [labels.annotation() for labels in found.values()]


def _seconds(text: str) -> float | None:
    seconds = 0.0
    try:
        for part in text.replace(",", ".").split(":"):
            seconds = 60 * seconds + float(part)
    except ValueError:
        return None
    return number(seconds)

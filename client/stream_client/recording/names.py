"""When segments begin, and what their files are called."""

import re
from datetime import date, datetime, timedelta
from pathlib import Path

from stream_client.errors import ConfigurationError
from stream_client.util.stream_names import stream_name

STREAM = "{stream}"
_FIELD = re.compile(r"\{[^{}/]*\}")
_DAY = 86_400
_MOST_CHECKED = 1500
_EXAMPLE = "%Y-%m-%d/%H-%M-%S"

Slot = tuple[date, int]
"""A day and the number of a segment in it, by the local clock."""


class SegmentNames:
    """The names of segments of ``seconds`` by a pattern with the fields of :meth:`datetime.datetime.strftime`.

    Segments begin at multiples of their length after midnight, by the local clock. Raises :class:`.ConfigurationError`
    for a pattern that gives two segments one name, or has a field in braces that is not ``{stream}``.
    """

    def __init__(self, pattern: str, seconds: float) -> None:
        self._pattern = pattern
        self._seconds = seconds
        self.stream = stream_name("stream")
        self._check()

    def for_stream(self, stream: str) -> None:
        """The name that stands for ``{stream}``."""
        self.stream = stream_name(stream)

    @property
    def root(self) -> Path:
        """The folder of all segments: what the pattern has before its first time field."""
        fixed = []
        for part in Path(self._filled()).parent.parts:
            if "%" in part:
                break
            fixed.append(part)
        return Path(*fixed)

    def slot(self, clock: float) -> Slot:
        """The segment that a moment belongs to; ``clock`` in seconds since 1970."""
        now = datetime.fromtimestamp(clock)
        since_midnight = now.hour * 3600 + now.minute * 60 + now.second + now.microsecond / 1e6
        return now.date(), int(since_midnight // self._seconds)

    def path(self, clock: float) -> Path:
        """The file of a segment that begins then."""
        return self._path(datetime.fromtimestamp(clock).astimezone())

    def _path(self, begin: datetime) -> Path:
        return Path(begin.strftime(self._filled()))

    def _filled(self) -> str:
        return self._pattern.replace(STREAM, self.stream)

    def _check(self) -> None:
        for field in _FIELD.findall(self._pattern):
            if field != STREAM:
                raise ConfigurationError(
                    f"{self._pattern}: {field} is no field: {STREAM} is the only one", option="sinks"
                )
        if "%" not in self._pattern:
            raise ConfigurationError(
                f"{self._pattern} has no time fields, so that its segments have one name: add some, as {_EXAMPLE}",
                option="sinks",
            )
        step, first = self._seconds, datetime(2024, 1, 1)
        slots = {step * number for number in range(min(int(_DAY / step), _MOST_CHECKED))}
        slots |= {hour * 3600 // step * step for hour in range(24)}
        slots |= {days * _DAY for days in (1, 31, 366)}
        names: dict[Path, datetime] = {}
        for begin in (first + timedelta(seconds=after) for after in sorted(slots)):
            name = self._path(begin)
            if name in names:
                raise ConfigurationError(
                    f"{self._pattern}: the segments of {names[name]} and {begin} both have the name {name}: "
                    f"add time fields, as {_EXAMPLE}",
                    option="sinks",
                )
            names[name] = begin

"""Which label was there when, in a recording's index."""

from collections.abc import Iterator
from dataclasses import dataclass

from stream_client.frames import Label, Result
from stream_client.recording.index import RecordingIndex


@dataclass(slots=True)
class _Span:
    begin: float
    last: float
    score: float


class LabelLog:
    """Writes a row for each span of a label, whoever has it: the frame, or one of several persons.

    A gap of up to :attr:`GAP` seconds does not end a span. So labels that flicker are no flood.
    """

    GAP = 1.0

    def __init__(self, index: RecordingIndex, stream: str) -> None:
        self._index = index
        self._stream = stream
        self._spans: dict[str, _Span] = {}

    def update(self, clock: float, result: Result) -> None:
        """Take the labels of a frame; ``clock`` in seconds since 1970."""
        for name in [name for name, span in self._spans.items() if abs(clock - span.last) > self.GAP]:
            self._save(name, self._spans.pop(name))
        for label in _labels(result):
            span = self._spans.get(label.name)
            if span is None:
                span = self._spans[label.name] = _Span(clock, clock, label.score)
                self._save(label.name, span)
            else:
                span.last, span.score = clock, max(span.score, label.score)

    def save(self) -> None:
        """Write down how long the spans that last have lasted so far."""
        for name, span in self._spans.items():
            self._save(name, span)

    def _save(self, name: str, span: _Span) -> None:
        self._index.label(self._stream, name, span.begin, span.last, span.score)


def _labels(result: Result) -> Iterator[Label]:
    if result.label is not None:
        yield result.label
    for person in result.persons:
        if person.label is not None:
            yield person.label

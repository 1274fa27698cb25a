"""Events on their way into a recording's index."""

from stream_client.errors import MessageRefusedError, SinkError
from stream_client.events.event import Message
from stream_client.events.rules import Rule
from stream_client.recording.index import IndexedEvent, RecordingIndex
from stream_client.recording.sink import RecordingSink


class IndexOutput:
    """Puts the events of a run into the index of its recording."""

    def __init__(self, recording: RecordingSink) -> None:
        self.name = f"index of {recording.name}"
        self._recording = recording
        self._index: RecordingIndex | None = None

    def open(self, stream: str, rules: tuple[Rule, ...]) -> None:
        """Nothing to do: the recording has its own name of the stream."""

    def expect(self, message: Message) -> None:
        """Nothing to do."""

    def send(self, message: Message) -> None:
        """Write a row, or complete it. The recording's clock counts, which may not be that of the camera."""
        end, label, clip = message["end"], message["label"], message["clip"]
        event = IndexedEvent(
            str(message["id"]),
            self._recording.stream,
            str(message["rule"]),
            self._clock(message["begin"]),
            None if end is None else self._clock(end),
            None if label is None else str(label),
            None if clip is None else str(clip),
        )
        try:
            if self._index is None:  # the thread that sends owns it
                self._index = RecordingIndex(self._recording.folder)
            self._index.event(event)
        except SinkError as error:
            raise MessageRefusedError(error.message) from error

    def abort(self) -> None:
        """A disk is all that it waits for."""

    def close(self) -> None:
        """Close the index."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def _clock(self, seconds: object) -> float:
        assert isinstance(seconds, int | float)
        return self._recording.clock(seconds)

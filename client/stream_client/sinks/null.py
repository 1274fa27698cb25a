"""Nowhere."""

from stream_client.frames import Result, StreamInfo


class NullSink:
    """Takes everything and keeps nothing."""

    name = "none"

    def open(self, info: StreamInfo) -> None:
        """Nothing to do."""

    def write(self, result: Result) -> bool:
        """Forget it."""
        return True

    def close(self) -> None:
        """Nothing to do."""

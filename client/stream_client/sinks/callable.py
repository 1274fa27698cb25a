"""A program's own function as a sink, and the sink that keeps nothing."""

from collections.abc import Callable

from stream_client.frames import Result, StreamInfo


class CallableSink:
    """Calls ``function`` with each result, in a thread of its own; ``False`` from it ends the run."""

    def __init__(self, function: Callable[[Result], object]) -> None:
        self._function = function
        self.name = f"function {getattr(function, '__name__', type(function).__name__)}"

    def open(self, info: StreamInfo) -> None:
        """Nothing to do."""

    def write(self, result: Result) -> bool:
        """Call the function."""
        return self._function(result) is not False

    def close(self) -> None:
        """Nothing to do."""


class NullSink:
    """Takes everything and keeps nothing."""

    name = "none"
    needs_pictures = False

    def open(self, info: StreamInfo) -> None:
        """Nothing to do."""

    def write(self, result: Result) -> bool:
        """Forget it."""
        return True

    def close(self) -> None:
        """Nothing to do."""

"""Frames of one size on one connection."""

from stream_client.publishing.sharing import Picture, Tap
from stream_client.publishing.wire import EncodedFrame, VideoTrack, Wire


class Session:
    """An encoder's tap and a wire. One thread uses it. Only :meth:`abort` is for other threads."""

    REPEAT_SECONDS = 0.2
    """Seconds. When nothing new comes, the last frame is sent again: servers cut a silent publisher."""

    def __init__(self, tap: Tap, wire: Wire, track: VideoTrack) -> None:
        self.track = track
        self._tap = tap
        self._wire = wire

    def begin(self, picture: Picture, within: float) -> None:
        """Connect and announce the stream, in ``within`` seconds. Nothing is sent yet."""
        self._wire.open(self.track, self._tap.first(picture), within)
        # Opening takes time: the stream begins with what is new then.
        self._tap.restart()

    def send(self, picture: Picture) -> list[EncodedFrame]:
        """Send ``picture`` and what else is new; what was sent."""
        return self._send(self._tap.encode(picture))

    def repeat(self) -> list[EncodedFrame]:
        """Send the last picture again, unless another output has just done so; what was sent."""
        return self._send(self._tap.repeat(self.REPEAT_SECONDS))

    def abort(self) -> None:
        """Make every waiting call fail now. Called from another thread."""
        self._wire.abort()
        self._tap.abort()

    def close(self) -> None:
        """Leave the server and the encoder."""
        self._wire.close()
        self._tap.close()

    def _send(self, frames: list[EncodedFrame]) -> list[EncodedFrame]:
        for frame in frames:
            self._wire.send(frame)
        return frames

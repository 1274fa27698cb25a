"""When frames were captured, as FFmpeg finds it in the reports of an RTP sender."""

import sys

import av
import av.error


class CaptureTimes:
    """The capture times of the frames that are in the decoder."""

    _DELAY = 64
    """Frames that a decoder may hold back, at most."""

    def __init__(self) -> None:
        self._times: dict[int, int] = {}

    def take(self, packet: "av.Packet[av.VideoStream]") -> None:
        """Note the time of a packet, if it has one."""
        # FFmpeg's AVProducerReferenceTime: µs since 1970, and flags.
        reference = bytes(packet.get_sidedata("prft"))
        if packet.pts is not None and len(reference) >= 8:
            self._times[packet.pts] = int.from_bytes(reference[:8], sys.byteorder, signed=True)
            if len(self._times) > self._DELAY:
                del self._times[next(iter(self._times))]

    def of(self, frame: av.VideoFrame) -> int | None:
        """The time of a frame, in µs since 1970. It is given once."""
        return None if frame.pts is None else self._times.pop(frame.pts, None)

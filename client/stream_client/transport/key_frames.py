"""A session of H.264 begins at a key frame, also one that takes the place of another."""

import math
from collections import deque
from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any

from kserve_wire.encoded import AccessUnit, EncodedFrame, from_elements
from stream_client.transport.base import Answer, Event, Listener, Request, Transport
from stream_client.transport.image_format import encoded_tensor


@dataclass(frozen=True, slots=True)
class _Sent:
    """An access unit, and the timestamp of the request that carried it."""

    timestamp: int
    unit: AccessUnit


class KeyFrames:
    """What was sent since the last key frame that no unanswered request is made from more than. For one run.

    One thread sends; answers may come from any.
    """

    MOST_BYTES = 64 << 20
    """Of access units that are kept. Where a key frame is farther away, another session begins at the next one."""

    def __init__(self) -> None:
        self._sent: deque[_Sent] = deque()
        self._bytes = 0
        self._answered = -1
        self._last_key: AccessUnit | None = None
        self._starts: deque[_Sent] = deque()  # key frames, each with the timestamp of the request for its picture

    def before(self, timestamp: int) -> Sequence[AccessUnit]:
        """What a decoder needs before the request with this timestamp."""
        return [sent.unit for sent in self._sent if sent.timestamp < timestamp]

    def answered(self, timestamp: int) -> None:
        """The request with this timestamp has an answer."""
        self._answered = max(self._answered, timestamp)

    def sending(self, frame: EncodedFrame, timestamp: int) -> None:
        """A frame is sent, perhaps again."""
        if self._sent and timestamp <= self._sent[-1].timestamp:
            return
        self._forget()
        for unit in frame.units:
            if unit.is_key:
                self._last_key = unit
            if self._sent or unit.is_key:
                self._sent.append(_Sent(timestamp, unit))
                self._bytes += len(unit.data)
        if self._last_key is not None and frame.wanted == self._last_key.number:
            self._starts.append(_Sent(timestamp, self._last_key))

    def _forget(self) -> None:
        """What is before a key frame is needed no more once the key frame's picture was answered."""
        while self._starts and self._answered >= self._starts[0].timestamp:
            start = self._starts.popleft()
            while self._sent and self._sent[0].unit is not start.unit:
                self._bytes -= len(self._sent.popleft().unit.data)
        if self._bytes > self.MOST_BYTES:
            self._sent.clear()
            self._starts.clear()
            self._bytes, self._last_key = 0, None


class KeyFrameTransport:
    """Implements :class:`~stream_client.transport.base.Transport` over ``inner``, for a graph of encoded frames.

    The first request of a session carries what ``sent`` has before it. Transports of one run share that: a session may
    move from one to another. Frames that are no H.264 go through as they are.
    """

    def __init__(self, inner: Transport, sent: KeyFrames) -> None:
        self._inner = inner
        self._sent = sent
        self._fresh = False

    @property
    def upload_rate(self) -> float | None:
        """That of ``inner``."""
        return self._inner.upload_rate

    def open(self, listener: Listener, *, within: float = math.inf, request_timeout: float | None = None) -> None:
        """Start a session."""

        def listen(event: Event) -> None:
            if isinstance(event, Answer):
                self._sent.answered(event.timestamp)
            listener(event)

        self._inner.open(listen, within=within, request_timeout=request_timeout)
        self._fresh = True

    def encode(self, request: Request) -> Sized:
        """The request; the first one of a session has everything since a key frame."""
        first = request.inputs[0]
        if len(first.array) == 1:
            return self._inner.encode(request)
        frame = from_elements(list(first.array))
        before = self._sent.before(request.timestamp) if self._fresh else ()
        self._fresh = False
        self._sent.sending(frame, request.timestamp)
        if before and not _begins(frame):
            frame = replace(frame, units=(*before, *frame.units))
            inputs = (encoded_tensor(first.name, frame), *request.inputs[1:])
            return self._inner.encode(Request(request.timestamp, inputs))
        return self._inner.encode(request)

    def send(self, timestamp: int, data: Any) -> None:
        """Send what :meth:`encode` gave."""
        self._inner.send(timestamp, data)

    def finish(self) -> None:
        """End sending."""
        self._inner.finish()

    def interrupt(self) -> None:
        """End a waiting :meth:`open`."""
        self._inner.interrupt()

    def close(self) -> None:
        """End the session. What was sent is kept for the next one."""
        self._inner.close()


def _begins(frame: EncodedFrame) -> bool:
    """Whether a decoder can begin with this frame and has its picture then."""
    return bool(frame.units) and frame.units[0].is_key and any(unit.number == frame.wanted for unit in frame.units)

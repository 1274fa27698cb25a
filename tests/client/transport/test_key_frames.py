"""Sessions of H.264 that take the place of others begin at a key frame."""

from collections.abc import Sequence

import numpy as np
from typing_extensions import override

from kserve_wire.encoded import ENCODED_FRAME, H264, AccessUnit, EncodedFrame, from_elements, jpeg_frame
from stream_client.frames import Tensor
from stream_client.transport.base import Answer, Closed, Event, Request
from stream_client.transport.image_format import encoded_tensor
from stream_client.transport.key_frames import KeyFrames, KeyFrameTransport
from tests.support.silent_transport import SilentTransport

KEY, OTHER = b"\x00\x00\x01\x65", b"\x00\x00\x01\x41"


class Session(SilentTransport):
    """Keeps what it has to send, and answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded: list[EncodedFrame] = []

    @override
    def encode(self, request: Request) -> bytes:
        self.encoded.append(from_elements(list(request.inputs[0].array)))
        assert [tensor.name for tensor in request.inputs] == [ENCODED_FRAME, "frame_timestamp"]
        return b""


class Line:
    """A transport, its sessions and what they carried."""

    def __init__(self) -> None:
        self.session = Session()
        self.sent = KeyFrames()
        self.transport = KeyFrameTransport(self.session, self.sent)
        self.reopen()

    def move(self) -> None:
        """To another transport of the run, as from replica to replica."""
        self.transport.close()
        self.transport = KeyFrameTransport(self.session, self.sent)
        self.transport.open(lambda event: None)

    def reopen(self) -> None:
        self.transport.close()
        self.transport.open(lambda event: None)

    def send(self, timestamp: int, *units: tuple[int, bytes], wanted: int | None = None) -> list[int]:
        """The numbers of the access units that the request carried."""
        frame = EncodedFrame(
            H264,
            tuple(AccessUnit(number, data) for number, data in units),
            timestamp if wanted is None else wanted,
        )
        time = Tensor("frame_timestamp", "INT64", np.array([timestamp]))
        self.transport.encode(Request(timestamp, [encoded_tensor(ENCODED_FRAME, frame), time]))
        return [unit.number for unit in self.session.encoded[-1].units]

    def stream(self, numbers: Sequence[int], *, group: int = 8) -> list[list[int]]:
        return [self.send(number, (number, OTHER if number % group else KEY)) for number in numbers]

    def answer(self, timestamp: int) -> None:
        assert self.session.listener is not None
        self.session.listener(Answer(timestamp, {}, 0.0, 0.0, complete=True))


def test_a_session_sends_what_it_is_given() -> None:
    line = Line()
    assert line.stream(range(10)) == [[number] for number in range(10)]


def test_another_session_begins_at_the_key_frame() -> None:
    line = Line()
    line.stream(range(13))
    for timestamp in range(12):
        line.answer(timestamp)
    line.reopen()
    assert line.stream([13, 14]) == [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], [14]]
    line.reopen()
    assert line.stream([15]) == [[8, 9, 10, 11, 12, 13, 14, 15]]


def test_a_session_that_moves_to_another_server_begins_at_the_key_frame() -> None:
    line = Line()
    line.stream(range(6))
    line.move()
    assert line.stream([6, 7]) == [[0, 1, 2, 3, 4, 5, 6], [7]]


def test_unanswered_requests_are_sent_again_after_what_they_need() -> None:
    line = Line()
    line.stream(range(11))
    for timestamp in range(7):
        line.answer(timestamp)
    line.reopen()
    assert line.stream(range(7, 12)) == [[0, 1, 2, 3, 4, 5, 6, 7], [8], [9], [10], [11]]


def test_a_key_frame_alone_needs_nothing_before_it() -> None:
    line = Line()
    line.stream(range(8))
    line.reopen()
    assert line.stream([8, 9]) == [[8], [9]]


def test_a_key_frame_that_goes_ahead_of_its_picture_does() -> None:
    line = Line()
    line.send(0, (0, KEY), (1, OTHER), wanted=0)
    line.send(1, (2, OTHER), wanted=1)
    line.reopen()
    assert line.send(2, (3, KEY), wanted=2) == [0, 1, 2, 3]


def test_what_is_kept_is_bounded() -> None:
    line = Line()
    line.sent.MOST_BYTES = 1000
    for number in range(200):
        line.send(number, (number, KEY if number == 0 else OTHER + bytes(96)))
        line.answer(number)
    line.reopen()
    assert line.send(200, (200, OTHER)) == [200]
    assert line.send(201, (201, KEY)) == [201]
    line.send(202, (202, OTHER))
    line.reopen()
    assert line.send(203, (203, OTHER)) == [201, 202, 203]


def test_key_frames_alone_are_forgotten_as_they_are_answered() -> None:
    line = Line()
    for number in range(50):
        line.send(number, (number, KEY))
        line.answer(number - 3)
    line.reopen()
    assert len(line.send(50, (50, OTHER))) < 12


def test_jpegs_go_through() -> None:
    line = Line()
    line.stream(range(3))
    line.reopen()
    jpeg = encoded_tensor(ENCODED_FRAME, jpeg_frame(b"\xff\xd8"))
    line.transport.encode(Request(3, [jpeg, Tensor("frame_timestamp", "INT64", np.array([3]))]))
    assert line.session.encoded[-1] == jpeg_frame(b"\xff\xd8")


def test_events_come_through() -> None:
    session = Session()
    events: list[Event] = []
    KeyFrameTransport(session, KeyFrames()).open(events.append)
    assert session.listener is not None
    session.listener(Closed(None))
    assert events == [Closed(None)]

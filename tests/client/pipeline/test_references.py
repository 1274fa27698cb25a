"""Frames of H.264 that are dropped leave to the others what they are made from."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kserve_wire.encoded import H264, AccessUnit, EncodedFrame
from stream_client.frames import Frame
from stream_client.pipeline.flow import LatestFrameQueue
from stream_client.pipeline.references import References

IMAGE = np.zeros((4, 4, 3), np.uint8)
KEY, REFERENCE, OTHER = b"\x00\x00\x01\x65", b"\x00\x00\x01\x41", b"\x00\x00\x01\x01"
PERIOD = 40_000
GROUP = 8


def stream(count: int) -> list[Frame]:
    """A key frame in eight, and every third of the others is the reference of none."""

    def data(index: int) -> bytes:
        if index % GROUP == 0:
            return KEY
        return OTHER if index % 3 == 0 else REFERENCE

    units = [AccessUnit(index, data(index)) for index in range(count)]
    return [
        Frame(unit.number, unit.number * PERIOD, IMAGE, 0.0, encoded=EncodedFrame(H264, (unit,), unit.number))
        for unit in units
    ]


def numbers(frame: Frame | None) -> list[int]:
    assert frame is not None
    assert frame.encoded is not None
    return [unit.number for unit in frame.encoded.units]


class Decoder:
    """Knows which pictures can be made: all references since the key frame, in order, and the picture itself."""

    def __init__(self, frames: list[Frame]) -> None:
        self._units = {frame.index: frame.encoded.units[0] for frame in frames if frame.encoded is not None}
        self._next = -1

    def decodes(self, encoded: EncodedFrame) -> bool:
        whole = False
        for unit in encoded.units:
            skipped = range(self._next, unit.number)
            if unit.is_key:
                self._next = unit.number + 1
            elif self._next < 0 or any(self._units[number].is_reference for number in skipped):
                return False
            else:
                self._next = unit.number + 1
            whole = unit.number == encoded.wanted
        return whole


@given(st.lists(st.booleans(), max_size=60))
def test_every_frame_that_is_sent_can_be_decoded(sent: list[bool]) -> None:
    frames = stream(len(sent))
    references, decoder = References(), Decoder(frames)
    for frame, send in zip(frames, sent, strict=True):
        if not send:
            references.dropped(frame)
        elif (following := references.follow(frame)) is not None:
            assert following.encoded is not None
            assert decoder.decodes(following.encoded)
            assert replace(following, encoded=frame.encoded) == frame
        else:
            assert not any(sent[frame.index // GROUP * GROUP : frame.index])


@given(st.lists(st.sampled_from(["send", "drop", "miss"]), max_size=80))
def test_what_is_missing_is_made_good_by_a_key_frame(fates: list[str]) -> None:
    frames = stream(len(fates))
    references, decoder = References(), Decoder(frames)
    broken = False
    for frame, fate in zip(frames, fates, strict=True):
        key = frame.index % GROUP == 0
        if fate == "miss":
            references.missing()
            broken = True
            continue
        broken = broken and not key
        if fate == "drop":
            references.dropped(frame)
            continue
        following = references.follow(frame)
        assert (following is None) == broken
        if following is not None:
            assert following.encoded is not None
            assert decoder.decodes(following.encoded)


def test_a_frame_takes_the_references_of_those_before_it_and_no_more() -> None:
    frames = stream(12)
    references = References()
    assert numbers(references.follow(frames[0])) == [0]
    for frame in frames[1:5]:
        references.dropped(frame)
    assert numbers(references.follow(frames[5])) == [1, 2, 4, 5]
    references.dropped(frames[6])
    references.dropped(frames[7])
    references.dropped(frames[8])
    assert numbers(references.follow(frames[9])) == [8, 9]


def test_too_long_a_way_back_ends_at_the_next_key_frame() -> None:
    frames = [replace(frame, timestamp=frame.timestamp * 20) for frame in stream(20)]
    references = References()
    assert references.follow(frames[0]) is not None
    for frame in frames[1:6]:
        references.dropped(frame)
    assert references.follow(frames[6]) is None
    assert references.follow(frames[7]) is None
    assert numbers(references.follow(frames[8])) == [8]


def test_a_key_frame_that_went_ahead_is_kept_for_the_frames_after_it() -> None:
    """With B-frames an access unit goes some frames before the one that shows it."""
    ahead = [
        Frame(0, 0, IMAGE, 0.0, encoded=EncodedFrame(H264, (AccessUnit(6, OTHER), AccessUnit(7, REFERENCE)), 5)),
        Frame(1, 1, IMAGE, 0.0, encoded=EncodedFrame(H264, (AccessUnit(8, KEY),), 6)),
        Frame(2, 2, IMAGE, 0.0, encoded=EncodedFrame(H264, (AccessUnit(9, REFERENCE),), 7)),
        Frame(3, 3, IMAGE, 0.0, encoded=EncodedFrame(H264, (AccessUnit(10, REFERENCE),), 8)),
    ]
    references = References()
    references.missing()
    assert [references.follow(frame) for frame in ahead[:3]] == [None, None, None]
    assert numbers(references.follow(ahead[3])) == [8, 9, 10]


def test_frames_with_pixels_go_through() -> None:
    frame = Frame(0, 0, IMAGE, 0.0)
    references = References()
    references.missing()
    references.dropped(frame)
    assert references.follow(frame) is frame


def test_the_newest_frame_in_the_queue_has_what_it_needs() -> None:
    queue = LatestFrameQueue()
    frames = stream(6)
    dropped = [frame.index for given in frames for frame in queue.offer(given)]
    assert dropped == [0, 1, 2, 3, 4]
    assert numbers(queue.take()) == [0, 1, 2, 4, 5]
    assert queue.take() is None

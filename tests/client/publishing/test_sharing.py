"""Outputs that share an encoder."""

from fractions import Fraction

import numpy as np

from stream_client.frames import Color, Image, Planes
from stream_client.publishing.encoder_pool import EncoderPool
from stream_client.publishing.sharing import RawFrame
from stream_client.publishing.wire import VideoTrack
from stream_client.util.media import ImageShape

TRACK = VideoTrack(ImageShape(64, 48, Fraction(1), Color()), Fraction(25))
IMAGE = np.zeros((48, 64, 3), np.uint8)


class Counting:
    """An encoder that says which frames were asked of it, as NAL units of their kind."""

    def __init__(self) -> None:
        self.presentations: list[int] = []
        self.closed = False

    def encode(self, picture: Image | Planes, presentation: int, *, key: bool = False) -> list[bytes]:
        self.presentations.append(presentation)
        return [b"\x00\x00\x01" + (b"\x65" if key else b"\x41") + b"x"]

    def abort(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Maker:
    def __init__(self) -> None:
        self.encoders: list[Counting] = []

    def __call__(self, track: VideoTrack, limit: int | None) -> Counting:
        self.encoders.append(Counting())
        return self.encoders[-1]


def shown(index: int, time: float | None = None) -> RawFrame:
    return RawFrame(IMAGE, index / 25 if time is None else time, 0.0, index, 1e9)


def test_a_frame_is_encoded_once_for_all_outputs_and_each_gets_every_one() -> None:
    make, pool = Maker(), EncoderPool()
    first, second = (pool.tap(make, "same", TRACK, None) for _ in range(2))
    seen = [[frame.index for index in range(5) for frame in tap.encode(shown(index))] for tap in (first, second)]
    assert seen == [[0, 1, 2, 3, 4]] * 2
    assert len(make.encoders) == 1
    assert make.encoders[0].presentations == [3600 * index for index in range(5)]


def test_other_settings_or_limits_have_an_encoder_of_their_own() -> None:
    make, pool = Maker(), EncoderPool()
    for limit, settings in ((None, "a"), (None, "b"), (100_000, "a")):
        pool.tap(make, settings, TRACK, limit)
    assert len(make.encoders) == 3


def test_an_output_that_joins_begins_with_a_key_frame() -> None:
    make, pool = Maker(), EncoderPool()
    first = pool.tap(make, "same", TRACK, None)
    assert [frame.key for index in range(3) for frame in first.encode(shown(index))] == [True, False, False]
    late = pool.tap(make, "same", TRACK, None)
    assert late.encode(shown(2))[-1].key
    assert first.encode(shown(3))[0].key


def test_the_encoder_ends_with_its_last_output() -> None:
    make, pool = Maker(), EncoderPool()
    first, second = (pool.tap(make, "same", TRACK, None) for _ in range(2))
    first.close()
    assert not make.encoders[0].closed
    second.close()
    second.close()
    assert make.encoders[0].closed
    pool.tap(make, "same", TRACK, None)
    assert len(make.encoders) == 2


def test_what_an_output_does_not_take_is_bounded() -> None:
    pool = EncoderPool()
    busy, idle = (pool.tap(Maker(), "same", TRACK, None) for _ in range(2))
    for index in range(1000):
        busy.encode(shown(index))
    waiting = idle.encode(shown(999))
    assert 0 < len(waiting) <= 300
    assert waiting[0].key


def test_a_frame_whose_time_a_repetition_has_passed_still_comes_after_it() -> None:
    make, pool = Maker(), EncoderPool()
    tap = pool.tap(make, "same", TRACK, None)
    tap.encode(shown(0))
    assert [frame.index for frame in tap.repeat(shown(0), after=0.0)] == [0]
    tap.encode(shown(1, time=0.0))
    presentations = make.encoders[0].presentations
    assert presentations == sorted(set(presentations))

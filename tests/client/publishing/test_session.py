"""A session over lines that a test makes, with a real encoder."""

import time
from fractions import Fraction

import numpy as np

from stream_client.frames import Color
from stream_client.publishing.encoder import PyavEncoder
from stream_client.publishing.encoder_pool import EncoderPool
from stream_client.publishing.session import Bounds, LineReport, Session
from stream_client.publishing.sharing import RawFrame, Tap
from stream_client.publishing.shrinking import Shrinking
from stream_client.publishing.wire import PublishedFrame, VideoTrack
from stream_client.sound.packets import SoundPacket
from stream_client.sound.rule import SoundRule
from stream_client.sound.track import SoundFormat
from stream_client.util.color import written_color
from stream_client.util.media import ImageShape

TRACK = VideoTrack(ImageShape(64, 48, Fraction(1), written_color(Color(), 64, 48)), Fraction(25))
NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


class Way:
    """A wire that keeps what is sent, and says what is still on the way."""

    def __init__(self, on_the_way: int | None) -> None:
        self.on_the_way = on_the_way
        self.sent: list[PublishedFrame] = []

    sound_rule: SoundRule | None = None

    def open(self, track: VideoTrack, first: PublishedFrame, within: float, sound: SoundFormat | None = None) -> None:
        pass

    def send(self, frame: PublishedFrame) -> int:
        self.sent.append(frame)
        if self.on_the_way is not None:
            self.on_the_way += len(frame.data)
        return len(frame.data)

    def send_sound(self, packet: SoundPacket) -> int:
        raise AssertionError("it has no sound")

    def queued(self) -> int | None:
        return self.on_the_way

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


def opened(way: Way, report: LineReport, bounds: Bounds, shrinking: Shrinking | None = None) -> Session:
    pool = EncoderPool()

    def tap(track: VideoTrack, limit: int | None) -> Tap:
        return pool.tap(PyavEncoder, "same", track, limit)

    session = Session(tap, way, TRACK, bounds, report, shrinking=shrinking)
    session.begin(shown(0), 1.0)
    return session


def shown(index: int) -> RawFrame:
    return RawFrame(np.roll(NOISE, index, 1), index / 25, time.monotonic(), index, 1e9)


def test_a_line_that_takes_nothing_more_gets_nothing_more_and_then_a_key_frame_of_what_is_new() -> None:
    way, report = Way(0), LineReport()
    session = opened(way, report, Bounds(latency=0.1))
    index = 0
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        session.send(shown(index))
        index += 1
        time.sleep(0.01)
    before = len(way.sent)
    assert before < index
    assert not session.send(shown(index))
    assert report.limited > 0
    way.on_the_way = 0
    while len(way.sent) == before:
        index += 1
        session.send(shown(index))
    assert way.sent[-1].key
    assert way.sent[-1].index == index
    session.close()


def test_where_nobody_knows_what_is_on_the_way_everything_is_sent_and_nothing_is_kept() -> None:
    way, report = Way(None), LineReport()
    session = opened(way, report, Bounds(latency=0.1))
    for index in range(50):
        assert session.send(shown(index))
    assert report.age < 60.0
    assert report.limited == 0.0
    session.close()


def test_of_frames_at_half_the_rate_every_second_one_is_sent() -> None:
    way, shrinking = Way(None), Shrinking("rate")
    shrinking.update(0.0, limit=1, wanted=1000.0)
    session = opened(way, LineReport(), Bounds(), shrinking)
    for index in range(50):
        session.send(shown(index))
    assert [frame.index for frame in way.sent] == list(range(0, 50, 2))
    session.close()


def test_the_last_frame_is_repeated_also_where_the_bit_rate_has_changed_since() -> None:
    way, report = Way(0), LineReport()
    session = opened(way, report, Bounds(latency=0.5))
    index = 0
    while report.limit is None:  # nothing leaves the line
        session.send(shown(index))
        index += 1
        time.sleep(0.01)
    limited = report.limit
    way.on_the_way = 0
    while not session.repeat():
        pass
    while way.sent[-1].index < index:
        session.send(shown(index))
    while report.limit == limited:  # it rises while nothing new comes
        session.repeat()
        way.on_the_way = 0
        time.sleep(0.01)
    assert way.sent[-1].key
    times = [frame.time for frame in way.sent]
    assert times == sorted(set(times))
    session.close()

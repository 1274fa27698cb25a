"""Descriptions as servers send them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_client.rtsp.description import PlayedTrack, video_track
from stream_client.rtsp.h264 import session_description

BASE = "rtsp://host/live"
CAMERA = """v=0
o=- 1 1 IN IP4 10.0.0.5
s=Media Presentation
t=0 0
a=control:*
a=range:npt=now-
m=audio 0 RTP/AVP 8
a=control:trackID=1
m=video 0 RTP/AVP 96
a=rtpmap:96 H264/90000
a=fmtp:96 profile-level-id=420029; packetization-mode=1; sprop-parameter-sets=Z2QAHw==,aO4=
a=framerate:29.97
a=control:trackID=2
m=application 0 RTP/AVP 107
a=rtpmap:107 vnd.onvif.metadata/90000
""".replace("\n", "\r\n")
SETS = b"\x00\x00\x00\x01\x67\x64\x00\x1f\x00\x00\x00\x01\x68\xee"


def test_a_cameras_description_is_understood() -> None:
    assert video_track(CAMERA, BASE + "/") == PlayedTrack(
        presentation="rtsp://host/live/",
        control="rtsp://host/live/trackID=2",
        payload_type=96,
        clock_rate=90_000,
        parameter_sets=SETS,
        frame_rate=Fraction("29.97"),
        finite=False,
    )


def test_our_own_description_is_understood() -> None:
    track = video_track(session_description((b"\x67\x64\x00\x1f", b"\x68\xee"), "title"), BASE)
    assert track is not None
    assert (track.control, track.parameter_sets) == ("rtsp://host/live/streamid=0", SETS)


@pytest.mark.parametrize(
    ("control", "url"),
    [
        ("trackID=2", "rtsp://host/live/trackID=2"),
        ("rtsp://other:8554/a/trackID=2", "rtsp://other:8554/a/trackID=2"),
        ("*", BASE),
    ],
)
def test_a_track_is_set_up_where_it_says(control: str, url: str) -> None:
    track = video_track(CAMERA.replace("trackID=2", control), BASE)
    assert track is not None
    assert track.control == url


@pytest.mark.parametrize(
    ("length", "finite"), [("npt=0-12.5", True), ("npt=0-00:01:02", True), ("npt=0-", False), ("clock=x", False)]
)
def test_a_declared_length_makes_it_finite(length: str, finite: bool) -> None:
    track = video_track(CAMERA.replace("npt=now-", length), BASE)
    assert track is not None
    assert track.finite is finite


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("H264/90000", "H266/90000"),
        ("H264/90000", "H264"),
        ("packetization-mode=1", "packetization-mode=2"),
        ("m=video 0 RTP/AVP 96", "m=video 0 RTP/AVP"),
        ("m=video", "m=text"),
        ("m=audio", "m=video"),  # the first track counts, as for FFmpeg
    ],
)
def test_what_is_not_ours_is_left_to_ffmpeg(said: str, instead: str) -> None:
    assert video_track(CAMERA.replace(said, instead), BASE) is None


@pytest.mark.parametrize("sets", ["", "sprop-parameter-sets=!"])
def test_parameter_sets_may_come_within_the_stream_only(sets: str) -> None:
    track = video_track(CAMERA.replace("sprop-parameter-sets=Z2QAHw==,aO4=", sets), BASE)
    assert track is not None
    assert track.parameter_sets == b""


@given(
    st.lists(st.sampled_from([*CAMERA.split("\r\n"), "", "m=", "a=", "a=framerate:0", "a=framerate:1/0", "m=video"]))
)
def test_no_description_is_an_error(lines: list[str]) -> None:
    video_track("\r\n".join(lines), BASE)


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("a=framerate:29.97", "a=framerate:1e999999999"),
        ("a=framerate:29.97", "a=framerate:" + "9" * 5000),
        ("a=framerate:29.97", "a=framerate:1/0"),
    ],
)
def test_a_rate_that_is_no_number_is_none(line: str, instead: str) -> None:
    track = video_track(CAMERA.replace(line, instead), "rtsp://host/x")
    assert track is not None
    assert track.frame_rate is None


@pytest.mark.parametrize("rate", ["0", "9" * 5000])
def test_a_track_without_a_clock_is_left_to_ffmpeg(rate: str) -> None:
    assert video_track(CAMERA.replace("H264/90000", f"H264/{rate}"), "rtsp://host/x") is None

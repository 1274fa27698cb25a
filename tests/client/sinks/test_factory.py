"""What the client takes as a sink."""

from pathlib import Path
from typing import Any

import pytest

from stream_client.errors import ConfigurationError
from stream_client.sinks.base import LandmarksUser
from stream_client.sinks.callable import NullSink
from stream_client.sinks.factory import as_sink, as_sinks, open_sink
from stream_client.sinks.landmarks import LandmarksSink
from stream_client.training.buffer import TrainingBuffer


def test_outputs_are_told_apart() -> None:
    assert open_sink("none").name == "none"
    assert open_sink("screen").name == "screen"
    assert open_sink("a/out.mp4").name == "file out.mp4"
    assert open_sink(Path("screen.mp4")).name == "file screen.mp4"


def test_one_sink_may_stand_for_a_list() -> None:
    sink = NullSink()
    assert as_sinks(sink) == as_sinks([sink]) == as_sinks((sink,)) == [sink]
    assert [made.name for made in as_sinks(["none", print, Path("out.mp4")])] == [
        "none",
        "function print",
        "file out.mp4",
    ]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (None, "NoneType is not a sink: give screen, none, a path, a URL, a function of a result, or an object"),
        (1, "int is not a sink"),
        ({"out.mp4"}, "set is not a sink"),
        (NullSink, "NullSink is a class"),
        ("", "no output named"),
        ("gopher://host", "gopher:// output is not supported"),
    ],
)
def test_anything_else_is_refused_in_one_line(wrong: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as caught:
        as_sink(wrong)
    assert "\n" not in str(caught.value)


def test_a_sink_says_whether_it_needs_landmarks(tmp_path: Path) -> None:
    landmarks = LandmarksSink(tmp_path / "landmarks.jsonl")
    assert isinstance(landmarks, LandmarksUser)
    assert landmarks.needs_landmarks
    assert TrainingBuffer().needs_landmarks
    assert not TrainingBuffer(lambda result: None).needs_landmarks
    assert not isinstance(NullSink(), LandmarksUser)

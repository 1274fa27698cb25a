"""The test pattern as a source."""

from fractions import Fraction
from itertools import pairwise

import pytest

from stream_client.errors import ConfigurationError
from stream_client.sources.factory import open_source
from stream_client.test_source.code import FrameCode, read_code
from stream_client.test_source.pattern import PatternOptions, TestPatternSource, pattern_options


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("testsrc", PatternOptions(640, 360, Fraction(30))),
        ("testsrc:1280x720", PatternOptions(1280, 720, Fraction(30))),
        ("testsrc@12.5", PatternOptions(640, 360, Fraction(25, 2))),
        ("testsrc:320x240@max", PatternOptions(320, 240, None)),
    ],
)
def test_size_and_rate_are_in_the_name(spec: str, options: PatternOptions) -> None:
    assert pattern_options(spec) == options


@pytest.mark.parametrize("spec", ["testsrc:", "testsrc:640", "testsrc:10x10", "testsrc@0", "testsrc@1e9"])
def test_a_malformed_pattern_is_a_usage_error(spec: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\(source\)$"):
        open_source(spec)


@pytest.mark.parametrize("spec", ["testsrc@500", "testsrc@max"])
def test_every_frame_carries_its_number_and_its_time(spec: str) -> None:
    source = open_source(spec)
    info = source.open()
    frames = [source.read() for _ in range(8)]
    source.close()
    assert info.live == (spec != "testsrc@max")
    codes = [read_code(frame.image) for frame in frames if frame is not None]
    assert [code.index for code in codes if code is not None] == list(range(8))
    if info.live:
        assert [frame and FrameCode(frame.index, frame.timestamp) for frame in frames] == codes
    times = [frame.timestamp for frame in frames if frame is not None]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_an_interrupt_ends_it() -> None:
    source = TestPatternSource(PatternOptions(rate=Fraction(1, 100)))
    source.open()
    assert source.read() is not None
    source.interrupt()
    assert source.read() is None
    source.close()

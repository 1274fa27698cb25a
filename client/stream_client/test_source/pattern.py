"""A test pattern whose frames carry their number and time as a code that ``readback`` reads again."""

import re
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from fractions import Fraction
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from stream_client.errors import ConfigurationError
from stream_client.frames import Frame, Image, StreamInfo
from stream_client.test_source.code import MIN_HEIGHT, MIN_WIDTH, CodePainter, FrameCode
from stream_client.util.clock import SteadyClock

_SPEC = re.compile(r"testsrc(?::(?P<width>\d+)x(?P<height>\d+))?(?:@(?P<rate>max|\d+(?:\.\d+)?))?")
_BARS = ((192, 192, 192), (192, 192, 0), (0, 192, 192), (0, 192, 0), (192, 0, 192), (192, 0, 0), (0, 0, 192))
_MAX_SIDE = 8192
_MAX_RATE = 1000
_NOMINAL_RATE = Fraction(30)


@dataclass(frozen=True, slots=True)
class PatternOptions:
    """Size in pixels; ``rate`` in frames a second, ``None`` as fast as they are taken."""

    width: int = 640
    height: int = 360
    rate: Fraction | None = _NOMINAL_RATE


def is_test_pattern(spec: str) -> bool:
    """Whether ``spec`` asks for the test pattern."""
    return spec == "testsrc" or spec.startswith(("testsrc:", "testsrc@"))


def pattern_options(spec: str) -> PatternOptions:
    """What ``testsrc``, ``testsrc:1280x720``, ``testsrc:1280x720@25`` or ``testsrc@max`` asks for."""
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise ConfigurationError(
            f"{spec!r} is not a test pattern: testsrc, testsrc:640x360 or testsrc:640x360@30 is expected, "
            "@max for as fast as possible",
            option="source",
        )
    width, height = int(match["width"] or 640), int(match["height"] or 360)
    if not (MIN_WIDTH <= width <= _MAX_SIDE and MIN_HEIGHT <= height <= _MAX_SIDE):
        raise ConfigurationError(
            f"a test pattern of {width}x{height}: {MIN_WIDTH}x{MIN_HEIGHT} to {_MAX_SIDE}x{_MAX_SIDE} can be painted",
            option="source",
        )
    if match["rate"] == "max":
        return PatternOptions(width, height, None)
    rate = Fraction(match["rate"] or _NOMINAL_RATE)
    if not 0 < rate <= _MAX_RATE:
        raise ConfigurationError(
            f"a test pattern of {float(rate):g} frames a second: above 0 to {_MAX_RATE}, or max", option="source"
        )
    return PatternOptions(width, height, rate)


class TestPattern:
    """Paints the frames: color bars, the number and the time to read, the code, a moving block."""

    __test__ = False  # not a test, whatever its name begins with

    def __init__(self, width: int, height: int) -> None:
        self._background = _background(width, height)
        self._code = CodePainter(width, height)
        self._text_height = max(8, height // 14)

    def paint(self, code: FrameCode) -> Image:
        """A new frame, RGB uint8 [height, width, 3], with ``code`` on it."""
        image = self._background.copy()
        height, width = image.shape[:2]
        self._code.paint(image, code)
        moment = datetime.fromtimestamp(code.time / 1e6, timezone.utc)
        text = _text(f"{code.index:06d} {moment:%H:%M:%S}.{moment.microsecond // 1000:03d}", self._text_height)
        top, left = round(0.4 * height), round(0.1 * width)
        rows, columns = min(text.shape[0], round(0.09 * height)), min(text.shape[1], width - left)
        image[top : top + rows, left : left + columns] = text[:rows, :columns, None]
        side = max(4, round(0.05 * height))
        position = code.index * max(1, width // 100) % (width - side)
        image[round(0.93 * height) : round(0.93 * height) + side, position : position + side] = 255
        return image


class TestPatternSource:
    """The pattern as a live source with the wall clock as time; without a rate, as a file without an end.

    The painted time is the moment of capture. A reader that comes late gets a later frame, as from a
    camera: numbers are not left out.
    """

    __test__ = False

    def __init__(self, options: PatternOptions | None = None) -> None:
        self._options = options or PatternOptions()
        self._interrupted = threading.Event()
        self._clock = SteadyClock()
        self._pattern: TestPattern | None = None
        self._index = 0
        self._last = 0
        self._due = 0.0

    def open(self) -> StreamInfo:
        """Paint what all frames have in common."""
        options = self._options
        self._pattern = TestPattern(options.width, options.height)
        self._due = time.monotonic()
        live = options.rate is not None
        rate = options.rate or _NOMINAL_RATE
        start = self._clock.now() if live else 0
        return StreamInfo("testsrc", options.width, options.height, rate, live=live, start=start)

    def read(self) -> Frame | None:
        """Wait until the next frame is due, and paint it."""
        assert self._pattern is not None
        rate = self._options.rate
        if rate is not None:
            self._interrupted.wait(max(0.0, self._due - time.monotonic()))
            # A late frame is made up for by the next; beyond a frame's time, it is not.
            self._due = max(self._due, time.monotonic() - float(1 / rate)) + float(1 / rate)
        if self._interrupted.is_set():
            return None
        captured = time.monotonic()
        wall = max(self._clock.at(captured), self._last + 1)
        self._last = wall
        image = self._pattern.paint(FrameCode(self._index, wall))
        timestamp = wall if rate is not None else round(self._index * 1_000_000 / _NOMINAL_RATE)
        frame = Frame(self._index, timestamp, image, captured)
        self._index += 1
        return frame

    def interrupt(self) -> None:
        """End the waiting."""
        self._interrupted.set()

    def close(self) -> None:
        """Forget the frames."""
        self._pattern = None


def _background(width: int, height: int) -> Image:
    image = np.empty((height, width, 3), np.uint8)
    image[:] = np.linspace(32, 160, width).astype(np.uint8)[None, :, None]
    bars = np.array(_BARS, np.uint8)[np.arange(width) * len(_BARS) // width]
    image[: round(0.38 * height)] = bars[None]
    return image


def _text(text: str, size: int) -> npt.NDArray[np.uint8]:
    """White on black, uint8 [height, width]."""
    return np.concatenate([_glyph(letter, size) for letter in text], axis=1)


@cache
def _glyph(letter: str, size: int) -> npt.NDArray[np.uint8]:
    """A letter in a cell of fixed width; few letters recur, so each is drawn once."""
    canvas = PillowImage.new("L", (round(0.65 * size), round(1.2 * size)), 0)
    ImageDraw.Draw(canvas).text((1, 0), letter, fill=255, font=ImageFont.load_default(size=size))
    return np.asarray(canvas)

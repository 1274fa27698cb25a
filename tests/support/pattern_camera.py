"""A camera whose frames are numbered, and what reads the numbers back."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_client.sources.file import FileSource
from stream_client.test_source.code import read_code
from stream_client.test_source.readings import ReadbackReport, Reading, Tally

_PUBLISH = """
import sys
from stream_client import StreamClient
StreamClient(*sys.argv[1:], lambda request: {"output": request.inputs[0].array}).run()
"""


@contextmanager
def pattern_camera(url: str, pattern: str) -> Iterator[None]:
    """A process that publishes the test pattern to ``url`` until it is left, whatever happens to the server.

    It repeats a frame when none has come for 0.2 s, on a busy machine for instance.
    """
    process = subprocess.Popen([sys.executable, "-c", _PUBLISH, pattern, url], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def readings_in(path: Path) -> list[Reading]:
    """The numbers and times in a file's frames."""
    source = FileSource(path)
    source.open()
    found = [Reading(frame.index, read_code(frame.image), None, frame.timestamp) for frame in iter(source.read, None)]
    source.close()
    return found


def numbers_in(path: Path) -> ReadbackReport:
    """What they say together."""
    return tallied(readings_in(path))


def tallied(readings: Iterable[Reading]) -> ReadbackReport:
    """The report of these readings."""
    tally = Tally()
    for reading in readings:
        tally.add(reading)
    return tally.report()

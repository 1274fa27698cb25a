"""A source's frames written to a sink, without a server between them."""

from stream_client.frames import Result, Stamps
from stream_client.sinks.base import Sink
from stream_client.sources.base import Source


def result_of(source: Source, start: int = 0) -> Result | None:
    """The next frame of ``source`` as a result; ``start`` is the timestamp of time 0."""
    frame = source.read()
    if frame is None:
        return None
    stamps = Stamps(captured=frame.captured, delivered=frame.captured)
    return Result(frame, frame.image, time=(frame.timestamp - start) / 1e6, stamps=stamps)


def relay(source: Source, *sinks: Sink, limit: int = 1_000_000) -> list[float]:
    """Write the frames to every sink; returns their times, in seconds of the source."""
    times: list[float] = []
    info = source.open()
    try:
        for sink in sinks:
            sink.open(info)
        while len(times) < limit and (result := result_of(source, info.start)) is not None:
            times.append(result.time)
            for sink in sinks:
                assert sink.write(result)
    finally:
        source.close()
        for sink in sinks:
            sink.close()
    return times

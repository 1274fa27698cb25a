"""What a student learns from: files, folders, URLs and live streams, some of them held out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from stream_client.errors import ConfigurationError
from stream_client.fleet.batch.inputs import find_videos
from stream_client.sources.camera import is_camera
from stream_client.sources.network import is_network
from stream_client.test_source.pattern import is_test_pattern
from stream_client.util.redact import redact

Use = Literal["train", "hold_out", "both"]
"""What a stream is for. Of ``both``, parts of its time are held out."""
GROUP = 5
"""One stream of so many is held out, where there are at least two."""
_BLOCK, _HELD = 1_500_000, 300_000
"""Of a stream that is alone, the last of ``_HELD`` microseconds of each ``_BLOCK`` are held out."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream to learn from. ``address`` is what :func:`.open_source` takes; ``name`` is for people, without secrets.

    ``credit`` names who made it, where that has to be said.
    """

    address: str
    name: str
    use: Use = "train"
    credit: str = ""

    def held_out(self, timestamp: int) -> bool:
        """Whether the frame of that time, in µs, is for evaluation."""
        return self.use == "hold_out" or (self.use == "both" and timestamp % _BLOCK >= _BLOCK - _HELD)


Pass = Callable[[], Iterable[Stream]]
"""Gives the streams of one pass; another call, those of the next one, none at the end."""


def named_streams(names: Sequence[str], held_out: Sequence[str] = ()) -> list[Stream]:
    """The streams behind files, folders, patterns, lists (``@FILE``) and URLs, those that are held out first.

    ``held_out`` names the latter. Without it, :func:`divided` chooses. Raises :class:`.ConfigurationError`.
    """
    streams = _found(names, "video")
    if not held_out:
        return divided(streams)
    kept = [replace(stream, use="hold_out") for stream in _found(held_out, "held_out")]
    addresses = {stream.address for stream in kept}
    rest = [stream for stream in streams if stream.address not in addresses]
    if not rest:
        raise ConfigurationError("every source is held out: name others to learn from", option="held_out")
    return [*kept, *rest]


def divided(streams: Sequence[Stream]) -> list[Stream]:
    """The last of each five streams is held out, and stands first; of a single one, some of its time is."""
    if len(streams) < 2:
        return [replace(stream, use="both") for stream in streams]
    groups = [list(streams[start : start + GROUP]) for start in range(0, len(streams), GROUP)]
    kept = [replace(group.pop(), use="hold_out") for group in groups if len(group) > 1]
    return [*kept, *(stream for group in groups for stream in group)]


def _found(names: Sequence[str], option: str) -> list[Stream]:
    found = []
    for name in names:
        if is_camera(name) or is_network(name) or is_test_pattern(name):
            found.append(Stream(name, redact(name)))
        else:
            try:
                videos = find_videos([name])
            except ConfigurationError as error:
                raise ConfigurationError(error.message, option=option) from error
            found += [Stream(video.address, redact(video.address)) for video in videos]
    return list({stream.address: stream for stream in found}.values())

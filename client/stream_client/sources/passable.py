"""Whether the video of a container can be passed on without decoding it."""

from contextlib import suppress

import av
import av.error

from kserve_wire.pictures.rgb import matrix_of
from stream_client.sources.passing import AnnexB, Passing, held_by
from stream_client.util.color import color_of
from stream_client.util.container import video_of
from stream_client.util.media import ImageOptions
from stream_client.util.orientation import orientation

_LOOK = 8
"""Frames of a stream with B-frames whose order has to be right."""


def can_pass(container: av.container.InputContainer, images: ImageOptions) -> bool:
    """Whether a decoder of the access units alone gives the same pictures in the same order as one of the container.

    It reads the start of the container. A video that is no H.264, is turned or interlaced, has colors that only the
    container tells, or wrong timestamps, has to be decoded here; so has one whose images ``images`` changes.
    """
    stream = video_of(container)
    if stream is None or stream.codec_context is None or stream.codec_context.name != "h264":
        return False
    if images.square_pixels and stream.sample_aspect_ratio not in (None, 0, 1):
        return False
    passing, unit_of = Passing(held_by(stream)), AnnexB(stream)
    first: av.VideoFrame | None = None
    expected: list[int | None] = []
    found: list[int] = []
    for packet in container.demux(stream):
        if packet.size and packet.pts is None:
            return False
        with suppress(av.error.FFmpegError):
            for frame in packet.decode():
                first = first or frame
                expected.append(frame.pts)
        found += [passed.stamp for passed in passing.take_packet(packet, unit_of)]
        if min(len(expected), len(found)) >= (_LOOK if held_by(stream) else 1):
            break
    count = min(len(expected), len(found))
    picture = passing.picture
    return (
        first is not None
        and picture is not None
        and expected[:count] == found[:count]
        and not picture.interlaced_frame
        and not (images.tone_map and color_of(picture).hdr)
        and _look(picture) == _look(first)
    )


def _look(frame: av.VideoFrame) -> tuple[object, ...]:
    """What the image of a decoded frame depends on beside its samples."""
    return frame.width, frame.height, matrix_of(frame), frame.color_range, orientation(frame)

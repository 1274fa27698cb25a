"""How sinks write video, as a value."""

from dataclasses import dataclass, field

from stream_client.util.settings import check, setting


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """Options of the several kinds of sinks. ``quality`` is x264's constant rate factor.

    ``encoder`` is for RTSP: ``pyav[:NAME]`` or ``ffmpeg[:NAME]``, NAME being FFmpeg's name of an H.264 encoder.
    """

    quality: int = field(default=20, metadata=setting("of video files and RTSP, 0 (best) to 51", minimum=0, maximum=51))
    encoder: str = field(
        default="pyav",
        metadata=setting("of rtsp:// output: pyav[:NAME] or ffmpeg[:NAME], NAME as libx264 or h264_vaapi"),
    )

    rtsp_insecure: bool = False
    """As of :class:`~stream_client.SourceOptions`, for outputs."""

    def __post_init__(self) -> None:
        check(self)


DEFAULTS = SinkOptions()

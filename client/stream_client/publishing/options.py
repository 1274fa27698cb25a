"""How video is written and sent, as a value."""

from dataclasses import dataclass, field
from typing import Literal

from stream_client.errors import ConfigurationError
from stream_client.publishing.shrinking import Shrunk
from stream_client.util.settings import check, setting


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """Options of the several kinds of sinks. ``quality`` is x264's constant rate factor, 3 more where live outputs
    take what a file encodes.

    ``encoder`` is for network outputs and HLS: ``pyav[:NAME]`` or ``ffmpeg[:NAME]``, NAME being FFmpeg's name of an
    H.264 encoder. Rates are in kbit/s.
    """

    quality: int = field(default=20, metadata=setting("of every video output, 0 (best) to 51", minimum=0, maximum=51))
    encoder: str = field(
        default="pyav",
        metadata=setting("of network outputs and HLS: pyav[:NAME] or ffmpeg[:NAME], NAME as libx264 or h264_vaapi"),
    )

    output_latency: float = field(
        default=0.5,
        metadata=setting("how long frames may wait on the line of a network output", unit="s", above=0),
    )
    bitrate: int | Literal["auto"] = field(
        default="auto",
        metadata=setting(
            "most that a network output sends, in kbit/s; auto: what its line carries", minimum=10, metavar="N"
        ),
    )
    bitrate_min: int = field(
        default=50, metadata=setting("least that bitrate auto falls to, in kbit/s", minimum=10, metavar="N")
    )
    shrink: Shrunk = field(
        default="nothing",
        metadata=setting(
            "what a network output halves, once or twice, where bitrate auto leaves less than a quarter of what its "
            "frames want: their size or their rate"
        ),
    )

    fragmented: bool = field(
        default=False,
        metadata=setting(
            "leave MP4 files in fragments, as browsers take them piece by piece", off="write ordinary MP4 files"
        ),
    )
    hls_time: float = field(
        default=2.0, metadata=setting("length of the segments of an HLS output", unit="s", minimum=0.5, maximum=60)
    )
    rtsp_insecure: bool = False
    """As of :class:`~stream_client.SourceOptions`, for outputs."""

    def __post_init__(self) -> None:
        check(self)
        if self.shrink != "nothing" and self.bitrate != "auto":
            raise ConfigurationError(
                f"with bitrate {self.bitrate} nothing shrinks: leave shrink out, or take bitrate auto", option="shrink"
            )


DEFAULTS = SinkOptions()

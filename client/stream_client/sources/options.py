"""How sources are opened, as a value."""

from dataclasses import dataclass, field
from typing import Literal

from stream_client.util.decoder import Decoder
from stream_client.util.settings import check, setting

RtspTransport = Literal["tcp", "udp"]
RTSP_INSECURE = setting(
    "take any certificate of an RTSP, RTMP or WebRTC server, and send passwords unencrypted by RTSP and HTTP if asked"
)
"""Of sources and of outputs."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Options of the several kinds of sources; each takes its own. ``source_timeout`` is in seconds."""

    realtime: bool = field(default=False, metadata=setting("pace a file like a live source"))
    loop: bool = field(default=False, metadata=setting("repeat a file for ever"))
    camera_width: int | None = field(
        default=None, metadata=setting("width to ask the camera for; with camera_height", unit="px", above=0)
    )
    camera_height: int | None = field(
        default=None, metadata=setting("height to ask the camera for; with camera_width", unit="px", above=0)
    )
    camera_fps: float | None = field(default=None, metadata=setting("frames a second to ask the camera for", above=0))
    rtsp_transport: RtspTransport = field(default="tcp", metadata=setting("how RTSP carries video"))
    square_pixels: bool = field(
        default=False, metadata=setting("make square pixels of wide or narrow ones, by changing the frame's width")
    )
    tone_map: bool = field(default=False, metadata=setting("make SDR (BT.709) of HDR video (PQ, HLG)"))
    decoder: Decoder = field(
        default="software",
        metadata=setting("what decodes files and network streams; auto: hardware where there is some"),
    )
    rtsp_insecure: bool = field(default=False, metadata=RTSP_INSECURE)
    source_timeout: float = field(
        default=10.0, metadata=setting("how long to wait for a live source", unit="s", above=0)
    )

    def __post_init__(self) -> None:
        check(self)


DEFAULTS = SourceOptions()

"""Which files the application reads: videos in one file, that name no others."""

from pathlib import Path

import av
import av.error

from stream_client.errors import SourceCodecError
from stream_client.util.container import video_of

_FORMATS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,mxf,nut,ivf,obu,h264,hevc,m4v,mjpeg,gif,dv,wtv"
"""FFmpeg's demuxers. Playlists and descriptions (HLS, DASH, concat, SDP) are left out: they name other files and
addresses, which a server must not read for a user.
"""


def check_video(path: Path, name: str) -> None:
    """Raise :class:`.SourceCodecError` for a file that is no video, or one that names others. ``name`` is shown."""
    refusal = f"{name} is not a video file: MP4, MOV, MKV, WebM, AVI, TS and the like can be read"
    try:
        # With "file:" FFmpeg takes no part of the name for a protocol.
        options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
        with av.open(f"file:{path}", options=options) as container:
            if video_of(container) is None:
                raise SourceCodecError(f"{name} has no video in it", option="input_stream")
    except (av.error.FFmpegError, OSError):
        raise SourceCodecError(refusal, option="input_stream") from None

"""The browser's encoded frames, decoded."""

import av
import av.error

from kserve_wire.pictures.jpeg import decode_image
from stream_client.frames import Image
from stream_client.util.media import RgbImages
from stream_client.web.live.messages import JPEG, KEY, SentFrame

MAX_PIXELS = 3840 * 2160
"""Of a frame, looked at before it is decoded."""


class FrameDecoder:
    """JPEG and H.264, as they come. For one thread at a time."""

    def __init__(self) -> None:
        self._decoder: av.VideoCodecContext | None = None
        self._images = RgbImages()
        self._last = 0

    def decode(self, frame: SentFrame) -> Image | None:
        """RGB uint8 [height, width, 3]; ``None``: the frame needs one that is not here, so a key frame has to come.

        Raises ``ValueError`` for what is no image.
        """
        if frame.kind == JPEG:
            return decode_image(frame.data, MAX_PIXELS)
        if frame.kind == KEY:
            self._decoder = _decoder()
        elif frame.number != self._last + 1:
            self._decoder = None  # the frame before is lost, and FFmpeg would conceal that
        self._last = frame.number
        if self._decoder is None:
            return None
        try:
            decoded = self._decoder.decode(av.Packet(bytes(frame.data)))
        except (av.error.FFmpegError, ValueError):
            self._decoder = None
            return None
        if len(decoded) != 1:
            self._decoder = None
            return None
        image = self._images(decoded[0])
        if image is None:
            raise ValueError(self._images.last_error or "the frame cannot be converted")
        return image

    def close(self) -> None:
        """Free FFmpeg's decoder and its threads, whoever keeps this object; the next frame has to be a key frame."""
        self._decoder, self._images = None, RgbImages()


def _decoder() -> av.VideoCodecContext:
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_type = "SLICE"  # frame threads would hold back a frame a thread
    decoder.flags |= av.codec.context.Flags.low_delay
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    return decoder

"""Real-time video analysis against OpenVINO Model Server."""

from stream_client.compat import CompatibleStreamClient as StreamClient
from stream_client.embedded import EmbeddedOptions
from stream_client.errors import StreamClientError
from stream_client.frames import Frame, Label, Result, StreamInfo, Tensor
from stream_client.landmarks import Landmarks
from stream_client.options import RunOptions
from stream_client.summary import Summary
from stream_client.transport.session import TransportOptions

__all__ = [
    "EmbeddedOptions",
    "Frame",
    "Label",
    "Landmarks",
    "Result",
    "RunOptions",
    "StreamClient",
    "StreamClientError",
    "StreamInfo",
    "Summary",
    "Tensor",
    "TransportOptions",
]

"""Real-time video analysis against OpenVINO Model Server."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream_client.compat.ovms_demo import CompatibleStreamClient as StreamClient
    from stream_client.embedded import EmbeddedOptions
    from stream_client.errors import StreamClientError
    from stream_client.frames import Frame, Label, Landmarks, Result, StreamInfo, Tensor
    from stream_client.monitoring.summary import Summary
    from stream_client.options import RunOptions
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

_MODULES = {
    "EmbeddedOptions": "embedded",
    "RunOptions": "options",
    "StreamClient": "compat.ovms_demo",
    "StreamClientError": "errors",
    "Summary": "monitoring.summary",
    "TransportOptions": "transport.session",
}


def __getattr__(name: str) -> Any:
    """Import at first use (PEP 562): the command line has to see to Ctrl-C before gRPC and FFmpeg are loaded."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES.get(name, 'frames')}")
    return getattr(module, "CompatibleStreamClient" if name == "StreamClient" else name)

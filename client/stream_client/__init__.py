"""Real-time video analysis against OpenVINO Model Server.

:class:`StreamClient` is the way in. The rest of this module is what its arguments are made of, what it gives, and every
error that it raises. Fakes for tests are in :mod:`stream_client.testing`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import version

    from stream_client.aio import AsyncStreamClient
    from stream_client.client import StreamClient, TransportLike
    from stream_client.embedded import EmbeddedOptions, EmbeddedServer
    from stream_client.errors import (
        BadInputError,
        ConfigurationError,
        ConnectError,
        ConnectionLostError,
        DeadlineError,
        LedgerError,
        MessageRefusedError,
        MetricsError,
        MisplacedError,
        OutputRefusedError,
        PredictionError,
        ProtocolError,
        RtmpError,
        RtspClearTextError,
        RtspError,
        ServerError,
        ServerStartError,
        SinkError,
        SourceAuthenticationError,
        SourceCodecError,
        SourceError,
        SourceNotFoundError,
        SourceOverError,
        SourceTimeoutError,
        SourceTlsError,
        StreamClientError,
        TooManyError,
        TransportError,
        UndefinedError,
        UnknownServableError,
    )
    from stream_client.frames import (
        Color,
        Detections,
        Frame,
        Image,
        Label,
        Landmarks,
        Masks,
        Person,
        Result,
        Stamps,
        StreamInfo,
        Tensor,
    )
    from stream_client.landmark_finder import LandmarkFinder
    from stream_client.monitoring.connections import ConnectionSummary, Reconnecting
    from stream_client.monitoring.ledger import LedgerSnapshot
    from stream_client.monitoring.observer import ConnectionState, FlowSnapshot, Observer
    from stream_client.monitoring.summary import Summary
    from stream_client.options import DropPolicy, RunOptions, ServerLossPolicy
    from stream_client.pipeline.shared_servers import SharedServers
    from stream_client.processing.options import PrivacyOptions
    from stream_client.processing.results import Detector, LandmarkClassifier, Postprocess
    from stream_client.publishing.options import SinkOptions
    from stream_client.replicas.snapshot import ReplicaSnapshot
    from stream_client.sinks.base import CountsKept, LandmarksUser, Sink
    from stream_client.sinks.factory import SinkLike, open_sink
    from stream_client.sinks.label_changes import LabelChangesSink
    from stream_client.sinks.labels import LabelsSink
    from stream_client.sinks.landmarks import LandmarksSink
    from stream_client.sources.arrays import ArraySource
    from stream_client.sources.base import CountsUnreadable, Source
    from stream_client.sources.factory import SourceLike, open_source
    from stream_client.sources.options import SourceOptions
    from stream_client.tracing.options import TracingOptions
    from stream_client.transport.base import Answer, Closed, Failure, Listener, Placed, Request, Transport
    from stream_client.transport.function import ModelFunction, Outputs
    from stream_client.transport.image_format import ImageFormat
    from stream_client.transport.options import TlsOptions, TransportOptions
    from stream_client.transport.servable import Servable, TensorSpec
    from stream_client.transport.session import Session
    from stream_client.util.events import Unsubscribe

    __version__ = version("ovms-stream-client")

__all__ = [
    "Answer",
    "ArraySource",
    "AsyncStreamClient",
    "BadInputError",
    "Closed",
    "Color",
    "ConfigurationError",
    "ConnectError",
    "ConnectionLostError",
    "ConnectionState",
    "ConnectionSummary",
    "CountsKept",
    "CountsUnreadable",
    "DeadlineError",
    "Detections",
    "Detector",
    "DropPolicy",
    "EmbeddedOptions",
    "EmbeddedServer",
    "Failure",
    "FlowSnapshot",
    "Frame",
    "Image",
    "ImageFormat",
    "Label",
    "LabelChangesSink",
    "LabelsSink",
    "LandmarkClassifier",
    "LandmarkFinder",
    "Landmarks",
    "LandmarksSink",
    "LandmarksUser",
    "LedgerError",
    "LedgerSnapshot",
    "Listener",
    "Masks",
    "MessageRefusedError",
    "MetricsError",
    "MisplacedError",
    "ModelFunction",
    "Observer",
    "OutputRefusedError",
    "Outputs",
    "Person",
    "Placed",
    "Postprocess",
    "PredictionError",
    "PrivacyOptions",
    "ProtocolError",
    "Reconnecting",
    "ReplicaSnapshot",
    "Request",
    "Result",
    "RtmpError",
    "RtspClearTextError",
    "RtspError",
    "RunOptions",
    "Servable",
    "ServerError",
    "ServerLossPolicy",
    "ServerStartError",
    "Session",
    "SharedServers",
    "Sink",
    "SinkError",
    "SinkLike",
    "SinkOptions",
    "Source",
    "SourceAuthenticationError",
    "SourceCodecError",
    "SourceError",
    "SourceLike",
    "SourceNotFoundError",
    "SourceOptions",
    "SourceOverError",
    "SourceTimeoutError",
    "SourceTlsError",
    "Stamps",
    "StreamClient",
    "StreamClientError",
    "StreamInfo",
    "Summary",
    "Tensor",
    "TensorSpec",
    "TlsOptions",
    "TooManyError",
    "TracingOptions",
    "Transport",
    "TransportError",
    "TransportLike",
    "TransportOptions",
    "UndefinedError",
    "UnknownServableError",
    "Unsubscribe",
    "__version__",
    "open_sink",
    "open_source",
]

_MODULES = (
    "errors",
    "options",
    "processing.options",
    "tracing.options",
    "embedded",
    "util.events",
    "frames",
    "monitoring.connections",
    "monitoring.ledger",
    "replicas.snapshot",
    "monitoring.observer",
    "sinks.base",
    "sources.arrays",
    "sources.base",
    "transport.base",
    "transport.options",
    "publishing.options",
    "sources.options",
    "transport.function",
    "transport.image_format",
    "transport.servable",
    "transport.session",
    "monitoring.summary",
    "processing.results",
    "sinks.label_changes",
    "sinks.labels",
    "sinks.landmarks",
    "pipeline.shared_servers",
    "sinks.factory",
    "sources.factory",
    "client",
    "landmark_finder",
    "aio",
)
"""Where the names are; what loads fast comes first."""


if not TYPE_CHECKING:  # a type checker would take any name for one of this module

    def __getattr__(name):
        """Import at first use (PEP 562): the command line handles Ctrl-C before gRPC and FFmpeg are loaded."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name == "__version__":
            from importlib.metadata import version

            return version("ovms-stream-client")
        from importlib import import_module

        modules = (import_module(f"{__name__}.{module}") for module in _MODULES)
        globals()[name] = value = next(getattr(module, name) for module in modules if hasattr(module, name))
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

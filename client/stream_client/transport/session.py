"""From options to a transport and a description of what it talks to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kserve_wire.shared_memory import EXTENSION
from stream_client.errors import StreamClientError
from stream_client.transport.base import Transport
from stream_client.transport.channel import ChannelOptions, Connection, TlsOptions
from stream_client.transport.codec import Parameter
from stream_client.transport.image_format import ImageFormat, Layout, image_format
from stream_client.transport.servable import KNOWN_GRAPHS, ControlPlane, Servable, TensorSpec
from stream_client.transport.shared_memory import can_share
from stream_client.transport.streaming import StreamingTransport
from stream_client.transport.unary import UnaryTransport

Api = Literal["stream", "unary"]


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """How to reach a servable. Time-outs are in seconds; ``None`` is found out from the server.

    Without ``model_name``, the graphs of :data:`KNOWN_GRAPHS` are looked for; unary calls prefer
    ``holisticTracking``, since OVMS fails a unary call when a label has no packet. Frames go through shared memory
    where ``shared_memory`` allows it, the server is on this machine and announces Triton's extension for it.
    """

    address: str
    api: Api = "stream"
    model_name: str | None = None
    input_name: str | None = None
    input_layout: Layout | None = None
    input_dtype: str | None = None
    tls: TlsOptions | None = None
    connect_timeout: float = 5.0
    request_timeout: float = 10.0
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    shared_memory: bool = True

    @property
    def channel(self) -> ChannelOptions:
        """The channel's part."""
        return ChannelOptions(self.address, self.tls, self.connect_timeout)


@dataclass(frozen=True, slots=True)
class Session:
    """A transport that is not open yet, what it talks to, and how pictures are sent."""

    transport: Transport
    servable: Servable
    image_format: ImageFormat


def own_session(transport: Transport, name: str) -> Session:
    """A session for a transport that is not to a server: ``image`` takes frames as they are, outputs are not known."""
    frame = TensorSpec("image", "UINT8", (-1, -1, 3))
    return Session(transport, Servable(name, "", (frame,), ()), ImageFormat(frame.name))


def connect(options: TransportOptions, servables: Sequence[str] = ()) -> Session:
    """Ask the server what it serves and choose the transport; ``servables``, where known, are told in errors.

    Raises :class:`~stream_client.errors.ConnectError`, :class:`~stream_client.errors.UnknownServableError`,
    :class:`~stream_client.errors.BadInputError`.
    """
    connection = Connection(options.channel)
    try:
        control = ControlPlane(connection.open(), options.address, servables)
        if options.model_name is not None:
            servable = control.servable(options.model_name)
        else:
            known = KNOWN_GRAPHS if options.api == "stream" else tuple(reversed(KNOWN_GRAPHS))
            servable = control.first_servable(known)
        outputs = tuple(spec.name for spec in servable.outputs)
        shared = outputs if options.shared_memory and _takes_shared_memory(control, options.address) else ()
    finally:
        connection.close()
    picture = image_format(
        servable, input_name=options.input_name, layout=options.input_layout, datatype=options.input_dtype
    )
    transport: Transport
    if options.api == "stream":
        transport = StreamingTransport(options.channel, servable.name, options.parameters, shared_outputs=shared)
    else:
        transport = UnaryTransport(
            options.channel,
            servable.name,
            options.parameters,
            request_timeout=options.request_timeout,
            shared_outputs=shared,
        )
    return Session(transport, servable, picture)


def _takes_shared_memory(control: ControlPlane, address: str) -> bool:
    if not can_share(address):
        return False
    try:
        return EXTENSION in control.server_info().extensions
    except StreamClientError:  # KServe v2 asks for server metadata; some servers have none
        return False

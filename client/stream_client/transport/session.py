"""Makes a transport from options, with a description of its servable."""

from collections.abc import Sequence
from dataclasses import dataclass

from kserve_wire.encoded import ENCODED_FRAME
from kserve_wire.pictures import ROW_ALIGNMENT
from kserve_wire.shared_memory import EXTENSION
from stream_client.errors import ConfigurationError, StreamClientError
from stream_client.transport.base import Transport
from stream_client.transport.channels import OWN_CHANNELS, Channels
from stream_client.transport.connection import Connection, Opening
from stream_client.transport.image_format import ImageFormat, image_format, plane_format
from stream_client.transport.key_frames import KeyFrames, KeyFrameTransport
from stream_client.transport.line import UNKNOWN_LINE, LineSample, resolve, sample
from stream_client.transport.options import ENCODED_WIRES, PLANE_WIRES, TransportOptions
from stream_client.transport.servable import (
    DATA_GRAPH,
    ENCODED_DATA_GRAPH,
    ENCODED_GRAPH,
    KNOWN_GRAPHS,
    ControlPlane,
    Servable,
    TensorSpec,
)
from stream_client.transport.slots import can_share
from stream_client.transport.streaming import StreamingTransport
from stream_client.transport.unary import UnaryTransport


@dataclass(frozen=True, slots=True)
class Session:
    """A transport that is not open yet, its servable, and how frames are sent."""

    transport: Transport
    servable: Servable
    image_format: ImageFormat
    line: LineSample = UNKNOWN_LINE
    """The line to the server before the first frame."""
    streams: bool = False
    """Whether its frames go through one call, so that they may be made from each other."""


def own_session(transport: Transport, name: str) -> Session:
    """A session for a transport without a server: the input ``image`` takes frames as they are, and outputs are
    unknown.
    """
    frame = TensorSpec("image", "UINT8", (-1, -1, 3))
    return Session(transport, Servable(name, "", (frame,), ()), ImageFormat(frame.name))


def connect(
    options: TransportOptions,
    servables: Sequence[str] = (),
    key_frames: KeyFrames | None = None,
    channels: Channels = OWN_CHANNELS,
    opening: Opening | None = None,
) -> Session:
    """Ask the server what it serves and choose the transport; ``servables``, where known, are listed in errors.

    Sessions with the same ``key_frames`` may take each other's place. Their channel is one of ``channels``.
    ``opening`` may end the wait for the server.

    Raises :class:`~stream_client.errors.ConnectError`, :class:`~stream_client.errors.UnknownServableError`,
    :class:`~stream_client.errors.BadInputError`.
    """
    connection = Connection(options, channels)
    if opening is not None:
        opening.begin(connection)
    try:
        channel = connection.open()
        control = ControlPlane(channel, options.address, servables)
        servable = _servable(control, options)
        outputs = tuple(spec.name for spec in servable.outputs)
        shared = outputs if options.shared_memory and _takes_shared_memory(control, options.address) else ()
        line = sample(channel, resolve(options.address), options.connect_timeout)
    finally:
        connection.close()
    image = _image_format(servable, options)
    made: type[StreamingTransport] | type[UnaryTransport]
    made = StreamingTransport if options.api == "stream" else UnaryTransport
    transport: Transport = made(
        options, servable.name, options.sent_parameters, shared_outputs=shared, channels=channels
    )
    if servable.takes_encoded and options.api == "stream":
        transport = KeyFrameTransport(transport, key_frames or KeyFrames())
    return Session(transport, servable, image, line, options.api == "stream")


def _servable(control: ControlPlane, options: TransportOptions) -> Servable:
    if options.model_name is not None:
        return control.servable(options.model_name)
    encoded = ENCODED_GRAPH if options.returned == "picture" else ENCODED_DATA_GRAPH
    if options.wire in ENCODED_WIRES or (options.wire == "auto" and control.has(encoded)):
        return control.servable(encoded)
    if options.returned != "picture":
        return control.servable(DATA_GRAPH)
    return control.first_servable(KNOWN_GRAPHS if options.api == "stream" else tuple(reversed(KNOWN_GRAPHS)))


def _image_format(servable: Servable, options: TransportOptions) -> ImageFormat:
    if options.wire != "auto" and servable.takes_encoded != (options.wire in ENCODED_WIRES):
        takes, wire = ("only encoded", "jpeg") if servable.takes_encoded else ("no encoded", "raw")
        raise ConfigurationError(f"{servable.name!r} takes {takes} frames", option="wire", value=wire)
    if servable.takes_encoded:
        return ImageFormat(ENCODED_FRAME, datatype="BYTES", alignment=ROW_ALIGNMENT, quality=options.jpeg_quality)
    datatype = None if options.input_dtype is None else options.input_dtype.upper()
    if (planes := PLANE_WIRES.get(options.wire)) is not None:
        return plane_format(servable, planes, input_name=options.input_name)
    return image_format(servable, input_name=options.input_name, layout=options.input_layout, datatype=datatype)


def _takes_shared_memory(control: ControlPlane, address: str) -> bool:
    if not can_share(address):
        return False
    try:
        return EXTENSION in control.server_info().extensions
    except StreamClientError:  # KServe v2 asks for server metadata; some servers have none
        return False

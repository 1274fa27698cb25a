"""How a servable is reached, as values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stream_client.errors import ConfigurationError
from stream_client.transport.addresses import DNS, EMBEDDED, check_address, listed
from stream_client.util.settings import check, setting

if TYPE_CHECKING:
    from stream_client.frames import PlaneFormat  # brings NumPy, which takes long to load

Api = Literal["stream", "unary"]
Layout = Literal["hwc", "nhwc", "nchw"]
Wire = Literal["raw", "nv12", "i420", "jpeg", "h264", "auto"]
PLANE_WIRES: "dict[Wire, PlaneFormat]" = {"nv12": "nv12", "i420": "i420"}
ENCODED_WIRES: tuple[Wire, ...] = ("jpeg", "h264")
Returned = Literal["picture", "labels,landmarks"]
Parameter = bool | int | str
"""What KServe v2 takes as the value of a request's parameter."""
_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """TLS. ``ca`` verifies the server; ``certificate`` and ``key`` are ours. All are PEM files.

    ``server_name``: what the server's certificate is for, where that is not the host of its address.
    """

    ca: Path | None = field(
        default=None,
        metadata=setting("PEM file with the authorities to trust", name="tls_ca", otherwise="the system's"),
    )
    certificate: Path | None = field(
        default=None, metadata=setting("PEM file with the client's certificate", name="tls_cert")
    )
    key: Path | None = field(default=None, metadata=setting("PEM file with the client's key", name="tls_key"))
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            missing = "tls_cert" if self.certificate is None else "tls_key"
            raise ConfigurationError("a certificate and its key go together", option=missing)


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """How to reach a servable. Timeouts are in seconds. ``None``: the client asks the server.

    ``address`` is ``host:port``, ``unix:path`` or ``"embedded"``. Replicas, servers with the same servables, are
    ``a:9000,b:9000``, or ``dns:///name:9000`` for every address of a name. Without ``model_name``, the client looks
    for the usual graphs; unary calls prefer ``holisticTracking``, since OVMS fails a unary call when a label has no
    packet. Frames go through shared memory where ``shared_memory`` allows it, the server is on this machine and
    announces Triton's extension for it. ``wire`` is how frames travel. Encoded ones need a graph that takes them, by
    default ``holisticEncoded``; its pictures come back as JPEG. ``h264`` passes the source's own access units on.
    ``nv12`` and ``i420`` are for models and graphs that take planes.
    ``returned`` chooses the graph where none is named: with pictures, or with data alone. ``parameters`` are sent with
    requests: OVMS turns them into input side packets. ``side_packets`` are such parameters as texts, ``"name=value"``.
    """

    address: str = field(
        default=EMBEDDED,
        metadata=setting(
            "host:port or unix:path of OVMS or another KServe v2 server; a:9000,b:9000 or dns:///name:9000: replicas; "
            "embedded: a local graph server",
            name="grpc_address",
            metavar="ADDRESS",
        ),
    )
    api: Api = field(default="stream", metadata=setting("ModelStreamInfer or ModelInfer"))
    model_name: str | None = field(
        default=None,
        metadata=setting("graph or model", otherwise="holisticClassifier or holisticTracking, what is there"),
    )
    input_name: str | None = field(default=None, metadata=setting("its image input", otherwise="found out"))
    input_layout: Layout | None = field(default=None, metadata=setting("how it takes frames", otherwise="found out"))
    input_dtype: str | None = field(
        default=None, metadata=setting("KServe datatype of its input, as FP32", otherwise="found out", metavar="TYPE")
    )
    wire: Wire = field(
        default="raw",
        metadata=setting(
            "how frames go to the server: pixels, NV12 or I420 for a model that takes it, JPEG, or the H.264 that the "
            "source has; auto: what the graph takes, and H.264 where the source has it"
        ),
    )
    jpeg_quality: int = field(
        default=90, metadata=setting("of frames that go as JPEG, 95 is best", minimum=1, maximum=95)
    )
    returned: Returned = field(
        default="picture",
        metadata=setting(
            "what comes back: picture, with landmarks drawn; labels,landmarks: only these, to draw here",
            name="return",
            metavar="WHAT",
        ),
    )
    tls: TlsOptions | None = None
    connect_timeout: float = field(default=5.0, metadata=setting("how long to wait for the server", unit="s", above=0))
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    side_packets: tuple[str, ...] = field(
        default=(),
        metadata=setting(
            "a setting that the graph takes as an input side packet: true, false, a whole number or a text",
            name="side_packet",
            metavar="NAME=VALUE",
        ),
    )
    shared_memory: bool = field(
        default=True,
        metadata=setting(
            "use shared memory with a server on this machine that offers it",
            off="send frames through gRPC also to a server on this machine that offers shared memory",
        ),
    )

    def __post_init__(self) -> None:
        check(self)
        if self.wire == "h264" and self.api == "unary":
            raise ConfigurationError("frames of H.264 need a session", option="api", value="stream")
        if self.address != EMBEDDED:
            check_address(self.address)
        elif self.tls is not None:
            raise ConfigurationError("the embedded server is on loopback and has no TLS: leave it out", option="tls")
        _ = self.sent_parameters

    @property
    def sent_parameters(self) -> Mapping[str, Parameter]:
        """``parameters`` and ``side_packets`` together."""
        found = dict(self.parameters)
        for text in self.side_packets:
            named = _NAMED.fullmatch(text)
            if named is None or named[1] in found:
                what = "is named twice" if named else "is no NAME=VALUE"
                raise ConfigurationError(f"{text[:100]!r} {what}", option="side_packet", value="confidence=0.5")
            found[named[1]] = _value(named[2])
        return found

    def singly(self) -> "tuple[TransportOptions, ...]":
        """The options for each server of a list alone. A name of DNS stands for one."""
        addresses = (address.removeprefix(DNS) for address in listed(self.address))
        return tuple(replace(self, address=address) for address in addresses)


def _value(text: str) -> Parameter:
    """OVMS has no numbers with a point among its side packets: they stay texts."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text

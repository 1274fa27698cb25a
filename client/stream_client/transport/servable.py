"""The control plane: what a server serves, and whether it is ready."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from kserve_wire.encoded import ENCODED_FRAME
from kserve_wire.messages import (
    ModelMetadataRequest,
    ModelMetadataResponse,
    ServerLiveRequest,
    ServerLiveResponse,
    ServerMetadataRequest,
    ServerMetadataResponse,
    ServerReadyRequest,
    ServerReadyResponse,
)
from kserve_wire.names import method_path
from stream_client.errors import ProtocolError, ServerError, StreamClientError, UnknownServableError
from stream_client.plain_text import quoted
from stream_client.transport.datatypes import MAX_DIMENSIONS
from stream_client.transport.ovms_versions import Release, capabilities, release_of
from stream_client.transport.status import error_of_status

_TIMEOUT = 10.0
MAX_ANSWER_BYTES = 4 << 20
"""Of a call of the control plane. The metadata of a servable has some kilobytes."""
_Response = TypeVar("_Response", bound=Message)
COORDINATES = "coordinates"
"""A graph's second input: an image of coordinates, which shows where its crops are. See ``landmarks.decoder``."""
FRAME_TIMESTAMP = "frame_timestamp"
"""A graph's second input: INT64 [1], the frame's timestamp in µs. OVMS does not pass a packet's timestamp to Python
nodes.
"""
PERSONS = "person_landmarks"
"""A graph's output: the landmarks of several persons. See ``landmarks.persons``."""
LANDMARK_GRAPH = "holisticLandmarks"
"""The default graph for landmarks."""
POSE_GRAPH = "holisticPose"
"""The graph for the landmarks of the pose alone."""
PERSON_GRAPH = "holisticPersons"
"""The graph for several persons."""
ENCODED_GRAPH, ENCODED_DATA_GRAPH, DATA_GRAPH = "holisticEncoded", "holisticEncodedData", "holisticData"
"""The graphs for encoded frames, for encoded frames where only data comes back, and for raw frames where it does."""
HOLISTIC_INPUT = "first_input_video"
"""What MediaPipe's holistic graphs, and ours, call the frame."""
KNOWN_GRAPHS = ("holisticClassifier", "holisticTracking")
"""The graphs to look for when none is named: ours, and that of OVMS's demo."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor of a servable; ``shape`` has -1 for free dimensions and is empty for a graph's streams."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Servable:
    """A model or graph, as its server describes it."""

    name: str
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def gives_landmarks(self) -> bool:
        """Whether this graph takes the image of coordinates and gives landmarks."""
        return self.is_graph and any(spec.name == COORDINATES for spec in self.inputs)

    @property
    def gives_persons(self) -> bool:
        """Whether this graph gives the landmarks of several persons."""
        return self.is_graph and any(spec.name == PERSONS for spec in self.outputs)

    @property
    def takes_encoded(self) -> bool:
        """Whether this graph takes encoded frames."""
        return self.is_graph and any(spec.name == ENCODED_FRAME for spec in self.inputs)

    @property
    def takes_rgb(self) -> bool:
        """Whether this is a holistic graph, whose frames are RGB. Others may take what they like."""
        return self.is_graph and any(spec.name == HOLISTIC_INPUT for spec in self.inputs)

    @property
    def takes_timestamps(self) -> bool:
        """Whether this graph wants each frame's timestamp as an input."""
        return self.is_graph and any(spec.name == FRAME_TIMESTAMP for spec in self.inputs)

    @property
    def frame_inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs that may take frames, without those that accompany a frame."""
        beside = (COORDINATES, FRAME_TIMESTAMP) if self.is_graph else ()
        return tuple(spec for spec in self.inputs if spec.name not in beside)

    @property
    def is_graph(self) -> bool:
        """Whether this is a MediaPipe graph of OVMS: names only, datatype ``INVALID``."""
        return self.platform == "OpenVINO" and all(
            spec.datatype in ("INVALID", "") and not spec.shape for spec in (*self.inputs, *self.outputs)
        )


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server's name, version and the protocol extensions it announces."""

    name: str
    version: str
    extensions: tuple[str, ...]

    @property
    def release(self) -> Release | None:
        """The release of OVMS, ``None`` for other servers."""
        return release_of(self.name, self.version)


class ControlPlane:
    """Calls of the control plane over an open channel. Each raises :class:`StreamClientError` on failure.

    ``servables`` are the server's, where they are known: KServe v2 over gRPC has no list.
    """

    def __init__(self, channel: grpc.Channel, address: str, servables: Sequence[str] = ()) -> None:
        self._channel = channel
        self._address = address
        self._servables = servables

    def server_live(self) -> bool:
        """Whether the server reports that it is live."""
        return self._call("ServerLive", ServerLiveRequest(), ServerLiveResponse).live

    def server_ready(self) -> bool:
        """Whether the server reports that it is ready."""
        return self._call("ServerReady", ServerReadyRequest(), ServerReadyResponse).ready

    def server_info(self) -> ServerInfo:
        """The server's own metadata."""
        answer = self._call("ServerMetadata", ServerMetadataRequest(), ServerMetadataResponse)
        return ServerInfo(answer.name, answer.version, tuple(answer.extensions))

    def servable(self, name: str) -> Servable:
        """The metadata of ``name``; raises :class:`UnknownServableError`, listing what is known to be there."""
        try:
            return self._servable(name)
        except UnknownServableError as error:
            text, option = f"has no model or graph named {name!r}; {self._hint()}", "model_name"
            if name in self._servables:
                text, option = f"could not load {name!r}: its log says why", "verbose"
            raise UnknownServableError(f"{self._address} {text}", option=option, code=error.code) from error

    def first_servable(self, names: tuple[str, ...]) -> Servable:
        """The first of ``names`` that the server has; raises :class:`UnknownServableError`."""
        for name in names:
            try:
                return self._servable(name)
            except UnknownServableError:
                continue
        hint = f"{self._hint()}: name one" if self._servables else "name what it serves"
        raise UnknownServableError(f"{self._address} has none of {', '.join(names)}; {hint}", option="model_name")

    def _hint(self) -> str:
        if self._servables:
            return f"it serves {', '.join(self._servables)}"
        usual = [graph for graph in (*KNOWN_GRAPHS, LANDMARK_GRAPH) if self.has(graph)]
        if usual:
            return f"of the usual graphs it serves {', '.join(usual)}"
        return f"none of the usual graphs is there either{self._no_calculators()}"

    def _no_calculators(self) -> str:
        """Why a release of OVMS can have none of the usual graphs, if that is so."""
        try:
            release = self.server_info().release
        except StreamClientError:
            return ""
        if release is None or capabilities(release).holistic_calculators:
            return ""
        return f": OVMS {release[0]}.{release[1]} lacks their calculators; serve graphs/holistic_python in it"

    def has(self, name: str) -> bool:
        """Whether the server describes a servable of that name."""
        try:
            self._servable(name)
        except StreamClientError:
            return False
        return True

    def _servable(self, name: str) -> Servable:
        answer = self._call("ModelMetadata", ModelMetadataRequest(name=name), ModelMetadataResponse)
        for spec in (*answer.inputs, *answer.outputs):
            if len(spec.shape) > MAX_DIMENSIONS:
                raise ProtocolError(
                    f"{self._address} describes tensor {spec.name!r} of {name!r} with {len(spec.shape)} dimensions: "
                    f"{MAX_DIMENSIONS} at most"
                )
        inputs, outputs = (
            tuple(TensorSpec(spec.name, spec.datatype, tuple(spec.shape)) for spec in specs)
            for specs in (answer.inputs, answer.outputs)
        )
        return Servable(name=name, platform=answer.platform, inputs=inputs, outputs=outputs)

    def _call(self, method: str, request: Message, response: type[_Response]) -> _Response:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(method_path(method))
        try:
            answer = call(request.SerializeToString(), timeout=_TIMEOUT)
        except grpc.RpcError as error:
            code, details = error.code(), error.details() or ""  # type: ignore[attr-defined,unused-ignore]
            if code is grpc.StatusCode.UNIMPLEMENTED:
                raise ServerError(
                    f"{self._address} does not offer KServe v2's {method}: is it a KServe v2 server?",
                    option="grpc_address",
                    code=code.name,
                ) from error
            if method == "ModelMetadata" and _says_not_found(code, details):
                raise UnknownServableError(details, code=code.name) from error
            if code is grpc.StatusCode.UNAVAILABLE and "not loaded" in details:
                raise ServerError(
                    f"{self._address} says: {quoted(details)}: is it loading still, or does its log tell a fault?",
                    option="verbose",
                    code=code.name,
                ) from error
            raise error_of_status(code, details, self._address) from error
        if len(answer) > MAX_ANSWER_BYTES:
            raise ProtocolError(
                f"{self._address} answers {method} with {len(answer)} bytes: {MAX_ANSWER_BYTES} at most are taken"
            )
        try:
            return response.FromString(answer)
        except DecodeError as error:
            raise ProtocolError(
                f"{self._address} answers {method} with something else than KServe v2: {error}", option="grpc_address"
            ) from error


def _says_not_found(code: grpc.StatusCode, details: str) -> bool:
    """OVMS answers NOT_FOUND. Other servers use another code and say it in the text."""
    return code is grpc.StatusCode.NOT_FOUND or "not found" in details.lower() or "unknown model" in details.lower()

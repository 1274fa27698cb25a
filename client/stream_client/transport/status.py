"""gRPC's statuses as our exceptions."""

import grpc

from stream_client.errors import (
    BadInputError,
    ConnectionLostError,
    DeadlineError,
    ProtocolError,
    ServerError,
    StreamClientError,
    UnknownServableError,
)
from stream_client.plain_text import quoted

_NO_PACKET = "Unknown error during mediapipe execution"
_NOT_STARTED = ("Failed to start mediapipe graph", "Failed to initialize mediapipe graph")
"""With other side packets a graph may start."""


def error_of_status(code: grpc.StatusCode, details: str, address: str) -> StreamClientError:
    """The exception for a status that ended a call or a session."""
    text = quoted(details) or code.name
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.ABORTED):
        return ConnectionLostError(f"the connection to {address} was lost: {text}")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "message larger than max" in text:
        return ProtocolError(f"an answer of {address} is too long: {text}")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineError(f"{address} did not answer in time", option="request_timeout")
    if code is grpc.StatusCode.NOT_FOUND:
        if "graph definition" in text:  # the servable itself was found when its metadata was asked for
            text += "; OVMS streams to graphs only, a single model takes unary calls"
            return UnknownServableError(f"the server says: {text}", option="api", value="unary", code=code.name)
        return UnknownServableError(f"the server says: {text}", option="model_name", code=code.name)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ServerError(
            f"the server does not offer this call ({text}): try the other API", option="api", code=code.name
        )
    if code is grpc.StatusCode.FAILED_PRECONDITION and any(start in text for start in _NOT_STARTED):
        return BadInputError(f"the server says: {text}", option="side_packet", code=code.name)
    return error_of_text(text, code.name)


def error_of_text(text: str, code: str | None = None) -> StreamClientError:
    """The exception for an error text of the server, of a call or inside a stream."""
    text = quoted(text)
    if _NO_PACKET in text:
        return ServerError(
            f"the server says: {text}. OVMS fails a unary call when an output of the graph has no packet, "
            "as label scores have none without a person: stream, or name a graph that gives all its "
            "outputs for every frame",
            option="api",
            value="stream",
            code=code,
        )
    graph_failed = "Mediapipe execution failed. MP status - " in text
    if code in (None, "INVALID_ARGUMENT") and not graph_failed:
        return BadInputError(f"the server refuses the frame: {text}", code=code)
    return ServerError(f"the server says: {text}", code=code)


def no_output(address: str) -> ProtocolError:
    """The error for an answer that has nothing in it."""
    return ProtocolError(f"an answer of {address} has no output")

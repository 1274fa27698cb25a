"""Refusals with OVMS's texts and codes.

A status that OVMS's table does not map becomes UNKNOWN ``Unknown error`` at the end of a call, but keeps its
text inside a stream (src/grpc_utils.cpp, src/status.hpp).
"""

import re

import grpc

from graph_server.errors import GraphError, GraphServerError

_MAX_TEXT = 600
"""Characters. A trailer has up to 12 bytes for each, and gRPC takes 8 KiB."""
_CONTROL = re.compile(
    r"(?<!failed: )(?<!errors: )\n"  # MediaPipe's own line ends stay
    r"|[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
)


class Refusal(GraphServerError):
    """A request that is refused: the text, and the code of a call that ends with it."""

    def __init__(self, text: str, details: str = "", *, code: grpc.StatusCode = grpc.StatusCode.INVALID_ARGUMENT):
        super().__init__(f"{text} - {details}" if details else text)
        self.code = code


class UnmappedRefusal(Refusal):
    """A refusal that no code is mapped to."""

    def __init__(self, text: str, details: str = "") -> None:
        super().__init__(text, details, code=grpc.StatusCode.UNKNOWN)


def final_text(refusal: Refusal) -> str:
    """The text that a call ends with."""
    return "Unknown error" if isinstance(refusal, UnmappedRefusal) else plain(str(refusal))


def plain(text: str) -> str:
    """A text for a client that fits into gRPC's trailers, without control characters of a request."""
    cut = text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"
    return _CONTROL.sub(" ", cut)


def unknown_graph() -> Refusal:
    """No graph of that name."""
    return Refusal("Mediapipe graph definition with requested name is not found", code=grpc.StatusCode.NOT_FOUND)


def not_loaded() -> Refusal:
    """A graph that failed to load."""
    return Refusal("Mediapipe is not loaded yet", code=grpc.StatusCode.UNAVAILABLE)


def unknown_model() -> Refusal:
    """No model of that name."""
    return Refusal("Model with requested name is not found", code=grpc.StatusCode.NOT_FOUND)


def execution_failed(reason: str) -> Refusal:
    """A graph that went into error."""
    return Refusal("Mediapipe execution failed. MP status", reason)


def graph_failed(error: GraphError) -> Refusal:
    """The end of a call after an error in its graph."""
    if error.code == "FAILED_PRECONDITION":
        return UnmappedRefusal("Mediapipe graph precondition failed", f"{error.code}: {error}")
    return execution_failed(f"{error.code}: {error}")


def precondition_failed(text: str, details: str = "") -> Refusal:
    """A graph that could not be started, or that takes no packets."""
    return Refusal(text, details, code=grpc.StatusCode.FAILED_PRECONDITION)


def unknown_version() -> Refusal:
    """A model without that version."""
    return Refusal("Model with requested version is not found", code=grpc.StatusCode.NOT_FOUND)


def version_not_loaded() -> Refusal:
    """A configured model without a version that could be loaded."""
    return Refusal("Model with requested version is not loaded yet", code=grpc.StatusCode.UNAVAILABLE)


def retired() -> Refusal:
    """A model that is no longer in the configuration."""
    return Refusal("Model with requested version is retired", code=grpc.StatusCode.NOT_FOUND)


def retired_graph() -> Refusal:
    """A graph that is no longer in the configuration."""
    return Refusal("Mediapipe is retired", code=grpc.StatusCode.NOT_FOUND)

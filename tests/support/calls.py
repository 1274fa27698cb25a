"""Calls of the KServe v2 service in bytes."""

import grpc

from kserve_wire.names import method_path

STREAM, UNARY = method_path("ModelStreamInfer"), method_path("ModelInfer")


def streaming(channel: grpc.Channel, method: str = STREAM) -> "grpc.StreamStreamMultiCallable[bytes, bytes]":
    """Sessions: an iterator of requests in, an iterator of responses out."""
    return channel.stream_stream(method)


def calling(channel: grpc.Channel, method: str = UNARY) -> "grpc.UnaryUnaryMultiCallable[bytes, bytes]":
    """Unary calls of ``method``, by default inferences."""
    return channel.unary_unary(method)


def refusal(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    """How a call was refused: code and text."""
    return error.code(), error.details() or ""

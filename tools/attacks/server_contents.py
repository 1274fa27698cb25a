"""Contents that a server works on: encoded images, texts, and recorded requests that were changed."""

import struct
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import grpc

from kserve_wire.datatypes import join_elements
from kserve_wire.messages import ModelInferRequest
from kserve_wire.names import method_path
from tests.fuzz.attack import break_off, fuzz_in_parallel
from tests.support.graph_server import CONFORMANCE, write_onnx
from tools.attacks.base import Attack, Figure
from tools.attacks.graph_server import UNLIMITED, attacked_server, call, in_parallel, infer
from tools.attacks.server_requests import INFER, post


def png_of(width: int, height: int, said_height: int | None = None) -> bytes:
    """A gray image without content, of a few kilobytes; it may say another height than it has."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, said_height or height, 8, 0, 0, 0, 0)
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(width + 1)) for _ in range(height)) + rows.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def image_bombs(short: bool) -> Sequence[Figure]:
    """Encoded images of a few kilobytes with very many pixels, to a model that takes images."""
    images = [png_of(4000, 4000), png_of(16_000, 8000), png_of(4000, 100, said_height=60_000)]
    with tempfile.TemporaryDirectory() as folder:
        write_onnx(Path(folder) / "1" / "model.onnx", inputs={"x": (1, 1, 64, 64)})
        model = ("--model_name", "passThrough", "--model_path", folder)
        made = ModelInferRequest(model_name="passThrough")
        made.inputs.add(name="x", datatype="BYTES", shape=[1])
        with attacked_server(servables=model, frames=False) as server:
            for image in images:
                made.raw_input_contents[:] = [join_elements([image])]
                data = made.SerializeToString()
                in_parallel(8 if short else 64, lambda _, data=data: call(server.grpc, data))  # type: ignore[misc]
    # Two requests at a time, each of 16.7 million pixels as bytes, as floats, and once more in a batch.
    return server.figures(2 * (16 + 2 * 64) + 100)


def zipped_bodies(short: bool) -> Sequence[Figure]:
    """Bodies that are compressed. The server does not unpack them."""
    body = zlib.compress(bytes((100 if short else 1000) << 20), 9)
    with attacked_server() as server:
        for encoding in ("gzip", "deflate", "br"):
            post(server.rest, INFER, body, Content_Encoding=encoding)
    return server.figures(200)


def texts(short: bool) -> Sequence[Figure]:
    """Names that come back in errors: very long ones, and with control characters."""
    longest, controls = 0, 0
    names = ["x" * 500_000, "\x00", "\x1b]0;owned\x07", "a\r\nb", "\u202e", "\U0001f600" * 5000]
    with attacked_server() as server, grpc.insecure_channel(server.grpc, UNLIMITED) as channel:
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method_path("ModelInfer"))
        for name in names:
            made = infer(size=300)
            made.inputs[0].name = name
            try:
                method(made.SerializeToString(), timeout=20)
            except grpc.RpcError as error:
                text = error.details() or ""
                longest = max(longest, len(text))
                controls += sum(not character.isprintable() for character in text)
    return [
        *server.figures(100),
        Figure("longest error text", longest, 700, "characters"),
        Figure("control characters in errors", controls, 0, ""),
    ]


def changed_requests(short: bool) -> Sequence[Figure]:
    """Recorded requests, changed at random, and connections that break off."""
    with attacked_server(servables=(*CONFORMANCE,)) as server:
        report = fuzz_in_parallel(server.grpc, 1000 if short else 20_000, 1)
        break_off(server.grpc, 20 if short else 200, 1)
    return [*server.figures(400), Figure("faults", len(report.faults), 0, "")]


ATTACKS = (
    Attack("images of many pixels", "server", image_bombs),
    Attack("compressed bodies", "server", zipped_bodies),
    Attack("texts that come back", "server", texts),
    Attack("changed requests", "server", changed_requests),
)

"""Shared memory of others: their regions, their files, and what is no file."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
from google.protobuf.message import Message

from kserve_wire.messages import (
    ModelInferRequest,
    SystemSharedMemoryRegisterRequest,
    SystemSharedMemoryStatusRequest,
    SystemSharedMemoryStatusResponse,
    SystemSharedMemoryUnregisterRequest,
)
from kserve_wire.names import method_path
from tools.attacks.base import Attack, Figure
from tools.attacks.graph_server import UNLIMITED, attacked_server

FOLDER = Path("/dev/shm")
SIDE = 100
SIZE = SIDE * SIDE * 3


class Client:
    """One connection, with the calls of the extension."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, UNLIMITED)
        self.exceptions = 0
        """Calls that ended in an exception of the server's code."""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(self, method: str, request: Message) -> bytes | None:
        """The answer, ``None`` for a refusal."""
        caller: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(method_path(method))
        try:
            return caller(request.SerializeToString(), timeout=20)
        except grpc.RpcError as error:
            self.exceptions += "Exception" in (error.details() or "")
            return None

    def register(self, name: str, key: str) -> bool:
        """Whether the server opened the file."""
        request = SystemSharedMemoryRegisterRequest(name=name, key=key, byte_size=SIZE)
        return self.call("SystemSharedMemoryRegister", request) is not None

    def infer(self, region: str) -> bytes | None:
        """The pass-through graph's answer for a frame in that region."""
        made = ModelInferRequest(model_name="passThrough")
        made.inputs.add(name="image", datatype="UINT8", shape=[SIDE, SIDE, 3])
        made.inputs[0].parameters["shared_memory_region"].string_param = region
        made.inputs[0].parameters["shared_memory_byte_size"].int64_param = SIZE
        return self.call("ModelInfer", made)

    def regions(self) -> int:
        """How many regions it sees."""
        data = self.call("SystemSharedMemoryStatus", SystemSharedMemoryStatusRequest())
        return len(SystemSharedMemoryStatusResponse.FromString(data or b"").regions)


@contextmanager
def entries() -> Iterator[dict[str, Path]]:
    """What may lie in the folder of shared memory: an own file, and what must not be opened."""
    made = {name: FOLDER / f"attack-{os.getpid()}-{name}" for name in ("own", "fifo", "link", "folder", "foreign")}
    made["own"].write_bytes(bytes(SIZE))
    os.mkfifo(made["fifo"])
    made["link"].symlink_to(made["own"])
    made["folder"].mkdir()
    made["foreign"].write_bytes(bytes(SIZE))
    if os.geteuid() == 0:
        os.chown(made["foreign"], 65534, 65534)
    else:
        made["foreign"].unlink()
    try:
        yield made
    finally:
        for path in made.values():
            path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)


def foreign_files(short: bool) -> Sequence[Figure]:
    """Regions that are a FIFO, a link, a folder, another user's file, or have an odd name."""
    odd = ["/../etc/passwd", "/..", "/", "", "\x00", "/a\x00b", "/" + "a" * 60_000, "//x", "/\x1b]0;x\x07"]
    opened = 0
    with entries() as made, attacked_server() as server, Client(server.grpc) as client:
        for index, key in enumerate([*odd, *(f"/{path.name}" for name, path in made.items() if name != "own")]):
            opened += client.register(f"region {index}", key)
            opened += client.infer(f"region {index}") is not None
        exceptions = client.exceptions
    return [
        *server.figures(100),
        Figure("foreign files opened", opened, 0, ""),
        Figure("exceptions in the server", exceptions, 0, ""),
    ]


def foreign_regions(short: bool) -> Sequence[Figure]:
    """Another connection lists, reads and unregisters regions, and registers as many as it can."""
    with entries() as made, attacked_server() as server, Client(server.grpc) as owner, Client(server.grpc) as thief:
        key = f"/{made['own'].name}"
        owner.register("own", key)
        seen = thief.regions()
        read = thief.infer("own") is not None
        thief.call("SystemSharedMemoryUnregister", SystemSharedMemoryUnregisterRequest(name="own"))
        thief.call("SystemSharedMemoryUnregister", SystemSharedMemoryUnregisterRequest())
        registered = sum(thief.register(f"mine {index}", key) for index in range(300 if short else 3000))
        lost = owner.infer("own") is None
    return [
        *server.figures(100),
        Figure("regions of another connection seen", seen, 0, ""),
        Figure("frames of another connection read", read, 0, ""),
        Figure("frames the owner lost", lost, 0, ""),
        Figure("regions of one user", registered + 1, 256, ""),
    ]


ATTACKS = (
    Attack("files that are not the client's", "server", foreign_files),
    Attack("regions of another connection", "server", foreign_regions),
)

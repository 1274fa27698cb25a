"""A graph server under attack: started here, watched from outside, with an honest client beside the attacker."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import grpc

from kserve_wire.messages import ModelInferRequest
from kserve_wire.names import method_path
from tests.conftest import ROOT
from tests.support.graph_server import ECHO
from tools.attacks.base import Figure
from tools.attacks.memory import resident, sampled

MIB = 1 << 20
HEALTH_SECONDS = 2.0
_STOP_SECONDS = 20.0
UNLIMITED = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]


class AttackedServer:
    """A graph server with REST in a process of its own, and what is seen of it."""

    def __init__(self, process: "subprocess.Popen[str]", ready: dict[str, str]) -> None:
        self._process = process
        self.grpc, self.rest = ready["grpc"], ready["rest"]
        self.pid = process.pid
        self.before = resident(self.pid)
        self.peak = self.before
        self.lost = 0.0
        self.grpc_wait = self.rest_wait = 0.0
        self.ended_by_itself = False

    def figures(self, memory: float) -> list[Figure]:
        """What is measured in every attack. ``memory``: the MiB that it may cost."""
        return [
            Figure("server crashes", float(self.ended_by_itself), 0, ""),
            Figure("server memory", self.peak - self.before, memory, "MiB"),
            Figure("wait for health by gRPC", self.grpc_wait, HEALTH_SECONDS, "s"),
            Figure("wait for health by REST", self.rest_wait, HEALTH_SECONDS, "s"),
            Figure("frames another client lost", self.lost, 0, ""),
        ]

    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None


@contextmanager
def attacked_server(*flags: str, servables: Sequence[str] = ECHO, frames: bool = True) -> Iterator[AttackedServer]:
    """A server, with a bystander until the block ends. It has to end on SIGTERM by itself.

    Without ``frames`` the bystander asks for health only: the server has no graph that gives frames back.
    """
    command = [sys.executable, "-m", "graph_server", "--port", "0", "--rest_port", "0", "--metrics_enable"]
    process = subprocess.Popen(
        [*command, *servables, "--log_level", "ERROR", *flags],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        server = AttackedServer(process, json.loads(process.stdout.readline()))
        with sampled(server), _bystander(server, frames):
            yield server
        server.ended_by_itself = not server.is_running()
        process.terminate()
        process.wait(_STOP_SECONDS)
    finally:
        process.kill()
        process.wait()


def infer(name: str = "passThrough", *, size: int = 0, shape: Sequence[int] = ()) -> ModelInferRequest:
    """A request of ``size`` raw bytes for the pass-through graph."""
    made = ModelInferRequest(model_name=name)
    made.inputs.add(name="image", datatype="UINT8", shape=shape or (1, size // 3, 3))
    made.raw_input_contents.append(bytes(size))
    return made


def call(address: str, data: bytes, compression: grpc.Compression | None = None) -> str:
    """The status of one unary inference over a connection of its own, by name."""
    with grpc.insecure_channel(address, UNLIMITED) as channel:
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method_path("ModelInfer"))
        try:
            method(data, timeout=60, compression=compression)
        except grpc.RpcError as error:
            return str(error.code().name)
        return "OK"


def in_parallel(number: int, work: Callable[[int], object]) -> None:
    """Run it in ``number`` threads at once, with their numbers."""
    threads = [threading.Thread(target=work, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def _bystander(server: AttackedServer, frames: bool) -> Iterator[None]:
    command = [sys.executable, "-m", "tools.attacks.bystander", server.grpc, server.rest, *["frames"] * frames]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            seen = json.loads(process.communicate()[0])
    server.grpc_wait, server.rest_wait = seen["grpc_wait"], seen["rest_wait"]
    server.lost = seen["lost"]

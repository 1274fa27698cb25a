"""Looks after replicas while they are used: asks each whether it is ready, and looks their name up again."""

import socket
import threading
from collections.abc import Sequence

import grpc
from google.protobuf.message import DecodeError

from kserve_wire.messages import ServerReadyResponse
from kserve_wire.names import method_path
from stream_client.errors import ConfigurationError
from stream_client.replicas.pool import Replicas
from stream_client.replicas.replica import Replica
from stream_client.transport.addresses import DNS, MOST_REPLICAS
from stream_client.transport.connection import NO_ANSWER
from stream_client.util.owned_thread import OwnedThread


class Watch:
    """Owns a thread that asks, on connections of its own, and one that looks the name up where there is one."""

    CHECK_SECONDS = 0.5
    CHECK_TIMEOUT = 1.5
    LOOKUP_SECONDS = 5.0

    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas
        self._ended = threading.Event()
        self._threads = [OwnedThread(self._check, "replicas")]
        if replicas.is_looked_up:
            self._threads.append(OwnedThread(self._look_up, "replicas' name"))

    @property
    def replicas(self) -> Replicas:
        """Those that are looked after."""
        return self._replicas

    def start(self) -> None:
        """Begin; no effect when it has begun."""
        if self._threads[0].ident is None:
            for thread in self._threads:
                thread.start()

    def close(self) -> None:
        """End the threads and their connections; safe before :meth:`start`, and twice."""
        self._ended.set()
        for thread in self._threads:
            thread.expect_end()
        for replica in self._replicas.all():
            replica.channel.close()
        for thread in self._threads:
            thread.join()

    def _check(self) -> None:
        while True:
            for replica in self._replicas.all():
                if replica.check is None or replica.check.done():
                    self._ask(replica)
            if self._ended.wait(self.CHECK_SECONDS):
                return

    def _ask(self, replica: Replica) -> None:
        ready: grpc.UnaryUnaryMultiCallable[bytes, bytes] = replica.channel.unary_unary(method_path("ServerReady"))
        try:
            replica.check = ready.future(b"", timeout=self.CHECK_TIMEOUT)
        except ValueError:  # the channel is closed: the replica has left the list
            return
        replica.check.add_done_callback(lambda call: self._answered(replica, call))

    def _answered(self, replica: Replica, call: "grpc.Future[bytes]") -> None:
        """Runs in gRPC's thread."""
        if self._ended.is_set():
            return
        status = call.code()  # type: ignore[attr-defined]
        if status is grpc.StatusCode.OK:
            self._replicas.found(replica, ready=_says_ready(call.result()))
        elif status in NO_ANSWER:
            self._replicas.found_silent(replica)
        else:  # it does not know the call, or has no time for it: any answer is one
            self._replicas.found(replica, ready=True)

    def _look_up(self) -> None:
        host, _, port = self._replicas.options.address.removeprefix(DNS).rpartition(":")
        while not self._ended.is_set():
            try:
                found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
            except OSError as error:  # what was found before may still be right
                self._replicas.set_problem(f"{host} is no name that can be looked up: {error.strerror}")
            else:
                addresses = dict.fromkeys(_written(str(each[4][0]), port) for each in found)
                self._take(list(addresses)[:MOST_REPLICAS])
            self._ended.wait(self.LOOKUP_SECONDS)

    def _take(self, addresses: Sequence[str]) -> None:
        try:
            self._replicas.set_addresses(addresses)
        except ConfigurationError as error:  # files for TLS
            self._replicas.set_problem(error.message)


def _says_ready(answer: bytes) -> bool:
    try:
        return bool(ServerReadyResponse.FromString(answer).ready)
    except DecodeError:
        return True


def _written(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

"""Mutated requests and broken connections against a server, and whether it serves the next client."""

import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from kserve_wire.names import method_path
from tests.fuzz.mutator import Mutator, recorded_requests
from tests.support.calls import calling, streaming
from tests.support.graph_server import request

_DEADLINE = 30.0


@dataclass(slots=True)
class Report:
    """What came back: the number of calls that ended with each status, and what must not happen."""

    codes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, error: grpc.RpcError | None) -> None:
        """Count a call; an exception in the server's code and a deadline are faults."""
        code = grpc.StatusCode.OK if error is None else error.code()
        details = "" if error is None else error.details() or ""
        self.codes[code.name] += 1
        lost = code is grpc.StatusCode.UNAVAILABLE and details != "Mediapipe is not loaded yet"
        if lost or code is grpc.StatusCode.DEADLINE_EXCEEDED or "Exception" in details:
            self.faults.append(f"{code.name}: {details[:300]}")


def fuzz(address: str, number: int, seed: int, report: Report) -> None:
    """Make that many requests over one connection."""
    mutator = Mutator(recorded_requests(), seed)
    made = 0
    with grpc.insecure_channel(address) as channel:
        while made < number and len(report.faults) < 20:
            method, requests = mutator.call()
            made += len(requests)
            try:
                if method == "ModelStreamInfer":
                    for _ in streaming(channel)(iter(requests), timeout=_DEADLINE):
                        pass
                else:
                    calling(channel, method_path(method))(requests[0], timeout=_DEADLINE)
            except grpc.RpcError as error:
                report.add(error)
            else:
                report.add(None)


def fuzz_in_parallel(address: str, number: int, seed: int, workers: int = 2) -> Report:
    """The same over several connections."""
    report = Report()
    threads = [
        threading.Thread(target=fuzz, args=(address, number // workers, seed * 1000 + worker, report))
        for worker in range(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return report


def is_served(address: str, frames: int = 5) -> bool:
    """Whether a new client's session is answered wholly."""
    with grpc.insecure_channel(address) as channel:
        requests = iter([request(timestamp).SerializeToString() for timestamp in range(frames)])
        answers = streaming(channel)(requests, timeout=_DEADLINE)
        return sum(1 for _ in answers) == frames


def session_bytes(address: str) -> bytes:
    """All bytes that a client sends over TCP in a session of 20 frames."""
    host, _, port = address.rpartition(":")
    sent = bytearray()

    def pump(source: socket.socket, target: socket.socket, into: bytearray | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if into is not None:
                    into += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        with grpc.insecure_channel(f"127.0.0.1:{listener.getsockname()[1]}") as channel:
            requests = iter([request(timestamp).SerializeToString() for timestamp in range(20)])
            call = streaming(channel)(requests, timeout=_DEADLINE)
            client, _ = listener.accept()
            server = socket.create_connection((host, int(port)))
            threads = [
                threading.Thread(target=pump, args=(client, server, sent)),
                threading.Thread(target=pump, args=(server, client, None)),
            ]
            for thread in threads:
                thread.start()
            for _ in call:
                pass
        for thread in threads:
            thread.join()
        client.close()
        server.close()
    return bytes(sent)


def break_off(address: str, number: int, seed: int) -> None:
    """Open connections that send the start of a session and end: every other one with a reset."""
    host, _, port = address.rpartition(":")
    chance = random.Random(seed)
    whole = session_bytes(address)
    for index in range(number):
        with socket.create_connection((host, int(port))) as connection:
            if index % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                connection.sendall(whole[: chance.randint(0, len(whole))])
                connection.settimeout(chance.choice((0.001, 0.01)))
                connection.recv(65536)


def resident_mib(pid: int) -> float:
    """The memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"process {pid} has no memory")

"""A client and several graph servers: one is killed, drained, slow, wrong, away, or comes late."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graph_server.config.server_config import single_servable
from graph_server.server import GraphServer
from stream_client import (
    ReplicaSnapshot,
    Result,
    RunOptions,
    SharedServers,
    StreamClient,
    TlsOptions,
    TransportOptions,
)
from stream_client.errors import ConfigurationError, ConnectError
from stream_client.monitoring.prometheus.families import Metrics
from stream_client.monitoring.statistics import Statistics
from stream_client.replicas import residence
from stream_client.replicas.watch import Watch
from stream_client.transport.options import Api
from tests.support.certificates import certificate_for
from tests.support.client import run_here
from tests.support.graph_server import KilledServer, graph_server
from tests.support.ports import free_port
from tests.support.video import picture
from tests.support.waiting import wait_until

both = pytest.mark.parametrize("api", ["stream", "unary"])
OPTIONS = RunOptions(request_timeout=20.0)
SIZE = (192, 144)
"""Pixels: large enough for shared memory."""


@pytest.fixture
def servers() -> Iterator[Callable[..., GraphServer]]:
    """Makes servers in this process."""
    with ExitStack() as stack:
        yield lambda *faults, **options: stack.enter_context(graph_server(*faults, **options))


def addresses(*servers: GraphServer) -> str:
    return ",".join(server.address for server in servers)


class Run:
    """A file's run: ``events`` maps a frame's number to what happens before it is read."""

    def __init__(self, address: str, api: Api, events: dict[int, Callable[[], object]], frames: int = 60) -> None:
        self.results: list[Result] = []
        transport = TransportOptions(address, model_name="passThrough", api=api)
        self.client = StreamClient(self._read(events, frames), self.results.append, transport, options=OPTIONS)
        self._frames = frames

    def _read(self, events: dict[int, Callable[[], object]], frames: int) -> Iterator[Any]:
        for index in range(frames):
            if index in events:
                events[index]()
            yield picture(index, *SIZE)

    def run(self) -> None:
        """Every frame comes back, in order, as it was sent."""
        ledger = self.client.run().ledger
        assert ledger.delivered == self._frames
        assert [result.frame.index for result in self.results] == list(range(self._frames))
        for result in self.results:
            assert np.array_equal(result.image, picture(result.frame.index, *SIZE))

    @property
    def replicas(self) -> Sequence[ReplicaSnapshot]:
        return self.client.replicas


@pytest.fixture(scope="module")
def process() -> Iterator[KilledServer]:
    """A server in a process of its own."""
    server = KilledServer()
    yield server
    server.kill()


@both
def test_a_file_loses_nothing_when_a_replica_is_killed_and_comes_back(
    servers: Callable[..., GraphServer], process: KilledServer, api: Api
) -> None:
    port = free_port()

    def kill() -> None:
        """The other replica is there only now, so the session lives on the one that is killed."""
        wait_until(lambda: run.replicas[0].answered)
        servers(port=port)
        wait_until(lambda: run.replicas[1].state == "ready")
        process.kill()

    def revive() -> None:
        wait_until(lambda: run.replicas[0].state == "away")
        process.start()
        wait_until(lambda: run.replicas[0].state == "ready")
        before.append(run.replicas[0].answered)

    def look() -> None:
        """Unary calls go there again; a session stays where it is."""
        if api == "unary":
            wait_until(lambda: run.replicas[0].answered > before[0])

    before: list[int] = []
    run = Run(f"{process.address},127.0.0.1:{port}", api, {20: kill, 60: revive, 119: look}, 120)
    run.run()
    assert run.replicas[1].answered


@both
def test_a_frozen_replica_gives_its_frames_to_the_others(
    servers: Callable[..., GraphServer], process: KilledServer, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watch, "CHECK_TIMEOUT", 0.3)
    port = free_port()

    def freeze() -> None:
        wait_until(lambda: run.replicas[0].answered)
        servers(port=port)
        wait_until(lambda: run.replicas[1].state == "ready")
        process.signal(signal.SIGSTOP)

    run = Run(f"{process.address},127.0.0.1:{port}", api, {20: freeze})
    try:
        run.run()
        assert run.replicas[0].state == "away"
        assert run.replicas[0].moved
    finally:
        process.signal(signal.SIGCONT)


@both
def test_a_drained_replica_is_left_and_nothing_fails(servers: Callable[..., GraphServer], api: Api) -> None:
    """Also of a live source: the answers that are open there are awaited."""
    two = [servers("delay=20"), servers("delay=20")]
    images = iter([picture(index, *SIZE) for index in range(90)])
    left: list[int] = []
    after: list[int] = []

    def read() -> Any:
        image = next(images, None)
        if image is not None and image[0, 0, 0] == 4 * 30 and not left:
            wait_until(lambda: any(each.answered for each in client.replicas))
            left.append(next(i for i, each in enumerate(client.replicas) if each.sessions or api == "unary"))
            two[left[0]].drain()
            wait_until(lambda: client.replicas[left[0]].state == "not_ready")
            wait_until(lambda: not client.replicas[left[0]].in_flight or api == "stream")
            after.append(client.replicas[left[0]].answered)
        return image

    transport = TransportOptions(addresses(*two), model_name="passThrough", api=api)
    client = StreamClient(read, lambda result: None, transport, options=replace(OPTIONS, drop_policy="block"))
    ledger = client.run().ledger
    assert ledger.delivered == 90
    assert not ledger.resent
    drained, other = client.replicas[left[0]], client.replicas[1 - left[0]]
    assert other.answered >= 20
    assert drained.moved == (1 if api == "stream" else 0)
    if api == "unary":
        assert drained.answered == after[0]


def test_a_slow_replica_gets_few_calls_and_is_still_timed(servers: Callable[..., GraphServer]) -> None:
    three = [servers("delay=200"), servers("delay=10"), servers("delay=10")]
    run = Run(addresses(*three), "unary", {200: lambda: wait_until(lambda: run.replicas[0].slow)}, 320)
    run.run()
    slow, *others = run.replicas
    assert slow.slow
    assert 5 <= slow.answered < 40  # before it was known to be slow, and copies since then
    assert all(other.answered > 80 for other in others)


def test_streams_of_a_process_are_spread_and_spread_again(servers: Callable[..., GraphServer]) -> None:
    """A replica that drains gives its sessions away, and gets some back when it is ready again."""
    two = [servers(), servers()]
    going = threading.Event()
    going.set()

    def read() -> Any:
        time.sleep(0.01)
        return picture(0) if going.is_set() else None

    def sessions() -> list[int]:
        return [each.sessions for each in clients[0].replicas]

    transport = TransportOptions(addresses(*two), model_name="passThrough")
    with SharedServers() as shared:
        clients = [StreamClient(read, [], transport, servers=shared) for _ in range(4)]
        for client in clients:
            client.start()
        assert sessions() == [2, 2]
        turns = shared.credits(transport)._shares
        wait_until(lambda: set(turns) == {each.address for each in two})  # a slow one keeps back none for the other
        two[0].drain()
        wait_until(lambda: sessions() == [0, 4])
        wait_until(lambda: set(turns) == {two[1].address})
        two[0]._live.ready = True
        wait_until(lambda: sessions() == [2, 2])
        going.clear()
        ledgers = [client.wait().ledger for client in clients]
        assert sessions() == [0, 0]
    assert not any(ledger.failed for ledger in ledgers)


def test_a_session_leaves_a_slow_replica_once_and_loses_nothing(
    servers: Callable[..., GraphServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residence, "SLOW_SECONDS", 0.3)
    three = [servers("delay=600"), servers("delay=15"), servers("delay=15")]
    going = threading.Event()
    going.set()

    def read() -> Any:
        time.sleep(0.02)
        return picture(0) if going.is_set() else None

    transport = TransportOptions(addresses(*three), model_name="passThrough")
    with SharedServers() as shared:
        clients = [
            StreamClient(read, [], transport, servers=shared, options=replace(OPTIONS, drop_policy="block"))
            for _ in range(3)
        ]
        for client in clients:
            client.start()
        wait_until(lambda: [each.sessions for each in clients[0].replicas] in ([0, 2, 1], [0, 1, 2]))
        slow = clients[0].replicas[0]
        assert slow.moved == 1
        assert slow.slow
        going.clear()
        ledgers = [client.wait().ledger for client in clients]
        assert [each.moved for each in clients[0].replicas] == [1, 0, 0]
    for ledger in ledgers:
        assert ledger.delivered == ledger.entered
        assert not ledger.resent


def test_metrics_tell_the_replicas_apart(servers: Callable[..., GraphServer]) -> None:
    first, second = servers(), servers()
    statistics = Statistics()
    transport = TransportOptions(addresses(first, second), model_name="passThrough", api="unary")
    StreamClient([picture(index) for index in range(40)], [], transport, observers=[statistics]).run()
    registry = Metrics([statistics]).registry
    counts = {}
    for server in (first, second):
        of = {"replica": server.address, "model": "passThrough", "stream": statistics.snapshot().stream}
        counts[server.address] = registry.get_sample_value(
            "stream_client_replica_requests_total", {**of, "outcome": "answered"}
        )
        state = {**of, "stream_client_replica_state": "ready"}
        assert registry.get_sample_value("stream_client_replica_state", state) == 1
        assert registry.get_sample_value("stream_client_replica_in_flight_requests", of) == 0
        assert registry.get_sample_value("stream_client_replica_request_seconds", {**of, "quantile": "0.95"})
    assert sum(count or 0 for count in counts.values()) == 40


def test_a_list_with_a_server_of_other_servables_is_refused_by_its_name(
    servers: Callable[..., GraphServer], tmp_path: Path
) -> None:
    (tmp_path / "graph.pbtxt").write_text(
        'input_stream: "IMAGE:image" output_stream: "IMAGE:other"\n'
        'node { calculator: "PassThroughCalculator" input_stream: "image" output_stream: "other" }'
    )
    good, elsewhere, none = (
        servers(),
        servers(config=single_servable("passThrough", tmp_path)),
        servers(config=single_servable("another", tmp_path)),
    )
    for bad, said in ((elsewhere, "has other inputs or outputs"), (none, "no model or graph named")):
        flags = ("--grpc_address", addresses(good, bad), "--model_name", "passThrough", "--limit_frames", 3)
        done = run_here("--input_stream", "testsrc", "--output_stream", "none", *flags)
        assert done.returncode != 0
        assert bad.address in done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_replica_that_only_fails_gets_no_more_than_copies(servers: Callable[..., GraphServer]) -> None:
    two = [servers("error=1"), servers("delay=5")]
    transport = TransportOptions(addresses(*two), model_name="passThrough", api="unary")
    client = StreamClient([picture(index) for index in range(200)], [], transport, options=OPTIONS)
    ledger = client.run().ledger
    broken, well = client.replicas
    assert broken.slow
    assert 5 <= broken.failed <= 60
    assert ledger.delivered == well.answered >= 140


@both
def test_one_that_is_away_at_the_start_is_used_once_it_is_there(servers: Callable[..., GraphServer], api: Api) -> None:
    """A session that lives stays; new ones go to the new replica."""
    first, port = servers(), free_port()

    def start() -> None:
        servers(port=port)
        wait_until(lambda: run.replicas[1].state == "ready")

    def look() -> None:
        if api == "unary":
            wait_until(lambda: run.replicas[1].answered)

    run = Run(f"{first.address},127.0.0.1:{port}", api, {10: start, 59: look})
    run.run()
    assert run.replicas[0].answered


def test_one_that_comes_with_other_servables_is_left_out(
    servers: Callable[..., GraphServer], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "graph.pbtxt").write_text(
        'input_stream: "IMAGE:image" output_stream: "IMAGE:other"\n'
        'node { calculator: "PassThroughCalculator" input_stream: "image" output_stream: "other" }'
    )
    first, port = servers(), free_port()

    def start() -> None:
        servers(port=port, config=single_servable("passThrough", tmp_path))
        wait_until(lambda: "is left out" in caplog.text and "other inputs or outputs" in caplog.text)

    run = Run(f"{first.address},127.0.0.1:{port}", "unary", {10: start})
    run.run()
    assert not run.replicas[1].answered


def test_without_any_replica_the_run_says_which_were_asked() -> None:
    address = f"127.0.0.1:{free_port()},127.0.0.1:{free_port()}"
    transport = TransportOptions(address, model_name="passThrough", connect_timeout=1.0)
    with pytest.raises(ConnectError, match=address):
        StreamClient([picture(0)], [], transport).run()


def test_shared_memory_is_left_for_the_replica_that_has_none(
    servers: Callable[..., GraphServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server with reordered answers offers none; the other one does."""
    from stream_client.transport.shared_memory import SharedMemory

    placed: list[int] = []
    place_inputs = SharedMemory.place_inputs

    def counted(memory: SharedMemory, timestamp: int, tensors: Any) -> Any:
        places = place_inputs(memory, timestamp, tensors)
        placed.append(len(places))
        return places

    monkeypatch.setattr(SharedMemory, "place_inputs", counted)
    two = [servers(), servers("reorder=0.0001")]
    run = Run(addresses(*two), "unary", {})
    run.run()
    with_memory, without = run.replicas
    assert with_memory.answered
    assert without.answered
    assert 0 < sum(placed) <= with_memory.answered


@both
def test_a_name_is_looked_up_again(
    servers: Callable[..., GraphServer], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name's first server leaves it, and another one is there."""
    port = free_port()
    hosts = ["127.0.0.1", "127.0.0.2"]
    for host in (*hosts, "127.0.0.3"):
        servers(port=port, bind_address=host)
    look_up = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        if host != "replicas.test":
            return look_up(host, *arguments, **options)
        return [found for each in hosts for found in look_up(each, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(Watch, "LOOKUP_SECONDS", 0.05)

    def change() -> None:
        hosts[:] = ["127.0.0.2", "127.0.0.3"]
        wait_until(lambda: [each.address for each in run.replicas] == [f"{host}:{port}" for host in hosts])
        wait_until(lambda: all(each.state == "ready" for each in run.replicas))

    def look() -> None:
        wait_until(lambda: any(each.answered for each in run.replicas))

    run = Run(f"dns:///replicas.test:{port}", api, {20: change, 59: look})
    run.run()
    assert sum(each.sessions for each in run.replicas) == 0


def test_by_a_name_certificates_are_for_that_name(servers: Callable[..., GraphServer], tmp_path: Path) -> None:
    _, certificate = certificate_for("DNS:localhost", tmp_path)
    key = tmp_path / "key.pem"
    server = servers(tls_certificate=certificate, tls_key=key)
    port = server.address.rpartition(":")[2]
    for address, trusted, said in (
        (f"dns:///localhost:{port}", certificate, ""),
        (f"127.0.0.1:{port},localhost:{port}", certificate, ""),
        (f"127.0.0.1:{port},127.0.0.2:{port}", certificate, "tls"),
    ):
        transport = TransportOptions(
            address, model_name="passThrough", tls=TlsOptions(ca=trusted), connect_timeout=3.0 if not said else 1.0
        )
        client = StreamClient([picture(0)], [], transport)
        if said:
            with pytest.raises(ConnectError) as caught:
                client.run()
            assert caught.value.option == "tls_ca"
        else:
            assert client.run().ledger.delivered == 1


def test_a_name_that_nobody_knows_is_said() -> None:
    transport = TransportOptions("dns:///no-such-host.invalid:9000", connect_timeout=1.0)
    with pytest.raises(ConnectError, match=r"no-such-host\.invalid"):
        StreamClient([picture(0)], [], transport).run()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("a:1,a:1", "named twice"),
        ("a:1,embedded", "no part of a list"),
        ("a:1,dns:///b:2", "no part of a list"),
        ("a:1,,b:2", "is not an address"),
        (",,", "'' is not an address"),
        ("a:1,b", "is not an address"),
        ("dns:///b", "is not an address"),
        ("dns://server/b:1", "is not an address"),
        (",".join(f"a:{port}" for port in range(1, 67)), "64 at most"),
    ],
)
def test_what_is_no_list_of_servers_is_refused(address: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        TransportOptions(address)
    assert caught.value.option == "grpc_address"

"""Channels that many connections share, with a real server."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from kserve_wire.names import SERVICE
from stream_client import ArraySource, SharedServers, StreamClient
from stream_client.errors import ConfigurationError, ConnectError
from stream_client.frames import Image
from stream_client.transport.channels import SharedChannels
from stream_client.transport.connection import Connection
from stream_client.transport.options import TlsOptions, TransportOptions
from tests.support.kserve_server import ScriptedServer
from tests.support.video import picture
from tests.support.waiting import wait_until


@pytest.fixture
def live() -> Iterator[tuple[TransportOptions, set[str]]]:
    """How to reach a server, and the connections that it has seen."""
    peers: set[str] = set()

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        peers.add(context.peer())
        return b""

    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "ServerLive": grpc.unary_unary_rpc_method_handler(answer)
    }
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield TransportOptions(f"127.0.0.1:{port}"), peers
    server.stop(0).wait()


def ask(channel: grpc.Channel) -> bytes:
    live: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{SERVICE}/ServerLive")
    return live(b"", timeout=20)


def test_the_last_user_closes_a_shared_channel(live: tuple[TransportOptions, set[str]]) -> None:
    options, peers = live
    channels = SharedChannels()
    first, second = Connection(options, channels), Connection(options, channels)
    channel = first.open()
    assert second.open() is channel
    assert len(peers) == 1
    first.close()
    first.close()
    assert ask(channel) == b""
    second.close()
    with pytest.raises(ValueError, match="closed"):
        ask(channel)
    third = Connection(options, channels)
    assert third.open() is not channel
    third.close()


def test_a_full_channel_takes_no_more_users(live: tuple[TransportOptions, set[str]]) -> None:
    channels = SharedChannels(most=2)
    taken = [channels.take(live[0]) for _ in range(5)]
    assert [taken.index(channel) for channel in taken] == [0, 0, 2, 2, 4]
    channels.give_back(taken[0], broken=False)
    assert channels.take(live[0]) is taken[0]
    for channel in taken:
        channels.give_back(channel, broken=False)


def test_a_channel_on_which_nobody_answers_is_left_to_those_who_have_it() -> None:
    """Their sessions may still be all right; whoever comes later gets a new connection."""
    options = TransportOptions("127.0.0.1:1", connect_timeout=0.1)
    channels = SharedChannels()
    kept = channels.take(options)
    with pytest.raises(ConnectError):
        Connection(options, channels).open()
    later = channels.take(options)
    assert later is not kept
    channels.give_back(kept, broken=True)
    assert channels.take(options) is later
    channels.give_back(later, broken=False)
    channels.give_back(later, broken=False)


def test_channels_are_shared_only_with_the_same_server_and_tls(tmp_path: Path) -> None:
    channels = SharedChannels()
    different = [TransportOptions("localhost:1"), TransportOptions("localhost:2")]
    different.append(TransportOptions("localhost:1", tls=TlsOptions()))
    taken = [channels.take(options) for options in different]
    assert len(set(taken)) == 3
    with pytest.raises(ConfigurationError, match=r"cannot read .*missing\.pem"):
        channels.take(TransportOptions("localhost:1", tls=TlsOptions(ca=tmp_path / "missing.pem")))
    for channel in taken:
        channels.give_back(channel, broken=False)


def three_clients(
    server: ScriptedServer, shared: SharedServers, options: TransportOptions, ended: threading.Event
) -> list[StreamClient]:
    """They run until ``ended``; the server has had requests of them."""

    def frames() -> Iterator[Image]:
        while not ended.is_set():
            yield picture(0)

    clients = [StreamClient(ArraySource(frames()), [], options, servers=shared) for _ in range(3)]
    for client in clients:
        client.start()
    wait_until(lambda: len(server.requests) > 30)
    return clients


@pytest.mark.parametrize("api", ["stream", "unary"])
def test_clients_with_shared_servers_have_one_channel_and_sessions_of_their_own(api: str) -> None:
    with ScriptedServer() as server, SharedServers() as shared:
        options = TransportOptions(server.address, api="unary" if api == "unary" else "stream", model_name="graph")
        ended = threading.Event()
        clients = three_clients(server, shared, options, ended)
        users = [each.users for each in shared.channels._taken.values()]
        ended.set()
        for client in clients:
            assert not client.wait().ledger.failed
        assert users == [3]
        assert server.sessions == (3 if api == "stream" else 0)
        assert not shared.channels._taken
        assert not shared.probes._taken


def test_a_lost_server_is_found_again_over_the_shared_channel() -> None:
    """Each stream opens a session of its own again."""
    with ScriptedServer() as server, SharedServers() as shared:
        options = TransportOptions(server.address, model_name="graph")
        ended = threading.Event()
        clients = three_clients(server, shared, options, ended)
        server.stop()
        server.start()
        before = server.sessions
        wait_until(lambda: server.sessions >= before + 3)
        ended.set()
        for client in clients:
            ledger = client.wait().ledger
            assert not ledger.failed
            assert ledger.entered == ledger.delivered
        assert not shared.channels._taken

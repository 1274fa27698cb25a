"""Who is at the other end of a connection, and how much came over it: real sockets, and Linux's tables."""

import os
import socket
from collections.abc import Iterator

import pytest

from graph_server.service import connections
from graph_server.service.connections import (
    UNIX_CLIENT,
    Endpoint,
    client_end,
    cut_off,
    endpoint,
    received_bytes,
    user_of,
)

HOSTS = ["127.0.0.1", "::1"]


@pytest.fixture(params=HOSTS)
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection: the client's socket and the server's."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as listener:
        listener.bind((request.param, 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()[:2]) as client:
            accepted, _ = listener.accept()
            with accepted:
                yield client, accepted


def port_of(accepted: socket.socket) -> int:
    return int(accepted.getsockname()[1])


def end_of(client: socket.socket) -> Endpoint:
    return endpoint(*client.getsockname()[:2])


def test_the_user_of_a_connection_is_the_owner_of_its_other_end(ends: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = ends
    assert user_of(end_of(client), port_of(accepted)) == os.geteuid()


@pytest.mark.parametrize("torn", [[], [1, 1]])
def test_a_table_that_changed_while_it_was_read_is_read_again(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, torn: list[int]
) -> None:
    client, accepted = ends
    (owner,) = connections._owners(end_of(client), port_of(accepted))
    readings = iter([[owner] * len(torn), [owner], [owner], [owner]])
    monkeypatch.setattr(connections, "_owners", lambda *_: next(readings))
    assert user_of(end_of(client), port_of(accepted)) == os.geteuid()


def test_a_connection_that_its_client_has_left_has_no_user(ends: tuple[socket.socket, socket.socket]) -> None:
    """The table says root then."""
    client, accepted = ends
    end = end_of(client)
    client.close()
    assert accepted.recv(1) == b""
    assert user_of(end, port_of(accepted)) is None


def test_a_connection_to_another_port_is_another_one(ends: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = ends
    assert user_of(end_of(client), port_of(accepted) ^ 1) is None


def test_a_client_that_listens_on_both_kinds_of_addresses_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_INET6) as client:
        client.connect(("::ffff:127.0.0.1", listener.getsockname()[1]))
        accepted, (host, port) = listener.accept()
        with accepted:
            assert user_of(Endpoint(host, port), port_of(accepted)) == os.geteuid()


def test_received_bytes_are_counted_and_a_connection_can_be_cut_off(ends: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = ends
    client.sendall(bytes(1000))
    assert len(accepted.recv(1000, socket.MSG_WAITALL)) == 1000
    assert received_bytes(port_of(accepted))[end_of(client)] == 1000
    cut_off(port_of(accepted), [end_of(client)])
    assert client.recv(1) == b""


@pytest.mark.parametrize(
    ("peer", "end"),
    [
        ("ipv4:127.0.0.1:4711", Endpoint("127.0.0.1", 4711)),
        ("ipv6:%5B::1%5D:4711", Endpoint("::1", 4711)),
        ("ipv6:%5B::ffff:127.0.0.1%5D:4711", Endpoint("127.0.0.1", 4711)),
        ("unix:/run/x", UNIX_CLIENT),
        ("", UNIX_CLIENT),
    ],
)
def test_grpcs_name_of_a_client_is_read(peer: str, end: Endpoint) -> None:
    assert client_end(peer) == end

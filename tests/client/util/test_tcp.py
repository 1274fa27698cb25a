"""A TCP connection to whichever address of a host takes one."""

import socket

import pytest

from stream_client.util.tcp import connect


def test_the_next_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # and does not listen
        places = [each.getsockname() for each in (deaf, listening)]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place) for place in places]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        tried: list[socket.socket] = []
        with connect("a.example", 1, 10, tried.append) as connection:
            assert connection.getpeername() == places[1]
        assert len(tried) == 2
        found.pop()
        with pytest.raises(ConnectionRefusedError):
            connect("a.example", 1, 10)

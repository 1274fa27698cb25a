"""Ports for servers of tests."""

import random
import socket


def free_port() -> int:
    """A port nobody listens at now.

    It lies below those that the system gives to connections and to servers that ask for any: another process would
    take it before its server is there, or while that is away.
    """
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")

"""The TCP connections to this server: who is at the other end, and how much came in. Linux's ``/proc`` has it.

gRPC shows neither, and its sockets are found among the open files of the process.

Source: Linux's Documentation/networking/proc_net_tcp.rst.
"""

import ipaddress
import os
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

OPEN_FILES = Path("/proc/self/fd")
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOOKS = 3
"""At the tables, for the user of a connection."""
_ESTABLISHED = "01"
_TCP_INFO_BYTES, _BYTES_RECEIVED = 136, 128


class Endpoint(NamedTuple):
    """The client's end of a connection, which names the connection as long as it is open."""

    host: str
    port: int


class _Owner(NamedTuple):
    user: str
    inode: str


UNIX_CLIENT = Endpoint("", 0)
"""Every client of a Unix socket: gRPC does not tell them apart."""


def client_end(peer: str) -> Endpoint:
    """The client's end, from gRPC's name of it: ``ipv4:127.0.0.1:4711``, ``ipv6:%5B::1%5D:4711``."""
    kind, _, address = peer.partition(":")
    host, _, port = unquote(address).rpartition(":")
    if kind not in ("ipv4", "ipv6") or not port.isdecimal():
        return UNIX_CLIENT
    return endpoint(host.strip("[]"), int(port))


def endpoint(host: str, port: int) -> Endpoint:
    """An address of IPv4 inside IPv6, as sockets for both have it, becomes one of IPv4."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return Endpoint(str(mapped or address), port)


def user_of(client: Endpoint, server_port: int) -> int | None:
    """The id of the user who owns the client's end, on this machine; ``None`` when that is not known for certain.

    A socket that its process has just closed is shown as root's and without inode. So the table is read twice: if a
    socket still has its inode at the second reading, then it had an owner at the first one. A table that changes while
    it is read may lack a line, or have it twice. So it is read a few times.
    """
    for _ in range(_LOOKS):
        first, second = (list(_owners(client, server_port)) for _ in range(2))
        if len(first) == 1 and first == second and first[0].inode != "0":
            return int(first[0].user)
    return None


def _owners(client: Endpoint, server_port: int) -> Iterator[_Owner]:
    """The owners of the open connections from ``client`` to that port."""
    if client == UNIX_CLIENT:
        return
    local, remote = _written(client), f":{server_port:04X}"
    for table in _TABLES:
        try:
            lines = table.read_text(encoding="utf-8").splitlines()[1:]
        except OSError:  # without IPv6, or not Linux
            continue
        for line in lines:
            columns = line.split()
            if columns[1] in local and columns[2].endswith(remote) and columns[3] == _ESTABLISHED:
                yield _Owner(columns[7], columns[9])


def _written(client: Endpoint) -> Collection[str]:
    """How the tables write an address: as words in the machine's byte order. One of IPv4 may be inside IPv6."""
    address = ipaddress.ip_address(client.host)
    forms = [address.packed]
    if address.version == 4:
        forms.append(ipaddress.ip_address(f"::ffff:{address}").packed)
    words = (struct.unpack(f"={len(packed) // 4}I", packed) for packed in forms)
    return ["".join(f"{word:08X}" for word in form) + f":{client.port:04X}" for form in words]


def received_bytes(port: int) -> dict[Endpoint, int]:
    """The bytes that came over each open connection to that port of this process.

    Raises :class:`OSError` when the open files cannot be listed.
    """
    return {client: _received(connection) for client, connection in _accepted(port)}


def cut_off(port: int, clients: Collection[Endpoint]) -> None:
    """End connections to that port of this process, which belong to others in it: they see that the client left."""
    for client, connection in _accepted(port):
        if client in clients:
            with suppress(OSError):  # it has left
                connection.shutdown(socket.SHUT_RDWR)


def _accepted(port: int) -> Iterator[tuple[Endpoint, socket.socket]]:
    """The open connections to that port. Each socket is valid until the next one is asked for."""
    for name in os.listdir(OPEN_FILES):
        try:
            found = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, fileno=int(name))
        except OSError:  # no socket, or closed meanwhile
            continue
        try:
            if found.getsockname()[1:2] == (port,):
                host, remote = found.getpeername()[:2]
                yield endpoint(host, remote), found
        except OSError:  # not connected
            continue
        finally:
            found.detach()  # the descriptor is not ours


def _received(connection: socket.socket) -> int:
    """``tcpi_bytes_received`` of ``struct tcp_info`` in Linux's include/uapi/linux/tcp.h."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return 0
    return int(struct.unpack_from("=Q", info, _BYTES_RECEIVED)[0]) if len(info) == _TCP_INFO_BYTES else 0

"""Addresses of servers, as users give them: one server, a list of replicas, or a name that stands for them."""

from stream_client.errors import ConfigurationError
from stream_client.util.redact import redact

EMBEDDED = "embedded"
"""Instead of an address: the client starts a local graph server."""
DNS = "dns:///"
"""Before ``name:port``: every address of the name is a replica, and the name is looked up again and again."""
MOST_REPLICAS = 64
_OPTION = "grpc_address"


def listed(address: str) -> tuple[str, ...]:
    """The servers that ``a:9000,b:9000`` names, one by one; a name of DNS is not looked up."""
    return tuple(part.strip() for part in address.split(","))


def is_several(address: str) -> bool:
    """Whether ``address`` may stand for several replicas."""
    return "," in address or address.startswith(DNS)


def check_address(address: str) -> None:
    """Raise :class:`.ConfigurationError` for what is no address."""
    servers = listed(address)
    if len(servers) > MOST_REPLICAS:
        raise ConfigurationError(f"{len(servers)} replicas are named: {MOST_REPLICAS} at most", option=_OPTION)
    for server in servers:
        if server and servers.count(server) > 1:
            raise ConfigurationError(f"{redact(server)} is named twice", option=_OPTION)
        if len(servers) > 1 and (server == EMBEDDED or server.startswith(DNS)):
            raise ConfigurationError(f"{redact(server)} is no part of a list of servers", option=_OPTION)
        _check_one(server)


def _check_one(address: str) -> None:
    if "@" in address or not address.isprintable() or " " in address:
        raise ConfigurationError(
            f"{redact(repr(address))} is not an address: it has no user, password or spaces", option=_OPTION
        )
    if address.startswith("unix:"):
        if len(address) == len("unix:"):
            raise ConfigurationError("unix: needs a path, as in unix:/run/ovms.sock", option=_OPTION)
        return
    host, colon, port = address.removeprefix(DNS).rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
    if not colon or not host or "/" in host or not is_port:
        raise ConfigurationError(
            f"{redact(repr(address))} is not an address: host:port, unix:path, several of them with commas, "
            "dns:///name:port or embedded is expected",
            option=_OPTION,
        )

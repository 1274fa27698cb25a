"""Addresses of datagrams: ``udp://host:port?interface=ADDRESS``, as inputs and outputs name them."""

import ipaddress
import socket
from urllib.parse import parse_qsl, urlsplit


def parameters(query: str) -> dict[str, str]:
    """The values of a URL's query."""
    return dict(parse_qsl(query, keep_blank_values=True))


def url_parameters(url: str) -> dict[str, str]:
    """The values in the query of ``url``."""
    return parameters(urlsplit(url).query)


def is_multicast(host: str) -> bool:
    """Whether ``host`` is the address of a multicast group."""
    return is_address(host) and ipaddress.ip_address(host).is_multicast


def is_address(host: str) -> bool:
    """Whether ``host`` is an IP address, and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_own(address: str) -> bool:
    """Whether an IP address is one of this machine's, or the one that means all of them."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True

"""Two network namespaces with a line between them, whose rate is limited. Needs root and iproute2."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.support.missing import missing


@dataclass(frozen=True)
class Side:
    """A namespace: how to run a command in it, and its address on the line."""

    name: str
    address: str

    @property
    def run(self) -> tuple[str, ...]:
        """What stands before a command that runs there."""
        return "ip", "netns", "exec", self.name


@contextmanager
def thin_line(rate: str, *, latency: str = "400ms") -> Iterator[tuple[Side, Side]]:
    """Both ends of a line of ``rate`` each way, as in ``50mbit``. Its queue holds ``latency`` worth of packets."""
    if os.geteuid() or shutil.which("ip") is None or shutil.which("tc") is None:
        missing("network namespaces", "run as root, with iproute2")
    number = os.getpid()
    near, far = Side(f"near{number}", "10.98.0.1"), Side(f"far{number}", "10.98.0.2")
    links = {near: f"n{number}", far: f"f{number}"}
    with ExitStack() as stack:
        for side in (near, far):
            if _ip("netns", "add", side.name):
                missing("network namespaces", "ip netns add is refused here")
            stack.callback(_ip, "netns", "delete", side.name)
        _ip("link", "add", links[near], "netns", near.name, "type", "veth", "peer", links[far], "netns", far.name)
        for side, link in links.items():
            _ip("-n", side.name, "address", "add", f"{side.address}/24", "dev", link)
            for each in (link, "lo"):
                _ip("-n", side.name, "link", "set", each, "up")
            limit = ("rate", rate, "burst", "64kb", "latency", latency)
            subprocess.run([*side.run, "tc", "qdisc", "add", "dev", link, "root", "tbf", *limit], check=True)
        yield near, far


def _ip(*arguments: str) -> int:
    return subprocess.run(["ip", *arguments], stderr=subprocess.DEVNULL, check=False).returncode

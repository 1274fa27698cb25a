"""Two network namespaces with a line between them, whose rate is limited. Needs root and iproute2."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from tests.support.missing import missing


@dataclass(frozen=True)
class Side:
    """A namespace: how to run a command in it, its address on the line, and its device there."""

    name: str
    address: str
    device: str

    @property
    def run(self) -> tuple[str, ...]:
        """What stands before a command that runs there."""
        return "ip", "netns", "exec", self.name


@dataclass(frozen=True)
class ThinLine:
    """Its queue holds 0.4 s worth of packets."""

    near: Side
    far: Side

    def set_rate(self, rate: str) -> None:
        """What the line carries each way, as in ``200kbit``."""
        limit = ("root", "tbf", "rate", rate, "burst", "32kb", "latency", "400ms")
        for side in (self.near, self.far):
            subprocess.run([*side.run, "tc", "qdisc", "replace", "dev", side.device, *limit], check=True)


@contextmanager
def thin_line(rate: str = "1gbit") -> Iterator[ThinLine]:
    """A line of ``rate`` each way, as in ``50mbit``. The test is skipped where namespaces cannot be made."""
    if os.geteuid() or shutil.which("ip") is None or shutil.which("tc") is None:
        missing("network namespaces", "run as root, with iproute2")
    name = uuid.uuid4().hex[:6]
    near, far = (Side(f"sc-{end}{name}", f"10.98.0.{end}", f"{letter}{name}") for end, letter in ((1, "n"), (2, "f")))
    with ExitStack() as stack:
        for side in (near, far):
            if _ip("netns", "add", side.name):
                missing("network namespaces", "ip netns add is refused here")
            stack.callback(_ip, "netns", "delete", side.name)
        _ip("link", "add", near.device, "netns", near.name, "type", "veth", "peer", far.device, "netns", far.name)
        for side in (near, far):
            _ip("-n", side.name, "address", "add", f"{side.address}/24", "dev", side.device)
            for each in (side.device, "lo"):
                _ip("-n", side.name, "link", "set", each, "up")
        line = ThinLine(near, far)
        line.set_rate(rate)
        yield line


def _ip(*arguments: str) -> int:
    return subprocess.run(["ip", *arguments], stderr=subprocess.DEVNULL, check=False).returncode

"""Two network namespaces with a line of limited rate between them: the server's side and the sender's."""

import os
import shutil
import subprocess
import uuid
from types import TracebackType

from tests.support.missing import missing

SERVER_ADDRESS, SENDER_ADDRESS = "10.99.0.1", "10.99.0.2"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class ThinLine:
    """``server`` and ``sender`` go before a command that shall run there.

    The test is skipped where namespaces cannot be made.
    """

    def __init__(self) -> None:
        name = uuid.uuid4().hex[:6]
        self._names = f"sc-a{name}", f"sc-b{name}"
        self._devices = f"a{name}", f"b{name}"
        self.server, self.sender = (["ip", "netns", "exec", each] for each in self._names)

    def __enter__(self) -> "ThinLine":
        if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "tc"))):
            missing("root, ip and tc", "network namespaces need them")
        try:
            for name in self._names:
                _ip("netns", "add", name)
            (first, second), (left, right) = self._names, self._devices
            _ip("link", "add", left, "netns", first, "type", "veth", "peer", "name", right, "netns", second)
            for name, device, address in ((first, left, SERVER_ADDRESS), (second, right, SENDER_ADDRESS)):
                _ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
                _ip("-n", name, "link", "set", device, "up")
                _ip("-n", name, "link", "set", "lo", "up")
            self.set_rate("1gbit")
        except subprocess.CalledProcessError as error:
            self._remove()
            missing("network namespaces", str(error.stderr).strip())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def set_rate(self, rate: str) -> None:
        """What the sender's line carries: ``200kbit``."""
        shape = ["root", "tbf", "rate", rate, "burst", "32kb", "latency", "400ms"]
        command = ["tc", "qdisc", "replace", "dev", self._devices[1], *shape]
        subprocess.run([*self.sender, *command], check=True, capture_output=True, text=True)

    def _remove(self) -> None:
        for name in self._names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

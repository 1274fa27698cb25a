"""A client under attack: started here as a command, watched from outside, and stopped by SIGTERM."""

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conftest import ROOT
from tools.attacks.base import Figure
from tools.attacks.memory import sampled

STOP_SECONDS = 2.0
SAID_BYTES = 20_000
MEMORY = 400.0
"""MiB of the whole process, libraries included; a client that is not attacked has 100 to 130."""
_LEDGER = re.compile(r"(\d+) frames?: (\d+) delivered, (\d+) dropped.*?, (\d+) failed")


class AttackedClient:
    """A client's process, and what is seen of it."""

    def __init__(self, process: "subprocess.Popen[bytes]", said: Path, said_bytes: int) -> None:
        self.process = process
        self.pid = process.pid
        self.peak = 0.0
        self.stop_seconds = 0.0
        self.text = ""
        """What it has said; see :meth:`read`."""
        self._said = said
        self._said_bytes = said_bytes

    @property
    def crashed(self) -> bool:
        """Whether a signal ended it that is not ours."""
        return self.process.returncode not in (None, -signal.SIGTERM) and self.process.returncode < 0

    def read(self) -> None:
        """Read what it has said so far."""
        self.text = self._said.read_text(encoding="utf-8", errors="replace")

    def ledger(self) -> tuple[int, ...]:
        """Frames that entered, were delivered, dropped and failed. A run that never began has none."""
        found = _LEDGER.search(self.text)
        return () if found is None else tuple(map(int, found.groups()))

    def sums_wrong(self) -> bool:
        """Whether the ledger's line does not add up."""
        entered, *ended = self.ledger() or (0,)
        return entered != sum(ended)

    def odd(self) -> bool:
        """Whether it said what nobody should read: a traceback, a control character, or very much."""
        control = any(ord(character) < 32 and character not in "\n\r" for character in self.text)
        return control or "Traceback" in self.text or len(self.text) > self._said_bytes


@contextmanager
def attacked_client(*flags: str, descriptors: int = 1024, said_bytes: int = SAID_BYTES) -> Iterator[AttackedClient]:
    """A client until the block ends; a run that has not ended then gets SIGTERM.

    ``said_bytes``: how much it may say.
    """
    limited = ("bash", "-c", f'ulimit -n {descriptors}; exec "$@"', "x")
    command = [*limited, sys.executable, str(ROOT / "client" / "client.py"), *flags]
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        with said.open("ab") as file:
            process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        client = AttackedClient(process, said, said_bytes)
        try:
            with sampled(client):
                yield client
                if process.poll() is None:
                    process.terminate()
                    begun = time.monotonic()
                    process.wait(30)
                    client.stop_seconds = time.monotonic() - begun
        finally:
            process.kill()
            process.wait()
            client.read()
            if client.odd():
                print(client.text[-2000:], file=sys.stderr)


def figures(clients: Sequence[AttackedClient], memory: float = MEMORY) -> list[Figure]:
    """The worst of several attacks of one kind."""
    return [
        Figure("client crashes", float(sum(client.crashed for client in clients)), 0, ""),
        Figure("client memory", max(client.peak for client in clients), memory, "MiB"),
        Figure("wait for the end after SIGTERM", max(client.stop_seconds for client in clients), STOP_SECONDS, "s"),
        Figure("ledgers that do not add up", float(sum(client.sums_wrong() for client in clients)), 0, ""),
        Figure("tracebacks, control characters, floods", float(sum(client.odd() for client in clients)), 0, ""),
    ]


def under_attack(client: AttackedClient, begun: Callable[[], bool], seconds: float) -> None:
    """Wait until the attack has begun, and then so long at most for the client's end."""
    deadline = time.monotonic() + 60
    while not begun() and client.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    with suppress(subprocess.TimeoutExpired):
        client.process.wait(seconds)


def clip(folder: Path) -> str:
    """A small video."""
    from tests.support.video import write_video

    return str(write_video(folder / "clip.mp4", frames=60, width=640, height=360))

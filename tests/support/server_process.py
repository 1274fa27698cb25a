"""A real server in a process of its own that can be killed and started again: mosquitto, redis-server, nginx."""

import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from tests.support.missing import missing
from tests.support.ports import free_port
from tests.support.waiting import wait_until


class ServerProcess:
    """Runs ``command``, in which ``{port}`` stands for a free port of loopback, as long as it is a context."""

    def __init__(self, command: Sequence[str], package: str, folder: Path | None = None) -> None:
        program = shutil.which(command[0], path="/usr/sbin:/usr/bin:/sbin:/bin")
        if program is None:
            missing(command[0], f"apt-get install {package}")
        self.port = free_port()
        self._command = [program, *(word.format(port=self.port) for word in command[1:])]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Serve, at the same port as before."""
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, cwd=self._folder, stdin=quiet, stdout=quiet, stderr=quiet)
        wait_until(self._answers)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power failure does."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


def mosquitto(folder: Path, *settings: str) -> ServerProcess:
    """The broker, without a password unless ``settings``, lines of its configuration, say otherwise.

    At SIGUSR1 it writes what it knows, also of subscribers, to ``folder/mosquitto.db``.
    """
    lines = (*(settings or ("allow_anonymous true",)), "persistence true", f"persistence_location {folder}/")
    server = ServerProcess(["mosquitto", "-c", str(folder / "mosquitto.conf")], "mosquitto")
    (folder / "mosquitto.conf").write_text("\n".join([f"listener {server.port} 127.0.0.1", "user root", *lines, ""]))
    return server


def redis_server(folder: Path, *flags: str) -> ServerProcess:
    """Redis, whose data survive a kill."""
    command = ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    return ServerProcess([*command, "--appendonly", "yes", "--appendfsync", "always", *flags], "redis-server")

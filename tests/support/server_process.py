"""A real server in a process of its own that can be killed and started again: mosquitto, redis-server, nginx."""

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from tests.support.killable import KillableProcess
from tests.support.missing import missing
from tests.support.ports import free_port
from tests.support.waiting import wait_until


class ServerProcess(KillableProcess):
    """Runs ``command``, in which ``{port}`` stands for a free port of loopback, as long as it is a context."""

    def __init__(self, command: Sequence[str], package: str, folder: Path | None = None) -> None:
        program = shutil.which(command[0], path="/usr/sbin:/usr/bin:/sbin:/bin")
        if program is None:
            missing(command[0], f"apt-get install {package}")
        self.port = free_port()
        super().__init__([program, *(word.format(port=self.port) for word in command[1:])], folder)

    @override
    def start(self) -> None:
        """Serve, at the same port as before."""
        super().start()
        wait_until(self._answers)

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

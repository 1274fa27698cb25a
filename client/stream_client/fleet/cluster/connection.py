"""The connection of this process to a Ray cluster."""

import logging
import os
import re
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from stream_client.errors import ConfigurationError, ConnectError
from stream_client.fleet.engine import AUTO
from stream_client.util.extras import install_command

NAMESPACE = "ovms-stream-client"
"""Of everything that is ours in the cluster."""
_CLIENT = "ray://"
_ADDRESS = re.compile(r"(?:ray://)?(\[[0-9a-fA-F:]+\]|[^\s/:@]+):(\d{1,5})")
_ANSWERS_SECONDS = 5.0


@contextmanager
def connected(address: str) -> Iterator[ModuleType]:
    """The module ``ray``, connected to the cluster at ``address``: ``auto``, ``host:port`` or ``ray://host:port``.

    Raises :class:`.ConfigurationError` for what is no address, or where Ray is not installed, and
    :class:`.ConnectError` where no cluster answers.
    """
    ray = import_ray()
    found = _found() if address == AUTO else address
    _check(found)
    handler = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
    try:
        ray.init(found, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # other versions, a wrong token, a server that is not Ray's: each has errors of its own
        raise ConnectError(f"the Ray cluster at {found} takes no program: {error}", option="address") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray's own would end this process in the midst of its work
    try:
        yield ray
    finally:
        ray.shutdown()


def import_ray() -> ModuleType:
    """The module ``ray``; raises :class:`.ConfigurationError` where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"this needs Ray: {install_command('cluster')}", option="engine") from error
    return ray


def _found() -> str:
    """Ray would wait for minutes for a cluster that has gone, so its own search is made here."""
    named = os.environ.get("RAY_ADDRESS")
    if named:
        return named
    folder = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    try:
        return (Path(folder) / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConnectError(
            "no Ray cluster runs on this machine: start one with ray start --head, or name its head", option="address"
        ) from error


def _check(address: str) -> None:
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ConfigurationError(
            f"{address!r} is no address of a Ray cluster: auto, host:port or ray://host:port is expected",
            option="address",
        )
    host, port = match[1].strip("[]"), int(match[2])
    try:
        socket.create_connection((host, port), _ANSWERS_SECONDS).close()
    except OSError as error:
        raise ConnectError(f"no Ray cluster at {address}: {error.strerror or error}", option="address") from error

"""A Ray cluster of several nodes, all of them processes of this machine."""

import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.missing import missing
from tests.support.ports import free_port

ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_worker_niceness": "0",
}
"""Of everything that takes part: no token in the home folder, nothing sent to anybody. Ray's own niceness for processes
that do the work is 15: beside anything else that is busy, one needs a minute to start.
"""
_STORE = 80_000_000  # bytes; the least that Ray takes
_AGENTS = ("metrics_agent_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
"""Ports that a node waits for, and ends after 15 seconds without, unless they are given."""
PATIENT = 5000
"""Milliseconds for a node's answer: one that is slow is not missed, one that is killed is within two seconds."""


class RayCluster:
    """A head that does no work, and nodes that do. A context manager: at its end nothing of it is left."""

    def __init__(self, health_check_timeout_ms: int = PATIENT) -> None:
        os.environ.update(ENVIRONMENT)
        try:
            from ray.cluster_utils import Cluster
        except ModuleNotFoundError:
            missing("Ray", "pip install -e '.[cluster]'")
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # paths of sockets are short
        # Not only an option: the address of the head is written beside, whatever folder that names.
        self._before = os.environ.get("RAY_TMPDIR")
        os.environ["RAY_TMPDIR"] = str(self._folder)
        health = {
            "initial_delay_ms": 0,
            "period_ms": 500,
            "failure_threshold": 3,
            "timeout_ms": health_check_timeout_ms,
        }
        config = {f"health_check_{name}": value for name, value in health.items()}
        head = {"num_cpus": 0, "no_monitor": True, "_system_config": config}
        self._cluster: Any = Cluster()
        self._start(**head)

    def __enter__(self) -> "RayCluster":
        return self

    def __exit__(self, *exception: object) -> None:
        self._cluster.shutdown()
        if self._before is None:
            del os.environ["RAY_TMPDIR"]
        else:
            os.environ["RAY_TMPDIR"] = self._before
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def address(self) -> str:
        """That of the head."""
        return str(self._cluster.address)

    def add(self, cpus: int = 2, **labels: str) -> Any:
        """A further node."""
        return self._start(num_cpus=cpus, labels=labels)

    def kill(self, node: Any) -> None:
        """End a node at once, with everything that runs on it."""
        self._cluster.remove_node(node, allow_graceful=False)

    def freeze(self, node: Any, *, thaw: bool = False) -> None:
        """Let a node and everything that runs on it stand still; ``thaw``: let it go on."""
        raylet = node.all_processes["raylet"][0].process.pid
        for pid in (raylet, *(pid for pid in _processes() if _parent(pid) == raylet)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT if thaw else signal.SIGSTOP)

    def actors(self, kind: str) -> list[int]:
        """The process ids of the actors of a class. The title says that, and the raylet above whose they are."""
        found = []
        for pid in _processes():
            if _command(pid).startswith(f"ray::{kind}") and str(self._folder) in _command(_parent(pid)):
                found.append(pid)
        return found

    def _start(self, **options: Any) -> Any:
        """Ray waits 30 seconds for a process that it has started, which a busy machine may need."""
        options |= {"object_store_memory": _STORE, "include_dashboard": False, "include_log_monitor": False}
        for attempt in range(3):
            try:
                return self._cluster.add_node(**options, **{name: free_port() for name in _AGENTS})
            except Exception as error:
                if attempt == 2 or "timed out during startup" not in str(error):
                    raise
        raise AssertionError("unreachable")


def _processes() -> list[int]:
    return [int(process.name) for process in Path("/proc").glob("[0-9]*")]


def _command(pid: int) -> str:
    """Empty for a process that has gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0

"""A Ray cluster of several nodes, all of them processes of this machine."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.missing import missing

ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
"""Of everything that takes part: no token in the home folder, nothing sent to anybody."""
_STORE = 80_000_000  # bytes; the least that Ray takes
_QUICK = {  # a node that is killed is missed within two seconds, one that is slow is not
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 5000,
    "health_check_failure_threshold": 3,
}


class RayCluster:
    """A head that does no work, and nodes that do. A context manager: at its end nothing of it is left."""

    def __init__(self) -> None:
        os.environ.update(ENVIRONMENT)
        try:
            from ray.cluster_utils import Cluster
        except ModuleNotFoundError:
            missing("Ray", "pip install -e '.[cluster]'")
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # paths of sockets are short
        head = {"num_cpus": 0, "no_monitor": True, "_system_config": _QUICK, "temp_dir": str(self._folder)}
        self._cluster: Any = Cluster()
        self._start(**head)

    def __enter__(self) -> "RayCluster":
        return self

    def __exit__(self, *exception: object) -> None:
        self._cluster.shutdown()
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

    def actors(self, kind: str) -> list[int]:
        """The process ids of the actors of a class. The title says that, and the raylet above whose they are."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if process.joinpath("cmdline").read_bytes().startswith(b"ray::" + kind.encode()):
                    parent = process.joinpath("stat").read_text().rpartition(")")[2].split()[1]
                    if str(self._folder) in Path(f"/proc/{parent}/cmdline").read_text():
                        found.append(int(process.name))
        return found

    def _start(self, **options: Any) -> Any:
        """Ray waits 30 seconds for a process that it has started, which a busy machine may need."""
        options |= {"object_store_memory": _STORE, "include_dashboard": False, "include_log_monitor": False}
        for attempt in range(3):
            try:
                return self._cluster.add_node(**options)
            except Exception as error:
                if attempt == 2 or "timed out during startup" not in str(error):
                    raise
        raise AssertionError("unreachable")

"""The real Envoy with the configuration that is shipped, in front of servers of this machine."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import urlopen

import yaml
from typing_extensions import Self

from tests.conftest import ROOT
from tests.support.environments import interpreter_of
from tests.support.ports import free_port
from tests.support.waiting import wait_until

CONFIGURATION = ROOT / "deploy" / "envoy" / "envoy.yaml"


def program() -> Path:
    """Envoy itself, from its environment."""
    return interpreter_of("envoy").with_name("envoy")


class Envoy:
    """Balances between ``servers``, each a gRPC and a REST address, as long as it is a context.

    ``session_seconds``: how long a streaming session lasts at most, by default as configured.
    """

    def __init__(self, folder: Path, servers: Sequence[tuple[str, str]], session_seconds: float | None = None) -> None:
        port, admin = free_port(), free_port()
        self.address = f"127.0.0.1:{port}"
        self._admin = f"http://127.0.0.1:{admin}"
        self._folder = folder
        configuration = yaml.safe_load(CONFIGURATION.read_text())
        configuration["admin"]["address"]["socket_address"]["port_value"] = admin
        (listener,) = configuration["static_resources"]["listeners"]
        listener["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        if session_seconds is not None:
            stream = manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
            stream["max_stream_duration"]["max_stream_duration"] = f"{session_seconds:g}s"
        (cluster,) = configuration["static_resources"]["clusters"]
        cluster["type"] = "STATIC"
        cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = [_endpoint(*server) for server in servers]
        self._path = folder / "envoy.yaml"
        self._path.write_text(yaml.safe_dump(configuration))

    def __enter__(self) -> Self:
        command = [
            str(program()),  # skips the test where there is none
            "-c",
            str(self._path),
            "--concurrency",
            "1",
            "--use-dynamic-base-id",
            "--log-level",
            "warn",
        ]
        self._log = (self._folder / "envoy.log").open("wb")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        try:
            wait_until(self._answers)
        except AssertionError as error:
            self.__exit__(None, None, None)
            raise AssertionError((self._folder / "envoy.log").read_text()) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._log.close()

    def hosts(self) -> Mapping[str, Mapping[str, int]]:
        """Envoy's own numbers of each server, by its gRPC address, of those it calls healthy."""
        with urlopen(f"{self._admin}/clusters?format=json", timeout=5) as answer:
            (cluster,) = json.load(answer)["cluster_statuses"]
        return {
            _written(host["address"]["socket_address"]): {
                each["name"]: int(each.get("value", 0)) for each in host["stats"]
            }
            for host in cluster["host_statuses"]
            if not set(host["health_status"]) - {"eds_health_status"}
        }

    def wait_for(self, count: int) -> None:
        """Until so many servers are healthy."""
        wait_until(lambda: len(self.hosts()) == count)

    def _answers(self) -> bool:
        assert self._process.poll() is None, "Envoy has ended"
        try:
            self.hosts()
        except OSError:
            return False
        return True


def _endpoint(grpc: str, rest: str) -> dict[str, Any]:
    host, _, port = grpc.rpartition(":")
    check = {"port_value": int(rest.rpartition(":")[2])}
    return {
        "endpoint": {
            "address": {"socket_address": {"address": host, "port_value": int(port)}},
            "health_check_config": check,
        }
    }


def _written(address: Mapping[str, Any]) -> str:
    return f"{address['address']}:{address['port_value']}"

"""Debian's Prometheus and Pushgateway as child processes."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.missing import missing
from tests.support.waiting import wait_until

LISTENING = re.compile(rb'msg="Listening on".* address=127\.0\.0\.1:(\d+)')


def program(name: str) -> str:
    """Its path; where it is not installed the test is skipped, in CI it fails."""
    path = shutil.which(name)
    if path is None:
        missing(name, "apt-get install prometheus prometheus-pushgateway")
    return path


@contextmanager
def pushgateway(*flags: str) -> Iterator[str]:
    """A Pushgateway; yields its URL."""
    command = [program("prometheus-pushgateway"), "--web.listen-address=127.0.0.1:0", *flags]
    with _running(command, LISTENING) as url:
        yield url


class Prometheus:
    """A Prometheus that scrapes the given targets every half second; use it as ``with Prometheus.start(…) as it``."""

    def __init__(self, url: str) -> None:
        self.url = url

    @classmethod
    @contextmanager
    def start(cls, folder: Path, targets: dict[str, str]) -> Iterator["Prometheus"]:
        """``targets`` maps jobs to ``host:port``; data and configuration go into ``folder``.

        Yields once every target has been scraped: Prometheus hands its targets to the scrapers only every 5 s.
        """
        jobs = [{"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()]
        config = {"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}, "scrape_configs": jobs}
        (folder / "prometheus.json").write_text(json.dumps(config))  # YAML takes in JSON
        command = [
            program("prometheus"),
            f"--config.file={folder / 'prometheus.json'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:0",
        ]
        with _running(command, LISTENING, ready=b"Server is ready") as url:
            started = cls(url)
            started.wait_for(f"count(up == 1) == {len(targets)}")
            yield started

    def wait_for(self, expression: str) -> None:
        """Until an expression has a value now."""
        wait_until(lambda: self.query(expression), pause=0.1)

    def query(self, expression: str, at: float | None = None) -> list[Any]:
        """The vector that an expression gives; raises with Prometheus's own words where it is wrong."""
        arguments = {"query": expression} if at is None else {"query": expression, "time": f"{at:.3f}"}
        return self._get("query", arguments)

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Any]:
        """The series that an expression gives between two times."""
        return self._get("query_range", {"query": expression, "start": start, "end": end, "step": step})

    def _get(self, what: str, arguments: dict[str, Any]) -> list[Any]:
        data = urllib.parse.urlencode(arguments).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{what}", data, timeout=20) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{arguments['query']}: {error.read().decode()}") from None
        result: list[Any] = answer["data"]["result"]
        return result


@contextmanager
def _running(command: Sequence[str], listening: re.Pattern[bytes], ready: bytes = b"") -> Iterator[str]:
    """A child process that says on which port it listens; yields its URL once it is ready."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        try:
            assert child.stderr is not None
            port, said = b"", b""
            for line in child.stderr:
                said += line
                found = listening.search(line)
                port = found[1] if found else port
                if port and ready in said:
                    break
            assert port, said.decode()
            yield f"http://127.0.0.1:{port.decode()}"
        finally:
            child.terminate()
            child.communicate()

"""One run of a stream: a StreamClient in a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from stream_client.client import StreamClient
from stream_client.errors import StreamClientError
from stream_client.frames import StreamInfo
from stream_client.monitoring.statistics import NamedStatistics
from stream_client.monitoring.summary import Summary
from stream_client.monitoring.verdict import Verdict, verdict
from stream_client.run_settings import Settings, make_client, run_conditions
from stream_client.util.owned_thread import OwnedThread
from stream_client.util.redact import redact
from stream_client.web.model_server import ModelServer
from stream_client.web.streams.journal import Journal, Log
from stream_client.web.streams.preview import Preview

logger = logging.getLogger(__name__)

State = Literal["starting", "running", "paused", "stopping", "stopped", "ended", "failed"]
OVER: tuple[State, ...] = ("stopped", "ended", "failed")
_LOOK_SECONDS = 0.1


class Run:
    """Starts when it is made. ``given`` are settings with real paths. Safe from any thread."""

    def __init__(self, name: str, given: Settings, server: ModelServer, folder: Path, log: Log) -> None:
        self.statistics = NamedStatistics(name)
        self.journal = Journal(folder)
        self.preview = Preview()
        self.info: StreamInfo | None = None
        """What the source is, once it is open."""
        self.problem: StreamClientError | None = None
        """Why the run failed, or what it lost."""
        self.began = time.time()
        self._given = given
        self._server = server
        self._log = log
        self._state: State = "starting"
        self._client: StreamClient | None = None
        self._lock = threading.Lock()
        self._thread = OwnedThread(self._work, f"stream {name}")
        self._thread.start()

    @property
    def state(self) -> State:
        """What it does now."""
        return self._state

    @property
    def verdict(self) -> Verdict | None:
        """What holds the run back, ``None`` while that is not known."""
        if self.info is None:
            return None
        summary = None if self._client is None else self._client.summary
        rate = None if summary is None else summary.upload_rate
        return verdict(self.statistics.snapshot(), run_conditions(self._given, self.info, rate))

    def pause(self) -> bool:
        """Take no frame until :meth:`resume`; whether the run was running."""
        return self._change("running", "paused", StreamClient.pause)

    def resume(self) -> bool:
        """Go on; whether the run was paused."""
        return self._change("paused", "running", StreamClient.resume)

    def stop(self) -> None:
        """End the run. Returns at once."""
        with self._lock:
            if self._state not in OVER:
                self._state = "stopping"
            client = self._client
        if client is not None:
            client.stop()
        self._thread.expect_end()

    def join(self) -> None:
        """Wait for the end, after :meth:`stop` for a limited time."""
        self._thread.join()

    def leave(self) -> None:
        """End the answers to those who follow the run."""
        self.journal.followers.end()
        self.preview.followers.end()

    def _change(self, of: State, to: State, how: Callable[[StreamClient], None]) -> bool:
        with self._lock:
            if self._state != of or self._client is None:
                return False
            how(self._client)
            self._state = to
        self._log.add(to)
        return True

    def _work(self) -> None:
        end: State = "ended"
        try:
            summary = self._run()
            self.problem = None if summary is None else summary.loss
        except StreamClientError as error:
            self.problem, end = error, "failed"
        except Exception as error:
            logger.exception("a stream failed")
            self.problem, end = StreamClientError(f"a fault of this program: {type(error).__name__}"), "failed"
        with self._lock:
            stopped, self._state = self._state == "stopping", end
            if stopped:
                self._state, self.problem = "stopped", None
        if self.problem is not None:
            self._log.add(self.problem)
        self._log.add(self._state)
        self.leave()

    def _run(self) -> Summary | None:
        """The run's summary; ``None`` where it was stopped before its start."""
        while not self._server.wait(_LOOK_SECONDS):
            if self._state == "stopping":
                return None
        given = self._server.complete(self._given)
        client = make_client(given, observers=(self.statistics, self._log), sinks=(self.journal, self.preview))
        client.on_start(self._on_start)
        with client:
            with self._lock:
                self._client = client
                if self._state == "stopping":
                    return None
            return client.run()

    def _on_start(self, info: StreamInfo) -> None:
        self.info = info
        with self._lock:
            if self._state == "starting":
                self._state = "running"
        rate = "" if info.frame_rate is None else f" at {float(info.frame_rate):g} frames/s"
        self._log.add(f"{redact(info.name)}: {info.width}x{info.height}{rate}")

"""One run of a stream: a StreamClient in a thread of its own."""

import time
from collections.abc import Callable
from pathlib import Path

from stream_client.client import StreamClient
from stream_client.controlled_run import ControlledRun, State
from stream_client.errors import StreamClientError
from stream_client.frames import StreamInfo
from stream_client.monitoring.statistics import NamedStatistics
from stream_client.monitoring.verdict import Verdict, verdict
from stream_client.run_settings import make_client, run_conditions
from stream_client.util.owned_thread import OwnedThread
from stream_client.util.redact import redact
from stream_client.util.settings import Settings
from stream_client.web.model_server import ModelServer
from stream_client.web.streams.journal import Journal, Log
from stream_client.web.streams.preview import Preview

_LOOK_SECONDS = 0.1


class Run:
    """Starts when it is made. ``given`` are settings with real paths. Safe from any thread."""

    def __init__(self, name: str, given: Settings, server: ModelServer, folder: Path, log: Log) -> None:
        self.statistics = NamedStatistics(name)
        self.journal = Journal(folder)
        self.preview = Preview()
        self.began = time.time()
        self._given = given
        self._server = server
        self._log = log
        self._run = ControlledRun(self._made, self._started)
        self._thread = OwnedThread(self._work, f"stream {name}")
        self._thread.start()

    @property
    def state(self) -> State:
        """What it does now."""
        return self._run.state

    @property
    def info(self) -> StreamInfo | None:
        """What the source is, once it is open."""
        return self._run.info

    @property
    def problem(self) -> StreamClientError | None:
        """Why the run failed, or what it lost."""
        return self._run.problem

    @property
    def verdict(self) -> Verdict | None:
        """What holds the run back, ``None`` while that is not known."""
        if self.info is None:
            return None
        summary = self._run.summary
        rate = None if summary is None else summary.upload_rate
        return verdict(self.statistics.snapshot(), run_conditions(self._given, self.info, rate))

    def pause(self) -> bool:
        """Take no frame until :meth:`resume`; whether the run was running."""
        return self._change("running", "paused", self._run.pause)

    def resume(self) -> bool:
        """Go on; whether the run was paused."""
        return self._change("paused", "running", self._run.resume)

    def stop(self) -> None:
        """End the run. Returns at once."""
        self._run.stop()
        self._thread.expect_end()

    def join(self) -> None:
        """Wait for the end, after :meth:`stop` for a limited time."""
        self._thread.join()

    def leave(self) -> None:
        """End the answers to those who follow the run."""
        self.journal.followers.end()
        self.preview.followers.end()

    def _change(self, of: State, to: State, change: Callable[[], None]) -> bool:
        if self.state != of:
            return False
        change()
        self._log.add(to)
        return True

    def _work(self) -> None:
        self._run.run()
        if self.problem is not None:
            self._log.add(self.problem)
        self._log.add(self.state)
        self.leave()

    def _made(self) -> StreamClient | None:
        """The client, once the model server is there; ``None`` where the run was stopped before."""
        while not self._server.wait(_LOOK_SECONDS):
            if self.state == "stopping":
                return None
        given = self._server.complete(self._given)
        return make_client(given, observers=(self.statistics, self._log), sinks=(self.journal, self.preview))

    def _started(self, info: StreamInfo) -> None:
        rate = "" if info.frame_rate is None else f" at {float(info.frame_rate):g} frames/s"
        self._log.add(f"{redact(info.name)}: {info.width}x{info.height}{rate}")

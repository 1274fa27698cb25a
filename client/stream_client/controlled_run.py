"""A run that other threads pause, resume and stop: what a stream of a fleet and one of the web application are."""

import logging
import threading
from collections.abc import Callable
from typing import Literal

from stream_client.client import StreamClient
from stream_client.errors import StreamClientError
from stream_client.frames import StreamInfo
from stream_client.monitoring.summary import Summary

logger = logging.getLogger(__name__)

State = Literal["starting", "running", "paused", "stopping", "stopped", "ended", "failed"]
OVER: tuple[State, ...] = ("stopped", "ended", "failed")


class ControlledRun:
    """Runs once, in the thread that calls :meth:`run`. Everything else is safe from any thread.

    ``make`` makes the client, in that thread; ``None``: it was stopped meanwhile. ``on_start`` is called when the run
    has started. A ``paused`` run takes no frame before :meth:`resume`.
    """

    def __init__(
        self,
        make: Callable[[], StreamClient | None],
        on_start: Callable[[StreamInfo], object],
        *,
        paused: bool = False,
    ) -> None:
        self.info: StreamInfo | None = None
        """What the source is, once it is open."""
        self.problem: StreamClientError | None = None
        """Why the run failed, or what it lost."""
        self._make = make
        self._on_start = on_start
        self._paused = paused
        self._state: State = "starting"
        self._client: StreamClient | None = None
        self._lock = threading.Lock()

    @property
    def state(self) -> State:
        """What it does now."""
        return self._state

    @property
    def summary(self) -> Summary | None:
        """How the run ended; ``None`` before, and where it never began."""
        return None if self._client is None else self._client.summary

    def run(self) -> None:
        """Run to the end. Raises nothing: :attr:`state` and :attr:`problem` say how it ended."""
        end: State = "ended"
        problem: StreamClientError | None = None
        try:
            summary = self._run()
            problem = None if summary is None else summary.loss
        except StreamClientError as error:
            problem, end = error, "failed"
        except Exception as error:
            logger.exception("a stream failed")
            problem, end = StreamClientError(f"a fault of this program: {type(error).__name__}"), "failed"
        with self._lock:
            stopped = self._state == "stopping"
            self.problem = None if stopped else problem
            self._state = "stopped" if stopped else end

    def pause(self) -> None:
        """Take no frame until :meth:`resume`. Returns at once."""
        with self._lock:
            self._paused = True
            if self._state == "running" and self._client is not None:
                self._client.pause()
                self._state = "paused"

    def resume(self) -> None:
        """Go on. Returns at once."""
        with self._lock:
            self._paused = False
            if self._state == "paused" and self._client is not None:
                self._client.resume()
                self._state = "running"

    def stop(self) -> None:
        """End the run, also before it has begun. Returns at once."""
        with self._lock:
            if self._state not in OVER:
                self._state = "stopping"
            client = self._client
        if client is not None:
            client.stop()

    def _run(self) -> Summary | None:
        client = self._make()
        if client is None:
            return None
        client.on_start(self._started)
        with client:
            with self._lock:
                self._client = client
                if self._state == "stopping":
                    return None
            return client.run()

    def _started(self, info: StreamInfo) -> None:
        self.info = info
        with self._lock:
            if self._state == "starting" and self._client is not None:
                self._state = "running"
                if self._paused:
                    self._client.pause()
                    self._state = "paused"
        self._on_start(info)

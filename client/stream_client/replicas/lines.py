"""Measures the lines to replicas, each once a second, beside the frames."""

import math
import threading
from collections.abc import Callable
from dataclasses import replace

from stream_client.replicas.pool import Replicas
from stream_client.transport.line import LineProbe, LineSample, resolve, sample


class ReplicaLines:
    """Owns a thread that measures those that are ready, on the connections that they are looked after with."""

    TIMEOUT = 1.0
    """Seconds. A stop waits for it."""

    def __init__(self, replicas: Replicas, report: Callable[[LineSample], None]) -> None:
        self._replicas = replicas
        self._report = report
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replicas' lines", daemon=True)

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; safe before :meth:`start`."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        # At once: a line that frames have filled is not seen free again.
        while True:
            for replica in self._replicas.ready():
                if self._ended.is_set():
                    return
                found = sample(replica.channel, resolve(replica.address), self.TIMEOUT)
                if not math.isnan(found.request):
                    self._report(replace(found, server=replica.address))
            if self._ended.wait(LineProbe.INTERVAL):
                return

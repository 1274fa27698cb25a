"""The line of JSON that OVMS's demo client prints with ``--benchmark``, with correct values."""

import json
import math
import time

from stream_client.frames import Stamps
from stream_client.monitoring.observer import Observer
from stream_client.monitoring.summary import Summary


class DemoTotals(Observer):
    """Adds up what the line needs, over the whole run."""

    def __init__(self) -> None:
        self._round_trips = 0.0
        self._last_sent = math.nan

    def delivered(self, stamps: Stamps) -> None:
        """Add the time between sending and answer."""
        self._round_trips += stamps.received - stamps.sent

    def bytes_sent(self, count: int) -> None:
        """A frame was sent."""
        self._last_sent = time.monotonic()

    def line(self, summary: Summary) -> str:
        """The line, after the run; times in seconds.

        ``average_inference_latency``: mean from sending a frame to its answer. ``dropped_frames``: frames of the source
        without a result, except those at the run's end. ``frames``: results. ``total_time``: from the first frame to
        the last output's end; starting a server or opening a source is not in it. ``sent_all_frames``: until the last
        frame was sent. ``fps``: frames by total time.
        """
        ledger = summary.ledger
        lost = {**ledger.dropped, "failed": sum(ledger.failed.values()) - ledger.failed.get("stopped", 0)}
        lost.pop("stopped", None)
        sent = None if math.isnan(self._last_sent) else self._last_sent - summary.started
        values = {
            "average_inference_latency": self._round_trips / ledger.delivered if ledger.delivered else None,
            "dropped_frames": sum(lost.values()),
            "frames": ledger.delivered,
            "fps": ledger.delivered / summary.seconds if summary.seconds else 0.0,
            "total_time": summary.seconds,
            "sent_all_frames": sent,
        }
        return json.dumps(values)

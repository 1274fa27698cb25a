"""What a run reports while it goes on, for metrics, benchmark and progress."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from stream_client.frames import Result, Stamps
from stream_client.monitoring.budget import BudgetSnapshot
from stream_client.monitoring.events import EventsSnapshot
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.outputs import OutputSnapshot
from stream_client.replicas.snapshot import ReplicaSnapshot
from stream_client.transport.line import LineSample

ConnectionState = Literal["connecting", "live", "lost", "ended"]


@dataclass(frozen=True, slots=True)
class FlowSnapshot:
    """Counts of frames at one moment: sent and unanswered, allowed, waiting to be sent, waiting in sinks."""

    in_flight: int
    window: int
    queued: int
    sink_queues: Mapping[str, int] = field(default_factory=dict)


class Observer:
    """Hears what happens in a run; each method does nothing until a subclass overrides it.

    The run's threads call it, some of them with the run's lock held: each call must be cheap and must not block.
    Frames that are dropped, fail or are sent again are not reported one by one: the ledger counts them.
    """

    def started(self, stream: str, model: str, ledger: Callable[[], LedgerSnapshot], /) -> None:
        """A run begins: the names of source and servable, and the counts of its frames at any later moment.

        Connections may have reported states before. Do not call ``ledger`` with a lock held that another method of
        the observer takes.
        """

    def outputs(self, read: Callable[[], Mapping[str, OutputSnapshot]], /) -> None:
        """A run begins: ``read`` gives the counts of its outputs, by name, at any later moment."""

    def replicas(self, read: Callable[[], Sequence[ReplicaSnapshot]], /) -> None:
        """A run begins: ``read`` gives its replicas, none where there is one server, at any later moment."""

    def share(self, read: Callable[[], float | None], /) -> None:
        """A run with others at its server begins: ``read`` gives its part of the server's recent time, 0…1."""

    def events(self, read: Callable[[], EventsSnapshot], /) -> None:
        """A run begins: ``read`` gives the counts of its events at any later moment."""

    def budget(self, read: Callable[[], BudgetSnapshot], /) -> None:
        """A run with a latency budget begins: ``read`` gives what it asks of the server at any later moment."""

    def source_read(self, seconds: float, /) -> None:
        """Seconds between taking the previous frame and receiving this one."""

    def entered(self) -> None:
        """A frame came out of the source."""

    def delivered(self, stamps: Stamps, /) -> None:
        """A result was handed to the sinks."""

    def reused(self, stamps: Stamps, /) -> None:
        """A frame that was not sent was handed to the sinks, with the result before it. It passed no stage."""

    def bytes_sent(self, count: int, /) -> None:
        """A request of ``count`` bytes was handed to the transport."""

    def bytes_received(self, count: int, /) -> None:
        """An answer of ``count`` bytes came."""

    def line_measured(self, sample: LineSample, /) -> None:
        """The line to the server was measured: before the first frame, and once a second beside them."""

    def sink_written(self, sink: str, waited: float, seconds: float, /) -> None:
        """A sink took a result in ``seconds``, which had ``waited`` seconds for it since its delivery."""

    def result_written(self, sink: str, result: Result, began: float, ended: float, /) -> None:
        """The same, with the result itself, and when the sink began and ended, by :func:`time.monotonic`."""

    def gauges(self, snapshot: FlowSnapshot, /) -> None:
        """Frames moved: the counts after that."""

    def state(self, connection: str, state: ConnectionState, /) -> None:
        """``"source"``, ``"server"`` or a sink changed its state."""


class Observers(Observer):
    """Passes each call on to those of ``observers`` that override its method."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        for name, default in vars(Observer).items():
            if not name.startswith("_"):
                calls = [getattr(each, name) for each in observers if getattr(type(each), name) is not default]
                setattr(self, name, calls[0] if len(calls) == 1 else _all(calls))


def _all(calls: Sequence[Callable[..., None]]) -> Callable[..., None]:
    def call(*arguments: object) -> None:
        for each in calls:
            each(*arguments)

    return call

"""How a run ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream_client.errors import SinkError, StreamClientError
from stream_client.frames import StreamInfo
from stream_client.monitoring.budget import BudgetSnapshot
from stream_client.monitoring.connections import ConnectionSummary
from stream_client.monitoring.events import EventsSnapshot
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.outputs import OutputSnapshot
from stream_client.transport.servable import Servable


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended. ``info`` and ``servable`` are ``None`` when it failed before it knew them.

    ``started`` is :func:`time.monotonic` when everything was open and frames began to flow; ``seconds`` is from
    then until every output was closed. ``upload_rate``: most bytes a second that the network took, ``None`` where the
    transport does not know. ``outputs``: what became of the frames at each of them, by its name. ``events``:
    how many were found, and what became of their messages. ``budget``: what was asked of the server at the end,
    ``None`` without a latency budget.
    """

    ledger: LedgerSnapshot
    info: StreamInfo | None
    servable: Servable | None
    last_failure: StreamClientError | None
    started: float = 0.0
    seconds: float = 0.0
    connections: Mapping[str, ConnectionSummary] = field(default_factory=dict)
    upload_rate: float | None = None
    outputs: Mapping[str, OutputSnapshot] = field(default_factory=dict)
    events: EventsSnapshot = field(default_factory=EventsSnapshot)
    budget: BudgetSnapshot | None = None

    @property
    def output_problems(self) -> Mapping[str, str]:
        """Outputs that took no frame, or were away at the end, each with the reason."""
        problems = {name: output.problem() for name, output in self.outputs.items()}
        return {name: problem for name, problem in problems.items() if problem is not None}

    @property
    def loss(self) -> StreamClientError | None:
        """What a run that came to its end lost all the same; ``None`` when it did what it was for.

        Each output has to take frames, and be there at the end. The run has to deliver something, and every frame of a
        file that it took, but for those that a stop cut off.
        """
        problems = self.output_problems
        if problems:
            return SinkError("; ".join(f"{name} {problem}" for name, problem in problems.items()))
        ledger = self.ledger
        if not ledger.delivered:
            return self.last_failure or StreamClientError("nothing was delivered: the summary says what became of it")
        failed = sum(count for reason, count in ledger.failed.items() if reason != "stopped")
        if failed and self.info is not None and not self.info.live:
            return StreamClientError(f"the output lacks {failed} frame{'' if failed == 1 else 's'} of {self.info.name}")
        return None

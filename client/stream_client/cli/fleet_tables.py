"""What the streams of a fleet do, as tables."""

from collections.abc import Sequence

from stream_client.fleet.cluster.fleet import ClusterFleet
from stream_client.fleet.cluster.supervisor import PlacedStatus
from stream_client.fleet.fleet import Fleet
from stream_client.fleet.supervised import StreamStatus
from stream_client.fleet.workers import WorkerFleet
from stream_client.util.table import table

AnyFleet = Fleet | WorkerFleet | ClusterFleet


def fleet_table(fleet: AnyFleet) -> str:
    """A row for each stream of a fleet that runs here."""
    if isinstance(fleet, ClusterFleet):
        return cluster_table(fleet.placed())
    return status_table(fleet.status())


def cluster_table(streams: Sequence[PlacedStatus]) -> str:
    """A row for each stream, by node; those that wait for one come first."""
    header = (
        "node",
        "stream",
        "state",
        "frames/s",
        "latency ms",
        "cores",
        "delivered",
        "placed",
        "restarts",
        "problem",
    )
    rows = []
    for each in sorted(streams, key=lambda each: (each.node, each.status.name)):
        status = each.status
        row = (
            *(f"{each.address} {each.node[:8]}" if each.node else "-", status.name, state_of(status)),
            f"{status.rate:.1f}",
            "-" if status.latency is None else f"{1000 * status.latency:.0f}",
            "-" if each.cores is None else f"{each.cores:.2f}",
            *(str(number) for number in (status.delivered, each.epoch, status.restarts)),
            status.problem[:160],
        )
        rows.append(row)
    return table(header, rows)


def status_table(streams: Sequence[StreamStatus]) -> str:
    """A row for each stream. ``share`` is of the server's recent time for all streams of a process."""
    header = (
        *("stream", "state", "frames/s", "latency ms", "delivered", "dropped", "failed", "share", "restarts"),
        "problem",
    )
    rows = [
        (
            *(each.name, state_of(each), f"{each.rate:.1f}"),
            "-" if each.latency is None else f"{1000 * each.latency:.0f}",
            *(str(number) for number in (each.delivered, each.dropped, each.failed)),
            "-" if each.share is None else f"{each.share:.0%}",
            str(each.restarts),
            each.problem[:80],
        )
        for each in streams
    ]
    return table(header, rows)


def state_of(stream: StreamStatus) -> str:
    """What it does, and what it waits for."""
    return f"{stream.state}, waits for {stream.waits_for}" if stream.waits_for else stream.state

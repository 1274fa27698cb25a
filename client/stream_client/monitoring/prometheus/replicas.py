"""The replicas of a run's server as families of Prometheus metrics."""

from collections.abc import Callable, Iterator, Sequence
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, StateSetMetricFamily

from stream_client.replicas.snapshot import ReplicaSnapshot, ReplicaState

_LABELS = ("stream", "model", "replica")
_STATES: tuple[ReplicaState, ...] = get_args(ReplicaState)


def replica_families(runs: Sequence[tuple[Sequence[str], Sequence[ReplicaSnapshot]]]) -> Iterator[Metric]:
    """``runs``: the names of stream and model, and the replicas."""
    each = [([*names, replica.address], replica) for names, replicas in runs for replica in replicas]
    requests = CounterMetricFamily(
        "stream_client_replica_requests",
        "Requests to a replica, by what became of them; moved: another replica had them, or the session, in the end.",
        labels=(*_LABELS, "outcome"),
    )
    times = GaugeMetricFamily(
        "stream_client_replica_request_seconds",
        "Quantiles of a replica's recent times for a request.",
        labels=(*_LABELS, "quantile"),
    )
    states = StateSetMetricFamily("stream_client_replica_state", "Whether a replica can be used.", labels=_LABELS)
    for labels, replica in each:
        for outcome in ("answered", "failed", "moved"):
            requests.add_metric([*labels, outcome], getattr(replica, outcome))
        for quantile, seconds in (("0.5", replica.p50), ("0.95", replica.p95)):
            if seconds is not None:
                times.add_metric([*labels, quantile], seconds)
        states.add_metric(labels, {state: state == replica.state for state in _STATES})
    yield from (requests, times, states)
    value: Callable[[ReplicaSnapshot], float]
    for name, help_text, value in (
        ("in_flight_requests", "Requests without an answer.", lambda replica: replica.in_flight),
        ("sessions", "Streaming sessions that live there.", lambda replica: replica.sessions),
        ("slow", "1: it is slow, or fails, and gets copies only.", lambda replica: replica.slow),
    ):
        family = GaugeMetricFamily(f"stream_client_replica_{name}", help_text, labels=_LABELS)
        for labels, replica in each:
            family.add_metric(labels, value(replica))
        yield family

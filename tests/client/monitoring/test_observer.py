"""Several observers as one."""

from collections.abc import Callable

from stream_client.monitoring.budget import BudgetSnapshot
from stream_client.monitoring.events import EventsSnapshot
from stream_client.monitoring.ledger import LedgerSnapshot
from stream_client.monitoring.observer import ConnectionState, FlowSnapshot, Observer, Observers
from stream_client.transport.line import LineSample

CALLS: dict[str, tuple[object, ...]] = {
    "started": ("camera", "graph", LedgerSnapshot),
    "outputs": (dict,),
    "replicas": (tuple,),
    "events": (EventsSnapshot,),
    "share": (lambda: 0.5,),
    "budget": (lambda: BudgetSnapshot(0.025, 0.02, (640, 360)),),
    "source_read": (0.1,),
    "entered": (),
    "delivered": (None,),
    "reused": (None,),
    "bytes_sent": (1,),
    "bytes_received": (2,),
    "line_measured": (LineSample(0.1, 0.01),),
    "sink_written": ("screen", 0.1, 0.2),
    "result_written": ("screen", None, 0.1, 0.3),
    "gauges": (FlowSnapshot(in_flight=0, window=1, queued=0),),
    "state": ("server", "live"),
}
METHODS = [name for name in vars(Observer) if not name.startswith("_")]


class States(Observer):
    """Overrides one method."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, ConnectionState]] = []

    def state(self, connection: str, state: ConnectionState) -> None:
        self.seen.append((connection, state))


def recording() -> tuple[Observer, list[str]]:
    """An observer that overrides every method, and the names of its calls."""
    seen: list[str] = []

    def method(name: str) -> Callable[..., None]:
        return lambda self, *arguments: seen.append(name)

    kind: type[Observer] = type("Recording", (Observer,), {name: method(name) for name in METHODS})
    return kind(), seen


def test_every_call_reaches_every_observer() -> None:
    pairs = [recording(), recording()]
    observers = Observers([observer for observer, _ in pairs])
    for name in METHODS:
        getattr(observers, name)(*CALLS[name])
    assert [seen for _, seen in pairs] == [METHODS, METHODS]


def test_an_observer_hears_only_what_it_overrides_beside_one_that_hears_all() -> None:
    states, (everything, seen) = States(), recording()
    observers = Observers([states, everything])
    observers.state("server", "live")
    observers.entered()
    assert states.seen == [("server", "live")]
    assert seen == ["state", "entered"]


def test_the_calls_of_a_single_observer_are_its_own_methods() -> None:
    states = States()
    assert Observers([states]).state == states.state


def test_without_observers_nothing_happens() -> None:
    observers = Observers([])
    for name in METHODS:
        getattr(observers, name)(*CALLS[name])

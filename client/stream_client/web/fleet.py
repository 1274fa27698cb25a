"""``/api/fleet``: a fleet on this machine, shown and steered by its file of states."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel

from stream_client.errors import ConfigurationError
from stream_client.fleet.plan import StreamPlan, check_stream, read_plans
from stream_client.fleet.states import FleetStates, Wanted, states_file
from stream_client.web.state import State

_ACTIONS: dict[str, Wanted] = {"pause": "paused", "resume": "run", "remove": "removed"}


class FleetStream(BaseModel):
    """A stream of the fleet's file. ``state`` is empty where no fleet runs it; counts are of its newest run.

    ``rate`` is of delivered frames a second, ``latency_ms`` the median. ``problem`` says why its last run failed.
    """

    name: str
    wanted: Literal["run", "paused", "removed"]
    state: str = ""
    delivered: int = 0
    dropped: int = 0
    failed: int = 0
    rate: float = 0.0
    latency_ms: float | None = None
    restarts: int = 0
    problem: str = ""


class FleetValue(BaseModel):
    """The fleet now: whether it runs, and its streams."""

    runs: bool
    streams: list[FleetStream]


def router(state: State) -> APIRouter:
    """The routes. Their handlers wait, so they run in threads."""
    made = APIRouter(prefix="/api/fleet", tags=["fleet"])

    @made.get("", responses={400: {"description": "no fleet is named, or its file cannot work"}})
    def fleet() -> FleetValue:
        """What the fleet's streams do."""
        with _opened(state) as (plans, states):
            return _value(plans, states)

    @made.post("/{name}/{action}", responses={400: {"description": "there is no such stream"}})
    def steer(name: Annotated[str, Path(max_length=100)], action: Literal["pause", "resume", "remove"]) -> FleetValue:
        """Pause, resume or remove a stream. The fleet does it within a second, or when it starts."""
        with _opened(state) as (plans, states):
            check_stream(name, plans)
            states.want(name, _ACTIONS[action])
            return _value(plans, states)

    return made


@contextmanager
def _opened(state: State) -> Iterator[tuple[tuple[StreamPlan, ...], FleetStates]]:
    path = state.options.fleet
    if path is None:
        raise ConfigurationError("no fleet is shown: start the application with fleet", option="fleet")
    with FleetStates(states_file(path)) as states:
        yield read_plans(path), states


def _value(plans: tuple[StreamPlan, ...], states: FleetStates) -> FleetValue:
    wanted, status = states.wanted(), states.status_now()
    known = {each.name: each for each in status or ()}
    streams = []
    for plan in plans:
        found = FleetStream(name=plan.name, wanted=wanted.get(plan.name, "run"))
        now = known.get(plan.name)
        if now is not None:
            found.state, found.problem, found.restarts = now.state, now.problem, now.restarts
            found.delivered, found.dropped, found.failed = now.delivered, now.dropped, now.failed
            found.rate = round(now.rate, 2)
            found.latency_ms = None if now.latency is None else round(1000 * now.latency, 2)
        streams.append(found)
    return FleetValue(runs=status is not None, streams=streams)

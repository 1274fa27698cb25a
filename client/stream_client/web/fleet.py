"""``/api/fleet``: a fleet on this machine, shown and steered by its file of states, and added to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel

from stream_client.errors import ConfigurationError
from stream_client.fleet.additions import add_stream
from stream_client.fleet.plan import StreamPlan, check_stream, read_plans
from stream_client.fleet.states import FleetStates, Wanted, states_file
from stream_client.fleet.supervised import StreamStatus
from stream_client.run_settings import check_settings
from stream_client.util.settings import Settings
from stream_client.web.state import State
from stream_client.web.streams.form import StreamRequest

_ACTIONS: dict[str, Wanted] = {"pause": "paused", "resume": "run", "remove": "removed"}
_Name = Annotated[str, PathParameter(max_length=100)]


class FleetLabel(BaseModel):
    """The newest label, with its score in 0…1."""

    name: str
    score: float


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
    label: FleetLabel | None = None
    restarts: int = 0
    problem: str = ""


class FleetValue(BaseModel):
    """The fleet now: whether it runs, and its streams."""

    runs: bool
    streams: list[FleetStream]


def router(state: State) -> APIRouter:
    """The routes. Their handlers wait, so they run in threads."""
    made = APIRouter(prefix="/api/fleet", tags=["fleet"])
    writing = threading.Lock()

    @made.get("", responses={400: {"description": "no fleet is named, or its file cannot work"}})
    def fleet() -> FleetValue:
        """What the fleet's streams do."""
        with _opened(state) as (plans, states):
            return _value(plans, states)

    @made.post(
        "",
        status_code=201,
        responses={
            400: {"description": "settings that cannot work; `option` names the one to look at"},
            503: {"description": "the fleet's file cannot be written"},
        },
    )
    def add(request: StreamRequest) -> FleetValue:
        """Add a stream to the fleet's file, under `name`. The fleet starts it within a second, or when it starts.

        The file's defaults hold for what is not given. Names of outputs are below `media_dir`.
        """
        if not request.name:
            raise ConfigurationError("a stream of a fleet needs a name", option="name")
        given = request.given()
        resolved = state.places.resolve(given, None)
        _check_lasting(resolved, state)
        check_settings(resolved)
        with writing:
            add_stream(_file(state), request.name, {name: resolved[name] for name in given})
        with _opened(state) as (plans, states):
            states.want(request.name, "run")
            return _value(plans, states)

    @made.post("/{name}/{action}", responses={400: {"description": "there is no such stream"}})
    def steer(name: _Name, action: Literal["pause", "resume", "remove"]) -> FleetValue:
        """Pause, resume or remove a stream. The fleet does it within a second, or when it starts."""
        with _opened(state) as (plans, states):
            check_stream(name, plans)
            states.want(name, _ACTIONS[action])
            return _value(plans, states)

    @made.get(
        "/{name}/frame.jpg",
        response_class=Response,
        responses={
            200: {"content": {"image/jpeg": {}}},
            400: {"description": "there is no such stream"},
            404: {"description": "there is no frame yet"},
        },
    )
    def frame(name: _Name) -> Response:
        """A stream's frame of the last second. The fleet makes them for some seconds after each request."""
        with _opened(state) as (plans, states):
            check_stream(name, plans)
            jpeg = states.look(name)
        if jpeg is None:
            raise HTTPException(404, "there is no frame yet: ask again in a second")
        return Response(jpeg, media_type="image/jpeg")

    return made


def _file(state: State) -> Path:
    if state.options.fleet is None:
        raise ConfigurationError("no fleet is shown: start the application with fleet", option="fleet")
    return state.options.fleet


@contextmanager
def _opened(state: State) -> Iterator[tuple[tuple[StreamPlan, ...], FleetStates]]:
    path = _file(state)
    with FleetStates(states_file(path)) as states:
        yield read_plans(path), states


def _check_lasting(resolved: Settings, state: State) -> None:
    """A fleet outlives the application, and refuses to start when a file of its streams is missing."""
    if state.options.data_dir is not None:
        return
    for option, folder in (("input_stream", state.folders.uploads), ("classifier", state.folders.classifiers)):
        if Path(str(resolved.get(option))).is_relative_to(folder):
            raise ConfigurationError(
                "that file goes with the application: start it with data_dir, or name a file of media_dir",
                option=option,
            )


def _value(plans: tuple[StreamPlan, ...], states: FleetStates) -> FleetValue:
    wanted, status = states.wanted(), states.status_now()
    known = {each.name: each for each in status or ()}
    streams = [_stream(plan.name, wanted.get(plan.name, "run"), known.get(plan.name)) for plan in plans]
    return FleetValue(runs=status is not None, streams=streams)


def _stream(name: str, wanted: Wanted, now: StreamStatus | None) -> FleetStream:
    if now is None:
        return FleetStream(name=name, wanted=wanted)
    return FleetStream(
        name=name,
        wanted=wanted,
        state=now.state,
        delivered=now.delivered,
        dropped=now.dropped,
        failed=now.failed,
        rate=round(now.rate, 2),
        latency_ms=None if now.latency is None else round(1000 * now.latency, 2),
        label=None if now.label is None or now.score is None else FleetLabel(name=now.label, score=now.score),
        restarts=now.restarts,
        problem=now.problem,
    )

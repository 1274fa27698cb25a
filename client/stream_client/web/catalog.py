"""``/api/servables``, ``/api/classifiers`` and ``/api/sessions``: what there is."""

from contextlib import suppress
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel

from stream_client.errors import ConnectError, StreamClientError
from stream_client.processing.labels import read_label_names
from stream_client.transport.connection import Connection
from stream_client.transport.options import TransportOptions
from stream_client.transport.servable import KNOWN_GRAPHS, LANDMARK_GRAPH, PERSON_GRAPH, ControlPlane
from stream_client.web.state import State

_SCHEMA = "schema.json"
_MOST = 200


class ServableValue(BaseModel):
    """A graph or model of the model server; ``labels`` are its label names, where they are known."""

    name: str
    labels: list[str]


class ClassifierValue(BaseModel):
    """A classifier for landmarks, by the name that ``classifier`` of a stream takes."""

    name: str
    labels: list[str]


class SessionValue(BaseModel):
    """A live session: its way in, the other side's address, its start in seconds since 1970, its counts of frames."""

    id: str
    kind: str
    peer: str
    since: float
    counts: dict[str, int]


def router(state: State) -> APIRouter:
    """The routes."""
    made = APIRouter(prefix="/api", tags=["catalog"])

    @made.get("/servables", responses={503: {"description": "the model server cannot be reached"}})
    def servables() -> list[ServableValue]:
        """What the model server serves. Of a server that keeps no list: the usual graphs that it has."""
        names = state.server.servables or usual_graphs(state.server.transport())
        labels = state.server.label_files
        return [
            ServableValue(name=name, labels=list(read_label_names(labels[name])) if name in labels else [])
            for name in names
        ]

    @made.get("/classifiers")
    def classifiers() -> list[ClassifierValue]:
        """The classifiers that were taught here, and those below `media_dir`."""
        media = state.options.media_dir
        found = [(path.name, path) for path in _models(state.folders.classifiers)]
        found += [] if media is None else [(path.name, path) for path in _models(media)]
        return [ClassifierValue(name=name, labels=_labels(path)) for name, path in found[:_MOST]]

    @made.get("/sessions")
    def sessions() -> list[SessionValue]:
        """The live sessions that are open."""
        return [
            SessionValue(id=each.id, kind=each.kind, peer=each.peer, since=each.since, counts=dict(each.counts))
            for each in state.sessions.all()
        ]

    return made


def usual_graphs(options: TransportOptions) -> tuple[str, ...]:
    """Those of the usual graphs that a server has, or the first replica that answers; raises :class:`.ConnectError`."""
    *others, last = options.singly()
    for each in others:
        with suppress(ConnectError):
            return _usual_graphs(each)
    return _usual_graphs(last)


def _usual_graphs(options: TransportOptions) -> tuple[str, ...]:
    connection = Connection(options)
    try:
        control = ControlPlane(connection.open(), options.address)
        return tuple(name for name in (*KNOWN_GRAPHS, LANDMARK_GRAPH, PERSON_GRAPH) if control.has(name))
    finally:
        connection.close()


def _models(folder: Path) -> list[Path]:
    """Model directories in ``folder``: those with a schema, of their own or of a version."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and _schemas(path))
    except OSError:
        return []


def _schemas(path: Path) -> bool:
    return (path / _SCHEMA).is_file() or any(path.glob(f"[0-9]*/{_SCHEMA}"))


def _labels(path: Path) -> list[str]:
    files = [path / "labels.txt", *sorted(path.glob("[0-9]*/labels.txt"), reverse=True)]
    for file in files:
        with suppress(OSError, StreamClientError):
            return list(read_label_names(file))
    return []

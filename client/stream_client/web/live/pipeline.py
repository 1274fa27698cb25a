"""One run of a live session. When the user changes something, the next one takes over."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from stream_client.aio import AsyncStreamClient
from stream_client.classify.factory import open_classifier
from stream_client.frames import Image, Result
from stream_client.monitoring.statistics import Statistics
from stream_client.monitoring.verdict import Conditions, verdict
from stream_client.options import ClassifierOptions, RunOptions
from stream_client.processing.labels import read_label_names
from stream_client.processing.results import LandmarkClassifier, annotated
from stream_client.transport.servable import LANDMARK_GRAPH
from stream_client.web.live.camera import BrowserCamera
from stream_client.web.live.messages import result_message
from stream_client.web.state import State

Draw = Callable[[Image, float], bytes]
"""Takes a drawn frame and when it was captured, in ms since 1970. What it returns goes with the frame's result."""
_MOST_TIMES = 1024
"""Frames whose times are kept. Fewer are under way; a server that is away answers none."""
_Name = Annotated[str, Field(max_length=200)]


class LiveSettings(BaseModel):
    """What a user may change while a session runs. ``smoothing`` of the classifier's probabilities, in seconds;
    ``video``: the server draws and sends the frame back.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_name: _Name = LANDMARK_GRAPH
    classifier: _Name | None = None
    smoothing: Annotated[float, Field(ge=0, le=10)] | None = None
    video: bool = False
    max_side: Annotated[int, Field(ge=16, le=4096)] | None = None


class LivePipeline:
    """A client whose source is a browser's camera. Made in a thread, since it reads files and waits for the server.

    ``on_result`` is called for each result, and ``draw`` for each frame where ``video`` is wanted, in a thread.

    Raises :class:`~stream_client.errors.StreamClientError`.
    """

    def __init__(self, state: State, settings: LiveSettings, on_result: Callable[[Result], None], draw: Draw) -> None:
        self.settings = settings
        self._on_result = on_result
        self._draw = draw
        self.camera = BrowserCamera("camera of a browser")
        self.statistics = Statistics()
        self._lock = threading.Lock()
        self._captured: dict[int, float] = {}
        classifier: LandmarkClassifier | None = None
        if settings.classifier:
            options = ClassifierOptions(classifier=state.places.classifier(settings.classifier))
            classifier = open_classifier(options, smoothing=settings.smoothing)
        labels = state.server.label_files.get(settings.model_name)
        self._client = AsyncStreamClient(
            self.camera,
            (),
            state.server.transport(model_name=settings.model_name),
            options=RunOptions(stop_timeout=0.5, drop_policy="latest", max_side=settings.max_side),
            classifier=classifier,
            label_names=None if labels is None or classifier is not None else read_label_names(labels),
            postprocess=annotated if settings.video else _as_it_is,
            observers=(self.statistics,),
            pictures=settings.video,  # else nothing is drawn or decoded for show
        )

    def put(self, number: int, captured: float, image: Image) -> None:
        """Give a frame; see :class:`.SentFrame`."""
        with self._lock:
            self._captured[number] = captured
            if len(self._captured) > _MOST_TIMES:
                del self._captured[next(iter(self._captured))]
        self.camera.put(number, captured, image)

    async def messages(self) -> AsyncIterator[bytes]:
        """The message of each result. Raises the error that ended the run."""
        async for result in self._client:
            yield await asyncio.to_thread(self._message, result)

    @property
    def server_state(self) -> str:
        """The state of the connection to the model server: connecting, live, lost or ended."""
        server = self._client.client.connections.get("server")
        return "connecting" if server is None else server.state

    def dropped(self) -> int:
        """Frames that came and were left out, since newer ones were there."""
        return sum(self.statistics.snapshot().ledger.dropped.values())

    def verdict(self, image: tuple[int, int]) -> str:
        """What holds the session back, in a sentence; empty while that is not known."""
        found = verdict(self.statistics.snapshot(), Conditions(*image, adaptive=True, live=True))
        return "" if found is None else found.sentence

    def finish(self) -> None:
        """Take no more frames; the results of those inside still come."""
        self.camera.close()

    async def close(self) -> None:
        """End the run and everything that it started."""
        self.camera.close()
        await self._client.close()

    def _message(self, result: Result) -> bytes:
        number = self.camera.first + result.frame.index
        with self._lock:
            captured = self._captured.get(number, result.frame.timestamp / 1000)
            # Frames before this one were dropped: results come in frame order.
            self._captured = {each: when for each, when in self._captured.items() if each > number}
        self._on_result(result)
        drawn = self._draw(result.image, captured) if self.settings.video else None
        return result_message(result, number, captured, drawn)


def _as_it_is(result: Result) -> Image:
    return result.image

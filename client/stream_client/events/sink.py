"""The sink that finds events in a stream and hands them on."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image as PillowImage

from stream_client.errors import SinkError
from stream_client.events.clips import Clips, Finished
from stream_client.events.event import Event, message
from stream_client.events.machines import open_machine
from stream_client.events.outputs.base import EventOutput
from stream_client.events.outputs.delivery import Delivery
from stream_client.events.rules import Rule, needs_landmarks
from stream_client.events.scene import scene_of
from stream_client.frames import Result, StreamInfo
from stream_client.monitoring.events import EventsSnapshot, together
from stream_client.util.stream_names import stream_name

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 0.8
"""For each message that waits at the end. Ctrl-C ends a run within two seconds."""


@dataclass(slots=True)
class _Open:
    """An event whose end or clip is still to come."""

    event: Event
    clock: float
    snapshot: str | None
    clip: str | None


class EventsSink:
    """Applies ``rules`` to each result and sends events to ``outputs``.

    Snapshots go to ``folder``, clips where ``clips`` writes them. ``stream`` is the stream's name in messages. A slow
    or lost receiver never holds the stream up.
    """

    name = "events"

    def __init__(
        self,
        rules: Sequence[Rule],
        outputs: Sequence[EventOutput],
        *,
        folder: Path,
        clips: Clips | None = None,
        stream: str | None = None,
    ) -> None:
        self._rules = tuple(rules)
        self._machines = [open_machine(rule) for rule in rules]
        self.needs_landmarks = needs_landmarks(rules)
        self._folder = folder
        self._clips = clips
        self._stream = None if stream is None else stream_name(stream)
        self._info: StreamInfo | None = None
        self._deliveries = [Delivery(output) for output in outputs]
        self._events: dict[str, _Open] = {}
        self._frame = self._time = 0
        self._snapshots_failed = False
        self._found = {rule.name: 0 for rule in rules}

    def event_counts(self) -> EventsSnapshot:
        """Events of each rule, and messages at each output, so far."""
        outputs = (EventsSnapshot(messages={each.name: each.counts}) for each in self._deliveries)
        return together([EventsSnapshot(dict(self._found)), *outputs])

    def open(self, info: StreamInfo) -> None:
        """Make the folder and open the outputs."""
        self._info = info
        self._stream = self._stream or stream_name(info.name)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SinkError(f"cannot make {self._folder}: {error.strerror}", option="events_dir") from error
        for delivery in self._deliveries:
            delivery.start(self._stream, self._rules)

    def write(self, result: Result) -> bool:
        """Find the events that begin or end with a result."""
        assert self._info is not None
        self._frame = result.frame.index
        if self._clips is not None:
            self._send_clips(self._clips.add(result, self._info))
        scene = scene_of(result)
        self._time = scene.time
        for machine in self._machines:
            for event in machine.update(scene):
                if event.phase == "end":
                    self._end(event)
                else:
                    self._begin(event, result)
        return True

    def close(self) -> None:
        """End what lasts, finish the clips, and deliver what waits, for a short time."""
        for machine in self._machines:
            for event in machine.finish(self._time):
                self._end(event)
        if self._clips is not None:
            self._send_clips(self._clips.close())
        for delivery in self._deliveries:
            delivery.finish(_FLUSH_SECONDS)
        for delivery in self._deliveries:
            delivery.join()
        self._machines = []

    def _begin(self, event: Event, result: Result) -> None:
        self._found[event.rule] += 1
        frame = result.frame
        captured = frame.capture_time
        clock = captured / 1e6 if captured is not None else time.time() - (time.monotonic() - frame.captured)
        clip = None if self._clips is None else self._clips.begin(event.id)
        known = _Open(event, clock, self._snapshot(event, result), None if clip is None else str(clip))
        self._send(known)
        if event.phase == "moment" and self._clips is not None:
            self._clips.end(event.id)
        if event.phase == "begin" or clip is not None:
            self._events[event.id] = known

    def _end(self, event: Event) -> None:
        known = self._events[event.id]
        known.event = event
        self._send(known)
        if self._clips is not None and known.clip is not None:
            self._clips.end(event.id)
        else:
            del self._events[event.id]

    def _send_clips(self, complete: Sequence[Finished]) -> None:
        for number, path in complete:
            known = self._events[number]
            lasts = known.event.phase == "begin"
            if path is not None:
                self._send(replace(known, event=replace(known.event, phase="clip")))
            if lasts:
                known.clip = None  # longer than its clip: its end follows
            else:
                del self._events[number]

    def _send(self, known: _Open) -> None:
        assert self._stream is not None
        row = message(
            known.event,
            stream=self._stream,
            frame=self._frame,
            clock=known.clock,
            snapshot=known.snapshot,
            clip=known.clip,
        )
        for delivery in self._deliveries:
            delivery.put(row)

    def _snapshot(self, event: Event, result: Result) -> str | None:
        path = self._folder / f"{event.id}.jpg"
        try:
            PillowImage.fromarray(result.image).save(path, quality=85)
        except OSError as error:
            if not self._snapshots_failed:
                logger.warning("an event has no snapshot: %s", error)
            self._snapshots_failed = True
            return None
        return str(path)

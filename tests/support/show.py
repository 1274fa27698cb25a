"""A live show for a publishing sink."""

import threading
import time
from collections.abc import Callable

import numpy as np

from stream_client.frames import Frame, Image, Result, StreamInfo
from stream_client.monitoring.observer import ConnectionState
from stream_client.publishing.publisher import PublishingSink
from tests.support.claps import Tones
from tests.support.video import picture


def result(image: Image, index: int = 0) -> Result:
    return Result(Frame(index, index, image, 0.0), image, time=index / 30)


class Show:
    """A live show: feeds a sink with pictures, 30 a second, from a thread; ``None`` feeds nothing.

    ``image`` may be a function of the frame's number.
    """

    def __init__(
        self,
        sink: PublishingSink,
        image: Image | Callable[[int], Image] | None = None,
        tones: Tones | None = None,
    ) -> None:
        self.sink = sink
        self.tones = tones
        self.image: Image | Callable[[int], Image] | None = picture(20) if image is None else image
        self.states: list[ConnectionState] = []
        self.error: Exception | None = None
        self.changed = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._feed)

    def __enter__(self) -> "Show":
        self.sink.watch(self._on_state)
        sound = None if self.tones is None else self.tones.track
        self.sink.open(StreamInfo("show", 64, 48, live=True, sound=sound))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.sink.close()

    def wait_for(self, *states: ConnectionState) -> None:
        """Until the states were gone through in this order."""
        with self.changed:
            assert self.changed.wait_for(lambda: self._seen(states) or self.error, 30), self.states
            assert self.error is None

    def failure(self) -> Exception | None:
        """What ended the publishing, once it has ended."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.error, 30)
            return self.error

    def _seen(self, wanted: tuple[ConnectionState, ...]) -> bool:
        history = iter(self.states)
        return all(state in history for state in wanted)

    def _on_state(self, state: ConnectionState) -> None:
        with self.changed:
            self.states.append(state)
            self.changed.notify_all()

    def _feed(self) -> None:
        index = 0
        began = time.monotonic()
        while not self._over.wait(max(0.0, began + index / 30 - time.monotonic())):
            if self.tones is not None:
                self.tones.play(index / 30)
            image = self.image(index) if callable(self.image) else self.image
            if image is not None:
                try:
                    self.sink.write(result(image, index))
                except Exception as error:  # noqa: BLE001 - looked at by the test
                    with self.changed:
                        self.error = error
                        self.changed.notify_all()
                    return
            index += 1


def assert_similar(seen: Image, shown: Image) -> None:
    assert np.abs(seen.astype(int) - shown).mean() < 12

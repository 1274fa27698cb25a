"""Labels streams in the background: source after source, as samples."""

import threading
from dataclasses import dataclass
from types import TracebackType

from stream_client.client import StreamClient
from stream_client.distill.sampler import Put, SampleSink
from stream_client.distill.streams import Pass, Stream
from stream_client.distill.teacher import Teacher
from stream_client.errors import ConfigurationError, SourceError, StreamClientError
from stream_client.options import RunOptions
from stream_client.sources.factory import open_source
from stream_client.util.owned_thread import OwnedThread

_TIMEOUT = 60.0
"""Seconds to wait for a frame's landmarks. They arrive late on a machine that also trains."""
_RECONNECT_TIMEOUT = 15.0
"""Seconds until a stream that is lost is given up, and the next one begins."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A stream that gave nothing, or not all of it, and why."""

    name: str
    reason: str


class Producer:
    """Goes through the streams of a pass, and with ``loop`` through those of further passes, and puts their samples.

    Streams to hold out are labeled in the first pass only. A stream that fails is skipped and counted; whatever else
    goes wrong ends the work, and :attr:`error` has it. A context manager, which ends the work and its thread.
    """

    def __init__(
        self,
        streams: Pass,
        teacher: Teacher,
        put: Put,
        *,
        rate: float,
        stream_seconds: float | None = None,
        loop: bool = False,
    ) -> None:
        self._streams = streams
        self._teacher = teacher
        self._put = put
        self._rate = rate
        self._seconds = stream_seconds
        self._loop = loop
        self._lock = threading.Lock()
        self._client: StreamClient | None = None
        self._stopped = False
        self._held_out = threading.Event()
        self._done = threading.Event()
        self._failed: dict[str, Failed] = {}
        self._used: dict[str, Stream] = {}
        self._thread = OwnedThread(self._run, "teacher")
        self.error: StreamClientError | None = None
        """What ended the work, other than its end or a stop."""

    def __enter__(self) -> "Producer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._stopped = True
            client = self._client
        if client is not None:
            client.stop()
        self._thread.expect_end()
        self._thread.join()

    @property
    def done(self) -> bool:
        """Whether no sample comes any more."""
        return self._done.is_set()

    @property
    def held_out_done(self) -> bool:
        """Whether all streams that are held out have been labeled; of parts of a single one, the stream itself."""
        return self._held_out.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; whether it has come."""
        return self._done.wait(seconds)

    @property
    def failed(self) -> list[Failed]:
        """The streams that failed so far, each once."""
        with self._lock:
            return list(self._failed.values())

    @property
    def used(self) -> list[Stream]:
        """The streams that gave samples so far."""
        with self._lock:
            return list(self._used.values())

    def _run(self) -> None:
        try:
            number = 0
            while self._one_pass(first=number == 0) and self._loop:
                number += 1
        except StreamClientError as error:
            self.error = error
        finally:
            self._held_out.set()
            self._done.set()

    def _one_pass(self, *, first: bool) -> bool:
        """Whether another pass makes sense: somebody was seen, and nobody ends the work."""
        samples = 0
        for stream in self._streams():
            if stream.use == "train":
                self._held_out.set()  # those that are held out stand before it
            if first or stream.use != "hold_out":
                samples += self._label(stream)
            if self._stopped:
                return False
        self._held_out.set()
        return samples > 0

    def _label(self, stream: Stream) -> int:
        sink = SampleSink(stream, self._teacher, self._put, rate=self._rate, seconds=self._seconds)
        reason = ""
        try:
            client = self._client_of(stream, sink)
            if client is None:
                return 0
            loss = client.run().loss
            if loss is not None and not self._stopped:
                reason = loss.message
        except (SourceError, ConfigurationError) as error:
            reason = error.message
        finally:
            with self._lock:
                self._client = None
        if not sink.samples and not reason and not self._stopped:
            reason = f"no person was seen in {stream.name}"
        with self._lock:
            if reason:
                self._failed[stream.address] = Failed(stream.name, reason)
            if sink.samples:
                self._used[stream.address] = stream
        return sink.samples

    def _client_of(self, stream: Stream, sink: SampleSink) -> StreamClient | None:
        options = RunOptions(
            request_timeout=_TIMEOUT,
            join_timeout=_TIMEOUT,
            reconnect_timeout=_RECONNECT_TIMEOUT,
            # A video by HTTP waits like a file.
            drop_policy="block" if stream.address.startswith(("http://", "https://")) else None,
        )
        source = open_source(stream.address, reconnect_timeout=_RECONNECT_TIMEOUT)
        transport = self._teacher.transport
        client = StreamClient(source, sink, transport, options=options, pictures=False)
        with self._lock:
            if self._stopped:
                return None
            self._client = client
        return client

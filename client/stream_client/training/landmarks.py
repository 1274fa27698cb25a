"""Landmarks of clips, found as in a running stream and kept in the user's cache."""

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

import numpy as np
from tqdm import tqdm

from stream_client.client import StreamClient
from stream_client.embedded import EmbeddedOptions, EmbeddedServer
from stream_client.errors import SourceError, SourceNotFoundError, StreamClientError
from stream_client.frames import HAND_POINTS, POSE_POINTS, Frame, Result, StreamInfo
from stream_client.monitoring.progress import Progress
from stream_client.options import RunOptions
from stream_client.sources.file import FileSource
from stream_client.training.clips import Track
from stream_client.training.photos import PhotoSource
from stream_client.transport.options import TransportOptions
from stream_client.transport.servable import LANDMARK_GRAPH, POSE_GRAPH
from stream_client.util.file_kinds import is_photo

LEARNT_RATE = 15.0
"""Frames a second that training takes of a clip. A model of every second frame of the shared dance clip gives the same
labels at 30, 15, 12 and 10 frames a second as one of every frame."""

_RESPONSE_TIMEOUT = 60.0
"""Seconds to wait for a frame's landmarks. They arrive late on a busy machine."""
_MOST_AT_ONCE = 4
"""Clips that are read at once, on a machine with as many processors. A graph follows a person on about one of them."""


class GraphServerLandmarks:
    """Finds the landmarks of clips with our own graph server, once for each clip content. A context manager.

    The server starts with the first clip that is not in the cache. ``space`` is ``image`` or ``world``;
    ``models_dir`` is the server's model repository. ``None`` means the user's cache. ``rate`` is in frames a second: of
    a clip with more, every n-th frame is taken, so that it has about as many. Without ``hands``, which take most of the
    time, theirs are NaN. May be called from any thread.
    """

    def __init__(
        self,
        *,
        space: str = "image",
        models_dir: Path | None = None,
        rate: float | None = None,
        hands: bool = False,
    ) -> None:
        self._space = space
        self._rate = rate
        self._graph = LANDMARK_GRAPH if hands else POSE_GRAPH
        self._server = EmbeddedServer(EmbeddedOptions(models_dir=models_dir), self._graph)
        self._starting = threading.Lock()
        self._lock = threading.Lock()
        self._running: set[StreamClient] = set()
        self._ended = False

    def __enter__(self) -> "GraphServerLandmarks":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def __call__(self, path: Path, every: int = 1) -> Track:
        """The landmarks of a clip, from a stream of every ``every``-th frame only, of those that are taken."""
        if not path.is_file():
            raise SourceNotFoundError(f"{path} does not exist")
        every *= self._stride(path)
        try:
            target = _cache_file(path, self._graph, every)
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror}") from error
        if not target.is_file():
            results = self._stream(path, every)
            try:
                _keep(results, target)
            except OSError as error:
                raise StreamClientError(f"cannot keep landmarks in {target.parent}: {error.strerror}") from error
        with np.load(target) as arrays:
            return Track(path.name, arrays["timestamps"], arrays[self._space].astype(np.float64))

    def prepare(self, paths: Sequence[Path], slower: Callable[[Track], Sequence[int]], strict: bool = False) -> None:
        """Find the landmarks of clips, several at once, so that later calls have them from the cache.

        ``slower`` says of which every-N-th frames they are needed besides. A clip that cannot be read is left for later
        calls to tell, or raises with ``strict``. Other errors raise.
        """

        def first(path: Path) -> Sequence[int]:
            try:
                return slower(self(path))
            except SourceError:
                if strict:
                    raise
                return ()

        def further(path: Path, every: int) -> None:
            self(path, every)

        with ThreadPoolExecutor(min(_MOST_AT_ONCE, os.cpu_count() or 1), "clip") as pool:
            try:
                begun = [(path, pool.submit(first, path)) for path in paths]
                bar = tqdm(begun, desc="landmarks", unit="clip", disable=None)
                others = [pool.submit(further, path, every) for path, found in bar for every in found.result()]
                for other in others:
                    other.result()
            except BaseException:  # Ctrl-C, too
                self._interrupt()
                pool.shutdown(cancel_futures=True)
                raise

    def _interrupt(self) -> None:
        with self._lock:
            self._ended = True
            running = tuple(self._running)
        self._server.interrupt()
        for client in running:
            client.stop()

    def _stride(self, path: Path) -> int:
        if self._rate is None or is_photo(path):
            return 1
        source = FileSource(path)
        try:
            with _no_option():
                own = source.open().frame_rate
        finally:
            source.close()
        return max(1, round((own or 0) / self._rate))

    def _stream(self, path: Path, every: int) -> list[Result]:
        client = StreamClient(
            PhotoSource(path) if is_photo(path) else _EveryNth(FileSource(path), every),
            (),
            TransportOptions(self._address(), model_name=self._graph),
            options=RunOptions(request_timeout=_RESPONSE_TIMEOUT, join_timeout=_RESPONSE_TIMEOUT),
            pictures=False,
        )
        results = []

        def keep(result: Result) -> None:
            # Frames are large and not needed any more.
            frame = replace(result.frame, image=_NO_IMAGE)
            results.append(replace(result, frame=frame, image=_NO_IMAGE, outputs={}))

        with _no_option(), Progress(path.name) as progress, client, self._listed(client):
            client.on_start(progress.start)
            client.on_result(progress.result)
            client.on_result(keep)
            client.run()
        assert client.summary is not None
        if client.summary.ledger.delivered < client.summary.ledger.entered or self._ended:
            raise StreamClientError(f"no landmarks of {path}: {client.summary.last_failure or 'interrupted'}")
        return results

    def _address(self) -> str:
        with self._starting:
            if not self._server.address:
                self._server.start()
            return self._server.address

    @contextmanager
    def _listed(self, client: StreamClient) -> Iterator[None]:
        """What :meth:`_interrupt` stops."""
        with self._lock:
            if self._ended:
                raise StreamClientError("interrupted")
            self._running.add(client)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(client)


_NO_IMAGE = np.zeros((0, 0, 3), np.uint8)


@contextmanager
def _no_option() -> Iterator[None]:
    """The user set no ``input_stream``, so an error does not name it."""
    try:
        yield
    except SourceError as error:
        raise type(error)(error.message) from error


class _EveryNth:
    """Every ``every``-th frame of a source."""

    def __init__(self, source: FileSource, every: int) -> None:
        self._source = source
        self._every = every

    def open(self) -> StreamInfo:
        info = self._source.open()
        count = None if info.frame_count is None else -(-info.frame_count // self._every)
        return replace(info, frame_rate=info.frame_rate and info.frame_rate / self._every, frame_count=count)

    def read(self) -> Frame | None:
        frame = self._source.read()
        while frame is not None and frame.index % self._every:
            frame = self._source.read()
        return None if frame is None else replace(frame, index=frame.index // self._every)

    def interrupt(self) -> None:
        self._source.interrupt()

    def close(self) -> None:
        self._source.close()


def _cache_file(path: Path, graph: str, every: int) -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "ovms-stream-client" / "landmarks"
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    # Another version or precision of the graph server may give other landmarks.
    return folder / f"{digest.hexdigest()}-{version('ovms-stream-client')}-{graph}-f32-{every}.npz"


def _keep(results: list[Result], target: Path) -> None:
    """The landmarks in both spaces, NaN if missing, and each frame's timestamp in µs."""
    nothing = np.full((POSE_POINTS + 2 * HAND_POINTS, 3), np.nan)
    found = [result.landmarks for result in results]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as scratch:
        part = Path(scratch) / target.name
        np.savez_compressed(
            part,
            timestamps=np.array([result.frame.timestamp for result in results], dtype=np.int64),
            image=np.array([nothing if one is None else one.pixels() for one in found], dtype=np.float32),
            world=np.array([nothing if one is None else one.world() for one in found], dtype=np.float32),
        )
        os.replace(part, target)

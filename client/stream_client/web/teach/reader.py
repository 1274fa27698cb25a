"""A clip from a video file: its landmarks are found as those of the camera are."""

import threading
from functools import partial
from pathlib import Path

from stream_client.client import StreamClient
from stream_client.controlled_run import ControlledRun
from stream_client.errors import ConfigurationError, SinkError
from stream_client.run_settings import make_client
from stream_client.sinks.callable import CallableSink
from stream_client.transport.servable import LANDMARK_GRAPH
from stream_client.util.owned_thread import OwnedThread
from stream_client.util.redact import redact
from stream_client.web.model_server import ModelServer
from stream_client.web.teach.clips import MOST_FRAMES, Clips, Recorder

_LOOK_SECONDS = 0.1


class ClipReader:
    """Reads one file at a time. A context manager, which ends the reading. Safe from any thread."""

    def __init__(self, clips: Clips, server: ModelServer) -> None:
        self._clips = clips
        self._server = server
        self._lock = threading.Lock()
        self._run: ControlledRun | None = None
        self._thread: OwnedThread | None = None
        self.problem = ""
        """Why the last file became no clip, in one line; empty otherwise."""

    def __enter__(self) -> "ClipReader":
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            run, thread = self._run, self._thread
        if run is not None and thread is not None:
            run.stop()
            thread.expect_end()
            thread.join()

    @property
    def reads(self) -> bool:
        """Whether a file is read now."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self, label: str, path: Path) -> str:
        """Read ``path`` as a clip of the class ``label``, up to :data:`.MOST_FRAMES`, then delete the file.

        Returns the id of the clip, which is there when :attr:`reads` ends well. Raises :class:`.ConfigurationError` as
        :meth:`.Clips.record` does, and while another file is read.
        """
        with self._lock:
            if self.reads:
                raise ConfigurationError("another file is read now: wait for its clip")
            recorder = self._clips.record(label)
            self.problem = ""
            run = self._run = ControlledRun(partial(self._made, path, recorder), lambda info: None)
            self._thread = OwnedThread(self._work, "clip", (run, recorder, path))
            self._thread.start()
            return recorder.id

    def _work(self, run: ControlledRun, recorder: Recorder, path: Path) -> None:
        run.run()
        problem, clip = run.problem, None
        try:
            clip = recorder.finish()
        except SinkError as error:
            problem = problem or error
        path.unlink(missing_ok=True)
        if problem is not None:
            self.problem = redact(problem.message)
        elif clip is None:
            self.problem = "nobody was seen in the file: take one that shows a person"
        if clip is not None and run.state != "ended":  # half a movement teaches the wrong thing
            self._clips.delete(clip.id)

    def _made(self, path: Path, recorder: Recorder) -> StreamClient | None:
        """The client, once the model server is there; ``None`` where it shall end before."""
        while not self._server.wait(_LOOK_SECONDS):
            if self._run is None or self._run.state == "stopping":
                return None
        given = {"input_stream": str(path), "model_name": LANDMARK_GRAPH, "limit_frames": MOST_FRAMES}
        return make_client(self._server.complete(given), sinks=[CallableSink(recorder.add)])

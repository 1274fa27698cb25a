"""Opens the parts of an application and closes them in turn."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream_client.web.access import access_for
from stream_client.web.folders import open_folders
from stream_client.web.model_server import ModelServer
from stream_client.web.options import WebOptions
from stream_client.web.sessions import Sessions
from stream_client.web.state import State
from stream_client.web.streams.manager import StreamManager
from stream_client.web.streams.places import Places
from stream_client.web.teach.clips import Clips
from stream_client.web.teach.reader import ClipReader
from stream_client.web.teach.trainer import TrainCommand, Trainer


@contextmanager
def open_state(options: WebOptions, port: int, server: ModelServer, train: TrainCommand) -> Iterator[State]:
    """The state of an application that listens on ``port``. At the end, streams end and temporary files go.

    ``train`` makes the command of a training.

    Raises :class:`.ConfigurationError`.
    """
    access = access_for(options, port)
    media = options.media_dir or (Path.cwd() if options.local else None)
    with server, open_folders(options.data_dir) as folders:
        places = Places(media, folders.uploads, folders.classifiers, this_machine=options.local)
        sessions, clips = Sessions(options.max_sessions), Clips(folders.shown)
        with (
            StreamManager(places, server, folders.results, max_running=options.max_streams) as streams,
            ClipReader(clips, server) as reader,
            Trainer(folders.shown, folders.classifiers, train) as trainer,
        ):
            yield State(options, access, server, folders, places, streams, sessions, clips, reader, trainer)

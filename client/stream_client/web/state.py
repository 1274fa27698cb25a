"""What the parts of the application share."""

from dataclasses import dataclass

from stream_client.web.access import Access
from stream_client.web.folders import Folders
from stream_client.web.model_server import ModelServer
from stream_client.web.options import WebOptions
from stream_client.web.sessions import Sessions
from stream_client.web.streams.manager import StreamManager
from stream_client.web.streams.places import Places
from stream_client.web.teach.clips import Clips
from stream_client.web.teach.reader import ClipReader
from stream_client.web.teach.trainer import Trainer


@dataclass(frozen=True, slots=True)
class State:
    """One application: its options, who may use it, the model server of all streams and sessions, its folders, which
    files and addresses may be named, its streams, its live sessions, and what was taught.
    """

    options: WebOptions
    access: Access
    server: ModelServer
    folders: Folders
    places: Places
    streams: StreamManager
    sessions: Sessions
    clips: Clips
    reader: ClipReader
    trainer: Trainer

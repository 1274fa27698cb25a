"""What the parts of the application share."""

from dataclasses import dataclass

from stream_client.web.access import Access
from stream_client.web.model_server import ModelServer
from stream_client.web.options import WebOptions


@dataclass(frozen=True, slots=True)
class State:
    """One application: its options, who may use it, and the model server of all streams and sessions."""

    options: WebOptions
    access: Access
    server: ModelServer
